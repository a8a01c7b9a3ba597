//! Where agents work, and how their work is proved and landed.
//!
//! [`process`] owns programs and all that they start; [`sandbox`] confines them. [`git`] runs git so
//! that nothing planted in a repository is executed. [`check`] runs the checks of a commit and finds
//! what weakens them; [`receipt`] puts all that into a document that verifies offline. [`recognise`]
//! tells tests from other code. [`landing`] brings finished work onto branches, and [`tools`] are git
//! for people and agents. [`GitWorkspaces`] puts it together: a place for each attempt, a record of
//! every turn, and one commit of what came of it.

pub mod check;
pub mod checkpoint;
pub mod git;
pub mod landing;
mod place;
pub mod process;
pub mod receipt;
pub mod recognise;
pub mod sandbox;
mod temporary;
pub mod tools;
pub mod worktree;

pub use place::{Checker, GitWorkspaces, Lander};
pub use temporary::{Swept, Temporary};
