//! `orchestrator answer`

use super::control::Saying;
use crate::{context::Context, exit::Exit, problem::Failure};
use clap::Args;
use orchestrator_service::Answer as Said;

/// Answer a question that a task asks
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator answer build \"use the second way\"
  orchestrator answer r_01.build \"yes, port 8080\" --resume")]
pub(crate) struct Answer {
    /// `RUN.TASK`, or the name of a task in the newest run that waits for a person
    #[arg(value_name = "TASK")]
    task: String,

    /// The answer
    #[arg(value_name = "TEXT")]
    text: String,

    #[command(flatten)]
    saying: Saying,
}

impl Answer {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        self.saying.say(context, &self.task, Said::Answer(self.text), false)
    }
}
