//! Why a task stands where it stands: what an open one waits for, and why an ended one ended so.
//!
//! Everything here is read off the state, nothing is kept for it. What only the world outside knows
//! (who drives the run, what a child run does) is added by whoever asks.

mod ended;
mod open;
mod reason;
mod root;

pub use reason::{Cause, OpenItems, Reason, Rule};

use super::Run;
use crate::{id::TaskName, task::TaskStatus, time::Timestamp};
use serde::{Deserialize, Serialize};

/// The most links of a chain; of a longer one those in the middle are left out.
const LINKS: usize = 12;

/// Why a task stands where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Why {
    /// The task.
    pub task: TaskName,
    /// Where it stands.
    pub status: TaskStatus,
    /// What keeps it there.
    pub because: Reason,
    /// What is behind that, from task to task down to the root; empty when there is nothing.
    pub chain: Vec<Link>,
    /// How many links were left out in the middle of the chain.
    pub omitted: u32,
}

/// One task of a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Link {
    /// The task.
    pub task: TaskName,
    /// Where it stands.
    pub status: TaskStatus,
    /// What keeps it there.
    pub because: Reason,
}

impl Why {
    /// The last of the chain, or the task's own reason: what would have to change.
    pub fn root(&self) -> (&TaskName, &Reason) {
        match self.chain.last() {
            Some(last) => (&last.task, &last.because),
            None => (&self.task, &self.because),
        }
    }
}

impl Run {
    /// Why the task of that name stands where it stands at `now`; none when there is no such task.
    pub fn why(&self, task: &str, now: Timestamp) -> Option<Why> {
        let place = self.place(task)?;
        let because = self.reason(place, now);
        let path = match self.tasks[place].status.is_final() {
            true => self.way_back(place),
            false => self.way_to_root(place, now),
        };
        let mut chain: Vec<Link> = path.into_iter().map(|place| self.link(place, now)).collect();
        let mut omitted = 0;
        if chain.len() > LINKS {
            omitted = chain.len() - LINKS;
            chain.drain(LINKS / 2..LINKS / 2 + omitted);
        }
        Some(Why {
            task: self.name(place),
            status: self.tasks[place].status,
            because,
            chain,
            omitted: u32::try_from(omitted).unwrap_or(u32::MAX),
        })
    }

    fn link(&self, place: usize, now: Timestamp) -> Link {
        Link {
            task: self.name(place),
            status: self.tasks[place].status,
            because: self.reason(place, now),
        }
    }

    fn reason(&self, place: usize, now: Timestamp) -> Reason {
        match self.tasks[place].status.is_final() {
            true => self.reason_of_end(place),
            false => self.reason_to_wait(place, now),
        }
    }
}
