//! The agent port: one trait between the engine and whoever does the work.

use crate::{
    agent::AgentSpec,
    error::Failure,
    id::{AttemptNumber, Epoch, RunId, TaskName},
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Spend, Usage},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

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
    /// The project's directory.
    pub project: PathBuf,
    /// How long the attempt may take.
    pub timeout: Option<Duration>,
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
            project: PathBuf::from("."),
            timeout: None,
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

/// What a needed task has left.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// How it ended.
    pub status: TaskStatus,
    /// Its output; null when it left none.
    pub output: Value,
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

    /// Resolves when the attempt must stop: cancelled, timed out, or the engine shuts down.
    async fn cancelled(&self);

    /// The present instant, from the engine's clock.
    fn now(&self) -> Timestamp;
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
