//! The runs of an engine: which are driven, which are parked, who waits for them.
//!
//! A run that waits for people, time or children alone needs no driver and no memory: it is parked,
//! which leaves a small entry here, and taken up from its log when something comes for it. Its lease
//! is kept meanwhile.

use super::{EngineError, children::Ward, driver::Input, report::RunReport};
use crate::{
    id::{Epoch, RunId},
    run::RunStatus,
    time::Timestamp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// What a waiter gets.
pub(super) type Outcome = Result<RunReport, EngineError>;

/// The runs of an engine.
#[derive(Default)]
pub(super) struct Registry {
    table: Mutex<Table>,
    /// Told when the keeper has something new to look at.
    pub(super) stir: Notify,
    /// Told when a run is parked or gone.
    settled: Notify,
}

#[derive(Default)]
struct Table {
    entries: BTreeMap<RunId, Entry>,
    /// Parked runs by when they are due.
    due: BTreeSet<(Timestamp, RunId)>,
    /// How many are not parked.
    driven: usize,
    /// Whether a keeper looks after them.
    kept: bool,
}

struct Entry {
    epoch: Epoch,
    parent: Option<RunId>,
    seat: Seat,
    status: watch::Sender<RunStatus>,
    waiters: Vec<oneshot::Sender<Outcome>>,
}

enum Seat {
    /// A driver has it, or will as soon as it is loaded.
    Driven(mpsc::UnboundedSender<Input>),
    Parked {
        due: Option<Timestamp>,
        wards: Box<[Ward]>,
    },
}

/// The driver's ends of a new entry.
pub(super) struct Place {
    pub(super) inbox: mpsc::UnboundedSender<Input>,
    pub(super) incoming: mpsc::UnboundedReceiver<Input>,
    pub(super) status: watch::Sender<RunStatus>,
}

/// A parked run that has to be taken up.
pub(super) struct Revived {
    pub(super) epoch: Epoch,
    pub(super) place: Place,
    pub(super) wards: Box<[Ward]>,
}

/// What became of an input.
pub(super) enum Delivery {
    /// The engine does not have the run.
    Unknown,
    /// Its driver will see it.
    Done,
    /// The run was parked: the caller drives it from here on, the input waits in its inbox.
    Revive(Box<Revived>),
}

/// What the starter of a run listens to.
pub(super) struct Listener {
    pub(super) outcome: oneshot::Receiver<Outcome>,
    pub(super) status: watch::Receiver<RunStatus>,
}

impl Registry {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for `run`, unless the engine has it already.
    pub(super) fn reserve(&self, run: &RunId, parent: Option<&RunId>) -> Option<Place> {
        let mut table = self.table();
        if table.entries.contains_key(run) {
            return None;
        }
        let (inbox, incoming) = mpsc::unbounded_channel();
        let status = watch::Sender::new(RunStatus::Running);
        let entry = Entry {
            epoch: Epoch(0),
            parent: parent.cloned(),
            seat: Seat::Driven(inbox.clone()),
            status: status.clone(),
            waiters: Vec::new(),
        };
        table.entries.insert(run.clone(), entry);
        table.driven += 1;
        Some(Place { inbox, incoming, status })
    }

    /// Notes under which lease the run is driven and whose child it is.
    pub(super) fn admit(&self, run: &RunId, epoch: Epoch, parent: Option<&RunId>) {
        if let Some(entry) = self.table().entries.get_mut(run) {
            entry.epoch = epoch;
            entry.parent = parent.cloned();
        }
    }

    /// One more who waits for the end of `run`.
    pub(super) fn listen(&self, run: &RunId) -> Option<Listener> {
        let mut table = self.table();
        let entry = table.entries.get_mut(run)?;
        let (sender, outcome) = oneshot::channel();
        entry.waiters.push(sender);
        Some(Listener { outcome, status: entry.status.subscribe() })
    }

    /// The epoch of the lease under which `run` is driven here.
    pub(super) fn epoch(&self, run: &RunId) -> Epoch {
        self.table().entries.get(run).map_or(Epoch(0), |entry| entry.epoch)
    }

    pub(super) fn contains(&self, run: &RunId) -> bool {
        self.table().entries.contains_key(run)
    }

    /// Whether somebody waits for the end of `run`.
    pub(super) fn is_awaited(&self, run: &RunId) -> bool {
        self.table()
            .entries
            .get(run)
            .is_some_and(|entry| entry.waiters.iter().any(|waiter| !waiter.is_closed()))
    }

    /// Puts `input` into the inbox of `run`.
    pub(super) fn deliver(&self, run: &RunId, input: Input) -> Delivery {
        let mut table = self.table();
        let Table { entries, due, driven, .. } = &mut *table;
        let Some(entry) = entries.get_mut(run) else {
            return Delivery::Unknown;
        };
        match &mut entry.seat {
            Seat::Driven(inbox) => {
                // A driver that has just failed has nothing left to do with it.
                let _ = inbox.send(input);
                Delivery::Done
            }
            Seat::Parked { due: at, wards } => {
                if let Some(at) = at.take() {
                    due.remove(&(at, run.clone()));
                }
                let wards = std::mem::take(wards);
                let (inbox, incoming) = mpsc::unbounded_channel();
                let _ = inbox.send(input);
                entry.seat = Seat::Driven(inbox.clone());
                *driven += 1;
                let place = Place { inbox, incoming, status: entry.status.clone() };
                Delivery::Revive(Box::new(Revived { epoch: entry.epoch, place, wards }))
            }
        }
    }

    /// Parks `run` until `due` or until something comes for it, unless something has come by now or
    /// `may_rest` says no.
    pub(super) fn park(
        &self,
        run: &RunId,
        due: Option<Timestamp>,
        wards: &[Ward],
        incoming: &mpsc::UnboundedReceiver<Input>,
        may_rest: impl FnOnce() -> bool,
    ) -> bool {
        let mut table = self.table();
        // Whoever delivers holds the table, so what is not there now comes after.
        if !incoming.is_empty() || !may_rest() {
            return false;
        }
        let Some(entry) = table.entries.get_mut(run) else {
            return false;
        };
        entry.seat = Seat::Parked { due, wards: wards.into() };
        // Whoever stopped waiting for its end takes no room for it.
        entry.waiters.retain(|waiter| !waiter.is_closed());
        entry.waiters.shrink_to_fit();
        table.driven -= 1;
        if let Some(at) = due {
            table.due.insert((at, run.clone()));
        }
        drop(table);
        self.stir.notify_one();
        self.settled.notify_waiters();
        true
    }

    /// Takes `run` out and tells those who wait for it.
    pub(super) fn remove(&self, run: &RunId, outcome: impl FnOnce() -> Outcome) {
        let Some(waiters) = self.take(run) else {
            return;
        };
        let mut open = waiters.into_iter().filter(|waiter| !waiter.is_closed()).peekable();
        let mut outcome = open.peek().is_some().then(outcome);
        while let Some(waiter) = open.next() {
            let told = if open.peek().is_some() { outcome.clone() } else { outcome.take() };
            if let Some(told) = told {
                let _ = waiter.send(told);
            }
        }
        self.settled.notify_waiters();
    }

    fn take(&self, run: &RunId) -> Option<Vec<oneshot::Sender<Outcome>>> {
        let mut table = self.table();
        let entry = table.entries.remove(run)?;
        match entry.seat {
            Seat::Driven(_) => table.driven -= 1,
            Seat::Parked { due: Some(at), .. } => {
                table.due.remove(&(at, run.clone()));
            }
            Seat::Parked { due: None, .. } => {}
        }
        Some(entry.waiters)
    }

    /// The parked runs that are due at `now`.
    pub(super) fn due(&self, now: Timestamp) -> Vec<RunId> {
        let table = self.table();
        table.due.iter().take_while(|(at, _)| *at <= now).map(|(_, run)| run.clone()).collect()
    }

    /// When the next parked run is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.table().due.first().map(|(at, _)| *at)
    }

    /// The leases that the engine holds.
    pub(super) fn leases(&self) -> Vec<(RunId, Epoch)> {
        let table = self.table();
        let held = table.entries.iter().filter(|(_, entry)| entry.epoch > Epoch(0));
        held.map(|(run, entry)| (run.clone(), entry.epoch)).collect()
    }

    /// The parked runs with their leases.
    pub(super) fn parked(&self) -> Vec<(RunId, Epoch)> {
        let table = self.table();
        let parked =
            table.entries.iter().filter(|(_, entry)| matches!(entry.seat, Seat::Parked { .. }));
        parked.map(|(run, entry)| (run.clone(), entry.epoch)).collect()
    }

    /// Whether a keeper has to be started; from then on there is one.
    pub(super) fn wants_keeper(&self) -> bool {
        !std::mem::replace(&mut self.table().kept, true)
    }

    /// Whether the keeper may go: nothing is left to keep.
    pub(super) fn dismiss_keeper(&self) -> bool {
        let mut table = self.table();
        if !table.entries.is_empty() {
            return false;
        }
        table.kept = false;
        true
    }

    /// How many runs are driven, and how many parked.
    pub(super) fn counts(&self) -> (usize, usize) {
        let table = self.table();
        (table.driven, table.entries.len() - table.driven)
    }

    /// Waits until no run is driven: each has ended, is parked, or was put down.
    pub(super) async fn idle(&self) {
        loop {
            let mut settled = std::pin::pin!(self.settled.notified());
            settled.as_mut().enable();
            if self.table().driven == 0 {
                return;
            }
            settled.await;
        }
    }
}
