//! The program of a proof: it tries what is forbidden, from inside.
//!
//! Where nothing confines it, all of it works: so nothing that it tries does harm.

use super::{
    Enforced,
    launch::{During, Step, are_none_left},
    order,
    proof::Ground,
};
use rustix::{
    mount::{FsOpenFlags, fsopen},
    process::{Pid, Resource, chroot, getrlimit, test_kill_process},
    thread::no_new_privs,
};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write, stdout},
    net::{Ipv4Addr, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    path::Path,
};

/// Tries everything and prints how it went, as JSON.
pub(super) fn run(words: &mut dyn Iterator<Item = OsString>) -> Step<i32> {
    let (ground, _, _): (Ground, _, _) = order::read(words)?;
    let mut tries = Tries(Vec::new());
    files(&ground, &mut tries);
    others(&ground, &mut tries);
    network(&ground, &mut tries);
    kernel(&mut tries);
    usage(&ground, &mut tries);
    let text = serde_json::to_vec(&tries.0).during("write what was tried")?;
    stdout().write_all(&text).during("print what was tried")?;
    Ok(0)
}

struct Tries(Vec<Enforced>);

impl Tries {
    /// Must fail.
    fn forbidden<T>(&mut self, name: &str, result: io::Result<T>) {
        let (held, how) = match result {
            Ok(_) => (false, "it works".to_owned()),
            Err(error) => (true, error.to_string()),
        };
        self.0.push(Enforced { name: name.into(), held, how });
    }

    /// Must be so.
    fn holds(&mut self, name: &str, held: bool) {
        let how = if held { "it is so" } else { "it is not so" }.to_owned();
        self.0.push(Enforced { name: name.into(), held, how });
    }
}

fn append(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(b"changed")
}

fn files(ground: &Ground, tries: &mut Tries) {
    let own = ground.writable.join("own");
    tries.holds("write in the workspace", fs::write(&own, "x").is_ok() && fs::read(&own).is_ok());
    tries.forbidden("write outside the workspace", append(&ground.outside));
    let beside = ground.outside.with_extension("new");
    tries.forbidden("make a file outside the workspace", File::create(beside));
    tries.forbidden("remove a file outside the workspace", fs::remove_file(&ground.outside));
    let link = ground.writable.join("link");
    let linked = fs::hard_link(&ground.outside, &link).and_then(|()| append(&link));
    tries.forbidden("write outside through a hard link", linked);
    let pointed = std::os::unix::fs::symlink(&ground.outside, ground.writable.join("pointer"))
        .and_then(|()| append(&ground.writable.join("pointer")));
    tries.forbidden("write outside through a link", pointed);
    tries.forbidden("move a file out", fs::rename(&own, ground.outside.with_extension("moved")));
    // A file in the place of a hidden one is empty.
    let hidden = fs::read(&ground.hidden).and_then(|bytes| match bytes.len() {
        0 => Err(io::Error::other("it is empty")),
        _ => Ok(()),
    });
    tries.forbidden("read what is hidden", hidden);
    if let Some(protected) = &ground.protected {
        tries.forbidden("write `.git`", append(protected));
        let moved =
            protected.parent().map_or(Ok(()), |git| fs::rename(git, ground.writable.join("moved")));
        tries.forbidden("replace `.git`", moved);
    }
}

fn others(ground: &Ground, tries: &mut Tries) {
    let signalled = match Pid::from_raw(ground.prover) {
        Some(pid) => test_kill_process(pid).map_err(io::Error::from),
        None => Ok(()),
    };
    tries.forbidden("signal the orchestrator", signalled);
    tries.forbidden("read the orchestrator's environment", fs::read(&ground.environment));
    let memory = ground.environment.with_file_name("mem");
    tries.forbidden("open the orchestrator's memory", File::open(memory));
    let root = ground.environment.with_file_name("root").join("etc");
    tries.forbidden("enter the orchestrator's root", fs::read_dir(root));
    tries.forbidden("reach a terminal", File::open("/dev/tty"));
    // Standard input, output, error, and the one that reads.
    let open = fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or(usize::MAX);
    tries.holds("inherit no descriptor", open <= 4);
}

fn network(ground: &Ground, tries: &mut Tries) {
    tries.forbidden("reach a Unix socket of another program", UnixStream::connect(&ground.socket));
    if let Some(port) = ground.port {
        let address = (Ipv4Addr::LOCALHOST, port);
        tries.forbidden("connect to a port that is not allowed", TcpStream::connect(address));
        // Whether it arrives is seen outside.
        let _ = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|socket| socket.send_to(b"x", address));
    }
}

fn kernel(tries: &mut Tries) {
    tries.holds("get no new privileges", no_new_privs().unwrap_or(false));
    tries.holds("have no capabilities", are_none_left());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_filtered = status
        .lines()
        .any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"));
    tries.holds("be filtered in its calls", is_filtered);
    // The first step of a mount, which changes nothing.
    let mounted = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC);
    tries.forbidden("mount", mounted.map_err(io::Error::from));
    tries.forbidden("change its root", chroot("/").map_err(io::Error::from));
    let user = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER);
    tries.forbidden("make a user namespace", user.map_err(io::Error::from));
    let setting = OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern");
    tries.forbidden("change the kernel's settings", setting);
    for device in ["/dev/kmsg", "/dev/mem", "/dev/sda", "/dev/vda", "/dev/nvme0n1"] {
        tries.forbidden(&format!("open {device}"), File::open(device));
    }
}

fn usage(ground: &Ground, tries: &mut Tries) {
    let is = |resource, most: u64| getrlimit(resource).maximum.is_some_and(|now| now <= most);
    tries.holds("leave no core", is(Resource::Core, 0));
    let limits = &ground.limits;
    for (name, resource, most) in [
        ("be bounded in time", Resource::Cpu, limits.cpu.map(|cpu| cpu.as_secs() + 1)),
        ("be bounded in open files", Resource::Nofile, limits.files),
        ("be bounded in the size of files", Resource::Fsize, limits.file_size),
    ] {
        if let Some(most) = most {
            tries.holds(name, is(resource, most));
        }
    }
    // Control groups show their name here; without one the limit of the process must be there.
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let is_in = |kind: &str| {
        groups.lines().any(|line| {
            line.contains("/orchestrator-") && (line.contains(kind) || line.starts_with("0::"))
        })
    };
    if let Some(most) = limits.memory {
        let held = is_in(":memory:") || is(Resource::Data, most);
        tries.holds("be bounded in memory", held);
    }
    if let Some(most) = limits.processes {
        let held = is_in(":pids:") || is(Resource::Nproc, u64::from(most) + 4);
        tries.holds("be bounded in processes", held);
    }
}
