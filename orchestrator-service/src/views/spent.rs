//! Tokens and money as every document shows them.

use orchestrator_core::{
    money::MicroUsd,
    usage::{Cost, Usage},
};
use serde::Serialize;

/// What was used and what it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Spent {
    /// Fresh input tokens.
    pub input_tokens: u64,
    /// Input tokens read from a cache.
    pub cache_read_tokens: u64,
    /// Input tokens written to a cache.
    pub cache_write_tokens: u64,
    /// Generated tokens.
    pub output_tokens: u64,
    /// The part of the generated tokens that was reasoning.
    pub reasoning_tokens: u64,
    /// What is known to have been spent, in US dollars.
    pub cost_usd: MicroUsd,
    /// Requests whose price is unknown: when not zero, `cost_usd` is only a part.
    pub unpriced_requests: u64,
}

impl Spent {
    /// The sum of `usage` and `cost`.
    pub fn new(usage: &Usage, cost: &Cost) -> Self {
        Self {
            input_tokens: usage.input.0,
            cache_read_tokens: usage.cache_read.0,
            cache_write_tokens: usage.cache_write.0,
            output_tokens: usage.output.0,
            reasoning_tokens: usage.reasoning.0,
            cost_usd: cost.known,
            unpriced_requests: cost.unpriced_requests,
        }
    }

    /// All tokens, in and out.
    pub fn tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_read_tokens)
            .saturating_add(self.cache_write_tokens)
            .saturating_add(self.output_tokens)
    }

    /// The cost for people: `$0.003105`, with `+ ?` when a part of it is unknown.
    pub fn cost(&self) -> Cost {
        Cost { known: self.cost_usd, unpriced_requests: self.unpriced_requests }
    }
}
