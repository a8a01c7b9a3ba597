//! Things that git or a tool would run, read or hide by itself, and what leads out of the tree.

use super::{Context, EntryKind, FileChange, Found};
use orchestrator_core::workspace::{
    Change,
    FindingKind::{Outside, Planted},
};
use std::collections::HashMap;

/// Programs that checks commonly find by their name.
const TOOLS: [&str; 38] = [
    "bash", "bun", "cargo", "clang", "cmake", "coverage", "deno", "dotnet", "gcc", "git", "go",
    "gradle", "gradlew", "java", "jest", "just", "ld", "make", "mvn", "mvnw", "node", "nox", "npm",
    "npx", "php", "pnpm", "poetry", "pytest", "python", "python3", "ruby", "rustc", "sh", "tox",
    "uv", "vitest", "yarn", "env",
];

/// Modules that a test tool of Python imports: the directory of the tests comes before its own.
const MODULES: [&str; 40] = [
    "_pytest",
    "abc",
    "argparse",
    "ast",
    "asyncio",
    "builtins",
    "codecs",
    "collections",
    "contextlib",
    "coverage",
    "dataclasses",
    "doctest",
    "enum",
    "functools",
    "importlib",
    "iniconfig",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "os",
    "pathlib",
    "pdb",
    "platform",
    "pluggy",
    "py",
    "pytest",
    "pytest_cov",
    "pytest_jsonreport",
    "re",
    "runpy",
    "shutil",
    "site",
    "sys",
    "tempfile",
    "threading",
    "traceback",
    "typing",
    "unittest",
];

/// What git runs by itself.
const HOOKS: [&str; 14] = [
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-merge",
    "post-rewrite",
    "pre-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "prepare-commit-msg",
];

pub(super) fn inspect(changes: &[FileChange], context: &Context<'_>, found: &mut Found) {
    for change in changes {
        if change.change == Change::Deleted {
            removed(change, found);
            continue;
        }
        git(change, found);
        link(change, found);
        if let Some(words) = shadow(change, context) {
            found.block(Planted, &change.path, words);
        }
        preload(change, found);
    }
    clash(changes, context, found);
}

fn removed(change: &FileChange, found: &mut Found) {
    if change.path == ".gitmodules" || is_submodule(change) {
        found.block(Planted, &change.path, "a submodule was removed");
    }
}

fn is_submodule(change: &FileChange) -> bool {
    [&change.old, &change.new].into_iter().flatten().any(|entry| entry.kind == EntryKind::Submodule)
}

fn git(change: &FileChange, found: &mut Found) {
    let path = change.path.as_str();
    let name = path.rsplit('/').next().unwrap_or(path);
    if is_submodule(change) {
        found.block(Planted, path, "a submodule was added or points to another commit");
    } else if name == ".gitmodules" {
        found.block(Planted, path, "where submodules come from was changed");
    } else if name == ".gitattributes" {
        const RISKY: [&str; 8] = [
            "filter",
            "export-ignore",
            "export-subst",
            "diff=",
            "merge=",
            "ident",
            "working-tree-encoding",
            "eol=",
        ];
        let added = change.added_lines();
        let risky = added.iter().find(|(_, line)| {
            !line.starts_with('#') && RISKY.iter().any(|word| line.contains(word))
        });
        if let Some((number, line)) = risky {
            let line: String = line.chars().take(120).collect();
            let words = format!("line {number} changes what git makes of files: `{line}`");
            found.block(Planted, path, words);
        }
    } else if name == ".gitconfig" || name == ".lfsconfig" {
        found.block(Planted, path, "a configuration of git");
    } else if HOOKS.contains(&name) || path.starts_with(".husky/") || path.starts_with(".githooks/")
    {
        found.block(Planted, path, "a hook of git");
    }
}

fn link(change: &FileChange, found: &mut Found) {
    let Some(new) = change.new.as_ref().filter(|new| new.kind == EntryKind::Link) else { return };
    let target = new.text();
    let mut depth = change.path.split('/').count() as i64 - 1;
    let mut leads_out = target.starts_with('/') || new.content.is_none();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        leads_out |= depth < 0;
    }
    if leads_out {
        let target: String = target.chars().take(120).collect();
        found.block(Outside, &change.path, format!("a link leads out of the tree, to `{target}`"));
    } else if target.split('/').any(|part| part.eq_ignore_ascii_case(".git")) {
        found.block(Outside, &change.path, "a link leads into what git keeps");
    }
}

/// What stands where a tool that a check runs is looked for.
fn shadow(change: &FileChange, context: &Context<'_>) -> Option<String> {
    let path = change.path.as_str();
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    if path.split('/').any(|part| part == "node_modules" || part == "site-packages") {
        return Some("an installed package was put in the tree".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    if matches!(lower.as_str(), "sitecustomize.py" | "usercustomize.py") || lower.ends_with(".pth")
    {
        return Some("Python runs it before anything else".to_owned());
    }
    // An entry point makes it a plugin of pytest.
    if lower == "entry_points.txt"
        || directory.ends_with(".egg-info")
        || directory.ends_with(".dist-info")
    {
        return Some("what makes a package known to Python's tools".to_owned());
    }
    let is_new = change.change == Change::Added || change.change == Change::Renamed;
    if !is_new {
        return None;
    }
    // Of a package at the root or below `src` only the first part of its path is its name.
    let module = {
        let mut parts = path.strip_prefix("src/").unwrap_or(path).split('/');
        let first = parts.next().unwrap_or_default();
        let is_python = lower.ends_with(".py") || lower.ends_with(".so") || lower.ends_with(".pyi");
        let stem = first.split('.').next().unwrap_or_default();
        (is_python && (first != stem || parts.next().is_some())).then_some(stem)
    };
    if let Some(module) = module.filter(|module| MODULES.contains(module)) {
        return Some(format!("it stands in the place of Python's module `{module}`"));
    }
    let tests = directory.split('/').next_back().unwrap_or_default();
    let stem = lower.strip_suffix(".py");
    if (tests == "tests" || tests == "test") && stem.is_some_and(|stem| MODULES.contains(&stem)) {
        return Some(format!("it stands in the place of Python's module `{lower}`"));
    }
    let is_program = |name: &str| {
        TOOLS.contains(&name)
            || context.commands.iter().any(|command| {
                command.split_whitespace().next().is_some_and(|program| program == name)
            })
    };
    let is_file = change.new.as_ref().is_some_and(|new| {
        new.kind == EntryKind::Executable
            || new.kind == EntryKind::Link
            || new.content.as_deref().is_some_and(|content| content.starts_with(b"#!"))
    });
    let bare = name.rsplit_once('.').map_or(name, |(stem, extension)| {
        if matches!(extension, "exe" | "cmd" | "bat" | "sh") { stem } else { name }
    });
    (is_file && is_program(bare) && bare == name || is_file && is_program(name))
        .then(|| format!("a program that stands in the place of `{bare}`"))
}

fn preload(change: &FileChange, found: &mut Found) {
    let is_words = [".md", ".rst", ".txt", ".adoc"].iter().any(|end| change.path.ends_with(end));
    if is_words {
        return;
    }
    const MARKS: [&str; 8] = [
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "PYTHONSTARTUP",
        "PYTEST_ADDOPTS",
        "PYTEST_PLUGINS",
        "RUSTC_WRAPPER",
        "core.hooksPath",
        "core.fsmonitor",
    ];
    for (number, line) in change.added_lines() {
        if let Some(mark) = MARKS.iter().find(|mark| line.contains(**mark)) {
            let words = format!("line {number} reaches for `{mark}`, which changes what is run");
            found.block(Planted, &change.path, words);
            return;
        }
    }
}

/// Paths that are one and the same where case does not count.
fn clash(changes: &[FileChange], context: &Context<'_>, found: &mut Found) {
    let mut by_lower: HashMap<String, Vec<&str>> = HashMap::new();
    let new = changes.iter().filter(|change| change.change != Change::Deleted);
    let all = context.paths.iter().map(String::as_str).chain(new.clone().map(|c| c.path.as_str()));
    for path in all {
        let paths = by_lower.entry(path.to_lowercase()).or_default();
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    // What stood beside the other before, and has changed since, was not planted.
    let is_new = |change: &&FileChange| matches!(change.change, Change::Added | Change::Renamed);
    for change in new.filter(is_new) {
        let others = by_lower.get(&change.path.to_lowercase()).into_iter().flatten();
        if let Some(other) = others.copied().find(|other| *other != change.path) {
            let words = format!("it is the same as `{other}` where case does not count");
            found.block(Planted, &change.path, words);
        }
    }
}
