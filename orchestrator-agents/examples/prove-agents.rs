//! `cargo xtask prove agents [--cycles N]`: programs are started, hang and are stopped again and again;
//! it fails when a process or a descriptor is left.

#![expect(clippy::print_stdout, reason = "what was found is what it is for")]

#[path = "../tests/cycles/mod.rs"]
mod cycles;

use std::{process::ExitCode, time::Instant};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = arguments.iter().position(|it| it == "--cycles");
    let number = given.and_then(|at| arguments.get(at + 1)?.parse().ok());
    let count = number.unwrap_or(1_000);
    let Ok(directory) = tempfile::tempdir() else { return ExitCode::FAILURE };
    let begun = Instant::now();
    let left = cycles::run(count, 4, directory.path()).await;
    let (took, slowest) = (begun.elapsed().as_secs(), left.slowest.as_millis());
    println!(
        "{count} cycles of start, hang, stop in {took} s: {} processes and {} descriptors left, the \
         slowest stop {slowest} ms",
        left.processes, left.descriptors
    );
    match (left.processes, left.descriptors) {
        (0, 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
