//! Money in whole millionths of a US dollar: exact, and never a float.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, iter::Sum, ops::Add, ops::AddAssign, str::FromStr};

/// An amount in millionths of a US dollar. Adding saturates: an absurd sum is a large one, not a panic.
///
/// In text and JSON it is a decimal string in dollars with up to six digits after the point:
/// `"0"`, `"5"`, `"0.0043575"` is not representable and is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The cost of `tokens` at `price` for each million of them, in millionths of a millionth
    /// of a dollar. Sum such parts of one call, then round once with [`MicroUsd::from_pico`].
    pub fn pico_for(tokens: u64, price_per_million: Self) -> u128 {
        u128::from(tokens) * u128::from(price_per_million.0)
    }

    /// Rounds picodollars up to the next micro-dollar, so that no call is ever under-counted.
    pub fn from_pico(pico: u128) -> Self {
        Self(u64::try_from(pico.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if part == 0 {
            return f.pad(&whole.to_string());
        }
        let digits = format!("{part:06}");
        f.pad(&format!("{whole}.{}", digits.trim_end_matches('0')))
    }
}

/// Text that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an amount in USD; write dollars with at most six decimals, such as `5` or `0.25`"
)]
pub struct InvalidMoney(pub String);

impl FromStr for MicroUsd {
    type Err = InvalidMoney;

    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let bad = || InvalidMoney(text.chars().take(40).collect());
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
            return Err(bad());
        }
        if text.ends_with('.') {
            return Err(bad());
        }
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let part: u64 = format!("{part:0<6}").parse().map_err(|_| bad())?;
        whole.checked_mul(1_000_000).and_then(|w| w.checked_add(part)).map(Self).ok_or_else(bad)
    }
}

impl Serialize for MicroUsd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MicroUsd {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Add for MicroUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for MicroUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for MicroUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_bad_text_is_refused() {
        for (text, micro) in [("0", 0), ("5", 5_000_000), ("0.25", 250_000), ("0.000001", 1)] {
            assert_eq!(text.parse::<MicroUsd>().unwrap(), MicroUsd(micro));
            assert_eq!(MicroUsd(micro).to_string(), text);
        }
        for bad in ["", ".5", "5.", "-1", "1e3", "0.0000001", "$5", "99999999999999999999"] {
            assert!(bad.parse::<MicroUsd>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_call_is_summed_exactly_and_rounded_up_once() {
        // 1,000 in at $3 and 7 out at $15 a million: 0.003105 dollars exactly.
        let pico = MicroUsd::pico_for(1_000, MicroUsd(3_000_000))
            + MicroUsd::pico_for(7, MicroUsd(15_000_000));
        assert_eq!(MicroUsd::from_pico(pico).to_string(), "0.003105");
        // One token at $0.15 a million is 0.15 micro-dollars: never counted as nothing.
        assert_eq!(MicroUsd::from_pico(MicroUsd::pico_for(1, MicroUsd(150_000))), MicroUsd(1));
    }
}
