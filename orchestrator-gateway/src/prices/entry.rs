//! One model's price.

use orchestrator_core::{id::ProviderName, money::MicroUsd, time::Timestamp, usage::Usage};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// US dollars per million tokens of each kind. Read from a decimal string or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rates {
    /// Fresh input.
    #[serde(deserialize_with = "dollars")]
    pub input: MicroUsd,
    /// Input read from a prompt cache. Default: as `input`.
    #[serde(default, deserialize_with = "some_dollars", skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<MicroUsd>,
    /// Input written to a prompt cache. Default: as `input`.
    #[serde(default, deserialize_with = "some_dollars", skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<MicroUsd>,
    /// Output, reasoning included.
    #[serde(deserialize_with = "dollars")]
    pub output: MicroUsd,
}

impl Rates {
    /// What `usage` costs: the parts are summed exactly and rounded up once, to the micro-dollar.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        let part = |tokens: u64, rate: MicroUsd| MicroUsd::pico_for(tokens, rate);
        MicroUsd::from_pico(
            part(usage.input.0, self.input)
                + part(usage.cache_read.0, self.cache_read.unwrap_or(self.input))
                + part(usage.cache_write.0, self.cache_write.unwrap_or(self.input))
                + part(usage.output.0, self.output),
        )
    }
}

/// Rates for a request whose prompt is long. They replace all others of that request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LongPrompt {
    /// The prompt, fresh and cached, has more tokens than that.
    pub above_input_tokens: u64,
    /// What then holds.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Rates that hold at certain hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PeakHours {
    /// Days of the week, 1 for Monday to 7 for Sunday, in UTC.
    pub weekdays: Vec<u8>,
    /// Spans of hours in UTC, each from its start to before its end.
    pub hours: Vec<[u8; 2]>,
    /// What then holds.
    #[serde(flatten)]
    pub rates: Rates,
}

impl PeakHours {
    fn contains(&self, at: Timestamp) -> bool {
        let hours = at.0 / 3_600_000;
        // 1970-01-01 was a Thursday, day 4 of the week.
        let weekday = (hours / 24 + 3) % 7 + 1;
        let hour = hours % 24;
        self.weekdays.iter().any(|day| u64::from(*day) == weekday)
            && self
                .hours
                .iter()
                .any(|[from, to]| (u64::from(*from)..u64::from(*to)).contains(&hour))
    }
}

/// The price of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PriceEntry {
    /// The model, as it is named in requests.
    pub model: String,
    /// Other names of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The provider, by its name in the configuration, for which alone the price holds.
    /// Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// What usually holds.
    #[serde(flatten)]
    pub rates: Rates,
    /// What holds for long prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongPrompt>,
    /// What holds at certain hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<PeakHours>,
    /// Where the price was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// For which day it was confirmed, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

impl PriceEntry {
    /// The rates of a request with `usage`, made at `at`. A long prompt outweighs the hour.
    pub fn rates_for(&self, usage: &Usage, at: Timestamp) -> &Rates {
        let prompt = usage.input + usage.cache_read + usage.cache_write;
        match (&self.long, &self.peak) {
            (Some(long), _) if prompt.0 > long.above_input_tokens => &long.rates,
            (_, Some(peak)) if peak.contains(at) => &peak.rates,
            _ => &self.rates,
        }
    }

    /// What a request with `usage`, made at `at`, costs.
    pub fn cost(&self, usage: &Usage, at: Timestamp) -> MicroUsd {
        self.rates_for(usage, at).cost(usage)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Dollars {
    Text(String),
    Whole(u64),
    Fraction(f64),
}

fn dollars<'de, D: Deserializer<'de>>(from: D) -> Result<MicroUsd, D::Error> {
    let text = match Dollars::deserialize(from)? {
        Dollars::Text(text) => text,
        Dollars::Whole(number) => number.to_string(),
        // The shortest decimal that reads back as the same number: what the user has written.
        Dollars::Fraction(number) => number.to_string(),
    };
    text.parse().map_err(D::Error::custom)
}

fn some_dollars<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MicroUsd>, D::Error> {
    dollars(from).map(Some)
}
