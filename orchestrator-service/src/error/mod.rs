//! What can go wrong, each with a stable code, the next command, and how a front-end ends.

mod codes;
mod help;
pub(crate) mod secrets;
mod store;
mod work;

pub use codes::{SERVICE_CODES, codes};

use crate::document::Diagnostic;
use orchestrator_core::{
    port::{BlobError, SecretsError, StoreError},
    run::Unsteerable,
};
use orchestrator_gateway::cassette::CassetteError;
use orchestrator_workspace::{
    check::CheckError, git::GitError, landing::LandError, sandbox::SandboxError, tools::ToolError,
};
use std::path::PathBuf;

/// What a task asks, with its numbers, in a line.
fn numbered(asks: &[(u32, String)]) -> String {
    let asks: Vec<String> =
        asks.iter().take(5).map(|(number, what)| format!("{number}: {what}")).collect();
    asks.join("; ")
}

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
    /// The credential store failed.
    #[error("{0}")]
    Secrets(#[from] SecretsError),
    /// No secret has that name.
    #[error("no secret is named `{name}`")]
    NoSuchSecret {
        /// The name that was given.
        name: String,
        /// The nearest that there is.
        suggestion: Option<String>,
    },
    /// There is no credential file.
    #[error("there are no secrets yet")]
    NoSecrets,
    /// A run that is to be exported holds a secret, from before it was known.
    #[error("run `{0}` holds a known secret, which its export would give away")]
    HoldsSecret(String),
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
    /// The task has ended.
    #[error("cannot stop task `{task}`: it has ended and {status}")]
    TaskOver {
        /// The task's id.
        task: String,
        /// How it ended.
        status: String,
    },
    /// The agent is at work on nothing.
    #[error("agent `{0}` is at work on nothing")]
    NotAtWork(String),
    /// The task does not wait for a person.
    #[error("task `{task}` does not ask anybody anything: it is {status}")]
    NobodyAsked {
        /// The task's id.
        task: String,
        /// Where it stands.
        status: String,
    },
    /// The task asks several things, and which one is meant was not said.
    #[error("task `{task}` asks several things: {}", numbered(asks))]
    SeveralAsked {
        /// The task's id.
        task: String,
        /// What it asks, by number.
        asks: Vec<(u32, String)>,
    },
    /// The task does not ask that, or not any more.
    #[error("question {question} of task `{task}` is not open")]
    NotAsked {
        /// The task's id.
        task: String,
        /// The number that was given.
        question: u32,
        /// The numbers of what is open.
        open: Vec<u32>,
    },
    /// What a task asks cannot be allowed for the rest of the run.
    #[error("cannot allow for the rest of the run what task `{task}` asks: {reason}")]
    NotForGood {
        /// The task's id.
        task: String,
        /// Why not.
        reason: String,
    },
    /// A task takes no message.
    #[error("cannot send a message to run `{run}`: {why}")]
    Unsteerable {
        /// The run.
        run: String,
        /// Why not.
        why: Unsteerable,
    },
    /// The run did not accept what it was asked.
    #[error("run `{run}` did not accept it: {reason}")]
    Refused {
        /// The run.
        run: String,
        /// Why not.
        reason: String,
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
    /// A file cannot be imported.
    #[error("cannot import `{}`: {reason}", file.display())]
    Import {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A run with that id is here already.
    #[error("run `{0}` is here already")]
    RunHere(String),
    /// A workflow with that name is here already.
    #[error("the name `{name}` is taken by {by}")]
    WorkflowHere {
        /// The workflow's name.
        name: String,
        /// By what.
        by: String,
    },
    /// A cassette cannot be read, written or gone on with.
    #[error(transparent)]
    Cassette(#[from] CassetteError),
    /// Git, or what it found.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Programs cannot be confined, so that nothing was started.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Checks could not be run at all.
    #[error(transparent)]
    Checks(#[from] CheckError),
    /// Work could not be brought onto a branch, or be undone there.
    #[error(transparent)]
    Landing(#[from] LandError),
    /// Git did not do what a person asked of it.
    #[error(transparent)]
    GitTool(ToolError),
    /// The run has made nothing that could land there.
    #[error("run `{run}` has nothing to land on `{branch}`")]
    NothingToLand {
        /// The run.
        run: String,
        /// The branch.
        branch: String,
    },
    /// No work in a queue has that id.
    #[error("no work `{0}` is in a queue, or was lately")]
    NoSuchLanding(String),
    /// The run has not ended, and may make more.
    #[error("cannot {action} run `{run}`: it is {status}, and may make more")]
    RunGoesOn {
        /// What was asked.
        action: &'static str,
        /// The run.
        run: String,
        /// Where it stands.
        status: String,
    },
    /// Work of the run is not proved.
    #[error("cannot land run `{run}`: no check has proved the work of {}", tasks.join(", "))]
    Unverified {
        /// The run.
        run: String,
        /// The tasks.
        tasks: Vec<String>,
    },
    /// The run has landed nothing that could be undone.
    #[error(
        "run `{run}` has landed nothing{} that is there still",
        branch.as_ref().map_or(String::new(), |branch| format!(" on `{branch}`"))
    )]
    NothingLanded {
        /// The run.
        run: String,
        /// The branch, if one was named.
        branch: Option<String>,
    },
    /// The run was landed there and undone.
    #[error("cannot land run `{run}` on `{branch}`: it has landed there, and was rolled back")]
    RolledBack {
        /// The run.
        run: String,
        /// The branch.
        branch: String,
        /// The commits that undid it, newest first.
        by: Vec<String>,
    },
    /// The key that signs receipts cannot be had.
    #[error("cannot use the key of receipts `{}`: {reason}", path.display())]
    SigningKey {
        /// Where it is or would be.
        path: PathBuf,
        /// What stands in the way.
        reason: String,
    },
    /// The task or run has recorded no work of that kind.
    #[error("{what} has recorded no work in a place of its own: {reason}")]
    NoWork {
        /// The task or run.
        what: String,
        /// What is missing.
        reason: String,
    },
    /// The task has no such checkpoint.
    #[error("task `{task}` has no checkpoint `{given}`")]
    NoSuchCheckpoint {
        /// The task's id.
        task: String,
        /// What was given.
        given: String,
    },
    /// Something would be overwritten.
    #[error("{what} is there already, and would be overwritten")]
    InTheWay {
        /// What is there.
        what: String,
        /// What to do.
        help: &'static str,
    },
    /// The place of an attempt cannot be used.
    #[error("{}", .0.message)]
    Place(orchestrator_core::error::Failure),
    /// A file is no receipt.
    #[error("cannot read `{}` as a receipt: {reason}", file.display())]
    Receipt {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The run cannot be done again in the way that was asked for.
    #[error("cannot {action} run `{run}`: {reason}")]
    NotAgain {
        /// What was asked: `retry` or `fork`.
        action: &'static str,
        /// The run.
        run: String,
        /// Why not, and what would do.
        reason: String,
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

impl From<ToolError> for ServiceError {
    fn from(error: ToolError) -> Self {
        match error {
            ToolError::Git(error) => Self::Git(error),
            other => Self::GitTool(other),
        }
    }
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
