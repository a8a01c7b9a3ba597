//! One model's price.

use orchestrator_core::{
    id::ProviderName,
    money::MicroUsd,
    time::Timestamp,
    usage::{TokenCount, Usage},
};
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
    /// Input written to a prompt cache that keeps it for an hour. Default: twice `input`, which is
    /// Anthropic's rule for every model; nobody else counts such writes apart.
    #[serde(default, deserialize_with = "some_dollars", skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<MicroUsd>,
    /// Output, reasoning included.
    #[serde(deserialize_with = "dollars")]
    pub output: MicroUsd,
}

impl Rates {
    /// What `usage` costs: the parts are summed exactly and rounded up once, to the micro-dollar.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        self.cost_with(usage, TokenCount(0))
    }

    /// The same where `hour_writes` of the tokens written to a cache are kept for an hour.
    pub fn cost_with(&self, usage: &Usage, hour_writes: TokenCount) -> MicroUsd {
        let part = |tokens: u64, rate: MicroUsd| MicroUsd::pico_for(tokens, rate);
        let long = hour_writes.0.min(usage.cache_write.0);
        MicroUsd::from_pico(
            part(usage.input.0, self.input)
                + part(usage.cache_read.0, self.cache_read.unwrap_or(self.input))
                + part(usage.cache_write.0 - long, self.cache_write.unwrap_or(self.input))
                + part(long, self.hour_write())
                + part(usage.output.0, self.output),
        )
    }

    fn hour_write(&self) -> MicroUsd {
        self.cache_write_1h.unwrap_or(self.input + self.input)
    }

    /// The most that so many tokens can cost, whichever kinds of input they are.
    fn worst(&self, input: u64, output: u64, writes: CacheWrites) -> MicroUsd {
        let kinds = [Some(self.input), self.cache_read, self.cache_write];
        let hour = (writes == CacheWrites::Hour).then(|| self.hour_write());
        let dearest = kinds.into_iter().chain([hour]).flatten().max().unwrap_or(self.input);
        MicroUsd::from_pico(
            MicroUsd::pico_for(input, dearest) + MicroUsd::pico_for(output, self.output),
        )
    }
}

/// How long a request may ask a prompt cache to keep what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheWrites {
    /// The shortest time on offer.
    Usual,
    /// An hour, which costs more.
    Hour,
}

/// What holds for a request whose prompt is long, in place of all other rates of that request.
///
/// Either all of its rates are given or none. Without rates the price of such a request is not
/// known: it is dearer than that of a short one, so that its usual rates would be too low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "LongPromptText")]
pub struct LongPrompt {
    /// The prompt, fresh and cached, has more tokens than that.
    pub above_input_tokens: u64,
    /// What then holds; `None` when that is not known.
    #[serde(flatten)]
    pub rates: Option<Rates>,
}

/// [`LongPrompt`] as it is written. Read by hand, since an optional part that is flattened would
/// swallow a misspelt rate and make the price unknown in silence.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LongPromptText {
    above_input_tokens: u64,
    #[serde(default, deserialize_with = "some_dollars")]
    input: Option<MicroUsd>,
    #[serde(default, deserialize_with = "some_dollars")]
    cache_read: Option<MicroUsd>,
    #[serde(default, deserialize_with = "some_dollars")]
    cache_write: Option<MicroUsd>,
    #[serde(default, deserialize_with = "some_dollars")]
    cache_write_1h: Option<MicroUsd>,
    #[serde(default, deserialize_with = "some_dollars")]
    output: Option<MicroUsd>,
}

impl TryFrom<LongPromptText> for LongPrompt {
    type Error = &'static str;

    fn try_from(text: LongPromptText) -> Result<Self, &'static str> {
        let LongPromptText {
            above_input_tokens,
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
        } = text;
        let rates = match (input, output) {
            (Some(input), Some(output)) => {
                Some(Rates { input, cache_read, cache_write, cache_write_1h, output })
            }
            (None, None) if cache_read.or(cache_write).or(cache_write_1h).is_none() => None,
            _ => return Err("`long` needs both `input` and `output`, or no rate at all"),
        };
        Ok(Self { above_input_tokens, rates })
    }
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

/// What a request costs that is a part of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BatchPrice {
    /// The rates.
    #[serde(flatten)]
    pub terms: BatchTerms,
    /// Where that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The day for which that page states it, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// How the rates of a batch follow from the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", untagged)]
pub enum BatchTerms {
    /// They are a part of them.
    Share {
        /// What of the usual rates of input and output is charged, in percent.
        percent: u8,
        /// What is charged for what a cache holds.
        cached: Cached,
    },
    /// They are rates of their own, whatever is cached.
    Own {
        /// Input, US dollars per million tokens.
        #[serde(deserialize_with = "dollars")]
        input: MicroUsd,
        /// Output, US dollars per million tokens.
        #[serde(deserialize_with = "dollars")]
        output: MicroUsd,
    },
}

/// What a batch pays for input that a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cached {
    /// The same part of the rates of the cache as of the others.
    Share,
    /// What other input of the batch costs: nothing is known of a discount.
    Fresh,
}

impl BatchTerms {
    /// The rates of a batch where `usual` hold otherwise.
    fn of(&self, usual: &Rates) -> Rates {
        let (percent, cached) = match *self {
            Self::Share { percent, cached } => (percent, cached),
            Self::Own { input, output } => {
                let (cache_read, cache_write, cache_write_1h) = (None, None, Some(input));
                return Rates { input, cache_read, cache_write, cache_write_1h, output };
            }
        };
        // Rounded up, so that no rate is understated.
        let share =
            |rate: MicroUsd| MicroUsd(rate.0.saturating_mul(u64::from(percent)).div_ceil(100));
        let input = share(usual.input);
        let of_cache = |rate: Option<MicroUsd>| match cached {
            Cached::Share => rate.map(share),
            Cached::Fresh => None,
        };
        Rates {
            input,
            cache_read: of_cache(usual.cache_read),
            cache_write: of_cache(usual.cache_write),
            cache_write_1h: of_cache(Some(usual.hour_write())),
            output: share(usual.output),
        }
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
    /// What holds for a request that is a part of a batch, at any hour. Default: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchPrice>,
    /// Where the price was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The day for which that page states it, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

impl PriceEntry {
    /// The rates of a request with `usage`, made at `at`; `None` when its prompt is longer than
    /// those for which rates are known. A long prompt outweighs the hour.
    pub fn rates_for(&self, usage: &Usage, at: Timestamp) -> Option<&Rates> {
        let prompt = usage.input + usage.cache_read + usage.cache_write;
        match (&self.long, &self.peak) {
            (Some(long), _) if prompt.0 > long.above_input_tokens => long.rates.as_ref(),
            (_, Some(peak)) if peak.contains(at) => Some(&peak.rates),
            _ => Some(&self.rates),
        }
    }

    /// What a request with `usage`, made at `at`, costs; `None` when that is not known.
    pub fn cost(&self, usage: &Usage, at: Timestamp) -> Option<MicroUsd> {
        Some(self.rates_for(usage, at)?.cost(usage))
    }

    /// The same where `hour_writes` of the tokens written to a cache are kept for an hour.
    pub fn cost_with(
        &self,
        usage: &Usage,
        hour_writes: TokenCount,
        at: Timestamp,
    ) -> Option<MicroUsd> {
        Some(self.rates_for(usage, at)?.cost_with(usage, hour_writes))
    }

    /// What a request with `usage` costs that is a part of a batch; `None` when that is not known, be
    /// it that the model has no price for batches or that the prompt is longer than those for which
    /// rates are known.
    ///
    /// ```
    /// use orchestrator_core::{id::ProviderName, usage::{TokenCount, Usage}};
    /// use orchestrator_gateway::prices::PriceTable;
    ///
    /// let prices = PriceTable::built_in();
    /// let entry = prices.find(&ProviderName::new("anthropic")?, "claude-sonnet-4-5");
    /// let usage = Usage { input: TokenCount(100_000), ..Usage::default() };
    /// let cost = entry.and_then(|entry| entry.batch_cost(&usage));
    /// assert_eq!(cost.map(|cost| cost.to_string()).as_deref(), Some("0.15"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch_cost(&self, usage: &Usage) -> Option<MicroUsd> {
        let batch = self.batch.as_ref()?;
        let prompt = usage.input + usage.cache_read + usage.cache_write;
        let usual = match &self.long {
            Some(long) if prompt.0 > long.above_input_tokens => long.rates.as_ref()?,
            _ => &self.rates,
        };
        Some(batch.terms.of(usual).cost(usage))
    }

    /// The most that a request of up to `input` and `output` tokens can cost, at any hour and
    /// whatever of its input is cached; `None` when its prompt may be longer than those for which
    /// rates are known.
    pub fn worst(
        &self,
        input: TokenCount,
        output: TokenCount,
        writes: CacheWrites,
    ) -> Option<MicroUsd> {
        let long = match &self.long {
            Some(long) if input.0 > long.above_input_tokens => Some(long.rates.as_ref()?),
            _ => None,
        };
        let peak = self.peak.as_ref().map(|peak| &peak.rates);
        let rates = [Some(&self.rates), long, peak].into_iter().flatten();
        rates.map(|rates| rates.worst(input.0, output.0, writes)).max()
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
