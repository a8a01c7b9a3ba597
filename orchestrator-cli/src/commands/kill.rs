//! `orchestrator kill`

use super::control;
use crate::{context::Context, exit::Exit, problem::Failure, runtime};
use clap::Args;

/// Stop one task, or all on which an agent is at work; the rest of the run goes on
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator kill r_01.build
  orchestrator kill build:3 --reason \"it hangs\"
  orchestrator kill dev-codex --json")]
pub(crate) struct Kill {
    /// A task (`RUN.TASK`, or a name in the newest open run that has one) or an agent
    #[arg(value_name = "AGENT|TASK")]
    what: String,

    /// Why; kept in the run's log
    #[arg(long, value_name = "TEXT", default_value = "stopped at the command line")]
    reason: String,
}

impl Kill {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = context.service()?;
        let done = runtime::ask(async { Ok(service.kill(&self.what, &self.reason).await?) })?;
        control::tell(&context.console, &done)?;
        Ok(Exit::Done)
    }
}
