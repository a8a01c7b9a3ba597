//! Confinement of what agents and checks run.
//!
//! A [`Sandbox`] turns a program into a command that is confined as a [`Confinement`] says. It fails
//! closed: what it cannot enforce it refuses to start.

mod confinement;

pub use confinement::{Confinement, Limits, Network, Reads};

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
}
