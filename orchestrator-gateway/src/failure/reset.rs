//! When it is worth trying again, as servers say it.

use super::ErrorBody;
use jiff::fmt::rfc2822;
use orchestrator_core::time::Timestamp;
use reqwest::header::HeaderMap;
use std::time::Duration;

/// The time until which a limit holds: `retry-after` first, since it is meant for this very
/// request; then the body, its fields before its words; then the reset of whichever counter is
/// used up.
pub(super) fn after_limit(
    headers: &HeaderMap,
    body: &ErrorBody,
    now: Timestamp,
) -> Option<Timestamp> {
    after_outage(headers, body, now).or_else(|| counters(headers, now))
}

/// The time until which a server that is not well wants to be left alone.
pub(super) fn after_outage(
    headers: &HeaderMap,
    body: &ErrorBody,
    now: Timestamp,
) -> Option<Timestamp> {
    retry_after(headers, now)
        .or_else(|| body.resets_at.and_then(from_epoch))
        .or_else(|| body.resets_in.and_then(|seconds| in_seconds(now, seconds)))
        .or_else(|| told(&body.message).map(|wait| now.after(wait)))
}

/// What a message says in words, such as "Please try again in 6m0s." or "Please retry in 36.4s.":
/// all that there is when a limit is met in the middle of a stream.
fn told(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    let start = ["try again in ", "retry in "]
        .iter()
        .find_map(|words| message.find(words).map(|at| at + words.len()))?;
    let wait = message[start..].split_whitespace().next()?;
    duration(wait.trim_end_matches(['.', ',', ';', ')', '!']))
}

/// `retry-after-ms`, or `retry-after` in seconds or as an HTTP date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    if let Some(ms) = text(headers, "retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return in_seconds(now, ms / 1_000.0);
    }
    let value = text(headers, "retry-after")?;
    match value.parse::<f64>() {
        Ok(seconds) => in_seconds(now, seconds),
        Err(_) => from_date(rfc2822::parse(value).ok()?.timestamp()),
    }
}

/// `anthropic-ratelimit-*` resets are RFC 3339 instants (the `unified` one seconds since 1970),
/// `x-ratelimit-*` resets durations such as `6m0s`. The one `x-ratelimit-reset` of routers is
/// milliseconds since 1970; a number that is too small for that could be anything.
fn counters(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let mut used_up: Option<Timestamp> = None;
    let mut soonest: Option<Timestamp> = None;
    for (name, value) in headers {
        let (Ok(value), name) = (value.to_str(), name.as_str()) else {
            continue;
        };
        let (at, remaining) = if let Some(counter) =
            name.strip_prefix("anthropic-ratelimit-").and_then(|rest| rest.strip_suffix("-reset"))
        {
            let at = match value.parse::<f64>() {
                Ok(seconds) => from_epoch(seconds),
                Err(_) => value.parse().ok().and_then(from_date),
            };
            (at, format!("anthropic-ratelimit-{counter}-remaining"))
        } else if let Some(counter) = name.strip_prefix("x-ratelimit-reset-") {
            let at = duration(value).map(|wait| now.after(wait));
            (at, format!("x-ratelimit-remaining-{counter}"))
        } else if name == "x-ratelimit-reset" {
            let ms = value.parse::<u64>().ok().filter(|ms| *ms > 1_000_000_000_000);
            (ms.map(Timestamp), "x-ratelimit-remaining".to_owned())
        } else {
            continue;
        };
        let Some(at) = at else { continue };
        if text(headers, &remaining).is_some_and(|text| text.parse() == Ok(0_u64)) {
            used_up = used_up.max(Some(at));
        }
        soonest = Some(soonest.map_or(at, |soonest| soonest.min(at)));
    }
    used_up.or(soonest)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn in_seconds(now: Timestamp, seconds: f64) -> Option<Timestamp> {
    Some(now.after(Duration::try_from_secs_f64(seconds).ok()?))
}

pub(crate) fn from_epoch(seconds: f64) -> Option<Timestamp> {
    in_seconds(Timestamp(0), seconds)
}

pub(crate) fn from_date(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_millisecond()).ok().map(Timestamp)
}

/// Reads `1s`, `6m0s`, `250ms`, `1h2m3.5s`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        rest = &rest[letters..];
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    /// 2026-01-31T09:30:00Z.
    const NOW: Timestamp = Timestamp(1_769_851_800_000);

    fn check(headers: &[(&str, &str)], body: &str, expected: Option<u64>) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let at = after_limit(&map, &ErrorBody::read(body.as_bytes()), NOW);
        let wait = at.map(|at| at.since(NOW).as_millis() as u64);
        assert_eq!(wait, expected, "{headers:?} {body}");
    }

    #[test]
    fn reset_times_are_read() {
        check(&[], "", None);
        check(&[("retry-after", "1")], "", Some(1_000));
        check(&[("retry-after", "0.5")], "", Some(500));
        check(&[("retry-after-ms", "250"), ("retry-after", "1")], "", Some(250));
        check(&[("retry-after", "Sat, 31 Jan 2026 09:30:20 GMT")], "", Some(20_000));
        check(&[("retry-after", "Sat, 31 Jan 2026 09:00:00 GMT")], "", Some(0));
        check(&[("retry-after", "soon")], "", None);
        check(&[("retry-after", "-1")], "", None);
        check(&[("retry-after", "1e300")], "", None);
        check(&[], r#"{"error":{"resets_in_seconds":90}}"#, Some(90_000));
        check(&[], r#"{"error":{"resets_at":1769851860}}"#, Some(60_000));
        let retry_first = [
            ("retry-after", "1"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2030-01-01T00:00:00Z"),
        ];
        check(&retry_first, "", Some(1_000));
        let tokens_used_up = [
            ("anthropic-ratelimit-requests-remaining", "9"),
            ("anthropic-ratelimit-requests-reset", "2026-01-31T09:30:05Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-01-31T09:31:00Z"),
        ];
        check(&tokens_used_up, "", Some(60_000));
        check(&[("anthropic-ratelimit-unified-reset", "1769851810")], "", Some(10_000));
        let none_at_zero =
            [("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-reset-tokens", "6m0s")];
        check(&none_at_zero, "", Some(1_000));
        let tokens =
            [("x-ratelimit-reset-tokens", "6m0.5s"), ("x-ratelimit-remaining-tokens", "0")];
        check(&tokens, "", Some(360_500));
        check(&[("x-ratelimit-reset", "1769851807000")], "", Some(7_000));
        check(&[("x-ratelimit-reset", "60")], "", None);
        check(&[("retry-after-ms", "soon"), ("retry-after", "2")], "", Some(2_000));
        check(&[("x-ratelimit-reset-tokens", "12")], "", None);
        check(&[("x-ratelimit-reset-tokens", "120ms")], "", Some(120));
    }

    #[test]
    fn reset_times_in_bodies_are_read() {
        let says = |message: &str| format!(r#"{{"error":{{"message":"{message}"}}}}"#);
        let google = r#"{"error":{"message":"Please retry in 9s.","details":[
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"36.25s"}]}}"#;
        check(&[], google, Some(36_250));
        check(&[("retry-after", "1")], google, Some(1_000));
        check(&[], &google.replace("36.25s", "soon"), Some(9_000));
        check(&[], &google.replace("36.25s", "-1s"), Some(9_000));
        check(&[], &says("Rate limit reached. Please try again in 6m0s. Visit"), Some(360_000));
        check(&[], &says("Please try again in 11.054s."), Some(11_054));
        check(&[], &says("please retry in 300ms, or not"), Some(300));
        check(&[], &says("Please try again in a while"), None);
        check(&[], &says("Please try again in"), None);
        check(&[], &says("İ try again in 1s"), Some(1_000));
        check(&[], r#"{"error":{"retry_after":5}}"#, Some(5_000));
        let counters = [("x-ratelimit-reset-requests", "1s")];
        check(&counters, &says("try again in 3s"), Some(3_000));
    }
}
