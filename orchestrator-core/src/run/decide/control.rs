//! What people and other runs ask: signals, cancelling, pausing, stopping one task, recovery.

use super::{super::Run, Deciding};
use crate::{
    command::{AttemptKey, Rejected},
    effect::Effect,
    error::{ErrorClass, Failure},
    event::{AskKind, Event, Reply, SkipReason, Verdict},
    id::{Epoch, TaskName},
    money::MicroUsd,
    port::Signal,
    task::TaskStatus,
    usage::Spend,
};
use std::collections::BTreeMap;

/// Who approves what was stopped by a budget, when the budget is another.
const BY_BUDGET: &str = "budget";

impl Run {
    pub(super) fn take_signal(
        &mut self,
        number: u64,
        signal: Signal,
        to: &mut Deciding<'_>,
    ) -> Result<(), Rejected> {
        if number <= self.signal {
            return Err(Rejected::Late);
        }
        let refused = self.refusal(&signal);
        let taken = refused.is_none();
        self.record(to, Event::SignalTaken { number, refused });
        if !taken {
            return Ok(());
        }
        match signal {
            Signal::Cancel { reason } => self.cancel(reason, to),
            Signal::Pause { now } => self.pause(now, to),
            Signal::Resume {} => self.go_on(to),
            Signal::Budget { usd } => self.set_budget(usd, to),
            Signal::Reply { task, reply } => {
                if let Some(place) = self.place(task.as_str()) {
                    // Whether it can be taken was asked above.
                    let _ = self.reply(place, reply, to);
                }
            }
            Signal::Kill { task, reason } => {
                if let Some(place) = self.place(task.as_str()) {
                    let failure = Failure::new(ErrorClass::Cancelled, reason);
                    self.stop_task(place, failure, to);
                }
            }
            Signal::Say { task, text } => {
                if let Some(place) = self.place(task.as_str()) {
                    self.send_message(place, Some(text), false, to);
                }
            }
            Signal::Interrupt { task, text } => {
                if let Some(place) = self.place(task.as_str()) {
                    self.send_message(place, text, true, to);
                }
            }
            Signal::ChildEnded { run } => {
                if let Some(place) = self.children.get(&run).copied()
                    && let Some(key) = self.key_of(place)
                {
                    let effect = self.attend(key, place, run);
                    self.effects.push(effect);
                }
            }
        }
        Ok(())
    }

    /// Why a signal can have no effect, in words.
    fn refusal(&self, signal: &Signal) -> Option<String> {
        let place_of = |task: &TaskName| {
            let place = self.place(task.as_str());
            place.ok_or_else(|| format!("the run has no task `{task}`"))
        };
        match signal {
            Signal::Pause { .. } if !self.goes_on() => Some("the run is ending".into()),
            Signal::Pause { .. } if self.paused => Some("the run is paused already".into()),
            Signal::Resume {} if !self.paused => Some("the run is not paused".into()),
            Signal::Reply { task, reply } => match place_of(task) {
                Err(why) => Some(why),
                // Tried on a copy, which is cheap beside a person's answer.
                Ok(place) => {
                    let mut copy = self.clone();
                    let mut gate = crate::schedule::Open;
                    let (now, draw) = (self.created_at, 0);
                    let mut to = Deciding { now, draw, gate: &mut gate, events: Vec::new() };
                    copy.reply(place, reply.clone(), &mut to).err()
                }
            },
            Signal::Kill { task, .. } => match place_of(task) {
                Err(why) => Some(why),
                Ok(place) if self.tasks[place].status.is_final() => {
                    Some(format!("`{task}` has ended"))
                }
                Ok(_) => None,
            },
            Signal::Say { task, .. } | Signal::Interrupt { task, .. } => match place_of(task) {
                Err(why) => Some(why),
                Ok(place) => self.refuses_signal(place, signal).map(|refused| refused.to_string()),
            },
            Signal::Cancel { .. }
            | Signal::Pause { .. }
            | Signal::Resume {}
            | Signal::Budget { .. }
            | Signal::ChildEnded { .. } => None,
        }
    }

    pub(super) fn cancel(&mut self, reason: String, to: &mut Deciding<'_>) {
        if self.cancelled.is_some() {
            return;
        }
        self.record(to, Event::CancelRequested { reason });
        self.cancel_idle(to);
        self.stop_running();
    }

    /// The run does not go on: whatever has not begun never will.
    pub(super) fn leave_out(&mut self, to: &mut Deciding<'_>) {
        match self.cancelled {
            Some(_) => self.cancel_idle(to),
            None => self.skip_idle(&SkipReason::TimedOut, to),
        }
    }

    fn cancel_idle(&mut self, to: &mut Deciding<'_>) {
        for place in 0..self.tasks.len() {
            if self.is_idle(place) {
                let task = self.name(place);
                self.record(to, Event::TaskCancelled { task });
            }
        }
    }

    /// Tells every attempt under way to stop, and every child run to cancel.
    pub(super) fn stop_running(&mut self) {
        for place in 0..self.tasks.len() {
            self.stop_attempt(place);
        }
    }

    fn stop_attempt(&mut self, place: usize) {
        let Some(attempt) = self.key_of(place) else {
            return;
        };
        let child = self.tasks[place].current.as_ref().and_then(|current| current.child.clone());
        self.effects.push(match child {
            None => Effect::StopAttempt { attempt },
            Some(run) => {
                let reason = format!("its parent `{}` stopped it", self.created.run);
                Effect::Send { run, signal: Signal::Cancel { reason } }
            }
        });
    }

    /// Stops one task: it ends with `failure`, at once or when its attempt has stopped.
    pub(super) fn stop_task(&mut self, place: usize, failure: Failure, to: &mut Deciding<'_>) {
        let state = &self.tasks[place];
        if state.status.is_final() {
            return;
        }
        if let Some(items) = state.items()
            && state.status == TaskStatus::Running
        {
            let items = items.first..items.first + items.count as usize;
            let task = self.name(place);
            self.record(to, Event::StopRequested { task, failure: failure.clone() });
            for item in items {
                self.stop_task(item, failure.clone(), to);
            }
            return;
        }
        let task = self.name(place);
        if state.current.is_some() {
            self.record(to, Event::StopRequested { task, failure });
            return self.stop_attempt(place);
        }
        let event = match failure.class {
            ErrorClass::Cancelled => Event::TaskCancelled { task },
            _ => Event::TaskFailed { task, failure },
        };
        self.record(to, event);
    }

    fn pause(&mut self, now: bool, to: &mut Deciding<'_>) {
        self.record(to, Event::PauseRequested { now });
        self.tell_children(&Signal::Pause { now });
        if now {
            self.stop_own_attempts();
        }
    }

    fn stop_own_attempts(&mut self) {
        for place in 0..self.tasks.len() {
            let own = self.tasks[place].current.as_ref().is_some_and(|c| c.child.is_none());
            if own {
                self.stop_attempt(place);
            }
        }
    }

    fn go_on(&mut self, to: &mut Deciding<'_>) {
        self.record(to, Event::RunResumed {});
        self.tell_children(&Signal::Resume {});
    }

    /// Tries again what a budget has stopped, here and in the runs below, which count to it.
    fn set_budget(&mut self, usd: Option<MicroUsd>, to: &mut Deciding<'_>) {
        self.record(to, Event::BudgetSet { usd });
        for place in 0..self.tasks.len() {
            let state = &self.tasks[place];
            let stopped = state.ask().is_some_and(|ask| ask.kind == AskKind::Failure)
                && state.error().is_some_and(|error| error.class == ErrorClass::OverBudget);
            if stopped {
                let reply = Reply::new(Verdict::Approved, BY_BUDGET);
                // A task that asks about a failure takes a yes.
                let _ = self.reply(place, reply, to);
            }
        }
        self.tell_children(&Signal::Budget { usd: None });
    }

    fn tell_children(&mut self, signal: &Signal) {
        for run in self.children.keys().cloned() {
            self.effects.push(Effect::Send { run, signal: signal.clone() });
        }
    }

    /// Its driver has died: attempts under way are lost, child runs are not.
    pub(super) fn recover(
        &mut self,
        lease: Epoch,
        mut spent: BTreeMap<TaskName, Vec<Spend>>,
        to: &mut Deciding<'_>,
    ) {
        self.record(to, Event::RunRecovered { lease });
        self.asked.clear();
        self.settled.append(&mut self.held_back);
        for place in 0..self.tasks.len() {
            let Some(key) = self.key_of(place) else {
                continue;
            };
            let child =
                self.tasks[place].current.as_ref().and_then(|current| current.child.clone());
            if let Some(child) = child {
                let effect = self.attend(key, place, child);
                self.effects.push(effect);
                // Whether it was told is not known.
                let stopping =
                    self.tasks[place].more(|more| Some(more.is_stopping())).unwrap_or(false);
                if stopping || !self.goes_on() || self.paused {
                    let signal = match self.goes_on() && !stopping {
                        true => Signal::Pause { now: false },
                        false => Signal::Cancel { reason: "its parent stopped it".into() },
                    };
                    self.tell_child(place, signal);
                }
                continue;
            }
            let spent = spent.remove(&key.task).unwrap_or_default();
            self.lose(place, key, spent, to);
        }
        if self.cancelled.is_some() {
            self.cancel_idle(to);
        }
        self.start_chains_again();
        if self.goes_on() {
            self.judge_again(to);
        }
        // Ends that a crash kept from being followed.
        self.ended.extend(0..self.tasks.len());
    }

    fn tell_child(&mut self, place: usize, signal: Signal) {
        let current = self.tasks[place].current.as_ref();
        if let Some(run) = current.and_then(|current| current.child.clone()) {
            self.effects.push(Effect::Send { run, signal });
        }
    }

    fn lose(&mut self, place: usize, key: AttemptKey, spent: Vec<Spend>, to: &mut Deciding<'_>) {
        let class = if self.goes_on() { ErrorClass::Crashed } else { ErrorClass::Cancelled };
        let failure = Failure::new(class, "the process that drove the attempt has ended");
        let failure = failure.spent(spent);
        let stopping = self.tasks[place].more(|more| Some(more.is_stopping())).unwrap_or(false);
        let (next, ask) = match stopping {
            true => (None, None),
            false => self.after_failure(place, &failure, to),
        };
        let (task, attempt) = (key.task.clone(), key.attempt);
        self.record(
            to,
            Event::AttemptFailed { task, attempt, failure, next: next.map(Box::new), ask },
        );
        self.leave_place(place, key);
    }

    /// Judgements that a crash may have kept from being made: nothing has followed from them yet.
    fn judge_again(&mut self, to: &mut Deciding<'_>) {
        for place in 0..self.tasks.len() {
            let judged = self.tasks[place].status == TaskStatus::Succeeded
                && self.group_of(place).is_none()
                && self.spec(place).revise.is_some()
                && !self.tasks[place].more(|more| Some(more.accepted)).unwrap_or(false)
                && self
                    .graph
                    .dependents(place)
                    .all(|dependent| self.tasks[dependent].status == TaskStatus::Pending);
            if judged {
                self.judge(place, to);
            }
        }
    }
}
