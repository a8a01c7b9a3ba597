//! The domain of the orchestrator: workflows, runs, agents and policies.
//!
//! Facts go in, decisions come out. A [`run::Run`] folds events and decides what follows from a
//! command; it never waits, reads a clock, opens a file or draws a number. Whatever does is behind
//! the traits of [`port`]. With the default feature `engine`, [`engine::Engine`] drives runs on
//! tokio over any implementation of those ports, in memory if you give none.
//!
//! What this crate is not: it knows no SQL, no HTTP, no model and no program. Stores, providers and
//! agents are other crates, or yours.
//!
//! # Three tasks and an agent of your own
//!
//! ```
//! # #[cfg(feature = "engine")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use orchestrator_core::prelude::*;
//!
//! struct Shout;
//!
//! #[async_trait]
//! impl Agent for Shout {
//!     async fn perform(&self, work: &Assignment, _: &dyn AttemptHost) -> Result<Answer, Failure> {
//!         Ok(Answer::text(work.prompt().to_uppercase()))
//!     }
//! }
//!
//! let workflow = Workflow::new("greeting")?
//!     .task("hello", "shout", "hello", &[])?
//!     .task("world", "shout", "world", &[])?
//!     .task("both", "shout", "{{ tasks.hello.output }}, {{ tasks.world.output }}!", &["hello", "world"])?;
//!
//! let engine = Engine::builder().own_agent("shout", Shout)?.build();
//! let report = engine.start(StartRun::new(workflow.into())).await?.wait().await?;
//!
//! assert_eq!(report.status, RunStatus::Succeeded);
//! assert_eq!(report.output("both").unwrap(), "HELLO, WORLD!");
//! # Ok(())
//! # })
//! # }
//! # #[cfg(not(feature = "engine"))]
//! # fn main() {}
//! ```

pub mod agent;
pub mod command;
mod digest;
pub mod effect;
#[cfg(feature = "engine")]
pub mod engine;
pub mod error;
pub mod estimate;
pub mod event;
pub mod expr;
pub mod graph;
pub mod id;
pub mod ledger;
#[cfg(feature = "engine")]
pub mod memory;
pub mod money;
pub mod permission;
pub mod policy;
pub mod port;
pub mod route;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod task;
pub mod template;
pub mod time;
pub mod usage;
pub mod workflow;
pub mod workspace;

pub use digest::canonical_json;

/// What most programs that embed the engine need, for `use orchestrator_core::prelude::*`.
pub mod prelude {
    #[cfg(feature = "engine")]
    pub use crate::engine::{Engine, EngineError, RunHandle, RunReport};
    pub use crate::{
        agent::{AgentSpec, Role},
        error::{ErrorClass, Failure},
        port::{Agent, Answer, Assignment, AttemptHost},
        run::{RunStatus, StartRun},
        task::TaskStatus,
        workflow::Workflow,
    };
    pub use async_trait::async_trait;
}

// The code of the book's page on embedding runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;
