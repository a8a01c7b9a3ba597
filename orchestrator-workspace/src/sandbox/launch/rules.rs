//! Which files the program may use: Landlock.

use super::{During, Step};
use crate::sandbox::{Reads, cover::Cover, order::Order};
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The version whose file rights are demanded: truncation and moving between directories are in it.
const FILES: ABI = ABI::V3;
/// The version that knows rights for devices.
const DEVICES: ABI = ABI::V5;
/// The version that keeps signals and abstract sockets inside.
const SCOPES: ABI = ABI::V6;

/// Devices that every program may use.
const HARMLESS: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
/// Where programs, libraries and their settings lie.
const SYSTEM: [&str; 15] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
    "/var/lib",
    "/snap",
];

/// Rules that are ready to be applied.
pub(super) struct Rules(RulesetCreated);

/// Whether the kernel can keep signals inside.
pub(super) fn scope_signals() -> bool {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::from_all(SCOPES))
        .is_ok()
}

/// Reads from the order, and from the disk as it is now, what is allowed.
/// Temporary files go to `scratch`.
pub(super) fn read(order: &Order, scratch: &[PathBuf]) -> Step<Rules> {
    let confinement = &order.confinement;
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(FILES))
        .during("use Landlock of version 3")?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(DEVICES))
        .during("use Landlock")?
        .scope(Scope::from_all(SCOPES))
        .during("use Landlock")?
        .create()
        .during("make rules of Landlock")?;
    let mut rules = Rules(rules);
    let read = AccessFs::from_read(DEVICES);
    let write = AccessFs::from_all(DEVICES) & !AccessFs::IoctlDev;
    let mut hidden = confinement.hidden.clone();
    // Devices are other ways to disks and memory; the harmless ones are allowed below.
    hidden.push("/dev".into());
    let mut cover = Cover::default();
    match &confinement.reads {
        Reads::All => cover.add(Path::new("/"), &hidden),
        Reads::Only(paths) => {
            let paths = paths.iter().cloned().chain(SYSTEM.iter().map(PathBuf::from));
            for path in paths.filter_map(|path| path.canonicalize().ok()) {
                cover.add(&path, &hidden);
            }
        }
    }
    for path in &cover.whole {
        rules.allow(path, read);
    }
    for path in &cover.listed {
        rules.allow(path, AccessFs::ReadDir.into());
    }
    for path in HARMLESS {
        rules.allow(Path::new(path), read | AccessFs::WriteFile | AccessFs::IoctlDev);
    }
    for path in confinement.writable.iter().chain(scratch) {
        if !path.exists() {
            return Err(format!("{} is to be writable but is not there", path.display()));
        }
        rules.allow(path, write);
    }
    if let Ok(launcher) = env::current_exe() {
        // For the probe, which is this program again.
        rules.allow(&launcher, read);
    }
    Ok(rules)
}

impl Rules {
    /// Allows `access` to a path. What is gone, or cannot be opened, is not allowed.
    fn allow(&mut self, path: &Path, access: BitFlags<AccessFs>) {
        let Ok(place) = PathFd::new(path) else { return };
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(DEVICES) };
        let rule = PathBeneath::new(place, access).set_compatibility(CompatLevel::BestEffort);
        // A rule that is not taken allows nothing.
        let _ = (&mut self.0).add_rule(rule);
    }

    /// From here on only what is allowed works. It cannot be undone.
    pub(super) fn apply(self) -> Step {
        let status = self.0.restrict_self().during("apply the rules of Landlock")?;
        if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
            return Err("the rules of Landlock are not enforced".into());
        }
        Ok(())
    }
}
