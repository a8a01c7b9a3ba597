//! A place with victims around a workspace, and programs that try to reach them.

use orchestrator_workspace::sandbox::{Confinement, Sandbox};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The launcher.
pub(crate) const LAUNCHER: &str = env!("CARGO_BIN_EXE_orchestrator-sandbox");

/// The bubblewrap of this machine, which `scripts/bubblewrap` installs.
pub(crate) fn bubblewrap() -> PathBuf {
    let path = std::env::var_os("PATH").expect("a path");
    std::env::split_paths(&path)
        .map(|dir| dir.join("bwrap"))
        .find(|program| program.exists())
        .expect("bubblewrap is installed: run scripts/bubblewrap")
}

/// A shell that runs `script`, confined.
pub(crate) fn sh(
    sandbox: &dyn Sandbox,
    script: &str,
    directory: &Path,
    confinement: &Confinement,
) -> Command {
    sandbox
        .command("sh".as_ref(), &["-c".into(), script.into()], directory, confinement)
        .expect("a command")
}

/// The rest of this module is for attempts to escape.
mod attempt;

pub(crate) use attempt::{Attempt, Wall};
