//! What is the same for every coding CLI: its process, its limits, its home, its turns in the
//! journal, its usage, its questions, and whether it has done what it says.
//!
//! An attempt runs one process, or more in the same session: one that goes on where an earlier
//! attempt was cut off, one that mends an answer that does not fit the schema, one that is told what
//! the last could not be told any more. Where a session is not known to the program any more, a new
//! one is told what was done so far, from the journal.

mod ask;
mod attempt;
mod conduct;
mod home;
mod journal;
mod lines;
mod talk;
mod usage;
mod verdict;
mod voice;

#[cfg(test)]
mod tests;

pub use ask::{Told, Untold, ask};
pub use home::home_name;
pub use talk::is_older;

use super::{Adapter, Endpoint, ModelUsage, Reach};
use crate::command::{Confine, Environment};
use async_trait::async_trait;
use orchestrator_core::{
    error::Failure,
    port::{Agent, Answer, Assignment, AttemptHost},
    usage::{Cost, Spend, Usage},
};
use serde_json::Value;
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};
use voice::Booked;

/// How long a program may take; its task's own limit holds besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until it says something that can be understood. Default: 2 minutes.
    pub first_event: Duration,
    /// From one word to the next; what people take to answer it does not count. Default: 10 minutes.
    pub idle: Duration,
    /// To end after its work is over. Default: 10 seconds.
    pub linger: Duration,
    /// To end after it was asked to. Default: 2 seconds.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_event: Duration::from_secs(120),
            idle: Duration::from_secs(600),
            linger: Duration::from_secs(10),
            grace: Duration::from_secs(2),
        }
    }
}

/// Keeps the books of an attempt whose program calls its models by itself.
#[async_trait]
pub trait Meter: Send + Sync {
    /// This was used since the last word.
    async fn used(&self, used: &ModelUsage) -> Metered;
}

/// What was made of something that was used.
#[derive(Debug, Clone, PartialEq)]
pub struct Metered {
    /// The line for the books.
    pub spend: Spend,
    /// Why the attempt must stop, when it must.
    pub stop: Option<Failure>,
}

/// Runs one coding CLI for every task that it is given.
#[derive(Clone)]
pub struct CodingAgent {
    adapter: Arc<dyn Adapter>,
    command: Vec<String>,
    environment: Environment,
    homes: PathBuf,
    limits: Limits,
    reach: Reach,
    live: bool,
    arguments: Vec<String>,
    mcp: Vec<(String, Value)>,
    endpoint: Option<Endpoint>,
    login: Option<PathBuf>,
    readable: Vec<PathBuf>,
    confine: Option<Arc<dyn Confine>>,
    meter: Option<Arc<dyn Meter>>,
    booked: Option<Booked>,
}

impl fmt::Debug for CodingAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodingAgent")
            .field("adapter", &self.adapter)
            .field("command", &self.command)
            .field("homes", &self.homes)
            .field("limits", &self.limits)
            .field("reach", &self.reach)
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

impl CodingAgent {
    /// An agent that runs `command`, a program that `adapter` knows and its first arguments. The
    /// program sees what `environment` lets through, and has a home of its own below `homes`, an
    /// absolute path, for each task: see [`home_name`].
    pub fn new(
        adapter: Arc<dyn Adapter>,
        command: Vec<String>,
        environment: Environment,
        homes: PathBuf,
    ) -> Self {
        Self {
            adapter,
            command,
            environment,
            homes,
            limits: Limits::default(),
            reach: Reach::default(),
            live: false,
            arguments: Vec::new(),
            mcp: Vec::new(),
            endpoint: None,
            login: None,
            readable: Vec::new(),
            confine: None,
            meter: None,
            booked: None,
        }
    }

    /// The same within other limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same, which may do that much unasked; nothing but read otherwise.
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// The same, which asks for the rest and takes messages, where its program can do both.
    #[must_use]
    pub fn live(mut self) -> Self {
        let can = self.adapter.capabilities();
        self.live = can.live_approval.is_offered() || can.steering.is_offered();
        self
    }

    /// The same with more arguments for its program.
    #[must_use]
    pub fn arguments(mut self, arguments: Vec<String>) -> Self {
        self.arguments = arguments;
        self
    }

    /// The same with MCP servers for its program, by their names.
    #[must_use]
    pub fn mcp(mut self, servers: Vec<(String, Value)>) -> Self {
        self.mcp = servers;
        self
    }

    /// The same, which calls models there; with a login of its own otherwise.
    #[must_use]
    pub fn through(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// The same, whose homes are given the login of the user whose home is `home`.
    #[must_use]
    pub fn logged_in_as(mut self, home: PathBuf) -> Self {
        self.login = Some(home);
        self
    }

    /// The same, whose program is confined as `confine` says; not at all otherwise. It may read
    /// `installed` besides, where it is installed.
    #[must_use]
    pub fn confined_by(mut self, confine: Arc<dyn Confine>, installed: Vec<PathBuf>) -> Self {
        self.confine = Some(confine);
        self.readable = installed;
        self
    }

    /// The same with somebody who keeps the books of one attempt.
    #[must_use]
    pub fn metered_by(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = Some(meter);
        self
    }

    /// The same with somebody who knows what was used and what it cost so far, for whoever watches.
    #[must_use]
    pub fn booked(mut self, booked: impl Fn() -> (Usage, Cost) + Send + Sync + 'static) -> Self {
        self.booked = Some(Arc::new(booked));
        self
    }
}

#[async_trait]
impl Agent for CodingAgent {
    /// # Errors
    /// What its program, its adapter and its limits say; `BadOutput` when the answer does not fit the
    /// schema. Each carries what was spent, unless the gateway has it in its books.
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        attempt::perform(self, assignment, host).await
    }

    fn steerable(&self) -> bool {
        self.live && self.adapter.capabilities().steering.is_offered()
    }
}
