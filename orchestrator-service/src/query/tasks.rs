//! Tasks: lists, details, files.

use super::{
    TaskQuery,
    runs::{agent_name, cursor, page_limit, unknown_status},
};
use crate::{
    OrchestratorService, ServiceError,
    clock::now,
    service::Opened,
    views::{AttemptView, List, TaskDetails, TaskView},
};
use orchestrator_core::{
    event::{ArtifactRef, Content},
    port::{Page, RunRow, TaskFilter, TaskRow},
    task::{TaskKind, TaskStatus},
    time::Timestamp,
};
use serde_json::Value;
use std::collections::BTreeMap;

impl OrchestratorService {
    /// A page of tasks.
    ///
    /// # Errors
    /// As for [`OrchestratorService::runs`].
    pub async fn tasks(&self, query: &TaskQuery) -> Result<List<TaskView>, ServiceError> {
        let mut list = List { schema: "orchestrator.tasks/v1", items: Vec::new(), next: None };
        let status = query.status.iter().map(|name| {
            TaskStatus::from_name(name)
                .ok_or_else(|| unknown_status(name, &TaskStatus::ALL.map(TaskStatus::as_str)))
        });
        let mut filter = TaskFilter {
            status: status.collect::<Result<_, _>>()?,
            agent: query.agent.as_deref().map(agent_name).transpose()?,
            since: query.since,
            search: query.search.clone(),
            ..TaskFilter::default()
        };
        if let Some(run) = &query.run {
            filter.run = Some(self.find_run(run).await?.1.id);
        }
        let Some(opened) = self.store_if_any()? else { return Ok(list) };
        let page = Page { limit: page_limit(query.limit), cursor: query.cursor.clone() };
        let part = opened.catalog().tasks(&filter, &page).await;
        let part = part.map_err(|error| cursor(opened, &page, error))?;
        let mut until: BTreeMap<String, Timestamp> = BTreeMap::new();
        for task in &part.items {
            let key = task.run.to_string();
            if !until.contains_key(&key) {
                let row = opened.catalog().run(&task.run).await.map_err(|e| opened.failed(e))?;
                let at = match &row {
                    Some(row) => self.standing(opened, row).await?.1,
                    None => now(),
                };
                until.insert(key.clone(), at);
            }
            list.items.push(TaskView::new(task, until.get(&key).copied().unwrap_or_default()));
        }
        list.next = part.next;
        Ok(list)
    }

    /// Everything about one task: `RUN.TASK`, or a name in `run` (default: the latest).
    ///
    /// # Errors
    /// An unknown run or task.
    pub async fn task(&self, task: &str, run: Option<&str>) -> Result<TaskDetails, ServiceError> {
        let (opened, run, row) = self.find_task(task, run).await?;
        let created = opened.created(&run.id).await?;
        let until = self.standing(opened, &run).await?.1;
        let attempts = opened.catalog().attempts(&run.id, Some(&row.name)).await;
        let attempts = attempts.map_err(|e| opened.failed(e))?;
        let spec = created.workflow.tasks.iter().find(|spec| spec.name == row.name);
        Ok(TaskDetails {
            schema: "orchestrator.task/v1",
            task: TaskView::new(&row, until),
            description: spec.and_then(|spec| spec.description.clone()),
            needs: spec
                .map_or_else(Vec::new, |spec| spec.needs.iter().map(ToString::to_string).collect()),
            asks: spec.map_or(Value::Null, |spec| match &spec.kind {
                TaskKind::Agent { prompt, .. } => Value::String(prompt.clone()),
                TaskKind::Command { command } => command.clone().into(),
            }),
            output: opened.output(&row).await?,
            items: attempts.iter().map(AttemptView::from).collect(),
        })
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

    /// What a run has to say, as Markdown: the `report.md` of the last task that made one; or,
    /// when a task after that or none made one, what the last tasks of the run answered in words.
    ///
    /// # Errors
    /// An unknown run, missing content.
    pub async fn report(&self, run: &str) -> Result<Option<String>, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        let created = opened.created(&row.id).await?;
        let tasks = opened.all_tasks(&row.id).await?;
        let needed: Vec<_> = created.workflow.tasks.iter().flat_map(|spec| &spec.needs).collect();
        let mut parts = Vec::new();
        for task in tasks.iter().filter(|task| !needed.contains(&&task.name)) {
            if task.status != TaskStatus::Succeeded {
                continue;
            }
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
    async fn words(&self, run: &RunRow, task: &TaskRow) -> Result<Option<String>, ServiceError> {
        if let Some(report) = self.artifacts(run, task).await?.get("report.md") {
            let bytes = self.blobs().get(&report.blob).await?;
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(match self.output(task).await? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        })
    }
}
