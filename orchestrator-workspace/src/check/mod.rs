//! Checks and their evidence: what proves the work of an attempt.
//!
//! A [`Checker`] takes a commit from a [`Source`] and runs the declared checks in a fresh, confined
//! checkout of it, never where the agent worked. What an agent says, prints or leaves behind counts
//! for nothing: only what the commands do on the files of the commit.
//!
//! - [`parse`] reads what test tools say. An exit code of 0 with a test that failed is a failure, and
//!   one with no test at all is no proof.
//! - [`tamper`] looks at what the attempt did to that which proves it.
//! - With a baseline the same checks run on the base, so that old failures are told from new ones,
//!   and fewer tests are noticed.
//! - Where the attempt changed tests that were there, the checks run once more with the tests of
//!   the base on the code of the commit.
//!
//! Between two checks the checkout and its home are compared with what they were. When anything
//! differs, what a build leaves included, the next check and each repetition gets a fresh one, set up
//! anew: nothing that code under test leaves behind reaches what proves it.

mod baseline;
mod checker;
mod error;
mod outcome;
pub mod parse;
mod place;
mod report_file;
mod repository;
mod restore;
mod run;
mod settings;
mod source;
mod surroundings;
pub mod tamper;

pub use baseline::{Baselines, RecentBaselines};
pub use checker::{CheckOrder, Checker};
pub use error::CheckError;
pub use outcome::BaseResult;
pub use place::SCRATCH_PREFIX;
pub use settings::{CheckSettings, tool_homes};
pub use source::{READ, Source, SourceError};
