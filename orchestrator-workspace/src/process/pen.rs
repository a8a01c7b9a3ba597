//! A group for many short programs: one watcher ends them all when this process dies.
//!
//! Starting a watcher takes longer than most calls of a tool such as `git` do. What runs here is
//! therefore told to end by whoever waits for it, and the watcher is there for the one case in which
//! nobody can.

use super::{guard::Guard, stray};
use std::{
    io,
    sync::{Mutex, PoisonError},
};

/// A group that programs are started in.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    guard: Mutex<Option<Guard>>,
}

impl Pen {
    /// The number of the group, whose watcher lives; it is started when it is not there.
    pub(crate) fn group(&self) -> io::Result<i32> {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = &mut *guard
            && present.is_there()
        {
            return Ok(present.pid().as_raw_nonzero().get());
        }
        let fresh = Guard::lead(&stray::entry(&stray::mark()))?;
        let group = fresh.pid().as_raw_nonzero().get();
        if let Some(gone) = guard.replace(fresh) {
            gone.stand_down();
        }
        Ok(group)
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        let guard = self.guard.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = guard.take() {
            guard.stand_down();
        }
    }
}
