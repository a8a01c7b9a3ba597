//! The use cases of the orchestrator: what the command line and the server call.
//!
//! [`OrchestratorService`] puts the parts together (settings, templates, agents, the store, the
//! engine) and answers every question and wish of a front-end about one project. What it returns
//! are [`views`], which serialize to the documented JSON; what goes wrong is a [`ServiceError`]
//! with a stable code, the places that are wrong, and the next command.
//!
//! It is no front-end: it prints nothing, and it reads neither the process's environment nor its
//! arguments, which come in as an [`Environment`] and an [`OpenOptions`]. It decides nothing about
//! the course of a run either: that is the core's.
//!
//! ```
//! use orchestrator_service::{Environment, ExecuteRequest, OpenOptions, OrchestratorService, What};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().to_owned();
//! let environment = Environment::new(std::env::vars(), path.clone());
//! let options = OpenOptions { path: Some(path), ..OpenOptions::default() };
//! let service = OrchestratorService::open(environment, options)?;
//!
//! let what = What::Template("documentation".into());
//! let execution = service.execute(ExecuteRequest { what, ..ExecuteRequest::default() }).await?;
//! let result = execution.wait().await?;
//! assert_eq!(result.status, "succeeded");
//! assert!(service.report(&result.run).await?.is_some_and(|text| text.contains("README")));
//! # Ok(())
//! # }
//! ```

mod again;
mod budget;
mod cassette;
mod clock;
mod config;
mod control;
mod credentials;
pub mod document;
mod environment;
mod error;
mod execute;
mod gateway;
mod health;
mod owner;
mod platform;
mod programs;
mod project;
mod query;
mod roster;
mod service;
mod setup;
pub mod telemetry;
mod templates;
mod transfer;
mod work;

pub mod views;

pub use again::{ForkRequest, RetryRequest};
pub use config::{ConfigScope, setting_keys};
pub use control::{Answer, Pause, Saying, Which};
pub use credentials::{AskPassphrase, HidingWriter, KeyChange, KnownSecrets, Passphrase};
pub use environment::Environment;
pub use error::{Exit, SERVICE_CODES, ServiceError, codes};
pub use execute::{
    Concern, Control, ExecuteRequest, Execution, Happening, OpenOptions, Quote, Resumed, Tape, What,
};
pub use gateway::{GatewayRequest, ModelGateway, Passed};
pub use programs::gateway_variables;
pub use query::{CostQuery, ExportFormat, LogQuery, RunQuery, TaskQuery};
pub use service::OrchestratorService;
pub use setup::{AgentOrder, InitOptions, Inquiry, NO_PROVIDER, ProviderChoice, SetupChoices};
pub use transfer::ImportOptions;
pub use work::{
    CommitOrder, DiffOrder, DiffQuery, LandOrder, LandWatch, RestoreRequest, RestoreTo, Writer,
};

/// What somebody implements who lands work by pull requests:
/// [`OrchestratorService::opens_pull_requests_at`].
pub mod forge {
    pub use orchestrator_workspace::landing::{
        LandError, OpenedRequest, PullRequest, PullRequests, RequestState,
    };
}

/// What requests and views are made of.
pub use orchestrator_core::secret::SecretString;
pub use orchestrator_core::{
    event,
    money::{InvalidMoney, MicroUsd},
    time::{InvalidDuration, Timestamp, format_duration, parse_duration},
    workflow::Mode,
};

/// A front-end that names its own program as [`OpenOptions::launcher`] calls this first in its `main`,
/// while it has one thread: the program is also the launcher of sandboxes.
pub use orchestrator_workspace::sandbox::launch_if_asked;
