//! Rows as they are stored: JSON of what has no column, without what is as usual. Small rows make
//! small commits.
//!
//! Bodies of schema 1 are the whole row; what stands in columns too is not read from them.

use crate::{
    error::Fault,
    record::{from_json, to_json},
};
use orchestrator_core::{
    error::Failure,
    event::{ArtifactRef, Ask, CacheHit, Content, Origin},
    id::{
        AgentName, AttemptNumber, Epoch, ProjectId, RunId, Sequence, TaskName, TenantId,
        WorkflowName,
    },
    money::MicroUsd,
    port::{AttemptRow, AttemptStatus, ItemCounts, RunRow, StoreError, TaskRow},
    run::RunStatus,
    schedule::HeldUp,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Usage},
};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

fn usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What of a run's row has no column.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RunBody<'a> {
    workflow: Cow<'a, WorkflowName>,
    version: Cow<'a, str>,
    source: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "usual")]
    origin: Option<Cow<'a, Origin>>,
    #[serde(default, skip_serializing_if = "usual")]
    ended_at: Option<Timestamp>,
    tasks: u32,
    #[serde(default, skip_serializing_if = "usual")]
    ended: u32,
    #[serde(default, skip_serializing_if = "usual")]
    failed: u32,
    #[serde(default, skip_serializing_if = "usual")]
    usage: Usage,
    #[serde(default, skip_serializing_if = "usual")]
    cost: Cost,
    #[serde(default, skip_serializing_if = "usual")]
    budget: Option<MicroUsd>,
    #[serde(default, skip_serializing_if = "usual")]
    replayed: bool,
    seq: Sequence,
}

/// The body of a run's row. Every field is named, so that none can be forgotten.
pub(crate) fn of_run(row: &RunRow) -> Result<String, StoreError> {
    let RunRow {
        tenant: _,
        project: _,
        id,
        workflow,
        version,
        source,
        status: _,
        parent: _,
        origin,
        created_at: _,
        ended_at,
        tasks,
        ended,
        failed,
        usage,
        cost,
        budget,
        replayed,
        seq,
    } = row;
    let body = RunBody {
        workflow: Cow::Borrowed(workflow),
        version: version.into(),
        source: source.into(),
        origin: origin.as_ref().map(Cow::Borrowed),
        ended_at: *ended_at,
        tasks: *tasks,
        ended: *ended,
        failed: *failed,
        usage: *usage,
        cost: *cost,
        budget: *budget,
        replayed: *replayed,
        seq: *seq,
    };
    to_json(&body, format_args!("the row of run `{id}`"))
}

/// The columns of a run's row, for [`run`].
pub(crate) const RUN: &str = "r.id AS id, r.tenant AS tenant, r.project AS project, \
     r.status AS status, r.parent AS parent, r.created_at AS created_at, r.body AS body";

/// A run's row from [`RUN`].
pub(crate) fn run(row: &Row<'_>) -> Result<RunRow, Fault> {
    let id: String = row.get("id")?;
    let what = format!("the row of run `{id}`");
    let body: String = row.get("body")?;
    let body: RunBody<'_> = from_json(&body, &what)?;
    let parent: Option<String> = row.get("parent")?;
    Ok(RunRow {
        tenant: known(TenantId::new(row.get::<_, String>("tenant")?), &what)?,
        project: known(ProjectId::new(row.get::<_, String>("project")?), &what)?,
        status: named(&row.get::<_, String>("status")?, RunStatus::from_name, &what)?,
        parent: parent.map(|parent| known(RunId::new(parent), &what)).transpose()?,
        created_at: Timestamp(row.get::<_, i64>("created_at")?.cast_unsigned()),
        id: known(RunId::new(id), &what)?,
        workflow: body.workflow.into_owned(),
        version: body.version.into_owned(),
        source: body.source.into_owned(),
        origin: body.origin.map(Cow::into_owned),
        ended_at: body.ended_at,
        tasks: body.tasks,
        ended: body.ended,
        failed: body.failed,
        usage: body.usage,
        cost: body.cost,
        budget: body.budget,
        replayed: body.replayed,
        seq: body.seq,
    })
}

/// What of a task's row has no column.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TaskBody<'a> {
    #[serde(default, skip_serializing_if = "usual")]
    verified: Option<bool>,
    #[serde(default, skip_serializing_if = "usual")]
    attempts: u32,
    #[serde(default, skip_serializing_if = "usual")]
    started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "usual")]
    ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "usual")]
    usage: Usage,
    #[serde(default, skip_serializing_if = "usual")]
    cost: Cost,
    #[serde(default, skip_serializing_if = "usual")]
    error: Option<Cow<'a, Failure>>,
    #[serde(default, skip_serializing_if = "usual")]
    output: Option<Cow<'a, Content>>,
    #[serde(default, skip_serializing_if = "usual")]
    items: Option<ItemCounts>,
    #[serde(default, skip_serializing_if = "usual")]
    held_up: Option<Cow<'a, HeldUp>>,
    #[serde(default, skip_serializing_if = "usual")]
    ask: Option<Cow<'a, Ask>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    more_asks: Cow<'a, [Ask]>,
}

/// The body of a task's row, with its output or without.
pub(crate) fn of_task(row: &TaskRow, with_output: bool) -> Result<String, StoreError> {
    let TaskRow {
        run: _,
        name,
        position: _,
        status: _,
        verified,
        agent: _,
        attempts,
        started_at,
        ended_at,
        usage,
        cost,
        error,
        output,
        items,
        held_up,
        ask,
        more_asks,
    } = row;
    let body = TaskBody {
        verified: *verified,
        attempts: *attempts,
        started_at: *started_at,
        ended_at: *ended_at,
        usage: *usage,
        cost: *cost,
        error: error.as_ref().map(Cow::Borrowed),
        output: output.as_ref().filter(|_| with_output).map(Cow::Borrowed),
        items: *items,
        held_up: held_up.as_ref().map(Cow::Borrowed),
        ask: ask.as_deref().map(Cow::Borrowed),
        more_asks: Cow::Borrowed(more_asks),
    };
    to_json(&body, format_args!("the row of task `{name}`"))
}

/// The columns of a task's row, for [`task`].
pub(crate) const TASK: &str = "r.id AS id, t.name AS name, t.position AS position, \
     t.status AS status, t.agent AS agent, t.body AS body";

/// A task's row from [`TASK`].
pub(crate) fn task(row: &Row<'_>) -> Result<TaskRow, Fault> {
    let (run, name): (String, String) = (row.get("id")?, row.get("name")?);
    let what = format!("the row of task `{name}` of run `{run}`");
    let body: String = row.get("body")?;
    let body: TaskBody<'_> = from_json(&body, &what)?;
    let agent: Option<String> = row.get("agent")?;
    Ok(TaskRow {
        run: known(RunId::new(run), &what)?,
        name: known(TaskName::new(name), &what)?,
        position: row.get("position")?,
        status: named(&row.get::<_, String>("status")?, TaskStatus::from_name, &what)?,
        verified: body.verified,
        agent: agent.map(|agent| known(AgentName::new(agent), &what)).transpose()?,
        attempts: body.attempts,
        started_at: body.started_at,
        ended_at: body.ended_at,
        usage: body.usage,
        cost: body.cost,
        error: body.error.map(Cow::into_owned),
        output: body.output.map(Cow::into_owned),
        items: body.items,
        held_up: body.held_up.map(Cow::into_owned),
        ask: body.ask.map(|ask| Box::new(ask.into_owned())),
        more_asks: body.more_asks.into_owned(),
    })
}

/// What of an attempt's row has no column.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct AttemptBody<'a> {
    epoch: Epoch,
    status: AttemptStatus,
    #[serde(default, skip_serializing_if = "usual")]
    ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "usual")]
    error: Option<Cow<'a, Failure>>,
    #[serde(default, skip_serializing_if = "usual")]
    usage: Usage,
    #[serde(default, skip_serializing_if = "usual")]
    cost: Cost,
    #[serde(default, skip_serializing_if = "is_empty")]
    artifacts: Cow<'a, [ArtifactRef]>,
    #[serde(default, skip_serializing_if = "usual")]
    child: Option<Cow<'a, RunId>>,
    #[serde(default, skip_serializing_if = "usual")]
    session: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "usual")]
    turns: u32,
    #[serde(default, skip_serializing_if = "usual")]
    cached: Option<Cow<'a, CacheHit>>,
}

fn is_empty<T>(list: &[T]) -> bool {
    list.is_empty()
}

/// The body of an attempt's row.
pub(crate) fn of_attempt(row: &AttemptRow) -> Result<String, StoreError> {
    let AttemptRow {
        run: _,
        task,
        number: _,
        epoch,
        agent: _,
        status,
        started_at: _,
        ended_at,
        error,
        usage,
        cost,
        artifacts,
        child,
        session,
        turns,
        cached,
    } = row;
    let body = AttemptBody {
        epoch: *epoch,
        status: *status,
        ended_at: *ended_at,
        error: error.as_ref().map(Cow::Borrowed),
        usage: *usage,
        cost: *cost,
        artifacts: artifacts.into(),
        child: child.as_ref().map(Cow::Borrowed),
        session: session.as_ref().map(Cow::from),
        turns: *turns,
        cached: cached.as_ref().map(Cow::Borrowed),
    };
    to_json(&body, format_args!("the row of an attempt at task `{task}`"))
}

/// The columns of an attempt that is kept by itself, for [`attempt`].
pub(crate) const ATTEMPT: &str = "r.id AS id, a.task AS task, a.number AS number, \
     a.agent AS agent, a.started_at AS started_at, a.first_seq AS first_seq, a.body AS body";

/// The same of one that stands beside its task's row.
pub(crate) const LAST_ATTEMPT: &str = "r.id AS id, t.name AS task, t.attempt AS number, \
     t.attempt_agent AS agent, t.attempt_at AS started_at, t.attempt_seq AS first_seq, \
     t.attempt_body AS body";

/// An attempt's row from [`ATTEMPT`] or [`LAST_ATTEMPT`].
pub(crate) fn attempt(row: &Row<'_>) -> Result<AttemptRow, Fault> {
    let (run, task): (String, String) = (row.get("id")?, row.get("task")?);
    let what = format!("an attempt of task `{task}` of run `{run}`");
    let body: String = row.get("body")?;
    let body: AttemptBody<'_> = from_json(&body, &what)?;
    Ok(AttemptRow {
        run: known(RunId::new(run), &what)?,
        task: known(TaskName::new(task), &what)?,
        number: AttemptNumber(row.get("number")?),
        epoch: body.epoch,
        agent: known(AgentName::new(row.get::<_, String>("agent")?), &what)?,
        status: body.status,
        started_at: Timestamp(row.get::<_, i64>("started_at")?.cast_unsigned()),
        ended_at: body.ended_at,
        error: body.error.map(Cow::into_owned),
        usage: body.usage,
        cost: body.cost,
        artifacts: body.artifacts.into_owned(),
        child: body.child.map(Cow::into_owned),
        session: body.session.map(Cow::into_owned),
        turns: body.turns,
        cached: body.cached.map(Cow::into_owned),
    })
}

fn known<T>(value: Result<T, impl fmt::Display>, what: &str) -> Result<T, StoreError> {
    value.map_err(|error| StoreError::Damaged(format!("{what} cannot be read: {error}")))
}

fn named<T>(name: &str, find: fn(&str) -> Option<T>, what: &str) -> Result<T, StoreError> {
    let unknown =
        || StoreError::Damaged(format!("{what} cannot be read: there is no status `{name}`"));
    find(name).ok_or_else(unknown)
}
