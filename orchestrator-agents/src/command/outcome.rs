//! What the end of a program means.

use orchestrator_core::{
    error::{ErrorClass, Failure},
    time::format_duration,
};
use orchestrator_workspace::process::{Capture, Ending, NotStarted};
use std::{ffi::OsStr, io, os::unix::process::ExitStatusExt, path::Path};

/// How many lines of a program's standard error a failure repeats.
const LINES: usize = 20;

/// The failure of a program that did not come to run.
pub(crate) fn not_started(
    program: &str,
    project: &Path,
    path: &OsStr,
    error: &NotStarted,
) -> Failure {
    let invalid = |message| Failure::new(ErrorClass::InvalidRequest, message);
    let error = match error {
        NotStarted::Program(error) => error,
        NotStarted::Watcher(error) => {
            let class = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                    ErrorClass::InvalidRequest
                }
                _ => ErrorClass::Transient,
            };
            return Failure::new(
                class,
                format!(
                    "cannot run `{program}`: the shell that ends it if the orchestrator dies cannot \
                     be started: {error}; check `/bin/sh` and the limit of processes"
                ),
            );
        }
    };
    if !project.is_dir() {
        let project = project.display();
        return invalid(format!("cannot run `{program}` in `{project}`: it is not a directory"));
    }
    let path = path.to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => invalid(format!(
            "cannot run `{program}`: no such program; install it or check its name (looked in `{path}`)"
        )),
        io::ErrorKind::PermissionDenied => invalid(format!(
            "cannot run `{program}`: it may not be executed; make it executable (`chmod +x`) or check \
             its name (looked in `{path}`)"
        )),
        io::ErrorKind::ArgumentListTooLong => invalid(format!(
            "cannot run `{program}`: its arguments are too long; pass a file instead"
        )),
        io::ErrorKind::InvalidInput => {
            invalid(format!("cannot run `{program}`: it or an argument contains a NUL byte"))
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            invalid(format!(
                "cannot run `{program}`: not a program of this system; a script needs a first line such as `#!/bin/sh`"
            ))
        }
        _ => Failure::new(ErrorClass::Transient, format!("cannot start `{program}`: {error}")),
    }
}

/// Nothing for a good end, else the failure that it is.
pub(super) fn judge(
    program: &str,
    path: &OsStr,
    ending: Ending,
    stdout: &Capture,
    stderr: &Capture,
) -> Result<(), Failure> {
    let (class, what) = match ending {
        Ending::Stopped => (ErrorClass::Cancelled, "was stopped".to_owned()),
        Ending::TimedOut(limit) => (
            ErrorClass::TimedOut,
            format!("was stopped after its limit of {}", format_duration(limit)),
        ),
        Ending::Ended(Err(error)) => {
            (ErrorClass::Crashed, format!("ended, and how cannot be told: {error}"))
        }
        Ending::Ended(Ok(status)) => match (status.code(), status.signal()) {
            (Some(0), _) => return Ok(()),
            (Some(code), _) => of_code(code, path),
            (None, signal) => (
                ErrorClass::Crashed,
                format!("was killed by {}", signal_name(signal.unwrap_or_default())),
            ),
        },
    };
    let mut message = format!("`{program}` {what}");
    let (stream, last) = match stderr.last(LINES) {
        last if last.is_empty() => ("output", stdout.last(LINES)),
        last => ("standard error", last),
    };
    if !last.is_empty() {
        message.push_str(&format!("; the end of its {stream}:\n{last}"));
    }
    Err(Failure::new(class, message))
}

fn of_code(code: i32, path: &OsStr) -> (ErrorClass, String) {
    let path = path.to_string_lossy();
    match code {
        124 => (ErrorClass::TimedOut, "ran out of time (exit code 124)".into()),
        126 => (
            ErrorClass::InvalidRequest,
            format!("could not execute a program (exit code 126; looked in `{path}`)"),
        ),
        127 => (
            ErrorClass::InvalidRequest,
            format!("could not find a program (exit code 127; looked in `{path}`)"),
        ),
        // What a shell says of a program that a signal killed. Others above 128 are in use with
        // meanings of their own.
        130 | 134 | 137 | 139 | 143 => (
            ErrorClass::Crashed,
            format!("was killed by {} (exit code {code})", signal_name(code - 128)),
        ),
        _ => (ErrorClass::ToolFailed, format!("failed with exit code {code}")),
    }
}

fn signal_name(number: i32) -> String {
    let name = match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
