//! The proof that what lands keeps a branch green, whoever dies.
//!
//! ```text
//!            ┌─────────── the parent ───────────┐
//!  SIGKILL ◀─┤ crew    starts workers anew      │
//!            │ audit   checks out every commit  │
//!            └──────────────┬───────────────────┘
//!                           ▼
//!    one repository, one store on disk  ◀── workers, each another process, with tasks of its own
//! ```
//!
//! Tasks overlap in text (the same line of a file) and in meaning (one renames a function that
//! another calls; each is right alone), and a few are wrong alone. A task whose work does not land is
//! mended on the tip of the branch and tried again, as an agent would, a bounded number of times. A
//! worker kills itself after a drawn step of landing, such as right after the branch was moved.

mod audit;
mod crew;
mod tasks;
mod worker;

pub(crate) use worker::serve;

use anyhow::Result;
use serde::Serialize;
use std::{collections::BTreeMap, io::Write as _, time::Instant};

/// What is proved.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How many repositories, one after the other.
    pub(crate) rounds: u64,
    pub(crate) tasks: usize,
    pub(crate) processes: usize,
    /// How often each process is killed.
    pub(crate) kills: usize,
    /// The arguments that make this program a worker.
    pub(crate) worker: Vec<String>,
    /// Whether it says how it goes.
    pub(crate) talks: bool,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Figures {
    pub(crate) rounds: u64,
    pub(crate) tasks: usize,
    /// Tasks whose work is on the branch.
    pub(crate) landed: usize,
    /// Tasks that ended with a question to a person.
    pub(crate) asked: usize,
    /// Tasks that were sent back at least once.
    pub(crate) mended: usize,
    pub(crate) kills: usize,
    /// After which step each process was killed.
    pub(crate) killed_after: BTreeMap<String, usize>,
    /// How often a branch was moved.
    pub(crate) moves: usize,
    /// Commits that were checked out and tested, one by one.
    pub(crate) commits: usize,
    /// Commits of them that were red.
    pub(crate) red: usize,
    pub(crate) lost: usize,
    pub(crate) twice: usize,
    /// Branches whose files a rollback gave back as they were.
    pub(crate) restored: u64,
    pub(crate) seconds: f64,
}

impl Figures {
    pub(crate) fn line(&self) -> String {
        format!(
            "{} rounds, {} tasks: {} landed, {} asked, {} mended; {} kills {:?}; {} moves, {} \
             commits tested, {} red, {} lost, {} twice, {} rolled back; {:.1} s",
            self.rounds,
            self.tasks,
            self.landed,
            self.asked,
            self.mended,
            self.kills,
            self.killed_after,
            self.moves,
            self.commits,
            self.red,
            self.lost,
            self.twice,
            self.restored,
            self.seconds
        )
    }
}

/// Makes the proof; returns figures and failures.
pub(crate) fn prove(plan: &Plan) -> Result<(Figures, Vec<String>)> {
    let begin = Instant::now();
    let (mut figures, mut failures) = (Figures::default(), Vec::new());
    for round in 0..plan.rounds {
        let seed = plan.seed.wrapping_add(round);
        let room = tempfile::tempdir()?;
        tasks::repository(room.path())?;
        crew::work(plan, seed, room.path(), &mut figures, &mut failures)?;
        audit::audit(plan, seed, room.path(), &mut figures, &mut failures)?;
        figures.rounds += 1;
        figures.seconds = begin.elapsed().as_secs_f64();
        if plan.talks {
            // Progress that nobody reads is no failure.
            let _ = writeln!(std::io::stderr(), "{}", figures.line());
        }
    }
    Ok((figures, failures))
}
