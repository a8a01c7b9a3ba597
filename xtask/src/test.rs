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
const INSTALLERS: &[Installer] = &[
    Installer { script: "scripts/sarif-schema", package: None },
    Installer { script: "scripts/keyring", package: None },
    Installer { script: "scripts/bubblewrap", package: None },
    Installer { script: "scripts/git-lfs", package: None },
    // A gigabyte, which only the adapters are tried with.
    Installer { script: "scripts/coding-clis", package: Some("orchestrator-agents") },
];

/// How the names of the variables begin that an installer may print for the tests, one a line with
/// its value: `ORCHESTRATOR_TEST_CODEX=/path/of/codex`.
const FOR_TESTS: &str = "ORCHESTRATOR_TEST_";

struct Installer {
    script: &'static str,
    /// The package whose tests need it; any when there is none.
    package: Option<&'static str>,
}

/// Runs the chore. Arguments go to the runner: packages with `-p`, parts of
/// names to filter by, options as one word each.
///
/// # Errors
/// When something that the tests need is missing in CI, when a test fails, or when none ran.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    let scope = Scope::of(arguments)?;
    let variables = install(tree, &scope)?;
    let mut total = tests(tree, &scope, &variables)?;
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

/// Installs what the tests of `scope` need, and returns the variables that they read.
fn install(tree: &Tree, scope: &Scope) -> Result<Vec<(String, String)>> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    let mut variables = Vec::new();
    for Installer { script, package } in INSTALLERS {
        if package.is_some_and(|package| !scope.has(package)) {
            continue;
        }
        let output = tree
            .command(&tree.path(script).to_string_lossy())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {script}"));
        let problem = match output {
            Ok(output) if output.status.success() => {
                variables.extend(for_tests(&String::from_utf8_lossy(&output.stdout)));
                continue;
            }
            Ok(output) => format!("{script} ended with {}", output.status),
            Err(error) => format!("{error:#}"),
        };
        if in_ci {
            bail!("{problem}; the tests need what it installs");
        }
        eprintln!(
            "warning: {problem}; a test that needs what it installs will fail, or not run, and say so"
        );
    }
    Ok(variables)
}

/// The variables for the tests among what an installer printed.
fn for_tests(printed: &str) -> impl Iterator<Item = (String, String)> {
    let variables = printed.lines().filter(|line| line.starts_with(FOR_TESTS));
    variables
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
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

    /// Whether tests of `package` are among it.
    fn has(&self, package: &str) -> bool {
        self.packages.is_empty() || self.packages.iter().any(|named| named == package)
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

fn tests(tree: &Tree, scope: &Scope, variables: &[(String, String)]) -> Result<Count> {
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
    command.envs(variables.iter().map(|(name, value)| (name, value)));
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
    fn what_only_one_package_needs_is_installed_for_it_alone() {
        assert!(scope(&[]).unwrap().has("a"));
        assert!(scope(&["-p", "a", "retry"]).unwrap().has("a"));
        assert!(!scope(&["--package=b"]).unwrap().has("a"));
    }

    #[test]
    fn variables_for_the_tests_are_told_from_other_lines() {
        let printed = "/some/place\nORCHESTRATOR_TEST_A=/of/a b=c\nPATH=/x\nORCHESTRATOR_TEST_B\n";
        let variables: Vec<_> = for_tests(printed).collect();
        assert_eq!(variables, [("ORCHESTRATOR_TEST_A".to_owned(), "/of/a b=c".to_owned())]);
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
