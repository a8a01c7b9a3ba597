//! The driver of one run: commands in, events made durable, effects performed.

use super::{
    EngineError, LEASE_TTL, STOP_GRACE, Shared,
    attempt::Plan,
    host::{Host, Pending},
    report::RunReport,
};
use crate::{
    command::{AttemptKey, Command, Moment, Rejected},
    effect::Effect,
    error::{ErrorClass, Failure},
    event::Recorded,
    id::{AgentName, Epoch, Sequence},
    port::{Append, Signal, StoreError},
    run::Run,
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use tracing::Instrument;

/// How often the inbox of the run is looked into and logs are made durable.
const BEAT: Duration = Duration::from_millis(200);

/// The most commands that are made durable together.
const BATCH: usize = 1_024;

/// What reaches a driver.
#[derive(Debug)]
pub(super) enum Input {
    /// An attempt ended, or has something to say.
    Attempt(Box<Command>),
    /// What an attempt made cannot be kept.
    Unkept(StoreError),
    /// Stop the run.
    Cancel {
        /// Who or why.
        reason: String,
    },
}

/// An attempt that the driver supervises. Dropping it stops the attempt at once.
struct Supervised {
    stop: watch::Sender<bool>,
    task: AbortHandle,
    pending: Arc<Mutex<Pending>>,
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) struct Driver {
    shared: Arc<Shared>,
    run: Run,
    epoch: Epoch,
    inbox: mpsc::UnboundedSender<Input>,
    incoming: mpsc::UnboundedReceiver<Input>,
    attempts: BTreeMap<AttemptKey, Supervised>,
    renew_at: Timestamp,
    beat_at: Timestamp,
    last_signal: u64,
}

/// Why the driver woke up.
enum Woken {
    Inputs,
    Clock,
    Interrupted,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        run: Run,
        epoch: Epoch,
        inbox: mpsc::UnboundedSender<Input>,
        incoming: mpsc::UnboundedReceiver<Input>,
    ) -> Self {
        let now = shared.clock.now();
        Self {
            renew_at: now.after(LEASE_TTL / 3),
            beat_at: now.after(BEAT),
            shared,
            run,
            epoch,
            inbox,
            incoming,
            attempts: BTreeMap::new(),
            last_signal: 0,
        }
    }

    /// Drives the run to its end, or until the engine is interrupted.
    pub(super) async fn drive(mut self) -> Result<RunReport, EngineError> {
        let span = tracing::info_span!("run", run = %self.run.id(), workflow = %self.run.created().workflow.name);
        async move {
            let outcome = self.work().await;
            // The run's end is durable; a lease that cannot be given back lapses by itself.
            if outcome.is_ok()
                && let Err(error) = self.shared.store.release(self.run.id(), self.epoch).await
            {
                tracing::warn!(%error, "the lease could not be given back");
            }
            outcome
        }
        .instrument(span)
        .await
    }

    async fn work(&mut self) -> Result<RunReport, EngineError> {
        let mut interrupted = self.shared.interrupted.subscribe();
        let mut inputs = Vec::new();
        self.perform();
        while !self.run.status().is_final() {
            let wake = self.run.next_wake().map_or(self.beat_at, |at| at.min(self.beat_at));
            let woken = tokio::select! {
                biased;
                _ = interrupted.wait_for(|stop| *stop) => Woken::Interrupted,
                _ = self.incoming.recv_many(&mut inputs, BATCH) => Woken::Inputs,
                () = self.shared.clock.until(wake) => Woken::Clock,
            };
            let now = self.shared.clock.now();
            let mut commands = Vec::new();
            match woken {
                Woken::Interrupted => return self.put_down().await,
                Woken::Inputs => self.take(&mut inputs, &mut commands)?,
                Woken::Clock => commands.push(Command::Tick),
            }
            if now >= self.beat_at {
                self.beat_at = now.after(BEAT);
                self.beat(now, &mut commands).await?;
            }
            self.carry_out(commands).await?;
        }
        Ok(RunReport::of(&self.run, false))
    }

    /// Turns inputs into commands; what an attempt said comes before how it ended.
    fn take(
        &mut self,
        inputs: &mut Vec<Input>,
        commands: &mut Vec<Command>,
    ) -> Result<(), EngineError> {
        for input in inputs.drain(..) {
            match input {
                Input::Cancel { reason } => commands.push(Command::Cancel { reason }),
                Input::Unkept(error) => return Err(error.into()),
                Input::Attempt(command) => {
                    if let Command::FinishAttempt { attempt, .. }
                    | Command::FailAttempt { attempt, .. } = &*command
                        && let Some(ended) = self.attempts.remove(attempt)
                    {
                        commands.extend(log_of(attempt, &ended.pending));
                    }
                    commands.push(*command);
                }
            }
        }
        Ok(())
    }

    /// What is done from time to time: the lease, the inbox, the logs of running attempts.
    async fn beat(
        &mut self,
        now: Timestamp,
        commands: &mut Vec<Command>,
    ) -> Result<(), EngineError> {
        let run = self.run.id().clone();
        if now >= self.renew_at {
            self.renew_at = now.after(LEASE_TTL / 3);
            self.shared.store.renew(&run, self.epoch, now.after(LEASE_TTL)).await?;
        }
        for signal in self.shared.store.signals(&run, self.last_signal).await? {
            self.last_signal = signal.number;
            match signal.signal {
                Signal::Cancel { reason } => commands.push(Command::Cancel { reason }),
            }
        }
        for (key, attempt) in &self.attempts {
            commands.extend(log_of(key, &attempt.pending));
        }
        Ok(())
    }

    /// Decides, makes durable, performs: in that order.
    async fn carry_out(&mut self, commands: Vec<Command>) -> Result<(), EngineError> {
        let expected = self.run.seq();
        let mut events: Vec<Recorded> = Vec::new();
        for command in commands {
            let moment = Moment { now: self.shared.clock.now(), draw: self.shared.ids.draw() };
            match self.run.handle(command, moment) {
                Ok(more) => events.extend(more),
                Err(Rejected::Ended) => break,
                Err(stale @ Rejected::Stale(_)) => {
                    tracing::debug!(%stale, "a late write was rejected");
                }
            }
        }
        self.commit(expected, events).await?;
        self.perform();
        Ok(())
    }

    async fn commit(
        &mut self,
        expected: Sequence,
        events: Vec<Recorded>,
    ) -> Result<(), EngineError> {
        if events.is_empty() {
            return Ok(());
        }
        let append = Append {
            run: self.run.id().clone(),
            epoch: self.epoch,
            expected,
            rows: self.run.take_rows(),
            events: events.clone(),
        };
        self.shared.store.append(append).await?;
        self.shared.tell(self.run.id(), &events);
        Ok(())
    }

    fn perform(&mut self) {
        for effect in self.run.take_effects() {
            match effect {
                Effect::StartAttempt { attempt, place, agent } => {
                    self.start(attempt, place, &agent);
                }
                Effect::StopAttempt { attempt } => {
                    if let Some(running) = self.attempts.get(&attempt) {
                        running.stop.send_replace(true);
                    }
                }
            }
        }
    }

    fn start(&mut self, key: AttemptKey, place: usize, name: &AgentName) {
        // The pinned specification counts, whatever the configuration says by now.
        let pinned = self.run.created().agents.iter().find(|spec| spec.name == *name).cloned();
        let registered = self.shared.agents.get(name).cloned();
        let inbox = self.inbox.clone();
        let Some((spec, agent)) = registered else {
            let message = format!("the agent `{name}` is not set up");
            let failure = Failure::new(ErrorClass::InvalidRequest, message);
            let command = Command::FailAttempt { attempt: key, failure };
            let _ = inbox.send(Input::Attempt(Box::new(command)));
            return;
        };
        let spec = pinned.map(Arc::new).unwrap_or(spec);
        let (stop, stopped) = watch::channel(false);
        let pending = Arc::new(Mutex::new(Pending::default()));
        let host = Host {
            shared: self.shared.clone(),
            run: self.run.id().clone(),
            key: key.clone(),
            stop: stopped,
            pending: pending.clone(),
        };
        let span = tracing::info_span!(
            "attempt", task = %key.task, attempt = %key.attempt, agent = %name,
            provider = %spec.provider, model = spec.model.as_deref(),
        );
        let plan = Plan::new(&self.run, key.clone(), place, spec, agent);
        let sender = stop.clone();
        let work = async move {
            let input = match plan.perform(host, sender).await {
                Ok(command) => Input::Attempt(Box::new(command)),
                Err(error) => Input::Unkept(error),
            };
            // A driver that is gone has written what it could.
            let _ = inbox.send(input);
        };
        let task = tokio::spawn(work.instrument(span)).abort_handle();
        self.attempts.insert(key, Supervised { stop, task, pending });
    }

    /// The engine goes down: attempts are told to stop, what they still say is recorded, what they
    /// have not finished stays open for whoever resumes the run.
    async fn put_down(&mut self) -> Result<RunReport, EngineError> {
        self.run.drain();
        for attempt in self.attempts.values() {
            attempt.stop.send_replace(true);
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
            let mut commands = Vec::new();
            self.take(&mut inputs, &mut commands)?;
            // An attempt that was cut off has not failed: its task goes on when the run does.
            for command in &mut commands {
                if let Command::FailAttempt { attempt, failure } = command
                    && failure.class == ErrorClass::Cancelled
                {
                    let (attempt, failure) = (attempt.clone(), failure.clone());
                    *command = Command::PutDownAttempt { attempt, failure };
                }
            }
            self.carry_out(commands).await?;
        }
        self.attempts.clear();
        let over = self.run.status().is_final();
        Ok(RunReport::of(&self.run, !over))
    }
}

fn log_of(key: &AttemptKey, pending: &Mutex<Pending>) -> Option<Command> {
    let (lines, dropped) = pending.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(Command::LogAttempt { attempt: key.clone(), lines, dropped })
}
