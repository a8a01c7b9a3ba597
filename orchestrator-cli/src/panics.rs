//! A panic is a bug of ours: say so, and what to send where.

use std::io::Write;

/// Replaces the default message by a short report that can be filed.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("a panic without a message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // One write, so that a report is not torn by what other threads say.
        let report = format!(
            "\norchestrator stopped because of a bug; nothing that was recorded is lost.\n\
             Please report it to the project, with these lines and what you typed:\n  \
             version {} on {}-{}\n  {what}\n  at {place}\n",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
        );
        let _ = std::io::stderr().lock().write_all(report.as_bytes());
    }));
}
