//! `orchestrator cost-report`

use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        paint::Tone,
        table::{Align, Cell, Table},
        text,
    },
    problem::Failure,
    runtime,
};
use clap::{Args, ValueEnum};
use orchestrator_core::ledger::Unit;
use orchestrator_service::{
    CostQuery,
    views::{self, CostGroup, CostRow},
};

/// Where money and tokens went
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator cost-report --by model --since 7d
  orchestrator cost-report --run latest --by task --format csv")]
pub(crate) struct CostReport {
    /// By what it is summed up
    #[arg(long, value_name = "GROUP", default_value = "agent")]
    by: By,

    /// Only one run: an id, the start of one, or `latest`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,

    /// Only what was spent since: `7d`, `12h`, or a date such as `2026-01-31`
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,

    /// The form; `--json` is `--format json`
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Agent,
    Model,
    Provider,
    Task,
    Project,
    Day,
    Run,
}

impl From<By> for CostGroup {
    fn from(by: By) -> Self {
        match by {
            By::Agent => Self::Agent,
            By::Model => Self::Model,
            By::Provider => Self::Provider,
            By::Task => Self::Task,
            By::Project => Self::Project,
            By::Day => Self::Day,
            By::Run => Self::Run,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One document
    Json,
    /// One group a line, under a header
    Csv,
    /// A table for a page or a comment
    Markdown,
}

impl CostReport {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let since = self.since.map(|text| service.since(&text)).transpose()?;
        let query = CostQuery { by: self.by.into(), run: self.run, since };
        let report = runtime::ask(async { Ok(service.cost_report(&query).await?) })?;
        match if console.json { Format::Json } else { self.format } {
            Format::Json => console.document(&report)?,
            Format::Csv => console.data(&csv(&report))?,
            Format::Markdown => console.data(&markdown(&report))?,
            Format::Table => {
                console.table(&table(&report))?;
                if report.calibration.runs > 0 {
                    console.data("")?;
                    console.table(&calibration(&report.calibration))?;
                }
                talk(console, &report);
                if report.total.spent.unpriced_requests > 0 {
                    let unpriced = text::counted(report.total.spent.unpriced_requests, "request");
                    console.say(&format!(
                        "{unpriced} without a known price; set one under [prices] in the configuration"
                    ));
                }
            }
        }
        Ok(Exit::Done)
    }
}

/// The columns of the forms that are tables, with what each shows of a row.
type Column = (&'static str, fn(&CostRow) -> String);

const COLUMNS: [Column; 9] = [
    ("runs", |row| row.runs.to_string()),
    ("requests", |row| row.requests.to_string()),
    ("input_tokens", |row| row.spent.input_tokens.to_string()),
    ("cache_read_tokens", |row| row.spent.cache_read_tokens.to_string()),
    ("cache_write_tokens", |row| row.spent.cache_write_tokens.to_string()),
    ("output_tokens", |row| row.spent.output_tokens.to_string()),
    ("reasoning_tokens", |row| row.spent.reasoning_tokens.to_string()),
    ("cost_usd", |row| row.spent.cost_usd.to_string()),
    ("unpriced_requests", |row| row.spent.unpriced_requests.to_string()),
];

/// What the table does not say: calls whose cost is assumed, and how limits stand.
fn talk(console: &Console, report: &views::CostReport) {
    if report.replayed {
        console.say("the run was replayed: nothing of it was spent");
    }
    let ledger = &report.ledger;
    if ledger.assumed_calls > 0 {
        console.say(&format!(
            "{} ended without a word of what was used: budgets count the most that they can have \
             cost, ${}",
            text::counted(ledger.assumed_calls, "call"),
            ledger.assumed_usd
        ));
    }
    for budget in &report.budgets {
        let (sign, unit) = match budget.unit {
            Unit::Usd => ("$", String::new()),
            unit => ("", format!(" {unit}")),
        };
        let views::BudgetView { of, spent, limit, window, percent, refuses, .. } = budget;
        let warns = if *refuses { "" } else { ", only warns" };
        console.say(&format!(
            "{of}: {sign}{spent} of {sign}{limit}{unit} {window} ({percent}%{warns})"
        ));
    }
}

fn table(report: &views::CostReport) -> Table {
    let mut table = Table::new(&[
        ("COST", Align::Right),
        ("REQUESTS", Align::Right),
        ("INPUT", Align::Right),
        ("CACHED", Align::Right),
        ("OUTPUT", Align::Right),
        ("RUNS", Align::Right),
        ("BY", Align::Left),
    ]);
    let row = |row: &CostRow, key: Cell| {
        let spent = &row.spent;
        vec![
            spent.cost().to_string().into(),
            text::thousands(row.requests).into(),
            text::thousands(spent.input_tokens + spent.cache_write_tokens).into(),
            text::thousands(spent.cache_read_tokens).into(),
            text::thousands(spent.output_tokens).into(),
            text::thousands(row.runs).into(),
            key,
        ]
    };
    for item in &report.items {
        table.row(row(item, item.key.as_str().into()));
    }
    table.row(row(&report.total, Cell::toned(Tone::Strong, "total")));
    table
}

/// How right estimates were, one workflow a line.
fn calibration(of: &views::CalibrationView) -> Table {
    let mut table = Table::new(&[
        ("ESTIMATED", Align::Right),
        ("WITHIN", Align::Right),
        ("", Align::Right),
        ("TIMES LIKELY", Align::Right),
        ("WORKFLOW", Align::Left),
    ]);
    let all = ("all", of.runs, of.within, of.within_percent, of.median_ratio);
    let each = of.items.iter().map(|row| {
        (row.workflow.as_str(), row.runs, row.within, row.within_percent, row.median_ratio)
    });
    for (name, runs, within, percent, ratio) in each.chain([all]) {
        let name = if name == "all" { Cell::toned(Tone::Strong, "all") } else { name.into() };
        table.row(vec![
            text::thousands(runs).into(),
            text::thousands(within).into(),
            percent.map(|percent| format!("{percent}%")).unwrap_or_default().into(),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")).into(),
            name,
        ]);
    }
    table
}

fn csv(report: &views::CostReport) -> String {
    let heads: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut lines = vec![format!("{},{}", report.by.as_str(), heads.join(","))];
    for row in &report.items {
        let values: Vec<String> = COLUMNS.iter().map(|(_, value)| value(row)).collect();
        lines.push(format!("{},{}", quoted(&row.key), values.join(",")));
    }
    lines.join("\n")
}

/// A field as RFC 4180 wants it.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn markdown(report: &views::CostReport) -> String {
    let heads: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut lines = vec![
        format!("| {} | {} |", report.by.as_str(), heads.join(" | ")),
        format!("|---|{}", "--:|".repeat(COLUMNS.len())),
    ];
    for (key, row) in report
        .items
        .iter()
        .map(|row| (row.key.replace('|', "\\|"), row))
        .chain([("**total**".to_owned(), &report.total)])
    {
        let values: Vec<String> = COLUMNS.iter().map(|(_, value)| value(row)).collect();
        lines.push(format!("| {key} | {} |", values.join(" | ")));
    }
    let judged = &report.calibration;
    if judged.runs > 0 {
        lines.push(String::new());
        lines.push("| workflow | estimated runs | within | within percent | median ratio |".into());
        lines.push("|---|--:|--:|--:|--:|".into());
        for row in &judged.items {
            let views::CalibrationRow { workflow, runs, within, within_percent, median_ratio } =
                row;
            let percent = within_percent.map(|percent| percent.to_string()).unwrap_or_default();
            let ratio = median_ratio.map(|ratio| ratio.to_string()).unwrap_or_default();
            lines.push(format!("| {workflow} | {runs} | {within} | {percent} | {ratio} |"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        for (field, expected) in
            [("dev", "dev"), ("a,b", "\"a,b\""), ("say \"hi\"", "\"say \"\"hi\"\"\"")]
        {
            assert_eq!(quoted(field), expected);
        }
    }
}
