//! How much the program may use, and which descriptors it inherits.

use super::{During, Step};
use crate::sandbox::order::Order;
use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};
use std::{fs, os::unix::fs::MetadataExt};

/// Sets the limits of the process that become those of all that it starts.
pub(super) fn bound(order: &Order) -> Step {
    let limits = &order.confinement.limits;
    // What a crash writes may be large, and may hold what was read.
    at_most(Resource::Core, 0)?;
    if let Some(cpu) = limits.cpu {
        at_most(Resource::Cpu, cpu.as_secs() + u64::from(cpu.subsec_nanos() > 0))?;
    }
    if let Some(files) = limits.files {
        at_most(Resource::Nofile, files)?;
    }
    if let Some(size) = limits.file_size {
        at_most(Resource::Fsize, size)?;
    }
    if let Some(memory) = limits.memory.filter(|_| !order.within.memory) {
        // Not the address space, of which some runtimes reserve far more than they use.
        at_most(Resource::Data, memory)?;
    }
    if let Some(count) = limits.processes.filter(|_| !order.within.count) {
        if getuid().is_root() {
            return Err("the number of root's processes can be bounded by control groups alone, \
                        and there are none that may be used"
                .into());
        }
        // In a user namespace its own are counted, with the steps of the launcher, else all of the user.
        let others = if order.within.processes { 2 } else { processes_of_user() };
        at_most(Resource::Nproc, u64::from(count) + others)?;
    }
    Ok(())
}

/// Lowers both limits; one that is lower already stays.
fn at_most(resource: Resource, value: u64) -> Step {
    let now = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let value = Some(value.min(now));
    setrlimit(resource, Rlimit { current: value, maximum: value }).during("set a limit")
}

fn processes_of_user() -> u64 {
    let user = getuid().as_raw();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let threads = processes
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter(|entry| entry.metadata().is_ok_and(|data| data.uid() == user))
        .map(|entry| fs::read_dir(entry.path().join("task")).map_or(0, Iterator::count));
    u64::try_from(threads.sum::<usize>()).unwrap_or(u64::MAX / 2)
}

/// Closes all but the three standard descriptors.
pub(super) fn close_others() -> Step {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .during("see which descriptors are open")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    for descriptor in open {
        // Among them is the one by which they were read, which is closed by now. What the rules of
        // Landlock need is opened for closing at the start of a program and is set apart.
        if is_inherited(descriptor) {
            let _ = nix::unistd::close(descriptor);
        }
    }
    Ok(())
}

/// Whether a descriptor would be passed on to a program: `O_CLOEXEC` is not among its flags.
fn is_inherited(descriptor: i32) -> bool {
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).unwrap_or_default();
    about
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & libc::O_CLOEXEC.unsigned_abs() == 0)
}
