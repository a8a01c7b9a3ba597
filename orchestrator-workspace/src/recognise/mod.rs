//! What is a test: told from paths and lines, for analysts and for the guards of checks.
//!
//! Nothing here reads a file or runs a program. Judgement is by habit of each language, line by
//! line, so that it is fast and never fails; what it says is a hint for people and a reason to look.

mod class;
mod marker;
mod syntax;
mod vacuous;

pub use class::{Class, classify};
pub use marker::{Marker, marker};
pub use syntax::{Syntax, identifier, indent};
pub use vacuous::vacuous;
