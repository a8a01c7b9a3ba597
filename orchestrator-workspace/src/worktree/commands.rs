//! Commands that make a place ready and that clean up after it.

use crate::{
    process::{Ending, Environment, NotStarted, Watch, run},
    sandbox::{Confinement, Sandbox},
};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::{AttemptHost, LogLine, Progress},
    time::Timestamp,
};
use std::{collections::BTreeMap, ffi::OsStr, path::Path, time::Duration};

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// How long it may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How many lines of what it printed are told when it fails.
const TOLD: usize = 20;

/// How commands are run.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub(crate) sandbox: &'a dyn Sandbox,
    pub(crate) confinement: &'a Confinement,
    pub(crate) environment: &'a Environment,
}

impl Runner<'_> {
    /// Runs `lines` one after the other in `directory` of the place `top`, until one fails.
    pub(crate) async fn run(
        &self,
        lines: &[String],
        (top, directory): (&Path, &Path),
        variables: &BTreeMap<String, String>,
        host: &dyn AttemptHost,
    ) -> Result<(), Failure> {
        let mut confinement = self.confinement.clone();
        confinement.writable.push(top.to_owned());
        for line in lines {
            let arguments = ["-c".into(), line.into()];
            let command =
                self.sandbox.command(OsStr::new("/bin/sh"), &arguments, directory, &confinement);
            let mut command =
                command.map_err(|e| Failure::new(ErrorClass::Unsafe, e.to_string()))?;
            command.env_clear().envs(self.environment.iter()).envs(variables);
            let watch = Watch { input: None, limit: Some(LIMIT), grace: GRACE };
            let ran = run(line, command, watch, host).await.map_err(|error| {
                let (NotStarted::Watcher(error) | NotStarted::Program(error)) = error;
                Failure::new(ErrorClass::Transient, format!("cannot start `{line}`: {error}"))
            })?;
            let how = match ran.ending {
                Ending::Ended(Ok(status)) if status.success() => continue,
                Ending::Ended(Ok(status)) => status.to_string(),
                Ending::Ended(Err(error)) => error.to_string(),
                Ending::TimedOut(limit) => format!("stopped after {} s", limit.as_secs()),
                Ending::Stopped => {
                    let message = format!("`{line}` was stopped");
                    return Err(Failure::new(ErrorClass::Cancelled, message));
                }
            };
            let said = [ran.stdout.last(TOLD), ran.stderr.last(TOLD)].join("\n");
            let message = format!("the command `{line}` of the workspace failed ({how}): {said}");
            return Err(Failure::new(ErrorClass::ToolFailed, message));
        }
        Ok(())
    }
}

/// Nobody watches.
#[derive(Debug)]
pub(crate) struct Nobody;

#[async_trait]
impl AttemptHost for Nobody {
    fn log(&self, _line: LogLine) {}

    fn progress(&self, _progress: Progress) {}

    fn now(&self) -> Timestamp {
        // Nothing that is run for nobody asks for the time.
        Timestamp(0)
    }

    async fn cancelled(&self) {
        std::future::pending().await
    }
}
