//! Runs and workflows as files: out of one project, into another.
//!
//! An exported run is one JSON document that holds its whole log and every blob that the log refers
//! to. Importing trusts nothing of it: sizes and depth are bounded, every id is checked, the events
//! must replay, the blobs are hashed again, and whose the run is and where it works is set to here.
//! Nothing is stored before all of it was found good.

mod bundle;
mod check;
mod export;
mod html;
mod import;
mod rename;
mod seal;
mod workflow;

pub(crate) use html::page;
pub use import::ImportOptions;
