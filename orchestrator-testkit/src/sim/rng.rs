//! Numbers from a seed, the same on every machine and with every version.

use std::time::Duration;

/// A stream of numbers: SplitMix64 (G. Steele, D. Lea and C. Flood, "Fast Splittable Pseudorandom
/// Number Generators", OOPSLA 2014), so that a printed seed means the same for ever.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The stream of `seed` for one purpose; streams of different purposes are unrelated.
    pub fn new(seed: u64, purpose: &str) -> Self {
        // FNV-1a over the purpose keeps the streams apart.
        let purpose = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut rng = Self { state: seed ^ purpose };
        rng.state = rng.draw() ^ seed.rotate_left(32);
        rng
    }

    /// The next number, of all 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `part` of 1,000 cases.
    pub fn chance(&mut self, part: u64) -> bool {
        self.below(1_000) < part
    }

    /// A duration from `low` to `high` milliseconds, both included.
    pub fn pause(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        let index = self.below(choices.len() as u64);
        &choices[usize::try_from(index).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_name_one_stream() {
        let first = |seed, purpose| Rng::new(seed, purpose).draw();
        assert_eq!(first(1, "people"), first(1, "people"));
        assert_ne!(first(1, "people"), first(1, "faults"));
        assert_ne!(first(1, "people"), first(2, "people"));
        let mut rng = Rng::new(7, "x");
        assert!((0..1_000).all(|_| (3..=5).contains(&rng.between(3, 5))));
    }
}
