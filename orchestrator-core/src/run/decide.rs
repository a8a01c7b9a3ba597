//! The decisions: which events follow from a command.

use super::{Run, RunStatus, TaskState};
use crate::{
    agent::AgentSpec,
    command::{AttemptKey, Command, Moment, Rejected},
    effect::Effect,
    error::{ErrorClass, Failure},
    event::{Content, Event, NextAttempt, Recorded, RunCreated, SkipReason},
    expr,
    id::{ProjectId, RunId, TenantId},
    money::MicroUsd,
    policy::{self, RetryDecision},
    port::Feedback,
    task::{Binding, OnFailure, TaskStatus},
    time::Timestamp,
    workflow::Workflow,
};
use serde_json::{Map, Value, json};
use std::{path::PathBuf, sync::Arc};

/// What a run is started with.
#[derive(Debug, Clone)]
pub struct StartRun {
    /// The definition.
    pub workflow: Arc<Workflow>,
    /// The inputs: an object, as [`Workflow::bind_inputs`] gives it.
    pub inputs: Value,
    /// Where the definition came from.
    pub source: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its project.
    pub project: ProjectId,
    /// The project's directory.
    pub directory: PathBuf,
    /// The most that it may cost.
    pub budget: Option<MicroUsd>,
    /// The most attempts at once; at least 1.
    pub max_parallel: u32,
    /// The run that starts it.
    pub parent: Option<RunId>,
}

impl StartRun {
    /// A run of `workflow` without inputs, in the current directory, four attempts at once.
    pub fn new(workflow: Arc<Workflow>) -> Self {
        Self {
            max_parallel: workflow.max_parallel.unwrap_or(4),
            budget: workflow.budget,
            workflow,
            inputs: Value::Object(Map::new()),
            source: "code".into(),
            tenant: TenantId::default(),
            project: ProjectId::default(),
            directory: PathBuf::from("."),
            parent: None,
        }
    }
}

impl Run {
    /// Creates a run; its first attempts are started in the same breath.
    ///
    /// `bindings` has one entry a task, in the order of the workflow, each with at least one agent.
    ///
    /// # Errors
    /// In words, what the workflow or the bindings lack; [`Workflow::check`] tells it before.
    pub fn create(
        run: RunId,
        start: StartRun,
        bindings: Vec<Binding>,
        agents: Vec<AgentSpec>,
        moment: Moment,
    ) -> Result<(Self, Vec<Recorded>), String> {
        for (place, task) in start.workflow.tasks.iter().enumerate() {
            match bindings.get(place) {
                Some(binding) if binding.task == task.name && !binding.agents.is_empty() => {}
                _ => return Err(format!("the task `{}` is bound to no agent", task.name)),
            }
        }
        let created = RunCreated {
            run,
            tenant: start.tenant,
            project: start.project,
            directory: start.directory,
            workflow: start.workflow,
            source: start.source,
            inputs: Arc::new(start.inputs),
            bindings,
            agents,
            budget: start.budget,
            max_parallel: start.max_parallel.max(1),
            parent: start.parent,
        };
        let mut this = Self::begin(created.clone(), moment.now)?;
        let mut events = vec![Recorded {
            seq: this.seq,
            at: moment.now,
            event: Event::RunCreated(Box::new(created)),
        }];
        this.advance(moment.now, &mut events);
        Ok((this, events))
    }

    /// Carries out `command`: returns the events that follow, already applied.
    ///
    /// They must be made durable, in order, before the [effects](Run::take_effects) are performed;
    /// when that fails this value is ahead of the log and must be dropped.
    ///
    /// # Errors
    /// [`Rejected`]; nothing has changed then.
    pub fn handle(&mut self, command: Command, moment: Moment) -> Result<Vec<Recorded>, Rejected> {
        if self.status.is_final() {
            return Err(Rejected::Ended);
        }
        let now = moment.now;
        let mut events = Vec::new();
        match command {
            Command::Tick => {}
            Command::LogAttempt { attempt, lines, dropped } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(
                    now,
                    Event::AttemptLogged { task, attempt, lines, dropped },
                    &mut events,
                );
            }
            Command::FinishAttempt { attempt, output, spend, artifacts } => {
                let place = self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                let succeeded = Event::AttemptSucceeded { task, attempt, output, spend, artifacts };
                self.record(now, succeeded, &mut events);
                if !self.cancelled {
                    self.judge(place, now, &mut events);
                }
            }
            Command::FailAttempt { attempt, failure } => {
                let place = self.under_way(&attempt)?;
                let next = self.after_failure(place, &failure, moment);
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(
                    now,
                    Event::AttemptFailed { task, attempt, failure, next },
                    &mut events,
                );
            }
            Command::PutDownAttempt { attempt, failure } => {
                let place = self.under_way(&attempt)?;
                let failure = Failure { class: ErrorClass::Cancelled, ..failure };
                let next = (!self.cancelled)
                    .then(|| NextAttempt { at: now, agent: self.tasks[place].agent });
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(
                    now,
                    Event::AttemptFailed { task, attempt, failure, next },
                    &mut events,
                );
            }
            Command::Cancel { reason } => {
                if !self.cancelled {
                    self.record(now, Event::CancelRequested { reason }, &mut events);
                    self.cancel_idle(now, &mut events);
                    self.stop_running();
                }
            }
            Command::Recover { lease } => {
                self.record(now, Event::RunRecovered { lease }, &mut events);
                self.lose_attempts(moment, &mut events);
                if self.cancelled {
                    self.cancel_idle(now, &mut events);
                }
            }
        }
        self.advance(now, &mut events);
        Ok(events)
    }

    /// The place of the task whose attempt `key` is under way.
    fn under_way(&self, key: &AttemptKey) -> Result<usize, Rejected> {
        let stale = || Rejected::Stale(key.clone());
        let place = self.places.get(&key.task).copied().ok_or_else(stale)?;
        match &self.tasks[place].current {
            Some(current) if current.attempt == key.attempt && current.epoch == key.epoch => {
                Ok(place)
            }
            _ => Err(stale()),
        }
    }

    /// Records one event: applies it and adds it to what must be made durable.
    fn record(&mut self, at: Timestamp, event: Event, events: &mut Vec<Recorded>) {
        let recorded = Recorded { seq: self.seq.next(), at, event };
        let applied = self.apply(&recorded);
        debug_assert_eq!(applied, Ok(()), "a decision contradicts the fold: {recorded:?}");
        events.push(recorded);
    }

    fn name(&self, place: usize) -> crate::id::TaskName {
        self.created.workflow.tasks[place].name.clone()
    }

    fn after_failure(
        &self,
        place: usize,
        failure: &Failure,
        moment: Moment,
    ) -> Option<NextAttempt> {
        if self.cancelled {
            return None;
        }
        let state = &self.tasks[place];
        let crashed = u32::from(failure.class == ErrorClass::Crashed);
        let others = self.created.bindings[place].agents.len().saturating_sub(state.agent + 1);
        let decision = policy::decide(
            &self.created.workflow.tasks[place].retry,
            failure,
            state.failures + 1 - crashed,
            state.interruptions + crashed,
            others,
            moment.now,
            moment.draw,
        );
        match decision {
            RetryDecision::Again(at) => Some(NextAttempt { at, agent: state.agent }),
            RetryDecision::FailOver => Some(NextAttempt { at: moment.now, agent: state.agent + 1 }),
            RetryDecision::GiveUp => None,
        }
    }

    /// Every attempt under way died with the process that drove it.
    fn lose_attempts(&mut self, moment: Moment, events: &mut Vec<Recorded>) {
        for place in 0..self.tasks.len() {
            let Some(current) = &self.tasks[place].current else {
                continue;
            };
            let attempt = current.attempt;
            let class = if self.cancelled { ErrorClass::Cancelled } else { ErrorClass::Crashed };
            let failure = Failure::new(class, "the process that drove the attempt has ended");
            let next = self.after_failure(place, &failure, moment);
            let task = self.name(place);
            self.record(moment.now, Event::AttemptFailed { task, attempt, failure, next }, events);
        }
    }

    fn cancel_idle(&mut self, now: Timestamp, events: &mut Vec<Recorded>) {
        for place in 0..self.tasks.len() {
            let state = &self.tasks[place];
            if state.current.is_none() && !state.status.is_final() {
                let task = self.name(place);
                self.record(now, Event::TaskCancelled { task }, events);
            }
        }
    }

    fn stop_running(&mut self) {
        for place in 0..self.tasks.len() {
            if let Some(current) = &self.tasks[place].current {
                let (attempt, epoch) = (current.attempt, current.epoch);
                let attempt = AttemptKey { task: self.name(place), attempt, epoch };
                self.effects.push(Effect::StopAttempt { attempt });
            }
        }
    }

    /// Accepts what the task at `place` has judged, or sends it back.
    fn judge(&mut self, place: usize, now: Timestamp, events: &mut Vec<Recorded>) {
        let Some(revise) = self.created.workflow.tasks[place].revise.clone() else {
            return;
        };
        let task = self.name(place);
        let accepted = expr::decide(&revise.unless, &self.scope(&revise.unless));
        let failure = match accepted {
            Ok(true) => return,
            Err(error) => Failure::new(ErrorClass::InvalidRequest, error.to_string()),
            Ok(false) if self.tasks[place].revisions < revise.max => {
                let event = Event::RevisionRequested {
                    by: task.clone(),
                    number: self.tasks[place].revisions + 1,
                    feedback: Feedback {
                        from: task.to_string(),
                        message: feedback_of(self.tasks[place].output.as_ref()),
                    },
                    reopened: self.between(&revise.task, place),
                };
                return self.record(now, event, events);
            }
            Ok(false) => Failure::new(
                ErrorClass::CheckFailed,
                format!("`{}` was not accepted after {} revisions", revise.task, revise.max),
            ),
        };
        self.record(now, Event::TaskFailed { task, failure }, events);
    }

    /// The tasks on the ways from `target` to the task at `judge`, in an order that respects needs.
    fn between(&self, target: &crate::id::TaskName, judge: usize) -> Vec<crate::id::TaskName> {
        let Some(target) = self.place(target.as_str()) else {
            return Vec::new();
        };
        let after = self.graph.downstream(target);
        let before = self.graph.upstream(judge);
        self.graph
            .order()
            .iter()
            .copied()
            .filter(|&place| {
                place == target
                    || place == judge
                    || (after.contains(&place) && before.contains(&place))
            })
            .map(|place| self.name(place))
            .collect()
    }

    /// What a condition of this run can see: the inputs, and the tasks that it names.
    fn scope(&self, condition: &str) -> Value {
        let tasks = expr::tasks_in(condition)
            .into_iter()
            .filter_map(|name| {
                let task = self.task(self.place(&name)?)?;
                let output = task.output().and_then(Content::inline).cloned();
                Some((name, task.as_seen(output.unwrap_or_default())))
            })
            .collect();
        expr::scope((*self.created.inputs).clone(), tasks)
    }

    /// Skips, readies and starts whatever can be, and ends the run when nothing is open.
    fn advance(&mut self, now: Timestamp, events: &mut Vec<Recorded>) {
        if !self.cancelled {
            loop {
                while let Some(place) = self.settled.pop() {
                    self.settle(place, now, events);
                }
                if self.draining || !self.start_next(now, events) {
                    break;
                }
            }
        }
        if self.open == 0 && !self.status.is_final() {
            let status = match (self.cancelled, self.has_failed()) {
                (true, _) => RunStatus::Cancelled,
                (false, true) => RunStatus::Failed,
                (false, false) => RunStatus::Succeeded,
            };
            self.record(now, Event::RunEnded { status }, events);
        }
    }

    /// All that the task needs has ended: it is skipped, fails, or gets ready.
    fn settle(&mut self, place: usize, now: Timestamp, events: &mut Vec<Recorded>) {
        let state = &self.tasks[place];
        if state.status != TaskStatus::Pending || state.unmet > 0 {
            return;
        }
        let task = self.name(place);
        let blocker = self.graph.needs(place).find(|&need| !self.lets_on(need));
        if let Some(need) = blocker {
            let reason = SkipReason::Needs { task: self.name(need) };
            return self.record(now, Event::TaskSkipped { task, reason }, events);
        }
        if let Some(when) = self.created.workflow.tasks[place].when.clone() {
            match expr::decide(&when, &self.scope(&when)) {
                Ok(true) => {}
                Ok(false) => {
                    let reason = SkipReason::When;
                    return self.record(now, Event::TaskSkipped { task, reason }, events);
                }
                Err(error) => {
                    let failure = Failure::new(ErrorClass::InvalidRequest, error.to_string());
                    return self.record(now, Event::TaskFailed { task, failure }, events);
                }
            }
        }
        self.make_ready(place);
    }

    fn make_ready(&mut self, place: usize) {
        // Since when it could start is told by its needs, so that replay queues it as live did.
        let since = self.graph.needs(place).filter_map(|need| self.tasks[need].ended_at).max();
        self.tasks[place].status = TaskStatus::Ready;
        self.changed.tasks.insert(place);
        let priority = self.created.workflow.tasks[place].priority;
        self.ready.push(place, priority, since.unwrap_or(self.created_at));
    }

    /// Whether the end of the task at `place` lets those that need it go on.
    fn lets_on(&self, place: usize) -> bool {
        match self.tasks[place].status {
            TaskStatus::Succeeded => true,
            TaskStatus::Failed => {
                self.created.workflow.tasks[place].on_failure == OnFailure::Continue
            }
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Running
            | TaskStatus::Waiting
            | TaskStatus::Skipped
            | TaskStatus::Cancelled => false,
        }
    }

    /// Starts one attempt, if a place is free and something is ready or due.
    fn start_next(&mut self, now: Timestamp, events: &mut Vec<Recorded>) -> bool {
        if self.running >= self.created.max_parallel as usize {
            return false;
        }
        // Those that have been tried are due before those that have not: they hold others up longer.
        let due = self.waiting.first().copied().filter(|(at, _)| *at <= now);
        let place = match due {
            Some((_, place)) => place,
            None => loop {
                match self.ready.pop() {
                    None => return false,
                    Some(place) if self.tasks[place].status == TaskStatus::Ready => break place,
                    Some(_) => {}
                }
            },
        };
        let state: &TaskState = &self.tasks[place];
        let key = AttemptKey {
            task: self.name(place),
            attempt: crate::id::AttemptNumber(state.attempts + 1),
            epoch: self.epoch.next(),
        };
        let agents = &self.created.bindings[place].agents;
        let agent = agents[state.agent.min(agents.len() - 1)].clone();
        let event = Event::AttemptStarted {
            task: key.task.clone(),
            attempt: key.attempt,
            epoch: key.epoch,
            agent: agent.clone(),
        };
        self.record(now, event, events);
        self.effects.push(Effect::StartAttempt { attempt: key, place, agent });
        true
    }

    /// After a replay: tasks that were ready when the log ended are so again. Those that were to be
    /// skipped have been, in the same batch as what settled them.
    pub(super) fn settle_replayed(&mut self) {
        for place in std::mem::take(&mut self.settled) {
            let state = &self.tasks[place];
            if state.status == TaskStatus::Pending && state.unmet == 0 && !self.cancelled {
                self.make_ready(place);
            }
        }
        self.forget_changes();
    }
}

impl super::TaskView<'_> {
    /// What expressions see of this task, given its output.
    pub fn as_seen(&self, output: Value) -> Value {
        json!({
            "output": output,
            "status": self.status().as_str(),
            "attempts": self.attempts(),
            "cost": self.cost().known.0 as f64 / 1e6,
            "verified": Value::Null,
            "diff": Value::Null,
            "error": self.error().map(|error| error.message.clone()),
        })
    }
}

/// What a judgement says to whoever must do the work again.
fn feedback_of(output: Option<&Content>) -> String {
    match output.and_then(Content::inline) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) => match map.get("feedback") {
            Some(Value::String(text)) => text.clone(),
            _ => Value::Object(map.clone()).to_string(),
        },
        Some(other) => other.to_string(),
        None => "the work was not accepted".into(),
    }
}
