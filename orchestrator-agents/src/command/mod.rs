//! Programs as agents: one is run with its arguments, watched, and stopped with all it started.
//!
//! No shell stands between: the first item of the command is the program, the others are its
//! arguments as they are. It runs in the project's directory, reads nothing from its standard
//! input, and sees of the environment only what [`Environment`] lets through.
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
//! # What is owned
//! A program runs in a process group that a watching `/bin/sh` leads, which is there first; without
//! it no program is started. Stopping the program asks the whole group to end (`SIGTERM`), waits
//! for two seconds, and ends it (`SIGKILL`). The same end comes for what is left of the group when
//! the program itself is done, at once when the future is dropped, and, through the watcher, when
//! this process dies without a chance to do anything, at whatever moment. The watcher ignores the
//! signals of the group; when somebody ends it all the same, another takes its place.
//!
//! What leaves the group is owned as well: the program itself is signalled wherever it goes, and
//! what it started in sessions or groups of its own (`setsid`, a daemon, the jobs of a shell) is
//! known by a mark in its environment, `ORCHESTRATOR_MARK`, and ended (`SIGKILL`) with the rest.
//!
//! What is *not* covered, until it is confined by other means:
//! - a process that left the group and dropped the mark (`env -i setsid`), and, on systems without
//!   the `/proc` of Linux, any that left the group other than the program itself;
//! - a process that became another user's (`sudo`), unless this one may signal it;
//! - what another service starts on request: a container, a unit of `systemd`, a job of `at`;
//! - the death of the watcher and of this process at once, before another watcher is there.

mod capture;
mod environment;
mod group;
mod guard;
mod outcome;
mod process;
mod stray;

pub use environment::Environment;

use async_trait::async_trait;
use capture::Capture;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::{Agent, Answer, Artifact, Assignment, AttemptHost, LogLine, LogStream, Progress, Work},
};
use outcome::Ending;
use process::Process;
use serde_json::Value;
use std::{ffi::OsString, fmt, process::Command, sync::Arc, time::Duration};

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);

/// How long its output is still read after it has ended: what left its group may hold the pipe.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs the programs of `command` tasks.
#[derive(Clone)]
pub struct CommandAgent {
    environment: Environment,
    grace: Duration,
    told: Option<Arc<Telling>>,
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
        Self { environment, grace: GRACE, told: None }
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

    fn command(&self, program: &str, arguments: &[String], assignment: &Assignment) -> Command {
        let (run, task, attempt) = (&assignment.run, &assignment.task, assignment.attempt);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&assignment.project)
            .env_clear()
            .envs(self.environment.iter())
            .envs(self.told.iter().flat_map(|tell| tell(assignment)))
            .env("ORCHESTRATOR_RUN", run.as_str())
            .env("ORCHESTRATOR_TASK", task.as_str())
            .env("ORCHESTRATOR_ATTEMPT", attempt.to_string())
            .env("ORCHESTRATOR_IDEMPOTENCY_KEY", format!("{run}.{task}.{attempt}"));
        command
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
        let Some((program, arguments)) = words.split_first() else {
            let message = "cannot run an empty command; give it a program and its arguments";
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        };
        let path = self.environment.get("PATH").map(OsString::from).unwrap_or_default();
        let command = self.command(program, arguments, assignment);
        let mut process = Process::start(command)
            .await
            .map_err(|error| outcome::not_started(program, &assignment.project, &path, &error))?;
        host.progress(Progress { doing: format!("running {program}"), ..Progress::default() });

        let mut stdout = Capture::new(LogStream::Stdout);
        let mut stderr = Capture::new(LogStream::Stderr);
        let (from_stdout, from_stderr) = process.take_output();
        let ending = {
            let reading = async {
                tokio::join!(stdout.read(from_stdout, host), stderr.read(from_stderr, host))
            };
            let supervising = self.supervise(&mut process, assignment.timeout, host);
            tokio::pin!(reading, supervising);
            let mut open = true;
            let ending = loop {
                tokio::select! {
                    ending = &mut supervising => break ending,
                    _ = &mut reading, if open => open = false,
                }
            };
            if open && tokio::time::timeout(DRAIN, reading).await.is_err() {
                note(host, format!("{program} has ended, but something holds its output open"));
            }
            ending
        };
        for capture in [&mut stdout, &mut stderr] {
            capture.finish(host).await;
        }
        outcome::judge(program, &path, ending, &stdout, &stderr)?;
        let output = output_of(program, assignment.output_schema.is_some(), &mut stdout).await?;
        let mut answer = Answer { output, ..Answer::default() };
        for (name, capture) in [("stdout.txt", &mut stdout), ("stderr.txt", &mut stderr)] {
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
        Ok(answer)
    }
}

impl CommandAgent {
    /// Waits for the end, and brings it about when it is time.
    async fn supervise(
        &self,
        process: &mut Process,
        limit: Option<Duration>,
        host: &dyn AttemptHost,
    ) -> Ending {
        let past_limit = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let ending = tokio::select! {
            biased;
            status = process.ended() => return Ending::Ended(status),
            () = host.cancelled() => Ending::Stopped,
            () = past_limit => Ending::TimedOut(limit.unwrap_or_default()),
        };
        process.stop(self.grace).await;
        ending
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
