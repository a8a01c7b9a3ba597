//! What model calls used: tokens by kind, and where the money went.

use crate::{id::ProviderName, money::MicroUsd};
use serde::{Deserialize, Serialize};
use std::{fmt, iter::Sum, ops::Add, ops::AddAssign};

/// A number of tokens. Adding saturates.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TokenCount(pub u64);

impl Add for TokenCount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for TokenCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tokens of one or more calls. The four input and output kinds never overlap: `input` excludes
/// what was read from or written to a cache. `reasoning` is a part of `output`, told apart for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Usage {
    /// Fresh input tokens.
    pub input: TokenCount,
    /// Input tokens read from a prompt cache.
    pub cache_read: TokenCount,
    /// Input tokens written to a prompt cache.
    pub cache_write: TokenCount,
    /// Generated tokens, reasoning included.
    pub output: TokenCount,
    /// The part of `output` that was reasoning.
    pub reasoning: TokenCount,
}

impl Usage {
    /// All tokens, in and out.
    pub fn total(&self) -> TokenCount {
        self.input + self.cache_read + self.cache_write + self.output
    }

    /// Whether nothing was used.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            output: self.output + other.output,
            reasoning: self.reasoning + other.reasoning,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(usages: I) -> Self {
        usages.fold(Self::default(), Add::add)
    }
}

/// What one provider and model used and cost within an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spend {
    /// The provider that was called.
    pub provider: ProviderName,
    /// The model, by the name that was asked for.
    pub model: String,
    /// How many requests were made.
    pub requests: u32,
    /// What they used.
    pub usage: Usage,
    /// What they cost; `None` when no price is known for the model, which is not the same as free.
    pub cost: Option<MicroUsd>,
}

/// A sum of costs that remembers whether any part of it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cost {
    /// The known part.
    pub known: MicroUsd,
    /// Requests whose price is unknown.
    pub unpriced_requests: u64,
}

impl Cost {
    /// Adds one line of spending.
    pub fn add(&mut self, spend: &Spend) {
        match spend.cost {
            Some(cost) => self.known += cost,
            None => self.unpriced_requests += u64::from(spend.requests),
        }
    }

    /// The cost when all of it is known.
    pub fn exact(&self) -> Option<MicroUsd> {
        (self.unpriced_requests == 0).then_some(self.known)
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.known += other.known;
        self.unpriced_requests = self.unpriced_requests.saturating_add(other.unpriced_requests);
    }
}

impl<'a> FromIterator<&'a Spend> for Cost {
    fn from_iter<I: IntoIterator<Item = &'a Spend>>(lines: I) -> Self {
        let mut cost = Self::default();
        lines.into_iter().for_each(|line| cost.add(line));
        cost
    }
}

impl fmt::Display for Cost {
    /// `$0.003105`, with `+ ?` when part of it is unknown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.known, self.unpriced_requests) {
            (MicroUsd::ZERO, 1..) => f.pad("unknown"),
            (known, 0) => f.pad(&format!("${known}")),
            (known, _) => f.pad(&format!("${known} + ?")),
        }
    }
}
