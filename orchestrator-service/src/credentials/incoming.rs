//! Keeping secrets out of what people say, before it is recorded.

use super::KnownSecrets;
use crate::{OrchestratorService, ServiceError};
use orchestrator_core::{
    event::{Reply, Verdict},
    port::Signal,
    run::StartRun,
    secret::Redactor,
    workflow::Workflow,
};
use std::sync::Arc;

impl OrchestratorService {
    /// Hides known secrets in the inputs and workflows of a run that is about to begin: both are
    /// recorded, and agents are told them.
    ///
    /// # Errors
    /// A secret where it cannot be hidden, such as in the name of a task.
    pub(crate) fn keep_secret(&self, start: &mut StartRun) -> Result<(), ServiceError> {
        let redactor = self.known().redactor();
        if redactor.is_empty() {
            return Ok(());
        }
        let mut found = redactor.value(&mut start.inputs);
        for workflow in [&mut start.workflow].into_iter().chain(start.library.values_mut()) {
            if let Some(hidden) = hide(workflow, &redactor)? {
                *workflow = Arc::new(hidden);
                found = true;
            }
        }
        if found {
            tracing::warn!("a known secret was hidden in the inputs or the workflow of the run");
        }
        Ok(())
    }
}

fn hide(workflow: &Workflow, redactor: &Redactor) -> Result<Option<Workflow>, ServiceError> {
    let failed = |error: serde_json::Error| ServiceError::Internal(error.to_string());
    let mut value = serde_json::to_value(workflow).map_err(failed)?;
    if !redactor.value(&mut value) {
        return Ok(None);
    }
    serde_json::from_value(value).map(Some).map_err(|_| ServiceError::Argument {
        what: "a name in the workflow",
        given: "a known secret".into(),
        expected: "choose another name: this one would be shown everywhere".into(),
    })
}

impl KnownSecrets {
    /// A wish without known secrets in its words.
    pub(crate) fn signal(&self, signal: Signal) -> Signal {
        let hide = |text: String| self.hide(&text).into_owned();
        match signal {
            Signal::Cancel { reason } => Signal::Cancel { reason: hide(reason) },
            Signal::Kill { task, reason } => Signal::Kill { task, reason: hide(reason) },
            Signal::Reply { task, reply } => {
                let verdict = match reply.verdict.clone() {
                    Verdict::Approved => Verdict::Approved,
                    Verdict::Rejected(reason) => Verdict::Rejected(hide(reason)),
                    Verdict::Answered(text) => Verdict::Answered(hide(text)),
                    other => other,
                };
                Signal::Reply { task, reply: Reply { verdict, ..reply } }
            }
            Signal::Say { task, text } => Signal::Say { task, text: hide(text) },
            Signal::Interrupt { task, text } => Signal::Interrupt { task, text: text.map(hide) },
            // The others carry no words.
            other => other,
        }
    }
}
