//! The fold: how each event changes a run. The only code that changes its facts, live and in replay.

mod attempts;
mod tasks;
mod work;

use super::{Chain, Changed, ReplayError, Run, RunStatus, state::TaskState};
use crate::{
    event::{Event, Recorded, RunCreated},
    graph::Graph,
    id::{Epoch, Sequence, TaskName},
    task::TaskStatus,
    time::Timestamp,
    usage::Cost,
};
use std::collections::{BTreeMap, BTreeSet};

/// The run that the first event of a log creates.
pub(super) fn first(events: &[Recorded], changed: Changed) -> Result<Run, ReplayError> {
    let first = events.first().ok_or(ReplayError::Empty)?;
    let Event::RunCreated(created) = &first.event else {
        return Err(ReplayError::NoCreation);
    };
    if first.seq != Sequence(1) {
        return Err(ReplayError::Gap { expected: Sequence(1), found: first.seq });
    }
    let graph = Graph::of(&created.workflow).map_err(|cycle| {
        let reason = cycle.to_string();
        ReplayError::Mismatch { seq: first.seq, reason }
    })?;
    Ok(Run::begin((**created).clone(), graph, first.at, changed))
}

impl Run {
    /// The state right after creation.
    pub(super) fn begin(
        created: RunCreated,
        graph: Graph,
        at: Timestamp,
        mut changed: Changed,
    ) -> Self {
        let tasks: Vec<TaskState> = (0..graph.len())
            .map(|place| {
                TaskState::new(u32::try_from(graph.needs(place).count()).unwrap_or(u32::MAX))
            })
            .collect();
        let places =
            created.workflow.tasks.iter().enumerate().map(|(i, t)| (t.name.clone(), i)).collect();
        // They are taken from the end, so that the first of the file comes first.
        let settled = (0..tasks.len()).rev().filter(|&place| tasks[place].unmet == 0).collect();
        (0..tasks.len()).for_each(|place| changed.note(place));
        changed.estimate(created.estimate.as_deref());
        Self {
            open: tasks.len(),
            budget: created.budget,
            created,
            graph,
            places,
            latest: Default::default(),
            made: Vec::new(),
            tasks,
            retired: 0,
            more_agents: Vec::new(),
            status: RunStatus::Running,
            seq: Sequence(1),
            created_at: at,
            ended_at: None,
            epoch: Epoch(0),
            signal: 0,
            usage: Default::default(),
            cost: Cost::default(),
            running: 0,
            failed: 0,
            cancelled: None,
            paused: false,
            timed_out: false,
            compensating: None,
            undo_planned: false,
            chains: Vec::new(),
            allowances: Vec::new(),
            draining: false,
            settled,
            held_back: Vec::new(),
            asked: BTreeMap::new(),
            ended: Vec::new(),
            lanes: Vec::new(),
            lane_of: BTreeMap::new(),
            children: BTreeMap::new(),
            waiting: BTreeSet::new(),
            touching: BTreeSet::new(),
            clocks: BTreeSet::new(),
            effects: Vec::new(),
            changed,
            ready: 0,
            broken: None,
        }
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
        if self.status.is_final() {
            return Err("the run has ended".into());
        }
        self.seq = recorded.seq;
        let at = recorded.at;
        match &recorded.event {
            Event::RunCreated(_) => Err("the run exists already".into()),
            Event::AttemptStarted { .. }
            | Event::SessionKnown { .. }
            | Event::TurnRecorded { .. }
            | Event::JournalCut { .. }
            | Event::AttemptLogged { .. }
            | Event::AttemptSucceeded { .. }
            | Event::AttemptFailed { .. } => self.apply_to_attempt(&recorded.event, at),
            Event::WorkspaceOpened { .. }
            | Event::CheckpointMade { .. }
            | Event::WorkRecorded { .. }
            | Event::EvidenceRecorded { .. }
            | Event::WorkLanded { .. }
            | Event::PullRequestOpened { .. }
            | Event::LandingRefused { .. } => self.apply_to_work(&recorded.event, at),
            Event::SignalTaken { number, .. } => {
                if *number <= self.signal {
                    return Err(format!("signal {number} was taken before"));
                }
                self.signal = *number;
                Ok(())
            }
            Event::PauseRequested { .. } => {
                self.paused = true;
                Ok(())
            }
            Event::RunResumed {} => {
                self.paused = false;
                Ok(())
            }
            Event::BudgetSet { usd } => {
                self.budget = usd.or(self.budget);
                Ok(())
            }
            Event::RunTimedOut {} => {
                self.timed_out = true;
                Ok(())
            }
            Event::CancelRequested { reason } => {
                self.cancelled = Some(reason.clone());
                self.status = RunStatus::Cancelling;
                Ok(())
            }
            Event::RunRecovered { .. } => Ok(()),
            Event::CompensationBegan { task } => {
                self.compensating = Some(self.find(task)?);
                Ok(())
            }
            Event::ChainPlanned { task, index, run } => {
                let task = task.as_ref().map(|task| self.find(task)).transpose()?;
                self.chains.push(Chain { task, index: *index, run: run.clone(), started: false });
                Ok(())
            }
            Event::ChainStarted { run, .. } => {
                let chain = self.chains.iter_mut().find(|chain| chain.run == *run);
                chain.ok_or_else(|| format!("the run `{run}` was not to be started"))?.started =
                    true;
                Ok(())
            }
            Event::RunEnded { status } => {
                if self.open > 0 {
                    return Err(format!("{} tasks are still open", self.open));
                }
                self.status = *status;
                self.ended_at = Some(at);
                Ok(())
            }
            event => self.apply_to_task(event, at),
        }
    }

    pub(super) fn find(&self, task: &TaskName) -> Result<usize, String> {
        self.place(task.as_str()).ok_or_else(|| format!("the run has no task `{task}`"))
    }

    pub(super) fn must_be_open(&self, place: usize) -> Result<(), String> {
        match self.tasks[place].status.is_final() {
            true => Err(format!("`{}` has ended", self.name(place))),
            false => Ok(()),
        }
    }

    /// The task has ended; whoever waits only for it is settled.
    pub(super) fn end(&mut self, place: usize, status: TaskStatus, at: Timestamp) {
        self.forget_clocks(place);
        self.unready(place);
        let state = &mut self.tasks[place];
        state.status = status;
        state.ended_at = Some(at);
        state.ended_seq = self.seq;
        if let Some(more) = &mut state.more {
            more.asks.clear();
            more.stop = None;
            more.delayed = false;
        }
        state.forget_journal();
        self.open -= 1;
        self.asked.remove(&place);
        self.changed.note(place);
        self.ended.push(place);
        if let Some(group) = self.group_of(place) {
            let ended_well = status == TaskStatus::Succeeded;
            if let Some(items) = self.tasks[group].more_mut().items.as_mut() {
                items.open -= 1;
                items.failed += u32::from(!ended_well);
            }
            // Its numbers are in the row of the group.
            self.changed.note(group);
            return;
        }
        self.failed += u32::from(status == TaskStatus::Failed);
        let mut resumed: Vec<usize> = Vec::new();
        for dependent in self.graph.dependents(place) {
            let waiting = &mut self.tasks[dependent];
            waiting.unmet -= 1;
            if waiting.unmet > 0 {
                continue;
            }
            match waiting.status {
                TaskStatus::Pending => self.settled.push(dependent),
                // It was between two attempts when what it needs was opened again: whether it goes
                // on is decided like a beginning.
                TaskStatus::Waiting => {
                    if let Some(due) = waiting.due() {
                        self.waiting.insert((due, dependent));
                        self.settled.push(dependent);
                    }
                }
                TaskStatus::Running => resumed.push(dependent),
                _ => {}
            }
        }
        for group in resumed {
            self.go_on_with_items(group);
        }
    }

    /// Items that waited while something that their `for-each` needs was open again go on.
    fn go_on_with_items(&mut self, group: usize) {
        let Some(items) = self.tasks[group].items() else {
            return;
        };
        for item in (items.first..items.first + items.count as usize).rev() {
            match self.tasks[item].status {
                TaskStatus::Pending => self.settled.push(item),
                TaskStatus::Waiting => {
                    if let Some(due) = self.tasks[item].due() {
                        self.waiting.insert((due, item));
                        self.settled.push(item);
                    }
                }
                _ => {}
            }
        }
    }

    /// The task is not among those that could start any more.
    pub(super) fn unready(&mut self, place: usize) {
        self.ready -= usize::from(self.tasks[place].status == TaskStatus::Ready);
    }

    /// Forgets when the task is due and what ends it at an instant.
    pub(super) fn forget_clocks(&mut self, place: usize) {
        let Some(more) = &mut self.tasks[place].more else {
            return;
        };
        if let Some(due) = more.due.take() {
            self.waiting.remove(&(due, place));
        }
        if let Some(at) = more.deadline.take() {
            self.clocks.remove(&(at, place, super::Clock::Deadline));
        }
        for at in more.asks.iter().filter_map(|asked| asked.ask.expires) {
            self.clocks.remove(&(at, place, super::Clock::Ask));
        }
    }
}
