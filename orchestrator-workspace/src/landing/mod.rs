//! Bringing finished work onto branches, so that they stay green and nothing is lost.
//!
//! Each branch has a durable queue (the port [`Landings`](orchestrator_core::port::Landings)). A
//! [`Lander`] takes a batch from its head, puts it together on the tip of the branch, one commit on
//! the other, has the checks run on the last of them, and moves the branch there by
//! compare-and-swap. A batch that is red is taken apart by halves until what does not go is found.
//! The branch never leads to a combination that was not checked.
//!
//! What a crash leaves is found again: with which commit a piece of work is about to land is
//! recorded before the branch moves, so that the branch itself says whether it has landed. The
//! user's checkout is not touched, unless the branch is checked out and updating it was allowed.
//!
//! What it is not: it does not run checks (that is behind [`Prove`]), makes no pull requests (behind
//! [`PullRequests`]), and decides nothing about tasks.

mod chain;
mod checks;
mod error;
mod forge;
mod ground;
mod lander;
mod lock;
mod message;
mod pass;
mod queue;
mod rollback;
mod settings;
mod watch;

pub use error::LandError;
pub use forge::{OpenedRequest, PullRequest, PullRequests, RequestState};
pub use lander::{Lander, LanderParts, Prove};
pub use queue::{Overlap, QueueEntry, QueueView};
pub use rollback::{Revert, Undone};
pub use settings::{LandingSettings, Shape};
pub use watch::{LandingStep, LandingWatch};
