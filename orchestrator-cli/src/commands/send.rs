//! `orchestrator send`

use super::control;
use crate::{context::Context, exit::Exit, problem::Failure, runtime};
use clap::Args;

/// Say something to the agent at work on a task, which takes it into account
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator send build \"the tests are in tests/unit\"
  orchestrator send r_01.build:3 \"leave the lock file alone\" --json")]
pub(crate) struct Send {
    /// `RUN.TASK`, or the name of a task that has begun in the newest open run that has one
    #[arg(value_name = "TASK")]
    task: String,

    /// What to say; kept in the run's log
    #[arg(value_name = "TEXT")]
    text: String,
}

impl Send {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = context.service()?;
        let done = runtime::ask(async { Ok(service.send(&self.task, &self.text).await?) })?;
        control::tell(&context.console, &done)?;
        Ok(Exit::Done)
    }
}
