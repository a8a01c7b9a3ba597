//! Messages to agents at work.

use crate::{
    OrchestratorService, ServiceError,
    control::refuse_over,
    service::Opened,
    views::{ControlView, Controlled},
};
use orchestrator_core::{
    id::{RunId, Sequence, TaskName},
    port::{RunRow, Signal, StoreError, TaskRow},
    run::Run,
};

impl OrchestratorService {
    /// Says `text` to the agent at work on a task: `RUN.TASK`, or the name of a task that has begun
    /// in the newest open run that has one. It is durable when this returns; an agent that is cut
    /// off is told when its task goes on.
    ///
    /// # Errors
    /// An unknown task, one that nobody is at work on, or an agent that takes no messages.
    pub async fn send(&self, task: &str, text: &str) -> Result<ControlView, ServiceError> {
        let say = |task| Signal::Say { task, text: text.to_owned() };
        self.steer(task, "send", say).await
    }

    /// Lets the agent at work on a task leave off what it is doing and go on with `text`, or as it
    /// thinks best.
    ///
    /// # Errors
    /// As for [`OrchestratorService::send`].
    pub async fn interrupt(
        &self,
        task: &str,
        text: Option<&str>,
    ) -> Result<ControlView, ServiceError> {
        let interrupt = |task| Signal::Interrupt { task, text: text.map(str::to_owned) };
        self.steer(task, "interrupt", interrupt).await
    }

    async fn steer(
        &self,
        given: &str,
        action: &'static str,
        signal: impl FnOnce(TaskName) -> Signal,
    ) -> Result<ControlView, ServiceError> {
        let (opened, run, row) = self.find_at_work(given).await?;
        let signal = signal(row.name.clone());
        let known = opened.run_of_log(&run.id).await?;
        let place = known.place(row.name.as_str());
        if let Some(why) = place.and_then(|place| known.refuses_signal(place, &signal)) {
            return Err(ServiceError::Unsteerable { run: run.id.to_string(), why });
        }
        let told = self.ask(opened, &run, signal).await?;
        let mut view = ControlView::one(action, Controlled::of(&run.id, Some(&row.name), &told));
        if !told.driven && !told.status.is_final() {
            view.resume = Some(self.root(opened, &run).await?.id.to_string());
        }
        Ok(view)
    }

    async fn find_at_work(&self, given: &str) -> Result<(&Opened, RunRow, TaskRow), ServiceError> {
        if !given.contains('.') {
            let Some(opened) = self.store_if_any()? else { return Err(ServiceError::NoRuns) };
            let begun = |task: &TaskRow| !task.status.is_final() && task.attempts > 0;
            if let Some((run, row)) = self.newest_task(opened, given, begun).await? {
                return Ok((opened, run, row));
            }
        }
        let (opened, run, row) = self.find_task(given, None).await?;
        refuse_over(&run, "send a message to a task of")?;
        Ok((opened, run, row))
    }
}

impl Opened {
    /// The run as its log has it.
    pub(crate) async fn run_of_log(&self, run: &RunId) -> Result<Run, ServiceError> {
        let events = self.events(run, Sequence(0)).await?;
        Run::replay(&events).map_err(|error| {
            let message = format!("cannot replay run `{run}`: {error}");
            self.failed(StoreError::Damaged(message))
        })
    }
}
