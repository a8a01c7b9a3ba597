//! `orchestrator list-tasks`

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
use orchestrator_service::{TaskQuery, views::TaskView};
use std::time::Duration;

/// List tasks: those of the newest run first, within a run as in its workflow
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator list-tasks --run latest
  orchestrator list-tasks --status failed --since 7d")]
pub(crate) struct ListTasks {
    /// Only those of this run: an id, the start of one, or `latest`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,

    /// Only with this status; several with commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<String>,

    /// Only those done last by this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,

    /// Only those of runs created since: `7d`, `12h`, or a date such as `2026-01-31`
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,

    /// Only those with this text in their name or their run's id
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    #[command(flatten)]
    page: Page,
}

impl ListTasks {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let query = TaskQuery {
            run: self.run,
            status: self.status,
            agent: self.agent,
            since: self.since.map(|text| service.since(&text)).transpose()?,
            search: self.search,
            limit: self.page.limit(),
            cursor: self.page.cursor,
        };
        let tasks = runtime::ask(async { Ok(service.tasks(&query).await?) })?;
        if console.json {
            console.document(&tasks)?;
            return Ok(Exit::Done);
        }
        if !tasks.items.is_empty() {
            console.table(&table(tasks.items.iter()))?;
        }
        listing::tail(console, "tasks", tasks.items.is_empty(), tasks.next.as_deref());
        Ok(Exit::Done)
    }
}

/// The tasks of a run that are shown to people: of the items of a task, those that have not ended
/// well, and of these only some.
pub(super) fn shown(tasks: &[TaskView]) -> impl Iterator<Item = &TaskView> {
    const ITEMS: usize = 20;
    let mut items = 0;
    tasks.iter().filter(move |task| {
        let item = task.name.rsplit_once(':').is_some_and(|(_, at)| at.parse::<u32>().is_ok());
        if !item {
            return true;
        }
        let notable = !matches!(&*task.status, "succeeded" | "pending" | "ready" | "skipped");
        items += usize::from(notable);
        notable && items <= ITEMS
    })
}

/// Tasks as a table.
pub(super) fn table<'t>(tasks: impl IntoIterator<Item = &'t TaskView>) -> Table {
    let tasks: Vec<&TaskView> = tasks.into_iter().collect();
    // Where nothing is checked, nothing is to be told of it.
    let is_proved = tasks.iter().any(|task| task.verified.is_some());
    let mut columns = vec![
        ("TASK", Align::Left),
        ("STATUS", Align::Left),
        ("AGENT", Align::Left),
        ("TRIES", Align::Right),
        ("TIME", Align::Right),
        ("TOKENS", Align::Right),
        ("COST", Align::Right),
        ("REMARK", Align::Left),
    ];
    if is_proved {
        columns.insert(2, ("PROOF", Align::Left));
    }
    let mut table = Table::new(&columns);
    for task in tasks {
        let mut cells: Vec<Cell> = vec![
            task.id.as_str().into(),
            Cell::status(&task.status),
            task.agent.as_deref().unwrap_or("-").into(),
            task.attempts.to_string().into(),
            text::elapsed(Duration::from_millis(task.elapsed_ms)).into(),
            text::thousands(task.spent.tokens()).into(),
            task.spent.cost().to_string().into(),
            remark(task).into(),
        ];
        if is_proved {
            cells.insert(2, proof(task).into());
        }
        table.row(cells);
    }
    table
}

/// What there is to say about a task: what it asks, what holds it up, how its items stand, why it
/// failed.
fn remark(task: &TaskView) -> String {
    if let Some(ask) = &task.ask {
        return format!("asks: {}", text::first_line(&ask.message));
    }
    if let Some(held_up) = &task.held_up {
        return text::first_line(&held_up.reason);
    }
    if let Some(counts) = &task.item_counts {
        let failed =
            if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
        return format!("{} of {} items{failed}", counts.ended, counts.total);
    }
    if let Some(error) = &task.error {
        return text::first_line(&error.message);
    }
    String::new()
}

/// Whether its checks passed; `-` where there are none, or before they have run.
pub(crate) fn proof(task: &TaskView) -> &'static str {
    match task.verified {
        Some(true) => "verified",
        Some(false) => "unverified",
        None => "-",
    }
}
