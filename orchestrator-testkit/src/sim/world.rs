//! The world around the engine: it outlives every crash, decides what befalls each call, remembers
//! what was promised, and says when a promise is broken.

use super::{Trace, VirtualClock, chaos::Chaos, model::LogModel, script::is_judge};
use crate::{
    faults::{Call, Fate, Op, Plan, Write},
    workspaces::{MemoryWorkspaces, Script},
};
use async_trait::async_trait;
use orchestrator_core::{
    event::{Event, Recorded},
    id::{AgentName, Epoch, MessageNumber, RunId, TaskName, TurnNumber},
    memory::MemoryStore,
    port::{Append, Assignment, Call as TurnCall, Catalog, Page, Store, TaskFilter, TaskRow},
    run::{Run, RunStatus},
    task::TaskStatus,
    workspace::Verdict,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Logs up to this length are replayed after every event; longer ones from time to time.
const SHORT: u64 = 24;

/// How long a workspace takes for each of its steps.
const STEP: Duration = Duration::from_millis(3);

/// A turn in the eyes of whoever performs it: its key, and a digest of what is sent.
type TurnKey = (String, String);

/// All that is outside the engine.
pub(super) struct World {
    pub(super) clock: Arc<VirtualClock>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) places: Arc<MemoryWorkspaces>,
    state: Mutex<State>,
}

struct State {
    chaos: Chaos,
    trace: Trace,
    violations: Vec<String>,
    runs: BTreeMap<RunId, Watched>,
    at_work: BTreeMap<String, usize>,
    turns: BTreeMap<TurnKey, Turns>,
    /// The messages of which the engine has said that it knows them to be delivered.
    delivered: BTreeSet<(RunId, TaskName, MessageNumber)>,
    calls: u64,
    /// Calls that are not mere looks for news: what a point of a crash is counted in.
    points: Vec<Op>,
    performed: u64,
}

/// How often a turn was performed, and whether its performer was told that it is recorded.
#[derive(Debug, Clone, Copy, Default)]
struct Turns {
    performed: u32,
    recorded: bool,
}

/// What the world knows of a run.
struct Watched {
    source: String,
    parent: Option<RunId>,
    /// The last event that its writer was told to be durable.
    told: u64,
    /// Every event that was written, as it was written.
    events: Vec<Recorded>,
    epoch: Epoch,
    model: LogModel,
}

impl World {
    pub(super) fn new(clock: Arc<VirtualClock>, chaos: Chaos) -> Self {
        let state = State {
            chaos,
            trace: Trace::default(),
            violations: Vec::new(),
            runs: BTreeMap::new(),
            at_work: BTreeMap::new(),
            turns: BTreeMap::new(),
            delivered: BTreeSet::new(),
            calls: 0,
            points: Vec::new(),
            performed: 0,
        };
        let files = [("a", "1"), ("b", "1"), ("shared", "1")];
        // What says bad does not pass.
        let script = Script::default().slow(STEP).judged(|files| {
            match files.values().any(|text| text.starts_with("bad")) {
                true => Verdict::Failed,
                false => Verdict::Verified,
            }
        });
        let places = Arc::new(MemoryWorkspaces::new(clock.clone(), &files, script));
        Self { clock, store: Arc::default(), places, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the trace.
    pub(super) fn note(&self, what: std::fmt::Arguments<'_>) {
        let now = self.clock.reading();
        self.state().trace.line(now, what);
    }

    /// A promise was broken.
    pub(super) fn broken(&self, what: String) {
        let now = self.clock.reading();
        let mut state = self.state();
        state.trace.line(now, format_args!("VIOLATION {what}"));
        state.violations.push(what);
    }

    /// Whether no promise was broken so far.
    pub(super) fn is_sound(&self) -> bool {
        self.state().violations.is_empty()
    }

    /// What happens by chance.
    pub(super) fn chaos<T>(&self, act: impl FnOnce(&mut Chaos) -> T) -> T {
        act(&mut self.state().chaos)
    }

    /// Every run that exists: its id, and whether it has ended.
    pub(super) fn runs(&self) -> Vec<(RunId, bool)> {
        let state = self.state();
        state.runs.iter().map(|(id, run)| (id.clone(), run.model.ended().is_some())).collect()
    }

    /// The run that was started from `source`, if it exists.
    pub(super) fn run_from(&self, source: &str) -> Option<RunId> {
        let state = self.state();
        let mut runs = state.runs.iter();
        let found = runs.find(|(_, run)| run.source == source && run.parent.is_none())?;
        Some(found.0.clone())
    }

    /// Time passes while nothing lives.
    pub(super) fn advance(&self, pause: Duration) {
        self.clock.stop(pause);
    }

    /// How many calls were made, and what was called at each point.
    pub(super) fn counts(&self) -> (u64, Vec<Op>) {
        let mut state = self.state();
        (state.calls, std::mem::take(&mut state.points))
    }

    /// How many turns were performed, and how many of these are in the logs.
    pub(super) fn turns(&self) -> (u64, u64) {
        let performed = self.state().performed;
        // What a person said is a turn that nobody performs.
        let tool = |event: &Event| matches!(event, Event::TurnRecorded { turn, .. } if turn.kind == "tool");
        (performed, self.count(tool))
    }

    /// How many permissions a person decided, and how many messages an agent has.
    pub(super) fn told(&self) -> (u64, u64) {
        let permission = |event: &Event| matches!(event, Event::TurnRecorded { turn, .. } if turn.kind == "permission");
        let delivered = |event: &Event| matches!(event, Event::MessageDelivered { .. });
        (self.count(permission), self.count(delivered))
    }

    fn count(&self, fits: impl Fn(&Event) -> bool) -> u64 {
        let state = self.state();
        let events = state.runs.values().flat_map(|run| &run.events);
        events.filter(|recorded| fits(&recorded.event)).count() as u64
    }

    /// What has come of the trace and the promises.
    pub(super) fn finish(&self) -> (Trace, Vec<String>) {
        let mut state = self.state();
        (std::mem::take(&mut state.trace), std::mem::take(&mut state.violations))
    }

    /// An agent begins to work: its company is counted. Returns the group that it works in.
    pub(super) fn enters(&self, work: &Assignment) -> Option<String> {
        let mut broken = Vec::new();
        let mut state = self.state();
        let is_recorded =
            state.runs.get(&work.run).is_some_and(|run| run.model.is_recorded(&work.task));
        match (is_judge(work), is_recorded) {
            (false, true) => {
                broken.push(format!("{}.{} is asked again for recorded work", work.run, work.task));
            }
            (true, false) => {
                broken.push(format!("{}.{} is judged before it is recorded", work.run, work.task));
            }
            (false, false) | (true, true) => {}
        }
        let (most, group) = match state.runs.get(&work.run) {
            Some(run) => (run.model.max_parallel(), run.model.group(&work.task)),
            None => (usize::MAX, None),
        };
        let mut count = |key: String, most: usize| {
            let at_work = state.at_work.entry(key.clone()).or_default();
            *at_work += 1;
            if *at_work > most {
                broken.push(format!("{at_work} attempts at once of {key}, {most} are allowed"));
            }
        };
        let agent = work.agent.max_parallel.map_or(usize::MAX, |most| most as usize);
        count(format!("agent {}", work.agent.name), agent);
        count(format!("run {}", work.run), most);
        if let Some(group) = &group {
            count(format!("group {group}"), 1);
        }
        drop(state);
        for what in broken {
            self.broken(what);
        }
        group
    }

    /// An agent leaves in its workspace what its prompt says, as `write FILE TEXT`; what was sent
    /// back it writes differently.
    pub(super) fn writes(&self, work: &Assignment) {
        let Some(opened) = work.workspace.as_ref().filter(|_| !is_judge(work)) else { return };
        for step in work.prompt().split(';') {
            if let Some(("write", given)) = step.trim().split_once(' ')
                && let Some((path, text)) = given.split_once(' ')
            {
                let text = match work.feedback.len() {
                    0 => text.to_owned(),
                    times => format!("mended {times}: {text}"),
                };
                self.places.write(&opened.directory, path, &text);
            }
        }
    }

    /// An agent stops working, however.
    pub(super) fn leaves(&self, agent: &AgentName, run: &RunId, group: Option<&str>) {
        let mut state = self.state();
        let group = group.map(|group| format!("group {group}"));
        let keys = [Some(format!("agent {agent}")), Some(format!("run {run}")), group];
        for key in keys.into_iter().flatten() {
            if let Some(at_work) = state.at_work.get_mut(&key) {
                *at_work = at_work.saturating_sub(1);
            }
        }
    }

    /// A turn is about to be performed.
    pub(super) fn performs(&self, work: &Assignment, turn: TurnNumber, call: &TurnCall) {
        let key = work.turn_key(turn);
        self.note(format_args!("turn {key} is performed"));
        let mut state = self.state();
        state.performed += 1;
        let turns = state.turns.entry((key.clone(), call.input.clone())).or_default();
        turns.performed += 1;
        let (again, times) = (turns.recorded, turns.performed);
        drop(state);
        if again {
            self.broken(format!(
                "turn {key} was recorded and is performed again, for the {times}th time"
            ));
        }
    }

    /// The performer of a turn was told that it is recorded.
    pub(super) fn recorded(&self, work: &Assignment, turn: TurnNumber, call: &TurnCall) {
        let key = (work.turn_key(turn), call.input.clone());
        self.state().turns.entry(key).or_default().recorded = true;
    }

    /// An attempt is given message `number`; `given` are all that it was given, this one among them.
    pub(super) fn steered(
        &self,
        work: &Assignment,
        number: MessageNumber,
        given: &BTreeSet<MessageNumber>,
    ) {
        let key = (work.run.clone(), work.task.clone(), number);
        let state = self.state();
        let again = state.delivered.contains(&key);
        let waiting = state.runs.get(&work.run).map(|run| run.model.waiting(&work.task));
        drop(state);
        if again {
            self.broken(format!("message {number} of {}.{} is given again", work.run, work.task));
        }
        let before = |other: &MessageNumber| *other < number && !given.contains(other);
        if let Some(lost) = waiting.unwrap_or_default().into_iter().find(before) {
            self.broken(format!(
                "message {number} of {}.{} is given before message {lost}",
                work.run, work.task
            ));
        }
    }

    /// An agent was told that it is known to have message `number`.
    pub(super) fn delivered(&self, work: &Assignment, number: MessageNumber) {
        let key = (work.run.clone(), work.task.clone(), number);
        self.state().delivered.insert(key);
    }

    /// Nothing is at work any more: the process that did it is gone.
    pub(super) fn dead(&self) {
        let mut state = self.state();
        let left: Vec<String> =
            state.at_work.iter().filter(|(_, n)| **n > 0).map(|(key, _)| key.clone()).collect();
        state.at_work.clear();
        drop(state);
        for key in left {
            self.broken(format!("an attempt of {key} outlives its engine"));
        }
    }

    /// Looks at every run in the store: it begins with all that was promised, follows the rules,
    /// and its rows are those that its events give.
    pub(super) async fn audit(&self) {
        for (run, _) in self.runs() {
            self.audit_run(&run).await;
        }
    }

    async fn audit_run(&self, id: &RunId) {
        let stored = match self.store.events(id, Default::default(), usize::MAX).await {
            Ok(events) => events,
            Err(error) => return self.broken(format!("run {id} cannot be read: {error}")),
        };
        let (same, told) = {
            let state = self.state();
            let Some(watched) = state.runs.get(id) else { return };
            (watched.events == stored, watched.told)
        };
        if !same {
            self.broken(format!("the log of run {id} is not what was written, told up to {told}"));
        }
        self.replays(id, &stored).await;
    }

    /// Whether the rows of a run are those that its events give.
    async fn replays(&self, id: &RunId, events: &[Recorded]) {
        let run = match Run::replay(events) {
            Ok(run) => run,
            Err(error) => return self.broken(format!("run {id} cannot be replayed: {error}")),
        };
        let filter = TaskFilter { run: Some(id.clone()), ..TaskFilter::default() };
        let page = Page { limit: usize::MAX - 1, cursor: None };
        let (row, tasks) = match (self.store.run(id).await, self.store.tasks(&filter, &page).await)
        {
            (Ok(Some(row)), Ok(tasks)) => (row, tasks.items),
            other => return self.broken(format!("the rows of run {id} cannot be read: {other:?}")),
        };
        let (mut row, mut replayed) = (row, run.run_row());
        (row.status, replayed.status) = (standing(row.status), standing(replayed.status));
        if replayed != row {
            self.broken(format!("the row of run {id} is {row:?}, replayed {replayed:?}"));
        }
        let mut places = 0;
        for mut live in tasks {
            places += 1;
            let replayed = run.place(live.name.as_str()).and_then(|place| run.task_row(place));
            if replayed.is_none() && !live.name.is_plain() {
                // An item of a list that was made again; its row is history.
                places -= 1;
                continue;
            }
            plain(&mut live);
            let replayed = replayed.map(|mut row| {
                plain(&mut row);
                row
            });
            if replayed.as_ref() != Some(&live) {
                self.broken(format!(
                    "the row of {id}.{} is {live:?}, replayed {replayed:?}",
                    live.name
                ));
            }
        }
        if places != run.tasks().count() {
            let known = run.tasks().count();
            self.broken(format!("run {id} has {places} rows of tasks, replayed {known}"));
        }
    }

    /// What is left of each run that has not ended, in words.
    pub(super) async fn open(&self) -> Vec<String> {
        let mut open = Vec::new();
        for (id, ended) in self.runs() {
            if ended {
                continue;
            }
            let row = self.store.run(&id).await.ok().flatten();
            let status = row.map_or("gone", |row| row.status.as_str());
            let filter = TaskFilter { run: Some(id.clone()), ..TaskFilter::default() };
            let page = Page { limit: 1_000, cursor: None };
            let tasks = self.store.tasks(&filter, &page).await.map(|l| l.items).unwrap_or_default();
            let tasks: Vec<String> = tasks
                .iter()
                .filter(|task| !task.status.is_final())
                .map(|task| format!("{} {}", task.name, task.status))
                .collect();
            open.push(format!("run {id} is {status}: {}", tasks.join(", ")));
        }
        open
    }

    /// How each run ended: by where it came from, its status, and each task's status and output.
    pub(super) async fn results(&self) -> BTreeMap<String, String> {
        let mut results = BTreeMap::new();
        for (id, _) in self.runs() {
            let Ok(events) = self.store.events(&id, Default::default(), usize::MAX).await else {
                continue;
            };
            let Ok(run) = Run::replay(&events) else { continue };
            let place = self.path_of(&id);
            results.insert(place.clone(), run.status().to_string());
            for task in run.tasks() {
                let output = match task.output() {
                    None => String::new(),
                    Some(output) => format!("{output:?}"),
                };
                let key = format!("{place}.{}", task.spec().name);
                results.insert(key, format!("{} {output}", task.status()));
            }
        }
        results
    }

    /// A name of a run that does not depend on its id: that of its source, and of the task of its
    /// parent that it is.
    fn path_of(&self, id: &RunId) -> String {
        let state = self.state();
        let Some(run) = state.runs.get(id) else { return id.to_string() };
        let by = |other: &Watched| -> Option<TaskName> {
            other.events.iter().rev().find_map(|event| match &event.event {
                Event::AttemptStarted { task, child: Some(child), .. } if child == id => {
                    Some(task.clone())
                }
                Event::ChainPlanned { task, index, run } if run == id => {
                    let task = task.as_ref().map_or("run", |task| task.base());
                    TaskName::new(format!("{task}-then-{index}")).ok()
                }
                _ => None,
            })
        };
        let from = state.runs.iter().find_map(|(other, run)| Some((other.clone(), by(run)?)));
        let source = run.source.clone();
        drop(state);
        match from {
            Some((other, task)) => format!("{}/{task}", self.path_of(&other)),
            None => source,
        }
    }

    fn append(&self, append: &Append, told: bool) -> (Vec<String>, Option<Vec<Recorded>>) {
        let now = self.clock.reading();
        let mut state = self.state();
        let State { runs, trace, chaos, .. } = &mut *state;
        let Some(run) = runs.get_mut(&append.run) else {
            return (vec![format!("run {} was never created", append.run)], None);
        };
        let mut broken = Vec::new();
        if append.epoch != run.epoch {
            let (run, named, actual) = (&append.run, append.epoch, run.epoch);
            broken.push(format!("run {run} was written under epoch {named}, {actual} is in force"));
        }
        // A writer that was not told may write the same again: that is once, not twice.
        let written = run.events.len() as u64;
        let known = append.events.first().is_some_and(|event| event.seq.0 <= written);
        if known {
            let before = append.expected.0 as usize;
            let after = before + append.events.len();
            if run.events.get(before..after) != Some(&append.events[..]) {
                broken.push(format!("run {} was written over at {}", append.run, append.expected));
            }
            run.told = run.told.max(if told { after as u64 } else { 0 });
            return (broken, None);
        }
        for event in &append.events {
            let text = serde_json::to_string(&event.event).unwrap_or_default();
            trace.line(now, format_args!("{} {} {text}", append.run, event.seq));
            let rules = run.model.read(event);
            broken.extend(rules.into_iter().map(|rule| format!("{} {rule}", append.run)));
            run.events.push(event.clone());
        }
        if told {
            run.told = run.events.len() as u64;
        }
        let due = run.events.len() as u64 <= SHORT || chaos.looks();
        (broken, due.then(|| run.events.clone()))
    }
}

#[async_trait]
impl Plan for World {
    fn fate(&self, call: &Call<'_>) -> Fate {
        let now = self.clock.reading();
        let mut state = self.state();
        let State { chaos, points, calls, trace, .. } = &mut *state;
        *calls += 1;
        let fate = chaos.befalls(call, points.len() as u64);
        points.extend((!call.op.is_polling()).then_some(call.op));
        if fate != Fate::Pass {
            trace.line(now, format_args!("{} {}: {fate:?}", call.op, call.about));
        }
        fate
    }

    async fn written(&self, write: Write<'_>, told: bool) {
        let run = match write {
            Write::Created { first, lease } => {
                let source = first.events.first().and_then(|event| match &event.event {
                    Event::RunCreated(created) => {
                        Some((created.source.clone(), created.parent.clone()))
                    }
                    _ => None,
                });
                let (source, parent) = source.unwrap_or_default();
                let watched = Watched {
                    source,
                    parent,
                    told: 0,
                    events: Vec::new(),
                    epoch: lease.epoch,
                    model: LogModel::default(),
                };
                self.state().runs.insert(first.run.clone(), watched);
                Some(first)
            }
            Write::Appended(append) => Some(append),
            Write::Claimed { run, lease } => {
                let mut state = self.state();
                let before = state
                    .runs
                    .get_mut(run)
                    .map(|watched| std::mem::replace(&mut watched.epoch, lease.epoch));
                drop(state);
                if before.is_some_and(|before| before >= lease.epoch) {
                    self.broken(format!("the lease {} of run {run} is no newer", lease.epoch));
                }
                None
            }
            Write::Released { .. } | Write::Signalled { .. } => None,
        };
        let Some(append) = run else { return };
        let (broken, due) = self.append(append, told);
        for what in broken {
            self.broken(what);
        }
        if let Some(events) = due {
            self.replays(&append.run, &events).await;
        }
    }

    fn answered(&self, call: &Call<'_>, outcome: &str) {
        if outcome == "ok" && call.op.is_polling() {
            return;
        }
        let now = self.clock.reading();
        self.state().trace.line(now, format_args!("{} {} -> {outcome}", call.op, call.about));
    }
}

/// Takes from a row what is for the living engine alone to know: what holds a task up, and whether
/// one could start.
pub(super) fn plain(row: &mut TaskRow) {
    row.held_up = None;
    if !row.status.is_final() {
        (row.usage, row.cost) = Default::default();
    }
    if row.status == TaskStatus::Ready {
        row.status = TaskStatus::Pending;
    }
}

/// The standing of a run as its log alone tells it: what waits there may be about to start.
pub(super) fn standing(status: RunStatus) -> RunStatus {
    if status == RunStatus::Waiting { RunStatus::Running } else { status }
}
