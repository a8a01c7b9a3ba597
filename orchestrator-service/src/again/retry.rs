//! A run that has ended, done again.

use super::Before;
use crate::{Execution, OrchestratorService, ServiceError, service::Opened};
use orchestrator_core::{
    event::{Event, Origin},
    id::{RunId, TaskName},
    run::{RunStatus, StartRun},
    task::{TaskKind, TaskStatus},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is done again of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetryRequest {
    /// The run: an id, a unique start of one, or `latest`.
    pub run: String,
    /// This task and all that follow from it are done again as well; an item of a list is named
    /// `build:3`.
    pub from: Option<String>,
    /// The latest definition is used: tasks that have changed are done again, with all that follow.
    pub latest: bool,
}

impl OrchestratorService {
    /// Does a run that has ended again, as a new run that takes over what had succeeded. When this
    /// returns, the new run is durable and under way.
    ///
    /// # Errors
    /// An unknown run or task, a run that has not ended, one that succeeded when neither a task nor
    /// the latest definition is asked for; and as for [`OrchestratorService::execute`].
    pub async fn retry(&self, request: &RetryRequest) -> Result<Execution, ServiceError> {
        let (opened, row) = self.find_run(&request.run).await?;
        let refuse = |reason: String| ServiceError::NotAgain {
            action: "retry",
            run: row.id.to_string(),
            reason,
        };
        if !row.status.is_final() {
            return Err(refuse(format!(
                "it has not ended; go on with it by `orchestrator resume {0}`, or take another way \
                 with `orchestrator fork {0} --at TASK`",
                row.id
            )));
        }
        let asks_for_nothing = request.from.is_none() && !request.latest;
        if row.status == RunStatus::Succeeded && asks_for_nothing {
            return Err(refuse(
                "it succeeded; name a task with `--from TASK`, or use its definition as it is now \
                 with `--latest`"
                    .into(),
            ));
        }
        let before = opened.before(row).await?;
        let this = self.as_for(opened, before.created()).await?;
        let redone = match &request.from {
            None => BTreeSet::new(),
            Some(task) => before.downstream(before.find(task)?),
        };
        let (mut start, agents, changed) = match request.latest {
            true => {
                let latest = this.latest(&before)?;
                let changed = latest.changed_children(&before);
                (latest.start, latest.agents, changed)
            }
            false => {
                let agents = this.roster()?.needed(before.created());
                (before.start(&this), agents, BTreeSet::new())
            }
        };
        let keep = |task: &TaskName| {
            let base = TaskName::new(task.base()).ok();
            !redone.contains(task) && !base.is_some_and(|base| changed.contains(&base))
        };
        start.seed = before.run.carry(&start.workflow, &keep);
        start.takes_over = opened.take_over(&before, &start, &redone).await?;
        start.origin = Some(Origin::Retry { run: before.row.id.clone() });
        this.begin(start, &agents).await
    }
}

impl Opened {
    /// The child runs that did not succeed and whose results their successors take over: of tasks
    /// that are done again only because they failed, so that they are asked for the same.
    async fn take_over(
        &self,
        before: &Before,
        start: &StartRun,
        redone: &BTreeSet<TaskName>,
    ) -> Result<BTreeMap<TaskName, RunId>, ServiceError> {
        let carried: BTreeSet<&TaskName> = (start.seed.iter())
            .filter(|event| matches!(event, Event::TaskCarried { .. }))
            .filter_map(Event::task)
            .collect();
        let run = &before.run;
        let attempts = self.catalog().attempts(run.id(), None).await;
        let attempts = attempts.map_err(|error| self.failed(error))?;
        let mut found = BTreeMap::new();
        for attempt in attempts {
            let Some(child) = attempt.child else { continue };
            let Some(task) = run.place(attempt.task.as_str()).and_then(|place| run.task(place))
            else {
                continue;
            };
            let owner = task.item_of().map_or(task.place(), |(group, _)| group);
            let same = start.workflow.tasks.iter().any(|spec| spec == task.spec())
                && matches!(task.spec().kind, TaskKind::Workflow { .. });
            let asked_for_the_same = same
                && task.status() != TaskStatus::Succeeded
                && !redone.contains(&attempt.task)
                && run.graph().needs(owner).all(|need| carried.contains(&run.name(need)));
            let is_here = self.catalog().run(&child).await.map_err(|error| self.failed(error))?;
            if asked_for_the_same && is_here.is_some_and(|row| row.status.is_final()) {
                // The last attempt counts: it took over from those before it.
                found.insert(attempt.task, child);
            }
        }
        Ok(found)
    }
}
