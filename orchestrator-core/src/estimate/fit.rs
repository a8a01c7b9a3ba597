//! A belief about a log-normal quantity, and how values change it.

/// How many values the assumed noise counts as, against those that were seen.
const NOISE_WEIGHT: f64 = 3.0;

/// A belief about the logarithm of a quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Belief {
    /// Its middle.
    pub(super) centre: f64,
    /// How far the true middle may lie from there: a variance.
    pub(super) spread: f64,
    /// How far one value lies from the true middle: a variance.
    pub(super) noise: f64,
}

impl Belief {
    /// The belief after values were seen whose own middle lies `away` from this one's, as a variance: 0
    /// for values of the quantity itself, which then tell its noise as well.
    #[must_use]
    pub(super) fn learn(self, logs: &[f64], away: f64) -> Self {
        if logs.is_empty() {
            return self;
        }
        let n = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let noise = if away > 0.0 {
            self.noise
        } else {
            let squares: f64 = logs.iter().map(|log| (log - mean) * (log - mean)).sum();
            (NOISE_WEIGHT * self.noise + squares) / (NOISE_WEIGHT + n - 1.0)
        };
        let evidence = away + noise / n;
        let spread = 1.0 / (1.0 / self.spread + 1.0 / evidence);
        let centre = spread * (self.centre / self.spread + mean / evidence);
        Self { centre, spread, noise }
    }

    /// How far one value lies from the centre, not knowing the true middle: a variance.
    pub(super) fn variance(self) -> f64 {
        self.spread + self.noise
    }
}

/// The logarithm of a count; of zero that of one.
pub(super) fn ln(count: u64) -> f64 {
    (count.max(1) as f64).ln()
}
