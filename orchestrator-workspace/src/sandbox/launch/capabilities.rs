//! Gives up what root may do.

use super::{During, Step};
use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
        configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    },
};

/// Keeps what a new user namespace gives when the next program is started, which an ordinary user
/// loses otherwise.
pub(super) fn hand_down() -> Step {
    let mut sets = capabilities(None).during("see what is permitted")?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets).during("hand capabilities down")?;
    for capability in sets.permitted.iter() {
        configure_capability_in_ambient_set(capability, true).during("hand capabilities down")?;
    }
    Ok(())
}

/// Gives up every capability, now and for what is started; it cannot be taken back.
pub(super) fn drop_all() -> Step {
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // Who has no capability need not, and a kernel may not know each.
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(error) => return Err(format!("cannot bound capabilities: {error}")),
        }
    }
    let none = CapabilitySet::empty();
    match clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(format!("cannot give up ambient capabilities: {error}")),
    }
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .during("give up capabilities")?;
    if are_none_left() { Ok(()) } else { Err("capabilities are left".into()) }
}

/// Whether this process has no capability, nor can get one as root by starting a program.
pub(in super::super) fn are_none_left() -> bool {
    let Ok(sets) = capabilities(None) else { return false };
    let is_bounded = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().any(|line| {
            line.strip_prefix("CapBnd:").is_some_and(|set| set.trim().chars().all(|c| c == '0'))
        })
    };
    sets.effective.is_empty()
        && sets.permitted.is_empty()
        && sets.inheritable.is_empty()
        && (!rustix::process::geteuid().is_root() || is_bounded())
}
