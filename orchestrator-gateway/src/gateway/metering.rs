//! What a call cost, and what is told about it.

use super::{Account, Ended, Gateway};
use crate::{
    prices::PriceEntry,
    provider::{Delta, Message, Stop, ToolCall},
};
use orchestrator_core::{
    id::ProviderName,
    money::MicroUsd,
    time::Timestamp,
    usage::{Spend, Usage},
};
use std::time::Instant;
use tracing::Span;

/// A whole answer, with what it used and cost.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Completion {
    /// The text, without reasoning. For a refusal the model's reason, if it gave one.
    pub text: String,
    /// The tools that the model calls, in order; each wants a result before it goes on.
    pub tool_calls: Vec<ToolCall>,
    /// All that the model said, to be sent back as it is when the conversation goes on.
    pub message: Message,
    /// Why it ended.
    pub stop: Stop,
    /// The tokens; `None` when the server did not count them.
    pub usage: Option<Usage>,
    /// The model that answered, by the server's word.
    pub served_model: Option<String>,
    /// The line for the books. Its cost is `None` when no price is known or no token was counted.
    pub spend: Spend,
}

impl Gateway {
    /// What `usage` costs. A model on this machine is free unless the user has put a price on it.
    pub(super) fn price(
        &self,
        account: &Account,
        provider: &ProviderName,
        model: &str,
        usage: &Usage,
        at: Timestamp,
    ) -> Option<MicroUsd> {
        if let Some(free) = self.free(account, provider, model) {
            return Some(free);
        }
        self.entry(account, provider, model)?.cost(usage, at)
    }

    /// The price of a model: on this machine only one that the user has put on it.
    pub(super) fn entry(
        &self,
        account: &Account,
        provider: &ProviderName,
        model: &str,
    ) -> Option<&PriceEntry> {
        match account.is_local {
            true => self.prices.find_own(provider, model),
            false => self.prices.find(provider, model),
        }
    }

    /// The cost of any number of tokens, when it is zero.
    pub(super) fn free(
        &self,
        account: &Account,
        provider: &ProviderName,
        model: &str,
    ) -> Option<MicroUsd> {
        let is_free = account.is_local && self.prices.find_own(provider, model).is_none();
        is_free.then_some(MicroUsd::ZERO)
    }
}

/// Watches for the first piece of an answer.
pub(super) struct First<'a> {
    span: &'a Span,
    since: Option<Instant>,
}

impl<'a> First<'a> {
    pub(super) fn new(span: &'a Span) -> Self {
        Self { span, since: None }
    }

    pub(super) fn see(&mut self, delta: &Delta) {
        match delta {
            Delta::Sent => self.since = Some(Instant::now()),
            Delta::Text(_) | Delta::Reasoning(_) => {
                if let Some(since) = self.since.take() {
                    let waited = since.elapsed().as_secs_f64();
                    self.span.record("gen_ai.response.time_to_first_chunk", waited);
                }
            }
            _ => {}
        }
    }
}

fn used(span: &Span, usage: &Usage) {
    let input = usage.input + usage.cache_read + usage.cache_write;
    span.record("gen_ai.usage.input_tokens", input.0);
    span.record("gen_ai.usage.output_tokens", usage.output.0);
    span.record("gen_ai.usage.cache_read.input_tokens", usage.cache_read.0);
    span.record("gen_ai.usage.cache_creation.input_tokens", usage.cache_write.0);
}

/// Completes the span of a call.
pub(super) fn record(span: &Span, result: &Result<Completion, Ended>) {
    match result {
        Ok(completion) => {
            if let Some(model) = &completion.served_model {
                span.record("gen_ai.response.model", model.as_str());
            }
            span.record("gen_ai.response.finish_reasons", completion.stop.as_str());
            if let Some(usage) = completion.usage {
                used(span, &usage);
            }
        }
        Err(Ended { failure, .. }) => {
            span.record("error.type", failure.class.as_str());
            if let [line] = &failure.spend[..] {
                used(span, &line.usage);
            }
        }
    }
}
