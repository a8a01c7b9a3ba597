//! The built-in analysts behind the agent port.

use super::{
    Options, Report, dev, docs,
    index::{Index, IndexError, Limits},
    pm, qa, render, security,
};
use async_trait::async_trait;
use orchestrator_core::{
    agent::Role,
    error::{ErrorClass, Failure},
    id::RunId,
    port::{Agent, Answer, Artifact, Assignment, AttemptHost, LogLine, LogStream, Progress},
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Does the work of all five analysts: which one is decided by the role of the agent that is
/// asked. A clone shares what was read of the project.
///
/// The answer's output is the [`Report`] as JSON; its artifacts are `report.md`, `report.json`
/// and `report.sarif`.
///
/// The files of a project are read once for all analysts of a run; what has changed between two
/// analysts is read again. The files of one run at a time are kept, until its plan is made or
/// another run begins.
#[derive(Debug, Clone, Default)]
pub struct BuiltinAgent {
    limits: Limits,
    kept: Arc<Mutex<Option<Kept>>>,
}

/// The index of the latest run.
#[derive(Debug)]
struct Kept {
    run: RunId,
    project: PathBuf,
    index: Arc<Index>,
}

type Analyst = fn(&Index, &Options) -> Report;

/// The analyst for `role`.
fn analyst(role: &Role) -> Option<Analyst> {
    match role {
        Role::Dev => Some(dev::analyse),
        Role::Qa => Some(qa::analyse),
        Role::Docs => Some(docs::analyse),
        Role::Pm => Some(pm::analyse),
        Role::Security => Some(security::analyse),
        Role::Own(_) => None,
    }
}

impl BuiltinAgent {
    /// An agent that reads projects within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self { limits, kept: Arc::default() }
    }

    /// The project's files as they are now. Waits for another analyst that reads them at present.
    fn index(
        &self,
        run: &RunId,
        project: &Path,
        cancelled: &AtomicBool,
    ) -> Result<Arc<Index>, IndexError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = match &*kept {
            Some(kept) if kept.run == *run && kept.project == project => {
                kept.index.refresh(cancelled)
            }
            _ => {
                // Two projects' files at once would not fit the memory that is promised.
                *kept = None;
                Index::build(project, self.limits, cancelled)
            }
        };
        let index = Arc::new(fresh?);
        *kept = Some(Kept {
            run: run.clone(),
            project: project.to_path_buf(),
            index: Arc::clone(&index),
        });
        Ok(index)
    }

    /// Lets go of the files of `run`.
    fn forget(&self, run: &RunId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|kept| kept.run == *run);
    }
}

/// Tells the analyst to stop when the attempt is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Agent for BuiltinAgent {
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let role = assignment.agent.role.clone();
        let analyse = analyst(&role).ok_or_else(|| unknown_role(assignment))?;
        let options = Options {
            history: is_true(assignment.inputs.get("history")),
            inputs: Arc::clone(&assignment.inputs),
            root: assignment.directory().to_path_buf(),
            others: others(assignment),
            cancelled: Arc::new(AtomicBool::new(false)),
        };
        let stop = StopOnDrop(Arc::clone(&options.cancelled));
        host.progress(Progress { doing: "reading the project".to_owned(), ..Progress::default() });
        let (agent, run) = (self.clone(), assignment.run.clone());
        let work = tokio::task::spawn_blocking(move || {
            let index = agent
                .index(&run, &options.root, &options.cancelled)
                .map_err(|error| index_failure(&error))?;
            let mut report = analyse(&index, &options);
            if options.cancelled.load(Ordering::Relaxed) {
                return Err(cancelled());
            }
            report.notes.extend(index.notes().iter().cloned());
            if role == Role::Pm {
                agent.forget(&run);
            }
            let answer = answer(&report)?;
            Ok((report, answer))
        });
        let (report, answer) = tokio::select! {
            done = work => match done {
                Ok(result) => result?,
                Err(error) => return Err(Failure::new(
                    ErrorClass::Internal,
                    format!("the built-in {} analyst broke off: {error}", assignment.agent.role),
                )),
            },
            () = host.cancelled() => return Err(cancelled()),
        };
        drop(stop);
        let lines = std::iter::once(&report.summary).chain(&report.notes);
        for text in lines {
            host.log(LogLine { stream: LogStream::Note, text: text.clone() });
        }
        Ok(answer)
    }
}

fn unknown_role(assignment: &Assignment) -> Failure {
    let known: Vec<&str> = Role::KNOWN.iter().map(Role::as_str).collect();
    Failure::new(
        ErrorClass::InvalidRequest,
        format!(
            "cannot analyse for agent `{}`: the provider `builtin` has no analyst for the role \
             `{}`; use one of the roles {}, or another provider",
            assignment.agent.name,
            assignment.agent.role,
            known.join(", ")
        ),
    )
}

fn index_failure(error: &IndexError) -> Failure {
    match error {
        IndexError::Root { source, .. } => {
            Failure::new(ErrorClass::InvalidRequest, format!("{error}: {source}"))
        }
        IndexError::Cancelled => cancelled(),
    }
}

fn cancelled() -> Failure {
    Failure::new(ErrorClass::Cancelled, "the analysis was stopped before it was done")
}

/// Whether an input says yes; inputs from a command line are text.
fn is_true(input: Option<&Value>) -> bool {
    match input {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => matches!(text.as_str(), "true" | "yes" | "1"),
        _ => false,
    }
}

/// The reports among what the needed tasks left, in the order of the tasks' names. What is not a
/// report is left out.
fn others(assignment: &Assignment) -> Vec<Report> {
    let mut reports = Vec::new();
    for upstream in assignment.needs.values() {
        match &*upstream.output {
            Value::Array(outputs) => reports.extend(outputs.iter().filter_map(Report::from_value)),
            Value::String(text) => reports
                .extend(serde_json::from_str(text).ok().as_ref().and_then(Report::from_value)),
            output => reports.extend(Report::from_value(output)),
        }
    }
    reports
}

fn answer(report: &Report) -> Result<Answer, Failure> {
    let unwritable = |error: serde_json::Error| {
        Failure::new(ErrorClass::Internal, format!("cannot write the report: {error}"))
    };
    let artifact = |name: &str, media_type: &str, text: String| Artifact {
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        bytes: text.into_bytes(),
    };
    Ok(Answer::json(serde_json::to_value(report).map_err(unwritable)?)
        .with_artifact(artifact("report.md", "text/markdown", render::markdown(report)))
        .with_artifact(artifact(
            "report.json",
            "application/json",
            render::json(report).map_err(unwritable)?,
        ))
        .with_artifact(artifact(
            "report.sarif",
            "application/sarif+json",
            render::sarif(report).map_err(unwritable)?,
        )))
}
