//! `orchestrator retry`

use super::{again, execute::Confining};
use crate::{context::Context, detach::Detach, exit::Exit, problem::Failure};
use clap::Args;
use orchestrator_service::RetryRequest;

/// Do a run that has ended again, as a new run; what had succeeded is not done again
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator retry latest
  orchestrator retry r_01 --from build
  orchestrator retry r_01 --from build:3 --detach
  orchestrator retry latest --latest")]
pub(crate) struct Retry {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// Only what did not succeed; this is what happens without any option
    #[arg(long, conflicts_with = "from")]
    failed: bool,

    /// This task and all that follow from it as well; an item of a list is named `build:3`
    #[arg(long, value_name = "TASK")]
    from: Option<String>,

    /// With the definition as it is now: tasks that have changed are done again, with all that follow
    #[arg(long)]
    latest: bool,

    #[command(flatten)]
    sandbox: Confining,

    #[command(flatten)]
    detach: Detach,
}

impl Retry {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = context.driving_service_with(self.sandbox.settings())?;
        // `--failed` is the usual way by its name; with `--latest` it says nothing more.
        let Self { run, failed: _, from, latest, detach, sandbox: _ } = self;
        let request = RetryRequest { run, from, latest };
        again::drive(context, &detach, |service| service.retry(&request), &service)
    }
}
