//! The journal of an attempt's turns: what is given back, what is performed, what does not count.
//!
//! Turns are matched by what was called. In order, that gives each turn back at its place; where an
//! agent makes several calls at once, it finds each whichever was done first. What is left over when
//! a new turn is done was not repeated, and does not count from there on.

use crate::{
    event::{Content, Turn},
    id::TurnNumber,
    port::Call,
};
use std::collections::VecDeque;

/// The journal of an attempt.
#[derive(Debug)]
pub(super) struct Journal {
    /// Recorded turns that have not been given back, in order.
    left: VecDeque<Turn>,
    /// How many turns the log holds.
    length: u32,
    /// How many turns were given back, done or begun.
    begun: u32,
}

/// How a turn is to be recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its number.
    pub(super) number: TurnNumber,
    /// From where the journal does not count any more, before that.
    pub(super) cut: Option<TurnNumber>,
}

impl Journal {
    pub(super) fn new(recorded: Vec<Turn>) -> Self {
        let length = u32::try_from(recorded.len()).unwrap_or(u32::MAX);
        Self { left: recorded.into(), length, begun: 0 }
    }

    /// What came of `call` when it was made before, if it was.
    pub(super) fn replay(&mut self, call: &Call) -> Option<Content> {
        let is_it = |turn: &Turn| {
            turn.input == call.input && turn.kind == call.kind && turn.name == call.name
        };
        let found = self.left.iter().position(is_it)?;
        self.begun += 1;
        self.left.remove(found).map(|turn| turn.output)
    }

    /// The number of a turn that begins now, for keys that tell a repetition: the same sequence of
    /// turns gives the same numbers.
    pub(super) fn begin(&mut self) -> TurnNumber {
        self.begun += 1;
        TurnNumber(self.begun)
    }

    /// Where a turn that is done now goes.
    pub(super) fn record(&mut self) -> Entry {
        let cut = self.left.front().map(|turn| turn.number);
        if let Some(from) = cut {
            self.left.clear();
            self.length = from.0.saturating_sub(1);
        }
        self.length += 1;
        Entry { number: TurnNumber(self.length), cut }
    }

    /// Counts all that was not given back as given back: what is begun next is numbered on.
    pub(super) fn take(&mut self) -> Vec<Turn> {
        let taken: Vec<Turn> = std::mem::take(&mut self.left).into();
        self.begun += u32::try_from(taken.len()).unwrap_or(u32::MAX);
        taken
    }

    /// Counts one that is known from elsewhere as given back.
    pub(super) fn pass(&mut self) {
        self.begun += 1;
    }

    /// Where a question goes that a person has answered, or a decision on what an agent may do. It
    /// costs nothing to keep what is left over beside it.
    pub(super) fn add(&mut self) -> TurnNumber {
        self.begun += 1;
        self.length += 1;
        TurnNumber(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn journal(calls: &[&str]) -> Journal {
        let turn = |(index, name): (usize, &&str)| {
            let call = Call::new("tool", name, name);
            Turn {
                number: TurnNumber(index as u32 + 1),
                kind: call.kind,
                name: call.name,
                input: call.input,
                output: Content::Inline(json!(index + 1)),
                spend: Vec::new(),
            }
        };
        Journal::new(calls.iter().enumerate().map(turn).collect())
    }

    /// Begins each call, finishes those that have to be performed at once, and says what happened:
    /// `=N` was given back, `+N` recorded, `-N` cut from there.
    fn check(recorded: &[&str], calls: &[&str], expected: &str) {
        let mut journal = journal(recorded);
        let mut happened = Vec::new();
        for name in calls {
            match journal.replay(&Call::new("tool", name, name)) {
                Some(content) => happened.push(format!("={}", content.inline().unwrap())),
                None => {
                    journal.begin();
                    let Entry { number, cut } = journal.record();
                    happened.extend(cut.map(|from| format!("-{from}")));
                    happened.push(format!("+{number}"));
                }
            }
        }
        assert_eq!(happened.join(" "), expected, "{recorded:?} {calls:?}");
    }

    #[test]
    fn turns_are_given_back_until_the_attempt_goes_another_way() {
        check(&[], &["a", "b"], "+1 +2");
        check(&["a", "b"], &["a", "b", "c"], "=1 =2 +3");
        check(&["a", "b", "c"], &["a", "x", "b"], "=1 -2 +2 +3");
        check(&["b", "a"], &["a", "b", "c"], "=2 =1 +3");
        check(&["a", "a"], &["a", "a", "a"], "=1 =2 +3");
    }

    #[test]
    fn what_is_taken_at_once_counts_as_given_back() {
        let mut journal = journal(&["a", "b", "c"]);
        assert!(journal.replay(&Call::new("tool", "b", "b")).is_some());
        let taken: Vec<String> = journal.take().into_iter().map(|turn| turn.name).collect();
        assert_eq!(taken, ["a", "c"]);
        assert_eq!(journal.take(), []);
        assert_eq!(journal.replay(&Call::new("tool", "a", "a")), None);
        assert_eq!(journal.begin(), TurnNumber(4));
        assert_eq!(journal.record(), Entry { number: TurnNumber(4), cut: None });
    }

    #[test]
    fn what_a_person_said_is_kept_beside_what_is_left_over() {
        let mut journal = journal(&["a", "b"]);
        assert_eq!(journal.add(), TurnNumber(3));
        assert!(journal.replay(&Call::new("tool", "a", "a")).is_some());
        let cut = Some(TurnNumber(2));
        assert_eq!(journal.record(), Entry { number: TurnNumber(2), cut });
    }

    #[test]
    fn a_turn_that_was_lost_beside_one_that_was_kept_costs_only_itself() {
        let mut journal = journal(&["b"]);
        assert_eq!(journal.replay(&Call::new("tool", "a", "a")), None);
        assert_eq!(journal.begin(), TurnNumber(1));
        assert!(journal.replay(&Call::new("tool", "b", "b")).is_some());
        assert_eq!(journal.record(), Entry { number: TurnNumber(2), cut: None });
    }
}
