//! A thousand ways in which something may turn out.

use super::{Range, RunEstimate, Sureness};
use crate::money::MicroUsd;

/// In how many ways things turn out. An odd thousandth of a quantile does not matter where the middle
/// is known to within a few percent at best.
pub const DRAWS: usize = 1_000;

/// How much of the variance of a quantity is shared by all tasks of a run: a large project makes all of
/// them large. An assumption; that they share nothing would make the interval of a sum too narrow.
pub(super) const SHARED: f64 = 0.5;

/// The largest number that a way may have: sums of many stay exact to a few digits, and finite.
pub(super) const LARGEST: f64 = 1e18;

/// A thousand ways in which a task or a run may turn out, each as likely as the others. The first are
/// those in which everything is small.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    pub(super) input: Vec<f64>,
    pub(super) output: Vec<f64>,
    /// In millionths of a US dollar; `None` when a price is not known.
    pub(super) usd: Option<Vec<f64>>,
    pub(super) attempts: Vec<f64>,
}

impl Default for Draws {
    fn default() -> Self {
        Self::nothing(0)
    }
}

impl Draws {
    /// What uses nothing, in `attempts` attempts.
    pub fn nothing(attempts: u32) -> Self {
        let zero = vec![0.0; DRAWS];
        Self {
            input: zero.clone(),
            output: zero.clone(),
            usd: Some(zero),
            attempts: vec![f64::from(attempts); DRAWS],
        }
    }

    /// Adds what is done as well.
    pub fn add(&mut self, other: &Self) {
        let add = |to: &mut Vec<f64>, from: &[f64]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = (*to + from).min(LARGEST));
        };
        add(&mut self.input, &other.input);
        add(&mut self.output, &other.output);
        add(&mut self.attempts, &other.attempts);
        match (&mut self.usd, &other.usd) {
            (Some(to), Some(from)) => add(to, from),
            (usd, _) => *usd = None,
        }
    }

    /// The same, as often as `times` says of each way.
    pub(super) fn times(&self, times: &[f64]) -> Self {
        let each = |values: &[f64]| -> Vec<f64> {
            values.iter().zip(times).map(|(value, times)| (value * times).min(LARGEST)).collect()
        };
        Self {
            input: each(&self.input),
            output: each(&self.output),
            usd: self.usd.as_deref().map(each),
            attempts: each(&self.attempts),
        }
    }

    /// What is to be told of them.
    pub fn estimate(&self, sureness: Sureness) -> RunEstimate {
        let both: Vec<f64> = self.input.iter().zip(&self.output).map(|(i, o)| i + o).collect();
        let whole = |range: Range<f64>| range.map(|value| value.round() as u64);
        RunEstimate {
            tokens: whole(range(&both)),
            input: whole(range(&self.input)),
            output: whole(range(&self.output)),
            usd: self.usd.as_deref().map(|usd| range(usd).map(|usd| MicroUsd(usd.round() as u64))),
            attempts: whole(range(&self.attempts)),
            sureness,
        }
    }
}

/// The tenth, the fiftieth and the ninetieth of a hundred.
fn range(values: &[f64]) -> Range<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or(0.0)
    };
    Range { low: at(10), likely: at(50), high: at(90) }
}

/// Where each of the ways stands between 0 and 1, in their order.
pub(super) fn even() -> impl Iterator<Item = f64> {
    (0..DRAWS).map(|place| (place as f64 + 0.5) / DRAWS as f64)
}

/// The same in an order of its own for each seed.
pub(super) fn shuffled(seed: u64) -> Vec<f64> {
    let mut values: Vec<f64> = even().collect();
    let mut state = seed;
    for place in (1..values.len()).rev() {
        // SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators",
        // OOPSLA 2014), and Fisher and Yates' shuffle; the bias of the remainder is below 1e-16.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let other = (mixed % (place as u64 + 1)) as usize;
        values.swap(place, other);
    }
    values
}

/// A seed from words: FNV-1a, 64 bits.
pub(super) fn seed(words: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in words.iter().flat_map(|word| word.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// A standard normal value with the share `place` of all below it, to within 5e-4: rational
/// approximation 26.2.23 of M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions".
pub(super) fn normal(place: f64) -> f64 {
    let tail = place.min(1.0 - place).max(1e-12);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let value = t - above / below;
    if place < 0.5 { -value } else { value }
}

/// The ways of a log-normal quantity with this middle and variance of its logarithm, partly shared with
/// all others.
pub(super) fn log_normal(seed: u64, centre: f64, variance: &[f64]) -> Vec<f64> {
    let own = shuffled(seed);
    let both = even().zip(own).zip(variance);
    both.map(|((shared, own), variance)| {
        let z = SHARED.sqrt() * normal(shared) + (1.0 - SHARED).sqrt() * normal(own);
        (centre + variance.sqrt() * z).exp().min(LARGEST)
    })
    .collect()
}
