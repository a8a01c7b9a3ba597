//! How many tokens a request has, before it is made.

use super::{Gateway, taping::Tape};
use crate::{Counted, Request, limits::Ask};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    ledger::Payer,
    time::Timestamp,
    usage::TokenCount,
};

impl Gateway {
    /// Counts the input tokens of `request` as `provider` would, exactly where it offers a count:
    /// kinds `anthropic`, `openai-responses` and `gemini`. Counting is free there, but waits for
    /// the provider and takes a place of its limits like a small call.
    ///
    /// # Errors
    /// A [`Failure`] of any class that a provider can cause. A server that knows no count is none:
    /// its answer is an estimate.
    pub async fn count_tokens(
        &self,
        provider: &ProviderName,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Counted, Failure> {
        let payer = Payer::new(provider.clone(), &request.model);
        let recorder = match &self.tape {
            Some(Tape::Player(player)) => return player.count(&payer, request, now).await,
            Some(Tape::Recorder(recorder)) => Some(recorder),
            None => None,
        };
        let mut left = self.accounts_of(provider);
        let Some(account) = self.choose(&mut left, &payer, request, now()) else {
            let message = format!(
                "cannot count for provider `{provider}`: it is not configured; add [providers.{provider}]"
            );
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        };
        let small = Ask { model: &request.model, input: 1, most_output: Some(0) };
        let leave = account.admit(&small, now, &mut |_| {}).await;
        let mut leave = leave.map_err(|ended| ended.failure)?;
        let counted = account.provider.count(request, now).await.map(|counted| {
            counted.map_or_else(
                || Counted::Estimate(TokenCount(request.estimated_tokens().into())),
                Counted::Exact,
            )
        });
        leave.used_nothing();
        match recorder {
            Some(recorder) => recorder.counted(&payer, request, counted, now()).await,
            None => counted,
        }
    }
}
