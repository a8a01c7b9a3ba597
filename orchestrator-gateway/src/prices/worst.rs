//! The most that a request can cost.

use super::{PriceEntry, Rates};
use orchestrator_core::{
    money::MicroUsd,
    time::Timestamp,
    usage::{TokenCount, Usage},
};

impl Rates {
    /// The dearest that an input token can be: fresh, read from a cache or written to one.
    fn dearest_input(&self) -> MicroUsd {
        let cached = self.cache_read.into_iter().chain(self.cache_write);
        cached.fold(self.input, MicroUsd::max)
    }
}

impl PriceEntry {
    /// The most that a request made at `at` can cost, with at most so many tokens in and out: at the
    /// dearest rates that can hold for it, whatever a cache takes or gives. `None` when it may be so
    /// long that its rates are not known.
    pub fn worst(&self, input: u64, output: u64, at: Timestamp) -> Option<MicroUsd> {
        let cost = |rates: &Rates| {
            MicroUsd::from_pico(
                MicroUsd::pico_for(input, rates.dearest_input())
                    + MicroUsd::pico_for(output, rates.output),
            )
        };
        // A prompt that may be long may also turn out to be short.
        let long = Usage { input: TokenCount(input), ..Usage::default() };
        let long = self.rates_for(&long, at)?;
        let short = self.rates_for(&Usage::default(), at)?;
        Some(cost(long).max(cost(short)))
    }

    /// The most output tokens that a request can have that costs at most `usd`, with at most so many
    /// tokens in. `None` when its rates are not known; as many as there are numbers when output is
    /// free.
    pub fn affordable_output(&self, input: u64, usd: MicroUsd, at: Timestamp) -> Option<u64> {
        let base = self.worst(input, 0, at)?;
        let left = usd.0.checked_sub(base.0)?;
        let long = Usage { input: TokenCount(input), ..Usage::default() };
        let rates = [self.rates_for(&long, at)?, self.rates_for(&Usage::default(), at)?];
        let dearest = rates.iter().map(|rates| rates.output.0).max()?;
        let tokens = u128::from(left) * 1_000_000;
        Some(
            tokens
                .checked_div(u128::from(dearest))
                .map_or(u64::MAX, |tokens| u64::try_from(tokens).unwrap_or(u64::MAX)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::PriceTable;
    use super::*;
    use orchestrator_core::id::ProviderName;
    use proptest::prelude::*;

    fn worst(model: &str, input: u64, output: u64) -> Option<String> {
        let table = PriceTable::built_in();
        let entry = table.find(&ProviderName::new("p").unwrap(), model).unwrap();
        entry.worst(input, output, Timestamp(0)).map(|usd| usd.to_string())
    }

    #[test]
    fn the_dearest_rates_hold() {
        // Writing to the cache is 3.75, fresh input 3, output 15 a million.
        assert_eq!(worst("claude-sonnet-4-5", 1_000, 1_000).as_deref(), Some("0.01875"));
        assert_eq!(worst("claude-sonnet-4-5", 200_001, 0), None);
        // Above 272,000 tokens it is twice as dear.
        assert_eq!(worst("gpt-5.6-terra", 300_000, 0).as_deref(), Some("1.5"));
        assert_eq!(worst("gpt-4o-mini", 1, 0).as_deref(), Some("0.000001"));
    }

    proptest! {
        /// No usage within the bounds costs more than the worst case, and what is affordable is
        /// within the money.
        #[test]
        fn nothing_costs_more(
            parts in [0u64..300_000, 0u64..100_000, 0u64..100_000, 0u64..50_000],
            more in [0u64..100_000, 0u64..10_000],
            usd in 0u64..5_000_000,
            hour in 0u64..200,
            pick in 0usize..1_000,
        ) {
            let table = PriceTable::built_in();
            let entries: Vec<_> = table.entries().collect();
            let entry = entries[pick % entries.len()];
            let at = Timestamp(1_792_972_800_000 + hour * 3_600_000);
            let [input, read, write, output] = parts.map(TokenCount);
            let usage = Usage { input, cache_read: read, cache_write: write, output, ..Usage::default() };
            let most = parts[0] + parts[1] + parts[2] + more[0];
            if let Some(worst) = entry.worst(most, parts[3] + more[1], at) {
                let cost = entry.cost(&usage, at).expect("a prompt that is not longer is known");
                prop_assert!(cost <= worst, "{} {cost} {worst}", entry.model);
            }
            if let Some(output) = entry.affordable_output(most, MicroUsd(usd), at) {
                let output = output.min(1_000_000_000);
                let worst = entry.worst(most, output, at).expect("known");
                prop_assert!(worst <= MicroUsd(usd), "{} {worst}", entry.model);
            }
        }
    }
}
