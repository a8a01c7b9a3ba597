//! Faults at a place of the stream, and at every such place.

use crate::{
    format::{ALL, Format, TOKENS},
    rig::{Expected, PATIENT, call_to},
    server::{Step, answer, broken},
};
use futures_util::future::join_all;
use orchestrator_core::{
    error::ErrorClass,
    port::CallState::{Assumed, Settled},
    usage::TokenCount,
};
use orchestrator_gateway::Timeouts;
use std::time::Duration;

/// How a stream ends too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The connection is closed, which is how a body without a length ends as well.
    Closed,
    /// The connection is closed, and the framing says that more was to come.
    Broken,
    /// The connection stays open, and nothing follows.
    HalfOpen,
}

impl Cut {
    fn steps(self, body: &str) -> Vec<Step> {
        match self {
            Self::Closed => vec![answer(200, "", body)],
            Self::Broken => vec![broken(body.as_bytes())],
            Self::HalfOpen => vec![answer(200, "", body), Step::Hold],
        }
    }

    fn timeouts(self) -> Timeouts {
        match self {
            Self::HalfOpen => Timeouts { idle: Duration::from_millis(40), ..PATIENT },
            _ => PATIENT,
        }
    }
}

/// What is expected when all but the last `left` events have arrived.
fn expected(format: &Format, left: usize, cut: Cut) -> Expected {
    let is_whole =
        (left == 0 && format.says_the_end) || (cut == Cut::Closed && left <= format.closes);
    Expected {
        class: (!is_whole).then_some(ErrorClass::Transient),
        retry_in: None,
        ledger: if left <= format.counted { Settled } else { Assumed },
    }
}

async fn cut_at_every_event(cut: Cut) {
    let calls = ALL.map(|format| async move {
        let events = format.events();
        for seen in 0..=events.len() {
            let steps = cut.steps(&events[..seen].concat());
            let outcome = call_to(format, steps, cut.timeouts()).await;
            let told = format!("{cut:?}, {}, after {seen} of {}", format.name, events.len());
            outcome.check(&told, expected(format, events.len() - seen, cut));
        }
    });
    join_all(calls).await;
}

#[tokio::test]
async fn a_cut_at_every_event() {
    cut_at_every_event(Cut::Closed).await;
    cut_at_every_event(Cut::Broken).await;
}

#[tokio::test]
async fn a_half_open_stream_at_every_event() {
    cut_at_every_event(Cut::HalfOpen).await;
}

/// Behind every byte of a character that has more than one.
#[tokio::test]
async fn a_cut_in_the_middle_of_a_character() {
    for format in ALL {
        let body = format.body();
        let inside: Vec<usize> = (0..body.len()).filter(|at| !body.is_char_boundary(*at)).collect();
        assert!(inside.len() > 10, "{}: {inside:?}", format.name);
        for at in inside {
            for steps in [
                vec![answer(200, "", &body.as_bytes()[..at])],
                vec![broken(&body.as_bytes()[..at])],
            ] {
                let outcome = call_to(format, steps, PATIENT).await;
                let told = format!("{}, cut at byte {at}", format.name);
                // No character of that kind is behind the counts.
                outcome.check(&told, expected(format, usize::MAX, Cut::Broken));
            }
        }
    }
}

/// Counts replace each other, and what comes after the end is not read.
#[tokio::test]
async fn every_event_twice() {
    for format in ALL {
        let events = format.events();
        for twice in 0..events.len() {
            let body = [&events[..=twice], &events[twice..]].concat().concat();
            let outcome = call_to(format, vec![answer(200, "", body)], PATIENT).await;
            let told = format!("{}, event {twice} twice", format.name);
            outcome.check(&told, expected(format, 0, Cut::Closed));
            let usage = outcome.result.unwrap().usage.unwrap();
            assert_eq!(usage.total(), TokenCount(TOKENS), "{told}");
        }
    }
}

/// In place of every event one that cannot be read.
#[tokio::test]
async fn every_event_damaged() {
    for format in ALL {
        let events = format.events();
        for damaged in
            [b"data: {\"type\":\n\n".as_slice(), b"data: 1e999\n\n", b"data: \"\xff\xfe\"\n\n"]
        {
            for at in 0..events.len() {
                let before = events[..at].concat();
                let body =
                    [before.as_bytes(), damaged, events[at + 1..].concat().as_bytes()].concat();
                let outcome = call_to(format, vec![answer(200, "", body)], PATIENT).await;
                let told = format!("{}, {damaged:?} for event {at}", format.name);
                outcome.check(&told, expected(format, events.len() - at, Cut::Broken));
            }
        }
    }
}
