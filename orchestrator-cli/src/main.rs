//! The `orchestrator` command: arguments in, calls to `orchestrator-service`, rendering out.
//!
//! What it is not: a place for decisions about runs and tasks. Those are made in
//! `orchestrator-core` and `orchestrator-service`; here is only what a person or a script sees.
//! One command a file under `commands`; every exit code in `exit`.

mod arguments;
mod commands;
mod context;
mod detach;
mod exit;
mod interrupt;
mod output;
mod panics;
mod problem;
mod progress;
mod reference;
mod runtime;

use context::Context;
use exit::Exit;
use problem::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A confined program is started by this one, before anything else is.
    orchestrator_service::launch_if_asked();
    panics::install();
    // A panic is a bug, already reported by the hook; it ends with the code of a failed run.
    std::panic::catch_unwind(run).unwrap_or(Exit::Failed).into()
}

fn run() -> Exit {
    let words: Vec<_> = std::env::args_os().collect();
    let arguments = match arguments::parse(&words) {
        Ok(arguments) => arguments,
        Err(error) => return problem::usage(&error, &words),
    };
    let context = Context::new(&arguments.global);
    match arguments.command.run(&context) {
        Ok(exit) => exit,
        // Nobody reads any more, as after `| head`: that is an end, not an error.
        Err(Failure::Gone) => Exit::Done,
        Err(failure) => failure.report(&context),
    }
}
