//! `orchestrator resume`

use super::{control, execute::Confining};
use crate::{
    context::Context,
    detach::{self, Detach},
    exit::Exit,
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_core::money::MicroUsd;

/// Take up a run that was interrupted, paused or cut off; what has ended is not done again
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator resume
  orchestrator resume r_01 --json
  orchestrator resume r_01 --budget 2.50
  orchestrator resume latest --detach")]
pub(crate) struct Resume {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    run: String,

    /// Let it cost this much in all from now on, and try again what its budget stopped
    #[arg(long, value_name = "USD")]
    budget: Option<MicroUsd>,

    #[command(flatten)]
    sandbox: Confining,

    #[command(flatten)]
    detach: Detach,
}

impl Resume {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.driving_service_with(self.sandbox.settings())?;
        if self.detach.detach {
            // One that a living process drives is told here and now.
            let run = runtime::ask(async { Ok(service.run(&self.run).await?) })?;
            if run.run.status != "paused" || run.driver.is_none() {
                return detach::start(console, &service);
            }
        }
        self.detach.begin();
        runtime::drive(control::go_on(console, &service, &self.run, self.budget, &self.detach))
    }
}
