//! `orchestrator resume`

use crate::{
    context::Context, exit::Exit, interrupt::Interrupts, problem::Failure, progress, runtime,
};
use clap::Args;

/// Take up a run that was interrupted or cut off; what has ended is not done again
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator resume
  orchestrator resume r_01 --json")]
pub(crate) struct Resume {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    run: String,
}

impl Resume {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.driving_service()?;
        runtime::drive(async {
            let before = service.run(&self.run).await?;
            let interrupts = Interrupts::listen()?;
            let execution = service.resume(&before.run.id).await?;
            progress::drive(console, &service, interrupts, execution, Some(&before)).await
        })
    }
}
