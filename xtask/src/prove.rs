//! `cargo xtask prove WHAT`: the long forms of the proofs, each by one command.
//!
//! A proof is an example of the crate that it proves something about, built for release, or its
//! properties with more cases; what follows its name on the command line is its own. `docs/reliability.md` says what each shows.

use crate::tree::Tree;
use anyhow::{Context as _, Result, bail};
use std::process::Command;

/// A proof: its name, what it does, and the example that does it.
struct Proof {
    name: &'static str,
    does: &'static str,
    package: &'static str,
    example: &'static str,
    /// Whether it needs the program itself, built for release.
    needs_program: bool,
}

/// Every proof, in the order of the help text.
const PROOFS: &[Proof] = &[
    Proof {
        name: "sim",
        does: "the engine in a seeded simulation, with faults and crashes [--seeds N] [--seed S]",
        package: "orchestrator-testkit",
        example: "prove-sim",
        needs_program: false,
    },
    Proof {
        name: "crash",
        does: "a crash at every commit and wait of the reference workflows",
        package: "orchestrator-testkit",
        example: "prove-sim",
        needs_program: false,
    },
    Proof {
        name: "faults",
        does: "the store fails before, after and beside each call in turn",
        package: "orchestrator-testkit",
        example: "prove-sim",
        needs_program: false,
    },
    Proof {
        name: "kill",
        does: "kill -9 of the program at drawn times [--rounds N] [--seed S] [--flows A,B]",
        package: "orchestrator-testkit",
        example: "prove-process",
        needs_program: true,
    },
    Proof {
        name: "disk",
        does: "the disk is full at each write of the program in turn [--flows A,B] [--places N]",
        package: "orchestrator-testkit",
        example: "prove-process",
        needs_program: true,
    },
    Proof {
        name: "fsync",
        does: "each synchronisation of the program in turn fails [--flows A,B] [--places N]",
        package: "orchestrator-testkit",
        example: "prove-process",
        needs_program: true,
    },
    Proof {
        name: "power",
        does: "the power is cut at each write of the program in turn [--flows A,B] [--places N]",
        package: "orchestrator-testkit",
        example: "prove-process",
        needs_program: true,
    },
    Proof {
        name: "flip",
        does: "a bit of the store is flipped, anywhere [--flips N] [--seed S]",
        package: "orchestrator-store",
        example: "prove-flip",
        needs_program: false,
    },
    Proof {
        name: "budget",
        does: "processes that are killed share tight budgets [--calls N] [--seed S] [--processes P]",
        package: "orchestrator-service",
        example: "prove-budget",
        needs_program: false,
    },
    Proof {
        name: "agents",
        does: "coding CLIs that hang are stopped again and again, and nothing is left [--cycles N]",
        package: "orchestrator-agents",
        example: "prove-agents",
        needs_program: false,
    },
    Proof {
        name: "landing",
        does: "processes that are killed land on one branch [--rounds N] [--seed S] [--tasks T] [--processes P] [--kills K]",
        package: "orchestrator-service",
        example: "prove-landing",
        needs_program: false,
    },
    Proof {
        name: "load",
        does: "the same calls against any gateway [--gateway URL --key K --upstream ADDR:PORT] [--budget USD]",
        package: "orchestrator-service",
        example: "prove-budget",
        needs_program: false,
    },
];

/// Runs the chore.
///
/// # Errors
/// When there is no such proof, it does not build, or it fails.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        bail!("which proof?\n{}", help());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", help());
        return Ok(());
    }
    if name == "properties" {
        return crate::properties::run(tree, rest);
    }
    let Some(proof) = PROOFS.iter().find(|proof| proof.name == name) else {
        bail!("there is no proof `{name}`\n{}", help());
    };
    let mut run = tree.command("cargo");
    run.args(["run", "--quiet", "--release", "--package", proof.package]);
    run.args(["--example", proof.example, "--", name]);
    if proof.needs_program {
        let mut build = tree.command("cargo");
        build.args(["build", "--quiet", "--release", "--package", "orchestrator-cli"]);
        finish(build, "building the program")?;
        let programs = tree.members()?.target_directory.join("release");
        run.arg("--binary").arg(programs.join("orchestrator"));
    }
    run.args(rest);
    finish(run, &format!("prove {name}"))
}

/// Waits for a command and refuses any end but success.
fn finish(mut command: Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {what}"))?;
    if !status.success() {
        bail!("{what} failed");
    }
    Ok(())
}

fn help() -> String {
    let lines = PROOFS.iter().map(|proof| format!("  {:<10}  {}", proof.name, proof.does));
    let properties = "  properties  the properties over random histories [--cases N] [--seed S]";
    let lines: Vec<String> = lines.chain([properties.to_owned()]).collect();
    format!("cargo xtask prove WHAT [--json]\n{}", lines.join("\n"))
}
