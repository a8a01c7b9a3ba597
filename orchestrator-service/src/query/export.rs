//! A run as one text, and removing old ones.

use super::ExportFormat;
use crate::{
    OrchestratorService, ServiceError,
    clock::now,
    execute::event_json,
    views::{AttemptView, CleanView, TaskView},
};
use orchestrator_core::{
    id::{BlobId, Sequence},
    time::Timestamp,
};
use serde_json::{Map, Value, json};
use std::{fmt::Write, time::Duration};

impl OrchestratorService {
    /// One run as one text.
    ///
    /// # Errors
    /// An unknown run, a missing blob.
    pub async fn export(&self, run: &str, format: ExportFormat) -> Result<String, ServiceError> {
        match format {
            ExportFormat::Json => self.export_json(run).await,
            ExportFormat::Csv => Ok(csv(&self.run(run).await?.items)),
        }
    }

    async fn export_json(&self, run: &str) -> Result<String, ServiceError> {
        let details = self.run(run).await?;
        let (opened, row) = self.find_run(&details.run.id).await?;
        let events = opened.events(&row.id, Sequence(0)).await?;
        let attempts = opened.catalog().attempts(&row.id, None).await;
        let attempts = attempts.map_err(|e| opened.failed(e))?;
        let mut ids: Vec<&BlobId> = events.iter().flat_map(|e| e.event.blobs()).collect();
        ids.sort();
        ids.dedup();
        let mut blobs = Map::new();
        for id in ids {
            let bytes = opened.blobs().get(id).await?;
            let content = match String::from_utf8(bytes) {
                Ok(text) => json!({ "text": text }),
                Err(error) => json!({ "hex": hex(error.as_bytes()) }),
            };
            blobs.insert(id.to_string(), content);
        }
        let standing = self.standing(opened, &row).await?;
        let attempts: Vec<AttemptView> =
            attempts.iter().map(|attempt| AttemptView::new(attempt, &standing)).collect();
        let events: Vec<Value> = events.iter().map(|event| event_json(&row.id, event)).collect();
        let bundle = json!({
            "schema": "orchestrator.export/v1",
            "run": details,
            "attempts": attempts,
            "events": events,
            "blobs": blobs,
        });
        let text = serde_json::to_string_pretty(&bundle);
        text.map_err(|error| ServiceError::Internal(format!("cannot write the export: {error}")))
    }

    /// Removes ended runs that were created longer ago than `older_than`, and what only they used.
    ///
    /// # Errors
    /// An unusable store.
    pub async fn clean(
        &self,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<CleanView, ServiceError> {
        let mut view = CleanView {
            schema: "orchestrator.clean/v1",
            dry_run,
            runs: Vec::new(),
            blobs: 0,
            bytes: 0,
        };
        let Some(opened) = self.store_if_any()? else { return Ok(view) };
        let age = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(now().0.saturating_sub(age));
        let cleaned = opened.catalog().clean(before, dry_run).await;
        let cleaned = cleaned.map_err(|e| opened.failed(e))?;
        view.runs = cleaned.runs.iter().map(ToString::to_string).collect();
        view.blobs = cleaned.blobs;
        view.bytes = cleaned.bytes;
        Ok(view)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
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
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }
}
