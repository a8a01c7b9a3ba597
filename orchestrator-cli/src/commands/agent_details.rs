//! `orchestrator agent-details`

use super::{list_agents::at_work, listing, sheet::Sheet};
use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        table::{Align, Cell, Table},
    },
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::views::{self, AgentStatus};

/// Everything about one agent, with its latest attempts
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator agent-details builtin-security
  orchestrator agent-details dev --json")]
pub(crate) struct AgentDetails {
    /// Its name, as in `list-agents`
    #[arg(value_name = "AGENT")]
    agent: String,
}

impl AgentDetails {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = context.service()?;
        let agent = runtime::ask(async { Ok(service.agent(&self.agent).await?) })?;
        if context.console.json {
            context.console.document(&agent)?;
        } else {
            print(&context.console, &agent)?;
        }
        Ok(Exit::Done)
    }
}

fn print(console: &Console, details: &views::AgentDetails) -> Result<(), Failure> {
    let agent = &details.agent;
    let mut sheet = Sheet::new(console);
    sheet.field("agent", agent.name.clone());
    sheet.field("role", agent.role.clone());
    sheet.field("provider", agent.provider.clone());
    let mode = agent.mode.as_deref().map(|mode| match mode {
        "own-login" => "own-login: counted as it tells of it, a limit may be passed by one turn",
        mode => mode,
    });
    sheet.field("mode", mode.map(str::to_owned));
    let accounts = agent.accounts.iter().map(|account| match &account.reason {
        Some(why) => format!("{} (no: {why})", account.name),
        None => account.name.clone(),
    });
    sheet.field("accounts", accounts.collect::<Vec<_>>().join(", "));
    sheet.field("model", agent.model.clone());
    sheet.field("rule", agent.rule.clone());
    sheet.field("models", agent.models.join(", "));
    sheet.field("from", agent.source.clone());
    let status = agent.status.as_str();
    let why = match agent.status {
        AgentStatus::Available => None,
        AgentStatus::Busy => Some(at_work(agent.at_work)),
        AgentStatus::Error => agent.trouble.clone(),
        AgentStatus::Unavailable => agent.reason.clone(),
    };
    sheet.field("status", why.map_or(status.to_owned(), |why| format!("{status}: {why}")));
    if let Some(program) = &agent.program {
        sheet.field("program", program.path.clone());
        let note = program.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let version = program.version.as_deref().unwrap_or("unknown");
        sheet.field("version", format!("{version}{note}"));
        let login = program.logged_in.map(|is_in| if is_in { "yours" } else { "none" });
        sheet.field("login", login.map(str::to_owned));
    }
    sheet.field("fall-back", agent.fall_back.join(", "));
    sheet.field("max tokens", details.max_tokens.map(|most| most.to_string()));
    let price = |usd: Option<_>| usd.map(|usd| format!("${usd} a million tokens"));
    sheet.field("input price", price(details.input_usd_per_million));
    sheet.field("output price", price(details.output_usd_per_million));
    if !details.capabilities.is_empty() {
        sheet.section("Can");
        sheet.lines(details.capabilities.iter().map(|can| match &can.reason {
            None => can.name.clone(),
            Some(why) => format!("no {}: {why}", can.name),
        }));
    }
    if !details.instructions.is_empty() {
        sheet.section("Instructions");
        sheet.lines([details.instructions.clone()]);
    }
    if !details.items.is_empty() {
        sheet.section("Latest attempts");
        let mut table = Table::new(&[
            ("TASK", Align::Left),
            ("TRY", Align::Right),
            ("STATUS", Align::Left),
            ("COST", Align::Right),
            ("STARTED (UTC)", Align::Left),
        ]);
        for attempt in &details.items {
            table.row(vec![
                format!("{}.{}", attempt.run, attempt.task).into(),
                attempt.number.to_string().into(),
                Cell::status(&attempt.status),
                attempt.spent.cost().to_string().into(),
                listing::minute(&attempt.started_at).into(),
            ]);
        }
        sheet.lines(table.lines(console.paint(), console.columns()));
    }
    sheet.print(console)
}
