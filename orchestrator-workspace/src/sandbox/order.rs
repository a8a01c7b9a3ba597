//! What the library tells the launcher: one JSON text as an argument. It holds no secret.

use super::{Confinement, SandboxError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// The first argument of a program that is to be a step of the launcher.
pub(super) const VERB: &str = "sandbox-launch";

/// What a program ends with that was not started because it could not be confined.
pub const NOT_CONFINED: u8 = 125;

/// A confinement to be applied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    /// The name of the backend, which the program sees as `ORCHESTRATOR_SANDBOX`.
    pub backend: String,
    pub confinement: Confinement,
    /// Where the program starts.
    pub directory: PathBuf,
    /// The socket at which the network of the outside is handed in.
    pub relay: Option<PathBuf>,
    /// Whether to do without namespaces though the system may have them.
    pub plain: bool,
    /// The program that makes the namespaces in place of the launcher.
    pub bubblewrap: Option<PathBuf>,
    /// What holds already.
    pub within: Within,
}

/// What holds for a step of the launcher by what was done before it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Within {
    /// Process numbers of its own, and a `/proc` that shows no others.
    pub processes: bool,
    /// Mounts of its own.
    pub mounts: bool,
    /// Mounts that already hide what is to be hidden and protect what is to be protected.
    pub veiled: bool,
    /// A network of its own.
    pub network: bool,
    /// The port of the proxy on the loopback address.
    pub proxy: Option<u16>,
    /// The control groups to join.
    pub groups: Vec<PathBuf>,
    /// Whether the control groups bound memory.
    pub memory: bool,
    /// Whether the control groups bound the number of processes.
    pub count: bool,
}

impl Order {
    /// Names every path as the kernel does, and protects the `.git` of what is writable.
    pub(super) fn resolve(&mut self) {
        let confinement = &mut self.confinement;
        let found = gits(confinement);
        confinement.protected.extend(found);
        for paths in
            [&mut confinement.writable, &mut confinement.hidden, &mut confinement.protected]
        {
            for path in paths.iter_mut() {
                *path = resolved(path);
            }
            paths.sort();
            paths.dedup();
        }
        self.directory = resolved(&self.directory);
    }
}

/// What of a writable directory belongs to git: `.git`, unless it is a link, which leads to what is
/// not writable or to what is found by its own name.
pub(super) fn gits(confinement: &Confinement) -> Vec<PathBuf> {
    let all = confinement.writable.iter().map(|path| path.join(".git"));
    all.filter(|path| path.symlink_metadata().is_ok_and(|kind| !kind.is_symlink())).collect()
}

/// The arguments that make `stage` of the launcher do `order` and then run a program.
pub(super) fn arguments(
    stage: &str,
    order: &impl Serialize,
    program: &OsStr,
    arguments: &[OsString],
) -> Result<Vec<OsString>, SandboxError> {
    let text = serde_json::to_string(order)
        .map_err(|error| SandboxError::Invalid(format!("a path is not UTF-8 ({error})")))?;
    let mut all: Vec<OsString> = vec![VERB.into(), stage.into(), text.into(), program.into()];
    all.extend_from_slice(arguments);
    Ok(all)
}

/// Reads what [`arguments`] wrote, after the stage.
pub(super) fn read<T: DeserializeOwned>(
    words: &mut dyn Iterator<Item = OsString>,
) -> Result<(T, OsString, Vec<OsString>), String> {
    let text = words.next().unwrap_or_default();
    let order = text
        .to_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .ok_or("the order cannot be read: the launcher is of another version")?;
    let program = words.next().ok_or("no program is named")?;
    Ok((order, program, words.collect()))
}

/// The path without links, as far as it is there.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut known = path;
    loop {
        if let Ok(real) = known.canonicalize() {
            return rest.iter().rev().fold(real, |path, name| path.join(name));
        }
        let (Some(parent), Some(name)) = (known.parent(), known.file_name()) else {
            return path.to_owned();
        };
        rest.push(name);
        known = parent;
    }
}

/// Refuses what contradicts itself.
pub(super) fn check(directory: &Path, confinement: &Confinement) -> Result<(), SandboxError> {
    let invalid = |what: String| Err(SandboxError::Invalid(what));
    if !directory.is_absolute() || !directory.is_dir() {
        return invalid(format!("{} is not a directory to start in", directory.display()));
    }
    let named = [&confinement.writable, &confinement.hidden, &confinement.protected];
    for path in named.into_iter().flatten() {
        if !path.is_absolute() {
            return invalid(format!("{} does not begin at the root", path.display()));
        }
    }
    for path in &confinement.writable {
        let real = resolved(path);
        if real.parent().is_none()
            || ["/proc", "/sys", "/dev"].iter().any(|top| real.starts_with(top))
        {
            return invalid(format!("{} cannot be what is writable", path.display()));
        }
        if !real.exists() {
            return invalid(format!("{} is to be writable but is not there", path.display()));
        }
        if confinement.hidden.iter().any(|hidden| resolved(hidden) == real) {
            return invalid(format!("{} is to be writable and hidden", path.display()));
        }
    }
    if confinement.hidden.iter().any(|hidden| resolved(hidden).parent().is_none()) {
        return invalid("the root cannot be hidden".into());
    }
    Ok(())
}
