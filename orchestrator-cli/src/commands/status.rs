//! `orchestrator status`

use super::{list_runs, list_tasks, run_details};
use crate::{context::Context, exit::Exit, output::paint::Tone, problem::Failure, runtime};
use clap::Args;

/// What runs now and what ended last, or one run
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator status
  orchestrator status latest --json")]
pub(crate) struct Status {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

impl Status {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        if let Some(run) = &self.run {
            let run = runtime::ask(async { Ok(service.run(run).await?) })?;
            if console.json {
                console.document(&run)?;
            } else {
                run_details::print(console, &run)?;
            }
            return Ok(Exit::Done);
        }
        let status = runtime::ask(async { Ok(service.status().await?) })?;
        if console.json {
            console.document(&status)?;
            return Ok(Exit::Done);
        }
        let paint = console.paint();
        let mut lines = Vec::new();
        for open in &status.open {
            let run = &open.run;
            let name = paint.tone(Tone::Strong, &run.id);
            let state = paint.status(&run.status);
            let replayed = if run.replayed { "  replayed" } else { "" };
            let cost = run.spent.cost();
            lines.push(format!("{name}  {state}  {}  {cost}{replayed}", run.workflow));
            let shown = list_tasks::shown(&open.items);
            lines.extend(list_tasks::table(shown).lines(paint, console.columns()));
            lines.extend(run_details::next_steps(open));
            lines.push(String::new());
        }
        if status.open.is_empty() {
            lines.push("nothing runs".into());
        }
        if !status.recent.is_empty() {
            lines.push(paint.tone(Tone::Strong, "Ended last"));
            lines.extend(list_runs::table(&status.recent).lines(paint, console.columns()));
        }
        console.lines(&lines)?;
        if status.open.is_empty() && status.recent.is_empty() {
            console.hint("begin with: orchestrator execute --task-type audit");
        }
        Ok(Exit::Done)
    }
}
