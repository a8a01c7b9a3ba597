//! How programs of attempts are confined: asked of whoever set the agent up.

use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::Assignment,
};
#[cfg(target_os = "linux")]
use orchestrator_workspace::sandbox::NOT_CONFINED;
use orchestrator_workspace::{
    process::Capture,
    sandbox::{Confinement, Sandbox},
};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    path::Path,
    process::Command,
    sync::Arc,
};

/// No launcher is known here that would end so.
#[cfg(not(target_os = "linux"))]
const NOT_CONFINED: u8 = 125;

/// Says how the program of an attempt is confined.
#[async_trait]
pub trait Confine: Send + Sync + fmt::Debug {
    /// How the program of `assignment` is confined; `None` when it is not.
    ///
    /// # Errors
    /// `unsafe` when it cannot be confined as it must: it is not started then.
    async fn confine(&self, assignment: &Assignment) -> Result<Option<Confined>, Failure>;
}

/// How the program of one attempt is confined.
#[derive(Debug, Clone)]
pub struct Confined {
    /// By what.
    pub sandbox: Arc<dyn Sandbox>,
    /// What it may do.
    pub confinement: Confinement,
    /// Variables that it sees in the place of those of the environment, such as `HOME`.
    pub variables: Vec<(String, OsString)>,
}

impl Confined {
    /// The command that runs a program so. The sandbox may have to prove itself first, which takes a
    /// moment.
    pub(crate) async fn command(
        &self,
        program: &str,
        arguments: &[String],
        directory: &Path,
    ) -> Result<Command, Failure> {
        let Self { sandbox, confinement, .. } = self.clone();
        let (program, directory) = (OsString::from(program), directory.to_owned());
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let shown = program.clone();
        let making = move || sandbox.command(&program, &arguments, &directory, &confinement);
        let made = tokio::task::spawn_blocking(making).await;
        let made = made.map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
        made.map_err(|error| refused(&shown, &error.to_string()))
    }
}

/// The failure of a program that was not started since it could not be confined.
fn refused(program: &OsStr, why: &str) -> Failure {
    let message = format!(
        "`{}` was not started: {why}; `orchestrator doctor` shows what is missing, and `[sandbox]` in \
         the settings says how programs are confined (`--sandbox off`: not at all)",
        program.display()
    );
    Failure::new(ErrorClass::Unsafe, message)
}

/// What a launcher says that could not confine a program.
pub(crate) fn not_confined(program: &str, code: Option<i32>, stderr: &Capture) -> Option<Failure> {
    if code != Some(i32::from(NOT_CONFINED)) {
        return None;
    }
    let said = stderr.last(1);
    let why = said.strip_prefix("orchestrator sandbox: ")?;
    let why = why.strip_suffix("; the program was not started").unwrap_or(why);
    Some(refused(OsStr::new(program), why))
}
