//! The launcher: a small program between us and a confined one.
//!
//! It runs in a fresh process with one thread, takes its rights away step by step, and then starts
//! the program. A step that fails ends it before the program is started.
//!
//! - `outer` makes a session and the namespaces, hands the sockets of the private network to the
//!   relay, starts `inner`, and stays to pass its end on.
//! - `inner` is the first process of the namespace: it hides what is hidden, closes what it
//!   inherited, bounds what may be used, gives up every capability, applies Landlock and seccomp, and
//!   starts the program, for which it then reaps. When it ends, so does all that came of the program.

mod calls;
mod capabilities;
mod groups;
mod inner;
mod loopback;
mod mounts;
mod outer;
mod rules;
mod usage;

use super::order::{NOT_CONFINED, VERB};
use std::{
    ffi::OsString,
    io::{Write, stderr},
    process::{Child, Command, ExitStatus},
};

pub(super) use capabilities::are_none_left;

/// The stages, as they are named after [`VERB`].
pub(super) const OUTER: &str = "outer";
pub(super) const INNER: &str = "inner";
pub(super) const PROBE: &str = "probe";
pub(super) const CONTAINER: &str = "container";
pub(super) const REMOVER: &str = "remover";
pub(super) const DAGGER: &str = "dagger";

/// A step that failed, in words.
pub(super) type Step<T = ()> = Result<T, String>;

/// Says which step failed.
pub(super) trait During<T> {
    fn during(self, step: &str) -> Step<T>;
}

impl<T, E: std::fmt::Display> During<T> for Result<T, E> {
    fn during(self, step: &str) -> Step<T> {
        self.map_err(|error| format!("cannot {step}: {error}"))
    }
}

/// Becomes a step of the launcher when this process was started as one, and then does not return.
///
/// A program that confines others by itself as the launcher calls this first in its `main`, while it
/// has one thread.
pub fn launch_if_asked() {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_none_or(|word| word != VERB) {
        return;
    }
    let stage = words.next().unwrap_or_default();
    let done = match stage.to_str() {
        Some(OUTER) => outer::run(&mut words),
        Some(INNER) => inner::run(&mut words),
        Some(PROBE) => super::probe::run(&mut words),
        Some(CONTAINER) => super::container::run(&mut words),
        Some(REMOVER) => super::container::remove(&mut words),
        Some(DAGGER) => super::dagger::run(&mut words),
        _ => Err("this step is not known: the launcher is of another version".into()),
    };
    std::process::exit(done.unwrap_or_else(|problem| {
        let _ = writeln!(stderr(), "orchestrator sandbox: {problem}; the program was not started");
        i32::from(NOT_CONFINED)
    }));
}

/// Starts this program again as another step.
pub(super) fn step(arguments: Vec<OsString>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments);
    command
}

/// What a shell would say of this end.
pub(super) fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Lets signals pass by this process: its child, which is in the same group, gets them itself.
pub(super) fn let_signals_pass() -> Step {
    let mut passed = nix::sys::signal::SigSet::all();
    passed.remove(nix::sys::signal::Signal::SIGCHLD);
    passed.thread_block().during("let signals pass")
}

/// Takes signals again, for a program that is started from here.
pub(super) fn take_signals() -> Step {
    nix::sys::signal::SigSet::all().thread_unblock().during("take signals")
}

/// Waits for the end of a child and answers its code.
pub(super) fn end_of(mut child: Child) -> Step<i32> {
    child.wait().map(code).during("wait for the program")
}
