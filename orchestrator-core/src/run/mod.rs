//! The run: one execution of one workflow, as a fold over its events.
//!
//! [`Run::create`] and [`Run::handle`] decide: they return the events that follow from a command and
//! have already applied them. [`Run::replay`] folds stored events into the same state with the same
//! code, so that replay equals live. Nothing here waits, reads a clock, or draws a number.

mod apart;
mod behaviour;
mod carry;
mod changed;
mod decide;
mod fold;
mod made;
mod rows;
mod sight;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod why;

pub use behaviour::{Behaviour, Change};
pub use decide::{Found, StartRun, Unsteerable, find_out};
pub use sight::{Briefing, Loaded, Sight, WorkDone};
pub use state::{Answered, ReplayError, TaskView};
pub use status::RunStatus;
pub use why::{Cause, Link, OpenItems, Reason, Rule, Why};

use crate::{
    agent::AgentSpec,
    effect::{Effect, Question},
    event::{Allowance, Recorded, RunCreated},
    graph::Graph,
    id::{AgentName, Epoch, RunId, Sequence, TaskName},
    money::MicroUsd,
    port::Rows,
    schedule::{HeldUp, ReadyQueue},
    task::{Binding, TaskSpec, TaskStatus},
    time::Timestamp,
    usage::{Cost, Usage},
};
use changed::Changed;
use state::TaskState;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

/// The place of the task that was named last. Events name their task, mostly several in a row the
/// same one, and among very many tasks a name takes long to find. It is no part of a run's state.
#[derive(Default)]
struct Latest(AtomicUsize);

impl fmt::Debug for Latest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Latest")
    }
}

impl Latest {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, place: usize) {
        self.0.store(place, Ordering::Relaxed);
    }
}

impl Clone for Latest {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.get()))
    }
}

/// One execution of one workflow.
///
/// Its facts are folded from events; what is below them is derived or only holds in this process.
#[derive(Debug, Clone)]
pub struct Run {
    created: RunCreated,
    graph: Graph,
    /// Every task but items, which are found through their group.
    places: HashMap<TaskName, usize>,
    latest: Latest,
    /// The tasks beyond those of the definition, in the order in which they came.
    made: Vec<Made>,
    tasks: Vec<TaskState>,
    /// How many of them are retired.
    retired: usize,
    /// Agents that came with added tasks.
    more_agents: Vec<AgentSpec>,
    status: RunStatus,
    seq: Sequence,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    /// The last fencing token that was given to an attempt.
    epoch: Epoch,
    /// The last signal of its inbox that was taken.
    signal: u64,
    usage: Usage,
    cost: Cost,
    /// How many attempts are under way.
    running: usize,
    /// How many tasks have not ended.
    open: usize,
    /// How many tasks have failed, items left out.
    failed: u32,
    /// Why it was cancelled.
    cancelled: Option<String>,
    paused: bool,
    /// The most that it may cost now.
    budget: Option<MicroUsd>,
    timed_out: bool,
    /// The task whose failure is being compensated.
    compensating: Option<usize>,
    undo_planned: bool,
    chains: Vec<Chain>,
    /// What people have allowed for the rest of the run.
    allowances: Vec<Allowance>,

    /// Whether its driver goes down: nothing is started any more. Not a fact of the run, so no
    /// event says it.
    draining: bool,
    /// Tasks whose needs have all ended, to be looked at by the next decision.
    settled: Vec<usize>,
    /// Settled tasks that wait for a judgement that is being found out.
    held_back: Vec<usize>,
    /// What is being found out.
    asked: BTreeMap<usize, Question>,
    /// Tasks that ended and whose end something may follow from.
    ended: Vec<usize>,
    lanes: Vec<Lane>,
    lane_of: BTreeMap<LaneKey, usize>,
    /// The tasks whose attempt under way is a child run.
    children: BTreeMap<RunId, usize>,
    /// Tasks between attempts, by when the next is due.
    waiting: BTreeSet<(Timestamp, usize)>,
    /// Tasks whose attempt is under way and that say which files they touch.
    touching: BTreeSet<usize>,
    /// What ends at an instant.
    clocks: BTreeSet<(Timestamp, usize, Clock)>,
    effects: Vec<Effect>,
    changed: Changed,
    /// How many tasks could start.
    ready: usize,
    /// What a decision got wrong: nothing more is decided then.
    broken: Option<String>,
}

/// A task beyond those of the definition.
#[derive(Debug, Clone, PartialEq)]
enum Made {
    /// One item of a `for-each`.
    Item { group: usize, index: u32 },
    /// Added by a task that manages.
    Added { spec: Box<TaskSpec>, binding: Binding },
    /// Undoes another.
    Undo { of: usize, spec: Box<TaskSpec> },
}

/// A run that `then` starts.
#[derive(Debug, Clone, PartialEq)]
struct Chain {
    task: Option<usize>,
    index: u32,
    run: RunId,
    started: bool,
}

/// What ends at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Clock {
    /// What a person was asked.
    Ask,
    /// The time that a task may take.
    Deadline,
}

/// What tasks of one lane share: an agent, perhaps a group, and nothing else where a task may be
/// held up by what it touches: then it is alone.
type LaneKey = (AgentName, Option<Box<str>>, Option<usize>);

/// Ready tasks that need the same to start: an agent, and perhaps a group.
#[derive(Debug, Clone)]
struct Lane {
    agent: AgentName,
    group: Option<Box<str>>,
    queue: ReadyQueue,
    /// What held its first task up when it was last tried, and which one that was.
    held: Option<(usize, HeldUp)>,
}

impl Run {
    /// Its id.
    pub fn id(&self) -> &RunId {
        &self.created.run
    }

    /// With what it began.
    pub fn created(&self) -> &RunCreated {
        &self.created
    }

    /// From now on it works in `directory`, where its project has been moved to. Of that nothing is
    /// recorded: whoever replays it where the project is says it anew.
    #[cfg(feature = "engine")]
    pub(crate) fn work_in(&mut self, directory: std::path::PathBuf) {
        self.created.directory = directory;
    }

    /// Where it stands.
    pub fn status(&self) -> RunStatus {
        self.status
    }

    /// Its last event.
    pub fn seq(&self) -> Sequence {
        self.seq
    }

    /// The last signal of its inbox that was taken.
    pub fn signal(&self) -> u64 {
        self.signal
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What it has cost so far.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The DAG of its tasks; items and undoing tasks are in it without needs.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// How many attempts are under way.
    pub fn running(&self) -> usize {
        self.running
    }

    /// The earliest instant at which a [`Tick`](crate::command::Command::Tick) may change something.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.status.is_final() {
            return None;
        }
        let may_start = self.running < self.created.max_parallel as usize && self.may_start();
        let due = self.waiting.first().map(|(at, _)| *at).filter(|_| may_start);
        let ends = self.clocks.first().map(|(at, ..)| *at);
        [due, ends, self.deadline()].into_iter().flatten().min()
    }

    /// When it must have ended, unless it is ending already.
    fn deadline(&self) -> Option<Timestamp> {
        let limit = self.created.workflow.timeout?;
        (!self.timed_out && self.cancelled.is_none()).then(|| self.created_at.after(limit))
    }

    fn may_start(&self) -> bool {
        self.cancelled.is_none() && !self.paused && !self.timed_out && !self.draining
    }

    /// Whether nothing is under way but waits for people, time and child runs: it may be dropped
    /// from memory until [`Run::next_wake`] or a signal.
    pub fn resting(&self) -> bool {
        !self.status.is_final()
            && self.asked.is_empty()
            && self.settled.is_empty()
            && self.chains.iter().all(|chain| chain.started)
            && (self.paused || self.lanes.iter().all(|lane| lane.queue.is_empty()))
            && self.running == self.children.len()
    }

    /// The place of the task of that name.
    pub fn place(&self, name: &str) -> Option<usize> {
        let latest = self.latest.get();
        if self.is_named(latest, name) {
            return Some(latest);
        }
        let place = self.look_up(name)?;
        self.latest.set(place);
        Some(place)
    }

    fn look_up(&self, name: &str) -> Option<usize> {
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        let (group, index) = name.rsplit_once(':')?;
        let items = self.tasks[*self.places.get(group)?].items()?;
        let index: u32 = index.parse().ok()?;
        (index < items.count).then_some(items.first + index as usize)
    }

    /// The task at `place`, as others may see it.
    pub fn task(&self, place: usize) -> Option<TaskView<'_>> {
        let state = self.tasks.get(place)?;
        (!state.retired).then_some(TaskView { run: self, place })
    }

    /// Every task: those of the definition in its order, then items, added and undoing tasks in the
    /// order in which they came.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'_>> {
        (0..self.tasks.len()).filter_map(|place| self.task(place))
    }

    /// The tasks that could start and what held them up when they were last tried; of tasks that
    /// need the same, the most urgent.
    pub fn held_up(&self) -> Vec<(TaskName, HeldUp)> {
        let held = self.lanes.iter().filter_map(|lane| lane.held.as_ref());
        held.map(|(place, by)| (self.name(*place), by.clone())).collect()
    }

    /// The last child run of each task that has not succeeded: a run that does this one again lets
    /// its own children take over what these had done.
    pub fn unfinished_children(&self) -> BTreeMap<TaskName, RunId> {
        let open = self.tasks().filter(|task| task.status() != TaskStatus::Succeeded);
        open.filter_map(|task| {
            let child = task.state().more.as_ref()?.child.clone()?;
            Some((task.name(), child))
        })
        .collect()
    }

    /// Starts nothing from now on, whatever is decided: its driver goes down.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// What people have allowed for the rest of it, the oldest first.
    pub fn allowances(&self) -> &[Allowance] {
        &self.allowances
    }

    /// Takes what is to be done outside, in order. To be done only once the events that were
    /// returned so far are durable.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Folds stored events, the first of which creates the run.
    ///
    /// # Errors
    /// [`ReplayError`] when the events are not the log of a run.
    pub fn replay(events: &[Recorded]) -> Result<Self, ReplayError> {
        Self::fold(events, Changed::muted())
    }

    /// Folds stored events as [`Run::replay`] does, and gives the rows that follow from them.
    ///
    /// # Errors
    /// As for [`Run::replay`].
    pub fn rebuild(events: &[Recorded]) -> Result<(Self, Rows), ReplayError> {
        let mut run = Self::fold(events, Changed::default())?;
        let rows = run.take_rows();
        Ok((run, rows))
    }

    fn fold(events: &[Recorded], changed: Changed) -> Result<Self, ReplayError> {
        let mut run = fold::first(events, changed)?;
        for event in &events[1..] {
            run.replay_one(event)?;
        }
        run.settle_replayed();
        run.changed.unmute();
        Ok(run)
    }

    /// Every fact of the run as text, the same for the same facts: for tests that replay equals
    /// live.
    pub fn snapshot(&self) -> String {
        format!(
            "{:?} {:?} {:?} {:?} signal {} running {} open {} failed {} cancelled {:?} paused {} \
             timed-out {} compensating {:?} {} chains {:?} allowed {:?} clocks {:?} cost {:?} {:?} \
             made {:?}\n{:#?}",
            self.created.run,
            self.status,
            self.seq,
            self.epoch,
            self.signal,
            self.running,
            self.open,
            self.failed,
            self.cancelled,
            self.paused,
            self.timed_out,
            self.compensating,
            self.undo_planned,
            self.chains,
            self.allowances,
            self.clocks,
            self.cost,
            self.usage,
            self.made,
            self.tasks,
        )
    }
}
