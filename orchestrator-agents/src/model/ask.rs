//! A conversation with a model, and what it has cost.

use super::{books, watch::Watch};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    port::AttemptHost,
    usage::{Cost, Spend},
};
use orchestrator_gateway::{Completion, Delta, Gateway, Message, Request};

/// One conversation. It keeps the books of all its calls, the failed ones included.
pub(super) struct Conversation<'a> {
    gateway: &'a Gateway,
    provider: &'a ProviderName,
    request: Request,
    host: &'a dyn AttemptHost,
    spend: Vec<Spend>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        gateway: &'a Gateway,
        provider: &'a ProviderName,
        request: Request,
        host: &'a dyn AttemptHost,
    ) -> Self {
        Self { gateway, provider, request, host, spend: Vec::new() }
    }

    pub(super) fn model(&self) -> &str {
        &self.request.model
    }

    /// Makes one call. It is dropped, and its connection closed, as soon as the host cancels.
    pub(super) async fn ask(&mut self) -> Result<Completion, Failure> {
        let host = self.host;
        let used = self.spend.iter().map(|line| line.usage).sum();
        let mut watch = Watch::new(host, (used, Cost::from_iter(&self.spend)));
        let result = {
            let now = || host.now();
            let mut sink = |delta: Delta| watch.take(delta);
            tokio::select! {
                biased;
                () = host.cancelled() => None,
                result = self.gateway.complete(self.provider, &self.request, &now, &mut sink) => {
                    Some(result)
                }
            }
        };
        watch.finish();
        match result {
            Some(Ok(completion)) => {
                books::add(&mut self.spend, completion.spend.clone());
                Ok(completion)
            }
            Some(Err(mut failure)) => {
                for line in failure.spend.drain(..) {
                    books::add(&mut self.spend, line);
                }
                Err(failure)
            }
            None => {
                if watch.sent > 0 {
                    let line = self.gateway.dropped(self.provider, self.model(), watch.usage);
                    books::add(&mut self.spend, line);
                }
                let message = format!("the call of model `{}` was cancelled", self.model());
                Err(Failure::new(ErrorClass::Cancelled, message))
            }
        }
    }

    /// Goes on: the model has said `answer`, and is told `text`.
    pub(super) fn reply(&mut self, answer: &str, text: String) {
        // No protocol takes an empty turn.
        let said = if answer.trim().is_empty() { "(no answer)" } else { answer };
        self.request.messages.push(Message::assistant(said));
        self.request.messages.push(Message::user(text));
    }

    /// What all calls have used and cost.
    pub(super) fn into_spend(self) -> Vec<Spend> {
        self.spend
    }
}
