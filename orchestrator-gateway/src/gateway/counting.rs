//! How many tokens a request has, before it is made.

use super::{Gateway, taping::Tape};
use crate::{
    Counted, ProviderKind, Request, limits::Ask, provider::openai_tokens, tokenizer::Tokenizer,
};
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
    /// the provider and takes a place of its limits like a small call. Elsewhere the model's tokenizer
    /// counts, where the user has given one: exactly for the OpenAI models of kind `openai-chat` whose
    /// encoding and frame are public, else as an estimate whose texts are exact.
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
        let ours = self.count_here(account.kind, request).await;
        if let Some((exact @ Counted::Exact(_), _)) = ours {
            return match recorder {
                Some(recorder) => recorder.counted(&payer, request, Ok(exact), now()).await,
                None => Ok(exact),
            };
        }
        let small = Ask { model: &request.model, input: 1, most_output: Some(0) };
        let leave = account.admit(&small, now, &mut |_| {}).await;
        let mut leave = leave.map_err(|ended| ended.failure)?;
        let counted = account.provider.count(request, now).await.map(|counted| {
            let estimate = || {
                let bytes = || Counted::Estimate(TokenCount(request.estimated_tokens().into()));
                ours.map_or_else(bytes, |(estimate, _)| estimate)
            };
            counted.map_or_else(estimate, Counted::Exact)
        });
        leave.used_nothing();
        match recorder {
            Some(recorder) => recorder.counted(&payer, request, counted, now()).await,
            None => counted,
        }
    }

    /// What the tokenizer of the request's model counts, with the most that a provider of `kind` can count;
    /// `None` without one, or where it cannot be used.
    pub(super) async fn count_here(
        &self,
        kind: ProviderKind,
        request: &Request,
    ) -> Option<(Counted, TokenCount)> {
        if !self.tokenizers.has(&request.model) {
            return None;
        }
        // A long prompt takes some hundredths of a second, and the file some tenths: other work goes on.
        let (tokenizers, request) = (self.tokenizers.clone(), request.clone());
        let counted = tokio::task::spawn_blocking(move || match tokenizers.get(&request.model) {
            Ok(tokenizer) => count_by(&*tokenizer?, kind, &request),
            Err(error) => {
                tracing::warn!(model = %request.model, code = error.code(), "{error}");
                None
            }
        });
        counted.await.ok().flatten()
    }
}

fn count_by(
    tokenizer: &Tokenizer,
    kind: ProviderKind,
    request: &Request,
) -> Option<(Counted, TokenCount)> {
    let count = |text: &str| tokenizer.count(text);
    let encoding =
        openai_tokens::encoding(&request.model).filter(|_| kind == ProviderKind::OpenAiChat);
    if encoding.is_some()
        && encoding == tokenizer.encoding()
        && let Some(exact) = openai_tokens::exact(request, &count)
    {
        return Some((Counted::Exact(exact), exact));
    }
    let estimate = Counted::Estimate(request.counted_tokens(&count)?);
    Some((estimate, request.most_tokens(&count)?))
}
