//! Whether an attempt gets anywhere, judged by the turns that it makes.

use crate::money::MicroUsd;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// When turns that repeat count as no progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ProgressPolicy {
    /// How often one turn, or one cycle of turns, is made in a row before it trips; at least 2.
    /// Default 6.
    pub repeats: u32,
    /// The longest cycle that is looked for, in turns. Default 4.
    pub longest_cycle: u32,
    /// How many of the last turns are looked at for those that are few but cost; 0 for none.
    /// Default 40.
    pub window: u32,
    /// How many different turns in a full window are too few, if they cost anything. Default 3.
    pub too_few: u32,
}

impl Default for ProgressPolicy {
    fn default() -> Self {
        Self { repeats: 6, longest_cycle: 4, window: 40, too_few: 3 }
    }
}

/// The most turns that are remembered, whatever the policy says.
const MAX_REMEMBERED: usize = 10_000;

/// Watches the turns of one attempt.
///
/// | trips when | by default |
/// |---|---|
/// | the same turn is made again and again in a row | 6 times |
/// | the same 2 to `longest-cycle` turns are made again and again in a row | 6 times |
/// | a full window holds few different turns, and they cost something | 3 or fewer in 40 |
#[derive(Debug, Clone)]
pub struct NoProgress {
    limits: ProgressPolicy,
    /// The last turns, the latest at the back: fingerprint and cost.
    turns: VecDeque<(String, MicroUsd)>,
    /// For each length of a cycle from 1, how many turns in a row equal the one so far before them.
    matched: Vec<u32>,
}

impl NoProgress {
    /// A watch that has seen no turn.
    pub fn new(limits: ProgressPolicy) -> Self {
        let longest = usize::try_from(limits.longest_cycle).unwrap_or(MAX_REMEMBERED);
        let matched = vec![0; longest.clamp(1, MAX_REMEMBERED)];
        Self { limits, turns: VecDeque::new(), matched }
    }

    /// One more turn: what it was, told by all that makes it the same turn again (kind, name, digests
    /// of input and output), and what it cost. Why the attempt should be stopped, in words, if it
    /// should; it goes on saying so while the turns repeat.
    pub fn note(&mut self, fingerprint: &str, cost: MicroUsd) -> Option<String> {
        for (at, matched) in self.matched.iter_mut().enumerate() {
            let before = self.turns.iter().rev().nth(at);
            let equal = before.is_some_and(|(turn, _)| turn == fingerprint);
            *matched = if equal { matched.saturating_add(1) } else { 0 };
        }
        self.turns.push_back((fingerprint.to_owned(), cost));
        let window = usize::try_from(self.limits.window).unwrap_or(MAX_REMEMBERED);
        let window = window.min(MAX_REMEMBERED);
        while self.turns.len() > window.max(self.matched.len()) {
            self.turns.pop_front();
        }
        self.cycle().or_else(|| self.few(window))
    }

    /// A cycle of some length that was made often enough.
    fn cycle(&self) -> Option<String> {
        let repeats = self.limits.repeats.max(2);
        let (length, _) = (1u32..).zip(&self.matched).find(|(length, matched)| {
            u64::from(**matched) >= u64::from(*length) * u64::from(repeats - 1)
        })?;
        Some(if length == 1 {
            format!("the same turn was made {repeats} times in a row")
        } else {
            format!("the same {length} turns were made {repeats} times in a row")
        })
    }

    /// Turns of a full window that are few but cost.
    fn few(&self, window: usize) -> Option<String> {
        if window == 0 || self.turns.len() < window {
            return None;
        }
        let last = || self.turns.iter().rev().take(window);
        let cost: MicroUsd = last().map(|(_, cost)| *cost).sum();
        if cost == MicroUsd::ZERO {
            return None;
        }
        let most = usize::try_from(self.limits.too_few).unwrap_or(usize::MAX);
        let mut different: Vec<&str> = Vec::new();
        for (turn, _) in last() {
            if !different.contains(&turn.as_str()) {
                different.push(turn);
                if different.len() > most {
                    return None;
                }
            }
        }
        Some(format!(
            "the last {window} turns were only {} different ones and cost ${cost}",
            different.len()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CENT: MicroUsd = MicroUsd(10_000);

    /// After which turn of `turns`, each a letter, it trips first, and with which words.
    fn trips(turns: &str, cost: MicroUsd) -> Option<(usize, String)> {
        let mut watch = NoProgress::new(ProgressPolicy::default());
        let mut turns = (1..).zip(turns.chars());
        turns.find_map(|(at, turn)| Some((at, watch.note(&turn.to_string(), cost)?)))
    }

    fn check(turns: &str, cost: MicroUsd, at: usize, words: &str) {
        let (found, why) = trips(turns, cost).expect(turns);
        assert_eq!(found, at, "{turns}: {why}");
        assert!(why.contains(words), "{why}");
    }

    #[test]
    fn what_repeats_trips() {
        check("aaaaaaaa", MicroUsd::ZERO, 6, "the same turn was made 6 times");
        check("xyzaaaaaa", MicroUsd::ZERO, 9, "the same turn");
        check(&"ab".repeat(9), MicroUsd::ZERO, 12, "the same 2 turns were made 6 times");
        check(&format!("x{}", "abc".repeat(9)), MicroUsd::ZERO, 19, "the same 3 turns");
        check(&"abcd".repeat(9), MicroUsd::ZERO, 24, "the same 4 turns");
        // Three turns without a cycle.
        check(&"aabbaccab".repeat(5), CENT, 40, "only 3 different ones and cost $0.4");
    }

    #[test]
    fn what_does_not_repeat_enough_does_not_trip() {
        for (turns, cost) in [
            ("aaaaabaaaaab".to_owned(), CENT),
            ("ab".repeat(5), CENT),
            ("abcde".repeat(20), CENT),
            ("aabbaccab".repeat(5), MicroUsd::ZERO),
            ("aabbaccab".repeat(4), CENT),
            ("aabbaccabd".repeat(10), CENT),
        ] {
            assert_eq!(trips(&turns, cost), None, "{turns}");
        }
    }

    #[test]
    fn a_policy_reads_with_its_defaults() {
        let policy: ProgressPolicy = serde_json::from_str(r#"{"repeats": 3}"#).unwrap();
        assert_eq!(policy, ProgressPolicy { repeats: 3, ..ProgressPolicy::default() });
        assert!(serde_json::from_str::<ProgressPolicy>(r#"{"repeat": 3}"#).is_err());
    }

    #[test]
    fn no_policy_makes_it_panic_or_grow() {
        for number in [0, 1, u32::MAX] {
            let mut watch = NoProgress::new(ProgressPolicy {
                repeats: number,
                longest_cycle: number.min(8),
                window: number,
                too_few: number,
            });
            for turn in 0..20_000u32 {
                watch.note(&turn.to_string(), MicroUsd::ZERO);
            }
            assert!(watch.turns.len() <= MAX_REMEMBERED);
        }
    }

    proptest! {
        #[test]
        fn different_turns_never_trip(count in 0u32..500, cost in 0u64..1_000_000) {
            let mut watch = NoProgress::new(ProgressPolicy::default());
            for turn in 0..count {
                prop_assert_eq!(watch.note(&turn.to_string(), MicroUsd(cost)), None);
            }
        }

        #[test]
        fn any_cycle_trips_whatever_came_before(
            before in proptest::collection::vec(0u32..50, 0..60),
            length in 1u32..=4,
        ) {
            let mut watch = NoProgress::new(ProgressPolicy::default());
            before.iter().for_each(|turn| drop(watch.note(&turn.to_string(), CENT)));
            let turns = (0..length * 6).map(|turn| format!("cycle {}", turn % length));
            let last = turns.map(|turn| watch.note(&turn, CENT)).last();
            prop_assert!(last.flatten().is_some());
        }
    }
}
