//! Tasks: lists, details, files.

use super::{
    TaskQuery,
    runs::{INTERRUPTED, Standing, agent_name, cursor, page_limit, unknown_status},
};
use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{AllowedView, AttemptView, List, MessageView, TaskDetails, TaskView},
};
use orchestrator_core::{
    agent::AgentSpec,
    event::{ArtifactRef, Content, RunCreated},
    id::{RunId, TaskName},
    port::{Page, RunRow, TaskFilter, TaskRow},
    task::{TaskKind, TaskStatus},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How several runs are shown, each looked at once.
#[derive(Debug, Default)]
pub(super) struct Standings {
    known: BTreeMap<RunId, Standing>,
}

impl Standings {
    /// How `run` is shown; none when it has been removed meanwhile.
    pub(super) async fn of(
        &mut self,
        service: &OrchestratorService,
        opened: &Opened,
        run: &RunId,
    ) -> Result<Option<&Standing>, ServiceError> {
        if !self.known.contains_key(run) {
            let row = opened.catalog().run(run).await.map_err(|e| opened.failed(e))?;
            let Some(row) = row else { return Ok(None) };
            self.known.insert(run.clone(), service.standing(opened, &row).await?);
        }
        Ok(self.known.get(run))
    }
}

/// The stored statuses that tasks shown under `wanted` can have.
fn stored_statuses(wanted: &[String]) -> Result<Vec<TaskStatus>, ServiceError> {
    let mut stored = Vec::new();
    for name in wanted {
        stored.push(match TaskStatus::from_name(name) {
            Some(status) => status,
            None if name == INTERRUPTED => TaskStatus::Running,
            None => {
                let known = TaskStatus::ALL.into_iter().map(TaskStatus::as_str);
                let known: Vec<&str> = known.chain([INTERRUPTED]).collect();
                return Err(unknown_status(name, &known));
            }
        });
    }
    Ok(stored)
}

impl OrchestratorService {
    /// A page of tasks.
    ///
    /// # Errors
    /// As for [`OrchestratorService::runs`].
    pub async fn tasks(&self, query: &TaskQuery) -> Result<List<TaskView>, ServiceError> {
        let mut list = List { schema: "orchestrator.tasks/v1", items: Vec::new(), next: None };
        let mut filter = TaskFilter {
            status: stored_statuses(&query.status)?,
            agent: query.agent.as_deref().map(agent_name).transpose()?,
            since: query.since,
            search: query.search.clone(),
            ..TaskFilter::default()
        };
        if let Some(run) = &query.run {
            filter.run = Some(self.find_run(run).await?.1.id);
        }
        let Some(opened) = self.store_if_any()? else { return Ok(list) };
        let limit = page_limit(query.limit);
        list.next.clone_from(&query.cursor);
        let mut standings = Standings::default();
        // `interrupted` is not stored: pages are read on until enough of what fits was found.
        loop {
            let page = Page { limit: limit - list.items.len(), cursor: list.next.take() };
            let part = opened.catalog().tasks(&filter, &page).await;
            let part = part.map_err(|error| cursor(opened, &page, error))?;
            list.next = part.next;
            for task in &part.items {
                let Some(standing) = standings.of(self, opened, &task.run).await? else { continue };
                let view = TaskView::new(task, standing);
                if query.status.is_empty() || query.status.contains(&view.status) {
                    list.items.push(view);
                }
            }
            if list.items.len() >= limit || list.next.is_none() {
                return Ok(list);
            }
        }
    }

    /// Everything about one task: `RUN.TASK`, or a name in `run` (default: the latest).
    ///
    /// # Errors
    /// An unknown run or task.
    pub async fn task(&self, task: &str, run: Option<&str>) -> Result<TaskDetails, ServiceError> {
        let (opened, run, row) = self.find_task(task, run).await?;
        let created = opened.created(&run.id).await?;
        let standing = self.standing(opened, &run).await?;
        let attempts = opened.catalog().attempts(&run.id, Some(&row.name)).await;
        let attempts = attempts.map_err(|e| opened.failed(e))?;
        // What was made of a task of the file asks for what that one asks for.
        let specs = opened.specs(&created).await?;
        let spec = specs.iter().find(|spec| spec.name.as_str() == row.name.base());
        let undo = row.name.as_str().ends_with(":undo");
        let kind = spec.and_then(|spec| match undo {
            true => spec.compensate.as_deref(),
            false => Some(&spec.kind),
        });
        let items: Vec<AttemptView> =
            attempts.iter().map(|attempt| AttemptView::new(attempt, &standing)).collect();
        let last = items.last();
        let (messages, allowed) = self.told_and_allowed(opened, &created, &row).await?;
        Ok(TaskDetails {
            schema: "orchestrator.task/v1",
            task: TaskView::new(&row, &standing),
            description: spec.and_then(|spec| spec.description.clone()),
            needs: spec
                .map_or_else(Vec::new, |spec| spec.needs.iter().map(ToString::to_string).collect()),
            asks: kind.map_or(Value::Null, asks),
            child: last.and_then(|last| last.child.clone()),
            session: last.and_then(|last| last.session.clone()),
            turns: last.map_or(0, |last| last.turns),
            messages,
            allowed,
            cached: last.and_then(|last| last.cached.clone()),
            output: opened.output(&row).await?,
            calls: match items.iter().any(|attempt| attempt.turns > 0) {
                true => self.calls(opened, &run.id, &row.name).await?,
                false => Vec::new(),
            },
            work: opened.work_of(&run.id, &row.name).await?,
            items,
        })
    }

    /// What was sent to the agents of a task, and what its agent was allowed for good. Only agents
    /// that take messages or ask have any of it.
    async fn told_and_allowed(
        &self,
        opened: &Opened,
        created: &RunCreated,
        row: &TaskRow,
    ) -> Result<(Vec<MessageView>, Vec<AllowedView>), ServiceError> {
        let may = |spec: &AgentSpec| spec.steerable || spec.permissions.is_some();
        if row.attempts == 0 || !created.agents.iter().any(may) {
            return Ok((Vec::new(), Vec::new()));
        }
        let run = opened.run_of_log(&row.run).await?;
        let task = run.place(row.name.as_str()).and_then(|place| run.task(place));
        let messages = task.iter().flat_map(|task| task.messages()).map(MessageView::from);
        let own = run.allowances().iter().filter(|known| row.agent.as_ref() == Some(&known.agent));
        Ok((messages.collect(), own.map(AllowedView::from).collect()))
    }

    /// The bytes of a file that a task made, from its last attempt that made one of that name.
    ///
    /// # Errors
    /// An unknown run, task or name.
    pub async fn artifact(
        &self,
        task: &str,
        run: Option<&str>,
        name: &str,
    ) -> Result<Vec<u8>, ServiceError> {
        let (opened, run, row) = self.find_task(task, run).await?;
        let made = opened.artifacts(&run, &row).await?;
        match made.get(name) {
            Some(artifact) => Ok(opened.blobs().get(&artifact.blob).await?),
            None => Err(ServiceError::NoSuchArtifact {
                task: format!("{}.{}", run.id, row.name),
                name: name.chars().take(64).collect(),
                known: made.into_keys().collect(),
            }),
        }
    }

    /// What a run has to say, as Markdown: what its last tasks left, each under its name when
    /// there are several. Of a task that is its `report.md`, else its answer in words, else its
    /// answer as JSON; of one that only judges another, what the other left.
    ///
    /// None when the last tasks have not succeeded or left nothing.
    ///
    /// # Errors
    /// An unknown run, missing content.
    pub async fn report(&self, run: &str) -> Result<Option<String>, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        let created = opened.created(&row.id).await?;
        let tasks = opened.all_tasks(&row.id).await?;
        let specs = opened.specs(&created).await?;
        let needed: BTreeSet<&TaskName> = specs.iter().flat_map(|spec| &spec.needs).collect();
        let mut told: Vec<&TaskName> = Vec::new();
        for last in tasks.iter().filter(|task| !needed.contains(&task.name)) {
            // What the engine made of a task says what it has to say through that task.
            if last.status != TaskStatus::Succeeded || !last.name.is_plain() {
                continue;
            }
            // A verdict is about the work that it accepted; that work is what was asked for.
            let spec = specs.iter().find(|spec| spec.name == last.name);
            let judged = spec.and_then(|spec| spec.revise.as_ref());
            let teller = judged.map_or(&last.name, |revise| &revise.task);
            if !told.contains(&teller) {
                told.push(teller);
            }
        }
        let mut parts = Vec::new();
        for task in tasks.iter().filter(|task| told.contains(&&task.name)) {
            if let Some(text) = opened.words(&row, task).await? {
                parts.push((task.name.to_string(), text));
            }
        }
        Ok(match &parts[..] {
            [] => None,
            [(_, only)] => Some(only.clone()),
            several => {
                let part = |(name, text): &(String, String)| format!("# {name}\n\n{text}");
                Some(several.iter().map(part).collect::<Vec<_>>().join("\n\n"))
            }
        })
    }
}

/// What is asked for, as it stands in the workflow.
fn asks(kind: &TaskKind) -> Value {
    match kind {
        TaskKind::Agent { prompt, .. } => Value::String(prompt.clone()),
        TaskKind::Command { command } => command.clone().into(),
        TaskKind::Workflow { workflow, with } => json!({ "workflow": workflow, "with": with }),
        TaskKind::Approval { message, .. } => Value::String(message.clone()),
    }
}

impl Opened {
    /// What the task left; null when it left nothing.
    pub(crate) async fn output(&self, task: &TaskRow) -> Result<Value, ServiceError> {
        match &task.output {
            None => Ok(Value::Null),
            Some(Content::Inline(value)) => Ok(value.clone()),
            Some(Content::Blob { id, .. }) => {
                let bytes = self.blobs().get(id).await?;
                serde_json::from_slice(&bytes).map_err(|_| {
                    ServiceError::Blob(orchestrator_core::port::BlobError::Damaged(id.clone()))
                })
            }
        }
    }

    /// The files of a task by name, each of its last attempt that made one.
    pub(crate) async fn artifacts(
        &self,
        run: &RunRow,
        task: &TaskRow,
    ) -> Result<BTreeMap<String, ArtifactRef>, ServiceError> {
        let attempts = self.catalog().attempts(&run.id, Some(&task.name)).await;
        let attempts = attempts.map_err(|e| self.failed(e))?;
        let made = attempts.into_iter().flat_map(|attempt| attempt.artifacts);
        Ok(made.map(|artifact| (artifact.name.clone(), artifact)).collect())
    }

    /// What the task has to say to people.
    pub(crate) async fn words(
        &self,
        run: &RunRow,
        task: &TaskRow,
    ) -> Result<Option<String>, ServiceError> {
        if let Some(report) = self.artifacts(run, task).await?.get("report.md") {
            let bytes = self.blobs().get(&report.blob).await?;
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(match self.output(task).await? {
            Value::Null => None,
            Value::String(text) => Some(text).filter(|text| !text.trim().is_empty()),
            other => serde_json::to_string_pretty(&other).ok(),
        })
    }
}
