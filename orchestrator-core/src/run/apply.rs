//! The fold: how each event changes a run. The only code that changes it, live and in replay.

use super::{
    Changed, ReplayError, Run, RunStatus,
    state::{Current, TaskState},
};
use crate::{
    error::{ErrorClass, Failure},
    event::{ArtifactRef, Event, NextAttempt, Recorded, RunCreated},
    graph::Graph,
    id::{AttemptNumber, Epoch, Sequence, TaskName},
    port::{AttemptRow, AttemptStatus, SpendRow},
    schedule::ReadyQueue,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Spend},
};
use std::collections::BTreeSet;

/// The run that the first event of a log creates.
pub(super) fn first(events: &[Recorded]) -> Result<Run, ReplayError> {
    let first = events.first().ok_or(ReplayError::Empty)?;
    let Event::RunCreated(created) = &first.event else {
        return Err(ReplayError::NoCreation);
    };
    if first.seq != Sequence(1) {
        return Err(ReplayError::Gap { expected: Sequence(1), found: first.seq });
    }
    Run::begin((**created).clone(), first.at)
        .map_err(|reason| ReplayError::Mismatch { seq: first.seq, reason })
}

impl Run {
    /// The state right after creation.
    pub(super) fn begin(created: RunCreated, at: Timestamp) -> Result<Self, String> {
        let graph = Graph::of(&created.workflow).map_err(|cycle| cycle.to_string())?;
        let tasks: Vec<TaskState> = (0..graph.len())
            .map(|place| {
                TaskState::new(u32::try_from(graph.needs(place).count()).unwrap_or(u32::MAX))
            })
            .collect();
        let places =
            created.workflow.tasks.iter().enumerate().map(|(i, t)| (t.name.clone(), i)).collect();
        let settled = (0..tasks.len()).filter(|&place| tasks[place].unmet == 0).collect();
        let mut changed = Changed::default();
        changed.tasks.extend(0..tasks.len());
        Ok(Self {
            open: tasks.len(),
            created,
            graph,
            places,
            tasks,
            status: RunStatus::Running,
            seq: Sequence(1),
            created_at: at,
            ended_at: None,
            epoch: Epoch(0),
            usage: Default::default(),
            cost: Cost::default(),
            running: 0,
            failed: 0,
            cancelled: false,
            draining: false,
            settled,
            ready: ReadyQueue::default(),
            waiting: BTreeSet::new(),
            effects: Vec::new(),
            changed,
        })
    }

    pub(super) fn replay_one(&mut self, recorded: &Recorded) -> Result<(), ReplayError> {
        let expected = self.seq.next();
        if recorded.seq != expected {
            return Err(ReplayError::Gap { expected, found: recorded.seq });
        }
        self.apply(recorded).map_err(|reason| ReplayError::Mismatch { seq: recorded.seq, reason })
    }

    /// Changes the state as `recorded` says.
    ///
    /// An error means that the event cannot follow from the state; the state may be half changed
    /// then and must not be used.
    pub(super) fn apply(&mut self, recorded: &Recorded) -> Result<(), String> {
        self.seq = recorded.seq;
        let at = recorded.at;
        match &recorded.event {
            Event::RunCreated(_) => Err("the run exists already".into()),
            Event::AttemptStarted { task, attempt, epoch, agent } => {
                let place = self.find(task)?;
                self.attempt_started(place, *attempt, *epoch, agent.clone(), at)
            }
            Event::AttemptLogged { task, .. } => self.find(task).map(drop),
            Event::AttemptSucceeded { task, attempt, output, spend, artifacts } => {
                let place = self.find(task)?;
                let current = self.attempt_ended(place, *attempt)?;
                self.note_end(
                    place,
                    &current,
                    at,
                    AttemptStatus::Succeeded,
                    None,
                    spend,
                    artifacts,
                );
                let state = &mut self.tasks[place];
                state.output = Some(output.clone());
                state.error = None;
                self.end(place, TaskStatus::Succeeded, at);
                Ok(())
            }
            Event::AttemptFailed { task, attempt, failure, next } => {
                let place = self.find(task)?;
                self.attempt_failed(place, *attempt, failure, *next, at)
            }
            Event::TaskSkipped { task, .. } => {
                let place = self.find(task)?;
                self.must_be_open(place)?;
                self.end(place, TaskStatus::Skipped, at);
                Ok(())
            }
            Event::TaskCancelled { task } => {
                let place = self.find(task)?;
                self.must_be_open(place)?;
                self.end(place, TaskStatus::Cancelled, at);
                Ok(())
            }
            Event::TaskFailed { task, failure } => {
                let place = self.find(task)?;
                if self.tasks[place].current.is_some() {
                    return Err(format!("an attempt of `{task}` is under way"));
                }
                self.tasks[place].error = Some(failure.clone());
                if self.tasks[place].status == TaskStatus::Succeeded {
                    self.reopen(place);
                }
                self.end(place, TaskStatus::Failed, at);
                Ok(())
            }
            Event::RevisionRequested { by, number, feedback, reopened } => {
                let judge = self.find(by)?;
                self.tasks[judge].revisions = *number;
                for (index, name) in reopened.iter().enumerate() {
                    let place = self.find(name)?;
                    if !self.tasks[place].status.is_final() {
                        return Err(format!("`{name}` is open already"));
                    }
                    self.reopen(place);
                    let state = &mut self.tasks[place];
                    state.failures = 0;
                    state.error = None;
                    state.output = None;
                    if index == 0 {
                        state.feedback.push(feedback.clone());
                    }
                }
                for name in reopened {
                    let place = self.find(name)?;
                    if self.tasks[place].unmet == 0 {
                        self.settled.push(place);
                    }
                }
                Ok(())
            }
            Event::CancelRequested { .. } => {
                self.cancelled = true;
                self.status = RunStatus::Cancelling;
                Ok(())
            }
            Event::RunRecovered { .. } => Ok(()),
            Event::RunEnded { status } => {
                if self.open > 0 {
                    return Err(format!("{} tasks are still open", self.open));
                }
                self.status = *status;
                self.ended_at = Some(at);
                Ok(())
            }
        }
    }

    pub(super) fn find(&self, task: &TaskName) -> Result<usize, String> {
        self.places.get(task).copied().ok_or_else(|| format!("the run has no task `{task}`"))
    }

    fn must_be_open(&self, place: usize) -> Result<(), String> {
        match self.tasks[place].status.is_final() {
            true => Err(format!("`{}` has ended", self.created.workflow.tasks[place].name)),
            false => Ok(()),
        }
    }

    fn attempt_started(
        &mut self,
        place: usize,
        attempt: AttemptNumber,
        epoch: Epoch,
        agent: crate::id::AgentName,
        at: Timestamp,
    ) -> Result<(), String> {
        self.must_be_open(place)?;
        let name = &self.created.workflow.tasks[place].name;
        if self.tasks[place].current.is_some() || attempt.0 != self.tasks[place].attempts + 1 {
            return Err(format!("attempt {attempt} of `{name}` cannot start now"));
        }
        if epoch <= self.epoch {
            return Err(format!("epoch {epoch} is not newer than {}", self.epoch));
        }
        self.epoch = epoch;
        self.running += 1;
        let name = name.clone();
        let state = &mut self.tasks[place];
        if let Some(due) = state.due.take() {
            self.waiting.remove(&(due, place));
        }
        state.status = TaskStatus::Running;
        state.attempts = attempt.0;
        state.started_at.get_or_insert(at);
        state.last_agent = Some(agent.clone());
        state.current = Some(Current { attempt, epoch, agent: agent.clone(), started_at: at });
        self.changed.tasks.insert(place);
        self.changed.rows.attempts.push(AttemptRow {
            run: self.created.run.clone(),
            task: name,
            number: attempt,
            epoch,
            agent,
            status: AttemptStatus::Running,
            started_at: at,
            ended_at: None,
            error: None,
            usage: Default::default(),
            cost: Cost::default(),
            artifacts: Vec::new(),
        });
        Ok(())
    }

    /// Takes the attempt that is under way, which must be that one.
    fn attempt_ended(&mut self, place: usize, attempt: AttemptNumber) -> Result<Current, String> {
        let name = &self.created.workflow.tasks[place].name;
        match self.tasks[place].current.take() {
            Some(current) if current.attempt == attempt => {
                self.running -= 1;
                Ok(current)
            }
            _ => Err(format!("attempt {attempt} of `{name}` is not under way")),
        }
    }

    fn attempt_failed(
        &mut self,
        place: usize,
        attempt: AttemptNumber,
        failure: &Failure,
        next: Option<NextAttempt>,
        at: Timestamp,
    ) -> Result<(), String> {
        let current = self.attempt_ended(place, attempt)?;
        let stopped = failure.class == ErrorClass::Cancelled;
        let status = if stopped { AttemptStatus::Cancelled } else { AttemptStatus::Failed };
        self.note_end(place, &current, at, status, Some(failure), &failure.spend, &[]);
        let state = &mut self.tasks[place];
        let mut error = failure.clone();
        // Spending is counted already; the state keeps only the reason.
        error.spend = Vec::new();
        state.error = Some(error);
        match failure.class {
            ErrorClass::Crashed => state.interruptions += 1,
            // It was put down or stopped: nobody's failure.
            ErrorClass::Cancelled => {}
            _ => state.failures += 1,
        }
        match next {
            Some(next) => {
                if next.agent != state.agent {
                    state.failures = 0;
                }
                state.agent = next.agent;
                state.status = TaskStatus::Waiting;
                state.due = Some(next.at);
                self.waiting.insert((next.at, place));
            }
            None if stopped => self.end(place, TaskStatus::Cancelled, at),
            None => self.end(place, TaskStatus::Failed, at),
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one call shape for the two ends of an attempt")]
    fn note_end(
        &mut self,
        place: usize,
        current: &Current,
        at: Timestamp,
        status: AttemptStatus,
        failure: Option<&Failure>,
        spend: &[Spend],
        artifacts: &[ArtifactRef],
    ) {
        let usage = spend.iter().map(|line| line.usage).sum();
        let cost: Cost = spend.iter().collect();
        self.usage += usage;
        spend.iter().for_each(|line| self.cost.add(line));
        let state = &mut self.tasks[place];
        state.usage += usage;
        spend.iter().for_each(|line| state.cost.add(line));
        self.changed.tasks.insert(place);
        let (run, task) =
            (self.created.run.clone(), self.created.workflow.tasks[place].name.clone());
        self.changed.rows.spend.extend(spend.iter().map(|line| SpendRow {
            run: run.clone(),
            task: task.clone(),
            attempt: current.attempt,
            agent: current.agent.clone(),
            provider: line.provider.clone(),
            model: line.model.clone(),
            requests: line.requests,
            usage: line.usage,
            cost: line.cost,
            at,
        }));
        self.changed.rows.attempts.push(AttemptRow {
            run,
            task,
            number: current.attempt,
            epoch: current.epoch,
            agent: current.agent.clone(),
            status,
            started_at: current.started_at,
            ended_at: Some(at),
            error: failure.cloned(),
            usage,
            cost,
            artifacts: artifacts.to_vec(),
        });
    }

    /// The task has ended; whoever waits only for it is settled.
    fn end(&mut self, place: usize, status: TaskStatus, at: Timestamp) {
        let state = &mut self.tasks[place];
        state.status = status;
        state.ended_at = Some(at);
        if let Some(due) = state.due.take() {
            self.waiting.remove(&(due, place));
        }
        self.open -= 1;
        self.failed += u32::from(status == TaskStatus::Failed);
        self.changed.tasks.insert(place);
        for dependent in self.graph.dependents(place) {
            let waiting = &mut self.tasks[dependent];
            waiting.unmet -= 1;
            if waiting.unmet == 0 && waiting.status == TaskStatus::Pending {
                self.settled.push(dependent);
            }
        }
    }

    /// An ended task is open again; whoever needs it waits again, unless it runs or has ended.
    fn reopen(&mut self, place: usize) {
        self.open += 1;
        self.failed -= u32::from(self.tasks[place].status == TaskStatus::Failed);
        self.tasks[place].status = TaskStatus::Pending;
        self.tasks[place].ended_at = None;
        self.changed.tasks.insert(place);
        for dependent in self.graph.dependents(place) {
            let waiting = &mut self.tasks[dependent];
            waiting.unmet += 1;
            if waiting.status == TaskStatus::Ready {
                waiting.status = TaskStatus::Pending;
                self.changed.tasks.insert(dependent);
            }
        }
    }
}
