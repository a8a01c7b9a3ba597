//! One run of a program, from its start to what it has printed.

use super::{
    Environment,
    capture::Capture,
    note,
    outcome::{self, Ending},
    process::{Process, Reads},
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::{Answer, Artifact, Assignment, AttemptHost, LogStream, Progress},
};
use std::{ffi::OsString, process::Command, time::Duration};
use tokio::{io::AsyncWriteExt, process::ChildStdin};

/// How long its output is still read after it has ended: what left its group may hold the pipe.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs programs in an environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runner<'a> {
    pub(super) environment: &'a Environment,
    /// How long a program may take to end after it was asked to.
    pub(super) grace: Duration,
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
        let command = self.command(program, arguments, assignment);
        let reads = if input.is_some() { Reads::Input } else { Reads::Nothing };
        let mut process = Process::start(command, reads)
            .await
            .map_err(|error| outcome::not_started(program, &assignment.project, &path, &error))?;
        host.progress(Progress { doing: format!("running {program}"), ..Progress::default() });

        let mut stdout = Capture::new(LogStream::Stdout);
        let mut stderr = Capture::new(LogStream::Stderr);
        let (from_stdout, from_stderr) = process.take_output();
        let to_stdin = process.take_input();
        let ending = {
            let telling = tell(to_stdin, input.unwrap_or_default());
            let reading = async {
                tokio::join!(stdout.read(from_stdout, host), stderr.read(from_stderr, host))
            };
            let supervising = self.supervise(&mut process, assignment.timeout, host);
            tokio::pin!(telling, reading, supervising);
            let (mut open, mut told) = (true, false);
            let ending = loop {
                tokio::select! {
                    ending = &mut supervising => break ending,
                    _ = &mut reading, if open => open = false,
                    () = &mut telling, if !told => told = true,
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
        Ok(Ran { program: program.clone(), stdout, stderr })
    }

    fn command(self, program: &str, arguments: &[String], assignment: &Assignment) -> Command {
        let (run, task, attempt) = (&assignment.run, &assignment.task, assignment.attempt);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&assignment.project)
            .env_clear()
            .envs(self.environment.iter())
            .env("ORCHESTRATOR_RUN", run.as_str())
            .env("ORCHESTRATOR_TASK", task.as_str())
            .env("ORCHESTRATOR_ATTEMPT", attempt.to_string())
            .env("ORCHESTRATOR_IDEMPOTENCY_KEY", format!("{run}.{task}.{attempt}"));
        command
    }

    /// Waits for the end, and brings it about when it is time.
    async fn supervise(
        self,
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

/// Writes all that the program is told, and then the end. One that does not want to hear it has
/// closed its side, which is no failure.
async fn tell(stdin: Option<ChildStdin>, input: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input.as_bytes()).await;
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
