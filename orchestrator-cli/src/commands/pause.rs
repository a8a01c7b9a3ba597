//! `orchestrator pause`

use super::control;
use crate::{context::Context, exit::Exit, problem::Failure, runtime};
use clap::Args;
use orchestrator_service::Pause as How;

/// Let a run start nothing more until it is resumed, whichever process drives it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator pause latest
  orchestrator pause r_01 --now --json")]
pub(crate) struct Pause {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// Stop what runs at its next turn, in place of letting it finish
    #[arg(long)]
    now: bool,
}

impl Pause {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let how = if self.now { How::Now } else { How::Gently };
        let done = runtime::ask(async { Ok(service.pause(&self.run, how).await?) })?;
        control::tell(console, &done)?;
        for item in &done.items {
            console.say(&format!("go on with: orchestrator resume {}", item.run));
        }
        Ok(Exit::Done)
    }
}
