//! Tasks: how one is specified, and the states that it and its attempts pass through.

use crate::{
    id::{AgentName, TaskName},
    policy::RetryPolicy,
    workspace::{ChecksPolicy, LandMode, LandPolicy, WorkspaceKind, WorkspacePolicy},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{fmt, sync::Arc, time::Duration};

/// Where a task stands.
///
/// | from | to | when |
/// |---|---|---|
/// | `pending` | `ready` | all it needs has ended well enough |
/// | `pending` | `skipped` | something it needs failed, or its `when` is false |
/// | `ready` | `running` | an attempt starts |
/// | `pending` | `running` | its list is expanded and the items begin |
/// | `pending` | `waiting` | its delay begins, or a person is asked |
/// | `waiting` | `succeeded`, `failed` | a person has answered, or time is up |
/// | `running` | `succeeded` | the attempt's answer is accepted, or every item ended well enough |
/// | `running` | `waiting` | the attempt failed and another is due later |
/// | `waiting` | `running` | the next attempt starts |
/// | `running`, `waiting` | `failed` | no further attempt is allowed |
/// | `succeeded` | `pending` | a revision is asked for |
/// | any open | `cancelled` | the run is cancelled |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskStatus {
    /// Waits for what it needs.
    Pending,
    /// Could start; waits for a free place.
    Ready,
    /// An attempt runs.
    Running,
    /// Until a time, such as the next attempt's, or for a person.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Never ran, because of what it needed or its condition.
    Skipped,
    /// Stopped.
    Cancelled,
}

impl TaskStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Ready,
        Self::Running,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// Whether the task has ended.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Ready | Self::Running | Self::Waiting => false,
            Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled => true,
        }
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with that stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How urgent a task is among those that are ready.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// When there is nothing else to do.
    Low,
    /// In its turn.
    #[default]
    Normal,
    /// Before the others.
    High,
    /// Now.
    Critical,
}

impl Priority {
    /// Every priority, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// An agent, by name or role, answers a prompt.
    Agent {
        /// A name or a role.
        agent: String,
        /// The prompt, with `{{ }}` not yet filled in.
        prompt: String,
    },
    /// A program is run.
    Command {
        /// Program and arguments, with `{{ }}` not yet filled in.
        command: Vec<String>,
    },
    /// Another workflow runs as a child.
    Workflow {
        /// Its name or file, a key of the run's library of pinned definitions.
        workflow: String,
        /// The child's inputs. Texts may hold `{{ }}`; a text that is nothing but one gives the
        /// value itself, whatever its type.
        with: Box<Map<String, Value>>,
    },
    /// A person says yes or no.
    Approval {
        /// What is asked, with `{{ }}` not yet filled in.
        message: String,
        /// How long an answer is waited for; for ever when it is not said.
        #[serde(default, with = "opt_duration", skip_serializing_if = "Option::is_none")]
        expires_in: Option<Duration>,
    },
}

/// What a failed task means for the rest of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// Tasks that need it are skipped, the others go on, and the run fails.
    #[default]
    Fail,
    /// Tasks that need it go on without its output, and the run may still succeed.
    Continue,
    /// Nothing new is started; once what runs has ended, the `compensate` of every task that
    /// succeeded is run, last first, and the run fails.
    Compensate,
}

/// Which end of a run or a task another workflow is started on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThenOn {
    /// When it succeeded.
    #[default]
    Success,
    /// When it failed.
    Failure,
    /// However it ended; not when it was cancelled.
    Always,
}

/// A workflow that is started, as a run of its own, when a run or a task has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Then {
    /// After which end.
    #[serde(default)]
    pub on: ThenOn,
    /// Its name or file, a key of the run's library of pinned definitions.
    pub workflow: String,
    /// Its inputs, as in [`TaskKind::Workflow`].
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
}

/// That a result may be used again instead of being made again, or answers of models may.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CachePolicy {
    /// How long a result may be used; until it is invalidated when it is not said.
    #[serde(default, with = "opt_duration", skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// A text, with `{{ }}`, that is added to what the key is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How long a model's answer to the same request may be used again; not at all when it is not
    /// said. Said alone, only answers are kept, not the task's result.
    #[serde(default, with = "opt_duration", skip_serializing_if = "Option::is_none")]
    pub responses: Option<Duration>,
}

impl CachePolicy {
    /// Whether the task's result is kept.
    pub fn keeps_results(&self) -> bool {
        self.responses.is_none() || self.ttl.is_some() || self.key.is_some()
    }
}

/// A judgement that can send work back: when `unless` is false after this task, `task` and all
/// between the two are done again with this task's output as feedback, at most `max` times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Revise {
    /// The task to do again: one that this one needs, directly or not.
    pub task: TaskName,
    /// A condition in CEL; true accepts the work.
    pub unless: String,
    /// The most revisions.
    pub max: u32,
}

/// One node of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TaskSpec {
    /// Its key.
    pub name: TaskName,
    /// A line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it asks for.
    pub kind: TaskKind,
    /// The tasks that must end before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<TaskName>,
    /// A condition in CEL; when it is false the task is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// A list in CEL; the task is done once for each of its items, with `item` and `index` in scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<String>,
    /// How long after its needs have ended it may start.
    #[serde(default, with = "opt_duration", skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// The JSON Schema that its output must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Arc<Value>>,
    /// How it may send earlier work back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revise: Option<Box<Revise>>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// How long one attempt may take.
    #[serde(default, with = "opt_duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How long all its attempts and the waits between them may take, from the start of the first.
    #[serde(default, with = "opt_duration", skip_serializing_if = "Option::is_none")]
    pub task_timeout: Option<Duration>,
    /// How often and when it is tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// What its failure means for the others.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What undoes it, when a later task fails with [`OnFailure::Compensate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Box<TaskKind>>,
    /// Of all tasks of the project with the same group, whatever their run, one runs at a time.
    /// May hold `{{ inputs.NAME }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_group: Option<Box<str>>,
    /// Whether and how long a result may be used again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Box<CachePolicy>>,
    /// What is started when it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Then>,
    /// Where its attempts work; in the project's directory when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Arc<WorkspacePolicy>>,
    /// What proves its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Arc<ChecksPolicy>>,
    /// How its work comes onto a branch; of a worktree onto the run's result branch when it is not
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub land: Option<Arc<LandPolicy>>,
}

impl TaskSpec {
    /// A task of `kind` with defaults for all else.
    pub fn new(name: TaskName, kind: TaskKind) -> Self {
        Self {
            name,
            description: None,
            kind,
            needs: Vec::new(),
            when: None,
            for_each: None,
            delay: None,
            output: None,
            revise: None,
            priority: Priority::default(),
            timeout: None,
            task_timeout: None,
            retry: RetryPolicy::default(),
            on_failure: OnFailure::default(),
            compensate: None,
            concurrency_group: None,
            cache: None,
            then: Vec::new(),
            workspace: None,
            checks: None,
            land: None,
        }
    }

    /// Whether its attempts work in a git worktree.
    pub fn has_worktree(&self) -> bool {
        self.workspace.as_ref().is_some_and(|policy| policy.kind == WorkspaceKind::Worktree)
    }

    /// Whether the engine proves its result, so that it ends verified or unverified.
    pub fn is_proved(&self) -> bool {
        self.checks.is_some()
    }

    /// How its work lands; none when it has no commits, or they stay where they are.
    pub fn landing(&self) -> Option<LandPolicy> {
        let policy = || self.land.as_deref().cloned().unwrap_or_default();
        self.has_worktree().then(policy).filter(|land| land.mode != LandMode::No)
    }

    /// The name or role of the agent that it asks for; `command` for a program, nobody for a child
    /// workflow or an approval.
    pub fn wanted(&self) -> Option<&str> {
        self.kind.wanted()
    }
}

impl TaskKind {
    /// The name or role of the agent that it asks for, as [`TaskSpec::wanted`].
    pub fn wanted(&self) -> Option<&str> {
        match self {
            Self::Agent { agent, .. } => Some(agent),
            Self::Command { .. } => Some(COMMAND_AGENT),
            Self::Workflow { .. } | Self::Approval { .. } => None,
        }
    }
}

/// The agent that runs programs for `command` tasks.
pub const COMMAND_AGENT: &str = "command";

/// The name under which attempts of child workflows are recorded.
pub const WORKFLOW_AGENT: &str = "workflow";

/// The binding of a task to the agents that may do it, best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Binding {
    /// The task.
    pub task: TaskName,
    /// The agents; nobody for a child workflow or an approval.
    pub agents: Vec<AgentName>,
    /// Who may undo it, where it declares how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<AgentName>,
    /// Who may judge its result, where it declares that somebody does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<AgentName>,
}

impl Binding {
    /// The binding of a task that declares no `compensate`.
    pub fn new(task: TaskName, agents: Vec<AgentName>) -> Self {
        Self { task, agents, undo: Vec::new(), judges: Vec::new() }
    }
}

/// Serde form of an optional duration as text.
pub(crate) mod opt_duration {
    use crate::time::{format_duration, parse_duration};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => to.serialize_str(&format_duration(*duration)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| parse_duration(&text).map_err(D::Error::custom))
            .transpose()
    }
}
