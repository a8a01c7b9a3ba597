//! One program from its start to its end, with what it printed.

use super::{Capture, NotStarted, Process, Reads};
use orchestrator_core::port::{AttemptHost, LogLine, LogStream, Progress};
use std::{
    io,
    process::{Command, ExitStatus},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::ChildStdin};

/// How long its output is still read after it has ended: what left its group may hold the pipe.
const DRAIN: Duration = Duration::from_secs(1);

/// In which bounds a program runs.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// What it reads from its standard input; its end at once when it is not said.
    pub input: Option<String>,
    /// How long it may take.
    pub limit: Option<Duration>,
    /// How long it may take to end after it was asked to.
    pub grace: Duration,
}

/// How a program came to its end.
#[derive(Debug)]
pub enum Ending {
    /// By itself.
    Ended(io::Result<ExitStatus>),
    /// It was past this limit.
    TimedOut(Duration),
    /// It was to stop.
    Stopped,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Watched {
    /// How.
    pub ending: Ending,
    /// What it printed to its standard output.
    pub stdout: Capture,
    /// What it printed to its standard error.
    pub stderr: Capture,
}

/// Runs `command`, called `name` in what people read, to its end; it is stopped past its limit and
/// when `host` says so. Its lines go to the log of `host` as they come.
///
/// # Errors
/// [`NotStarted`] when it or its watcher cannot be started.
pub async fn run(
    name: &str,
    command: Command,
    watch: Watch,
    host: &dyn AttemptHost,
) -> Result<Watched, NotStarted> {
    let reads = if watch.input.is_some() { Reads::Input } else { Reads::Nothing };
    let mut process = Process::start(command, reads).await?;
    host.progress(Progress { doing: format!("running {name}"), ..Progress::default() });
    let mut stdout = Capture::new(LogStream::Stdout);
    let mut stderr = Capture::new(LogStream::Stderr);
    let (from_stdout, from_stderr) = process.take_output();
    let to_stdin = process.take_input();
    let ending = {
        let telling = tell(to_stdin, watch.input.unwrap_or_default());
        let reading =
            async { tokio::join!(stdout.read(from_stdout, host), stderr.read(from_stderr, host)) };
        let supervising = supervise(&mut process, watch.limit, watch.grace, host);
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
            let text = format!("{name} has ended, but something holds its output open");
            host.log(LogLine { stream: LogStream::Note, text });
        }
        ending
    };
    for capture in [&mut stdout, &mut stderr] {
        capture.finish(host).await;
    }
    Ok(Watched { ending, stdout, stderr })
}

/// Waits for the end, and brings it about when it is time.
async fn supervise(
    process: &mut Process,
    limit: Option<Duration>,
    grace: Duration,
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
    process.stop(grace).await;
    ending
}

/// Writes all that the program is told, and then the end. One that does not want to hear it has
/// closed its side, which is no failure.
async fn tell(stdin: Option<ChildStdin>, input: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input.as_bytes()).await;
    }
}
