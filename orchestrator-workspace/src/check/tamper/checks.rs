//! What runs the checks: scripts, configuration of test tools, continuous integration.

use super::{Context, FileChange, Found};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use orchestrator_core::workspace::FindingKind::CheckChanged;
use serde_json::Value;

/// Files of these names, in lower case, run or configure checks wherever they are.
const NAMES: [&str; 52] = [
    ".eslintignore",
    ".gitlab-ci.yml",
    ".golangci.yml",
    ".golangci.yaml",
    ".npmrc",
    ".nycrc",
    ".nycrc.json",
    ".pnpmfile.cjs",
    ".coveragerc",
    ".python-version",
    ".ruff.toml",
    ".tool-versions",
    ".travis.yml",
    ".yarnrc.yml",
    ".nvmrc",
    ".envrc",
    "azure-pipelines.yml",
    "bunfig.toml",
    "clippy.toml",
    ".clippy.toml",
    "conftest.py",
    "gnumakefile",
    "jenkinsfile",
    "justfile",
    ".justfile",
    "karma.conf.js",
    "lefthook.yml",
    "makefile",
    "mypy.ini",
    "nextest.toml",
    "noxfile.py",
    "phpunit.xml",
    "phpunit.xml.dist",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    "rakefile",
    ".rspec",
    "ruff.toml",
    "runtests.py",
    "rust-toolchain",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "setup.cfg",
    "spec_helper.rb",
    "rails_helper.rb",
    "taskfile.yml",
    "taskfile.yaml",
    "tox.ini",
    "test_helper.exs",
    "wallaby.js",
    "pre-commit-config.yaml",
];

/// Names that begin so, in lower case, configure test tools of scripts.
const PREFIXES: [&str; 14] = [
    ".babelrc",
    ".eslintrc",
    ".mocharc",
    ".taprc",
    ".pre-commit-config",
    "ava.config.",
    "babel.config.",
    "cypress.config.",
    "eslint.config.",
    "jest.config.",
    "jest.setup.",
    "playwright.config.",
    "vitest.",
    "vite.config.",
];

/// Directories that hold automation or the settings of the orchestrator itself.
const PLACES: [&str; 7] = [
    ".github/workflows/",
    ".github/actions/",
    ".circleci/",
    ".buildkite/",
    ".cargo/",
    ".config/nextest",
    ".orchestrator/",
];

/// Whether the file at `path` runs or configures checks, by its name or place.
pub fn is_check_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    NAMES.contains(&name.as_str())
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.ends_with(".mk")
        || PLACES.iter().any(|place| path.starts_with(place) || path.contains(&format!("/{place}")))
}

pub(super) fn inspect(changes: &[FileChange], context: &Context<'_>, found: &mut Found) {
    let protected = protected(context.protect);
    for change in changes {
        let paths = [Some(change.path.as_str()), change.from.as_deref()];
        let mut is_told = false;
        for path in paths.into_iter().flatten() {
            if is_told {
                break;
            }
            let words = if is_protected(&protected, path) {
                Some("a protected file was changed".to_owned())
            } else if let Some(command) = names(context.commands, path) {
                Some(format!("the check `{command}` runs this file, which was changed"))
            } else if is_check_file(path) {
                Some("what runs or configures checks was changed".to_owned())
            } else {
                part(path, change)
            };
            if let Some(words) = words {
                found.block(CheckChanged, path, words);
                is_told = true;
            }
        }
        let name = change.path.rsplit('/').next().unwrap_or_default();
        if !is_told && matches!(name, "build.rs" | "setup.py" | "binding.gyp") {
            found.flag(CheckChanged, &change.path, "what runs while it is built was changed");
        }
        if !is_told && matches!(name, ".gitignore" | ".dockerignore") {
            found.flag(CheckChanged, &change.path, "which files git keeps was changed");
        }
    }
}

fn protected(patterns: &[String]) -> Option<Gitignore> {
    if patterns.is_empty() {
        return None;
    }
    let mut builder = GitignoreBuilder::new("/");
    for pattern in patterns {
        // What is no pattern protects the path that it is.
        if builder.add_line(None, pattern).is_err() {
            tracing::warn!(pattern, "a pattern of protected files cannot be read");
        }
    }
    builder.build().ok()
}

fn is_protected(protected: &Option<Gitignore>, path: &str) -> bool {
    protected
        .as_ref()
        .is_some_and(|all| all.matched_path_or_any_parents(format!("/{path}"), false).is_ignore())
}

/// The command that runs the file at `path`: `./scripts/test.sh`, `sh scripts/test.sh -v`. A file
/// that a command is only given to look at is what is proved, and not what proves it.
fn names<'a>(commands: &'a [String], path: &str) -> Option<&'a str> {
    const RUNNERS: [&str; 16] = [
        ".", "bash", "bun", "dash", "deno", "exec", "ksh", "node", "perl", "php", "python",
        "python3", "ruby", "sh", "source", "zsh",
    ];
    let is_it = |word: &str| {
        let word = word.trim_start_matches("./");
        !word.is_empty()
            && path.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    let runs = |command: &str| {
        let mut words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        let program =
            words.find(|word| !word.contains('=') && !matches!(*word, "env" | "time" | "!"));
        let Some(program) = program else { return false };
        let name = program.rsplit('/').next().unwrap_or(program);
        // Without a slash it is looked for in `PATH`.
        program.contains('/') && is_it(program)
            || RUNNERS.contains(&name)
                && words.find(|word| !word.starts_with('-') && *word != "run").is_some_and(is_it)
    };
    let parts = |line: &'a str| line.split([';', '|', '&', '(', ')', '`', '\n']);
    commands
        .iter()
        .map(String::as_str)
        .find(|line| parts(line).any(runs) || parts(line).any(|part| quoted(part).any(runs)))
}

/// What stands in quotes: the line of `sh -c '...'`.
fn quoted(part: &str) -> impl Iterator<Item = &str> {
    part.split(['\'', '"']).skip(1).step_by(2)
}

/// Files of which only a part is about checks.
fn part(path: &str, change: &FileChange) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (old, new) = (change.old_text(), change.new_text());
    let (what, is_changed) = match name {
        "package.json" => ("scripts or test settings", package(&old) != package(&new)),
        "pyproject.toml" => ("settings of checks", tables(&old, python) != tables(&new, python)),
        "Cargo.toml" => ("test targets or profiles", cargo(&old) != cargo(&new)),
        "deno.json" | "deno.jsonc" | "composer.json" => ("tasks", package(&old) != package(&new)),
        _ => return None,
    };
    is_changed.then(|| format!("{what} were changed"))
}

/// What of a `package.json` runs or configures checks. A text that cannot be read is its own.
fn package(text: &str) -> Value {
    const KEYS: [&str; 12] = [
        "ava",
        "babel",
        "c8",
        "jest",
        "mocha",
        "nyc",
        "overrides",
        "resolutions",
        "scripts",
        "tap",
        "tasks",
        "vitest",
    ];
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(map)) => {
            // A package that does not come from a registry may stand in for a test tool.
            let elsewhere: Vec<String> = ["dependencies", "devDependencies"]
                .iter()
                .filter_map(|key| map.get(*key)?.as_object())
                .flatten()
                .filter_map(|(name, from)| Some((name, from.as_str()?)))
                .filter(|(_, from)| from.contains(':') || from.contains('/'))
                .map(|(name, from)| format!("{name} {from}"))
                .collect();
            let mut kept: serde_json::Map<_, _> = map
                .into_iter()
                .filter(|(key, value)| {
                    KEYS.contains(&key.as_str())
                        && value.as_object().is_none_or(|map| !map.is_empty())
                })
                .collect();
            if !elsewhere.is_empty() {
                kept.insert(" elsewhere".into(), elsewhere.into());
            }
            kept.into()
        }
        _ if text.trim().is_empty() => Value::Object(serde_json::Map::new()),
        _ => Value::String(text.to_owned()),
    }
}

fn python(header: &str) -> bool {
    let header = header.trim_matches(['[', ']', ' ']);
    [
        "tool.pytest",
        "tool.coverage",
        "tool.tox",
        "tool.nox",
        "tool.hatch.envs",
        "tool.ruff",
        "tool.mypy",
        "tool.pyright",
        "tool.poe",
        "tool.pdm.scripts",
        "tool.taskipy",
        "build-system",
        "project.entry-points",
        "tool.poetry.plugins",
        "tool.pixi",
    ]
    .iter()
    .any(|table| header.starts_with(table))
}

/// The lines of the tables of a TOML text whose headers are wanted.
fn tables(text: &str, is_wanted: fn(&str) -> bool) -> Vec<&str> {
    let mut is_in = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') && line.ends_with(']') {
            is_in = is_wanted(line);
        }
        // A key with dots says the same at the top.
        if (is_in || is_wanted(line)) && !line.is_empty() && !line.starts_with('#') {
            lines.push(line);
        }
    }
    lines
}

fn cargo(text: &str) -> (Vec<&str>, Vec<&str>) {
    let wanted = |header: &str| {
        let header = header.trim_matches(['[', ']', ' ']);
        ["profile", "patch", "replace", "test", "bench", "lints", "workspace.lints", "example"]
            .iter()
            .any(|table| header == *table || header.starts_with(&format!("{table}.")))
    };
    let keys = text.lines().map(str::trim).filter(|line| {
        let key = line.split('=').next().unwrap_or_default().trim();
        matches!(
            key,
            "test"
                | "doctest"
                | "harness"
                | "autotests"
                | "build"
                | "links"
                | "default-members"
                | "exclude"
                | "members"
                | "autobins"
                | "resolver"
        )
    });
    (tables(text, wanted), keys.collect())
}
