//! Programs and all that they start: watched, and ended with everything that came of them.
//!
//! A [`Process`] runs in a process group that a watching `/bin/sh` leads, which is there first;
//! without it no program is started. Stopping it asks the whole group to end (`SIGTERM`), waits for
//! the grace that is given, and ends it (`SIGKILL`). The same end comes for what is left of the
//! group when the program itself is done, at once when the value is dropped, and, through the
//! watcher, when this process dies without a chance to do anything, at whatever moment. The watcher
//! ignores the signals of the group; when somebody ends it all the same, another takes its place.
//!
//! What leaves the group is owned as well: the program itself is signalled wherever it goes, and
//! what it started in sessions or groups of its own (`setsid`, a daemon, the jobs of a shell) is
//! known by a mark in its environment, `ORCHESTRATOR_MARK`, and ended (`SIGKILL`) with the rest.
//!
//! What is *not* covered, until it is confined by other means:
//! - a process that left the group and dropped the mark (`env -i setsid`), and, on systems without
//!   the `/proc` of Linux, any that left the group other than the program itself;
//! - a process that became another user's (`sudo`), unless this one may signal it;
//! - what another service starts on request: a container, a unit of `systemd`, a job of `at`;
//! - the death of the watcher and of this process at once, before another watcher is there.

mod capture;
mod environment;
mod group;
mod guard;
mod owned;
mod pen;
mod stray;
mod watched;

pub use capture::{Capture, HEAD, TAIL};
pub use environment::Environment;
pub use owned::{NotStarted, Process, Reads};
pub(crate) use pen::Pen;
pub use watched::{Ending, Watch, Watched, run};
