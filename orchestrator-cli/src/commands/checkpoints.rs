//! `orchestrator checkpoints`

use super::listing;
use crate::{
    context::Context,
    exit::Exit,
    output::table::{Align, Table},
    problem::Failure,
    runtime,
};
use clap::Args;

/// The states of a task's files that were recorded while it worked
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator checkpoints build
  orchestrator checkpoints r_01.build --json
  orchestrator restore build --checkpoint 3 --to before")]
pub(crate) struct Checkpoints {
    /// `RUN.TASK`, or the name of a task in the latest run
    #[arg(value_name = "TASK")]
    task: String,

    /// The run in which the name is meant: an id, the start of one, or `latest`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

impl Checkpoints {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let run = self.run.as_deref();
        let view = runtime::ask(async { Ok(service.checkpoints(&self.task, run).await?) })?;
        if console.json {
            console.document(&view)?;
            return Ok(Exit::Done);
        }
        let mut table = Table::new(&[
            ("ATTEMPT", Align::Right),
            ("TURN", Align::Right),
            ("COMMIT", Align::Left),
            ("FILES", Align::Right),
            ("AT (UTC)", Align::Left),
            ("LEFT OUT", Align::Left),
        ]);
        for state in &view.items {
            table.row(vec![
                state.attempt.to_string().into(),
                state.turn.map(|turn| turn.to_string()).unwrap_or_default().into(),
                state.commit.get(..12).unwrap_or(&state.commit).into(),
                state.files.to_string().into(),
                listing::minute(&state.at).into(),
                state.left_out.join(", ").into(),
            ]);
        }
        if !view.items.is_empty() {
            console.table(&table)?;
        }
        listing::tail(console, "checkpoints", view.items.is_empty(), None);
        Ok(Exit::Done)
    }
}
