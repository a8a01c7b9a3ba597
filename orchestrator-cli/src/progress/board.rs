//! What is shown of a run under way: a picture painted from its events, with no say in anything.

use super::row::{Items, Row, sum};
use crate::output::text;
use orchestrator_core::{
    event::{Ask, Event, Recorded, SkipReason},
    id::{RunId, TaskName},
    port::Progress,
    run::RunStatus,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Usage},
};
use orchestrator_service::views::{RunDetails, TaskView};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// A run as it is shown, with the runs that it has started.
#[derive(Debug, Clone)]
pub(super) struct Board {
    pub(super) run: String,
    pub(super) workflow: String,
    pub(super) status: RunStatus,
    pub(super) rows: Vec<Row>,
    places: HashMap<String, usize>,
    /// The runs that it started, as children or by `then`, and those that they started.
    others: BTreeMap<RunId, Board>,
    /// When this drive began; a run that is resumed counts from then.
    began: Timestamp,
    ended: Option<Timestamp>,
}

impl Board {
    /// A run of which nothing is known but its id.
    pub(super) fn new(run: &str, now: Timestamp) -> Self {
        Self {
            run: run.to_owned(),
            workflow: String::new(),
            status: RunStatus::Running,
            rows: Vec::new(),
            places: HashMap::new(),
            others: BTreeMap::new(),
            began: now,
            ended: None,
        }
    }

    /// A run as it stood before it was taken up again.
    pub(super) fn resumed(details: &RunDetails, now: Timestamp) -> Self {
        let mut board = Self::new(&details.run.id, now);
        board.workflow.clone_from(&details.run.workflow);
        for task in &details.items {
            let (row, place) = (resumed_row(task), board.rows.len());
            match item_of(&task.name) {
                Some((group, index)) if board.places.contains_key(group) => {
                    board.take_item(group, index, |item| *item = row);
                }
                _ => {
                    board.places.insert(row.name.clone(), place);
                    board.rows.push(row);
                }
            }
        }
        board
    }

    /// The task of that name, or the item while it has not ended.
    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        match self.places.get(name) {
            Some(place) => self.rows.get(*place),
            None => {
                let (group, _) = item_of(name)?;
                let items = self.rows.get(*self.places.get(group)?)?.items.as_ref()?;
                items.under_way().find(|row| row.name == name)
            }
        }
    }

    /// How long the run has been driven.
    pub(super) fn elapsed(&self, now: Timestamp) -> Duration {
        self.ended.unwrap_or(now).since(self.began)
    }

    /// What all tasks used so far.
    pub(super) fn usage(&self) -> Usage {
        self.rows.iter().map(Row::usage).sum()
    }

    /// What all tasks cost so far.
    pub(super) fn cost(&self) -> Cost {
        self.rows.iter().map(Row::cost).fold(Cost::default(), sum)
    }

    /// How many tasks have ended.
    pub(super) fn ended(&self) -> usize {
        self.rows.iter().filter(|row| row.status.is_final()).count()
    }

    /// The run of that id, when this one started it.
    pub(super) fn other(&self, run: &RunId) -> Option<&Self> {
        self.others.get(run)
    }

    /// Whether a person is asked, in this run or one that it started.
    pub(super) fn asks(&self) -> bool {
        let asks = |row: &Row| {
            let items = row.items.iter().flat_map(Items::under_way);
            row.ask.is_some() || items.into_iter().any(|item| item.ask.is_some())
        };
        self.rows.iter().any(asks) || self.others.values().any(Self::asks)
    }

    /// No more is coming; what still seemed to run does not.
    pub(super) fn close(&mut self, now: Timestamp) {
        self.ended.get_or_insert(now);
        let close = |row: &mut Row| {
            if row.is_at_work() {
                let asked = row.ask.take();
                let status =
                    if asked.is_some() { TaskStatus::Waiting } else { TaskStatus::Pending };
                row.end(status, now, &[]);
                row.ask = asked;
                row.note = "interrupted".into();
            }
        };
        for row in &mut self.rows {
            row.items.iter_mut().flat_map(Items::under_way_mut).for_each(close);
            close(row);
        }
    }

    /// Takes what an attempt says about itself.
    pub(super) fn progress(&mut self, run: &RunId, task: &str, progress: Progress) {
        if self.run != run.as_str() {
            if let Some(other) = self.others.get_mut(run) {
                other.progress(run, task, progress);
            }
            return;
        }
        self.change(task, |row| {
            if row.is_at_work() {
                row.live = progress;
            }
        });
    }

    /// Takes what has happened in `run`, which is this one or one that it started.
    pub(super) fn record(&mut self, run: &RunId, recorded: &Recorded) {
        if self.run == run.as_str() {
            return self.take(recorded);
        }
        let other = self.others.entry(run.clone());
        other.or_insert_with(|| Self::new(run.as_str(), recorded.at)).take(recorded);
    }

    fn take(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.event {
            Event::RunCreated(created) => {
                self.workflow = created.workflow.name.to_string();
                self.rows.clear();
                self.places.clear();
                created.workflow.tasks.iter().for_each(|task| self.add(task.name.as_str()));
            }
            Event::RunEnded { status } => (self.status, self.ended) = (*status, Some(at)),
            Event::PauseRequested { .. } => self.status = RunStatus::Paused,
            Event::RunResumed {} => self.status = RunStatus::Running,
            Event::CancelRequested { .. } => self.status = RunStatus::Cancelling,
            Event::TasksAdded { tasks, .. } => {
                tasks.iter().for_each(|task| self.add(task.name.as_str()));
            }
            Event::UndoPlanned { tasks } => {
                tasks.iter().for_each(|task| self.add(task.undo().as_str()));
            }
            Event::RevisionRequested { by, reopened, .. } => {
                for name in reopened {
                    self.change(name.as_str(), |row| {
                        row.status = TaskStatus::Pending;
                        row.note = format!("sent back by {by}");
                        row.items.iter_mut().for_each(Items::reopen);
                    });
                }
            }
            Event::TaskExpanded { task, count, .. } => self.change(task.as_str(), |row| {
                row.begin(at);
                row.items = Some(Items::new(*count));
            }),
            event => {
                if let Some(task) = event.task().map(TaskName::as_str) {
                    self.change(task, |row| about_task(row, event, at));
                }
            }
        }
    }

    fn add(&mut self, name: &str) {
        if !self.places.contains_key(name) {
            self.places.insert(name.to_owned(), self.rows.len());
            self.rows.push(Row::new(name));
        }
    }

    /// Changes the task or item of that name. One that nobody has spoken of yet is shown from now on.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Row)) {
        if !self.places.contains_key(name)
            && let Some((group, index)) = item_of(name)
            && self.places.contains_key(group)
        {
            return self.take_item(group, index, change);
        }
        self.add(name);
        if let Some(row) = self.places.get(name).and_then(|place| self.rows.get_mut(*place)) {
            change(row);
        }
    }

    fn take_item(&mut self, group: &str, index: u32, change: impl FnOnce(&mut Row)) {
        let Some(row) = self.places.get(group).and_then(|place| self.rows.get_mut(*place)) else {
            return;
        };
        let Some(items) = &mut row.items else { return };
        if let Some(item) = items.open(group, index) {
            change(item);
        }
        if let Some((usage, cost)) = items.settle(index) {
            row.usage += usage;
            row.cost = sum(row.cost, cost);
        }
    }
}

/// The group and the place in it, of the name of an item.
fn item_of(name: &str) -> Option<(&str, u32)> {
    let (group, index) = name.rsplit_once(':')?;
    Some((group, index.parse().ok()?))
}

/// What an event about one task changes of how it is shown.
fn about_task(row: &mut Row, event: &Event, at: Timestamp) {
    match event {
        Event::AttemptStarted { agent, attempt, child, .. } => {
            row.attempt(agent.as_str(), attempt.0, at);
            row.child.clone_from(child);
        }
        Event::TurnRecorded { turn, .. } => row.turn(&turn.spend),
        Event::AttemptSucceeded { spend, cached, .. } => {
            row.end(TaskStatus::Succeeded, at, spend);
            if cached.is_some() {
                row.note = "from the cache".into();
            }
        }
        Event::AttemptFailed { failure, next, ask, .. } => {
            let open = next.is_some() || ask.is_some();
            let status = if open { TaskStatus::Waiting } else { TaskStatus::Failed };
            row.end(status, at, &failure.spend);
            row.note = text::first_line(&failure.message);
            row.until = next.as_ref().map(|next| next.at);
            if next.as_ref().is_some_and(|next| next.anew) {
                row.keep_asks(false);
            }
            if let Some(ask) = ask {
                row.asked(None, asked(ask));
            }
        }
        Event::TaskDelayed { until, .. } => {
            row.status = TaskStatus::Waiting;
            row.until = Some(*until);
        }
        Event::PersonAsked { ask, .. } => {
            row.status = TaskStatus::Waiting;
            row.asked(ask.question.map(|number| number.0), asked(ask));
        }
        Event::PersonAnswered { reply, .. } => {
            row.answered(reply.question.map(|number| number.0));
            if row.ask.is_some() {
                return;
            }
            row.status = if row.is_at_work() { TaskStatus::Running } else { TaskStatus::Pending };
        }
        Event::TaskSucceeded { .. } => row.end(TaskStatus::Succeeded, at, &[]),
        Event::TaskCarried { from, .. } => {
            row.end(TaskStatus::Succeeded, at, &[]);
            row.note = format!("done in {from}");
        }
        Event::StopRequested { .. } => row.note = "stopping".into(),
        Event::TaskFailed { failure, .. } => {
            row.end(TaskStatus::Failed, at, &failure.spend);
            row.note = text::first_line(&failure.message);
        }
        Event::TaskSkipped { reason, .. } => {
            row.end(TaskStatus::Skipped, at, &[]);
            row.note = skipped(reason);
        }
        Event::TaskCancelled { .. } => row.end(TaskStatus::Cancelled, at, &[]),
        Event::CompensationBegan { .. } => row.note = format!("{}; undoing", row.note),
        // What an attempt says is in its log; kinds that a later version adds change nothing here.
        _ => {}
    }
}

fn asked(ask: &Ask) -> String {
    text::first_line(&ask.message)
}

fn resumed_row(task: &TaskView) -> Row {
    let mut row = Row::new(&task.name);
    row.agent = task.agent.clone().unwrap_or_default();
    row.status = TaskStatus::from_name(&task.status).unwrap_or(TaskStatus::Pending);
    row.attempts = task.attempts;
    if row.status.is_final() {
        row.spent_time = Duration::from_millis(task.elapsed_ms);
    }
    for ask in task.ask.iter().chain(&task.more_asks) {
        row.asked(ask.question, text::first_line(&ask.message));
    }
    row.items = task.item_counts.map(|counts| Items::new(counts.total));
    row.cost = task.spent.cost();
    row.usage.input.0 = task.spent.input_tokens;
    row.usage.cache_read.0 = task.spent.cache_read_tokens;
    row.usage.cache_write.0 = task.spent.cache_write_tokens;
    row.usage.output.0 = task.spent.output_tokens;
    row.usage.reasoning.0 = task.spent.reasoning_tokens;
    row
}

/// Why a task did not run, in words.
pub(super) fn skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::Needs { task } => format!("`{task}` did not succeed"),
        SkipReason::When => "its condition is false".into(),
        SkipReason::Compensating => "what was done is undone".into(),
        SkipReason::TimedOut => "the run took too long".into(),
    }
}
