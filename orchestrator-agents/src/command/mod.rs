//! Programs as agents: one is run with its arguments, watched, and stopped with all it started.
//!
//! No shell stands between: the first item of the command is the program, the others are its
//! arguments as they are. It runs in the attempt's workspace, or else in the project's directory, and sees of the environment only what
//! [`Environment`] lets through. [`CommandAgent`] runs the programs of `command` tasks, which read
//! nothing; [`ProgramAgent`] is one program that reads a prompt and prints its answer.
//!
//! | how it ended | what that becomes |
//! |---|---|
//! | exit code 0 | success; the output is its standard output, parsed where the task has a schema |
//! | it could not be started, 126, 127 | `invalid_request` |
//! | past its time limit, 124 | `timed_out` |
//! | stopped | `cancelled` |
//! | killed by a signal, 130, 134, 137, 139, 143 | `crashed` |
//! | any other exit code | `tool_failed`, with the last lines of its standard error |
//! | 0, but its output is not JSON where it must be | `bad_output` |
//!
//! How a program and all that it starts is owned is said in [`orchestrator_workspace::process`].

pub(crate) mod confine;
pub(crate) mod outcome;
mod prompted;
mod run;

pub use confine::{Confine, Confined};
pub use orchestrator_workspace::process::Environment;
pub use prompted::ProgramAgent;

use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::{Agent, Answer, Assignment, AttemptHost, LogLine, LogStream, Work},
};
use orchestrator_workspace::process::Capture;
use run::Runner;
use serde_json::Value;
use std::{fmt, sync::Arc, time::Duration};

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);

/// Runs the programs of `command` tasks.
#[derive(Clone)]
pub struct CommandAgent {
    environment: Environment,
    grace: Duration,
    told: Option<Arc<Telling>>,
    confine: Option<Arc<dyn Confine>>,
}

/// More variables for the program of an attempt.
type Telling = dyn Fn(&Assignment) -> Vec<(String, String)> + Send + Sync;

impl fmt::Debug for CommandAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandAgent").field("grace", &self.grace).finish_non_exhaustive()
    }
}

impl CommandAgent {
    /// An agent whose programs see what `environment` lets through.
    pub fn new(environment: Environment) -> Self {
        Self { environment, grace: GRACE, told: None, confine: None }
    }

    /// The same with another time between the request to end and the end; 2 seconds otherwise.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The same, whose programs also see the variables that `tell` gives for their attempt, such as
    /// `TRACEPARENT`.
    #[must_use]
    pub fn telling(
        mut self,
        tell: impl Fn(&Assignment) -> Vec<(String, String)> + Send + Sync + 'static,
    ) -> Self {
        self.told = Some(Arc::new(tell));
        self
    }
}

impl CommandAgent {
    /// The same, whose programs are confined as `confine` says; not at all otherwise.
    #[must_use]
    pub fn confined_by(mut self, confine: Arc<dyn Confine>) -> Self {
        self.confine = Some(confine);
        self
    }
}

#[async_trait]
impl Agent for CommandAgent {
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let Work::Command(words) = &assignment.work else {
            let message = "cannot run a prompt as a program; give the task a `command`";
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        };
        let mut environment = self.environment.clone();
        for (name, value) in self.told.iter().flat_map(|tell| tell(assignment)) {
            environment = environment.with(name, value);
        }
        let confine = self.confine.as_deref();
        let runner = Runner { environment: &environment, grace: self.grace, confine };
        let mut ran = runner.run(words, None, assignment, host).await?;
        let output =
            output_of(&ran.program, assignment.output_schema.is_some(), &mut ran.stdout).await?;
        Ok(ran.keep(Answer { output, ..Answer::default() }, host).await)
    }
}

fn note(host: &dyn AttemptHost, text: String) {
    host.log(LogLine { stream: LogStream::Note, text });
}

/// What the program left: text, or what its JSON says.
async fn output_of(
    program: &str,
    structured: bool,
    stdout: &mut Capture,
) -> Result<Value, Failure> {
    if !structured {
        let text = stdout.text();
        let text = text.strip_suffix('\n').unwrap_or(&text);
        return Ok(Value::String(text.strip_suffix('\r').unwrap_or(text).to_owned()));
    }
    let bad = |why: String| {
        Failure::new(
            ErrorClass::BadOutput,
            format!(
                "cannot read the output of `{program}` as JSON: {why}; print one JSON value that fits the task's `output`"
            ),
        )
    };
    if stdout.is_beyond_bound() {
        return Err(bad("it is longer than what is kept of an output".into()));
    }
    let bytes = stdout.whole().await.map_err(|error| bad(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests;
