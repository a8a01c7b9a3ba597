//! What has left a program's process group: a daemon, a job of a shell, anything with a session of
//! its own.
//!
//! Each program gets a mark in its environment that nobody else has, and what it starts inherits
//! it. Where the system shows the environment of processes (`/proc` of Linux), those with the mark
//! are ended when the program has ended. Only a process that was started without the mark, or that
//! may not be looked at because it became another user's, stays.

use rustix::process::Pid;
use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The variable that holds the mark.
pub(super) const VARIABLE: &str = "ORCHESTRATOR_MARK";

/// A mark that no other program has or had.
pub(super) fn mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // With a last letter, so that no mark is the beginning of another.
    format!("{}-{since}-{number}m", process::id())
}

/// How the mark stands in an environment.
pub(super) fn entry(mark: &str) -> String {
    format!("{VARIABLE}={mark}")
}

/// Kills what carries `mark` until nothing is left of it. `leader` is a process, not reaped yet,
/// that was started before all of these, `age` ago.
pub(super) fn end(mark: &str, leader: Pid, age: Duration) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    linux::end(entry(mark).as_bytes(), leader, age);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (mark, leader, age);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
    use std::{
        fs,
        os::unix::fs::MetadataExt,
        path::{Path, PathBuf},
        thread,
        time::Duration,
    };

    /// How often is looked for what a process that was about to be killed has started meanwhile,
    /// and for what is still going.
    const PASSES: usize = 500;
    const PAUSE: Duration = Duration::from_millis(2);

    /// Up to this age of the leader all processes since then have the numbers after its own: the
    /// numbers do not go round in that time.
    const YOUNG: Duration = Duration::from_millis(100);
    /// How many numbers are tried one by one before all processes are listed instead.
    const FEW: i32 = 512;

    pub(super) fn end(entry: &[u8], leader: Pid, age: Duration) {
        let Some(since) = begun(&dir(leader)) else { return };
        for pass in 0..PASSES {
            if pass > 0 {
                thread::sleep(PAUSE);
            }
            // What is left may go on starting others; then it is not young for long.
            let numbers = if age < YOUNG && pass == 0 { numbers_after(leader) } else { None };
            if !kill_all(numbers.unwrap_or_else(all_numbers), entry, since) {
                return;
            }
        }
        tracing::warn!("what a program started goes on although it was killed");
    }

    fn dir(process: Pid) -> PathBuf {
        format!("/proc/{}", process.as_raw_nonzero()).into()
    }

    /// The numbers given since `leader` got its own, when they are few.
    fn numbers_after(leader: Pid) -> Option<Vec<Pid>> {
        let leader = leader.as_raw_nonzero().get();
        // The number that was given last is the last field (proc_loadavg(5)).
        let load = fs::read_to_string("/proc/loadavg").ok()?;
        let last: i32 = load.split_whitespace().last()?.parse().ok()?;
        let given = last.checked_sub(leader)?;
        (0..FEW).contains(&given).then(|| (leader + 1..=last).filter_map(Pid::from_raw).collect())
    }

    /// Every number that there is.
    fn all_numbers() -> Vec<Pid> {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let number = |process: fs::DirEntry| process.file_name().to_str()?.parse().ok();
        processes.filter_map(number).filter_map(Pid::from_raw).collect()
    }

    /// Kills those of the processes that carry the entry, and says whether there were any.
    fn kill_all(processes: Vec<Pid>, entry: &[u8], since: u64) -> bool {
        let mut found = false;
        for pid in processes {
            let dir = dir(pid);
            if !is_recent(&dir, since) || !carries(&dir, entry) {
                continue;
            }
            // Held before the look that counts, so that the number cannot become another's.
            if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
                && carries(&dir, entry)
            {
                found |= pidfd_send_signal(handle, Signal::KILL).is_ok();
            }
        }
        found
    }

    /// Whether the process may be ours. Others are not looked into: to read of their memory may
    /// have to wait for them.
    fn is_recent(dir: &Path, since: u64) -> bool {
        let may_be_killed = geteuid().is_root()
            || fs::metadata(dir).is_ok_and(|dir| dir.uid() == geteuid().as_raw());
        may_be_killed && begun(dir).is_some_and(|begun| begun >= since)
    }

    /// When the process began, in ticks since the system did.
    fn begun(dir: &Path) -> Option<u64> {
        let stat = fs::read(dir.join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name in parentheses may hold anything. It is the second field, and the beginning is
        // the 22nd (proc_pid_stat(5)).
        stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
    }

    fn carries(dir: &Path, entry: &[u8]) -> bool {
        let environment = fs::read(dir.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|found| found == entry)
    }
}
