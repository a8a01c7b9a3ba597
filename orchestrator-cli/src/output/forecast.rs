//! What is expected to be used, in words.

use super::text::{counted, thousands};
use orchestrator_core::{estimate::Range, money::MicroUsd};
use orchestrator_service::views::{ForecastOutcome, ForecastView};

/// An amount as exactly as an estimate is: two digits that count.
fn rough(usd: MicroUsd) -> String {
    let mut unit = 1;
    while usd.0 / unit >= 100 {
        unit *= 10;
    }
    format!("${}", MicroUsd(usd.0.saturating_add(unit / 2) / unit * unit))
}

/// The same of a count.
fn rough_count(count: u64) -> String {
    let mut unit = 1;
    while count / unit >= 100 {
        unit *= 10;
    }
    thousands(count.saturating_add(unit / 2) / unit * unit)
}

/// `$0.14 ($0.05 to $0.41)`.
pub(crate) fn cost(usd: Option<Range<MicroUsd>>) -> String {
    usd.map_or_else(
        || "unknown: no price is known for a model".into(),
        |usd| format!("{} ({} to {})", rough(usd.likely), rough(usd.low), rough(usd.high)),
    )
}

/// `12,000 (6,000 to 30,000)`.
pub(crate) fn tokens(tokens: Range<u64>) -> String {
    let [likely, low, high] = [tokens.likely, tokens.low, tokens.high].map(rough_count);
    format!("{likely} ({low} to {high})")
}

/// `low: assumed, since nothing like it has run`.
pub(crate) fn confidence(forecast: &ForecastView) -> String {
    let of = match forecast.samples {
        0 => String::new(),
        samples => format!(", {}", counted(u64::from(samples), "task")),
    };
    format!("{}: {}{of}", forecast.confidence, forecast.basis.words())
}

/// All of it in a line.
pub(crate) fn line(forecast: &ForecastView) -> String {
    format!(
        "expected: {}; {} tokens; confidence {}",
        cost(forecast.cost_usd),
        tokens(forecast.tokens),
        confidence(forecast)
    )
}

/// What was expected of a run, beside what came.
pub(crate) fn outcome(outcome: &ForecastOutcome) -> String {
    let expected = match (outcome.expected.cost_usd, outcome.actual_usd) {
        (usd @ Some(_), Some(_)) => cost(usd),
        _ => format!("{} tokens", tokens(outcome.expected.tokens)),
    };
    let times = outcome.ratio.map(|ratio| format!(", {ratio:.2} times what was likely"));
    let came = match outcome.within {
        Some(true) => format!("; it came within that{}", times.unwrap_or_default()),
        Some(false) => format!("; it came outside{}", times.unwrap_or_default()),
        None => String::new(),
    };
    format!("{expected}, confidence {}{came}", outcome.expected.confidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_told_with_two_digits() {
        for (exact, expected) in [
            (0, "$0"),
            (7, "$0.000007"),
            (9_635, "$0.0096"),
            (140_321, "$0.14"),
            (996_000, "$1"),
            (12_345_678, "$12"),
            (u64::MAX - 1_000_000, "$18000000000000"),
        ] {
            assert_eq!(rough(MicroUsd(exact)), expected);
        }
        assert_eq!(rough_count(12_345), "12,000");
        assert_eq!(rough_count(99), "99");
    }
}
