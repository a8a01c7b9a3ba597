//! Control: pause, resume, cancel and kill, and what people say to what they are asked.
//!
//! Every wish is put into the inbox of its run first, so that no crash loses it. The process that
//! drives the run takes it from there; where nobody does, it is taken here and now, without
//! starting anything.

mod idle;
mod inbox;
mod people;
mod steer;

pub use people::{Answer, Saying, Which};

use crate::{
    OrchestratorService, ServiceError,
    query::Driver,
    service::Opened,
    views::{CancelView, ControlView, Controlled},
};
use orchestrator_core::{
    id::{AgentName, RunId, TaskName},
    port::{AttemptStatus, Page, RunRow, Signal, TaskFilter, TaskRow},
    run::RunStatus,
    task::TaskStatus,
};

/// How many attempts of an agent are looked through for those that are under way.
const ATTEMPTS: usize = 1_000;

/// Who stops, when the wish comes from a person at a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// What runs may finish.
    Gently,
    /// What runs stops at its next turn, and goes on there later.
    Now,
}

impl OrchestratorService {
    /// Asks a run to stop, whoever drives it.
    ///
    /// # Errors
    /// An unknown run or one that has ended.
    pub async fn cancel(&self, run: &str, reason: &str) -> Result<CancelView, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        refuse_over(&row, "cancel")?;
        let signal = Signal::Cancel { reason: reason.to_owned() };
        let told = self.ask(opened, &row, signal).await?;
        let status = if told.status.is_final() { told.status } else { RunStatus::Cancelling };
        Ok(CancelView {
            schema: "orchestrator.cancel/v1",
            run: row.id.to_string(),
            status: status.as_str().to_owned(),
        })
    }

    /// Asks a run to start nothing more until it is resumed, whoever drives it.
    ///
    /// # Errors
    /// An unknown run or one that has ended.
    pub async fn pause(&self, run: &str, how: Pause) -> Result<ControlView, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        refuse_over(&row, "pause")?;
        let signal = Signal::Pause { now: how == Pause::Now };
        let told = self.ask(opened, &row, signal).await?;
        Ok(ControlView::one("pause", Controlled::of(&row.id, None, &told)))
    }

    /// Lets a paused run go on that a living process drives. One that nobody drives is taken up
    /// with [`OrchestratorService::resume`].
    pub(crate) async fn unpause(
        &self,
        opened: &Opened,
        row: &RunRow,
    ) -> Result<ControlView, ServiceError> {
        let told = self.ask(opened, row, Signal::Resume {}).await?;
        Ok(ControlView::one("resume", Controlled::of(&row.id, None, &told)))
    }

    /// Stops one task, or all on which an agent is at work now: a task is `RUN.TASK`, or a name in
    /// the newest open run that has such a task.
    ///
    /// # Errors
    /// A name that is neither, a task that has ended, an agent that is not at work.
    pub async fn kill(&self, name: &str, reason: &str) -> Result<ControlView, ServiceError> {
        let (opened, tasks) = self.to_kill(name).await?;
        let mut view = ControlView::none("kill");
        for (row, task) in tasks {
            let signal = Signal::Kill { task: task.clone(), reason: reason.to_owned() };
            let told = self.ask(opened, &row, signal).await?;
            view.items.push(Controlled::of(&row.id, Some(&task), &told));
        }
        Ok(view)
    }

    async fn to_kill(
        &self,
        name: &str,
    ) -> Result<(&Opened, Vec<(RunRow, TaskName)>), ServiceError> {
        if name.contains('.') {
            let (opened, run, task) = self.find_task(name, None).await?;
            refuse_over(&run, "kill a task of")?;
            if task.status.is_final() {
                return Err(task_over(&run, &task));
            }
            return Ok((opened, vec![(run, task.name)]));
        }
        let Some(opened) = self.store_if_any()? else { return Err(ServiceError::NoRuns) };
        let open = |task: &TaskRow| !task.status.is_final();
        if let Some((run, task)) = self.newest_task(opened, name, open).await? {
            return Ok((opened, vec![(run, task.name)]));
        }
        let found = self.at_work(opened, name).await?;
        if found.is_empty() {
            return match self.find_task(name, None).await {
                Ok((_, run, task)) => Err(task_over(&run, &task)),
                Err(_) => {
                    self.roster()?.get(name)?;
                    Err(ServiceError::NotAtWork(name.chars().take(64).collect()))
                }
            };
        }
        Ok((opened, found))
    }

    /// The tasks on which the agent called `name` is at work.
    async fn at_work(
        &self,
        opened: &Opened,
        name: &str,
    ) -> Result<Vec<(RunRow, TaskName)>, ServiceError> {
        let Ok(agent) = AgentName::new(name) else { return Ok(Vec::new()) };
        let attempts = opened.catalog().attempts_of(&agent, ATTEMPTS).await;
        let mut found = Vec::new();
        for attempt in attempts.map_err(|error| opened.failed(error))? {
            if attempt.status == AttemptStatus::Running {
                let row = opened.run(&attempt.run).await?;
                if !row.status.is_final() {
                    found.push((row, attempt.task));
                }
            }
        }
        Ok(found)
    }

    /// The task of that name that fits, of the newest open run that has one.
    async fn newest_task(
        &self,
        opened: &Opened,
        name: &str,
        fits: impl Fn(&TaskRow) -> bool,
    ) -> Result<Option<(RunRow, TaskRow)>, ServiceError> {
        let filter = TaskFilter {
            status: TaskStatus::ALL.into_iter().filter(|status| !status.is_final()).collect(),
            search: Some(name.to_owned()),
            ..TaskFilter::default()
        };
        let mut page = Page { limit: 1_000, cursor: None };
        loop {
            let part = opened.catalog().tasks(&filter, &page).await;
            let part = part.map_err(|error| opened.failed(error))?;
            for task in part.items.into_iter().filter(|task| task.name.as_str() == name) {
                if fits(&task) {
                    let row = opened.run(&task.run).await?;
                    if !row.status.is_final() {
                        return Ok(Some((row, task)));
                    }
                }
            }
            page.cursor = part.next;
            if page.cursor.is_none() {
                return Ok(None);
            }
        }
    }

    /// Whether a living process drives the run.
    pub(crate) async fn is_driven(
        &self,
        opened: &Opened,
        row: &RunRow,
    ) -> Result<bool, ServiceError> {
        Ok(matches!(self.driver(opened, row).await?, Driver::Alive(_)))
    }
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Where the run stands now.
    pub(crate) status: RunStatus,
    /// Whether a living process drives it.
    pub(crate) driven: bool,
    /// Whether the wish has been taken from the inbox by now.
    pub(crate) taken: bool,
}

impl Opened {
    /// The row of `run`.
    pub(crate) async fn run(&self, run: &RunId) -> Result<RunRow, ServiceError> {
        let row = self.catalog().run(run).await.map_err(|error| self.failed(error))?;
        row.ok_or_else(|| ServiceError::NoSuchRun(run.to_string()))
    }
}

/// Refuses to do something to a run that has ended.
pub(crate) fn refuse_over(row: &RunRow, action: &'static str) -> Result<(), ServiceError> {
    if row.status.is_final() {
        let (run, status) = (row.id.to_string(), row.status.to_string());
        return Err(ServiceError::RunOver { action, run, status });
    }
    Ok(())
}

fn task_over(run: &RunRow, task: &TaskRow) -> ServiceError {
    ServiceError::TaskOver {
        task: format!("{}.{}", run.id, task.name),
        status: task.status.to_string(),
    }
}
