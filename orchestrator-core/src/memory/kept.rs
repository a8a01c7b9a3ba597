//! Rows as they are kept: what most of them do not have takes no room. A run may have a million.

use crate::{
    error::Failure,
    event::{ArtifactRef, Ask, CacheHit, Content},
    id::{AgentName, AttemptNumber, Epoch, RunId, TaskName},
    port::{AttemptRow, AttemptStatus, ItemCounts, TaskRow},
    schedule::HeldUp,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Usage},
};
use serde_json::Value;

/// A task's row without its run and its name.
#[derive(Debug)]
pub(super) struct KeptTask {
    pub(super) position: u32,
    pub(super) status: TaskStatus,
    verified: Option<bool>,
    pub(super) agent: Option<AgentName>,
    attempts: u32,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    output: Output,
    rare: Option<Box<RareOfTask>>,
}

/// What a task left. Nothing and `null` are by far the most frequent.
#[derive(Debug)]
enum Output {
    None,
    Null,
    Some(Box<Content>),
}

#[derive(Debug, PartialEq, Default)]
struct RareOfTask {
    usage: Usage,
    cost: Cost,
    error: Option<Failure>,
    items: Option<ItemCounts>,
    held_up: Option<HeldUp>,
    ask: Option<Box<Ask>>,
    more_asks: Vec<Ask>,
}

impl KeptTask {
    /// The row's name and what is kept of it.
    pub(super) fn of(row: TaskRow) -> (TaskName, Self) {
        let rare = RareOfTask {
            usage: row.usage,
            cost: row.cost,
            error: row.error,
            items: row.items,
            held_up: row.held_up,
            ask: row.ask,
            more_asks: row.more_asks,
        };
        let output = match row.output {
            None => Output::None,
            Some(Content::Inline(Value::Null)) => Output::Null,
            Some(content) => Output::Some(Box::new(content)),
        };
        let kept = Self {
            position: row.position,
            status: row.status,
            verified: row.verified,
            agent: row.agent,
            attempts: row.attempts,
            started_at: row.started_at,
            ended_at: row.ended_at,
            output,
            rare: (rare != RareOfTask::default()).then(|| Box::new(rare)),
        };
        (row.name, kept)
    }

    /// The row of the task `name` of `run`.
    pub(super) fn row(&self, run: &RunId, name: &TaskName) -> TaskRow {
        let rare = self.rare.as_deref();
        TaskRow {
            run: run.clone(),
            name: name.clone(),
            position: self.position,
            status: self.status,
            verified: self.verified,
            agent: self.agent.clone(),
            attempts: self.attempts,
            started_at: self.started_at,
            ended_at: self.ended_at,
            usage: rare.map(|rare| rare.usage).unwrap_or_default(),
            cost: rare.map(|rare| rare.cost).unwrap_or_default(),
            error: rare.and_then(|rare| rare.error.clone()),
            output: match &self.output {
                Output::None => None,
                Output::Null => Some(Content::Inline(Value::Null)),
                Output::Some(content) => Some((**content).clone()),
            },
            items: rare.and_then(|rare| rare.items),
            held_up: rare.and_then(|rare| rare.held_up.clone()),
            ask: rare.and_then(|rare| rare.ask.clone()),
            more_asks: rare.map(|rare| rare.more_asks.clone()).unwrap_or_default(),
        }
    }
}

/// An attempt's row without its run, its task and its number.
#[derive(Debug)]
pub(super) struct KeptAttempt {
    pub(super) epoch: Epoch,
    pub(super) agent: AgentName,
    status: AttemptStatus,
    pub(super) started_at: Timestamp,
    ended_at: Option<Timestamp>,
    rare: Option<Box<RareOfAttempt>>,
}

#[derive(Debug, PartialEq, Default)]
struct RareOfAttempt {
    error: Option<Failure>,
    usage: Usage,
    cost: Cost,
    artifacts: Vec<ArtifactRef>,
    child: Option<RunId>,
    session: Option<String>,
    turns: u32,
    cached: Option<CacheHit>,
}

impl KeptAttempt {
    /// The row's key within its run and what is kept of it.
    pub(super) fn of(row: AttemptRow) -> ((TaskName, AttemptNumber), Self) {
        let rare = RareOfAttempt {
            error: row.error,
            usage: row.usage,
            cost: row.cost,
            artifacts: row.artifacts,
            child: row.child,
            session: row.session,
            turns: row.turns,
            cached: row.cached,
        };
        let kept = Self {
            epoch: row.epoch,
            agent: row.agent,
            status: row.status,
            started_at: row.started_at,
            ended_at: row.ended_at,
            rare: (rare != RareOfAttempt::default()).then(|| Box::new(rare)),
        };
        ((row.task, row.number), kept)
    }

    /// The row of the attempt `number` at the task `task` of `run`.
    pub(super) fn row(&self, run: &RunId, task: &TaskName, number: AttemptNumber) -> AttemptRow {
        let rare = self.rare.as_deref();
        AttemptRow {
            run: run.clone(),
            task: task.clone(),
            number,
            epoch: self.epoch,
            agent: self.agent.clone(),
            status: self.status,
            started_at: self.started_at,
            ended_at: self.ended_at,
            error: rare.and_then(|rare| rare.error.clone()),
            usage: rare.map(|rare| rare.usage).unwrap_or_default(),
            cost: rare.map(|rare| rare.cost).unwrap_or_default(),
            artifacts: rare.map(|rare| rare.artifacts.clone()).unwrap_or_default(),
            child: rare.and_then(|rare| rare.child.clone()),
            session: rare.and_then(|rare| rare.session.clone()),
            turns: rare.map(|rare| rare.turns).unwrap_or_default(),
            cached: rare.and_then(|rare| rare.cached.clone()),
        }
    }
}
