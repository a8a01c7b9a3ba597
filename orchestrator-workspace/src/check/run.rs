//! One check, run once in a place.

use super::{
    error::CheckError,
    outcome::{End, Judged, judge},
    parse::Output,
    place::Place,
    report_file,
    settings::CheckSettings,
    surroundings::{command, confinement, line, variables, words},
};
use crate::{
    process::{self, Capture, Ending, NotStarted, Watch},
    sandbox::Sandbox,
};
use orchestrator_core::{
    port::AttemptHost,
    workspace::{CheckCommand, CheckOutcome, CheckSpec},
};
use std::{
    path::{Component, Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

/// The most bytes of an excerpt.
const EXCERPT: usize = 4_000;
/// The most lines of each stream in it.
const LINES: usize = 60;

/// What one run of a check gave.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) judged: Judged,
    pub(super) exit_code: Option<i32>,
    pub(super) took: Duration,
    pub(super) excerpt: String,
    pub(super) output: Vec<u8>,
}

impl Ran {
    /// What stands for a check that could not be run, with words for why.
    pub(super) fn unusable(why: String) -> Self {
        let spec = CheckSpec {
            name: String::new(),
            command: CheckCommand::Program(Vec::new()),
            directory: None,
            timeout: None,
            parser: orchestrator_core::workspace::CheckParser::ExitCode,
            report: None,
            retries: 0,
            coverage: None,
        };
        let mut judged = judge(&spec, End::NotStarted, Output::default());
        judged.why = Some(why.clone());
        let output = why.clone().into_bytes();
        Self { judged, exit_code: None, took: Duration::ZERO, excerpt: why, output }
    }
}

/// What runs checks and set-up commands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runner<'a> {
    pub(super) sandbox: &'a dyn Sandbox,
    pub(super) settings: &'a CheckSettings,
}

impl Runner<'_> {
    /// Runs a check in `place`.
    pub(super) async fn check(
        &self,
        spec: &CheckSpec,
        place: &Place,
        host: &dyn AttemptHost,
    ) -> Result<Ran, CheckError> {
        place.renew_temporary()?;
        let directory = match below(&place.tree(), spec.directory.as_deref()) {
            Ok(directory) => directory,
            Err(why) => return Ok(Ran::unusable(why)),
        };
        let report = match spec.report.as_deref() {
            None => None,
            Some(_) => match below_any(&place.tree(), &directory, spec.report.as_deref()) {
                Ok(path) => Some(path),
                Err(why) => return Ok(Ran::unusable(why)),
            },
        };
        if let Some(path) = &report {
            report_file::clear(path);
        }
        let limit = spec.timeout.unwrap_or(self.settings.timeout);
        let done = self.run(&spec.name, &spec.command, &directory, limit, place, host).await?;
        let mut done = match done {
            Ok(done) => done,
            Err(why) => return Ok(Ran::unusable(why)),
        };
        let report = report.map(|path| report_file::read(&place.tree(), &path)).transpose();
        let stdout = done.stdout.whole().await;
        let stderr = done.stderr.whole().await;
        let (end, exit_code) = (done.end, done.exit_code);
        let (stdout, stderr) = match (stdout, stderr) {
            (Ok(stdout), Ok(stderr)) => (stdout, stderr),
            (Err(error), _) | (_, Err(error)) => {
                let why = format!("what it printed could not be kept: {error}");
                return Ok(Ran { exit_code, took: done.took, ..Ran::unusable(why) });
            }
        };
        let mut judged = match &report {
            Ok(report) => {
                let report = report.as_deref();
                judge(spec, end, Output { stdout: &stdout, stderr: &stderr, report })
            }
            // A check that failed need not have come to its report.
            Err(_) if !matches!(end, End::Exit(0)) => {
                judge(spec, end, Output { stdout: b"", stderr: b"", report: Some(b"") })
            }
            Err(why) => Ran::unusable(why.clone()).judged,
        };
        let is_beyond = done.stdout.is_beyond_bound();
        if is_beyond && judged.outcome == CheckOutcome::Passed && spec.report.is_none() {
            judged.outcome = CheckOutcome::Unusable;
            judged.why = Some("it printed more than is kept, so its end was not read".into());
        }
        let excerpt = excerpt(judged.why.as_deref(), &done.stdout, &done.stderr);
        let output = output(spec, &done.stdout, &done.stderr, self.settings.output);
        Ok(Ran { judged, exit_code, took: done.took, excerpt, output })
    }

    /// Runs the set-up commands in `place`, in their order; says in words which one failed.
    pub(super) async fn set_up(
        &self,
        commands: &[String],
        place: &Place,
        host: &dyn AttemptHost,
    ) -> Result<Result<(), String>, CheckError> {
        for shell in commands {
            let command = CheckCommand::Shell(shell.clone());
            let limit = self.settings.timeout;
            let done = self.run("set-up", &command, &place.tree(), limit, place, host).await?;
            let done = match done {
                Ok(done) => done,
                Err(why) => return Ok(Err(format!("set-up `{shell}`: {why}"))),
            };
            if done.end != End::Exit(0) {
                let how = match done.end {
                    End::Exit(code) => format!("it ended with exit code {code}"),
                    End::Signal => "a signal ended it".into(),
                    End::TimedOut => format!("it was past its limit of {limit:?}"),
                    End::NotStarted => "it could not be started".into(),
                };
                let said = excerpt(None, &done.stdout, &done.stderr);
                return Ok(Err(format!("set-up `{shell}` failed: {how}\n{said}")));
            }
        }
        Ok(Ok(()))
    }

    async fn run(
        &self,
        name: &str,
        what: &CheckCommand,
        directory: &Path,
        limit: Duration,
        place: &Place,
        host: &dyn AttemptHost,
    ) -> Result<Result<Done, String>, CheckError> {
        let confinement = confinement(self.settings, place);
        let variables = variables(self.settings, place);
        let words = words(what);
        let command = command(self.sandbox, &words, directory, &confinement, &variables)?;
        let watch = Watch { input: None, limit: Some(limit), grace: self.settings.grace };
        let begun = Instant::now();
        let done = match process::run(name, command, watch, host).await {
            Ok(done) => done,
            Err(NotStarted::Program(error)) => {
                return Ok(Err(format!("cannot start `{}`: {error}", line(what))));
            }
            Err(NotStarted::Watcher(error)) => {
                return Err(CheckError::Io { path: PathBuf::from("/bin/sh"), source: error });
            }
        };
        let (end, exit_code) = match done.ending {
            Ending::Stopped => return Err(CheckError::Cancelled),
            Ending::TimedOut(_) => (End::TimedOut, None),
            Ending::Ended(Ok(status)) => match status.code() {
                Some(code) => (End::Exit(code), Some(code)),
                None => (End::Signal, None),
            },
            Ending::Ended(Err(error)) => return Ok(Err(format!("how it ended is lost: {error}"))),
        };
        let took = begun.elapsed();
        Ok(Ok(Done { end, exit_code, took, stdout: done.stdout, stderr: done.stderr }))
    }
}

#[derive(Debug)]
struct Done {
    end: End,
    exit_code: Option<i32>,
    took: Duration,
    stdout: Capture,
    stderr: Capture,
}

/// The directory `relative` below `tree`, which no link may lead out of.
fn below(tree: &Path, relative: Option<&str>) -> Result<PathBuf, String> {
    let Some(relative) = relative else { return Ok(tree.to_owned()) };
    let path = joined(tree, relative)?;
    match path.canonicalize() {
        Ok(place) if place.starts_with(tree) && place.is_dir() => Ok(place),
        Ok(_) => Err(format!("`{relative}` is no directory of the checkout")),
        Err(error) => Err(format!("`{relative}` is not in the checkout: {error}")),
    }
}

/// The place of a file that may not be there yet: the directory that holds it is in the checkout,
/// or comes to be.
fn below_any(tree: &Path, directory: &Path, relative: Option<&str>) -> Result<PathBuf, String> {
    let relative = relative.unwrap_or_default();
    let path = joined(directory, relative)?;
    match path.parent().map(Path::canonicalize) {
        Some(Ok(parent)) if !parent.starts_with(tree) => {
            Err(format!("the report `{relative}` is outside of the checkout"))
        }
        _ => Ok(path),
    }
}

fn joined(root: &Path, relative: &str) -> Result<PathBuf, String> {
    let path = Path::new(relative);
    let is_inside =
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if is_inside && !relative.is_empty() {
        Ok(root.join(path))
    } else {
        Err(format!("`{relative}` must be a path below the checkout"))
    }
}

/// What people and agents are shown first: why, and the end of what was printed.
fn excerpt(why: Option<&str>, stdout: &Capture, stderr: &Capture) -> String {
    let mut parts: Vec<String> = why.map(str::to_owned).into_iter().collect();
    for capture in [stdout, stderr] {
        let last = capture.last(LINES);
        if !last.is_empty() {
            parts.push(last);
        }
    }
    let text = parts.join("\n");
    let mut end = text.len().min(EXCERPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// All that was printed, up to a bound.
fn output(spec: &CheckSpec, stdout: &Capture, stderr: &Capture, most: usize) -> Vec<u8> {
    let mut text = format!("$ {}\n{}", line(&spec.command), stdout.text());
    let errors = stderr.text();
    if !errors.is_empty() {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str("[standard error]\n");
        text.push_str(&errors);
    }
    if text.len() > most {
        let half = most / 2;
        let head = text.floor_char_boundary(half);
        let tail = text.ceil_char_boundary(text.len() - half);
        let gap = tail - head;
        text = format!("{}\n[{gap} bytes are left out here]\n{}", &text[..head], &text[tail..]);
    }
    text.into_bytes()
}
