//! When a driver looks up, when it leaves its run alone, and how it puts it down.

use super::{
    EngineError, LOOK_AGAIN, STOP_GRACE,
    children::Ward,
    decide::log_of,
    desk::Stop,
    driver::{BATCH, BEAT, CROWD, Driver, LINGER, LINGER_IN_CROWD, Order},
};
use crate::{
    command::Command,
    effect::Effect,
    error::{ErrorClass, Failure},
    run::RunStatus,
    time::Timestamp,
};
use std::time::Duration;

impl Driver {
    /// When to look up although nothing has come.
    pub(super) fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        let beat = (!self.attempts.is_empty()).then_some(self.beat_at);
        // What keeps it from being parked then comes soon, and wakes it.
        let rests = [LINGER_IN_CROWD, LINGER].map(|linger| self.idle_since.after(linger));
        let rest = rests.into_iter().find(|at| self.rests() && *at > now);
        [self.run.next_wake(), beat, rest, self.publish_at, self.look_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// How long the run stays in memory once it only waits.
    fn linger(&self) -> Duration {
        match self.shared.runs.counts().0 > CROWD {
            true => LINGER_IN_CROWD,
            false => LINGER,
        }
    }

    /// Whether nothing is under way that needs the run in memory.
    pub(super) fn rests(&self) -> bool {
        let idle = self.attempts.is_empty() && self.pending == 0 && self.withheld.is_empty();
        idle && (self.run.resting()
            || self.run.status() == RunStatus::Paused && self.run.running() == 0)
    }

    /// Parks the run when it has only waited for a while, and will for a while.
    pub(super) fn park(&mut self, now: Timestamp) -> bool {
        let wake = self.run.next_wake();
        if !self.rests()
            || now < self.idle_since.after(self.linger())
            || wake.is_some_and(|at| at <= now.after(LINGER))
        {
            return false;
        }
        // A child that is here tells its end, or that it is not here any more.
        let here = |ward: &Ward| self.shared.runs.contains(&ward.child);
        let look_at = self.look_at.filter(|_| !self.wards.iter().all(here));
        let due = [wake, look_at].into_iter().flatten().min();
        let goes_down = || *self.shared.interrupted.borrow();
        self.shared.runs.park(self.run.id(), due, &self.wards, &self.incoming, || !goes_down())
    }

    /// Sees to it that children are looked at again.
    pub(super) fn expect_children(&mut self) {
        let later = self.shared.clock.now().after(LOOK_AGAIN);
        self.look_at.get_or_insert(later);
    }

    /// What is done from time to time: the logs of running attempts, what holds tasks up, children
    /// elsewhere.
    pub(super) async fn beat(&mut self) -> Result<(), EngineError> {
        let now = self.shared.clock.now();
        if now >= self.beat_at {
            self.beat_at = now.after(BEAT);
            for (key, attempt) in &self.attempts {
                self.orders.extend(log_of(key, &attempt.desk).map(Order::from));
            }
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_again();
            self.look_at = (!self.wards.is_empty()).then(|| now.after(LOOK_AGAIN));
        }
        if self.publish_at.is_some_and(|at| at <= now) {
            self.publish_at = None;
            self.published = self.run.held_up();
            if self.run.publish_held_up() {
                let rows = self.run.take_rows();
                self.append(self.run.seq(), Vec::new(), rows).await?;
            }
        }
        Ok(())
    }

    pub(super) fn publish_status(&self) {
        let status = self.run.status();
        self.status.send_if_modified(|known| std::mem::replace(known, status) != status);
    }

    /// The engine goes down: attempts are told to stop, what they still say is recorded, what they
    /// have not finished stays open for whoever resumes the run.
    pub(super) async fn put_down(&mut self) -> Result<(), EngineError> {
        self.run.drain();
        let mut orders = std::mem::take(&mut self.orders);
        for effect in self.run.take_effects() {
            if let Effect::StartAttempt { attempt, place, agent } = effect {
                let counted = self.counted(place, &attempt.task, &agent);
                self.shared.attempt_ended(self.run.id(), &counted, None);
                let failure = Failure::new(ErrorClass::Cancelled, "the attempt was not begun");
                orders.push(Command::PutDownAttempt { attempt, failure }.into());
            }
        }
        self.carry_out(orders).await?;
        for attempt in self.attempts.values() {
            attempt.desk.stop(Stop::PutDown);
        }
        let deadline = self.shared.clock.now().after(STOP_GRACE + Duration::from_secs(1));
        let mut inputs = Vec::new();
        while !self.attempts.is_empty() {
            let in_time = tokio::select! {
                biased;
                _ = self.incoming.recv_many(&mut inputs, BATCH) => true,
                () = self.shared.clock.until(deadline) => false,
            };
            if !in_time {
                break;
            }
            self.take(&mut inputs)?;
            let orders = std::mem::take(&mut self.orders);
            self.carry_out(orders).await?;
        }
        Ok(())
    }
}
