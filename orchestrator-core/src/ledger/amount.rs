//! What is counted: money, tokens and requests.

use crate::money::MicroUsd;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most of any unit that one call may hold or spend: 2^53, nine billion dollars. It keeps sums
/// of a thousand such calls within 63 bits, which is what stores have.
pub const MOST: u64 = 1 << 53;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Unit {
    /// Millionths of a US dollar.
    Usd,
    /// Tokens, in and out, cached ones included.
    Tokens,
    /// Calls of a model.
    Requests,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 3] = [Self::Usd, Self::Tokens, Self::Requests];

    /// `amount` of this unit as people read it: `$0.25`, `1200 tokens`, `1 request`.
    pub fn show(self, amount: u64) -> String {
        let plural = |word: &str| match amount {
            1 => format!("1 {word}"),
            _ => format!("{amount} {word}s"),
        };
        match self {
            Self::Usd => format!("${}", MicroUsd(amount)),
            Self::Tokens => plural("token"),
            Self::Requests => plural("request"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Usd => "USD",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        })
    }
}

/// An amount of each unit: what a call may spend at most, or has spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Amounts {
    /// Money; `None` when no price is known, which no limit in USD lets pass.
    pub usd: Option<MicroUsd>,
    /// Tokens.
    pub tokens: u64,
    /// Calls.
    pub requests: u64,
}

impl Amounts {
    /// Nothing at all.
    pub const NONE: Self = Self { usd: Some(MicroUsd::ZERO), tokens: 0, requests: 0 };

    /// One call of `tokens` that costs `usd`.
    pub fn call(usd: Option<MicroUsd>, tokens: u64) -> Self {
        Self { usd, tokens, requests: 1 }
    }

    /// The amount of `unit`; `None` when it is not known.
    pub fn of(&self, unit: Unit) -> Option<u64> {
        match unit {
            Unit::Usd => self.usd.map(|usd| usd.0),
            Unit::Tokens => Some(self.tokens),
            Unit::Requests => Some(self.requests),
        }
    }

    /// The same as sums, each at most [`MOST`]; money that is not known is none.
    pub fn sums(&self) -> Sums {
        Sums {
            usd: self.usd.map_or(0, |usd| usd.0).min(MOST),
            tokens: self.tokens.min(MOST),
            requests: self.requests.min(MOST),
        }
    }
}

/// A sum of each unit over many calls. Adding and taking away saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sums {
    /// Millionths of a US dollar.
    pub usd: u64,
    /// Tokens.
    pub tokens: u64,
    /// Calls.
    pub requests: u64,
}

impl Sums {
    /// The sum of `unit`.
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Usd => self.usd,
            Unit::Tokens => self.tokens,
            Unit::Requests => self.requests,
        }
    }

    /// This and `more`.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            usd: self.usd.saturating_add(more.usd),
            tokens: self.tokens.saturating_add(more.tokens),
            requests: self.requests.saturating_add(more.requests),
        }
    }

    /// This without `less`.
    #[must_use]
    pub fn minus(self, less: Self) -> Self {
        Self {
            usd: self.usd.saturating_sub(less.usd),
            tokens: self.tokens.saturating_sub(less.tokens),
            requests: self.requests.saturating_sub(less.requests),
        }
    }

    /// Whether there is nothing.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}
