//! The system's clock and chance.

use crate::{
    id::RunId,
    port::{Clock, Ids},
    time::Timestamp,
};
use async_trait::async_trait;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one seam that reads the clock")]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    async fn until(&self, at: Timestamp) {
        // A clock that is set forward must not make us oversleep by hours: look again each minute.
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_secs(60))).await;
        }
    }
}

/// Ids from the time and a generator that the operating system seeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn run_id(&self, now: Timestamp) -> RunId {
        RunId::of(now, self.draw())
    }

    fn draw(&self) -> u64 {
        fastrand::u64(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ_within_an_instant() {
        let (a, b) = (SystemIds.run_id(Timestamp(5)), SystemIds.run_id(Timestamp(5)));
        assert_ne!(a, b);
        assert!(a < SystemIds.run_id(Timestamp(6)));
        assert_eq!(a.as_str().len(), 18);
    }
}
