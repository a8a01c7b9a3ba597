//! Proofs on the real program: killed, out of room, with a disk that fails, with the power cut.
//!
//! Everything else in this crate runs the engine inside the test. Here the program itself is
//! started, as a person would, and harmed from outside:
//!
//! | proof | what is done to it |
//! |---|---|
//! | [`kill`] | `SIGKILL` at a drawn time, while it executes and again while it resumes |
//! | [`fault`], room | from the k-th write on the disk is full, for every k |
//! | [`fault`], sync | the k-th synchronisation fails, and what it should have kept is lost |
//! | [`fault`], power | everything stops at the k-th write, and what was not synchronised is lost |
//!
//! After each of them the store must be sound, every event that was printed must be there, what had
//! ended must not be done again, nothing that was started may be left alive, and the run must end
//! as one ends that nobody harmed. Tasks write what they do into a [`ledger`] of their own, outside
//! the store, so that the program is not its own witness.
//!
//! Works on Linux: it reads `/proc`, and faults come through a preloaded library that is compiled
//! with `cc`.

pub mod fault;
mod flows;
mod journal;
pub mod kill;
pub mod ledger;
mod orphans;
mod outcome;
mod project;
mod room;
mod rules;
mod shim;

pub use flows::{FLOWS, Flow};
pub use project::{Product, Project, Ran};
pub use room::small_disk;

/// A rule that does not hold, or a proof that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

impl Broken {
    /// A broken rule, in words that say what was seen and where.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The same with what was being done.
    #[must_use]
    pub fn during(self, what: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

/// What was attempted, in front of an error that says only why.
fn failed<E: std::fmt::Display>(action: impl std::fmt::Display) -> impl FnOnce(E) -> Broken {
    move |error| Broken(format!("cannot {action}: {error}"))
}

/// A failed proof: the rule, and the seed or place that shows it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which rule did not hold, and how.
    pub broken: Broken,
    /// The arguments that repeat it, such as `kill --seed 7 --rounds 1`.
    pub again: String,
}

/// Which of `flows` are meant: all of them when none is named.
///
/// # Errors
/// A name that no workflow has.
pub fn select(names: &[String]) -> Result<Vec<&'static Flow>, Broken> {
    if names.is_empty() {
        return Ok(FLOWS.iter().collect());
    }
    let find = |name: &String| {
        FLOWS.iter().find(|flow| flow.name == name).ok_or_else(|| {
            let known: Vec<_> = FLOWS.iter().map(|flow| flow.name).collect();
            Broken(format!("there is no workflow `{name}`; there are {}", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}
