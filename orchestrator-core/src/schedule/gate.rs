//! What an attempt must pass before it starts: limits that runs share.

use crate::{
    id::{AgentName, ProjectId, ProviderName, RunId, TaskName},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An attempt that wants to start.
#[derive(Debug, Clone, Copy)]
pub struct Want<'a> {
    /// The project of its run.
    pub project: &'a ProjectId,
    /// Its run.
    pub run: &'a RunId,
    /// Its task.
    pub task: &'a TaskName,
    /// Who would work.
    pub agent: &'a AgentName,
    /// On what that agent runs.
    pub provider: &'a ProviderName,
    /// The concurrency group of its task.
    pub group: Option<&'a str>,
    /// How urgent it is; the smallest number is the most urgent. See [`urgency`](super::urgency).
    pub urgency: i128,
}

/// Lets attempts start, or not yet.
pub trait Gate {
    /// Lets `want` start and counts it, or says what holds it up. One that was let in holds its
    /// place until its attempt has ended.
    ///
    /// # Errors
    /// What holds it up. Whoever is held up is woken when it is worth asking again.
    fn admit(&mut self, want: &Want<'_>) -> Result<(), HeldUp>;
}

/// The gate that is always open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open;

impl Gate for Open {
    fn admit(&mut self, _want: &Want<'_>) -> Result<(), HeldUp> {
        Ok(())
    }
}

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitScope {
    /// All attempts of the engine.
    Global,
    /// Those of one project.
    Project,
    /// Those of one provider.
    Provider,
    /// Those of one agent.
    Agent,
}

/// What keeps a task that could start from starting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[non_exhaustive]
pub enum HeldUp {
    /// As many attempts as the run allows are under way.
    Parallel {
        /// How many that is.
        most: u32,
    },
    /// As many attempts as a limit that runs share allows are under way.
    Limit {
        /// What is counted.
        scope: LimitScope,
        /// Of whom: an agent, a provider, a project.
        name: String,
        /// How many are allowed.
        most: u32,
    },
    /// Another task of the group runs.
    Group {
        /// The group.
        group: String,
        /// The run that has it, once that is known.
        run: Option<RunId>,
        /// The task that has it, once that is known.
        task: Option<TaskName>,
    },
    /// Another task of the run is at work on the same files, and the two are kept apart.
    Apart {
        /// That task.
        task: TaskName,
        /// What both touch.
        path: String,
    },
    /// The provider has failed too often of late.
    Breaker {
        /// The provider.
        provider: ProviderName,
        /// When one attempt is let through to try.
        until: Timestamp,
    },
}

impl fmt::Display for HeldUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parallel { most } => write!(f, "{most} attempts of the run at once are allowed"),
            Self::Limit { scope: LimitScope::Global, most, .. } => {
                write!(f, "{most} attempts at once are allowed in all")
            }
            Self::Limit { scope, name, most } => {
                let scope = match scope {
                    LimitScope::Global => "engine",
                    LimitScope::Project => "project",
                    LimitScope::Provider => "provider",
                    LimitScope::Agent => "agent",
                };
                write!(f, "{most} attempts at once are allowed for the {scope} `{name}`")
            }
            Self::Group { group, run: Some(run), task: Some(task) } => {
                write!(f, "the group `{group}` is held by task `{task}` of run `{run}`")
            }
            Self::Group { group, .. } => write!(f, "the group `{group}` is not free"),
            Self::Apart { task, path } => {
                write!(f, "the task `{task}` is at work on `{path}`, which this one touches too")
            }
            Self::Breaker { provider, .. } => {
                write!(f, "the provider `{provider}` has failed too often of late")
            }
        }
    }
}
