//! How long an answer a budget buys.

use super::{CacheWrites, PriceEntry};
use orchestrator_core::{money::MicroUsd, usage::TokenCount};

impl PriceEntry {
    /// The most output tokens that a request can have that costs at most `usd` by
    /// [`PriceEntry::worst`], with at most so many tokens in. `None` when its rates are not known or
    /// the prompt alone may cost more; as many as there are numbers when output is free.
    pub fn affordable_output(&self, input: TokenCount, usd: MicroUsd) -> Option<u64> {
        let cost = |output: u64| self.worst(input, TokenCount(output), CacheWrites::Usual);
        if cost(0)? > usd {
            return None;
        }
        // The cost grows with the output: the last that fits is found by halving.
        let (mut fits, mut beyond) = (0, MOST_OUTPUT);
        if cost(beyond)? <= usd {
            return Some(u64::MAX);
        }
        while beyond - fits > 1 {
            let middle = fits + (beyond - fits) / 2;
            if cost(middle)? <= usd { fits = middle } else { beyond = middle }
        }
        Some(fits)
    }
}

/// More output than any answer has.
const MOST_OUTPUT: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::super::PriceTable;
    use super::*;
    use orchestrator_core::{id::ProviderName, time::Timestamp, usage::Usage};
    use proptest::prelude::*;

    fn entry(model: &str) -> PriceEntry {
        let table = PriceTable::built_in();
        table.find(&ProviderName::new("p").unwrap(), model).unwrap().clone()
    }

    #[test]
    fn as_much_output_is_bought_as_fits() {
        let check = |model: &str, input: u64, usd: u64, expected: Option<u64>| {
            let bought = entry(model).affordable_output(TokenCount(input), MicroUsd(usd));
            assert_eq!(bought, expected, "{model} {input} {usd}");
        };
        // Writing to the cache is 3.75, output 15 a million.
        check("claude-sonnet-4-5", 1_000, 3_750, Some(0));
        check("claude-sonnet-4-5", 1_000, 3_749, None);
        check("claude-sonnet-4-5", 1_000, 18_750, Some(1_000));
        check("claude-sonnet-4-5", 200_001, 1_000_000, None);
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
            let [input, cache_read, cache_write, output] = parts.map(TokenCount);
            let usage = Usage { input, cache_read, cache_write, output, ..Usage::default() };
            let most = TokenCount(parts[0] + parts[1] + parts[2] + more[0]);
            let answer = TokenCount(parts[3] + more[1]);
            if let Some(worst) = entry.worst(most, answer, CacheWrites::Usual) {
                let cost = entry.cost(&usage, at).expect("a prompt that is not longer is known");
                prop_assert!(cost <= worst, "{} {cost} {worst}", entry.model);
            }
            if let Some(output) = entry.affordable_output(most, MicroUsd(usd))
                && output < u64::MAX
            {
                let cost = |output| entry.worst(most, TokenCount(output), CacheWrites::Usual);
                prop_assert!(cost(output).expect("known") <= MicroUsd(usd), "{}", entry.model);
                prop_assert!(cost(output + 1).expect("known") > MicroUsd(usd), "{}", entry.model);
            }
        }
    }
}
