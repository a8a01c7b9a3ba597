//! Driving a run that was made from another one.

use crate::{
    context::Context,
    detach::{self, Detach},
    exit::Exit,
    interrupt::Interrupts,
    problem::Failure,
    progress, runtime,
};
use orchestrator_service::{Execution, OrchestratorService, ServiceError};

/// Drives the run that `begin` starts, here or in the background.
pub(super) fn drive<'a, F>(
    context: &'a Context,
    detach: &Detach,
    begin: impl FnOnce(&'a OrchestratorService) -> F,
    service: &'a OrchestratorService,
) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Execution, ServiceError>> + 'a,
{
    let console = &context.console;
    if detach.detach {
        return detach::start(console, service);
    }
    detach.begin();
    runtime::drive(async {
        let interrupts = Interrupts::listen()?;
        let execution = begin(service).await?;
        console.say(&format!("run {}", execution.run()));
        detach.announce(execution.run().as_str())?;
        let patience = detach.patience(console);
        progress::drive(console, service, interrupts, execution, None, patience).await
    })
}
