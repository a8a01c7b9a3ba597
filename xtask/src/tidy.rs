//! `cargo xtask tidy`: what the compiler, clippy and rustfmt do not check.

use crate::{conclude, takes_nothing, tree::Tree};
use anyhow::Result;
use std::fs;

/// The most lines of a Rust file, tests included.
const MOST_LINES: usize = 800;
/// The most lines of code in a `lib.rs` or `mod.rs`, without blank lines, comments and tests.
const MOST_ROOT_LINES: usize = 300;
/// The kinds of text files that are checked, by extension; a file without one is a script.
const TEXT: [&str; 11] =
    ["css", "html", "js", "json", "md", "rs", "sh", "sql", "toml", "yaml", "yml"];
/// Directories of machines that a file must not point to. Put together here so that this file
/// passes its own check.
const PLACES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "brief")];

/// Runs the chore.
///
/// # Errors
/// When a file breaks a rule.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    takes_nothing("tidy", arguments)?;
    let mut problems = Vec::new();
    let mut checked = 0;
    for file in tree.files()?.iter().filter(|file| is_text(file)) {
        // A file that is not UTF-8 is a fixture of some kind, not one of our texts.
        let Ok(text) = fs::read_to_string(tree.path(file)) else {
            continue;
        };
        checked += 1;
        for problem in check(file, &text) {
            problems.push(format!("{file}:{problem}"));
        }
    }
    conclude("tidy", &problems, &format!("{checked} files"))
}

fn is_text(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.rsplit_once('.') {
        None => !name.starts_with("LICENSE"),
        Some((_, extension)) => TEXT.contains(&extension),
    }
}

/// Everything that is wrong with one file, each with its line.
fn check(file: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut say = |problem: &str| problems.push(format!("{number}: {problem}"));
        if line.ends_with([' ', '\t']) {
            say("white space at the end of the line; remove it");
        }
        if line.ends_with('\r') {
            say("a carriage return at the end of the line; write plain line feeds");
        }
        if ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark)) {
            say("a mark of an unfinished merge; finish it");
        }
        if let Some(place) = PLACES.iter().find(|place| points_to(line, place)) {
            say(&format!("points to `{place}` on one machine; make it relative"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        problems.push(format!("{}: no line feed at the end; add one", text.lines().count()));
    }
    if file.ends_with(".rs") {
        problems.extend(check_rust(file, text));
    }
    problems
}

/// Whether a line holds `place` as the beginning of an absolute path.
fn points_to(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '/'))
    })
}

fn check_rust(file: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let count = text.lines().count();
    if count > MOST_LINES {
        problems.push(format!(
            "{count}: more than {MOST_LINES} lines; give a concern of it a module of its own"
        ));
    }
    let code = lines_of_code(text);
    if (file.ends_with("/lib.rs") || file.ends_with("/mod.rs")) && code > MOST_ROOT_LINES {
        problems.push(format!(
            "{count}: {code} lines of code, more than {MOST_ROOT_LINES} in a module's root; keep \
             documentation, modules and re-exports here and move the rest"
        ));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        if is_bare_allow(text, line, number) {
            problems.push(format!(
                "{number}: an `allow` without a reason; write `#[expect(lint, reason = \"…\")]`"
            ));
        }
        if line.starts_with("#[ignore") {
            problems.push(format!("{number}: a test that does not run; mend it or remove it"));
        }
        if ["todo!(", "unimplemented!("].iter().any(|left| has_macro(line, left)) {
            problems.push(format!("{number}: something left to do; do it or answer with an error"));
        }
    }
    problems
}

/// Whether an attribute that begins on `line` allows a lint without saying why.
fn is_bare_allow(text: &str, line: &str, number: usize) -> bool {
    if !["#[allow(", "#![allow("].iter().any(|attribute| line.starts_with(attribute)) {
        return false;
    }
    let attribute: String = text.lines().skip(number - 1).take(6).collect();
    let end = attribute.find(")]").unwrap_or(attribute.len());
    !attribute[..end].contains("reason")
}

/// Whether a line calls a macro, rather than naming it in a text.
fn has_macro(line: &str, call: &str) -> bool {
    line.match_indices(call).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '"' | '`'))
    })
}

/// Lines that are neither blank nor a comment, up to the tests.
fn lines_of_code(text: &str) -> usize {
    text.lines()
        .map(str::trim)
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(file: &str, text: &str, expected: &[&str]) {
        let problems = check(file, text);
        assert_eq!(problems.len(), expected.len(), "{text:?}: {problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problem} lacks {expected}");
        }
    }

    #[test]
    fn texts_end_their_lines_plainly() {
        expect("a.md", "a\nb\n", &[]);
        expect("a.md", "", &[]);
        expect("a.md", "a \nb\t\n", &["1: white space", "2: white space"]);
        expect("a.md", "a\nb", &["2: no line feed"]);
        expect("a.md", "<<<<<<< ours\n", &["1: a mark"]);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for place in PLACES {
            expect("a.md", &format!("see {place}x\n"), &["1: points to"]);
            expect("a.md", &format!("see net{place}x or .{place}x or ${{HOME}}{place}x\n"), &[]);
        }
    }

    #[test]
    fn allowing_needs_a_reason() {
        expect("a.rs", "#[allow(dead_code)]\n", &["1: an `allow`"]);
        expect("a.rs", "    #![allow(\n    dead_code\n)]\n", &["1: an `allow`"]);
        expect("a.rs", "#[allow(\n    dead_code,\n    reason = \"x\"\n)]\n", &[]);
        expect("a.rs", "#[expect(dead_code, reason = \"x\")]\n// #[allow(x)]\n", &[]);
    }

    #[test]
    fn nothing_is_left_to_do() {
        // Put together, so that this file passes its own check.
        let left = concat!("to", "do!");
        expect("a.rs", &format!("fn f() {{ {left}() }}\n"), &["1: something left"]);
        expect("a.rs", concat!("    unimple", "mented!(x)\n"), &["1: something left"]);
        expect("a.rs", &format!("let words = \"{left}(\";\n// {left}()\n"), &[]);
        expect("a.rs", "#[ignore = \"slow\"]\n", &["1: a test that does not run"]);
    }

    #[test]
    fn files_have_a_size() {
        let lines = |count: usize| "x\n".repeat(count);
        expect("src/a.rs", &lines(MOST_LINES), &[]);
        expect("src/a.rs", &lines(MOST_LINES + 1), &["more than 800 lines"]);
        expect("src/a.md", &lines(MOST_LINES + 1), &[]);
        expect("src/lib.rs", &lines(MOST_ROOT_LINES), &[]);
        expect("src/lib.rs", &lines(MOST_ROOT_LINES + 1), &["in a module's root"]);
        let tested = format!("{}#[cfg(test)]\n{}", "//! d\n\n".repeat(150), lines(300));
        expect("src/x/mod.rs", &tested, &[]);
    }

    #[test]
    fn texts_are_told_by_their_names() {
        for (file, expected) in [
            ("src/a.rs", true),
            ("scripts/test", true),
            (".ci/run", true),
            ("LICENSE-MIT", false),
            ("Cargo.lock", false),
            ("logo.png", false),
        ] {
            assert_eq!(is_text(file), expected, "{file}");
        }
    }
}
