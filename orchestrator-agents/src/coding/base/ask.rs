//! Asking a program about itself: one short run of it, without any work.

use crate::command::Environment;
use orchestrator_workspace::process::{NotStarted, Process, Reads};
use std::{ffi::OsStr, fmt, io, path::Path, process::Command, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most bytes that are read of what it prints, of each of its outputs.
const MOST: u64 = 64 * 1024;
/// How long it may take to end after it was asked to.
const GRACE: Duration = Duration::from_millis(500);

/// What a program said when it was asked about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether its exit code is 0.
    pub is_well: bool,
    /// The beginning of its standard output.
    pub stdout: String,
    /// The beginning of its standard error.
    pub stderr: String,
}

/// Why a program said nothing of itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Untold {
    /// It could not be run.
    NotStarted(io::Error),
    /// It did not end within this time, and was stopped.
    TooLong(Duration),
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "it cannot be run: {error}"),
            Self::TooLong(limit) => write!(f, "it did not end within {limit:?}"),
        }
    }
}

impl std::error::Error for Untold {}

/// Runs `program` with `arguments` in `home`, which is its directory and its `HOME`, and sees what it
/// says within `limit`. It sees nothing but `environment`; its standard input is at its end. Like every
/// other program it is ended with all that it started.
///
/// # Errors
/// [`Untold`] when it cannot be run or does not end.
pub async fn ask(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    environment: &Environment,
    home: &Path,
    limit: Duration,
) -> Result<Told, Untold> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment.iter()).env("HOME", home);
    command.current_dir(home);
    let started = Process::start(command, Reads::Nothing).await;
    let mut process = started.map_err(|error| match error {
        NotStarted::Watcher(error) | NotStarted::Program(error) => Untold::NotStarted(error),
    })?;
    let (stdout, stderr) = process.take_output();
    let told = async {
        let reading = async { tokio::join!(beginning(stdout), beginning(stderr)) };
        let (status, (stdout, stderr)) = tokio::join!(process.ended(), reading);
        let is_well = status.is_ok_and(|status| status.success());
        Told { is_well, stdout, stderr }
    };
    match tokio::time::timeout(limit, told).await {
        Ok(told) => Ok(told),
        Err(_) => {
            process.stop(GRACE).await;
            Err(Untold::TooLong(limit))
        }
    }
}

/// The beginning of `output`, which is read to its end so that nobody waits for a reader.
async fn beginning(output: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut output) = output {
        // What broke off is what there is.
        let _ = (&mut output).take(MOST).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).into_owned()
}
