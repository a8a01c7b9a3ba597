//! The project's own test commands.

use super::examine::Examined;
use crate::builtin::{
    index::{Class, FileEntry, Index},
    syntax::Syntax,
};
use serde_json::Value;

/// A command that runs tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TestCommand {
    /// The command line, from the project's directory.
    pub(super) command: String,
    /// The file that tells of it.
    pub(super) because: String,
}

/// The most commands that are listed: a large monorepo has one for each of its parts.
const MAX: usize = 40;

/// The test commands: those that the project defines itself first, then those of its tools.
pub(super) fn detect(index: &Index, examined: &[Examined<'_>]) -> Vec<TestCommand> {
    let mut own = Vec::new();
    let mut usual = Vec::new();
    let mut nested_in: Vec<(&str, &str)> = Vec::new();
    for file in index.files() {
        if !matches!(file.class, Class::Own) || file.path.matches('/').count() > 3 {
            continue;
        }
        own.extend(script(file));
        for command in defined(index, file) {
            own.push(at(file, command));
        }
        if let Some((tool, command)) = by_manifest(index, file) {
            // One command of a tool covers what lies below it.
            let covered = nested_in.iter().any(|(other, dir)| {
                *other == tool && (dir.is_empty() || file.path.starts_with(&format!("{dir}/")))
            });
            if !covered {
                nested_in.push((tool, file.dir()));
                usual.push(at(file, command));
            }
        }
    }
    usual.extend(pytest(index, examined));
    own.append(&mut usual);
    let mut seen = std::collections::BTreeSet::new();
    own.retain(|command| seen.insert(command.command.clone()));
    own.truncate(MAX);
    own
}

fn at(file: &FileEntry, command: String) -> TestCommand {
    let command = match file.dir() {
        "" => command,
        dir => format!("(cd {} && {command})", quoted(dir)),
    };
    TestCommand { command, because: file.path.clone() }
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if word.chars().all(is_plain) && !word.starts_with('-') {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// A script of the project that runs its tests; it is called from the root.
fn script(file: &FileEntry) -> Option<TestCommand> {
    let is_named = matches!(file.name(), "test" | "test.sh" | "run-tests" | "run-tests.sh");
    let is_at_place = matches!(file.dir(), "" | "scripts" | "script" | "bin");
    (is_named && is_at_place)
        .then(|| TestCommand { command: format!("./{}", file.path), because: file.path.clone() })
}

/// What the file defines by name.
fn defined(index: &Index, file: &FileEntry) -> Vec<String> {
    let text = || index.read(file).unwrap_or_else(|| "".into());
    match file.name() {
        "package.json" => scripts(index, file, &text()),
        "composer.json" => {
            let has = |root: &Value| root.pointer("/scripts/test").is_some();
            let root = serde_json::from_str::<Value>(&text()).ok();
            root.filter(has).map(|_| "composer test".to_owned()).into_iter().collect()
        }
        "Makefile" | "makefile" | "GNUmakefile" => targets(&text(), "make"),
        "justfile" | "Justfile" | ".justfile" => targets(&text(), "just"),
        "Taskfile.yml" | "Taskfile.yaml" => targets(&text().replace("\n  ", "\n"), "task"),
        "tox.ini" => vec!["tox".to_owned()],
        "noxfile.py" => vec!["nox".to_owned()],
        _ => Vec::new(),
    }
}

fn scripts(index: &Index, file: &FileEntry, text: &str) -> Vec<String> {
    let Ok(root) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    let has = |name: &str| {
        let here =
            if file.dir().is_empty() { name.to_owned() } else { format!("{}/{name}", file.dir()) };
        index.file(&here).is_some() || index.file(name).is_some()
    };
    let tool = if has("pnpm-lock.yaml") {
        "pnpm"
    } else if has("yarn.lock") {
        "yarn"
    } else if has("bun.lock") || has("bun.lockb") {
        "bun run"
    } else {
        "npm"
    };
    let mut found = Vec::new();
    for (name, script) in root.get("scripts").and_then(Value::as_object).into_iter().flatten() {
        // What `npm init` writes is no test.
        let is_real =
            script.as_str().is_some_and(|s| !s.is_empty() && !s.contains("no test specified"));
        if !is_real {
            continue;
        }
        if name == "test" {
            found.insert(0, format!("{tool} test"));
        } else if name.starts_with("test:") && !name.contains("watch") {
            let run = if tool == "npm" { "npm run" } else { tool };
            found.push(format!("{run} {}", quoted(name)));
        }
    }
    found
}

/// Targets of a makefile or of what is written like one.
fn targets(text: &str, tool: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((target, rest)) = line.split_once(':') else {
            continue;
        };
        // A variable is no target; parameters may follow the name in a justfile.
        if rest.starts_with('=') || line.starts_with(['\t', ' ', '#', '.']) {
            continue;
        }
        for name in target.split_whitespace().take(if tool == "make" { 8 } else { 1 }) {
            if matches!(name, "test" | "tests" | "check" | "unittest" | "test-all" | "tests-all") {
                let command = format!("{tool} {name}");
                if !found.contains(&command) {
                    found.push(command);
                }
            }
        }
    }
    found
}

/// What a tool runs that the file sets up, with the tool's name.
fn by_manifest(index: &Index, file: &FileEntry) -> Option<(&'static str, String)> {
    let beside = |name: &str| {
        let path =
            if file.dir().is_empty() { name.to_owned() } else { format!("{}/{name}", file.dir()) };
        index.file(&path).is_some()
    };
    let text = || index.read(file).unwrap_or_else(|| "".into());
    Some(match file.name() {
        "Cargo.toml" if text().contains("[workspace]") => {
            ("cargo", "cargo test --workspace".to_owned())
        }
        "Cargo.toml" => ("cargo", "cargo test".to_owned()),
        "go.mod" => ("go", "go test ./...".to_owned()),
        "pom.xml" if beside("mvnw") => ("maven", "./mvnw test".to_owned()),
        "pom.xml" => ("maven", "mvn test".to_owned()),
        "build.gradle" | "build.gradle.kts" if beside("gradlew") => {
            ("gradle", "./gradlew test".to_owned())
        }
        "build.gradle" | "build.gradle.kts" => ("gradle", "gradle test".to_owned()),
        ".rspec" => ("rspec", "bundle exec rspec".to_owned()),
        "Rakefile" if text().contains("TestTask") => ("rake", "bundle exec rake test".to_owned()),
        "phpunit.xml" | "phpunit.xml.dist" => ("phpunit", "vendor/bin/phpunit".to_owned()),
        "mix.exs" => ("mix", "mix test".to_owned()),
        "Package.swift" => ("swift", "swift test".to_owned()),
        "pubspec.yaml" => ("dart", "dart test".to_owned()),
        name if name.ends_with(".sln") => ("dotnet", "dotnet test".to_owned()),
        name if name.ends_with(".csproj") && text().contains("Microsoft.NET.Test.Sdk") => {
            ("dotnet", "dotnet test".to_owned())
        }
        _ => return None,
    })
}

/// Python names its runner in one of several files, or in none.
fn pytest(index: &Index, examined: &[Examined<'_>]) -> Option<TestCommand> {
    for (path, marks) in [
        ("pytest.ini", &["[pytest]"] as &[&str]),
        ("pyproject.toml", &["[tool.pytest", "pytest"]),
        ("setup.cfg", &["[tool:pytest]"]),
        ("requirements-dev.txt", &["pytest"]),
    ] {
        let text = index.file(path).and_then(|file| index.read(file));
        if text.is_some_and(|text| marks.iter().any(|mark| text.contains(mark))) {
            return Some(TestCommand { command: "pytest".to_owned(), because: path.to_owned() });
        }
    }
    let mut tests = examined.iter().filter(|e| e.syntax == Syntax::Python && e.tests > 0);
    let first = tests.next()?;
    // Functions outside of classes are tests for pytest alone.
    let command = if first.imports_unittest && !first.path.contains("conftest") {
        "python -m unittest discover"
    } else {
        "pytest"
    };
    Some(TestCommand { command: command.to_owned(), because: first.path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::{fixture::Tree, qa::examine::examine};
    use std::sync::atomic::AtomicBool;

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let index = Tree::new(files).index();
        let examined: Vec<_> = index
            .scan(&AtomicBool::new(false), |_| true, examine)
            .into_iter()
            .filter_map(|(_, examined)| examined)
            .collect();
        let found: Vec<_> = detect(&index, &examined).into_iter().map(|c| c.command).collect();
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn each_ecosystem_has_its_command() {
        check(&[("Cargo.toml", "[package]")], &["cargo test"]);
        check(
            &[("Cargo.toml", "[workspace]"), ("a/Cargo.toml", "[package]")],
            &["cargo test --workspace"],
        );
        check(&[("a b/Cargo.toml", "[package]")], &["(cd 'a b' && cargo test)"]);
        check(&[("package.json", r#"{"scripts":{"test":"jest"}}"#)], &["npm test"]);
        check(
            &[
                ("package.json", r#"{"scripts":{"test:e2e":"x","test":"y"}}"#),
                ("pnpm-lock.yaml", ""),
            ],
            &["pnpm test", "pnpm test:e2e"],
        );
        check(
            &[(
                "package.json",
                r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#,
            )],
            &[],
        );
        check(&[("pyproject.toml", "[tool.pytest.ini_options]")], &["pytest"]);
        check(&[("tox.ini", "[tox]")], &["tox"]);
        check(&[("test_a.py", "def test_a():\n    assert 1\n")], &["pytest"]);
        check(
            &[(
                "test_a.py",
                "import unittest\nclass A(unittest.TestCase):\n    def test_a(self):\n        pass\n",
            )],
            &["python -m unittest discover"],
        );
        check(&[("go.mod", "module a")], &["go test ./..."]);
        check(&[("pom.xml", "<project/>"), ("mvnw", "#!")], &["./mvnw test"]);
        check(&[("build.gradle.kts", "")], &["gradle test"]);
        check(&[(".rspec", "")], &["bundle exec rspec"]);
        check(&[("phpunit.xml.dist", "")], &["vendor/bin/phpunit"]);
        check(&[("A.sln", "")], &["dotnet test"]);
        check(&[("Makefile", "VAR:=1\nbuild:\n\tx\ntest: build\n\ty\n")], &["make test"]);
        check(&[("justfile", "test *args:\n  x\n")], &["just test"]);
        check(&[("scripts/test", "#!/bin/sh\n")], &["./scripts/test"]);
        check(&[("README.md", "test: yes")], &[]);
    }
}
