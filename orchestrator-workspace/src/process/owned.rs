//! A program and all that it starts.
//!
//! One thread owns the program: it starts the watcher and then the program in the watcher's group,
//! waits for it, ends what is left, and only then reaps both.

use super::{group::Group, guard::Guard, stray};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::oneshot,
};

/// Enough for a thread that starts two programs, waits, and reads a few small files.
const STACK: usize = 256 * 1024;

/// How long a killed process may take to go: the kernel may still write out its memory.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// A running program. Dropping it kills its whole group at once.
#[derive(Debug)]
pub struct Process {
    group: Arc<Group>,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
    output: Option<(ChildStdout, ChildStderr)>,
    input: Option<ChildStdin>,
    /// Ends when the watcher does.
    pulse: Option<ChildStdout>,
}

/// What a program finds at its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Its end.
    Nothing,
    /// What [`Process::take_input`] is given.
    Input,
}

/// Why a program does not run.
#[derive(Debug)]
pub enum NotStarted {
    /// The watcher could not be started, and without it no program is.
    Watcher(io::Error),
    /// The program itself could not be started.
    Program(io::Error),
}

/// What the owning thread hands out once the program runs.
struct Started {
    stdout: std::process::ChildStdout,
    stderr: std::process::ChildStderr,
    stdin: Option<std::process::ChildStdin>,
    pulse: Option<std::process::ChildStdout>,
}

impl Process {
    /// Starts the program in a watched group of its own, with pipes for what it prints and, if it is
    /// to be told something, for what it reads.
    pub async fn start(mut command: Command, reads: Reads) -> Result<Self, NotStarted> {
        command.stdin(match reads {
            Reads::Nothing => Stdio::null(),
            Reads::Input => Stdio::piped(),
        });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mark = stray::mark();
        command.env(stray::VARIABLE, &mark);
        let group = Arc::new(Group::new(stray::entry(&mark)));
        let (started, has_started) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let owned = Arc::clone(&group);
        thread::Builder::new()
            .name("orchestrator-command".into())
            .stack_size(STACK)
            .spawn(move || own(command, &mark, &owned, started, ended))
            .map_err(NotStarted::Program)?;
        let gone =
            |_| NotStarted::Program(io::Error::other("the thread that starts it has stopped"));
        // From here on, dropping this value ends what has been started.
        let (output, input) = (None, None);
        let mut process = Self { group, ended: has_ended, output, input, pulse: None };
        let Started { stdout, stderr, stdin, pulse } = has_started.await.map_err(gone)??;
        let stdout = ChildStdout::from_std(stdout).map_err(NotStarted::Program)?;
        let stderr = ChildStderr::from_std(stderr).map_err(NotStarted::Program)?;
        process.output = Some((stdout, stderr));
        process.input = stdin.map(ChildStdin::from_std).transpose().map_err(NotStarted::Program)?;
        process.pulse = pulse.and_then(|pulse| ChildStdout::from_std(pulse).ok());
        Ok(process)
    }

    /// What the program prints: standard output and standard error, once.
    pub fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        self.output.take().unzip()
    }

    /// Where the program reads from, once; nothing when it is told nothing.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// Resolves when the program has ended, its group is gone and it is reaped. Until then it sees
    /// to it that the group has a watcher.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                biased;
                status = &mut self.ended => return status.unwrap_or_else(|_| {
                    Err(io::Error::other("the thread that waits for it has stopped"))
                }),
                () = stops(self.pulse.as_mut()) => {
                    // Started here and now: it is short, and every moment is one without a watcher.
                    let pulse = self.group.relieve();
                    self.pulse = pulse.and_then(|pulse| ChildStdout::from_std(pulse).ok());
                }
            }
        }
    }

    /// Asks the group to end, and ends it after `grace`.
    pub async fn stop(&mut self, grace: Duration) {
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

/// Resolves when the other side of `pulse`, on which nothing is said, is closed; without one never.
async fn stops(pulse: Option<&mut ChildStdout>) {
    match pulse {
        Some(pulse) => {
            let _ = pulse.read(&mut [0]).await;
        }
        None => std::future::pending().await,
    }
}

/// The life of a program, on a thread of its own.
fn own(
    command: Command,
    mark: &str,
    group: &Group,
    started: oneshot::Sender<Result<Started, NotStarted>>,
    ended: oneshot::Sender<io::Result<ExitStatus>>,
) {
    let begun = Instant::now();
    let (mut guard, mut child) = match start_both(command, mark) {
        Ok(both) => both,
        Err(error) => {
            // Nobody may wait any more; then nobody need know.
            let _ = started.send(Err(error));
            return;
        }
    };
    let (leader, program) = (guard.pid(), Pid::from_child(&child));
    guard.tell(program);
    let pulse = guard.take_pulse();
    group.fill(guard, program);
    let is_wanted = match (child.stdout.take(), child.stderr.take()) {
        (Some(stdout), Some(stderr)) => {
            let stdin = child.stdin.take();
            started.send(Ok(Started { stdout, stderr, stdin, pulse })).is_ok()
        }
        // Both were asked for, so both are there.
        _ => false,
    };
    if !is_wanted {
        group.signal(Signal::KILL);
    }
    wait_without_reaping(program);
    group.signal(Signal::KILL);
    stray::end(mark, leader, begun.elapsed());
    let _ = ended.send(group.dissolve(|| child.wait()));
}

/// The watcher first: what is started has somebody who ends it from its first moment on.
fn start_both(mut command: Command, mark: &str) -> Result<(Guard, Child), NotStarted> {
    let guard = Guard::lead(&stray::entry(mark)).map_err(NotStarted::Watcher)?;
    match command.process_group(guard.pid().as_raw_nonzero().get()).spawn() {
        Ok(child) => Ok((guard, child)),
        Err(error) => {
            guard.stand_down();
            Err(NotStarted::Program(error))
        }
    }
}

fn wait_without_reaping(program: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(error) = waitid(WaitId::Pid(program), options) {
        if error != rustix::io::Errno::INTR {
            tracing::warn!(%error, "cannot wait for a program");
            return;
        }
    }
}
