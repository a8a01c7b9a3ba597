//! Counts that cannot be right: what is no count makes the usage unknown, so that the call counts at
//! its worst; a number that is a count is believed, and never overflows.

use crate::{
    format::{ALL, CHAT, Format, GEMINI, MESSAGES, RESPONSES, TOKENS},
    rig::{Expected, HUGE, PATIENT, call_to},
    server::answer,
};
use orchestrator_core::{
    error::ErrorClass,
    port::CallState::{Assumed, Settled},
};

/// What no number of tokens is.
const NO_COUNT: [&str; 7] = ["-5", "\"25\"", "25.5", "1e300", "18446744073709551616", "[]", "{}"];

/// `None` where the usage is unknown.
async fn check(format: &Format, name: &str, value: &str, tokens: Option<u64>) {
    let body = format.saying(name, value);
    let outcome = call_to(format, vec![answer(200, "", body)], PATIENT).await;
    let told = format!("{}, {name} of {value}", format.name);
    let ledger = if tokens.is_some() { Settled } else { Assumed };
    let expected = Expected { class: None, retry_in: None, ledger };
    outcome.check_tokens(&told, expected, tokens.unwrap_or_default());
}

#[tokio::test]
async fn counts_that_are_no_numbers_of_tokens() {
    for value in NO_COUNT {
        for format in ALL {
            let [input, cached, output, reasoning] = format.counts;
            check(format, input, value, None).await;
            // Where a count is only a part of another, the whole is at hand.
            let is_beside = format.name == MESSAGES.name;
            check(format, cached, value, (!is_beside).then_some(TOKENS)).await;
            let has_total = format.name == GEMINI.name;
            check(format, output, value, has_total.then_some(TOKENS)).await;
            let is_beside = format.name == GEMINI.name;
            check(format, reasoning, value, (!is_beside).then_some(TOKENS)).await;
        }
    }
}

/// What is counted of the output before it is written is not taken for all of it.
#[tokio::test]
async fn an_output_that_is_not_counted() {
    for format in ALL {
        let has_total = format.name == GEMINI.name;
        check(format, format.counts[2], "null", has_total.then_some(TOKENS)).await;
    }
}

#[tokio::test]
async fn counts_that_are_absurdly_large() {
    for format in ALL {
        let [input, cached, output, _] = format.counts;
        let told = |name| match (format.name, name) {
            ("messages", name) if name == input => 40,
            ("messages", name) if name == cached => 60,
            ("gemini", name) if name == output => 15,
            (_, name) if name == output => 25,
            _ => 100,
        };
        for name in [input, output] {
            let rest = TOKENS - told(name);
            check(format, name, &(HUGE + 1).to_string(), Some(HUGE + 1 + rest)).await;
            check(format, name, &u64::MAX.to_string(), Some(u64::MAX)).await;
        }
    }
}

/// A part is never more than the whole; where it is no part, it is believed.
#[tokio::test]
async fn more_cached_than_there_is() {
    for format in [&CHAT, &RESPONSES, &GEMINI] {
        for value in [500, HUGE, u64::MAX] {
            check(format, format.counts[1], &value.to_string(), Some(TOKENS)).await;
        }
    }
    check(&MESSAGES, MESSAGES.counts[1], "500", Some(TOKENS - 60 + 500)).await;
    check(&MESSAGES, MESSAGES.counts[1], &u64::MAX.to_string(), Some(u64::MAX)).await;
    for format in [&MESSAGES, &CHAT, &RESPONSES] {
        check(format, format.counts[3], "9999", Some(TOKENS)).await;
    }
    check(&GEMINI, GEMINI.counts[3], "9999", Some(TOKENS - 10 + 9999)).await;
}

/// Beyond what JSON can hold the event is damaged.
#[tokio::test]
async fn a_count_that_is_no_json() {
    for format in ALL {
        for value in ["1e999", "0x19", "NaN", "-"] {
            let body = format.saying(format.counts[2], value);
            let outcome = call_to(format, vec![answer(200, "", body)], PATIENT).await;
            let class = Some(ErrorClass::Transient);
            let expected = Expected { class, retry_in: None, ledger: Assumed };
            outcome.check(&format!("{}, {value}", format.name), expected);
        }
    }
}
