//! Who drives a run: a name for this process from which others can tell whether it still lives.

use orchestrator_core::id::OwnerId;
use rustix::process::{Pid, getpid, test_kill_process};
use std::path::Path;

/// The parts of an owner's name: `host:boot:pid:start`.
///
/// `boot` is the machine's boot id and, where there are such, the namespace that the process id is
/// of; `start` is when the process started, so that a process id used again is not mistaken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    host: String,
    boot: String,
    pid: u32,
    start: u64,
}

/// What became of an owner, as far as this process can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// It is this process.
    Me,
    /// It lives on this machine.
    Alive(u32),
    /// It is gone for certain.
    Dead,
    /// It is on another machine, or cannot be seen from here.
    Elsewhere,
}

impl Owner {
    /// This process.
    pub(crate) fn me() -> Self {
        let pid = getpid();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let boot = read("/proc/sys/kernel/random/boot_id");
        let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let space: String = space.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            host: clean(&host, 40),
            boot: clean(&format!("{}.{space}", boot.trim()), 60),
            pid: u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default(),
            start: start_of(pid).unwrap_or_default(),
        }
    }

    /// The name in a lease.
    pub(crate) fn id(&self) -> Option<OwnerId> {
        let Self { host, boot, pid, start } = self;
        OwnerId::new(format!("{host}:{boot}:{pid}:{start}")).ok()
    }

    fn parse(id: &OwnerId) -> Option<Self> {
        let mut parts = id.as_str().split(':');
        let owner = Self {
            host: parts.next()?.to_owned(),
            boot: parts.next()?.to_owned(),
            pid: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(owner)
    }

    /// What became of the process that `id` names.
    pub(crate) fn look(&self, id: &OwnerId) -> Holder {
        let Some(other) = Self::parse(id) else { return Holder::Elsewhere };
        if other == *self {
            return Holder::Me;
        }
        if other.host != self.host {
            return Holder::Elsewhere;
        }
        if other.boot != self.boot {
            // Of another boot of this machine: gone with it. Of another namespace: not to be seen.
            let machine = |owner: &Self| owner.boot.split('.').next().map(str::to_owned);
            let known = machine(self).is_some_and(|boot| !boot.is_empty());
            let same = machine(&other) == machine(self);
            return if known && !same { Holder::Dead } else { Holder::Elsewhere };
        }
        let pid = i32::try_from(other.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return Holder::Dead };
        match start_of(pid) {
            Some(start) if start == other.start => Holder::Alive(other.pid),
            Some(_) => Holder::Dead,
            // Without /proc only the process id can be asked for; one that is used again then
            // looks alive, and the lease's expiry decides.
            None if Path::new("/proc/self/stat").exists() => Holder::Dead,
            None => match test_kill_process(pid) {
                Err(rustix::io::Errno::SRCH) => Holder::Dead,
                _ => Holder::Alive(other.pid),
            },
        }
    }
}

/// When a process started, in clock ticks since boot: field 22 of `/proc/PID/stat` (proc(5)). A
/// process that has ended and waits to be reaped counts as gone.
fn start_of(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold anything, so fields are counted from its end.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn clean(text: &str, most: usize) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '-' };
    let text: String = text.chars().map(fit).take(most).collect();
    if text.is_empty() { "unknown".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_the_dead_and_the_unseen_are_told_apart() {
        let me = Owner::me();
        assert_eq!(Owner::parse(&me.id().unwrap()).as_ref(), Some(&me));
        let check = |other: Owner, expected: Holder| {
            assert_eq!(me.look(&other.id().unwrap()), expected, "{other:?}");
        };
        check(me.clone(), Holder::Me);
        check(Owner { host: "elsewhere".into(), ..me.clone() }, Holder::Elsewhere);
        check(Owner { boot: "0000.1".into(), ..me.clone() }, Holder::Dead);
        let space = format!("{}.1", me.boot.split('.').next().unwrap());
        check(Owner { boot: space, ..me.clone() }, Holder::Elsewhere);
        check(Owner { start: me.start + 1, ..me.clone() }, Holder::Dead);
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let start = start_of(Pid::from_child(&child)).unwrap();
        let owner = Owner { pid: child.id(), start, ..me.clone() };
        check(owner.clone(), Holder::Alive(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        check(owner, Holder::Dead);
        assert_eq!(me.look(&OwnerId::new("somebody").unwrap()), Holder::Elsewhere);
    }
}
