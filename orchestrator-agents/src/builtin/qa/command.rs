//! The project's own test commands.

use super::examine::Examined;
use crate::builtin::index::{Class, FileEntry, Index};
use orchestrator_workspace::recognise::Syntax;
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
    // From the top down, so that what covers the rest is met first.
    let mut files: Vec<&FileEntry> = index.files().iter().collect();
    files.sort_by_key(|file| file.path.matches('/').count());
    for file in files {
        let is_near = file.path.matches('/').count() <= 3;
        if is_near && matches!(file.class, Class::Own | Class::Test) {
            own.extend(script(index, file));
        }
        if file.class != Class::Own || !is_near {
            continue;
        }
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
    own.append(&mut usual);
    let has_python = own.iter().any(|command| Language::of(&command.command) == Language::Python);
    if !has_python {
        own.extend(python(examined));
    }
    // What tests the language of most of the project first, then what lies nearest to its root.
    let main = main_language(examined);
    own.sort_by_key(|command| {
        let language = Language::of(&command.command);
        let is_other = main.is_some_and(|main| language != main && language != Language::Any);
        (is_other, command.because.matches('/').count())
    });
    let mut seen = std::collections::BTreeSet::new();
    own.retain(|command| seen.insert(command.command.clone()));
    own.truncate(MAX);
    own
}

/// What a command tests, as far as its tool tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Language {
    Any,
    Rust,
    Python,
    Go,
    Script,
    Jvm,
    DotNet,
    Ruby,
    Php,
    Swift,
    Native,
    Elixir,
    Dart,
}

impl Language {
    fn of(command: &str) -> Self {
        let tool = command.rsplit("&& ").next().unwrap_or(command);
        match tool.split(' ').next().unwrap_or_default() {
            "cargo" => Self::Rust,
            "python" | "pytest" | "tox" | "nox" => Self::Python,
            "go" => Self::Go,
            "npm" | "pnpm" | "yarn" | "bun" => Self::Script,
            "mvn" | "./mvnw" | "gradle" | "./gradlew" => Self::Jvm,
            "dotnet" => Self::DotNet,
            "bundle" | "rspec" | "rake" => Self::Ruby,
            "composer" | "vendor/bin/phpunit" => Self::Php,
            "swift" => Self::Swift,
            "ctest" => Self::Native,
            "mix" => Self::Elixir,
            "dart" => Self::Dart,
            _ => Self::Any,
        }
    }

    fn spoken(syntax: Syntax) -> Self {
        match syntax {
            Syntax::Rust => Self::Rust,
            Syntax::Python => Self::Python,
            Syntax::Go => Self::Go,
            Syntax::JavaScript | Syntax::TypeScript => Self::Script,
            Syntax::Java | Syntax::Kotlin | Syntax::Scala => Self::Jvm,
            Syntax::CSharp => Self::DotNet,
            Syntax::Ruby => Self::Ruby,
            Syntax::Php => Self::Php,
            Syntax::Swift => Self::Swift,
            Syntax::C | Syntax::Cpp => Self::Native,
            Syntax::Elixir => Self::Elixir,
            Syntax::Dart => Self::Dart,
        }
    }
}

/// The language of most lines, of tests and of code alike.
fn main_language(examined: &[Examined<'_>]) -> Option<Language> {
    let mut lines: std::collections::BTreeMap<Language, usize> = std::collections::BTreeMap::new();
    for file in examined {
        *lines.entry(Language::spoken(file.syntax)).or_default() +=
            file.code_lines + file.test_lines;
    }
    lines.into_iter().max_by_key(|(_, lines)| *lines).map(|(language, _)| language)
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
fn script(index: &Index, file: &FileEntry) -> Option<TestCommand> {
    let dir = file.dir();
    let here = dir.strip_prefix(index.home()).unwrap_or(dir).trim_start_matches('/');
    let is_at_place = match file.name() {
        "test" | "test.sh" => matches!(here, "" | "scripts" | "script" | "bin"),
        "run-tests" | "run-tests.sh" | "run-tests.py" | "run_tests.sh" | "run_tests.py"
        | "runtest" | "runtest.sh" | "runtests" | "runtests.sh" | "runtests.py" => {
            matches!(here, "" | "scripts" | "script" | "bin" | "test" | "tests")
        }
        _ => false,
    };
    let command = if file.extension() == "py" {
        format!("python {}", quoted(&file.path))
    } else {
        format!("./{}", quoted(&file.path))
    };
    is_at_place.then(|| TestCommand { command, because: file.path.clone() })
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
    let with_bundler = |command: &str| {
        let prefix = if beside("Gemfile") { "bundle exec " } else { "" };
        format!("{prefix}{command}")
    };
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
        "pytest.ini" => ("pytest", "pytest".to_owned()),
        "pyproject.toml" | "requirements-dev.txt" if text().contains("pytest") => {
            ("pytest", "pytest".to_owned())
        }
        "setup.cfg" if text().contains("[tool:pytest]") => ("pytest", "pytest".to_owned()),
        ".rspec" => ("rspec", with_bundler("rspec")),
        "Rakefile" if text().contains("TestTask") => ("rake", with_bundler("rake test")),
        "phpunit.xml" | "phpunit.xml.dist" => ("phpunit", "vendor/bin/phpunit".to_owned()),
        "configure.ac" if has_automake_tests(index, file) => {
            let prepare = if beside("configure") { "" } else { "autoreconf -i && " };
            ("autotools", format!("{prepare}./configure && make check"))
        }
        "CMakeLists.txt" if text().contains("enable_testing(") || text().contains("(CTest)") => {
            ("cmake", "cmake -B build && cmake --build build && ctest --test-dir build".to_owned())
        }
        "meson.build" if text().lines().any(|line| line.trim_start().starts_with("test(")) => {
            ("meson", "meson setup build && meson test -C build".to_owned())
        }
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

/// Whether the makefile beside a `configure.ac` has tests for `make check`.
fn has_automake_tests(index: &Index, file: &FileEntry) -> bool {
    let path = match file.dir() {
        "" => "Makefile.am".to_owned(),
        dir => format!("{dir}/Makefile.am"),
    };
    let text = index.file(&path).and_then(|file| index.read(file));
    text.is_some_and(|text| {
        text.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with("TESTS") || line.starts_with("check-local:")
        })
    })
}

/// What the tests of Python themselves ask for, where nothing else does.
fn python(examined: &[Examined<'_>]) -> Option<TestCommand> {
    let first = examined.iter().find(|e| e.syntax == Syntax::Python && e.tests > 0)?;
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
        check(&[(".rspec", ""), ("Gemfile", "")], &["bundle exec rspec"]);
        check(&[("Rakefile", "Rake::TestTask.new")], &["rake test"]);
        check(&[("api/pyproject.toml", "[tool.pytest.ini_options]")], &["(cd api && pytest)"]);
        check(&[("phpunit.xml.dist", "")], &["vendor/bin/phpunit"]);
        check(&[("A.sln", "")], &["dotnet test"]);
        check(&[("Makefile", "VAR:=1\nbuild:\n\tx\ntest: build\n\ty\n")], &["make test"]);
        check(&[("justfile", "test *args:\n  x\n")], &["just test"]);
        check(&[("scripts/test", "#!/bin/sh\n")], &["./scripts/test"]);
        check(&[("README.md", "test: yes")], &[]);
        check(
            &[("configure.ac", ""), ("Makefile.am", "TESTS = tests/a\n")],
            &["autoreconf -i && ./configure && make check"],
        );
        check(&[("configure.ac", ""), ("Makefile.am", "bin_PROGRAMS = a\n")], &[]);
        check(
            &[("CMakeLists.txt", "include(CTest)\n")],
            &["cmake -B build && cmake --build build && ctest --test-dir build"],
        );
        check(&[("CMakeLists.txt", "add_executable(a a.c)\n")], &[]);
        check(&[("runtest", "#!/bin/sh\n")], &["./runtest"]);
        check(&[("src/test", "#!/bin/sh\n")], &[]);
        check(&[("tests/runtests.py", "import sys\n")], &["python tests/runtests.py"]);
        check(
            &[("a-1.0/pytest.ini", "[pytest]"), ("a-1.0/README", "x")],
            &["(cd a-1.0 && pytest)"],
        );
    }

    #[test]
    fn the_command_for_most_of_the_project_comes_first() {
        let test = ("tests/test_a.py", "import unittest\ndef test_a():\n    assert 1\n");
        check(
            &[test, ("package.json", r#"{"scripts":{"test":"jest"}}"#), ("tox.ini", "")],
            &["tox", "npm test"],
        );
        check(&[("extra/phpunit.xml", ""), ("phpunit.xml.dist", "")], &["vendor/bin/phpunit"]);
        check(
            &[("deps/a/Makefile", "test:\n"), ("lib/Makefile", "test:\n"), ("runtest", "")],
            &["./runtest", "(cd lib && make test)"],
        );
    }
}
