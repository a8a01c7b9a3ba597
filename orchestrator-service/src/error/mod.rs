//! What can go wrong, each with a stable code, the next command, and how a front-end ends.

mod codes;
mod store;

pub use codes::{SERVICE_CODES, codes};

use crate::document::Diagnostic;
use orchestrator_core::{port::BlobError, port::StoreError};
use std::path::PathBuf;

/// What can go wrong in a use case.
///
/// The message is a lower-case fragment; [`ServiceError::help`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A file, a set of inputs or an agent's settings are wrong in these places.
    #[error("{what}: {}", first(diagnostics))]
    Invalid {
        /// What was being read, such as `cannot use the workflow`.
        what: String,
        /// Every place; at least one.
        diagnostics: Vec<Diagnostic>,
    },
    /// A settings file cannot be written.
    #[error("cannot write `{}`", file.display())]
    SettingsUnwritable {
        /// The file.
        file: PathBuf,
        /// What stood in the way.
        source: std::io::Error,
    },
    /// The project has settings already.
    #[error("`{}` is there already", .0.display())]
    SetUpAlready(PathBuf),
    /// No template or workflow has that name.
    #[error("no template or workflow is named `{name}`")]
    NoSuchTemplate {
        /// The name that was given.
        name: String,
        /// The nearest that there is.
        suggestion: Option<String>,
    },
    /// The store failed.
    #[error("{error}")]
    Store {
        /// How.
        error: StoreError,
        /// Where it lies.
        directory: PathBuf,
    },
    /// The state directory cannot be made or used.
    #[error("cannot use the state directory `{}`: {reason}", directory.display())]
    State {
        /// The directory.
        directory: PathBuf,
        /// What stood in the way.
        reason: String,
    },
    /// Stored content is missing or damaged.
    #[error("{0}")]
    Blob(#[from] BlobError),
    /// Nothing is known about the operating system.
    #[error("work is not started on `{0}`: owning its processes has not been tried there")]
    Platform(String),
    /// No agent has that name.
    #[error("no agent is named `{name}`")]
    NoSuchAgent {
        /// The name that was given.
        name: String,
        /// The nearest that there is.
        suggestion: Option<String>,
    },
    /// No agent has that name or role.
    #[error("task `{task}` asks for `{wanted}`, but no agent has that name or role")]
    NobodyFor {
        /// The task.
        task: String,
        /// What it asks for.
        wanted: String,
        /// The nearest that there is.
        suggestion: Option<String>,
    },
    /// The work needs a model and none is at hand.
    #[error("{0} needs a model, and none is set up here")]
    ModelNeeded(String),
    /// No run has that id.
    #[error("no run has an id that starts with `{0}`")]
    NoSuchRun(String),
    /// Several runs have ids that start so.
    #[error("`{given}` fits several runs: {}", matches.join(", "))]
    AmbiguousRun {
        /// What was given.
        given: String,
        /// Some of the runs that fit.
        matches: Vec<String>,
    },
    /// There are no runs yet.
    #[error("this project has no runs yet")]
    NoRuns,
    /// The run has no such task.
    #[error("run `{run}` has no task `{task}`")]
    NoSuchTask {
        /// The run.
        run: String,
        /// The name that was given.
        task: String,
        /// The nearest that there is.
        suggestion: Option<String>,
    },
    /// The run is over.
    #[error("cannot {action} run `{run}`: it is over and {status}")]
    RunOver {
        /// What was asked.
        action: &'static str,
        /// The run.
        run: String,
        /// How it ended.
        status: String,
    },
    /// A living process on this machine drives the run.
    #[error("cannot take up run `{run}`: process {pid} drives it")]
    Driven {
        /// The run.
        run: String,
        /// The process.
        pid: u32,
    },
    /// A process on another machine drives the run.
    #[error("cannot take up run `{run}`: `{owner}` holds it for another {seconds} s")]
    DrivenElsewhere {
        /// The run.
        run: String,
        /// Who holds the lease.
        owner: String,
        /// For how long, unless it is renewed.
        seconds: u64,
    },
    /// The task made no file of that name.
    #[error("task `{task}` made no `{name}`")]
    NoSuchArtifact {
        /// The task's id.
        task: String,
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The engine could not go on.
    #[error("cannot go on with the run: {0}")]
    Engine(String),
    /// The project's directory cannot be used.
    #[error("cannot use `{}` as the project: {reason}", path.display())]
    Project {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A path is not UTF-8.
    #[error("the path `{}` is not UTF-8", .0.display())]
    PathNotUtf8(PathBuf),
    /// Telemetry cannot be set up.
    #[error("cannot set up telemetry: {0}")]
    Telemetry(String),
    /// An argument does not fit.
    #[error("{what} cannot be `{given}`: {expected}")]
    Argument {
        /// What it is for, such as `--since`.
        what: &'static str,
        /// What was given.
        given: String,
        /// What would fit.
        expected: String,
    },
    /// A prompt or something else that must be given is missing.
    #[error("{0}")]
    Missing(&'static str),
    /// A bug.
    #[error("{0}")]
    Internal(String),
}

fn first(diagnostics: &[Diagnostic]) -> String {
    match diagnostics {
        [] => "something is wrong with it".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// How a front-end ends because of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// The work failed.
    Failed,
    /// The call was wrong.
    Usage,
    /// Not authenticated, or an account was refused.
    Auth,
    /// The budget stopped it.
    Budget,
    /// The store cannot be reached.
    Unreachable,
}

impl ServiceError {
    /// A refusal with one place.
    pub(crate) fn invalid(what: impl Into<String>, diagnostic: Diagnostic) -> Self {
        Self::Invalid { what: what.into(), diagnostics: vec![diagnostic] }
    }

    /// The stable code, such as `ORC-0601`; a page under `docs/errors/` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { diagnostics, .. } => {
                diagnostics.first().map_or("ORC-0901", |first| first.code)
            }
            Self::SettingsUnwritable { .. } => "ORC-0105",
            Self::SetUpAlready(_) => "ORC-0106",
            Self::NoSuchTemplate { .. } => "ORC-0290",
            Self::Store { error, .. } => store::code(error),
            Self::State { .. } => "ORC-0406",
            Self::Blob(BlobError::Missing(_) | BlobError::Damaged(_)) => "ORC-0407",
            Self::Blob(BlobError::Full(_)) => "ORC-0404",
            Self::Blob(_) => "ORC-0401",
            Self::NoSuchAgent { .. } => "ORC-0511",
            Self::NobodyFor { .. } => "ORC-0512",
            Self::ModelNeeded(_) => "ORC-0513",
            Self::NoSuchRun(_) => "ORC-0601",
            Self::AmbiguousRun { .. } => "ORC-0602",
            Self::NoRuns => "ORC-0603",
            Self::NoSuchTask { .. } => "ORC-0604",
            Self::RunOver { .. } => "ORC-0605",
            Self::Driven { .. } => "ORC-0606",
            Self::DrivenElsewhere { .. } => "ORC-0607",
            Self::NoSuchArtifact { .. } => "ORC-0608",
            Self::Engine(_) => "ORC-0609",
            Self::Project { .. } => "ORC-0701",
            Self::Platform(_) => "ORC-0706",
            Self::PathNotUtf8(_) => "ORC-0702",
            Self::Telemetry(_) => "ORC-0705",
            Self::Argument { .. } | Self::Missing(_) => "ORC-0801",
            Self::Internal(_) => "ORC-0901",
        }
    }

    /// What to do, with the next command where there is one.
    pub fn help(&self) -> Option<String> {
        let known = |suggestion: &Option<String>, list: &str| match suggestion {
            Some(suggestion) => format!("{suggestion} `{list}` shows all"),
            None => format!("`{list}` shows those that there are"),
        };
        Some(match self {
            Self::Invalid { diagnostics, .. } => diagnostics.first()?.suggestion.clone()?,
            Self::SettingsUnwritable { .. } => "check the permissions of the directory".into(),
            Self::SetUpAlready(_) => {
                "change single settings with `orchestrator config set`, or replace the file with \
                 `orchestrator init --force`"
                    .into()
            }
            Self::NoSuchTemplate { suggestion, .. } => {
                known(suggestion, "orchestrator list-templates")
            }
            Self::Store { error, directory } => store::help(error, directory),
            Self::State { .. } => "`orchestrator doctor` shows what is wrong".into(),
            Self::Blob(_) => "restore `.orchestrator/state` from a copy".into(),
            Self::NoSuchAgent { suggestion, .. } | Self::NobodyFor { suggestion, .. } => {
                known(suggestion, "orchestrator list-agents")
            }
            Self::ModelNeeded(_) => {
                "set ANTHROPIC_API_KEY, OPENAI_API_KEY or DEEPSEEK_API_KEY, or name a model server \
                 under [providers] in `.orchestrator/config.toml` (`orchestrator init` writes one); \
                 without a model, `orchestrator execute --task-type audit` works"
                    .into()
            }
            Self::NoSuchRun(_) => "`orchestrator list-runs` shows those that there are".into(),
            Self::AmbiguousRun { .. } => "give more of the id".into(),
            Self::NoRuns => "start with `orchestrator execute --task-type audit`".into(),
            Self::NoSuchTask { run, suggestion, .. } => {
                known(suggestion, &format!("orchestrator run-details {run}"))
            }
            Self::RunOver { run, .. } => {
                format!("`orchestrator run-details {run}` shows what came of it")
            }
            Self::Driven { run, .. } => {
                format!("follow it with `orchestrator logs {run} -f`, or stop it with `orchestrator cancel {run}`")
            }
            Self::DrivenElsewhere { run, seconds, .. } => format!(
                "if that machine is gone, wait {seconds} s and type `orchestrator resume {run}` again"
            ),
            Self::NoSuchArtifact { known, .. } if known.is_empty() => {
                "it made no files".into()
            }
            Self::NoSuchArtifact { known, .. } => format!("it made {}", known.join(", ")),
            Self::Engine(_) => "`orchestrator doctor` shows what is wrong; what is recorded is safe".into(),
            Self::Project { .. } => "name a directory with `--path DIR`".into(),
            Self::Platform(_) => "run it on Linux, or in a Linux virtual machine".into(),
            Self::PathNotUtf8(_) => "rename it, or work from a copy with a plain name".into(),
            Self::Telemetry(_) => {
                "check `telemetry.otlp-endpoint`, such as `http://127.0.0.1:4318`".into()
            }
            Self::Argument { .. } => return None,
            Self::Missing(_) => {
                "for example `orchestrator execute \"Add a health check\"`, or `orchestrator execute \
                 --task-type audit`"
                    .into()
            }
            Self::Internal(_) => "this is a bug: please report it with the command that you typed".into(),
        })
    }

    /// The places that are wrong, where files or inputs are; empty for other errors.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Invalid { diagnostics, .. } => diagnostics,
            _ => &[],
        }
    }

    /// How a front-end ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Invalid { .. } if matches!(self.code(), "ORC-0504" | "ORC-0516" | "ORC-0517") => {
                Exit::Auth
            }
            Self::Invalid { .. }
            | Self::SetUpAlready(_)
            | Self::NoSuchTemplate { .. }
            | Self::NoSuchAgent { .. }
            | Self::NobodyFor { .. }
            | Self::ModelNeeded(_)
            | Self::NoSuchRun(_)
            | Self::AmbiguousRun { .. }
            | Self::NoRuns
            | Self::NoSuchTask { .. }
            | Self::RunOver { .. }
            | Self::Driven { .. }
            | Self::DrivenElsewhere { .. }
            | Self::NoSuchArtifact { .. }
            | Self::Project { .. }
            | Self::PathNotUtf8(_)
            | Self::Argument { .. }
            | Self::Missing(_) => Exit::Usage,
            Self::Store { error, .. } => store::exit(error),
            Self::State { .. } | Self::Blob(_) => Exit::Unreachable,
            Self::SettingsUnwritable { .. }
            | Self::Platform(_)
            | Self::Engine(_)
            | Self::Telemetry(_)
            | Self::Internal(_) => Exit::Failed,
        }
    }
}
