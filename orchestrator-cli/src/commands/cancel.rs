//! `orchestrator cancel`

use crate::{context::Context, exit::Exit, problem::Failure, runtime};
use clap::Args;

/// Stop a run for good, whichever process drives it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator cancel latest
  orchestrator cancel r_01 --reason \"wrong branch\"")]
pub(crate) struct Cancel {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// Why; kept in the run's log
    #[arg(long, value_name = "TEXT", default_value = "cancelled at the command line")]
    reason: String,
}

impl Cancel {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let done = runtime::ask(async { Ok(service.cancel(&self.run, &self.reason).await?) })?;
        if console.json {
            console.document(&done)?;
        } else {
            console.data(&format!("{} {}", done.run, console.paint().status(&done.status)))?;
        }
        Ok(Exit::Done)
    }
}
