//! The price table: which entry holds for a model.

use super::{BatchPrice, PriceEntry};
use orchestrator_core::id::ProviderName;
use serde::Deserialize;
use std::sync::Arc;

/// The table that the crate was built with.
const BUILT_IN: &str = include_str!("prices.toml");

/// Prices that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Not TOML, or not of the table's form.
    #[error(
        "cannot read prices: {0}; each [[model]] needs model, input and output in USD per million tokens"
    )]
    Invalid(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<PriceEntry>,
    #[serde(default)]
    batch: Vec<Batch>,
}

/// What batches of many models cost.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Batch {
    /// How the names of these models begin.
    prefixes: Vec<String>,
    #[serde(flatten)]
    price: BatchPrice,
}

/// Prices by model, the user's before the built-in ones. Cheap to clone.
///
/// ```
/// use orchestrator_core::id::ProviderName;
/// use orchestrator_gateway::prices::PriceTable;
///
/// let own = r#"
///     [[model]]
///     model = "house-model"
///     input = 0.5
///     output = 1.5
/// "#;
/// let prices = PriceTable::built_in().with_overrides(own)?;
/// let provider = ProviderName::new("house")?;
/// assert!(prices.find(&provider, "house-model").is_some());
/// assert!(prices.find(&provider, "claude-sonnet-4-5-20250929").is_some());
/// assert!(prices.find(&provider, "never-heard-of").is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    own: Vec<Arc<PriceEntry>>,
    built_in: Vec<Arc<PriceEntry>>,
}

impl PriceTable {
    /// The built-in table: list prices, each with the page that it was taken from and the day for
    /// which that page states it. They were taken from stored copies, not from live pages.
    pub fn built_in() -> Self {
        let built_in = parse(BUILT_IN).unwrap_or_else(|error| {
            // A test reads every entry, so this is unreachable; an empty table is the safe answer,
            // since it makes costs unknown instead of wrong.
            tracing::error!(%error, "the built-in price table is damaged");
            Vec::new()
        });
        Self { own: Vec::new(), built_in }
    }

    /// A table without any price.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The same with the prices of `toml` before those of this table. An entry may name the one
    /// `provider` for which it holds.
    ///
    /// # Errors
    /// [`PriceError::Invalid`] for what is not a price table.
    pub fn with_overrides(self, toml: &str) -> Result<Self, PriceError> {
        Ok(self.with_entries(parse(toml)?))
    }

    /// The same with `entries` before those of this table.
    #[must_use]
    pub fn with_entries(
        mut self,
        entries: impl IntoIterator<Item = impl Into<Arc<PriceEntry>>>,
    ) -> Self {
        let mut own: Vec<_> = entries.into_iter().map(Into::into).collect();
        own.append(&mut self.own);
        self.own = own;
        self
    }

    /// All entries, the user's first.
    pub fn entries(&self) -> impl Iterator<Item = &PriceEntry> {
        self.own.iter().chain(&self.built_in).map(AsRef::as_ref)
    }

    /// The entry for `model` at `provider`, or the provider whose account that is: the user's before
    /// the built-in one, one for that provider before one for any, the exact name before the name without its date
    /// (`-20250929`, `@20250929`, `-2025-09-29`, `-latest`). `None` when the price is unknown.
    pub fn find(&self, provider: &ProviderName, model: &str) -> Option<&PriceEntry> {
        self.find_own(provider, model).or_else(|| best(&self.built_in, provider, model))
    }

    /// The same among the user's own prices alone.
    pub(crate) fn find_own(&self, provider: &ProviderName, model: &str) -> Option<&PriceEntry> {
        best(&self.own, provider, model)
    }
}

fn parse(toml: &str) -> Result<Vec<Arc<PriceEntry>>, PriceError> {
    let file: File =
        toml::from_str(toml).map_err(|error| PriceError::Invalid(error.message().to_owned()))?;
    let of = |model: &str| {
        let fits = |batch: &&Batch| batch.prefixes.iter().any(|start| model.starts_with(start));
        file.batch.iter().find(fits).map(|batch| batch.price.clone())
    };
    let entries = file.model.into_iter().map(|mut entry| {
        entry.batch = entry.batch.or_else(|| of(&entry.model));
        Arc::new(entry)
    });
    Ok(entries.collect())
}

fn best<'a>(
    entries: &'a [Arc<PriceEntry>],
    provider: &ProviderName,
    model: &str,
) -> Option<&'a PriceEntry> {
    let parent = provider.parent();
    let parent = parent.as_ref().unwrap_or(provider);
    let named = |name: &str, only_here: bool| {
        entries.iter().map(AsRef::as_ref).find(|entry| {
            let here = if only_here {
                entry.provider.as_ref().is_some_and(|of| of == provider || of == parent)
            } else {
                entry.provider.is_none()
            };
            here && (entry.model == name || entry.aliases.iter().any(|alias| alias == name))
        })
    };
    let undated = without_date(model);
    [true, false].into_iter().find_map(|only_here| {
        named(model, only_here).or_else(|| undated.and_then(|undated| named(undated, only_here)))
    })
}

/// `model` without the date or `latest` that it ends with, if it ends so.
pub(super) fn without_date(model: &str) -> Option<&str> {
    let is_number = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (base, last) = model.rsplit_once(['-', '@'])?;
    if last == "latest" || is_number(last, 8) {
        return Some(base);
    }
    let (rest, month) = base.rsplit_once('-')?;
    let (rest, year) = rest.rsplit_once('-')?;
    (is_number(last, 2) && is_number(month, 2) && is_number(year, 4)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{
        money::MicroUsd,
        time::Timestamp,
        usage::{TokenCount, Usage},
    };

    fn provider() -> ProviderName {
        ProviderName::new("p").unwrap()
    }

    fn usage(input: u64, cache_write: u64, cache_read: u64, output: u64) -> Usage {
        Usage {
            input: TokenCount(input),
            cache_read: TokenCount(cache_read),
            cache_write: TokenCount(cache_write),
            output: TokenCount(output),
            reasoning: TokenCount(0),
        }
    }

    #[test]
    fn every_built_in_entry_has_a_source_and_a_date_and_one_name() {
        let table = PriceTable { own: Vec::new(), built_in: parse(BUILT_IN).unwrap() };
        let mut names = std::collections::BTreeSet::new();
        for entry in table.entries() {
            assert!(
                entry.source.as_deref().is_some_and(|s| s.starts_with("https://")),
                "{entry:?}"
            );
            let date = entry.as_of.as_deref().unwrap();
            assert_eq!(without_date(&format!("x-{date}")), Some("x"), "{entry:?}");
            assert!(entry.rates.output >= entry.rates.input, "{entry:?}");
            for name in entry.aliases.iter().chain([&entry.model]) {
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
        assert!(names.len() > 30);
    }

    #[test]
    fn batches_cost_what_their_providers_say() {
        let table = PriceTable { own: Vec::new(), built_in: parse(BUILT_IN).unwrap() };
        for entry in table.entries() {
            let Some(batch) = &entry.batch else {
                assert!(entry.model.starts_with("deepseek"), "{} has none", entry.model);
                continue;
            };
            assert!(batch.source.as_deref().is_some_and(|s| s.starts_with("https://")));
            assert!(batch.as_of.as_deref().is_some_and(|date| date.len() == 10), "{entry:?}");
        }
        let own = r#"
            [[model]]
            model = "house"
            input = 4
            cache-read = 1
            output = 8
            batch = { input = 1, output = 3 }
        "#;
        let table = PriceTable::built_in().with_overrides(own).unwrap();
        let check = |model: &str, usage: Usage, dollars: Option<&str>| {
            let entry = table.find(&provider(), model).unwrap_or_else(|| panic!("{model}"));
            let cost = entry.batch_cost(&usage).map(|cost| cost.to_string());
            assert_eq!(cost.as_deref(), dollars, "{model}");
        };
        let million = 1_000_000;
        check("claude-sonnet-4-5", usage(100_000, 0, 0, 100_000), Some("0.9"));
        check("claude-sonnet-4-5", usage(0, million, million, 0), None);
        check("claude-opus-5-5", usage(0, million, million, 0), Some("2.6"));
        check("claude-haiku-5-5", usage(200_000, 0, 0, 0), Some("0.05"));
        check("gpt-4o", usage(million, 0, million, million), Some("7.5"));
        check("gemini-3.5-flash", usage(100_000, 0, 100_000, 100_000), Some("0.6"));
        check("deepseek-v4-pro", usage(1, 0, 0, 1), None);
        check("house", usage(million, 0, million, million), Some("5"));
        check("house", usage(0, million, 0, 0), Some("1"));
        for bad in ["{ percent = 50 }", "{ input = 1 }", "{ percent = 300, cached = \"share\" }"] {
            let text = format!("[[model]]\nmodel = \"x\"\ninput = 1\noutput = 1\nbatch = {bad}\n");
            assert!(PriceTable::empty().with_overrides(&text).is_err(), "{bad}");
        }
    }

    #[test]
    fn costs_are_exact() {
        let table = PriceTable::built_in();
        let check = |model: &str, usage: Usage, dollars: &str| {
            let entry = table.find(&provider(), model).unwrap_or_else(|| panic!("{model}"));
            let cost = entry.cost(&usage, Timestamp(0)).map(|cost| cost.to_string());
            assert_eq!(cost.as_deref(), Some(dollars), "{model}");
        };
        // 1200 × 3 + 50 × 3.75 + 200 × 0.30 + 34 × 15 = 4357.5 micro-dollars, rounded up.
        check("claude-sonnet-4-5", usage(1_200, 50, 200, 34), "0.004358");
        check("claude-sonnet-4-5-20250929", usage(1_200, 0, 0, 34), "0.00411");
        check("claude-opus-5-5", usage(1_000_000, 0, 0, 1_000_000), "24");
        check("claude-haiku-5-5", usage(100_000, 0, 0, 0), "0.01");
        check("claude-haiku-5-5", usage(100_000, 0, 1, 1_000), "0.052501");
        check("gpt-4o", usage(1_200, 0, 200, 34), "0.00359");
        check("gpt-4o-mini-2024-07-18", usage(1, 0, 0, 0), "0.000001");
        check("gpt-5.6-terra", usage(300_000, 0, 0, 0), "1.2");
        check("gpt-5.4-nano", usage(0, 0, 0, 0), "0");
        // No rate for writes: they are input.
        check("gpt-5-mini", usage(0, 1_000_000, 0, 0), "0.25");
    }

    #[test]
    fn writes_for_an_hour_cost_twice_the_input_or_what_is_said() {
        let own = "[[model]]\nmodel='own'\ninput=1\ncache-write=2\ncache-write-1h=7\noutput=9\n";
        let table = PriceTable::built_in().with_overrides(own).unwrap();
        let check = |model: &str, hour: u64, dollars: &str| {
            let entry = table.find(&provider(), model).unwrap();
            let usage = usage(0, 1_000_000, 0, 0);
            let cost = entry.cost_with(&usage, TokenCount(hour), Timestamp(0)).unwrap();
            assert_eq!(cost.to_string(), dollars, "{model} {hour}");
        };
        check("claude-haiku-4-5", 0, "1.25");
        check("claude-haiku-4-5", 1_000_000, "2");
        check("claude-haiku-4-5", 400_000, "1.55");
        // More than was written at all: what was written counts.
        check("claude-haiku-4-5", u64::MAX, "2");
        check("own", 1_000_000, "7");
    }

    #[test]
    fn the_worst_is_the_dearest_kind_of_every_rate_that_may_hold() {
        use super::super::CacheWrites::{self, Hour, Usual};
        let own = "[[model]]\nmodel='dear-reads'\ninput=1\ncache-read=3\noutput=1\n";
        let table = PriceTable::built_in().with_overrides(own).unwrap();
        let check = |model: &str, input, output, writes: CacheWrites, dollars: Option<&str>| {
            let entry = table.find(&provider(), model).unwrap_or_else(|| panic!("{model}"));
            let worst = entry.worst(TokenCount(input), TokenCount(output), writes);
            assert_eq!(worst.map(|worst| worst.to_string()).as_deref(), dollars, "{model}");
        };
        const M: u64 = 1_000_000;
        check("claude-haiku-4-5", M, M, Usual, Some("6.25"));
        check("claude-haiku-4-5", M, M, Hour, Some("7"));
        check("gpt-5-mini", M, 0, Usual, Some("0.25"));
        check("dear-reads", M, 0, Usual, Some("3"));
        // Long prompts: 100,000 tokens at 0.125, one more at 0.625.
        check("claude-haiku-5-5", 100_000, 0, Usual, Some("0.0125"));
        check("claude-haiku-5-5", 100_001, 0, Usual, Some("0.062501"));
        check("claude-sonnet-4-5", 200_000, 0, Usual, Some("0.75"));
        check("claude-sonnet-4-5", 200_001, 0, Usual, None);
        // Peak hours count at any hour.
        check("deepseek-v4-pro", M, 0, Usual, Some("1.32"));
        check("gpt-5-mini", u64::MAX, u64::MAX, Hour, Some("18446744073709.551615"));
    }

    #[test]
    fn a_prompt_beyond_the_known_rates_has_no_cost() {
        let table = PriceTable::built_in();
        let check = |model: &str, usage: Usage, expected: Option<&str>| {
            let entry = table.find(&provider(), model).unwrap_or_else(|| panic!("{model}"));
            let cost = entry.cost(&usage, Timestamp(0)).map(|cost| cost.to_string());
            assert_eq!(cost.as_deref(), expected, "{model} {usage:?}");
        };
        check("claude-sonnet-4-5", usage(200_000, 0, 0, 0), Some("0.6"));
        check("claude-sonnet-4-5", usage(200_001, 0, 0, 0), None);
        // What is cached counts too.
        check("claude-sonnet-4-5", usage(1, 100_000, 100_000, 1), None);
        check("gpt-5.4-mini", usage(270_000, 0, 0, 0), Some("0.2025"));
        check("gpt-5.4-mini", usage(270_001, 0, 0, 0), None);
    }

    #[test]
    fn a_name_matches_exactly_or_without_its_date() {
        let table = PriceTable::built_in();
        let check = |model: &str, expected: Option<&str>| {
            let found = table.find(&provider(), model).map(|entry| entry.model.as_str());
            assert_eq!(found, expected, "{model}");
        };
        check("gpt-5", Some("gpt-5"));
        check("gpt-5-2025-08-07", Some("gpt-5"));
        check("gpt-4o-2024-05-13", Some("gpt-4o-2024-05-13"));
        check("gpt-4o-2024-08-06", Some("gpt-4o"));
        check("claude-opus-4-20250514", Some("claude-opus-4"));
        check("claude-opus-4-1@20250805", Some("claude-opus-4-1"));
        check("claude-haiku-4-5-latest", Some("claude-haiku-4-5"));
        for unknown in ["gpt-5-codex-max", "claude-opus", "gpt", "", "claude-sonnet-4-5-fast", "é"]
        {
            check(unknown, None);
        }
    }

    #[test]
    fn own_prices_come_first_and_may_be_of_one_provider() {
        let own = "[[model]]\nmodel='gpt-5'\ninput=1\noutput=0.000001\n\
                   [[model]]\nmodel='gpt-5'\nprovider='p'\ninput='7'\noutput='8'\n";
        let table = PriceTable::built_in().with_overrides(own).unwrap();
        let input = |provider: &str| {
            let provider = ProviderName::new(provider).unwrap();
            table.find(&provider, "gpt-5-2025-08-07").unwrap().rates.input
        };
        assert_eq!(input("p"), MicroUsd(7_000_000));
        assert_eq!(input("q"), MicroUsd(1_000_000));
    }

    #[test]
    fn bad_prices_are_refused() {
        for bad in [
            "[[model]]\nmodel='x'\ninput=1",
            "[[model]]\nmodel='x'\ninput=-1\noutput=1",
            "[[model]]\nmodel='x'\ninput=0.0000001\noutput=1",
            "[[modle]]\nmodel='x'",
            "[[model]]\nmodel='x'\ninput=1\noutput=1\nlong={above-input-tokens=9,input=2}",
            "[[model]]\nmodel='x'\ninput=1\noutput=1\nlong={above-input-tokens=9,cache-read=2}",
            "[[model]]\nmodel='x'\ninput=1\noutput=1\nlong={above-input-tokens=9,inptu=2}",
            "not toml",
        ] {
            assert!(PriceTable::empty().with_overrides(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn peak_hours_are_of_the_week_in_utc() {
        let table = PriceTable::built_in();
        let entry = table.find(&provider(), "deepseek-v4-pro").unwrap();
        let check = |ms: u64, dollars: &str| {
            let cost = entry.cost(&usage(1_000_000, 0, 0, 0), Timestamp(ms));
            assert_eq!(cost.unwrap().to_string(), dollars, "{}", Timestamp(ms));
        };
        const HOUR: u64 = 3_600_000;
        // 2026-10-26 was a Monday.
        let monday = 1_792_972_800_000;
        assert_eq!(Timestamp(monday).to_string(), "2026-10-26T00:00:00.000Z");
        check(monday, "0.66");
        check(monday + HOUR, "1.32");
        check(monday + 4 * HOUR, "0.66");
        check(monday + 9 * HOUR, "1.32");
        check(monday - HOUR, "0.66");
        check(monday - 23 * HOUR, "0.66");
        check(monday + 4 * 24 * HOUR + HOUR, "1.32");
        check(monday + 5 * 24 * HOUR + HOUR, "0.66");
    }
}
