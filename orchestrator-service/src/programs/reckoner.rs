//! What programs have spent whose process died with them, by the ledger.

use crate::{roster::is_coding, service::Opened};
use async_trait::async_trait;
use orchestrator_core::{
    id::RunId,
    port::{CallRecord, CallState, LedgerError, LostAttempt, Reckoner, StoreError},
    task::COMMAND_AGENT,
    usage::Spend,
};

/// How many calls are read at once.
const PAGE: usize = 1_000;

/// Knows from the ledger what an attempt of a program has spent: its calls are told to its run when
/// it ends, and an attempt that was lost has not.
#[derive(Debug, Clone)]
pub(crate) struct LedgerReckoner(pub(crate) Opened);

#[async_trait]
impl Reckoner for LedgerReckoner {
    async fn spent(&self, run: &RunId, attempt: &LostAttempt) -> Result<Vec<Spend>, StoreError> {
        // Other agents have recorded each call as a turn.
        let provider = attempt.provider.as_str();
        if provider != COMMAND_AGENT && !is_coding(provider) {
            return Ok(Vec::new());
        }
        let ledger = self.0.ledger();
        let (mut spend, mut after) = (Vec::new(), None);
        loop {
            let page = ledger.calls(Some(run), after.as_ref(), PAGE).await;
            let page = page.map_err(|error| match error {
                LedgerError::Store(error) => error,
                other => StoreError::Unavailable {
                    action: "list the calls of a run".into(),
                    reason: other.to_string(),
                },
            })?;
            let is_its = |call: &&CallRecord| {
                call.payer.task.as_ref() == Some(&attempt.task)
                    && call.payer.attempt == Some(attempt.attempt)
            };
            spend.extend(page.iter().filter(is_its).filter_map(line));
            if page.len() < PAGE {
                return Ok(spend);
            }
            after = page.last().map(|call| call.hold.clone());
        }
    }
}

/// The line of a call that has cost something or may have.
fn line(call: &CallRecord) -> Option<Spend> {
    let cost = match call.state {
        CallState::Settled | CallState::Assumed => call.spent.usd,
        // Its process is dead: it is about to be assumed.
        CallState::Held => call.worst.usd,
        _ => return None,
    };
    Some(Spend {
        provider: call.payer.account.clone(),
        model: call.payer.model.clone(),
        requests: 1,
        usage: call.usage,
        cost,
    })
}
