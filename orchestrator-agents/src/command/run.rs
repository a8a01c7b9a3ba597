//! One run of a program, from its start to what it has printed.

use super::{Confine, Confined, confine, note, outcome};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::{Answer, Artifact, Assignment, AttemptHost},
};
use orchestrator_workspace::process::{self, Capture, Ending, Environment, Watch, Watched};
use std::{ffi::OsString, process::Command, time::Duration};

/// Runs programs in an environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runner<'a> {
    pub(super) environment: &'a Environment,
    /// How long a program may take to end after it was asked to.
    pub(super) grace: Duration,
    /// What confines them; nothing when there is none.
    pub(super) confine: Option<&'a dyn Confine>,
}

/// A program that has ended well, with what it printed.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) program: String,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
}

impl Runner<'_> {
    /// Runs `words` for `assignment`; the program reads `input`, or nothing.
    ///
    /// # Errors
    /// Whatever is not exit code 0: see the table of this module's parent.
    pub(super) async fn run(
        self,
        words: &[String],
        input: Option<String>,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Ran, Failure> {
        let Some((program, arguments)) = words.split_first() else {
            let message = "cannot run an empty command; give it a program and its arguments";
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        };
        let path = self.environment.get("PATH").map(OsString::from).unwrap_or_default();
        let confined = match self.confine {
            Some(confine) => confine.confine(assignment).await?,
            None => None,
        };
        let command = match &confined {
            Some(confined) => confined.command(program, arguments, assignment.directory()).await?,
            None => {
                let mut command = Command::new(program);
                command.args(arguments).current_dir(assignment.directory());
                command
            }
        };
        let command = self.told(command, assignment, confined.as_ref());
        let watch = Watch { input, limit: assignment.timeout, grace: self.grace };
        let Watched { ending, stdout, stderr } =
            process::run(program, command, watch, host).await.map_err(|error| {
                outcome::not_started(program, assignment.directory(), &path, &error)
            })?;
        if let (Some(_), Ending::Ended(Ok(status))) = (&confined, &ending)
            && let Some(failure) = confine::not_confined(program, status.code(), &stderr)
        {
            return Err(failure);
        }
        outcome::judge(program, &path, ending, &stdout, &stderr)?;
        Ok(Ran { program: program.clone(), stdout, stderr })
    }

    /// The command with all that its program sees of the environment.
    fn told(
        self,
        mut command: Command,
        assignment: &Assignment,
        confined: Option<&Confined>,
    ) -> Command {
        let (run, task, attempt) = (&assignment.run, &assignment.task, assignment.attempt);
        let own = assignment.workspace.iter().flat_map(|opened| &opened.environment);
        let confined = confined.into_iter().flat_map(|confined| &confined.variables);
        command
            .env_clear()
            .envs(self.environment.iter())
            // Its workspace may have ports and the like of its own.
            .envs(own)
            .envs(confined.map(|(name, value)| (name, value)))
            .env("ORCHESTRATOR_RUN", run.as_str())
            .env("ORCHESTRATOR_TASK", task.as_str())
            .env("ORCHESTRATOR_ATTEMPT", attempt.to_string())
            .env("ORCHESTRATOR_IDEMPOTENCY_KEY", format!("{run}.{task}.{attempt}"));
        command
    }
}

impl Ran {
    /// `answer` with the whole of each stream that is longer than what the log keeps.
    pub(super) async fn keep(mut self, mut answer: Answer, host: &dyn AttemptHost) -> Answer {
        for (name, capture) in [("stdout.txt", &mut self.stdout), ("stderr.txt", &mut self.stderr)]
        {
            if capture.is_cut() {
                match capture.whole().await {
                    Ok(bytes) => {
                        answer = answer.with_artifact(Artifact {
                            name: name.into(),
                            media_type: "text/plain".into(),
                            bytes,
                        })
                    }
                    Err(error) => note(host, format!("cannot keep the whole {name}: {error}")),
                }
            }
        }
        answer
    }
}
