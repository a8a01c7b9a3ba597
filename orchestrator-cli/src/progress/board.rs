//! What is shown of a run under way: a picture painted from its events, with no say in anything.

use crate::output::text;
use orchestrator_core::{
    event::{Event, Recorded, SkipReason},
    port::Progress,
    run::RunStatus,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Spend, Usage},
};
use orchestrator_service::views::RunDetails;
use std::time::Duration;

/// A task as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) status: TaskStatus,
    pub(super) attempts: u32,
    /// When the present attempt started, while one runs.
    since: Option<Timestamp>,
    /// Time that is over: of earlier attempts and of the last.
    spent_time: Duration,
    usage: Usage,
    cost: Cost,
    /// What the present attempt says, and has used so far.
    live: Progress,
    /// What there is to say about it: an error, a reason.
    pub(super) note: String,
}

impl Row {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            agent: String::new(),
            status: TaskStatus::Pending,
            attempts: 0,
            since: None,
            spent_time: Duration::ZERO,
            usage: Usage::default(),
            cost: Cost::default(),
            live: Progress::default(),
            note: String::new(),
        }
    }

    /// How long it has been worked on.
    pub(super) fn elapsed(&self, now: Timestamp) -> Duration {
        self.spent_time + self.since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// What it used so far.
    pub(super) fn usage(&self) -> Usage {
        self.usage + self.live.usage
    }

    /// What that cost so far.
    pub(super) fn cost(&self) -> Cost {
        sum(self.cost, self.live.cost)
    }

    /// What it does, or what there is to say about it.
    pub(super) fn remark(&self) -> &str {
        if self.note.is_empty() { &self.live.doing } else { &self.note }
    }

    fn begin(&mut self, agent: &str, attempt: u32, at: Timestamp) {
        self.agent = agent.to_owned();
        self.attempts = attempt;
        self.since = Some(at);
        self.note.clear();
        self.status = TaskStatus::Running;
    }

    fn end(&mut self, status: TaskStatus, at: Timestamp, spend: &[Spend]) {
        self.spent_time = self.elapsed(at);
        self.since = None;
        self.live = Progress::default();
        self.status = status;
        for line in spend {
            self.usage += line.usage;
            self.cost.add(line);
        }
    }
}

fn sum(left: Cost, right: Cost) -> Cost {
    Cost {
        known: left.known + right.known,
        unpriced_requests: left.unpriced_requests.saturating_add(right.unpriced_requests),
    }
}

/// A run as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Board {
    pub(super) run: String,
    pub(super) workflow: String,
    pub(super) status: RunStatus,
    pub(super) rows: Vec<Row>,
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
            began: now,
            ended: None,
        }
    }

    /// A run as it stood before it was taken up again.
    pub(super) fn resumed(details: &RunDetails, now: Timestamp) -> Self {
        let mut board = Self::new(&details.run.id, now);
        board.workflow.clone_from(&details.run.workflow);
        board.rows = details
            .items
            .iter()
            .map(|task| {
                let mut row = Row::new(&task.name);
                row.agent = task.agent.clone().unwrap_or_default();
                row.status = TaskStatus::from_name(&task.status).unwrap_or(TaskStatus::Pending);
                row.attempts = task.attempts;
                if row.status.is_final() {
                    row.spent_time = Duration::from_millis(task.elapsed_ms);
                }
                row.cost = task.spent.cost();
                row.usage.input.0 = task.spent.input_tokens;
                row.usage.cache_read.0 = task.spent.cache_read_tokens;
                row.usage.cache_write.0 = task.spent.cache_write_tokens;
                row.usage.output.0 = task.spent.output_tokens;
                row.usage.reasoning.0 = task.spent.reasoning_tokens;
                row
            })
            .collect();
        board
    }

    /// The task of that name.
    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
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

    /// No more is coming; what still seemed to run does not.
    pub(super) fn close(&mut self, now: Timestamp) {
        self.ended.get_or_insert(now);
        for row in self.rows.iter_mut().filter(|row| row.since.is_some()) {
            row.end(TaskStatus::Pending, now, &[]);
            row.note = "interrupted".into();
        }
    }

    /// Takes what an attempt says about itself.
    pub(super) fn progress(&mut self, task: &str, progress: Progress) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == task) {
            row.live = progress;
        }
    }

    /// Takes what has happened.
    pub(super) fn record(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        if let Event::RunCreated(created) = &recorded.event {
            self.workflow = created.workflow.name.to_string();
            self.rows =
                created.workflow.tasks.iter().map(|task| Row::new(task.name.as_str())).collect();
            return;
        }
        if let Event::RunEnded { status } = &recorded.event {
            (self.status, self.ended) = (*status, Some(at));
            return;
        }
        if let Event::RevisionRequested { by, reopened, .. } = &recorded.event {
            for row in
                self.rows.iter_mut().filter(|row| reopened.iter().any(|n| *n.as_str() == row.name))
            {
                row.status = TaskStatus::Pending;
                row.note = format!("sent back by {by}");
            }
            return;
        }
        if let Event::CancelRequested { .. } = &recorded.event {
            self.status = RunStatus::Cancelling;
            return;
        }
        let Some(task) = recorded.event.task() else {
            return;
        };
        let Some(row) = self.rows.iter_mut().find(|row| row.name == task.as_str()) else {
            return;
        };
        match &recorded.event {
            Event::AttemptStarted { agent, attempt, .. } => {
                row.begin(agent.as_str(), attempt.0, at)
            }
            Event::AttemptSucceeded { spend, .. } => row.end(TaskStatus::Succeeded, at, spend),
            Event::AttemptFailed { failure, next, .. } => {
                let status = if next.is_some() { TaskStatus::Waiting } else { TaskStatus::Failed };
                row.end(status, at, &failure.spend);
                row.note = text::first_line(&failure.message);
            }
            Event::TaskFailed { failure, .. } => {
                row.end(TaskStatus::Failed, at, &failure.spend);
                row.note = text::first_line(&failure.message);
            }
            Event::TaskSkipped { reason, .. } => {
                row.end(TaskStatus::Skipped, at, &[]);
                row.note = skipped(reason);
            }
            Event::TaskCancelled { .. } => row.end(TaskStatus::Cancelled, at, &[]),
            // What an attempt says is in its log; kinds that a later version adds change nothing here.
            _ => {}
        }
    }
}

/// Why a task did not run, in words.
pub(super) fn skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::Needs { task } => format!("`{task}` did not succeed"),
        SkipReason::When => "its condition is false".into(),
    }
}
