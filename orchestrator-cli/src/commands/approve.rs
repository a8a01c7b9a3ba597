//! `orchestrator approve`

use super::control::Saying;
use crate::{context::Context, exit::Exit, problem::Failure};
use clap::Args;
use orchestrator_service::Answer;

/// Say yes to what a task asks
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator approve sign-off
  orchestrator approve r_01.sign-off --resume
  orchestrator approve build:3 --as ann --json
  orchestrator approve build --question 2 --always")]
pub(crate) struct Approve {
    /// `RUN.TASK`, or the name of a task in the newest run that waits for a person
    #[arg(value_name = "TASK")]
    task: String,

    /// Of a permission: for the rest of the run, whenever the same agent wants the same
    #[arg(long)]
    always: bool,

    #[command(flatten)]
    saying: Saying,
}

impl Approve {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        self.saying.say(context, &self.task, Answer::Approve, self.always)
    }
}
