//! The exit codes: the one place that says what each means.

use std::process::ExitCode;

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done as asked.
    Done,
    /// The run failed.
    Failed,
    /// The call was wrong: usage, unknown name, invalid workflow.
    Usage,
    /// Cancelled.
    Cancelled,
    /// Not authenticated, or an account was refused.
    Auth,
    /// The budget stopped it.
    Budget,
    /// It waits for a person, and there is nobody at a terminal.
    Waiting,
    /// The store cannot be reached.
    Unreachable,
    /// Interrupted; the run is safe to resume.
    Interrupted,
}

impl Exit {
    /// Each way to end with its code, in the order of the codes.
    const CODES: [(Self, u8); 9] = [
        (Self::Done, 0),
        (Self::Failed, 1),
        (Self::Usage, 2),
        (Self::Cancelled, 3),
        (Self::Auth, 4),
        (Self::Budget, 5),
        (Self::Waiting, 6),
        (Self::Unreachable, 7),
        (Self::Interrupted, 130),
    ];

    /// The code.
    pub(crate) fn code(self) -> u8 {
        Self::CODES.into_iter().find(|(exit, _)| *exit == self).map_or(1, |(_, code)| code)
    }
}

impl Exit {
    /// How another process of this program ended; none when a signal ended it.
    pub(crate) fn of_process(code: Option<i32>) -> Self {
        let known = Self::CODES.into_iter().find(|(_, own)| Some(i32::from(*own)) == code);
        known.map_or(Self::Failed, |(exit, _)| exit)
    }

    /// How a drive of a run ends: by the status that the run has then, and the class of the failure
    /// that ended it.
    pub(crate) fn of_run(status: &str, class: Option<&str>) -> Self {
        match (status, class) {
            ("succeeded", _) => Self::Done,
            ("cancelled" | "cancelling", _) => Self::Cancelled,
            ("waiting", _) => Self::Waiting,
            ("interrupted" | "running" | "paused", _) => Self::Interrupted,
            (_, Some("auth" | "billing")) => Self::Auth,
            (_, Some("over_budget")) => Self::Budget,
            _ => Self::Failed,
        }
    }
}

impl From<orchestrator_service::Exit> for Exit {
    fn from(exit: orchestrator_service::Exit) -> Self {
        use orchestrator_service::Exit as Wanted;
        match exit {
            Wanted::Usage => Self::Usage,
            Wanted::Auth => Self::Auth,
            Wanted::Budget => Self::Budget,
            Wanted::Unreachable => Self::Unreachable,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_contract() {
        for (exit, code) in [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Cancelled, 3),
            (Exit::Auth, 4),
            (Exit::Budget, 5),
            (Exit::Waiting, 6),
            (Exit::Unreachable, 7),
            (Exit::Interrupted, 130),
        ] {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
        for (status, class, exit) in [
            ("succeeded", None, Exit::Done),
            ("failed", None, Exit::Failed),
            ("failed", Some("tool_failed"), Exit::Failed),
            ("failed", Some("auth"), Exit::Auth),
            ("failed", Some("billing"), Exit::Auth),
            ("failed", Some("over_budget"), Exit::Budget),
            ("cancelled", None, Exit::Cancelled),
            ("interrupted", None, Exit::Interrupted),
            ("paused", None, Exit::Interrupted),
            ("waiting", Some("billing"), Exit::Waiting),
        ] {
            assert_eq!(Exit::of_run(status, class), exit, "{status} {class:?}");
        }
        assert_eq!(Exit::CODES.len(), 9, "a code of its own for every way to end");
    }
}
