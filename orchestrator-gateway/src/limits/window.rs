//! How much was used within the last minute, and when there is room for more.
//!
//! A count over a sliding minute instead of a bucket that fills: a bucket that holds a minute's worth
//! lets twice that much pass within a minute, and what was taken from it cannot be told apart from
//! what was used. Time is a number of milliseconds from any start, so that it can be made up.

use std::collections::VecDeque;

/// A minute.
const WINDOW: u64 = 60_000;

/// What is used within such a time is kept as one sum, and counts from its end: at most 241 of them.
const SLOT: u64 = 250;

/// The most that is owed, in minutes. A count that nobody can have used must not stop an account for
/// good.
const MOST_OWED: u64 = 10;

/// One limit for each minute.
#[derive(Debug)]
pub(super) struct Window {
    most: u64,
    /// By the number of their time, oldest first; none is empty.
    slots: VecDeque<(u64, u64)>,
    /// The sum of the slots; at most `most`.
    used: u64,
    /// What did not fit. It takes its place in the window as room comes, before anything else.
    owed: u64,
}

/// How something was counted, to correct it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    slot: u64,
    /// What was asked for.
    amount: u64,
    /// What is counted of it, there and as owed.
    counted: u64,
}

impl Window {
    /// A limit of `most`, at least 1.
    pub(super) fn new(most: u64) -> Self {
        Self { most: most.max(1), slots: VecDeque::new(), used: 0, owed: 0 }
    }

    /// When `amount` fits; `None` if it does at once. What is larger than the limit fits as soon as
    /// the limit itself does.
    pub(super) fn fits_at(&mut self, amount: u64, now: u64) -> Option<u64> {
        self.pass(now);
        let need = (self.owed + amount.min(self.most) + self.used).saturating_sub(self.most);
        if need == 0 {
            return None;
        }
        // What is owed fills the room that comes, and leaves a minute later.
        let (mut freed, mut later) = (0, 0);
        loop {
            for (slot, amount) in &self.slots {
                freed += amount;
                if freed >= need {
                    return Some(leaves(*slot) + later);
                }
            }
            later += WINDOW + SLOT;
            if self.slots.is_empty() || later > (MOST_OWED + 2) * WINDOW {
                return Some(now + later);
            }
        }
    }

    /// Counts `amount`, whether it fits or not.
    pub(super) fn take(&mut self, amount: u64, now: u64) -> Place {
        self.pass(now);
        let slot = now / SLOT;
        let part = amount.min(self.most - self.used);
        self.add(slot, part);
        let owed = self.owed;
        self.owe(amount - part, now);
        Place { slot, amount, counted: part + self.owed.saturating_sub(owed) }
    }

    /// Counts `amount` more than was taken.
    fn owe(&mut self, amount: u64, now: u64) {
        self.owed = self.owed.saturating_add(amount).min(self.most.saturating_mul(MOST_OWED));
        self.pass(now);
    }

    /// Corrects what was counted at `place`: it was `really` so much. More is owed, and less given back;
    /// what has left the window is not missed.
    pub(super) fn correct(&mut self, place: Place, really: u64, now: u64) {
        if really > place.amount {
            return self.owe(really - place.amount, now);
        }
        let back = place.counted.saturating_sub(really);
        let owed = back.min(self.owed);
        self.owed -= owed;
        if let Some(at) = self.slots.iter().position(|(slot, _)| *slot == place.slot) {
            let part = (back - owed).min(self.slots[at].1);
            self.slots[at].1 -= part;
            self.used -= part;
            if self.slots[at].1 == 0 {
                self.slots.remove(at);
            }
        }
        self.pass(now);
    }

    /// Lets leave what is older than a minute, and what is owed take its place.
    fn pass(&mut self, now: u64) {
        while let Some((slot, amount)) = self.slots.front().copied() {
            if leaves(slot) > now {
                break;
            }
            self.slots.pop_front();
            self.used -= amount;
            self.pay(leaves(slot));
        }
        self.pay(now);
    }

    /// Gives what is owed the room that there is at that time.
    fn pay(&mut self, at: u64) {
        let part = self.owed.min(self.most - self.used);
        self.owed -= part;
        self.add(at / SLOT, part);
    }

    fn add(&mut self, place: u64, amount: u64) {
        if amount == 0 {
            return;
        }
        self.used += amount;
        match self.slots.back_mut() {
            // A clock that went backwards is taken to stand still.
            Some((slot, sum)) if *slot >= place => *sum += amount,
            _ => self.slots.push_back((place, amount)),
        }
    }
}

/// When the sum of that number leaves the window.
fn leaves(slot: u64) -> u64 {
    (slot + 1) * SLOT + WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_used_up_comes_back_after_a_minute() {
        let mut window = Window::new(2);
        for _ in 0..2 {
            assert_eq!(window.fits_at(1, 0), None);
            window.take(1, 0);
        }
        assert_eq!(window.fits_at(1, 0), Some(60_250));
        assert_eq!(window.fits_at(1, 60_249), Some(60_250));
        assert_eq!(window.fits_at(2, 60_250), None);
    }

    #[test]
    fn what_was_not_used_is_there_at_once() {
        let mut window = Window::new(1_000);
        let place = window.take(900, 10);
        assert!(window.fits_at(200, 20).is_some());
        window.correct(place, 100, 30);
        assert_eq!(window.fits_at(900, 30), None);
        window.correct(place, 0, 30);
        window.correct(place, 0, 30);
        assert_eq!(window.fits_at(1_000, 30), None, "never more than there was");
        assert!(window.fits_at(1_001, 30).is_none(), "what is larger waits for all of it");
    }

    #[test]
    fn what_was_used_beyond_is_waited_for() {
        let mut window = Window::new(1_000);
        window.take(100, 0);
        window.owe(1_900, 0);
        // 1,000 leave after a minute, and the 1,000 that are owed take their place for another.
        assert_eq!(window.fits_at(1, 0), Some(120_500));
        assert_eq!(window.fits_at(1, 60_250), Some(120_500));
        assert_eq!(window.fits_at(1, 120_500), None);
        window.owe(u64::MAX, 120_500);
        assert_eq!(
            window.fits_at(1_000, 120_500 + 12 * 60_250),
            None,
            "no count stops it for good"
        );
    }

    #[test]
    fn what_is_larger_than_a_minute_takes_several() {
        let mut window = Window::new(10);
        assert_eq!(window.fits_at(25, 0), None);
        window.take(25, 0);
        assert_eq!(window.fits_at(5, 0), Some(120_500));
        assert_eq!(window.fits_at(6, 0), Some(180_750));
    }

    /// How long until the next call, how much it is taken to use, and how much it does.
    fn calls() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
        proptest::collection::vec((0u64..40_000, 0u64..150, 0u64..300), 1..60)
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_the_limit_and_nothing_is_lost_for_good(
            most in 1u64..120,
            calls in calls(),
        ) {
            let mut window = Window::new(most);
            let mut now = 0;
            // When, and how much of the limit was used for good; debts when they were paid.
            let mut used: Vec<(u64, u64)> = Vec::new();
            for (pause, estimate, really) in calls {
                now += pause;
                // Waits as callers do: until it fits.
                let mut rounds = 0;
                while let Some(at) = window.fits_at(estimate, now) {
                    prop_assert!(at > now, "a wait has an end");
                    now = at;
                    rounds += 1;
                    prop_assert!(rounds <= 2, "and the time told is right");
                }
                prop_assert_eq!(window.owed, 0, "nobody passes while something is owed");
                let place = window.take(estimate, now);
                let fitting = estimate.min(most);
                window.correct(place, really, now);
                used.push((now, really.min(fitting)));
                let since = now.saturating_sub(WINDOW - 1);
                let sum: u64 = used.iter().filter(|(at, _)| *at >= since).map(|(_, sum)| sum).sum();
                prop_assert!(sum <= most, "{} of {} within a minute", sum, most);
                prop_assert_eq!(window.used, window.slots.iter().map(|(_, sum)| sum).sum::<u64>());
                prop_assert!(window.slots.len() <= 242);
            }
            let later = now + (MOST_OWED + 2) * (WINDOW + SLOT);
            prop_assert_eq!(window.fits_at(most, later), None, "all of it is there again");
        }
    }
}
