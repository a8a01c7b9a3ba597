//! `--detach`: a run in a background process of this same program.
//!
//! The process that was called starts the other one, waits until the run is durable there, says
//! which run it is, and ends. The other one leads a session of its own, so that nothing that happens
//! to the terminal reaches it; what it says goes into a file. It holds the run's lease like any
//! process that drives a run: `status` shows it, `pause` and `cancel` reach it, and its death leaves
//! a run that can be resumed.

use crate::{exit::Exit, output::Console, problem::Failure};
use clap::Args;
use orchestrator_service::OrchestratorService;
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The option by which the background process is told that it is one.
const ANNOUNCE: &str = "--announce";

/// How often is looked whether the run is durable.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The most that is repeated of what a background process said before it ended too early.
const REPEATED: usize = 64 * 1024;

/// Whether a run is driven here or in the background.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Detach {
    /// Drive the run in a background process, and return as soon as it is under way
    #[arg(long)]
    pub(crate) detach: bool,

    /// In the background process: the file that says which run it drives
    #[arg(long, value_name = "FILE", hide = true)]
    announce: Option<PathBuf>,
}

impl Detach {
    /// In the background process: leaves the terminal behind.
    pub(crate) fn begin(&self) {
        if self.announce.is_some() {
            // It fails only for a process that leads a session already, which is as good.
            let _ = rustix::process::setsid();
        }
    }

    /// In the background process: says that `run` is durable and driven here.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn announce(&self, run: &str) -> Result<(), Failure> {
        let Some(file) = &self.announce else { return Ok(()) };
        let text = json!({ "run": run, "pid": std::process::id() }).to_string();
        let aside = file.with_extension("part");
        let write = || {
            fs::write(&aside, &text)?;
            // Whoever looks sees all of it or nothing.
            fs::rename(&aside, file)
        };
        write().map_err(|error| Failure::file(file, &error))
    }

    /// What a drive waits for when nothing else can go on.
    pub(crate) fn patience(&self, console: &Console) -> Patience {
        match self.announce {
            Some(_) => Patience::Renewal,
            None if console.err.terminal && !console.json => Patience::People,
            None => Patience::Nobody,
        }
    }
}

/// What a drive waits for when nothing goes on without somebody's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// For people: there is a terminal, and so perhaps a person.
    People,
    /// For budgets that are renewed: nobody waits for the end of what is in the background.
    Renewal,
    /// For nothing: a script waits for the exit code.
    Nobody,
}

/// Starts the command that was typed again, in the background, and says which run it drives.
///
/// # Errors
/// A process that cannot be started. When it ends before the run is durable, what it said is
/// repeated, and its exit code is this one's.
pub(crate) fn start(console: &Console, service: &OrchestratorService) -> Result<Exit, Failure> {
    let directory = service.background()?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = format!("{}-{}", since.as_millis(), std::process::id());
    let announced = directory.join(format!("{name}.started"));
    let log = directory.join(format!("{name}.log"));
    let file = File::create(&log).map_err(|error| Failure::file(&log, &error))?;
    let again = || -> std::io::Result<_> {
        Command::new(std::env::current_exe()?)
            .args(background_words(std::env::args_os().skip(1), &announced))
            // Typed by a task's program, it is to outlive the task, which ends what bears its mark.
            .env_remove("ORCHESTRATOR_MARK")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
    };
    let mut child = again().map_err(|error| Failure::environment(&error))?;
    let run = loop {
        let ended = child.try_wait().map_err(|error| Failure::environment(&error))?;
        // Looked at after the process: one that has ended may have announced its run before.
        if let Some(run) = read(&announced) {
            break run;
        }
        if let Some(status) = ended {
            let said = fs::read(&log).unwrap_or_default();
            let _ =
                std::io::stderr().lock().write_all(&said[said.len().saturating_sub(REPEATED)..]);
            let _ = fs::remove_file(&log);
            return Ok(Exit::of_process(status.code()));
        }
        std::thread::sleep(LOOK_AGAIN);
    };
    let _ = fs::remove_file(&announced);
    // Found by its run from now on; that it keeps its first name otherwise does no harm.
    let kept = directory.join(format!("{run}.log"));
    let log = if fs::rename(&log, &kept).is_ok() { kept } else { log };
    if console.json {
        console.document(&json!({
            "schema": "orchestrator.detached/v1",
            "run": run,
            "pid": child.id(),
            "log": log.display().to_string(),
        }))?;
    } else {
        console.data(&run)?;
        console.hint(&format!("follow it with: orchestrator logs {run} -f"));
    }
    Ok(Exit::Done)
}

/// The run that a background process has announced.
fn read(file: &Path) -> Option<String> {
    let announced: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    announced["run"].as_str().map(str::to_owned)
}

/// The words of the command for the background process.
fn background_words(words: impl Iterator<Item = OsString>, announced: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.collect();
    // What follows `--` is not for us to read.
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let rest = words.split_off(end);
    words.retain(|word| word != "--detach");
    words.extend([ANNOUNCE.into(), announced.into()]);
    words.extend(rest);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_same_but_for_the_wish() {
        for (typed, expected) in [
            ("execute --detach do", "execute do --announce f"),
            ("execute --detach -- --detach", "execute --announce f -- --detach"),
            ("resume r_1 --json --detach", "resume r_1 --json --announce f"),
        ] {
            let words = typed.split(' ').map(OsString::from);
            let words = background_words(words, Path::new("f"));
            let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
            assert_eq!(words.join(" "), expected);
        }
    }
}
