//! What there is to run: every test by its full name, and every target of every package.

use crate::tree::Tree;
use anyhow::{Context as _, Result, bail};
use cargo_metadata::{Message, Metadata, TargetKind};
use std::{
    collections::{BTreeSet, HashMap},
    io::BufReader,
    process::{Command, Stdio},
};

/// The full names of all tests: `package::module::test` for those in a library or a program,
/// `package::file::module::test` for those under `tests/`; hyphens are written as underscores.
///
/// Builds the test programs exactly as the test runners do, so that nothing is compiled again
/// after a test run, and asks each for its list.
///
/// # Errors
/// When the tests do not compile or a test program cannot list its tests.
pub(crate) fn tests(tree: &Tree, metadata: &Metadata) -> Result<BTreeSet<String>> {
    let mut build = tree
        .command("cargo")
        .args(["test", "--quiet", "--workspace", "--no-run", "--message-format", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start `cargo test --no-run`")?;
    let packages: HashMap<_, _> = metadata.packages.iter().map(|p| (&p.id, p)).collect();
    let stdout = build.stdout.take().context("`cargo test --no-run` has no output")?;
    let mut programs = Vec::new();
    for message in Message::parse_stream(BufReader::new(stdout)) {
        let Message::CompilerArtifact(artifact) = message.context("cannot read from cargo")? else {
            continue;
        };
        let (Some(program), Some(package), true) =
            (artifact.executable, packages.get(&artifact.package_id), artifact.profile.test)
        else {
            continue;
        };
        let is_own_file = artifact.target.is_kind(TargetKind::Test);
        let prefix = prefix(&package.name, is_own_file.then_some(&*artifact.target.name));
        programs.push((prefix, program, package.manifest_path.parent().map(ToOwned::to_owned)));
    }
    let status = build.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("the tests do not compile");
    }
    let mut names = BTreeSet::new();
    for (prefix, program, directory) in programs {
        let mut command = Command::new(&program);
        command.args(["--list", "--format", "terse"]);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let output = command.output().with_context(|| format!("cannot start {program}"))?;
        if !output.status.success() {
            bail!("{program} cannot list its tests: {}", output.status);
        }
        names.extend(listed(&prefix, &String::from_utf8_lossy(&output.stdout)));
    }
    Ok(names)
}

fn prefix(package: &str, file: Option<&str>) -> String {
    let prefix = match file {
        Some(file) => format!("{package}::{file}"),
        None => package.to_owned(),
    };
    prefix.replace('-', "_")
}

fn listed(prefix: &str, output: &str) -> Vec<String> {
    output
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(|name| format!("{prefix}::{name}"))
        .collect()
}

/// Whether `package` has a target of `kind` called `name`.
pub(crate) fn has_target(metadata: &Metadata, package: &str, kind: &str, name: &str) -> bool {
    let kind = match kind {
        "bench" => TargetKind::Bench,
        "bin" => TargetKind::Bin,
        "example" => TargetKind::Example,
        "test" => TargetKind::Test,
        _ => return false,
    };
    let mut packages = metadata.packages.iter().filter(|p| *p.name == package);
    packages.any(|p| p.targets.iter().any(|t| t.is_kind(kind.clone()) && *t.name == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_where_a_test_is() {
        let check = |package, file, expected| assert_eq!(prefix(package, file), expected);
        check("orchestrator-core", None, "orchestrator_core");
        check("orchestrator-cli", Some("kill-and-resume"), "orchestrator_cli::kill_and_resume");
    }

    #[test]
    fn every_test_of_a_workspace_is_found() {
        const TEST: &str = "#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {}\n}\n";
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("Cargo.toml", "[workspace]\nmembers = [\"one-crate\"]\nresolver = \"3\"\n"),
            (
                "one-crate/Cargo.toml",
                "[package]\nname = \"one-crate\"\nversion = \"0.0.0\"\nedition = \"2024\"\n",
            ),
            ("one-crate/src/lib.rs", TEST),
            (
                "one-crate/src/bin/tool.rs",
                &format!("fn main() {{}}\n{}", TEST.replace("adds", "runs")),
            ),
            ("one-crate/tests/whole-way.rs", "#[test]\nfn goes() {}\n"),
        ] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = Tree::at(directory.path());
        let metadata = tree.members().unwrap();
        let found: Vec<String> = tests(&tree, &metadata).unwrap().into_iter().collect();
        assert_eq!(
            found,
            ["one_crate::tests::adds", "one_crate::tests::runs", "one_crate::whole_way::goes"]
        );
        assert!(has_target(&metadata, "one-crate", "bin", "tool"));
        assert!(has_target(&metadata, "one-crate", "test", "whole-way"));
        assert!(!has_target(&metadata, "one-crate", "bench", "tool"));
    }

    #[test]
    fn benchmarks_and_empty_lines_are_no_tests() {
        let listed = listed("a", "b::c: test\nd: benchmark\n\ne: test\n");
        assert_eq!(listed, ["a::b::c", "a::e"]);
    }
}
