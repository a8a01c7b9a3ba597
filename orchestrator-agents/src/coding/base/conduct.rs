//! One process of a program, from its start to its verdict.

use super::{
    CodingAgent,
    home::Home,
    journal::{self, Entry, Stopped},
    talk::{Kept, Talk, Why},
    usage::Counters,
    verdict,
    voice::Voice,
};
use crate::{
    coding::{Exit, Finish, Input, Launch, Order},
    command::{Confined, confine, outcome},
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::MessageNumber,
    port::{Assignment, AttemptHost},
    usage::Spend,
};
use orchestrator_workspace::{
    process::{Process, Reads},
    sandbox,
};
use std::{ffi::OsString, io, pin::pin, process::Command, process::ExitStatus, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout},
    sync::mpsc,
    time::{Instant, timeout},
};

/// How many bytes are read at once.
const CHUNK: usize = 32 * 1024;
/// How long its output is still read after it has ended: what left its group may hold the pipe.
const DRAIN: Duration = Duration::from_secs(1);
/// How many lines of its standard error a failure repeats.
const LINES: usize = 20;

/// The attempt in which a process works.
pub(super) struct Setting<'a> {
    pub(super) agent: &'a CodingAgent,
    pub(super) assignment: &'a Assignment,
    pub(super) host: &'a dyn AttemptHost,
    pub(super) home: &'a Home,
    /// When the attempt began.
    pub(super) begun: Instant,
}

/// The books of an attempt, over all its processes.
pub(super) struct Books<'a> {
    pub(super) counters: Counters,
    pub(super) voice: Voice<'a>,
    pub(super) kept: Kept,
    pub(super) spend: Vec<Spend>,
}

/// A process that has ended.
pub(super) struct Ran {
    /// What came of it.
    pub(super) result: Result<Finish, Failure>,
    /// Its session, when it named one.
    pub(super) session: Option<String>,
    /// Whether it said or did anything.
    pub(super) did: bool,
    /// The last thing that it said.
    pub(super) last: Option<String>,
    /// What it could not be told.
    pub(super) unsaid: Vec<(MessageNumber, String)>,
}

impl Setting<'_> {
    /// Runs the program for `order`.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) async fn run(
        &self,
        order: &Order,
        launch: &Launch,
        confined: Option<&Confined>,
        books: &mut Books<'_>,
    ) -> Result<Ran, Failure> {
        let Some((program, fixed)) = self.agent.command.split_first() else {
            let message = "cannot run an empty command; name the program";
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        };
        self.home.prepare(launch)?;
        let arguments: Vec<String> = fixed.iter().chain(&launch.arguments).cloned().collect();
        let directory = self.assignment.directory();
        let command = match confined {
            Some(confined) => confined.command(program, &arguments, directory).await?,
            None => {
                let mut command = Command::new(program);
                command.args(&arguments).current_dir(directory);
                command
            }
        };
        let command = self.told(command, launch, confined);
        let reads = match launch.input {
            Input::Nothing => Reads::Nothing,
            Input::Dialogue => Reads::Input,
        };
        let path = self.agent.environment.get("PATH").map(OsString::from).unwrap_or_default();
        let process = Process::start(command, reads).await;
        let mut process =
            process.map_err(|error| outcome::not_started(program, directory, &path, &error))?;
        books.counters.begin(&order.start);
        books.voice.doing(format!("starting {}", self.agent.adapter.provider()));

        let (entries, coming) = mpsc::channel(journal::QUEUE);
        let stopped = Stopped::default();
        let input = process.take_input().map(writer);
        let talk = Talk::new(self, order, books, input, entries);
        let talking = converse(talk, process, &stopped, self.host);
        let writing = journal::write(coming, self.host, &stopped);
        let ((mut talk, end), ()) = tokio::join!(talking, writing);

        if let Some(report) = launch.report.as_ref().and_then(|name| self.home.report(name)) {
            talk.report(&report).await;
        }
        let (exit, code) = end.exit();
        let unconfined = confined.and(code);
        let unconfined =
            unconfined.and_then(|code| confine::not_confined(program, Some(code), talk.stderr()));
        let result = match (unconfined, stopped.why(), end.why) {
            (Some(failure), _, _) => Err(failure),
            // What could not be recorded is not there; nothing else counts then.
            (None, Some(failure), _) => Err(failure),
            (None, None, Some(why)) if !why.is_lingering() => Err(why.into_failure(program)),
            (None, None, _) => {
                let judged = verdict::judge(self, &mut talk, program, exit, LINES);
                judged.map_err(|failure| match talk.take_why() {
                    Some(why) => why.into_failure(program),
                    None => failure,
                })
            }
        };
        Ok(talk.into_ran(result))
    }

    /// How it is confined: it also sees its home, and what it is installed in.
    pub(super) async fn confined(&self) -> Result<Option<Confined>, Failure> {
        let Some(confine) = &self.agent.confine else { return Ok(None) };
        let mut confined = confine.confine(self.assignment).await?;
        if let Some(Confined { confinement, .. }) = &mut confined {
            confinement.writable.extend([self.home.path(), self.home.temporary()]);
            confinement.visible.extend(self.agent.readable.iter().cloned());
            if let sandbox::Reads::Only(paths) = &mut confinement.reads {
                paths.extend(self.agent.readable.iter().cloned());
            }
        }
        Ok(confined)
    }

    /// The command with all that its program sees of the environment.
    fn told(&self, mut command: Command, launch: &Launch, confined: Option<&Confined>) -> Command {
        let assignment = self.assignment;
        let (run, task, attempt) = (&assignment.run, &assignment.task, assignment.attempt);
        let own = assignment.workspace.iter().flat_map(|opened| &opened.environment);
        let confined = confined.into_iter().flat_map(|confined| &confined.variables);
        command
            .env_clear()
            .envs(self.agent.environment.iter())
            .envs(own)
            .envs(confined.map(|(name, value)| (name, value)))
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.temporary())
            .envs(launch.variables.iter().map(|(name, value)| (name, value)))
            .env("ORCHESTRATOR_RUN", run.as_str())
            .env("ORCHESTRATOR_TASK", task.as_str())
            .env("ORCHESTRATOR_ATTEMPT", attempt.to_string())
            .env("ORCHESTRATOR_IDEMPOTENCY_KEY", format!("{run}.{task}.{attempt}"));
        for name in &launch.without {
            command.env_remove(name);
        }
        command
    }
}

/// How a process came to its end.
struct End {
    /// Why it was stopped, when it was.
    why: Option<Why>,
    status: Option<io::Result<ExitStatus>>,
}

impl End {
    /// As the dialogue is told, and its exit code if it had one.
    fn exit(&self) -> (Exit, Option<i32>) {
        use std::os::unix::process::ExitStatusExt;
        match &self.status {
            Some(Ok(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => (Exit::Code(code), Some(code)),
                (None, signal) => (Exit::Signal(signal.unwrap_or_default()), None),
            },
            Some(Err(_)) | None => (Exit::Stopped, None),
        }
    }

    fn is_lingering(&self) -> bool {
        self.why.as_ref().is_some_and(Why::is_lingering)
    }
}

/// Hears and answers the program until it has ended, and is stopped where it must be.
async fn converse<'a, 'b>(
    mut talk: Talk<'a, 'b>,
    mut process: Process,
    stopped: &Stopped,
    host: &dyn AttemptHost,
) -> (Talk<'a, 'b>, End) {
    let (mut stdout, stderr) = process.take_output();
    let mut errors = talk.take_stderr();
    let mut chunk = vec![0; CHUNK];
    let end = {
        let mut reading = pin!(errors.read(stderr, host));
        let mut reads_errors = true;
        talk.start().await;
        let mut end = loop {
            if talk.is_to_stop() {
                break End { why: talk.take_why(), status: None };
            }
            let (until, limit) = talk.deadline();
            tokio::select! {
                biased;
                () = host.cancelled() => break End { why: Some(Why::Cancelled), status: None },
                () = stopped.told() => break End { why: Some(Why::Unrecorded), status: None },
                read = read(&mut stdout, &mut chunk) => match read {
                    Some(count) => talk.heard(&chunk[..count]).await,
                    None => stdout = None,
                },
                status = process.ended() => break End { why: None, status: Some(status) },
                () = &mut reading, if reads_errors => reads_errors = false,
                (request, permit) = talk.permitted() => talk.answer(request, permit).await,
                steer = host.steered(), if talk.takes_messages() => talk.steer(steer).await,
                () = tokio::time::sleep_until(until) => {
                    break End { why: Some(limit), status: None };
                }
            }
        };
        if end.status.is_none() {
            talk.withdraw();
            let mut stopping = pin!(process.stop(talk.grace()));
            loop {
                tokio::select! {
                    biased;
                    read = read(&mut stdout, &mut chunk) => match read {
                        Some(count) => talk.heard(&chunk[..count]).await,
                        None => stdout = None,
                    },
                    () = &mut reading, if reads_errors => reads_errors = false,
                    () = &mut stopping => break,
                }
            }
        }
        let draining = async {
            while let Some(count) = read_on(&mut stdout, &mut chunk).await {
                talk.heard(&chunk[..count]).await;
            }
            if reads_errors {
                reading.as_mut().await;
            }
        };
        if timeout(DRAIN, draining).await.is_err() {
            talk.held_open();
        }
        // A lingering program may have gone by itself meanwhile; nothing is known of how.
        if end.is_lingering() {
            end.status = None;
        }
        end
    };
    errors.finish(host).await;
    talk.give_stderr(errors);
    talk.finish().await;
    (talk, end)
}

/// The next piece of what it prints; nothing at its end, and never once that was told.
async fn read(from: &mut Option<ChildStdout>, chunk: &mut [u8]) -> Option<usize> {
    match from {
        Some(stdout) => stdout.read(chunk).await.ok().filter(|count| *count > 0),
        None => std::future::pending().await,
    }
}

/// The same, which ends for ever when it has ended.
async fn read_on(from: &mut Option<ChildStdout>, chunk: &mut [u8]) -> Option<usize> {
    match from {
        Some(_) => read(from, chunk).await,
        None => None,
    }
}

/// Writes what is sent to the program's standard input, and closes it when the sender is gone. One
/// that does not want to hear it has closed its side, which is no failure.
fn writer(mut stdin: ChildStdin) -> mpsc::UnboundedSender<Vec<u8>> {
    let (send, mut coming) = mpsc::unbounded_channel::<Vec<u8>>();
    tokio::spawn(async move {
        while let Some(bytes) = coming.recv().await {
            if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                return;
            }
        }
    });
    send
}

/// Whether an entry of the journal was taken: it is not once nothing more is recorded.
pub(super) async fn record(entries: Option<&mpsc::Sender<Entry>>, entry: Entry) {
    if let Some(entries) = entries {
        let _ = entries.send(entry).await;
    }
}
