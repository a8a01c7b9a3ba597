//! Taking what is in the inbox of a run that nobody drives, without starting anything.

use crate::{
    OrchestratorService, ServiceError, clock::now, programs::LedgerReckoner, service::Opened,
};
use orchestrator_core::{
    command::{Command, Moment, Rejected},
    effect::Effect,
    engine::{LEASE_TTL, SystemIds},
    event::Content,
    id::{RunId, Sequence},
    port::{Append, Ids, Lease, Reckoner, Signal, StoreError},
    run::{Run, RunStatus},
    schedule::Open,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

impl OrchestratorService {
    /// Takes everything that is in the inbox of `run`: its lease is claimed, the wishes are recorded
    /// with all that follows from them, and the lease is given back. Nothing is started; who resumes
    /// the run starts what can be.
    ///
    /// # Errors
    /// Somebody drives the run, or the store failed.
    pub(crate) async fn take_inbox(
        &self,
        opened: &Opened,
        run: &RunId,
    ) -> Result<(), ServiceError> {
        let row = opened.run(run).await?;
        if row.status.is_final() {
            return Ok(());
        }
        let over = opened.log().lease(run).await.map_err(|error| opened.failed(error))?;
        let over = match over {
            Some(lease) if self.is_driven(opened, &row).await? => {
                return Err(self.driven(run, &lease));
            }
            lease => lease.map(|lease| lease.epoch),
        };
        let (owner, expires) = (self.owner_id()?, now().after(LEASE_TTL));
        let claimed = opened.log().claim(run, &owner, now(), expires, over).await;
        let lease = claimed.map_err(|error| match error {
            StoreError::LeaseHeld { run, lease } => self.driven(&run, &lease),
            error => opened.failed(error),
        })?;
        let outcome = self.handle_inbox(opened, run, &lease).await;
        let released = opened.log().release(run, lease.epoch).await;
        let parent = outcome?;
        released.map_err(|error| opened.failed(error))?;
        if let Some(parent) = parent {
            let signal = Signal::ChildEnded { run: run.clone() };
            let told = opened.log().signal(&parent, signal, now()).await;
            told.map_err(|error| opened.failed(error))?;
        }
        Ok(())
    }

    /// Handles the inbox under `lease`; returns the run that waits for this one, when it has ended.
    async fn handle_inbox(
        &self,
        opened: &Opened,
        id: &RunId,
        lease: &Lease,
    ) -> Result<Option<RunId>, ServiceError> {
        let events = opened.events(id, Sequence(0)).await?;
        let mut run = Run::replay(&events).map_err(|error| {
            opened.failed(StoreError::Damaged(format!("cannot replay run `{id}`: {error}")))
        })?;
        drop(events);
        run.drain();
        // What is to be done outside is done again by whoever takes the run up.
        drop(run.take_effects());
        let pending = opened.log().signals(id, run.signal()).await;
        let mut commands: VecDeque<Command> = pending
            .map_err(|error| opened.failed(error))?
            .into_iter()
            .map(|record| Command::Signal { number: record.number, signal: record.signal })
            .collect();
        let mut recovered = false;
        loop {
            let Some(command) = commands.pop_front() else {
                // Attempts whose process is gone must be over before the run can be. Only then: a
                // wish alone does not take anything up.
                let ending = matches!(run.status(), RunStatus::Cancelling);
                if !ending || recovered {
                    break;
                }
                recovered = true;
                self.settle_the_dead(opened).await?;
                let (reckoner, mut spent) = (LedgerReckoner(opened.clone()), BTreeMap::new());
                for attempt in run.attempts_under_way() {
                    let lines = reckoner.spent(id, &attempt).await;
                    spent.insert(attempt.task, lines.map_err(|error| opened.failed(error))?);
                }
                commands.push_back(Command::Recover { lease: lease.epoch, spent });
                continue;
            };
            let expected = run.seq();
            let moment = Moment { now: now(), draw: SystemIds.draw() };
            let events = match run.handle(command, moment, &mut Open) {
                Ok(events) => events,
                Err(Rejected::Ended | Rejected::Late) => continue,
                Err(rejected) => return Err(ServiceError::Internal(rejected.to_string())),
            };
            if !events.is_empty() {
                let rows = run.take_rows();
                let epoch = lease.epoch;
                let append = Append { run: id.clone(), epoch, expected, events, rows };
                let append = opened.log().append(Arc::new(append)).await;
                append.map_err(|error| opened.failed(error))?;
            }
            for effect in run.take_effects() {
                if let Effect::Send { run: other, signal } = effect {
                    commands.extend(self.pass_on(opened, other, signal).await?);
                }
            }
        }
        let parent = run.created().parent.clone();
        Ok(parent.filter(|_| run.status().is_final()))
    }

    /// Passes a wish on to a child. When nobody drives that either, it is taken at once; what has
    /// ended then is told.
    async fn pass_on(
        &self,
        opened: &Opened,
        child: RunId,
        signal: Signal,
    ) -> Result<Option<Command>, ServiceError> {
        match opened.log().signal(&child, signal, now()).await {
            // A child that was never made has nothing to be told.
            Ok(()) | Err(StoreError::NoSuchRun(_)) => {}
            Err(error) => return Err(opened.failed(error)),
        }
        let row = opened.catalog().run(&child).await.map_err(|error| opened.failed(error))?;
        let Some(row) = row else { return Ok(ended(child, RunStatus::Cancelled)) };
        if !row.status.is_final() {
            if self.is_driven(opened, &row).await? {
                return Ok(None);
            }
            Box::pin(self.take_inbox(opened, &child)).await?;
        }
        let status = opened.run(&child).await?.status;
        Ok(ended(child, status))
    }
}

/// That a child has ended, if it has.
fn ended(run: RunId, status: RunStatus) -> Option<Command> {
    status.is_final().then(|| Command::EndChild {
        run,
        status,
        output: Content::Inline(Value::Null),
        reason: None,
    })
}
