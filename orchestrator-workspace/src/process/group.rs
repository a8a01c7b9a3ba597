//! The processes of one program: the watcher that leads their group, and the program in it.
//!
//! Until both are reaped their numbers belong to them, so that a signal to the group never reaches
//! a stranger who got the same number.

use super::guard::Guard;
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use std::{
    process::ChildStdout,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The group of a program, as long as its numbers are its own.
#[derive(Debug)]
pub(super) struct Group {
    mark: String,
    members: Mutex<Option<Members>>,
}

#[derive(Debug)]
struct Members {
    leader: Guard,
    /// Watches in the place of a leader that was ended by somebody else.
    relief: Option<Guard>,
    program: Pid,
    is_ending: bool,
}

impl Group {
    /// A group that is still empty; `mark` is in the environment of its program.
    pub(super) fn new(mark: String) -> Self {
        Self { mark, members: Mutex::default() }
    }

    fn members(&self) -> MutexGuard<'_, Option<Members>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a program that was started in the group of `leader`.
    pub(super) fn fill(&self, leader: Guard, program: Pid) {
        let members = Members { leader, relief: None, program, is_ending: false };
        *self.members() = Some(members);
    }

    /// Signals every process of the group, if it is still there, and the program wherever it is.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(members) = &mut *self.members() {
            members.is_ending |= signal == Signal::KILL;
            members.signal(signal);
        }
    }

    /// Puts another watcher in the place of one that has ended, and returns its pulse; nothing when
    /// the group is to end anyway.
    pub(super) fn relieve(&self) -> Option<ChildStdout> {
        let mut members = self.members();
        let members = members.as_mut().filter(|members| !members.is_ending)?;
        tracing::warn!("the watcher of a program was ended by somebody; another takes its place");
        match Guard::join(members.leader.pid(), &self.mark, members.program) {
            Ok(mut guard) => {
                let pulse = guard.take_pulse();
                if let Some(last) = members.relief.replace(guard) {
                    last.stand_down();
                }
                pulse
            }
            Err(error) => {
                tracing::warn!(%error, "a program runs unwatched");
                None
            }
        }
    }

    /// Reaps the watchers and then, with `reap`, the program; from here on nothing is signalled.
    pub(super) fn dissolve<T>(&self, reap: impl FnOnce() -> T) -> T {
        let mut members = self.members();
        if let Some(Members { leader, relief, .. }) = members.take() {
            relief.into_iter().for_each(Guard::stand_down);
            leader.stand_down();
        }
        reap()
    }
}

impl Members {
    fn signal(&self, signal: Signal) {
        let leader = self.leader.pid();
        // That nobody is left is no failure: it is what the signal is for.
        let _ = kill_process_group(leader, signal);
        match getpgid(Some(self.program)) {
            // Told already; a second time may mean something else to it.
            Ok(group) if group == leader => {}
            // It has made a group or a session of its own, named after itself.
            Ok(group) if group == self.program => {
                let _ = kill_process_group(group, signal);
            }
            _ => {
                let _ = kill_process(self.program, signal);
            }
        }
    }
}
