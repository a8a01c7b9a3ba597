//! From inputs to durable events: what has come is turned into commands, the run decides, and what
//! it decided is appended.

use super::{
    EngineError,
    attempt::{Ended, Provider},
    desk::Desk,
    driver::{BEAT, Driver, Input, Order, PUBLISH},
    seat,
};
use crate::{
    command::{AttemptKey, Command, Moment, Rejected},
    error::{ErrorClass, Failure},
    event::{Event, Recorded},
    id::{Sequence, TaskName},
    port::{Append, Rows, Signal, StoreError},
};
use std::{future::poll_fn, pin::pin, sync::Arc};

impl Driver {
    /// Turns inputs into commands; what an attempt said comes before how it ended.
    pub(super) fn take(&mut self, inputs: &mut Vec<Input>) -> Result<(), EngineError> {
        for input in inputs.drain(..) {
            match input {
                Input::Ended(ended) => self.take_end(*ended),
                Input::Durable(command, told) => {
                    self.orders.push(Order { command: *command, told: Some(told), cached: None });
                }
                Input::Summons(summons) => self.take_summons(*summons),
                Input::Judged(judged) => self.take_judged(&judged.0, judged.1),
                Input::Command(command) => self.orders.push((*command).into()),
                Input::Done(commands) => {
                    self.pending -= 1;
                    while self.aside.try_join_next().is_some() {}
                    self.orders.extend((*commands)?.into_iter().map(Order::from));
                }
                Input::Solved(commands) => {
                    self.pending -= 1;
                    self.solving -= 1;
                    while self.aside.try_join_next().is_some() {}
                    self.solve();
                    self.orders.extend((*commands)?.into_iter().map(Order::from));
                }
                Input::BroughtUp(child) => self.brought_up(&child),
                // The run has ended, and has given its lease back by that.
                Input::Unkept(error) => match *error {
                    StoreError::Fenced { .. } if self.run.status().is_final() => {}
                    error => return Err(error.into()),
                },
                Input::Mail => self.mail = true,
                Input::Wake => {
                    self.woken = true;
                    self.orders.push(Command::Tick.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn take_end(&mut self, ended: Ended) {
        let Ended { mut command, cached, provider } = ended;
        let (Command::FinishAttempt { attempt, .. }
        | Command::FailAttempt { attempt, .. }
        | Command::RejectWork { attempt, .. }) = &command
        else {
            return self.orders.push(command.into());
        };
        let attempt = attempt.clone();
        let Some(mut supervised) = self.attempts.remove(&attempt) else {
            return self.orders.push(command.into());
        };
        self.orders.extend(log_of(&attempt, &supervised.desk).map(Order::from));
        let mut outcome = Some(Ok(()));
        if let Command::FailAttempt { failure, .. } = &command {
            outcome = Some(Err(failure.class));
            // An attempt that was cut off has not failed: its task goes on when the run does.
            if failure.class == ErrorClass::Cancelled && supervised.desk.told().is_passing() {
                let failure = failure.clone();
                command = Command::PutDownAttempt { attempt, failure };
            }
        } else if let Command::FinishAttempt { cached: Some(_), .. } = &command {
            // The provider was not asked.
            outcome = None;
        }
        match provider {
            Provider::AsTheAttempt => {}
            Provider::Answered => outcome = Some(Ok(())),
            Provider::NotAsked => outcome = None,
        }
        self.leave_seat(&mut supervised, outcome);
        self.orders.push(Order { command, told: None, cached });
    }

    pub(super) async fn read_mail(&mut self) -> Result<(), EngineError> {
        match self.shared.store.signals(self.run.id(), self.run.signal()).await {
            Ok(signals) => {
                let commands = signals
                    .into_iter()
                    .map(|record| Command::Signal { number: record.number, signal: record.signal });
                self.orders.extend(commands.map(Order::from));
                Ok(())
            }
            Err(error @ StoreError::Unavailable { .. }) => {
                tracing::warn!(%error, "the inbox could not be read; it is tried again");
                let (inbox, shared) = (self.inbox.clone(), self.shared.clone());
                self.aside(async move {
                    shared.clock.until(shared.clock.now().after(BEAT)).await;
                    let _ = inbox.send(Input::Mail);
                    Ok(Vec::new())
                });
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Decides, makes durable, and only then lets effects be performed.
    pub(super) async fn carry_out(&mut self, orders: Vec<Order>) -> Result<(), EngineError> {
        let expected = self.run.seq();
        let mut events: Vec<Recorded> = Vec::new();
        let mut told = Vec::new();
        let mut cached = Vec::new();
        let now = self.shared.clock.now();
        for order in &orders {
            // A person has seen to the account: the same agent tries again, not the next one.
            if let Command::Signal { signal: Signal::Reply { task, .. }, .. } = &order.command {
                self.mend_accounts_of(task);
            }
        }
        let unwanted = {
            let mut pass = self.shared.gate.pass(now);
            // Before tasks that have yet to begin: what was made holds others up.
            let (summons, attempts) = (&mut self.summons, &mut self.attempts);
            let unwanted = seat::admit(summons, attempts, self.run.id(), &mut pass);
            for order in orders {
                let moment = Moment { now, draw: self.shared.ids.draw() };
                let outcome = match self.run.handle(order.command, moment, &mut pass) {
                    Ok(more) => {
                        events.extend(more);
                        cached.extend(order.cached.map(|cached| *cached));
                        Ok(())
                    }
                    Err(rejected) => {
                        if let Rejected::Stale(_) = &rejected {
                            tracing::debug!(%rejected, "a late write was rejected");
                        }
                        Err(Failure::new(ErrorClass::Cancelled, rejected.to_string()))
                    }
                };
                told.extend(order.told.map(|told| (told, outcome)));
            }
            unwanted
        };
        unwanted.iter().for_each(|counted| self.shared.left(self.run.id(), counted, None));
        if !events.is_empty() {
            let mut rows = self.run.take_rows();
            rows.cached.append(&mut cached);
            self.append(expected, events, rows).await?;
            self.idle_since = now;
        }
        for (told, outcome) in told {
            // Whoever is gone does not need to know.
            let _ = told.send(outcome);
        }
        self.wards.retain(|ward| ward.is_awaited(&self.run));
        if self.publish_at.is_none() && self.run.held_up() != self.published {
            self.publish_at = Some(now.after(PUBLISH));
        }
        Ok(())
    }

    pub(super) async fn append(
        &mut self,
        expected: Sequence,
        events: Vec<Recorded>,
        rows: Rows,
    ) -> Result<(), EngineError> {
        let (run, epoch) = (self.run.id().clone(), self.epoch);
        let append = Arc::new(Append { run, epoch, expected, rows, events });
        let mut written = pin!(self.shared.append(&append));
        let mut waits = false;
        poll_fn(|context| {
            let done = written.as_mut().poll(context);
            waits |= done.is_pending();
            done
        })
        .await?;
        self.waits_for_commits = waits;
        if !append.events.is_empty() {
            self.shared.tell(self.run.id(), &append.events);
            self.mend_accounts(&append.events);
        }
        Ok(())
    }

    /// Nobody here asks about refused accounts any more: others may try.
    pub(super) fn abandon_accounts(&self) {
        let refused = |error: &Failure| error.class == ErrorClass::Auth;
        for task in self.run.tasks().filter(|task| task.error().is_some_and(refused)) {
            for judge in self.run.judges_for(task.place()) {
                self.shared.account_mended(&self.provider(judge));
            }
            if let Some(agent) = self.run.task_row(task.place()).and_then(|row| row.agent) {
                self.shared.account_mended(&self.provider(&agent));
            }
        }
    }

    /// An account that was refused is left alone while somebody is asked about it. Once the answer
    /// is there, or nobody is asked any more, others may try; whoever is refused again asks again.
    pub(super) fn mend_accounts(&self, events: &[Recorded]) {
        for recorded in events {
            let task = match &recorded.event {
                Event::PersonAnswered { task, .. }
                | Event::TaskCancelled { task }
                | Event::TaskFailed { task, .. } => task,
                Event::AttemptFailed { task, failure, ask: None, .. }
                    if failure.class == ErrorClass::Auth =>
                {
                    task
                }
                _ => continue,
            };
            self.mend_accounts_of(task);
        }
    }

    /// Whichever of its agents was refused: by now another one may have taken over.
    pub(super) fn mend_accounts_of(&self, task: &TaskName) {
        if let Some(place) = self.run.place(task.as_str()) {
            for agent in self.run.agents_for(place).iter().chain(self.run.judges_for(place)) {
                self.shared.account_mended(&self.provider(agent));
            }
        }
    }
}

pub(super) fn log_of(key: &AttemptKey, desk: &Desk) -> Option<Command> {
    let (lines, dropped) = desk.said()?;
    Some(Command::LogAttempt { attempt: key.clone(), lines, dropped })
}
