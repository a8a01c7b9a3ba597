//! The repository's own chores, called as `cargo xtask COMMAND`.
//!
//! One file a chore. Each prints what it did in a line, or every problem that it found with what
//! mends it, and exits with 0 or 1.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore's report is what it prints; this package is never part of the product"
)]

mod book;
mod capabilities;
mod cli_reference;
mod layers;
mod markdown;
mod pages;
mod properties;
mod prove;
mod summary;
mod targets;
mod test;
mod tidy;
mod tree;

use anyhow::{Result, bail};
use std::process::ExitCode;
use tree::Tree;

/// A chore: its name, what it does, and the function that does it.
struct Chore {
    name: &'static str,
    does: &'static str,
    run: fn(&Tree, &[String]) -> Result<()>,
}

/// Every chore, in the order of the help text.
const CHORES: &[Chore] = &[
    Chore {
        name: "test",
        does: "install what the tests need, run all of them, count them [-p CRATE] [FILTER]",
        run: test::run,
    },
    Chore {
        name: "layers",
        does: "check the dependencies between crates against docs/architecture.md",
        run: layers::run,
    },
    Chore {
        name: "capabilities",
        does: "check that every proof in docs/capabilities.md exists",
        run: capabilities::run,
    },
    Chore {
        name: "tidy",
        does: "check what the compiler and rustfmt do not: sizes, bare allows, left-overs",
        run: tidy::run,
    },
    Chore {
        name: "cli-reference",
        does: "write docs/cli.md from the command line's own help [--check]",
        run: cli_reference::run,
    },
    Chore {
        name: "book",
        does: "check the book's table of contents, its links and those of the other pages",
        run: book::run,
    },
    Chore {
        name: "pages",
        does: "run the commands that the book's pages print, as somebody new would",
        run: pages::run,
    },
    Chore {
        name: "prove",
        does: "run the long form of a proof: WHAT [--json] and what it takes; alone, the list",
        run: prove::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        bail!("which chore?\n{}", help());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", help());
        return Ok(());
    }
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        bail!("there is no chore `{name}`\n{}", help());
    };
    (chore.run)(&Tree::find()?, rest)
}

fn help() -> String {
    let lines = CHORES.iter().map(|chore| format!("  {:<14} {}", chore.name, chore.does));
    format!("cargo xtask COMMAND\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Whether there is a chore of that name.
fn is_chore(name: &str) -> bool {
    CHORES.iter().any(|chore| chore.name == name)
}

/// Ends a check: says `fine` when nothing was found, else lists every problem and fails.
fn conclude(what: &str, problems: &[String], fine: &str) -> Result<()> {
    if problems.is_empty() {
        println!("{what}: {fine}");
        return Ok(());
    }
    for problem in problems {
        eprintln!("{what}: {problem}");
    }
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    bail!("{what}: {} {noun} found", problems.len())
}

/// Refuses arguments to a chore that takes none.
fn takes_nothing(name: &str, arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => bail!("`cargo xtask {name}` takes no `{argument}`"),
    }
}
