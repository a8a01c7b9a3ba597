//! Control groups, where they may be used: memory and processes of all that a program starts.

use crate::sandbox::Limits;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// How the names of ours begin.
const PREFIX: &str = "orchestrator-";

/// The groups that were made for one program. Dropping it removes them.
#[derive(Debug, Default)]
pub(super) struct Groups {
    made: Vec<PathBuf>,
    memory: bool,
    count: bool,
}

impl Groups {
    /// Makes groups that bound what `limits` says, as far as this process may.
    pub(super) fn make(limits: &Limits) -> Self {
        let mut groups = Self::default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        for line in own.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let path = path.trim_start_matches('/');
            if controllers.is_empty() {
                groups.add(&Path::new(ROOT).join(path), "memory.max", "pids.max", limits);
                continue;
            }
            for controller in controllers.split(',') {
                let parent = Path::new(ROOT).join(controller).join(path);
                match controller {
                    "memory" => groups.add(&parent, "memory.limit_in_bytes", "", limits),
                    "pids" => groups.add(&parent, "", "pids.max", limits),
                    _ => {}
                }
            }
        }
        groups
    }

    fn add(&mut self, parent: &Path, memory: &str, count: &str, limits: &Limits) {
        let bytes = limits.memory.filter(|_| !memory.is_empty() && !self.memory);
        // The steps that start the program are two more at most.
        let most = limits.processes.filter(|_| !count.is_empty() && !self.count);
        if bytes.is_none() && most.is_none() || !parent.join("cgroup.procs").exists() {
            return;
        }
        sweep(parent);
        let dir = parent.join(format!("{PREFIX}{}", std::process::id()));
        if fs::create_dir(&dir).is_err() {
            return;
        }
        let set = |name: &str, value: u64| write(&dir.join(name), &value.to_string()).is_ok();
        let has_memory = bytes.is_some_and(|bytes| set(memory, bytes));
        let has_count = most.is_some_and(|most| set(count, u64::from(most) + 2));
        // A group that nobody can join is of no use, and joining is tried with this process, which
        // goes back at once.
        let joins = || {
            write(&dir.join("cgroup.procs"), "0").is_ok()
                && write(&parent.join("cgroup.procs"), "0").is_ok()
        };
        if (has_memory || has_count) && joins() {
            self.memory |= has_memory;
            self.count |= has_count;
            if has_memory {
                // Where swap is counted it is not a way around.
                let _ = write(&dir.join("memory.swap.max"), "0");
            }
            self.made.push(dir);
        } else {
            let _ = fs::remove_dir(&dir);
        }
    }

    /// The files to which a process writes to join.
    pub(super) fn entries(&self) -> Vec<PathBuf> {
        self.made.iter().map(|dir| dir.join("cgroup.procs")).collect()
    }

    /// Makes this process a member, and so what it starts.
    pub(super) fn join(&self) -> io::Result<()> {
        self.made.iter().try_for_each(|dir| write(&dir.join("cgroup.procs"), "0"))
    }

    /// Makes this process a member of the groups above again.
    pub(super) fn leave(&self) {
        for above in self.made.iter().filter_map(|dir| dir.parent()) {
            let _ = write(&above.join("cgroup.procs"), "0");
        }
    }

    /// Whether memory and whether the number of processes is bounded.
    pub(super) fn bound(&self) -> (bool, bool) {
        (self.memory, self.count)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for dir in &self.made {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Writes to a file that must be there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

/// Removes groups whose launcher is gone; the system keeps those that are in use.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}
