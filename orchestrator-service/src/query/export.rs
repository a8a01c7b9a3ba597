//! A run as one text.

use super::ExportFormat;
use crate::{OrchestratorService, ServiceError, views::TaskView};

impl OrchestratorService {
    /// One run as one text.
    ///
    /// # Errors
    /// An unknown run, a missing blob; as JSON or receipt, a run that holds a known secret; as receipt,
    /// one that has not ended.
    pub async fn export(&self, run: &str, format: ExportFormat) -> Result<String, ServiceError> {
        self.learn_secrets(false).await;
        let hide = |text: String| self.known().hide(&text).into_owned();
        match format {
            ExportFormat::Json { children } => self.export_bundle(run, children).await,
            ExportFormat::Csv => Ok(hide(csv(&self.run(run).await?.items))),
            ExportFormat::Html => self.export_html(run).await.map(hide),
            ExportFormat::Receipt => self.issue_receipt(run).await,
        }
    }

    async fn export_html(&self, run: &str) -> Result<String, ServiceError> {
        let details = self.run(run).await?;
        let (opened, row) = self.find_run(&details.run.id).await?;
        let mut outputs = Vec::new();
        for task in opened.all_tasks(&row.id).await? {
            outputs.push(opened.words(&row, &task).await?);
        }
        Ok(crate::transfer::page(&details, &outputs))
    }
}

const HEADER: [&str; 17] = [
    "id",
    "name",
    "run",
    "status",
    "verified",
    "agent",
    "attempts",
    "started_at",
    "ended_at",
    "elapsed_ms",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "cost_usd",
    "unpriced_requests",
    "error",
];

/// Tasks as RFC 4180 text.
fn csv(tasks: &[TaskView]) -> String {
    let mut text = format!("{}\r\n", HEADER.join(","));
    for task in tasks {
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        let spent = &task.spent;
        let cells: [String; 17] = [
            task.id.clone(),
            task.name.clone(),
            task.run.clone(),
            task.status.clone(),
            task.verified.map(|verified| verified.to_string()).unwrap_or_default(),
            optional(&task.agent),
            task.attempts.to_string(),
            optional(&task.started_at),
            optional(&task.ended_at),
            task.elapsed_ms.to_string(),
            spent.input_tokens.to_string(),
            spent.cache_read_tokens.to_string(),
            spent.cache_write_tokens.to_string(),
            spent.output_tokens.to_string(),
            spent.cost_usd.to_string(),
            spent.unpriced_requests.to_string(),
            task.error.as_ref().map(|error| error.message.clone()).unwrap_or_default(),
        ];
        text.push_str(&cells.map(|cell| quote(&cell)).join(","));
        text.push_str("\r\n");
    }
    text
}

/// One cell; text that a spreadsheet would take for a formula is made plain with a leading `'`.
fn quote(cell: &str) -> String {
    let plain = match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{cell}"),
        _ => cell.to_owned(),
    };
    if plain.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", plain.replace('"', "\"\""))
    } else {
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_made_plain() {
        for (cell, expected) in [
            ("a", "a"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("-x\ny", "\"'-x\ny\""),
        ] {
            assert_eq!(quote(cell), expected);
        }
    }
}
