//! Warnings before a limit is reached.

use orchestrator_core::{
    ledger::{Standing, Unit, Window},
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};

/// The parts of a limit at which its owner is warned, in percent.
const THRESHOLDS: [u64; 3] = [50, 80, 95];

/// A limit of which a good part is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// How it stands.
    pub standing: Standing,
    /// Which part of it has been reached: 50, 80 or 95 %, or 100 % of one that does not refuse.
    pub percent: u64,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = &self.standing.limit;
        let spent = limit.unit.show(self.standing.spent());
        write!(f, "{}% of a budget are spent: {limit}, {spent} spent", self.percent)
    }
}

/// What has been told. Told again when the window of the limit has begun anew.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    /// For each limit the start of the window and the part of which it was last told.
    told: Mutex<BTreeMap<Key, (Timestamp, u64)>>,
}

/// A limit: its scope's key, its window, its unit and its amount.
type Key = (String, Window, Unit, u64);

/// How many limits are remembered; beyond that all are forgotten, and are told once more.
const MOST_TOLD: usize = 4_096;

impl Alerts {
    /// The alert that `standing` gives now, if it is a new one.
    pub(super) fn look(&self, standing: Standing, now: Timestamp) -> Option<Alert> {
        let percent = standing.percent();
        let last = if standing.limit.is_hard { None } else { Some(100) };
        let reached = THRESHOLDS.into_iter().chain(last).rfind(|part| *part <= percent)?;
        let limit = &standing.limit;
        let since = limit.window.since(now);
        let key = (limit.scope.key(), limit.window, limit.unit, limit.most);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST_TOLD {
            told.clear();
        }
        let before = told.insert(key.clone(), (since, reached));
        match before {
            Some((then, part)) if then == since && part >= reached => {
                told.insert(key, (then, part));
                None
            }
            _ => Some(Alert { standing, percent: reached }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{
        id::RunId,
        ledger::{Limit, Scope, Sums},
    };

    #[test]
    fn each_part_is_told_once_in_a_window() {
        let alerts = Alerts::default();
        let look = |spent: u64, day: u64, is_hard: bool| {
            let scope = Scope::Run(RunId::new("r_1").unwrap());
            let limit =
                Limit { scope, window: Window::Day, unit: Unit::Tokens, most: 200, is_hard };
            let used = Sums { tokens: spent, ..Sums::default() };
            let standing = Standing { limit, used, held: Sums::default() };
            let now = Timestamp(day * 86_400_000 + 5);
            alerts.look(standing, now).map(|alert| alert.percent)
        };
        let told = [99, 100, 120, 159, 160, 189, 190, 400].map(|spent| look(spent, 1, true));
        let none = None;
        assert_eq!(told, [none, Some(50), none, none, Some(80), none, Some(95), none]);
        assert_eq!(look(10, 2, true), None, "a new day");
        assert_eq!(look(195, 2, true), Some(95), "the highest alone");
        assert_eq!(look(180, 2, true), None);
        assert_eq!(look(190, 2, true), None);
        let soft = Alerts::default();
        let limit = |spent| {
            let scope = Scope::Run(RunId::new("r_1").unwrap());
            let limit =
                Limit { scope, window: Window::Total, unit: Unit::Usd, most: 10, is_hard: false };
            let used = Sums { usd: spent, ..Sums::default() };
            Standing { limit, used, held: Sums::default() }
        };
        let alert = soft.look(limit(11), Timestamp(5)).unwrap();
        assert_eq!(
            alert.to_string(),
            "100% of a budget are spent: run `r_1` may spend $0.00001 in all, $0.000011 spent"
        );
    }
}
