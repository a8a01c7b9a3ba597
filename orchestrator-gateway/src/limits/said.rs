//! What providers say of their limits with an answer.

use crate::failure::{duration, from_date, from_epoch};
use http::HeaderMap;
use orchestrator_core::time::Timestamp;
use std::time::Duration;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counter {
    Requests,
    /// Tokens in and out.
    Tokens,
    Input,
    Output,
}

impl Counter {
    pub(super) const COUNT: usize = 4;
}

/// A counter as an answer tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) counter: Counter,
    pub(super) remaining: u64,
    pub(super) limit: Option<u64>,
    /// How long until it is full again, or nobody knows what then.
    pub(super) wait: Duration,
}

/// Where a counter is told: the headers of its remainder, limit and reset, and how the last is written.
struct Told {
    counter: Counter,
    remaining: &'static str,
    limit: &'static str,
    reset: &'static str,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    /// An RFC 3339 instant, or seconds since 1970.
    Instant,
    /// `6m0s`.
    Duration,
}

macro_rules! anthropic {
    ($counter:expr, $name:literal) => {
        Told {
            counter: $counter,
            remaining: concat!("anthropic-ratelimit-", $name, "-remaining"),
            limit: concat!("anthropic-ratelimit-", $name, "-limit"),
            reset: concat!("anthropic-ratelimit-", $name, "-reset"),
            form: Form::Instant,
        }
    };
}

macro_rules! openai {
    ($counter:expr, $name:literal) => {
        Told {
            counter: $counter,
            remaining: concat!("x-ratelimit-remaining-", $name),
            limit: concat!("x-ratelimit-limit-", $name),
            reset: concat!("x-ratelimit-reset-", $name),
            form: Form::Duration,
        }
    };
}

static TOLD: [Told; 6] = [
    anthropic!(Counter::Requests, "requests"),
    anthropic!(Counter::Tokens, "tokens"),
    anthropic!(Counter::Input, "input-tokens"),
    anthropic!(Counter::Output, "output-tokens"),
    openai!(Counter::Requests, "requests"),
    openai!(Counter::Tokens, "tokens"),
];

/// The counters that `headers` tell whole: what remains, and until when.
pub(super) fn read(headers: &HeaderMap, now: Timestamp) -> impl Iterator<Item = Said> {
    TOLD.iter().filter_map(move |told| {
        let remaining = text(headers, told.remaining)?.parse().ok()?;
        let reset = text(headers, told.reset)?;
        let wait = match told.form {
            Form::Instant => {
                let at = match reset.parse::<f64>() {
                    Ok(seconds) => from_epoch(seconds)?,
                    Err(_) => from_date(reset.parse().ok()?)?,
                };
                at.since(now)
            }
            Form::Duration => duration(reset)?,
        };
        let limit = text(headers, told.limit).and_then(|text| text.parse().ok());
        Some(Said { counter: told.counter, remaining, limit, wait })
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    /// 2026-01-31T09:30:00Z.
    const NOW: Timestamp = Timestamp(1_769_851_800_000);

    #[test]
    fn counters_by_table() {
        use Counter::{Input, Output, Requests, Tokens};
        let check = |headers: &[(&str, &str)], expected: &[(Counter, u64, Option<u64>, u64)]| {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| {
                    (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
                })
                .collect();
            let found: Vec<_> = read(&map, NOW)
                .map(|it| (it.counter, it.remaining, it.limit, it.wait.as_millis() as u64))
                .collect();
            assert_eq!(found, expected, "{headers:?}");
        };
        check(&[], &[]);
        check(
            &[
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "49"),
                ("anthropic-ratelimit-requests-reset", "2026-01-31T09:30:01Z"),
                ("anthropic-ratelimit-input-tokens-limit", "30000"),
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-01-31T09:31:00Z"),
                ("anthropic-ratelimit-output-tokens-remaining", "8000"),
                ("anthropic-ratelimit-output-tokens-reset", "1769851802"),
                ("anthropic-ratelimit-tokens-remaining", "1"),
                ("anthropic-ratelimit-tokens-reset", "2026-01-31T09:00:00Z"),
            ],
            &[
                (Requests, 49, Some(50), 1_000),
                (Tokens, 1, None, 0),
                (Input, 0, Some(30_000), 60_000),
                (Output, 8_000, None, 2_000),
            ],
        );
        for (text, ms) in
            [("1s", 1_000), ("6m0s", 360_000), ("120ms", 120), ("0s", 0), ("1h2m3.5s", 3_723_500)]
        {
            let tokens = [
                ("x-ratelimit-limit-tokens", "150000"),
                ("x-ratelimit-remaining-tokens", "149984"),
                ("x-ratelimit-reset-tokens", text),
            ];
            check(&tokens, &[(Tokens, 149_984, Some(150_000), ms)]);
        }
        let requests =
            [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "20s")];
        check(&requests, &[(Requests, 0, None, 20_000)]);
        // Half of it, or what cannot be read, is nothing.
        check(&[("x-ratelimit-remaining-requests", "0")], &[]);
        check(&[("x-ratelimit-reset-requests", "1s")], &[]);
        for bad in ["soon", "", "-1s", "12", "1e300s", "1y"] {
            check(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", bad)], &[]);
        }
        for bad in ["-5", "1.5", "many", "99999999999999999999999"] {
            check(
                &[("x-ratelimit-remaining-tokens", bad), ("x-ratelimit-reset-tokens", "1s")],
                &[],
            );
        }
        for bad in ["tomorrow", "-1", "1e300", "2026-13-01T00:00:00Z"] {
            let headers = [
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", bad),
            ];
            check(&headers, &[]);
        }
    }
}
