//! `orchestrator task-details`

use super::{proof, run_details::tokens, sheet::Sheet};
use crate::{
    context::Context,
    exit::Exit,
    output::{Console, text},
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::views;
use std::time::Duration;

/// Everything about one task, or one of the files that it made
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator task-details plan
  orchestrator task-details r_01.security --json
  orchestrator task-details security --artifact report.sarif > report.sarif")]
pub(crate) struct TaskDetails {
    /// `RUN.TASK`, or the name of a task in the latest run
    #[arg(value_name = "TASK")]
    task: String,

    /// The run in which the name is meant: an id, the start of one, or `latest`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,

    /// Print this file that the task made, byte for byte
    #[arg(long, value_name = "NAME")]
    artifact: Option<String>,
}

impl TaskDetails {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let run = self.run.as_deref();
        if let Some(name) = &self.artifact {
            let bytes = runtime::ask(async { Ok(service.artifact(&self.task, run, name).await?) })?;
            console.bytes(&bytes)?;
            return Ok(Exit::Done);
        }
        let task = runtime::ask(async { Ok(service.task(&self.task, run).await?) })?;
        if console.json {
            console.document(&task)?;
        } else {
            print(console, &task)?;
        }
        Ok(Exit::Done)
    }
}

fn print(console: &Console, details: &views::TaskDetails) -> Result<(), Failure> {
    let task = &details.task;
    let mut sheet = Sheet::new(console);
    sheet.field("task", task.id.clone());
    sheet.field("what", details.description.clone());
    sheet.field("status", sheet.paint().status(&task.status));
    let verified = match task.verified {
        Some(true) => Some("verified"),
        Some(false) => Some("unverified"),
        None => (task.status == "succeeded").then_some("unverified: it has no checks"),
    };
    sheet.field("verified", verified.map(str::to_owned));
    sheet.field("agent", task.agent.clone());
    sheet.field("needs", details.needs.join(", "));
    sheet.field("started", task.started_at.clone());
    sheet.field("ended", task.ended_at.clone());
    sheet.field("time", text::elapsed(Duration::from_millis(task.elapsed_ms)));
    sheet.field("tokens", tokens(&task.spent));
    sheet.field("cost", task.spent.cost().to_string());
    sheet.field("error", task.error.as_ref().map(failure));
    let asks: Vec<&views::AskView> = task.ask.iter().chain(&task.more_asks).collect();
    for ask in &asks {
        sheet.field("asks", Some(asked(&task.id, ask, asks.len() > 1)));
    }
    sheet.field("held up", task.held_up.as_ref().map(|held_up| held_up.reason.clone()));
    let items = task.item_counts.map(|counts| {
        format!("{} of {} ended, {} not well", counts.ended, counts.total, counts.failed)
    });
    sheet.field("items", items);
    sheet.field("child", details.child.clone());
    sheet.field("session", details.session.clone());
    sheet.field("turns", (details.turns > 0).then(|| details.turns.to_string()));
    let made = details.cached.as_ref();
    sheet.field("cached", made.map(|made| format!("by {}.{} at {}", made.run, made.task, made.at)));
    sheet.section("Asked for");
    sheet.value(&details.asks);
    if !details.allowed.is_empty() {
        sheet.section("Allowed for the rest of the run");
        sheet.lines(details.allowed.iter().map(allowed).collect::<Vec<_>>());
    }
    if !details.messages.is_empty() {
        sheet.section("Messages");
        sheet.lines(details.messages.iter().map(message).collect::<Vec<_>>());
    }
    if !details.items.is_empty() {
        sheet.section("Attempts");
        sheet.lines(details.items.iter().flat_map(attempt).collect::<Vec<_>>());
    }
    for work in &details.work {
        sheet.section(&format!("Work of attempt {}", work.attempt));
        sheet.lines(proof::lines(work));
    }
    if !details.calls.is_empty() {
        sheet.section("Models");
        sheet.lines(details.calls.iter().flat_map(call).collect::<Vec<_>>());
    }
    if !details.output.is_null() {
        sheet.section("Output");
        sheet.value(&details.output);
    }
    sheet.print(console)
}

/// `rate_limited: too many requests`.
fn failure(failure: &views::FailureView) -> String {
    format!("{}: {}", failure.class, text::harmless(&failure.message, false))
}

/// What is asked, until when, and how to answer.
fn asked(id: &str, ask: &views::AskView, one_of_several: bool) -> String {
    let until = ask.expires.as_ref().map(|at| format!(" (until {at})")).unwrap_or_default();
    let how = if ask.kind == "question" { "answer" } else { "approve" };
    let number = ask.question.filter(|_| one_of_several);
    let which = number.map(|number| format!(" --question {number}")).unwrap_or_default();
    let wants = ask.action.as_ref().map(wants).unwrap_or_default();
    format!("{}{wants}{until}: orchestrator {how} {id}{which}", text::harmless(&ask.message, false))
}

/// What of an action the question does not say.
fn wants(action: &views::ActionView) -> String {
    let paths = action.paths.iter().filter(|_| action.command.is_some());
    let more = paths.chain(&action.hosts).map(String::as_str);
    let more: Vec<&str> =
        more.chain((!action.summary.is_empty()).then_some(&*action.summary)).collect();
    match more.is_empty() {
        true => String::new(),
        false => format!(" [{}]", text::harmless(&more.join("; "), false)),
    }
}

/// A message to an agent, and whether it has it.
fn message(sent: &views::MessageView) -> String {
    let what = if sent.interrupts { "interrupted" } else { "told" };
    let said = sent.text.as_deref().map(|said| format!(": {}", text::harmless(said, false)));
    let has = match sent.delivered {
        Some(attempt) => format!("attempt {attempt} has it"),
        None => "not delivered".to_owned(),
    };
    format!("{}  {what}{}  ({has})", sent.number, said.unwrap_or_default())
}

/// What an agent may do for the rest of the run.
fn allowed(allowed: &views::AllowedView) -> String {
    let rule = text::harmless(&allowed.rule, false);
    format!("{rule}  by {} at {}, asked by {}", allowed.by, allowed.at, allowed.task)
}

/// Which model gave an answer, and which failed before it.
fn call(call: &views::CallView) -> Vec<String> {
    let of = |provider: &str, model: &str| {
        text::harmless(&format!("{provider}/{model}"), false).into_owned()
    };
    let model = match &call.provider {
        Some(provider) => of(provider, &call.model),
        None => text::harmless(&call.model, false).into_owned(),
    };
    let source = match (call.source.as_str(), &call.kept) {
        ("kept", Some(kept)) => {
            let by = kept.run.as_ref().map(|run| format!(" by {run}")).unwrap_or_default();
            format!("  kept{by} at {}: nothing spent", kept.at)
        }
        ("joined", _) => "  joined an identical request: nothing spent".to_owned(),
        _ => String::new(),
    };
    let mut lines = vec![format!("{}.{}  {model}{source}", call.attempt, call.turn)];
    lines.extend(call.why.iter().map(|why| format!("   {}", text::harmless(why, false))));
    lines.extend(call.failed.iter().map(|failed| {
        let message = text::harmless(&failed.message, false);
        format!("   after {} ({}): {message}", of(&failed.provider, &failed.model), failed.class)
    }));
    lines
}

/// An attempt with the files that it made.
fn attempt(attempt: &views::AttemptView) -> Vec<String> {
    let mut lines = vec![format!(
        "{}  {}  {}  {}  {}",
        attempt.number,
        attempt.agent,
        attempt.status,
        attempt.started_at,
        attempt.spent.cost(),
    )];
    lines.extend(attempt.error.iter().map(|error| format!("   {}", failure(error))));
    lines.extend(attempt.artifacts.iter().map(|made| {
        format!("   {} ({}, {})", made.name, made.media_type, text::bytes(made.bytes))
    }));
    lines
}
