//! The first step: what needs to be done before the program's process can be there.

use super::{
    During, INNER, Step, capabilities, end_of, groups::Groups, let_signals_pass, loopback, step,
};
use crate::sandbox::{
    Network, bubblewrap,
    order::{self, Order},
    relay,
};
use nix::sched::{CloneFlags, unshare};
use rustix::process::{getegid, geteuid, setsid};
use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    net::{Ipv4Addr, TcpListener},
    process::Command,
};

/// Runs the step and answers the program's code.
pub(super) fn run(words: &mut dyn Iterator<Item = OsString>) -> Step<i32> {
    let (mut order, program, arguments): (Order, _, _) = order::read(words)?;
    // A session of its own has no terminal to type into. Who leads a group already cannot leave it,
    // and is told so by the shell that gave it one.
    if setsid().is_err() {
        return Err("cannot make a session: the launcher leads a process group".into());
    }
    let groups = Groups::make(&order.confinement.limits);
    (order.within.memory, order.within.count) = groups.bound();
    order.resolve();
    let_signals_pass()?;
    let child = match order.bubblewrap.take() {
        Some(program_of) => {
            order.within.processes = true;
            order.within.mounts = true;
            order.within.veiled = true;
            order.within.network = order.confinement.network != Network::All;
            // Control groups cannot be joined from inside, where they are read-only.
            groups.join().during("join a control group")?;
            let mut command = Command::new(program_of);
            command
                .args(bubblewrap::arguments(&order, &program))
                .arg(env::current_exe().during("find the launcher")?);
            command.args(inner(&order, &program, &arguments)?);
            let child = command.spawn().during("start bubblewrap");
            groups.leave();
            child?
        }
        None => {
            order.within.groups = groups.entries();
            if !order.plain {
                make_namespaces(&mut order)?;
            }
            if order.within.network {
                loopback::turn_on()?;
                open_network(&mut order)?;
            }
            let child = step(inner(&order, &program, &arguments)?).spawn();
            child.during("start the inner step")?
        }
    };
    end_of(child)
}

fn inner(order: &Order, program: &OsStr, arguments: &[OsString]) -> Step<Vec<OsString>> {
    order::arguments(INNER, order, program, arguments).map_err(|error| error.to_string())
}

/// Makes namespaces as far as the system has them; [`super::inner`] judges whether it is enough.
fn make_namespaces(order: &mut Order) -> Step {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    let is_private = order.confinement.network != Network::All;
    flags.set(CloneFlags::CLONE_NEWNET, is_private);
    if unshare(flags | CloneFlags::CLONE_NEWUSER).is_ok() {
        fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| fs::write("/proc/self/uid_map", format!("{user} {user} 1")))
            .and_then(|()| fs::write("/proc/self/gid_map", format!("{group} {group} 1")))
            .during("name the user in a namespace")?;
        capabilities::hand_down()?;
    } else if unshare(flags).is_err() {
        // Root needs no user namespace for the others; nobody else gets here.
        return Ok(());
    }
    order.within.processes = true;
    order.within.mounts = true;
    order.within.network = is_private;
    Ok(())
}

/// Makes what the program may talk to part of its own network: sockets that belong to that network
/// but are served by the relay outside.
pub(super) fn open_network(order: &mut Order) -> Step {
    let (gateway, hosts) = match &order.confinement.network {
        Network::None | Network::All => return Ok(()),
        Network::Gateway(port) => (Some(*port), None),
        Network::Only { hosts, gateway } => (*gateway, Some(hosts.clone())),
    };
    let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let gateway = gateway
        .map(|port| listen(port).map(|socket| (port, socket)))
        .transpose()
        .during("listen in the place of the gateway")?;
    let proxy = hosts
        .map(|hosts| listen(0).map(|socket| (hosts, socket)))
        .transpose()
        .during("listen in the place of the proxy")?;
    if let Some((_, socket)) = &proxy {
        order.within.proxy = Some(socket.local_addr().during("find the proxy's port")?.port());
    }
    let path = order.relay.as_deref().ok_or("nobody hands the network in")?;
    relay::hand_out(path, gateway, proxy).during("reach the relay of the network")
}
