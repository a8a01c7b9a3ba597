//! Code that reaches for what runs its tests: that ends the process as if all were well, changes
//! the runner, or behaves otherwise where it is checked.

use super::{FileChange, Found, is_test, outline::syntax};
use crate::recognise::Syntax;
use orchestrator_core::workspace::{Change, FindingKind::Planted};

/// Ends a process at once and with success, past all that would tell of a failure.
const ENDS: [&str; 10] = [
    "os._exit(",
    "libc::_exit(",
    "libc::exit(",
    "_Exit(0)",
    "process.reallyExit(",
    "os.kill(os.getpid()",
    "os.abort(",
    "Runtime.getRuntime().halt(",
    "atexit.register(",
    "process.on('exit'",
];

/// Ends a program with success, which programs do and libraries do not.
const EXITS: [&str; 8] = [
    "process::exit(0",
    "process.exit(0",
    "process.exit()",
    "process.exitCode = 0",
    "os.Exit(0",
    "System.exit(0",
    "sys.exit(0",
    "sys.exit()",
];

/// Variables that tell that tests run.
const SIGNS: [&str; 12] = [
    "PYTEST_CURRENT_TEST",
    "PYTEST_VERSION",
    "JEST_WORKER_ID",
    "VITEST",
    "NODE_TEST_CONTEXT",
    "NEXTEST",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "ORCHESTRATOR_",
    "RUST_TEST_THREADS",
    "TAP_CHILD_ID",
    "MOCHA_WORKER_ID",
];

pub(super) fn inspect(changes: &[FileChange], found: &mut Found) {
    for change in changes.iter().filter(|change| change.change != Change::Deleted) {
        if is_words(&change.path) {
            continue;
        }
        let is_test = is_test(&change.path);
        forged(change, is_test, found);
        let Some(syntax) = syntax(&change.path) else {
            unknown(change, is_test, found);
            continue;
        };
        let text = change.new_text();
        let is_program = is_program(syntax, &change.path, &text);
        let added = change.added_lines();
        for (at, (number, line)) in added.iter().enumerate() {
            let next = added.get(at + 1).map_or("", |(_, line)| line.as_str());
            if is_comment(syntax, line) {
                continue;
            }
            let words = if ENDS.iter().any(|word| line.contains(word)) {
                "ends the process past what would tell of a failure"
            } else if EXITS.iter().any(|word| line.contains(word)) && (is_test || !is_program) {
                "ends the process as if all were well"
            } else if !is_test && reaches(syntax, line) {
                "reaches for what runs the tests"
            } else if line.starts_with("def __eq__(") && next.starts_with("return True") {
                "makes what equals everything"
            } else if !is_test && is_sign(line) {
                "asks whether it is being tested"
            } else {
                continue;
            };
            let line: String = line.chars().take(120).collect();
            found.block(Planted, &change.path, format!("line {number} {words}: `{line}`"));
            break;
        }
    }
}

/// Text for people.
fn is_words(path: &str) -> bool {
    [".md", ".rst", ".txt", ".adoc", ".html", ".svg"].iter().any(|end| path.ends_with(end))
}

/// Code that prints what a test tool prints.
fn forged(change: &FileChange, is_test: bool, found: &mut Found) {
    const RESULTS: [&str; 9] = [
        "test result: ok",
        " passed in ",
        "--- PASS",
        "\"Action\":\"pass\"",
        "<testsuite",
        "numPassedTests",
        "TAP version 1",
        "Tests: ",
        "All tests passed",
    ];
    const PRINTS: [&str; 7] =
        ["echo", "print", "console.log", "puts ", "fmt.P", "write(", "cat <<"];
    if is_test {
        return;
    }
    for (number, line) in change.added_lines() {
        let prints = PRINTS.iter().any(|word| line.contains(word));
        let is_point = ["ok - ", "ok 1", "\"ok ", "'ok ", "1.."].iter().any(|p| line.contains(p));
        let is_result = RESULTS.iter().any(|result| line.contains(result));
        if prints && (is_point || is_result) {
            let line: String = line.chars().take(120).collect();
            let words = format!("line {number} prints what a test tool prints: `{line}`");
            found.block(Planted, &change.path, words);
            return;
        }
    }
}

/// Scripts and other code whose language is not known here.
fn unknown(change: &FileChange, is_test: bool, found: &mut Found) {
    for (number, line) in change.added_lines() {
        if line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> =
            line.split(|c: char| c.is_whitespace() || ";&|{}".contains(c)).collect();
        let ends = words.windows(2).any(|pair| pair[0] == "exit" && pair[1] == "0")
            || words.contains(&"trap");
        let is_program = change.new_text().starts_with("#!");
        let text = if ends && (is_test || !is_program) {
            "ends the process as if all were well"
        } else if !is_test && is_sign(&line) || line.contains("$CI") || line.contains("${CI") {
            "asks whether it is being tested"
        } else {
            continue;
        };
        let line: String = line.chars().take(120).collect();
        found.block(Planted, &change.path, format!("line {number} {text}: `{line}`"));
        return;
    }
}

fn is_comment(syntax: Syntax, line: &str) -> bool {
    match syntax {
        Syntax::Python | Syntax::Ruby | Syntax::Elixir => line.starts_with('#'),
        _ => line.starts_with("//") || line.starts_with("* ") || line.starts_with("/*"),
    }
}

/// Whether a file is a program that may end itself.
fn is_program(syntax: Syntax, path: &str, text: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let begins = |line: &&str| text.lines().any(|other| other.trim_start().starts_with(line));
    match syntax {
        Syntax::Rust => {
            name == "main.rs"
                || path.contains("/bin/")
                || ["fn main", "pub fn main"].iter().any(begins)
        }
        Syntax::Go => begins(&"func main("),
        Syntax::Python => name == "__main__.py" || text.contains("__main__"),
        Syntax::JavaScript | Syntax::TypeScript => {
            text.starts_with("#!")
                || path.starts_with("bin/")
                || path.contains("/bin/")
                || text.contains("require.main === module")
        }
        _ => true,
    }
}

fn reaches(syntax: Syntax, line: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    match syntax {
        Syntax::Python => has(&[
            "_pytest",
            "import pytest",
            "from pytest",
            "import unittest",
            "from unittest",
            "sys.modules[",
            "sys.meta_path",
            "import builtins",
            "builtins.",
            "__builtins__",
            "sys.settrace(",
            "sys.setprofile(",
            "gc.get_objects(",
            "inspect.stack(",
            "sys._getframe(",
            "inspect.currentframe(",
            "pytest_plugins",
            "def pytest_",
            "@pytest.hookimpl",
        ]),
        Syntax::JavaScript | Syntax::TypeScript => has(&[
            "globalThis.expect",
            "global.expect",
            "globalThis.it ",
            "global.it ",
            "globalThis.test ",
            "global.test ",
            "require('assert').",
            "require(\"assert\").",
            "require.cache",
            "Module._load",
            "Module._resolveFilename",
            "jest.fn",
            "from 'vitest'",
            "from \"vitest\"",
            "@jest/globals",
            "Object.prototype.toString =",
            "assert.equal =",
            "assert.strictEqual =",
            "assert.deepEqual =",
            "process.stdout.write =",
        ]),
        Syntax::Rust => {
            has(&["panic::set_hook(", "macro_rules! assert", "#[global_allocator]"])
                || line.contains("cfg!(test)")
                || line.starts_with("#[cfg(not(test))]")
        }
        Syntax::Go => has(&["\"testing\"", "testing.Testing()", "flag.Lookup(\"test."]),
        _ => false,
    }
}

/// Whether a line reads a variable that tells that tests run.
fn is_sign(line: &str) -> bool {
    if SIGNS.iter().any(|sign| line.contains(sign)) {
        return true;
    }
    let reads = ["environ", "getenv", "env::var", "process.env", "os.Getenv", "LookupEnv", "ENV["]
        .iter()
        .any(|word| line.contains(word));
    let names_ci = ["\"CI\"", "'CI'", "env.CI"].iter().any(|word| line.contains(word));
    // Where modules are looked up, a test runner is looked for.
    let looks = line.contains("in sys.modules") || line.contains("sys.argv[0]");
    reads && names_ci || looks
}
