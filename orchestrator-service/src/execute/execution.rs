//! An execution under way: what it says, and how it is stopped.

use super::watch::{Queue, Watch};
use crate::{
    OrchestratorService, ServiceError,
    credentials::KnownSecrets,
    service::Opened,
    views::{AskedView, ResultView},
};
use orchestrator_core::{
    engine::{Engine, EngineError, RunHandle, RunReport},
    event::Recorded,
    id::{AttemptNumber, RunId, TaskName},
    port::{Progress, Signal},
};
use serde_json::{Map, Value};
use std::{fmt, sync::Arc};
use tokio::{runtime::Handle, sync::mpsc, task::JoinHandle};

/// Something that an execution says.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// An event is durable.
    Recorded {
        /// Of which run: the one that is driven, or one that it has started.
        run: RunId,
        /// The event.
        recorded: Box<Recorded>,
    },
    /// A running attempt says how it goes; not recorded.
    Progress {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// How it goes.
        progress: Progress,
    },
}

/// A run that this process drives.
///
/// Dropping it does not stop the run; the end of its runtime does, and then the run is left for
/// `resume` as after a crash.
pub struct Execution {
    run: RunId,
    service: OrchestratorService,
    control: Control,
    happenings: mpsc::UnboundedReceiver<Happening>,
    driver: JoinHandle<Result<RunReport, EngineError>>,
    observer: Arc<Queue>,
    notes: Vec<String>,
}

/// Stops an execution; may be cloned and moved to where the wish arises.
#[derive(Clone)]
pub struct Control {
    run: RunId,
    engine: Engine,
    opened: Opened,
    runtime: Handle,
    known: KnownSecrets,
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution").field("run", &self.run).finish_non_exhaustive()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Control {
    /// Cancels the run: its attempts are stopped and it ends as cancelled. The wish is recorded
    /// before it is acted on, so that even a crash in between does not lose it.
    pub fn cancel(&self, reason: &str) {
        let (opened, run) = (self.opened.clone(), self.run.clone());
        let signal = self.known.signal(Signal::Cancel { reason: reason.to_owned() });
        self.runtime.spawn(async move {
            if let Err(error) = opened.log().signal(&run, signal, crate::clock::now()).await {
                tracing::warn!(%run, %error, "the wish to cancel could not be recorded");
            }
        });
    }

    /// Leaves the run as it is for a later `resume`: its attempts are stopped, its lease given back.
    pub fn interrupt(&self) {
        self.engine.interrupt();
    }
}

impl Execution {
    pub(super) fn new(
        service: OrchestratorService,
        opened: Opened,
        engine: Engine,
        handle: RunHandle,
        watch: Watch,
        notes: Vec<String>,
    ) -> Self {
        let run = handle.id().clone();
        let Watch { observer, happenings } = watch;
        let (drives, queue) = (engine.clone(), Arc::clone(&observer));
        let telemetry = service.telemetry_if_any().cloned();
        let driver = tokio::spawn(async move {
            let report = handle.wait().await;
            // What `then` has started is driven by this process as well, and seen to its end.
            let mut followed = 0;
            while let Some(next) = queue.chained().get(followed) {
                followed += 1;
                match drives.resume(next, None).await {
                    Ok(handle) => drop(handle.wait().await),
                    // It has ended already, or was put down with the rest.
                    Err(error) => tracing::debug!(run = %next, %error, "not waited for"),
                }
            }
            if let Some(telemetry) = telemetry {
                telemetry.settle().await;
            }
            queue.close();
            report
        });
        let runtime = Handle::current();
        let known = service.known().clone();
        let control = Control { run: run.clone(), engine, opened, runtime, known };
        Self { run, service, control, happenings, driver, observer, notes }
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// What there is to know about how it began, if anything: that a cassette lacks its last line, or
    /// that something is not confined.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What stops it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// The next thing that it says; `None` when it has said everything.
    ///
    /// Dropping this future loses nothing. Events that nobody takes are kept until the end, so a
    /// front-end that shows nothing need not ask.
    pub async fn next(&mut self) -> Option<Happening> {
        self.happenings.recv().await
    }

    /// What people are asked, when nothing else of the run, its children and what it has started
    /// can go on and nobody but them is waited for; else nothing.
    ///
    /// # Errors
    /// An unusable store.
    pub async fn asked(&self) -> Result<Vec<AskedView>, ServiceError> {
        let opened = &self.control.opened;
        let mut rows = vec![opened.run(&self.run).await?];
        for run in self.observer.chained() {
            rows.push(opened.run(&run).await?);
        }
        self.service.asked(opened, &rows).await
    }

    /// Waits until the run has ended or was interrupted.
    ///
    /// # Errors
    /// What kept the engine from driving it; a run that failed is not an error here.
    pub async fn wait(self) -> Result<ResultView, ServiceError> {
        let Self { run, service, control, happenings, driver, .. } = self;
        // Nobody listens any more, so nothing is gathered for them.
        drop(happenings);
        let report = match driver.await {
            Ok(report) => report.map_err(|error| control.opened.refused(error))?,
            Err(error) => return Err(ServiceError::Internal(error.to_string())),
        };
        service.result(&control.opened, &run, report.interrupted).await
    }
}

impl Happening {
    /// The event as one line of `execute --json`: `orchestrator.event/v1`. `None` for progress,
    /// which is not recorded.
    pub fn to_json(&self) -> Option<Value> {
        match self {
            Self::Recorded { run, recorded } => Some(event_json(run, recorded)),
            Self::Progress { .. } => None,
        }
    }
}

/// A recorded event as a document: its schema, run, place and time before its own fields.
pub(crate) fn event_json(run: &RunId, recorded: &Recorded) -> Value {
    let mut document = Map::new();
    document.insert("schema".into(), "orchestrator.event/v1".into());
    document.insert("run".into(), run.as_str().into());
    document.insert("seq".into(), recorded.seq.0.into());
    document.insert("at".into(), recorded.at.to_string().into());
    match serde_json::to_value(&recorded.event) {
        Ok(Value::Object(fields)) => {
            let is_chain = recorded.event.kind().starts_with("chain-");
            for (name, value) in fields {
                match name.as_str() {
                    // The run that the event is of is there already.
                    "run" if is_chain => document.insert("next-run".into(), value),
                    "run" => None,
                    _ => document.insert(name, value),
                };
            }
        }
        // Only a value that JSON cannot hold could lead here, and a log holds JSON alone.
        other => tracing::error!(?other, "an event is not an object"),
    }
    Value::Object(document)
}
