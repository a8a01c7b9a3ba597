//! `cargo xtask test`: installs what the tests need, runs every test and doctest, counts them.

use crate::{
    properties,
    summary::{self, Count},
    tree::Tree,
};
use anyhow::{Context as _, Result, bail};
use cargo_metadata::TargetKind;
use std::{
    io::{BufRead as _, BufReader, IsTerminal as _, Read, Write},
    process::{Command, Stdio},
};

/// Scripts that install something that a test needs and that is not part of the repository.
///
/// Each is run before the tests; it must be quick when there is nothing to do.
const INSTALLERS: &[&str] =
    &["scripts/sarif-schema", "scripts/keyring", "scripts/bubblewrap", "scripts/git-lfs"];

/// Runs the chore. Arguments go to the runner: packages with `-p`, parts of
/// names to filter by, options as one word each.
///
/// # Errors
/// When something that the tests need is missing in CI, when a test fails, or when none ran.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    install(tree)?;
    let scope = Scope::of(arguments)?;
    let mut total = tests(tree, &scope)?;
    total += doctests(tree, &scope)?;
    // The last line of all, alone on its line, in a form that scripts rely on.
    println!("{total}");
    if total.failed > 0 {
        bail!("{} of {} tests failed", total.failed, total.failed + total.passed);
    }
    if total.is_empty() {
        bail!("no test ran; nothing matches `{}`", arguments.join(" "));
    }
    Ok(())
}

fn install(tree: &Tree) -> Result<()> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    for script in INSTALLERS {
        let status = tree
            .command(&tree.path(script).to_string_lossy())
            // The scripts print the place of what they installed, which is for callers to read.
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("cannot start {script}"));
        let problem = match status {
            Ok(status) if status.success() => continue,
            Ok(status) => format!("{script} ended with {status}"),
            Err(error) => format!("{error:#}"),
        };
        if in_ci {
            bail!("{problem}; the tests need what it installs");
        }
        eprintln!("warning: {problem}; a test that needs what it installs will fail and say so");
    }
    Ok(())
}

/// What is to be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    /// The packages that were named; all when none was.
    packages: Vec<String>,
    /// Options for the runner.
    options: Vec<String>,
    /// Parts of the names of the tests to run; all when there is none.
    filters: Vec<String>,
}

impl Scope {
    fn of(arguments: &[String]) -> Result<Self> {
        let mut scope = Self { packages: Vec::new(), options: Vec::new(), filters: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if matches!(argument.as_str(), "-p" | "--package") {
                let package = arguments.next().context("`-p` needs the name of a package")?;
                scope.packages.push(package.clone());
            } else if let Some(package) = argument.strip_prefix("--package=") {
                scope.packages.push(package.to_owned());
            } else if argument.starts_with('-') {
                scope.options.push(argument.clone());
            } else {
                scope.filters.push(argument.clone());
            }
        }
        Ok(scope)
    }

    fn packages(&self) -> Vec<&str> {
        match self.packages.as_slice() {
            [] => vec!["--workspace"],
            named => named.iter().flat_map(|name| ["-p", name.as_str()]).collect(),
        }
    }

    /// Adds it to a `cargo test`, which takes one name itself and any number behind `--`.
    fn give(&self, command: &mut Command) {
        command.args(self.packages()).args(&self.options).arg("--").args(&self.filters);
    }
}

fn tests(tree: &Tree, scope: &Scope) -> Result<Count> {
    let has_nextest = tree.output("cargo", &["nextest", "--version"]).is_ok();
    let mut command = tree.command("cargo");
    if has_nextest {
        command.args(["nextest", "run", "--no-fail-fast", "--no-tests=pass"]);
        command.args(scope.packages()).args(&scope.options).args(&scope.filters);
    } else {
        // The targets that nextest takes by default, so that both runners count alike: `--tests` is
        // every library, program and file of tests. Benchmarks are compiled by clippy and measured
        // by `cargo bench`; they are not tests.
        command.args(["test", "--no-fail-fast", "--tests", "--examples"]);
        scope.give(&mut command);
    }
    counted(&mut command)
}

fn doctests(tree: &Tree, scope: &Scope) -> Result<Count> {
    // Cargo refuses `--doc` for a package without a library.
    let libraries: Vec<String> = tree
        .members()?
        .packages
        .iter()
        .filter(|package| scope.packages.is_empty() || scope.packages.contains(&*package.name))
        .filter(|package| package.targets.iter().any(|t| t.is_kind(TargetKind::Lib)))
        .map(|package| package.name.to_string())
        .collect();
    if libraries.is_empty() {
        return Ok(Count::default());
    }
    let scope = Scope { packages: libraries, ..scope.clone() };
    let mut command = tree.command("cargo");
    command.args(["test", "--doc", "--no-fail-fast"]);
    scope.give(&mut command);
    counted(&mut command)
}

/// Runs a test command, shows what it prints as it comes, and counts.
fn counted(command: &mut Command) -> Result<Count> {
    // The same cases of every property each time: `cargo xtask prove properties` looks for others.
    if std::env::var_os(properties::SEED).is_none() {
        command.env(properties::SEED, "1");
    }
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if colour {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Both at once, or a full pipe of one would hold up the other.
    let total = std::thread::scope(|scope| -> Result<Count> {
        let errors = scope.spawn(|| relay(stderr, &mut std::io::stderr()));
        let mut total = relay(stdout, &mut std::io::stdout())?;
        match errors.join() {
            Ok(count) => total += count?,
            Err(_) => bail!("the reader of the test runner's errors panicked"),
        }
        Ok(total)
    });
    let status = child.wait().context("cannot wait for the test runner")?;
    let mut total = total?;
    if !status.success() && total.failed == 0 {
        // It did not compile, or a test program died before its summary.
        eprintln!("error: `{}` ended with {status}", shown(command));
        total.failed = 1;
    }
    Ok(total)
}

/// Copies what comes from `source` to `sink` line by line, and adds up the summaries in it.
fn relay(source: Option<impl Read>, sink: &mut impl Write) -> Result<Count> {
    let mut total = Count::default();
    let Some(source) = source else {
        return Ok(total);
    };
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    while source.read_until(b'\n', &mut line).context("cannot read from the test runner")? > 0 {
        if let Some(count) = summary::read(&String::from_utf8_lossy(&line)) {
            total += count;
        }
        // A reader of ours that went away must not stop the tests.
        let _ = sink.write_all(&line).and_then(|()| sink.flush());
        line.clear();
    }
    Ok(total)
}

fn shown(command: &Command) -> String {
    let arguments = command.get_args().map(|a| a.to_string_lossy().into_owned());
    format!("cargo {}", arguments.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(arguments: &[&str]) -> Result<Scope> {
        Scope::of(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn packages_are_told_from_other_arguments() {
        let check = |arguments: &[&str], packages: &[&str], options: &[&str], filters: &[&str]| {
            let scope = scope(arguments).unwrap();
            assert_eq!(scope.packages(), packages, "{arguments:?}");
            assert_eq!(scope.options, options, "{arguments:?}");
            assert_eq!(scope.filters, filters, "{arguments:?}");
        };
        check(&[], &["--workspace"], &[], &[]);
        check(&["retry", "fold"], &["--workspace"], &[], &["retry", "fold"]);
        check(
            &["-p", "a", "retry", "--package=b", "--release"],
            &["-p", "a", "-p", "b"],
            &["--release"],
            &["retry"],
        );
        assert!(scope(&["-p"]).is_err());
    }

    #[test]
    fn a_relay_passes_everything_on_and_adds_the_summaries_up() {
        let printed = "running 1 test\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
            \u{fffd}\n\
            test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out";
        let mut sink = Vec::new();
        let count = relay(Some(printed.as_bytes()), &mut sink).unwrap();
        assert_eq!(count, Count { passed: 3, failed: 1, skipped: 1 });
        assert_eq!(sink, printed.as_bytes());
    }
}
