//! A watcher that ends a process group when this process dies and can do nothing any more.
//!
//! It is a shell that waits at a pipe of which this process alone holds the other end. The kernel
//! closes that end whatever kills this process; the shell wakes and kills the group.
//!
//! It is there first, as the leader of the group, and the program joins it: so there is no moment
//! at which a program runs and nobody watches. A program that is being started while this process
//! dies holds a copy of the pipe until it has joined the group and becomes itself; only then does
//! the shell see the end.

use rustix::process::Pid;
use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Child, ChildStdout, Command, Stdio},
};

/// What the shell does. `$1` is its group, empty for its own; `$2` the mark of the group.
///
/// The group's signals are for the program: the shell ignores those that end or suspend. It reads
/// the program's number, and then nothing until the end. Then the program goes, and what `/proc`
/// shows with the mark, for a few seconds at most, and the group with the shell itself. That last
/// step is taken even when no process can be started any more, which makes some shells stop.
const SCRIPT: &str = r#"
group=${1:-$$}
trap '' HUP INT QUIT USR1 USR2 PIPE ALRM TERM TSTP TTIN TTOU VTALRM PROF XCPU XFSZ
trap 'kill -s KILL -- "-$group"' EXIT
read -r program
read -r nothing
[ -n "$program" ] && kill -s KILL -- "$program" "-$program"
{ sleep 3; kill -s KILL -- "-$group"; } &
for pass in 1 2 3; do
  for found in $(grep -lsF -- "$2" /proc/[0-9]*/environ); do
    found=${found#/proc/}
    kill -s KILL -- "${found%/environ}"
  done
done
kill -s KILL -- "-$group"
"#;

/// Where the shell finds its tools, whatever this process was given.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The watcher of one process group.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
}

impl Guard {
    /// Begins to watch over a new group, and leads it.
    pub(super) fn lead(mark: &str) -> io::Result<Self> {
        Self::start(None, mark)
    }

    /// Begins to watch over `group`, in which `program` runs.
    pub(super) fn join(group: Pid, mark: &str, program: Pid) -> io::Result<Self> {
        let mut guard = Self::start(Some(group), mark)?;
        guard.tell(program);
        Ok(guard)
    }

    fn start(group: Option<Pid>, mark: &str) -> io::Result<Self> {
        let number = group.map(Pid::as_raw_nonzero);
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(number.map(|number| number.to_string()).unwrap_or_default())
            .arg(mark)
            .env_clear()
            .env("PATH", PATH)
            .current_dir("/")
            .stdin(Stdio::piped())
            // Nothing is ever written to it: that it ends says that the shell has ended.
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(number.map_or(0, |number| number.get()))
            .spawn()?;
        Ok(Self { shell })
    }

    /// Whether nobody has ended it.
    pub(super) fn is_there(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(None))
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.shell)
    }

    /// Says which process is the program, in case that it leaves the group.
    pub(super) fn tell(&mut self, program: Pid) {
        if let Some(stdin) = &mut self.shell.stdin {
            // It fails when the shell has ended, of which its other pipe tells.
            let _ = stdin.write_all(format!("{}\n", program.as_raw_nonzero()).as_bytes());
        }
    }

    /// What ends when the shell does, once.
    pub(super) fn take_pulse(&mut self) -> Option<ChildStdout> {
        self.shell.stdout.take()
    }

    /// Ends the watch. The pipe closes only after the shell is gone, so it never sees it close.
    pub(super) fn stand_down(mut self) {
        if let Err(error) = self.shell.kill().and_then(|()| self.shell.wait().map(drop)) {
            tracing::warn!(%error, "cannot end the watcher of a program");
        }
    }
}
