//! `orchestrator fork`

use super::{
    again,
    execute::{Confining, pair},
};
use crate::{context::Context, detach::Detach, exit::Exit, problem::Failure};
use clap::Args;
use orchestrator_service::ForkRequest;

/// Start a new run from a point in the history of another, perhaps with other inputs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator fork latest --at review
  orchestrator fork r_01 --at 42
  orchestrator fork r_01 --at build --input depth=3")]
pub(crate) struct Fork {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// A task: all that had happened before it began; or the number of the last event that counts,
    /// as `export` has them
    #[arg(long, value_name = "TASK|EVENT")]
    at: String,

    /// An input in place of the run's; may be given several times
    #[arg(long = "input", value_name = "K=V", value_parser = pair)]
    inputs: Vec<(String, String)>,

    #[command(flatten)]
    sandbox: Confining,

    #[command(flatten)]
    detach: Detach,
}

impl Fork {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = context.driving_service_with(self.sandbox.settings())?;
        let Self { run, at, inputs, detach, .. } = self;
        let request = ForkRequest { run, at, inputs };
        again::drive(context, &detach, |service| service.fork(&request), &service)
    }
}
