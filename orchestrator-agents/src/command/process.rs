//! A program and the process group that it leads.
//!
//! One thread owns the program: it starts it, waits for it, ends what is left of its group and
//! only then reaps it. Until it is reaped its number belongs to it, so that a signal to the group
//! never reaches a stranger who got the same number.

use super::guard::Guard;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use tokio::{
    process::{ChildStderr, ChildStdout},
    sync::oneshot,
};

/// Enough for a thread that starts one program and waits.
const STACK: usize = 256 * 1024;

/// How long a killed process may take to go: the kernel may still write out its memory.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A running program. Dropping it kills its whole group at once.
#[derive(Debug)]
pub(super) struct Process {
    group: Arc<Group>,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
    output: Option<(ChildStdout, ChildStderr)>,
}

/// The group of a program, as long as its number is its own.
#[derive(Debug, Default)]
struct Group {
    leader: Mutex<Option<Pid>>,
}

/// What the owning thread hands out once the program runs.
struct Started {
    stdout: std::process::ChildStdout,
    stderr: std::process::ChildStderr,
}

impl Group {
    /// Signals every process of the group, if it is still there.
    fn signal(&self, signal: Signal) {
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = *leader {
            // That nobody is left is no failure: it is what the signal is for.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Process {
    /// Starts the program in a group of its own, with pipes for what it prints.
    pub(super) async fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let group = Arc::new(Group::default());
        let (started, has_started) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let owned = Arc::clone(&group);
        thread::Builder::new()
            .name("orchestrator-command".into())
            .stack_size(STACK)
            .spawn(move || own(command, &owned, started, ended))?;
        let gone = |_| io::Error::other("the thread that starts it has stopped");
        // From here on, dropping this value ends what has been started.
        let mut process = Self { group, ended: has_ended, output: None };
        let started: Started = has_started.await.map_err(gone)??;
        let stdout = ChildStdout::from_std(started.stdout)?;
        let stderr = ChildStderr::from_std(started.stderr)?;
        process.output = Some((stdout, stderr));
        Ok(process)
    }

    /// What the program prints: standard output and standard error, once.
    pub(super) fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        self.output.take().unzip()
    }

    /// Resolves when the program has ended, its group is gone and it is reaped.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        (&mut self.ended)
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the thread that waits for it has stopped")))
    }

    /// Asks the group to end, and ends it after `grace`.
    pub(super) async fn stop(&mut self, grace: Duration) {
        self.group.signal(Signal::TERM);
        // A suspended process hears of nothing before it goes on.
        self.group.signal(Signal::CONT);
        if tokio::time::timeout(grace, self.ended()).await.is_err() {
            self.group.signal(Signal::KILL);
            if tokio::time::timeout(LAST_WAIT, self.ended()).await.is_err() {
                tracing::warn!("a killed program has not gone; it is left to the system");
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.group.signal(Signal::KILL);
    }
}

/// The life of a program, on a thread of its own.
fn own(
    mut command: Command,
    group: &Group,
    started: oneshot::Sender<io::Result<Started>>,
    ended: oneshot::Sender<io::Result<ExitStatus>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Nobody may wait any more; then nobody need know.
            let _ = started.send(Err(error));
            return;
        }
    };
    let leader = Pid::from_child(&child);
    *group.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(leader);
    let guard = Guard::over(child.id());
    let guard = guard.inspect_err(|error| tracing::warn!(%error, "a program runs unwatched")).ok();
    let is_wanted = match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), Some(stderr)) => started.send(Ok(Started { stdout, stderr })).is_ok(),
        // Both were asked for, so both are there.
        _ => false,
    };
    if !is_wanted {
        group.signal(Signal::KILL);
    }
    wait_without_reaping(leader);
    if let Some(guard) = guard {
        guard.stand_down();
    }
    let status = finish(&mut child, group);
    let _ = ended.send(status);
}

fn wait_without_reaping(leader: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(error) = waitid(WaitId::Pid(leader), options) {
        if error != rustix::io::Errno::INTR {
            tracing::warn!(%error, "cannot wait for a program");
            return;
        }
    }
}

/// Ends what is left of the group and reaps its leader.
fn finish(child: &mut Child, group: &Group) -> io::Result<ExitStatus> {
    group.signal(Signal::KILL);
    let mut leader = group.leader.lock().unwrap_or_else(PoisonError::into_inner);
    let status = child.wait();
    *leader = None;
    status
}
