//! The second step: takes the rights away and starts the program.

use super::{During, Step, calls, capabilities, code, mounts, outer, rules, take_signals, usage};
use crate::sandbox::{
    Network,
    order::{self, NOT_CONFINED, Order, resolved},
    scratch,
};
use rustix::process::{Signal, WaitOptions, set_parent_process_death_signal, wait};
use std::{
    env,
    ffi::OsString,
    fs,
    io::{Write, stderr},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
};

/// Runs the step and answers the program's code.
pub(super) fn run(words: &mut dyn Iterator<Item = OsString>) -> Step<i32> {
    let (mut order, program, arguments): (Order, _, _) = order::read(words)?;
    let is_first = std::process::id() == 1;
    if is_first {
        set_parent_process_death_signal(Some(Signal::KILL)).during("be bound to the outer step")?;
    }
    let open = judge(&order)?;
    for group in &order.within.groups {
        fs::write(group, "0").during("join a control group")?;
    }
    if order.within.veiled && order.within.network {
        outer::open_network(&mut order)?;
    }
    let kept = scratch::kept(&order, &program);
    if order.within.mounts && !order.within.veiled {
        mounts::veil(&order, &kept)?;
    }
    env::set_current_dir(&order.directory)
        .during(&format!("enter {}", order.directory.display()))?;
    // Without mounts of its own there is no place for temporary files that is its own.
    let places = if order.within.mounts { scratch::writable(&order, &kept) } else { Vec::new() };
    let rules = rules::read(&order, &places)?;
    let mut command = Command::new(&program);
    command.args(arguments);
    for (name, value) in variables(&order) {
        command.env(name, value);
    }
    let has_own = env::var_os("TMPDIR").is_some_and(|place| {
        order.confinement.writable.iter().any(|path| resolved(Path::new(&place)).starts_with(path))
    });
    if let Some(place) = places.first().filter(|_| !has_own) {
        command.env("TMPDIR", place);
    }
    for name in ["SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "GPG_AGENT_INFO"] {
        command.env_remove(name);
    }
    usage::bound(&order)?;
    usage::close_others()?;
    take_signals()?;
    rules.apply()?;
    capabilities::drop_all()?;
    calls::refuse(open, order.within.processes)?;
    if !is_first {
        return Err(format!("cannot start {}: {}", program.display(), command.exec()));
    }
    match command.spawn() {
        Ok(child) => reap_until(child.id()),
        Err(error) => {
            let _ = writeln!(stderr(), "cannot start {}: {error}", program.display());
            Ok(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 })
        }
    }
}

/// Waits for all that ends until it is the program, as the first process must.
fn reap_until(program: u32) -> Step<i32> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let is_it = u32::try_from(pid.as_raw_nonzero().get()) == Ok(program);
                if is_it && (status.exited() || status.signaled()) {
                    use std::os::unix::process::ExitStatusExt;
                    return Ok(code(std::process::ExitStatus::from_raw(status.as_raw())));
                }
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("cannot wait for the program: {error}")),
        }
    }
}

/// Which sockets the program may make, if what holds is enough for its confinement.
fn judge(order: &Order) -> Step<calls::Sockets> {
    let (within, wanted) = (&order.within, &order.confinement);
    if !within.processes && !order.plain {
        return Err("the system lets no ordinary user make namespaces, without which the \
                    attributes of files and `.git` are not protected; bubblewrap may help"
            .into());
    }
    if !within.processes && !rules::scope_signals() {
        return Err(
            "the system has neither user namespaces nor Landlock of version 6, so signals \
                    to other programs cannot be kept from it"
                .into(),
        );
    }
    if !wanted.protected.is_empty() && !within.mounts {
        return Err("the system has no user namespaces, so `.git` in a writable directory cannot \
                    be protected"
            .into());
    }
    match wanted.network {
        Network::All => Ok(calls::Sockets::Internet),
        _ if within.network => Ok(calls::Sockets::Internet),
        // Without a network of its own it gets none: no socket at all.
        Network::None => Ok(calls::Sockets::None),
        Network::Gateway(_) | Network::Only { .. } => Err("the system has no network namespaces \
                                                           for it, so a part of the network \
                                                           cannot be let through alone"
            .into()),
    }
}

/// What the program finds in its environment besides what its caller put there.
fn variables(order: &Order) -> Vec<(&'static str, String)> {
    let mut all = vec![("ORCHESTRATOR_SANDBOX", order.backend.clone())];
    if let Some(port) = order.within.proxy {
        let proxy = format!("http://127.0.0.1:{port}");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"] {
            all.push((name, proxy.clone()));
        }
        for name in ["NO_PROXY", "no_proxy"] {
            all.push((name, "127.0.0.1,localhost,::1".into()));
        }
    }
    all
}

const _: () = assert!(NOT_CONFINED < 126, "shells use the codes from 126 on");
