//! `orchestrator reject`

use super::control::Saying;
use crate::{context::Context, exit::Exit, problem::Failure};
use clap::Args;
use orchestrator_service::Answer;

/// Say no to what a task asks
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator reject sign-off \"the tests are slow\"
  orchestrator reject r_01.sign-off --resume
  orchestrator reject build --question 2 \"not in this directory\"")]
pub(crate) struct Reject {
    /// `RUN.TASK`, or the name of a task in the newest run that waits for a person
    #[arg(value_name = "TASK")]
    task: String,

    /// Why; kept in the run's log, and told to whoever must do the work again
    #[arg(value_name = "REASON", conflicts_with = "reason")]
    because: Option<String>,

    /// The same as REASON
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    #[command(flatten)]
    saying: Saying,
}

impl Reject {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let reason = self.because.or(self.reason).unwrap_or_default();
        self.saying.say(context, &self.task, Answer::Reject(reason), false)
    }
}
