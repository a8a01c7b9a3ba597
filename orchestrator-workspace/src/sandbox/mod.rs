//! Confinement of what agents and checks run.
//!
//! A [`Sandbox`] turns a program into a command that is confined as a [`Confinement`] says. It fails
//! closed: what it cannot enforce it refuses to start, and before it is trusted it is tried: a
//! program in it attempts what is forbidden.
//!
//! | sandbox | how |
//! |---|---|
//! | [`Landlock`] | rules of the kernel for files and calls, in namespaces where there are |
//! | [`Landlock::in_bubblewrap`] | the same, in the namespaces that `bwrap` makes |
//! | [`Container`] | a container of docker or podman, by their command |
//! | [`Dagger`] | a step of Dagger, by its session |
//! | [`Off`] | nothing |
//!
//! All but the last are there on Linux alone; elsewhere [`auto`] says so.
//!
//! A host whose own program is the launcher calls [`launch_if_asked`] first in its `main`.

#[cfg(target_os = "linux")]
mod bubblewrap;
#[cfg(target_os = "linux")]
mod choice;
mod confinement;
#[cfg(target_os = "linux")]
mod container;
#[cfg(target_os = "linux")]
mod cover;
#[cfg(target_os = "linux")]
mod dagger;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod native;
#[cfg(target_os = "linux")]
mod order;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod proof;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
mod scratch;

pub use confinement::{Confinement, Enforced, Limits, Network, Reads};
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{auto, launch_if_asked};
#[cfg(target_os = "linux")]
pub use {
    choice::auto,
    container::{Container, Engine},
    dagger::Dagger,
    launch::launch_if_asked,
    native::Landlock,
    order::NOT_CONFINED,
};

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

/// Confines programs.
pub trait Sandbox: Send + Sync + std::fmt::Debug {
    /// Its name, as it is recorded: `landlock`, `bubblewrap`, `docker`; `off` when nothing is
    /// confined.
    fn name(&self) -> &str;

    /// The command that runs `program` with `arguments` in `directory`, confined. The environment
    /// is the caller's to set; variables that the sandbox needs itself are set already.
    ///
    /// # Errors
    /// [`SandboxError`] when the confinement cannot be enforced here.
    fn command(
        &self,
        program: &OsStr,
        arguments: &[OsString],
        directory: &Path,
        confinement: &Confinement,
    ) -> Result<Command, SandboxError>;

    /// What is enforced for programs that are confined like this, each as it was tried here. It is
    /// tried once and remembered.
    ///
    /// # Errors
    /// [`SandboxError`] when the confinement cannot be enforced here, or does not hold.
    fn prove(&self, confinement: &Confinement) -> Result<Vec<Enforced>, SandboxError>;
}

/// A confinement that cannot be enforced; nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The system lacks what is needed.
    #[error("cannot confine programs here: {0}")]
    Unavailable(String),
    /// The sandbox was tried and did not hold.
    #[error("the sandbox let through what it must not: {0}")]
    Leaks(String),
    /// What is asked for contradicts itself or names what is not there.
    #[error("cannot confine a program so: {0}")]
    Invalid(String),
}

/// Confines nothing: only when it is asked for in so many words.
#[derive(Debug, Clone, Copy, Default)]
pub struct Off;

impl Sandbox for Off {
    fn name(&self) -> &str {
        "off"
    }

    fn command(
        &self,
        program: &OsStr,
        arguments: &[OsString],
        directory: &Path,
        _confinement: &Confinement,
    ) -> Result<Command, SandboxError> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(directory);
        Ok(command)
    }

    fn prove(&self, _confinement: &Confinement) -> Result<Vec<Enforced>, SandboxError> {
        Ok(Vec::new())
    }
}
