//! `orchestrator list-agents`

use super::listing;
use crate::{
    context::Context,
    exit::Exit,
    output::{
        paint::Tone,
        table::{Align, Cell, Table},
    },
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::views::{AgentStatus, AgentView};

/// List the agents that tasks can name, and whether each can work here
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator list-agents
  orchestrator list-agents --search qa --json")]
pub(crate) struct ListAgents {
    /// Only those with this text in their name, role, provider or model
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

impl ListAgents {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let agents = runtime::ask(async { Ok(service.agents(self.search.as_deref()).await?) })?;
        if console.json {
            console.document(&agents)?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(&[
            ("AGENT", Align::Left),
            ("ROLE", Align::Left),
            ("PROVIDER", Align::Left),
            ("MODEL", Align::Left),
            ("FROM", Align::Left),
            ("STATUS", Align::Left),
        ]);
        for agent in &agents.items {
            table.row(vec![
                agent.name.as_str().into(),
                agent.role.as_str().into(),
                provider(agent).into(),
                agent.model.as_deref().unwrap_or("-").into(),
                agent.source.as_str().into(),
                status(agent),
            ]);
        }
        if !agents.items.is_empty() {
            console.table(&table)?;
        }
        listing::tail(console, "agents", agents.items.is_empty(), agents.next.as_deref());
        Ok(Exit::Done)
    }
}

/// The provider, with the number of its accounts where there are several, and whether it works with a
/// login of its own.
fn provider(agent: &AgentView) -> String {
    if agent.mode.as_deref() == Some("own-login") {
        return format!("{} (own login)", agent.provider);
    }
    match agent.accounts.len() {
        0 => agent.provider.clone(),
        1 => format!("{} (1 account)", agent.provider),
        count => format!("{} ({count} accounts)", agent.provider),
    }
}

/// Whether it can be given work, and why not.
fn status(agent: &AgentView) -> Cell {
    let name = agent.status.as_str();
    let why = |why: &Option<String>| why.clone().unwrap_or_else(|| "it cannot work here".into());
    match agent.status {
        AgentStatus::Available => Cell::toned(Tone::Good, name),
        AgentStatus::Busy => Cell::toned(Tone::Good, format!("{name}: {}", at_work(agent.at_work))),
        AgentStatus::Error => Cell::toned(Tone::Warn, format!("{name}: {}", why(&agent.trouble))),
        AgentStatus::Unavailable => {
            Cell::toned(Tone::Warn, format!("{name}: {}", why(&agent.reason)))
        }
    }
}

/// What it is at work on.
pub(super) fn at_work(tasks: u32) -> String {
    match tasks {
        1 => "at work on 1 task".to_owned(),
        tasks => format!("at work on {tasks} tasks"),
    }
}

/// `yes`, or why not.
pub(super) fn ready(ready: bool, reason: Option<&str>) -> Cell {
    if ready {
        Cell::toned(Tone::Good, "yes")
    } else {
        Cell::toned(Tone::Warn, format!("no: {}", reason.unwrap_or("it cannot work here")))
    }
}
