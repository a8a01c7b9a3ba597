//! What the end of a process means.

use super::{conduct::Setting, talk::Talk};
use crate::coding::{Exit, Finish, Verdict};
use orchestrator_core::error::{ErrorClass, Failure};

/// What came of it: success only when its terminal event and its exit code both say so.
pub(super) fn judge(
    at: &Setting<'_>,
    talk: &mut Talk<'_, '_>,
    program: &str,
    exit: Exit,
    lines: usize,
) -> Result<Finish, Failure> {
    let stderr = talk.stderr().last(lines);
    let mut failure = match talk.verdict(exit) {
        Verdict::Done(finish) => return Ok(finish),
        Verdict::Failed(failure) => failure,
        Verdict::Silent => match at.agent.adapter.diagnose(exit, &stderr) {
            Some(failure) => failure,
            None => silent(program, exit, &stderr, talk.is_unreadable()),
        },
    };
    let has_reset = matches!(
        failure.class,
        ErrorClass::RateLimited | ErrorClass::QuotaExhausted | ErrorClass::Overloaded
    );
    if has_reset && failure.retry_at.is_none() {
        failure.retry_at = talk.wait().map(|wait| at.host.now().after(wait));
    }
    Err(failure)
}

/// It ended without a word of how.
fn silent(program: &str, exit: Exit, stderr: &str, unreadable: bool) -> Failure {
    let how = match exit {
        Exit::Code(code) => format!("ended with exit code {code}"),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
        Exit::Stopped => "was stopped".to_owned(),
    };
    let (class, mut message) = match (exit, unreadable) {
        (_, true) => (
            ErrorClass::Incompatible,
            format!(
                "`{program}` {how}, and nothing that it printed could be read; check that it is the \
                 program of this provider, and its version"
            ),
        ),
        (Exit::Code(126 | 127), false) => {
            (ErrorClass::InvalidRequest, format!("`{program}` could not be executed: it {how}"))
        }
        (Exit::Code(_) | Exit::Signal(_) | Exit::Stopped, false) => (
            ErrorClass::Crashed,
            format!("`{program}` {how} and did not say that its work is done"),
        ),
    };
    if !stderr.is_empty() {
        message.push_str(&format!("; the end of its standard error:\n{stderr}"));
    }
    Failure::new(class, message)
}
