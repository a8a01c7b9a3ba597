//! Which calls of the system the program may not make: seccomp.

use super::{During, Step};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter, sock_filter,
};
use std::collections::BTreeMap;

/// Which sockets the program may make. Unix sockets to others are not among them in any case: they
/// lead to what other programs do on request, such as agents of keys and engines of containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sockets {
    /// None, but for pairs of streams.
    None,
    /// TCP and UDP.
    Internet,
}

/// Calls that are refused whatever their arguments: other processes, mounts, namespaces, the
/// kernel itself, keys, clocks.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Calls that reach other processes of the user, or memory that is shared with them, when there is
/// no namespace to keep them from it.
const SHARED: [libc::c_long; 9] = [
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_process_mrelease,
];

/// Calls that change a process, with the argument that names it: zero is the caller.
const OTHERS: [(libc::c_long, u8); 8] = [
    (libc::SYS_prlimit64, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_sched_getaffinity, 0),
];

/// Calls that programs do without when the system does not know them. The arguments of `clone3` lie
/// in memory, where a filter cannot read them; rings are a second way to most calls.
const UNKNOWN: [libc::c_long; 4] = [
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// `SOCK_PACKET`, an old way to raw packets.
const PACKET: u64 = 10;

/// Requests to terminals that type for the user.
const TYPING: [u64; 2] = [0x5412, 0x541C];

/// Flags of `clone` that make namespaces: mount, cgroup, host name, messages, user, processes,
/// network.
const NAMESPACES: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// From here on the calls are refused. It cannot be undone. Who is not `apart`, in namespaces, is
/// kept from other processes here.
pub(super) fn refuse(open: Sockets, apart: bool) -> Step {
    let refused = program(refusals(open, apart)?, libc::EPERM)?;
    let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    let unknown = program(unknown, libc::ENOSYS)?;
    apply_filter(&unknown).during("apply a filter of calls")?;
    apply_filter(&refused).during("apply a filter of calls")
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn refusals(open: Sockets, apart: bool) -> Step<Rules> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let is = |argument, operator, value| {
        SeccompCondition::new(argument, Dword, operator, value).during("make a filter of calls")
    };
    let all = |conditions| SeccompRule::new(conditions).during("make a filter of calls");
    if !apart {
        rules.extend(SHARED.iter().map(|call| (*call, Vec::new())));
        for (call, argument) in OTHERS {
            rules.insert(call, vec![all(vec![is(argument, SeccompCmpOp::Ne, 0)?])?]);
        }
    }
    let mut typing = Vec::new();
    for request in TYPING {
        typing.push(all(vec![is(1, SeccompCmpOp::Eq, request)?])?);
    }
    rules.insert(libc::SYS_ioctl, typing);
    let mut namespaces = Vec::new();
    for flag in NAMESPACES {
        namespaces.push(all(vec![is(0, SeccompCmpOp::MaskedEq(flag), flag)?])?);
    }
    rules.insert(libc::SYS_clone, namespaces);
    let (inet, inet6) = (constant(libc::AF_INET), constant(libc::AF_INET6));
    let sockets = match open {
        Sockets::None => Vec::new(),
        Sockets::Internet => {
            let kind = SeccompCmpOp::MaskedEq(0xf);
            vec![
                all(vec![is(0, SeccompCmpOp::Ne, inet)?, is(0, SeccompCmpOp::Ne, inet6)?])?,
                all(vec![is(1, kind.clone(), constant(libc::SOCK_RAW))?])?,
                all(vec![is(1, kind, PACKET)?])?,
            ]
        }
    };
    rules.insert(libc::SYS_socket, sockets);
    // One of a pair for datagrams can send to any other such socket by its name.
    let datagrams = is(1, SeccompCmpOp::MaskedEq(0xf), constant(libc::SOCK_DGRAM))?;
    rules.insert(libc::SYS_socketpair, vec![all(vec![datagrams])?]);
    Ok(rules)
}

/// A constant of the system, none of which is negative.
fn constant(value: libc::c_int) -> u64 {
    u64::from(value.unsigned_abs())
}

fn program(rules: Rules, answer: libc::c_int) -> Step<BpfProgram> {
    let machine = TargetArch::try_from(std::env::consts::ARCH).during("filter calls here")?;
    let refusal = SeccompAction::Errno(answer.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, machine)
        .during("make a filter of calls")?;
    let filter: BpfProgram = filter.try_into().during("make a filter of calls")?;
    Ok(if cfg!(target_arch = "x86_64") { [x32(), filter].concat() } else { filter })
}

/// Refuses calls in the numbering of x32, by which every call can be made a second way.
fn x32() -> BpfProgram {
    /// `BPF_LD | BPF_W | BPF_ABS`: load the word at an offset; the number of the call is at 0.
    const LOAD: u16 = 0x20;
    /// `BPF_JMP | BPF_JGE | BPF_K`.
    const AT_LEAST: u16 = 0x35;
    /// `BPF_RET | BPF_K`.
    const ANSWER: u16 = 0x06;
    /// The bit of the numbering.
    const X32: u32 = 0x4000_0000;
    let refusal = u32::from(SeccompAction::Errno(libc::ENOSYS.unsigned_abs()));
    vec![
        sock_filter { code: LOAD, jt: 0, jf: 0, k: 0 },
        sock_filter { code: AT_LEAST, jt: 0, jf: 1, k: X32 },
        sock_filter { code: ANSWER, jt: 0, jf: 0, k: refusal },
    ]
}
