//! What models cost: the prices of the settings before those that are built in.

use crate::config::Config;
use orchestrator_core::id::ProviderName;
use orchestrator_gateway::prices::{BatchPrice, BatchTerms, PriceEntry, PriceTable, Rates};

/// The prices that hold with `config`.
pub(super) fn read(config: &Config) -> PriceTable {
    let entries = config.settings().prices.iter().filter_map(|(model, price)| {
        Some(PriceEntry {
            model: model.clone(),
            aliases: Vec::new(),
            provider: price.provider.as_deref().and_then(|name| ProviderName::new(name).ok()),
            rates: Rates {
                input: price.input?,
                output: price.output?,
                cache_read: price.cache_read,
                cache_write: price.cache_write,
                cache_write_1h: None,
            },
            long: None,
            peak: None,
            batch: price.batch_input.zip(price.batch_output).map(|(input, output)| BatchPrice {
                terms: BatchTerms::Own { input, output },
                source: Some("settings".into()),
                as_of: None,
            }),
            source: Some("settings".into()),
            as_of: None,
        })
    });
    PriceTable::built_in().with_entries(entries)
}
