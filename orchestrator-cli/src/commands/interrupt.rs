//! `orchestrator interrupt`

use super::control;
use crate::{context::Context, exit::Exit, problem::Failure, runtime};
use clap::Args;

/// Let the agent at work on a task leave off what it is doing, and go on differently
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator interrupt build \"not that file: src/new.rs\"
  orchestrator interrupt r_01.build --json")]
pub(crate) struct Interrupt {
    /// `RUN.TASK`, or the name of a task that has begun in the newest open run that has one
    #[arg(value_name = "TASK")]
    task: String,

    /// With what to go on; without it, as the agent thinks best. Kept in the run's log
    #[arg(value_name = "TEXT")]
    text: Option<String>,
}

impl Interrupt {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = context.service()?;
        let text = self.text.as_deref();
        let done = runtime::ask(async { Ok(service.interrupt(&self.task, text).await?) })?;
        control::tell(&context.console, &done)?;
        Ok(Exit::Done)
    }
}
