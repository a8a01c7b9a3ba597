//! The launcher of sandboxes as a program of its own, for hosts that cannot be it themselves.

use std::{io::Write, process::ExitCode};

fn main() -> ExitCode {
    orchestrator_workspace::sandbox::launch_if_asked();
    let _ = writeln!(
        std::io::stderr(),
        "orchestrator-sandbox is started by programs that confine others, not by people"
    );
    ExitCode::from(2)
}
