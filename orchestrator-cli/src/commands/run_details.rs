//! `orchestrator run-details`

use super::{list_tasks, sheet::Sheet};
use crate::{
    context::Context,
    exit::Exit,
    output::{Console, forecast, text},
    problem::Failure,
    progress::closing::{QUESTIONS, unshown},
    runtime,
};
use clap::Args;
use orchestrator_service::views;
use std::time::Duration;

/// Everything about one run
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator run-details latest
  orchestrator run-details r_01 --json
  orchestrator run-details latest --report > report.md")]
pub(crate) struct RunDetails {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// Print what the run has to say, as `execute` does at its end, and nothing else
    #[arg(long)]
    report: bool,
}

impl RunDetails {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = context.service()?;
        if self.report {
            let text = runtime::ask(async { Ok(service.report(&self.run).await?) })?;
            match text {
                Some(text) => context.console.data(&text)?,
                None => context.console.say("no report: the last tasks left nothing"),
            }
            return Ok(Exit::Done);
        }
        let run = runtime::ask(async { Ok(service.run(&self.run).await?) })?;
        if context.console.json {
            context.console.document(&run)?;
        } else {
            print(&context.console, &run)?;
        }
        Ok(Exit::Done)
    }
}

/// Prints a run for people.
pub(super) fn print(console: &Console, details: &views::RunDetails) -> Result<(), Failure> {
    let run = &details.run;
    let mut sheet = Sheet::new(console);
    sheet.field("run", run.id.clone());
    sheet.field("status", sheet.paint().status(&run.status));
    sheet.field("workflow", format!("{} {}", run.workflow, run.version));
    sheet.field("from", run.source.clone());
    sheet.field("mode", format!("{}, at most {} at once", details.mode, details.max_parallel));
    sheet.field("parent", run.parent.clone());
    sheet.field("origin", run.origin.as_ref().map(origin));
    sheet.field("created", run.created_at.clone());
    sheet.field("ended", run.ended_at.clone());
    sheet.field("time", text::elapsed(Duration::from_millis(run.elapsed_ms)));
    sheet.field("driven by", details.driver.clone());
    sheet.field("tasks", format!("{} of {} ended, {} failed", run.ended, run.tasks, run.failed));
    sheet.field("tokens", tokens(&run.spent));
    sheet.field("cost", run.spent.cost().to_string());
    let replayed = "models were not called; tokens and cost are as recorded";
    sheet.field("replayed", run.replayed.then(|| replayed.to_owned()));
    sheet.field("expected", details.forecast.as_ref().map(forecast::outcome));
    sheet.field("landed on", landed(details));
    sheet.field("budget", run.budget_usd.map(|usd| format!("${usd}")));
    if details.inputs.as_object().is_some_and(|inputs| !inputs.is_empty()) {
        sheet.section("Inputs");
        sheet.value(&details.inputs);
    }
    sheet.section("Tasks");
    let shown = list_tasks::shown(&details.items);
    sheet.lines(list_tasks::table(shown).lines(console.paint(), console.columns()));
    sheet.print(console)?;
    next_steps(details).iter().for_each(|line| console.hint(line));
    Ok(())
}

/// What to type so that the run goes on, when it waits for somebody.
pub(super) fn next_steps(details: &views::RunDetails) -> Vec<String> {
    let run = &details.run;
    let asked = details.items.iter().flat_map(|task| {
        // One of several things is named by its number.
        let several = !task.more_asks.is_empty();
        let asks = task.ask.iter().chain(&task.more_asks);
        asks.map(move |ask| {
            let number = ask.question.filter(|_| several);
            let which = number.map(|number| format!(" --question {number}")).unwrap_or_default();
            (task, ask, which)
        })
    });
    let asked: Vec<_> = asked.collect();
    let told = asked.iter().take(QUESTIONS).map(|(task, ask, which)| {
        let how = match ask.kind {
            "question" => format!("orchestrator answer {} TEXT{which}", task.id),
            "budget" => format!(
                "orchestrator resume {} --budget USD, or orchestrator reject {}",
                run.id, task.id
            ),
            _ => format!(
                "orchestrator approve {0}{which}, or orchestrator reject {0}{which}",
                task.id
            ),
        };
        format!("{} waits for a person: {}; {how}", task.name, text::first_line(&ask.message))
    });
    let mut lines: Vec<String> = told.chain(unshown(asked.len())).collect();
    let idle = details.driver.is_none();
    if run.status == "paused" || (idle && matches!(&*run.status, "interrupted" | "waiting")) {
        lines.push(format!("go on with: orchestrator resume {}", run.id));
    }
    lines
}

/// `orchestrator/r_01/result (3 tasks)`.
fn landed(details: &views::RunDetails) -> String {
    let branch = |landed: &views::ResultBranch| {
        format!("{} ({})", landed.branch, text::counted(landed.tasks.len() as u64, "task"))
    };
    details.landed.iter().map(branch).collect::<Vec<_>>().join(", ")
}

/// `fork of r_01 at event 12`.
fn origin(origin: &views::OriginView) -> String {
    let of = origin.run.as_ref().map(|run| format!(" of {run}")).unwrap_or_default();
    let at = origin.at.map(|at| format!(" at event {at}")).unwrap_or_default();
    format!("{}{of}{at}", origin.how)
}

/// `1,204 in (200 cached), 310 out (120 reasoning)`, or nothing when nothing was used.
pub(super) fn tokens(spent: &views::Spent) -> Option<String> {
    if spent.tokens() == 0 {
        return None;
    }
    let fresh = spent.input_tokens + spent.cache_read_tokens + spent.cache_write_tokens;
    let mut line = format!("{} in", text::thousands(fresh));
    if spent.cache_read_tokens > 0 {
        line += &format!(" ({} cached)", text::thousands(spent.cache_read_tokens));
    }
    line += &format!(", {} out", text::thousands(spent.output_tokens));
    if spent.reasoning_tokens > 0 {
        line += &format!(" ({} reasoning)", text::thousands(spent.reasoning_tokens));
    }
    Some(line)
}
