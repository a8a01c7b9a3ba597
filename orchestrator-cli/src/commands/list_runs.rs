//! `orchestrator list-runs`

use super::listing::{self, Page};
use crate::{
    context::Context,
    exit::Exit,
    output::{
        table::{Align, Cell, Table},
        text,
    },
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::{RunQuery, views::RunView};
use std::time::Duration;

/// List runs, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator list-runs --status failed,interrupted
  orchestrator list-runs --since 7d --agent dev --json")]
pub(crate) struct ListRuns {
    /// Only with this status; several with commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<String>,

    /// Only those in which this agent worked
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,

    /// Only those created since: `7d`, `12h`, or a date such as `2026-01-31`
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,

    /// Only those with this text in their id, workflow or source
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    #[command(flatten)]
    page: Page,
}

impl ListRuns {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let query = RunQuery {
            status: self.status,
            agent: self.agent,
            since: self.since.map(|text| service.since(&text)).transpose()?,
            search: self.search,
            limit: self.page.limit(),
            cursor: self.page.cursor,
        };
        let runs = runtime::ask(async { Ok(service.runs(&query).await?) })?;
        if console.json {
            console.document(&runs)?;
            return Ok(Exit::Done);
        }
        if !runs.items.is_empty() {
            console.table(&table(&runs.items))?;
        }
        listing::tail(console, "runs", runs.items.is_empty(), runs.next.as_deref());
        Ok(Exit::Done)
    }
}

/// Runs as a table.
pub(super) fn table(runs: &[RunView]) -> Table {
    let mut table = Table::new(&[
        ("RUN", Align::Left),
        ("STATUS", Align::Left),
        ("TASKS", Align::Right),
        ("TIME", Align::Right),
        ("COST", Align::Right),
        ("CREATED (UTC)", Align::Left),
        ("WORKFLOW", Align::Left),
    ]);
    for run in runs {
        table.row(vec![
            run.id.as_str().into(),
            Cell::status(&run.status),
            format!("{}/{}", run.ended, run.tasks).into(),
            text::elapsed(Duration::from_millis(run.elapsed_ms)).into(),
            run.spent.cost().to_string().into(),
            listing::minute(&run.created_at).into(),
            run.workflow.as_str().into(),
        ]);
    }
    table
}
