//! What workspaces, checks and landing are made of, for one project.
//!
//! Nothing here is set up before it is needed: a run whose tasks have no workspace needs neither git
//! nor a sandbox.

mod attempt;
mod checks;
mod confine;
mod key;
mod land;
mod landing;
mod look;
mod pieces;
mod places;
mod queue;
mod receipt;
mod redact;
mod repository;
mod restore;
mod rollback;
mod tools;
mod verify;
mod worktrees;
mod writer;

pub(crate) use attempt::Confiner;
pub use land::{LandOrder, LandWatch};
pub use look::DiffQuery;
pub(crate) use places::{Places, complete};
pub use restore::{RestoreRequest, RestoreTo};
pub use tools::{CommitOrder, DiffOrder};
pub use writer::Writer;

use orchestrator_workspace::{
    git::Git,
    landing::{Lander, PullRequests},
    sandbox::Sandbox,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, OnceLock},
};
use tokio::sync::OnceCell;

/// What was set up so far.
#[derive(Default)]
pub(crate) struct Work {
    git: OnceCell<Git>,
    /// By the mode that names it.
    sandboxes: Mutex<BTreeMap<String, Arc<dyn Sandbox>>>,
    checker: OnceLock<Arc<orchestrator_workspace::check::Checker>>,
    lander: OnceCell<Arc<Lander>>,
    forge: OnceLock<Arc<dyn PullRequests>>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}
