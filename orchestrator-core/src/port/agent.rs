//! The agent port: one trait between the engine and whoever does the work.

use crate::{
    agent::AgentSpec,
    error::{ErrorClass, Failure},
    id::{AttemptNumber, Epoch, MessageNumber, ProjectId, RunId, TaskName, TenantId, TurnNumber},
    ledger::Payer,
    permission::Action,
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Spend, Usage},
    workspace::Opened,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Someone who can do a task: a model, a program, a tool, your own type.
///
/// One value serves many attempts at once; it holds no state of any of them.
#[async_trait]
pub trait Agent: Send + Sync {
    /// Does the work of one attempt and returns what came of it.
    ///
    /// Must end soon after [`AttemptHost::cancelled`] resolves; the engine drops the future when
    /// it does not, and everything that the attempt started must stop when that happens.
    ///
    /// # Errors
    /// A [`Failure`] with the class that decides what follows.
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure>;

    /// Whether it takes messages while it works: it then waits for [`AttemptHost::steered`] as long
    /// as it works, and says of each message that it has it. Default: it does not, and whoever sends
    /// one is told so.
    fn steerable(&self) -> bool {
        false
    }
}

/// All that an agent is told about one attempt.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Assignment {
    /// The run.
    pub run: RunId,
    /// The task's key in its workflow.
    pub task: TaskName,
    /// Which try this is, from 1.
    pub attempt: AttemptNumber,
    /// The fencing token of this attempt.
    pub epoch: Epoch,
    /// The agent that was chosen.
    pub agent: Arc<AgentSpec>,
    /// What to do.
    pub work: Work,
    /// The inputs of the run: an object.
    pub inputs: Arc<Value>,
    /// What the tasks that this one needs have left, by their names.
    pub needs: BTreeMap<TaskName, Upstream>,
    /// The JSON Schema that the output must fit, if any.
    pub output_schema: Option<Arc<Value>>,
    /// Why earlier attempts were not accepted, oldest first: a revision or a repair is asked for.
    pub feedback: Vec<Feedback>,
    /// The item that this is for, when the task is one of a `for-each`.
    pub item: Option<Item>,
    /// The session in which an earlier attempt worked that was cut off: to go on there.
    pub session: Option<String>,
    /// How many turns the journal holds already: [`AttemptHost::begin`] gives them for free.
    pub recorded_turns: u32,
    /// The attempt with which the journal began. Keys that tell a turn from its repetition are
    /// made of it: see [`Assignment::turn_key`].
    pub first_attempt: AttemptNumber,
    /// Whether the prompt was too long last time and has to be shortened.
    pub compact: bool,
    /// The project's directory.
    pub project: PathBuf,
    /// The place of its own that it has; none when it works in the project's directory.
    pub workspace: Option<Arc<Opened>>,
    /// Whose project it is.
    pub tenant: TenantId,
    /// The project's id.
    pub project_id: ProjectId,
    /// How long the attempt may take.
    pub timeout: Option<Duration>,
    /// How long answers of models may be used again for the same requests; `None`: not at all.
    pub keep_responses: Option<Duration>,
}

impl Assignment {
    /// An assignment with only what no attempt can lack; the public fields take the rest.
    pub fn new(run: RunId, task: TaskName, agent: Arc<AgentSpec>, work: Work) -> Self {
        Self {
            run,
            task,
            attempt: AttemptNumber(1),
            epoch: Epoch(1),
            agent,
            work,
            inputs: Arc::new(Value::Object(serde_json::Map::new())),
            needs: BTreeMap::new(),
            output_schema: None,
            feedback: Vec::new(),
            item: None,
            session: None,
            recorded_turns: 0,
            first_attempt: AttemptNumber(1),
            compact: false,
            project: PathBuf::from("."),
            workspace: None,
            tenant: TenantId::default(),
            project_id: ProjectId::default(),
            timeout: None,
            keep_responses: None,
        }
    }

    /// A key for turn `turn` that stays the same when the turn is performed again after a crash,
    /// for calls that can tell a repetition: `RUN/TASK/ATTEMPT/TURN`.
    pub fn turn_key(&self, turn: TurnNumber) -> String {
        format!("{}/{}/{}/{turn}", self.run, self.task, self.first_attempt)
    }

    /// Who pays for a call of `model` that the agent makes for it.
    pub fn payer(&self, model: impl Into<String>) -> Payer {
        Payer {
            tenant: self.tenant.clone(),
            project: self.project_id.clone(),
            run: Some(self.run.clone()),
            task: Some(self.task.clone()),
            attempt: Some(self.attempt),
            agent: Some(self.agent.name.clone()),
            account: self.agent.provider.clone(),
            model: model.into(),
        }
    }

    /// Where the work is done: in its workspace, or else in the project's directory.
    pub fn directory(&self) -> &Path {
        match &self.workspace {
            Some(opened) => &opened.directory,
            None => &self.project,
        }
    }

    /// The prompt, or nothing for a command.
    pub fn prompt(&self) -> &str {
        match &self.work {
            Work::Prompt(prompt) => prompt,
            Work::Command(_) => "",
        }
    }
}

/// What an attempt is to do, with every `{{ }}` filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Answer this prompt.
    Prompt(String),
    /// Run this program with these arguments; no shell stands between.
    Command(Vec<String>),
}

/// One item of a `for-each`.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its place in the list, from 0.
    pub index: u32,
    /// The item.
    pub value: Value,
}

/// What a needed task has left.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// How it ended.
    pub status: TaskStatus,
    /// Its output; null when it left none. Shared, since many may need it.
    pub output: Arc<Value>,
}

/// Why an earlier attempt was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Feedback {
    /// The task that judged, or the engine's check that did, such as `output-schema`.
    pub from: String,
    /// What to do differently, in words for the agent.
    pub message: String,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// What `tasks.X.output` gives: parsed where the task declares a schema, else usually text.
    pub output: Value,
    /// What it used and cost.
    pub spend: Vec<Spend>,
    /// Files that it made, kept as blobs.
    pub artifacts: Vec<Artifact>,
    /// Tasks that it adds to the run, written as the `tasks` of a workflow file. Only the first
    /// task of a workflow in hierarchical mode may add any; `tasks` in its output does the same.
    pub tasks: Option<Value>,
}

impl Answer {
    /// An answer of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { output: Value::String(text.into()), ..Self::default() }
    }

    /// An answer of structured data.
    pub fn json(output: Value) -> Self {
        Self { output, ..Self::default() }
    }

    /// The same with what was spent on it.
    #[must_use]
    pub fn spent(mut self, spend: Vec<Spend>) -> Self {
        self.spend = spend;
        self
    }

    /// The same with one more file.
    #[must_use]
    pub fn with_artifact(mut self, artifact: Artifact) -> Self {
        self.artifacts.push(artifact);
        self
    }
}

/// A file that an attempt made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name, such as `report.sarif`; not a path.
    pub name: String,
    /// Its media type, such as `text/markdown`.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The engine's side of a running attempt.
#[async_trait]
pub trait AttemptHost: Send + Sync {
    /// Adds a line to the attempt's durable log. Never blocks; lines beyond the attempt's bound
    /// are counted, not kept.
    fn log(&self, line: LogLine);

    /// Says how it goes, for whoever watches now. Not recorded; a later call replaces an earlier one.
    fn progress(&self, progress: Progress);

    /// Resolves when the attempt must stop: cancelled, timed out, paused, or the engine shuts down.
    async fn cancelled(&self);

    /// Begins a turn. What an earlier attempt recorded for it is given back and nothing is to be
    /// done; else the call is to be made and [`AttemptHost::finish`] told what came of it. When the
    /// journal holds another call at this place, it does not count from here on.
    ///
    /// [`turn`] does both ends. Without an engine behind the host every turn is to be performed.
    ///
    /// # Errors
    /// A `cancelled` failure when the attempt must stop here; `no_progress` when the same turn was
    /// made too often.
    async fn begin(&self, call: &Call) -> Result<Step, Failure> {
        let _ = call;
        Ok(Step::Perform(TurnNumber(1)))
    }

    /// Records what came of a turn that [`AttemptHost::begin`] asked to perform, durable on return.
    /// Says whether it did: then `spend` is counted, and the attempt's answer must not name it
    /// again.
    ///
    /// # Errors
    /// A `cancelled` failure when the attempt must stop here.
    async fn finish(
        &self,
        turn: TurnNumber,
        call: &Call,
        output: Value,
        spend: Vec<Spend>,
    ) -> Result<bool, Failure> {
        let _ = (turn, call, output, spend);
        Ok(false)
    }

    /// Gives every turn that the journal holds and that was not given back yet, in order, and counts
    /// all of them as given back: for an agent that goes on in a session of its own, or tells a new
    /// one what has happened. Nothing of the journal is lost by it; what
    /// [`AttemptHost::begin`] begins next is numbered on from there.
    ///
    /// Without an engine behind the host there are none.
    ///
    /// # Errors
    /// A `cancelled` failure when the attempt must stop here; `transient` when what a turn has left
    /// cannot be read.
    async fn recorded(&self) -> Result<Vec<RecordedTurn>, Failure> {
        Ok(Vec::new())
    }

    /// Records the agent's own name for the session in which it works, durable on return.
    ///
    /// # Errors
    /// A `cancelled` failure when the attempt must stop here.
    async fn session(&self, session: &str) -> Result<(), Failure> {
        let _ = session;
        Ok(())
    }

    /// Asks a person and waits for what is said. It is a turn: after a crash the question is not
    /// asked again, and an answer that was given is given back.
    ///
    /// # Errors
    /// `timed_out` when nobody answered within `expires_in`; `cancelled` when the attempt must
    /// stop; `invalid_request` without an engine behind the host.
    async fn ask(&self, message: &str, expires_in: Option<Duration>) -> Result<String, Failure> {
        let _ = (message, expires_in);
        Err(Failure::new(ErrorClass::InvalidRequest, "nobody can be asked here"))
    }

    /// Asks whether the agent may do `action`: by the agent's
    /// [`Permissions`](crate::permission::Permissions), and where these say so, a person, who has
    /// `expires_in` to answer; without it, for ever. Several may be asked at once.
    ///
    /// What was denied or asked is a turn and stands in the log. After a crash nothing is asked
    /// again: neither what is open nor what was answered. Dropping the future withdraws what is
    /// asked. Without an engine behind the host everything is denied.
    ///
    /// # Errors
    /// A `cancelled` failure when the attempt must stop. That nobody answers in time is none: it is
    /// denied then.
    async fn permit(
        &self,
        action: &Action,
        expires_in: Option<Duration>,
    ) -> Result<Permit, Failure> {
        self.permit_shown(action, action, expires_in).await
    }

    /// The same where people see, and the log keeps, `shown` in place of `action`, by which it is
    /// decided: without the secrets that `action` may name.
    ///
    /// # Errors
    /// As for [`AttemptHost::permit`].
    async fn permit_shown(
        &self,
        action: &Action,
        shown: &Action,
        expires_in: Option<Duration>,
    ) -> Result<Permit, Failure> {
        let _ = (action, shown, expires_in);
        Ok(Permit::Denied { why: "nobody can be asked here".to_owned() })
    }

    /// Resolves with the next message to the agent, each once for an attempt and in the order in
    /// which they were sent. It may be dropped and called again without a loss. What the agent has
    /// is to be told with [`AttemptHost::delivered`]; what was not is given again to the attempt
    /// that follows after a crash.
    ///
    /// Without an engine behind the host there is never any.
    async fn steered(&self) -> Steer {
        std::future::pending().await
    }

    /// Records that the agent has message `number`, durable on return. Harmless when that was told
    /// before.
    ///
    /// # Errors
    /// A `cancelled` failure when the attempt must stop here.
    async fn delivered(&self, number: MessageNumber) -> Result<(), Failure> {
        let _ = number;
        Ok(())
    }

    /// The present instant, from the engine's clock.
    fn now(&self) -> Timestamp;
}

/// A turn of the journal, with what came of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecordedTurn {
    /// Its place, from 1.
    pub number: TurnNumber,
    /// What kind of call it was, such as `model` or `tool`; see [`Call`].
    pub kind: String,
    /// Who or what was called.
    pub name: String,
    /// A digest of what was sent, as [`Call::new`] makes it.
    pub input: String,
    /// What came back.
    pub output: Value,
}

impl RecordedTurn {
    /// The turn of that number: what came of `call`.
    pub fn new(number: TurnNumber, call: Call, output: Value) -> Self {
        let Call { kind, name, input } = call;
        Self { number, kind, name, input, output }
    }
}

/// Whether an agent may do what it asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// It may, this once.
    Allowed,
    /// It may not.
    Denied {
        /// Why not, in words for the agent: a rule, or what a person said.
        why: String,
    },
}

/// A message to an agent at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Steer {
    /// Take this into account.
    Say {
        /// Its number, for [`AttemptHost::delivered`].
        number: MessageNumber,
        /// What is said.
        text: String,
    },
    /// Leave off what you are doing, and go on with this.
    Interrupt {
        /// Its number, for [`AttemptHost::delivered`].
        number: MessageNumber,
        /// What is said; none: go on as you think best.
        text: Option<String>,
    },
}

impl Steer {
    /// Its number.
    pub fn number(&self) -> MessageNumber {
        match self {
            Self::Say { number, .. } | Self::Interrupt { number, .. } => *number,
        }
    }
}

/// A call that is a turn of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its kind, such as `model` or `tool`.
    pub kind: String,
    /// Who or what is called: a model, a tool.
    pub name: String,
    /// A digest of what is sent: `sha256:` and hexadecimal digits.
    pub input: String,
}

impl Call {
    /// The call of `name` with `input`.
    pub fn new(kind: &str, name: &str, input: impl AsRef<[u8]>) -> Self {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(input.as_ref());
        let mut text = String::from("sha256:");
        for byte in digest.iter() {
            text.push_str(&format!("{byte:02x}"));
        }
        Self { kind: kind.to_owned(), name: name.to_owned(), input: text }
    }
}

/// What is to be done for a turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing: it was done before, and this came of it.
    Recorded(Value),
    /// The call is to be made, as the turn of that number.
    Perform(TurnNumber),
}

/// Does one turn: gives back what the journal holds, or performs the call and records it.
///
/// What `perform` returns first is kept and given back after a crash; the spending is counted then,
/// so the answer of the attempt must not name it again. A host without an engine keeps nothing, nor
/// does it count.
///
/// # Errors
/// What `perform` failed with, which is not recorded, or a failure of the journal.
pub async fn turn<F>(
    host: &dyn AttemptHost,
    call: &Call,
    perform: impl FnOnce(TurnNumber) -> F + Send,
) -> Result<Value, Failure>
where
    F: Future<Output = Result<(Value, Vec<Spend>), Failure>> + Send,
{
    match host.begin(call).await? {
        Step::Recorded(output) => Ok(output),
        Step::Perform(number) => {
            let (output, spend) = perform(number).await?;
            host.finish(number, call, output.clone(), spend).await?;
            Ok(output)
        }
    }
}

/// Where a log line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// A program's standard output.
    Stdout,
    /// A program's standard error.
    Stderr,
    /// The agent's own remark.
    Note,
    /// Text that a model generated.
    Model,
}

/// One line of an attempt's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogLine {
    /// Where it came from.
    pub stream: LogStream,
    /// The line, without its end.
    pub text: String,
}

/// How a running attempt goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// What it is doing, in a few words.
    pub doing: String,
    /// What it has used so far.
    pub usage: Usage,
    /// What that cost so far.
    pub cost: Cost,
}
