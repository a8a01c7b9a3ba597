//! The keeper of an engine: one task beside all drivers that renews the leases, looks for mail,
//! takes parked runs up when they are due, and sees to concurrency groups.
//!
//! It lives as long as the engine has runs.

use super::{LEASE_TTL, Shared, driver::Input};
use crate::{
    id::{Epoch, RunId},
    port::StoreError,
    time::Timestamp,
};
use futures_util::{StreamExt, stream};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinHandle;

/// How often groups are asked for that another engine has.
const GROUPS: Duration = Duration::from_millis(200);

/// For how long, at least, a large value is kept that nobody needs.
const VALUES: Duration = Duration::from_secs(1);

/// How many leases are renewed at once.
const AT_ONCE: usize = 64;

impl Shared {
    /// Sees to it that there is a keeper.
    pub(super) fn keep(self: &Arc<Self>) {
        if self.runs.wants_keeper() {
            tokio::spawn(Keeper::new(self.clone()).work());
        }
    }
}

struct Keeper {
    shared: Arc<Shared>,
    mail_at: Timestamp,
    renew_at: Timestamp,
    groups_at: Timestamp,
    values_at: Timestamp,
    /// The renewal under way, if the store is slow.
    renewal: Option<JoinHandle<()>>,
    /// Whether parked runs were told that the engine goes down.
    told: bool,
}

impl Keeper {
    fn new(shared: Arc<Shared>) -> Self {
        let now = shared.clock.now();
        Self {
            mail_at: now,
            renew_at: now.after(LEASE_TTL / 3),
            groups_at: now.after(GROUPS),
            values_at: now.after(VALUES),
            renewal: None,
            told: false,
            shared,
        }
    }

    async fn work(mut self) {
        let mut interrupted = self.shared.interrupted.subscribe();
        while !self.dismissed() {
            let now = self.shared.clock.now();
            let goes_down = *interrupted.borrow_and_update();
            if goes_down && !self.told {
                self.told = true;
                self.put_down().await;
                continue;
            }
            if now >= self.renew_at {
                self.renew_at = now.after(LEASE_TTL / 3);
                if self.renewal.as_ref().is_none_or(JoinHandle::is_finished) {
                    let renewal = renew(self.shared.clone(), now.after(LEASE_TTL));
                    self.renewal = Some(tokio::spawn(renewal));
                }
            }
            if now >= self.mail_at {
                self.look_for_mail().await;
                self.mail_at = self.shared.clock.now().after(self.shared.mail_every);
            }
            for run in self.shared.runs.due(now) {
                self.shared.deliver(&run, Input::Wake);
            }
            let probe = self.shared.gate.next_probe();
            if probe.is_some_and(|at| at <= now) {
                self.shared.probe(now);
            }
            if now >= self.values_at {
                self.values_at = now.after(VALUES);
                self.shared.values.forget_unused();
            }
            if now >= self.groups_at {
                self.groups_at = now.after(GROUPS);
                self.shared.settle_groups(true).await;
            }
            let due = self.shared.runs.next_due();
            let next = [Some(self.mail_at), Some(self.renew_at), due, probe.filter(|at| *at > now)];
            let next = next.into_iter().flatten().min().unwrap_or(self.mail_at);
            tokio::select! {
                biased;
                _ = interrupted.changed(), if !self.told => {}
                () = self.shared.gate.groups.notified() => self.shared.settle_groups(false).await,
                () = self.shared.runs.stir.notified() => {}
                () = self.shared.clock.until(next) => {}
            }
        }
    }

    /// Whether nothing is left to keep.
    fn dismissed(&self) -> bool {
        let dismissed = self.shared.runs.dismiss_keeper();
        if dismissed {
            self.shared.values.forget_all();
        }
        dismissed
    }

    async fn look_for_mail(&self) {
        let last = self.shared.mail.load(Ordering::Relaxed);
        match self.shared.store.mail(last).await {
            Ok(mail) => {
                self.shared.mail.store(mail.last, Ordering::Relaxed);
                for run in mail.runs {
                    self.shared.deliver(&run, Input::Mail);
                }
            }
            Err(error) => tracing::warn!(%error, "it could not be looked for mail"),
        }
    }

    /// The engine goes down: parked runs are given back; those that somebody waits for are taken up
    /// once more, since what is waited for is a report.
    async fn put_down(&self) {
        for (run, epoch) in self.shared.runs.parked() {
            if self.shared.runs.is_awaited(&run) {
                self.shared.deliver(&run, Input::Wake);
                continue;
            }
            if let Err(error) = self.shared.store.release(&run, epoch).await {
                tracing::warn!(%run, %error, "the lease could not be given back");
            }
            self.shared.forget(&run);
            self.shared.runs.remove(&run, || unawaited(&run));
        }
    }
}

fn unawaited(run: &RunId) -> super::registry::Outcome {
    Err(super::EngineError::Internal(format!("run `{run}` was put down while nobody waited")))
}

/// Renews every lease of the engine. A run whose lease is lost is put down.
async fn renew(shared: Arc<Shared>, expires: Timestamp) {
    let leases = shared.runs.leases();
    stream::iter(leases)
        .for_each_concurrent(AT_ONCE, |(run, epoch): (RunId, Epoch)| {
            let shared = &shared;
            async move {
                match shared.store.renew(&run, epoch, expires).await {
                    // Not created yet, or gone in between.
                    Ok(()) | Err(StoreError::NoSuchRun(_)) => {}
                    Err(error @ StoreError::Fenced { .. }) => {
                        shared.deliver(&run, Input::Unkept(Box::new(error)));
                    }
                    // The next time is soon enough: a lease lasts three of them.
                    Err(error) => tracing::warn!(%run, %error, "a lease could not be renewed"),
                }
            }
        })
        .await;
}
