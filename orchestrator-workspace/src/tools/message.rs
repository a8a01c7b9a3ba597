//! Messages of commits: made from what changes, or written by an agent and made fit.

use orchestrator_core::workspace::{Change, ChangedFile};
use std::collections::BTreeSet;

/// The longest first line, in characters.
const SUBJECT: usize = 100;
/// The longest message, in characters.
const MESSAGE: usize = 8_000;
/// How many files are named.
const NAMED: usize = 20;
/// What a message in the form of Conventional Commits may say that the change is: the two of the
/// specification, and those that are in common use beside them.
const TYPES: [&str; 11] =
    ["feat", "fix", "docs", "style", "refactor", "perf", "test", "build", "ci", "chore", "revert"];

/// A message in the form of Conventional Commits 1.0 from the files that change: the same for the
/// same files.
///
/// The type is told by the paths: `docs`, `test`, `ci`, `build` when all files are of that kind;
/// else `refactor` when files are only renamed, `chore` when they are only removed, `feat` when
/// there is a new file of source, and `fix` for any other change of source. The scope is the
/// directory of the sources that all have in common, if it has a name of its own.
pub fn conventional(files: &[ChangedFile]) -> String {
    let kind = kind(files);
    let scope = scope(files).map_or(String::new(), |scope| format!("({scope})"));
    let mut text = first_line(&format!("{kind}{scope}: {}", plain(&what(files))));
    if files.len() > 1 {
        text.push_str("\n\n");
        for file in files.iter().take(NAMED) {
            let from = file.from.as_ref().map_or(String::new(), |from| format!(" (was {from})"));
            text.push_str(&format!("- {} {}{from}\n", verb(file.change), plain(&file.path)));
        }
        if files.len() > NAMED {
            text.push_str(&format!("- and {} more\n", files.len() - NAMED));
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// What an agent wrote as a message, made fit: without a fence around it, control characters, lines
/// that claim who signed or reviewed it, and what is past a bound. `None` when no words are left.
pub fn accept(text: &str) -> Option<String> {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let text = fenced.map_or(text, |inner| inner.split_once('\n').map_or(inner, |(_, rest)| rest));
    let clean = |line: &str| -> String {
        line.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>()
    };
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !claims(line))
        .map(|line| clean(line).trim_end().into())
        .collect();
    let start = lines.iter().position(|line| !line.trim().is_empty())?;
    let subject = first_line(lines[start].trim_start_matches(['#', ' ']));
    if subject.is_empty() {
        return None;
    }
    let rest = lines[start + 1..].join("\n");
    let rest = rest.trim();
    let whole =
        if rest.is_empty() { format!("{subject}\n") } else { format!("{subject}\n\n{rest}\n") };
    Some(whole.chars().take(MESSAGE).collect())
}

/// Whether `message` has the form of Conventional Commits 1.0: `TYPE(SCOPE)!: WHAT` in its first line,
/// where scope and `!` may be left out, and an empty line before whatever follows. The type is one of
/// `feat`, `fix`, `docs`, `style`, `refactor`, `perf`, `test`, `build`, `ci`, `chore` and `revert`.
///
/// # Errors
/// What it lacks, in words.
pub fn check_conventional(message: &str) -> Result<(), String> {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    let shown: String = first.chars().take(60).collect();
    let Some((head, what)) = first.split_once(": ") else {
        return Err(format!("its first line, `{shown}`, has no `TYPE: ` before what changes"));
    };
    let head = head.strip_suffix('!').unwrap_or(head);
    let (kind, scope) = match head.split_once('(') {
        Some((kind, rest)) => (kind, Some(rest.strip_suffix(')').unwrap_or_default())),
        None => (head, None),
    };
    if !TYPES.contains(&kind) {
        let kind: String = kind.chars().take(40).collect();
        return Err(format!("`{kind}` is none of the types {}", TYPES.join(", ")));
    }
    if scope.is_some_and(|scope| scope.trim().is_empty() || scope.contains(['(', ')'])) {
        return Err(format!("the scope in `{shown}` is none"));
    }
    if what.trim().is_empty() {
        return Err("its first line does not say what changes".into());
    }
    if lines.next().is_some_and(|second| !second.trim().is_empty()) {
        return Err("there is no empty line after the first".into());
    }
    Ok(())
}

/// What an agent wrote, made fit by [`accept`] and checked by [`check_conventional`].
///
/// # Errors
/// Why it is no message, in words.
pub fn written(text: &str) -> Result<String, String> {
    let message = accept(text).ok_or("it has no words")?;
    check_conventional(&message)?;
    Ok(message)
}

/// Whether a line says in somebody's name what only they can say.
fn claims(line: &str) -> bool {
    let key = line.split_once(':').map(|(key, _)| key.trim().to_ascii_lowercase());
    key.is_some_and(|key| {
        matches!(
            key.as_str(),
            "signed-off-by" | "reviewed-by" | "acked-by" | "tested-by" | "co-authored-by"
        ) || key.starts_with("orchestrator-")
    })
}

fn first_line(text: &str) -> String {
    let text = plain(text.lines().next().unwrap_or_default().trim());
    if text.chars().count() <= SUBJECT {
        return text;
    }
    let cut: String = text.chars().take(SUBJECT - 1).collect();
    format!("{}…", cut.trim_end())
}

/// A path or text without what would break the line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn verb(change: Change) -> &'static str {
    match change {
        Change::Added => "add",
        Change::Modified | Change::TypeChanged => "change",
        Change::Deleted => "remove",
        Change::Renamed => "rename",
    }
}

fn kind(files: &[ChangedFile]) -> &'static str {
    let all = |is: fn(&str) -> bool| files.iter().all(|file| is(&file.path));
    let only = |change| files.iter().all(|file| file.change == change);
    if all(is_docs) {
        "docs"
    } else if all(is_test) {
        "test"
    } else if all(is_ci) {
        "ci"
    } else if all(is_build) {
        "build"
    } else if only(Change::Renamed) {
        "refactor"
    } else if only(Change::Deleted) {
        "chore"
    } else {
        let is_source = |path: &str| !is_docs(path) && !is_test(path) && !is_build(path);
        let mut sources = files.iter().filter(|file| is_source(&file.path));
        match sources.any(|file| file.change == Change::Added) {
            true => "feat",
            false => "fix",
        }
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_docs(path: &str) -> bool {
    let ends = [".md", ".rst", ".adoc", ".txt"];
    path.starts_with("docs/")
        || path.contains("/docs/")
        || ends.iter().any(|end| path.ends_with(end))
}

fn is_test(path: &str) -> bool {
    let name = name(path);
    path.split('/').any(|part| matches!(part, "test" | "tests" | "__tests__" | "spec"))
        || name.starts_with("test_")
        || [".test.", ".spec.", "_test.", "_tests."].iter().any(|mark| name.contains(mark))
}

fn is_ci(path: &str) -> bool {
    path.starts_with(".github/workflows/")
        || path.starts_with(".circleci/")
        || path == ".gitlab-ci.yml"
}

fn is_build(path: &str) -> bool {
    let name = name(path);
    let known = [
        "Cargo.toml",
        "Makefile",
        "CMakeLists.txt",
        "package.json",
        "pyproject.toml",
        "setup.py",
        "go.mod",
        "go.sum",
        "Dockerfile",
        "pom.xml",
        "build.gradle",
    ];
    known.contains(&name) || name.ends_with(".lock") || name.ends_with("-lock.json")
}

/// The innermost directory that all have in common and that says something.
fn scope(files: &[ChangedFile]) -> Option<String> {
    let says = |part: &&str| {
        !matches!(*part, "src" | "lib" | "crates" | "packages" | "docs" | "tests" | "test")
    };
    let scopes: BTreeSet<Option<&str>> = files
        .iter()
        .map(|file| {
            let (directories, _) = file.path.rsplit_once('/')?;
            directories.split('/').find(says)
        })
        .collect();
    match scopes.into_iter().collect::<Vec<_>>()[..] {
        [Some(one)] => Some(plain(one).to_lowercase().replace([' ', '(', ')', ':'], "-")),
        _ => None,
    }
}

fn what(files: &[ChangedFile]) -> String {
    match files {
        [] => "change nothing".into(),
        [one] => match &one.from {
            Some(from) => format!("rename {} to {}", name(from), name(&one.path)),
            None => format!("{} {}", verb(one.change), name(&one.path)),
        },
        [first, second] if first.change == second.change => {
            format!("{} {} and {}", verb(first.change), name(&first.path), name(&second.path))
        }
        [first, ..] => {
            let same = files.iter().all(|file| file.change == first.change);
            let verb = if same { verb(first.change) } else { "change" };
            format!("{verb} {} and {} other files", name(&first.path), files.len() - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Change::{Added, Deleted, Modified, Renamed};

    fn file(change: Change, path: &str) -> ChangedFile {
        ChangedFile {
            path: path.into(),
            change,
            from: (change == Renamed).then(|| "old.rs".into()),
        }
    }

    #[test]
    fn messages_follow_from_the_files() {
        let check = |files: &[(Change, &str)], expected: &str| {
            let files: Vec<_> = files.iter().map(|(change, path)| file(*change, path)).collect();
            let text = conventional(&files);
            assert_eq!(text.lines().next(), Some(expected), "{text}");
            assert_eq!(text, conventional(&files));
        };
        check(&[(Modified, "README.md")], "docs: change README.md");
        check(&[(Added, "src/parser/lexer.rs")], "feat(parser): add lexer.rs");
        check(&[(Modified, "src/parser/lexer.rs")], "fix(parser): change lexer.rs");
        check(&[(Renamed, "src/new.rs")], "refactor: rename old.rs to new.rs");
        check(&[(Deleted, "a/x.rs"), (Deleted, "a/y.rs")], "chore(a): remove x.rs and y.rs");
        check(&[(Added, "tests/a.rs")], "test: add a.rs");
        check(&[(Modified, ".github/workflows/ci.yml")], "ci(.github): change ci.yml");
        check(
            &[(Modified, "Cargo.toml"), (Modified, "Cargo.lock")],
            "build: change Cargo.toml and Cargo.lock",
        );
        check(
            &[
                (Modified, "crates/core/a.rs"),
                (Added, "crates/core/b.rs"),
                (Added, "crates/core/c.rs"),
            ],
            "feat(core): change a.rs and 2 other files",
        );
        check(&[(Added, "x\ny.rs")], "feat: add x\u{fffd}y.rs");
        let long = "z".repeat(300);
        let text = conventional(&[file(Added, &long)]);
        assert_eq!(text.trim_end().chars().count(), SUBJECT);
    }

    #[test]
    fn the_form_of_conventional_commits_is_checked() {
        for good in [
            "fix: it",
            "feat(core)!: more\n\nbecause\n",
            "chore(a/b, c): go\n",
            "revert!: that: this",
        ] {
            assert_eq!(check_conventional(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "has no `TYPE: `"),
            ("Here it is", "has no `TYPE: `"),
            ("fix:it", "has no `TYPE: `"),
            ("Here is the message: fix", "none of the types"),
            ("Fix: it", "none of the types"),
            ("fix (a): it", "none of the types"),
            ("fix(): it", "the scope"),
            ("fix(a: it", "the scope"),
            ("fix((a)): it", "the scope"),
            ("fix:  ", "does not say what changes"),
            ("fix: it\nat once", "no empty line"),
        ] {
            let found = check_conventional(bad).unwrap_err();
            assert!(found.contains(why), "{bad:?}: {found}");
        }
        assert_eq!(written("```\nfix: it\nat once\n```"), Ok("fix: it\n\nat once\n".into()));
        assert!(written("Sure!\n\nfix: it").is_err());
        assert_eq!(written(" \n"), Err("it has no words".into()));
        let own = conventional(&[file(Added, "src/parser/lexer.rs")]);
        assert_eq!(check_conventional(&own), Ok(()));
    }

    #[test]
    fn what_an_agent_wrote_is_made_fit() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(accept(text).as_deref(), expected, "{text:?}");
        };
        check("fix: it\n\nbecause", Some("fix: it\n\nbecause\n"));
        check("```text\nfix: it\n```", Some("fix: it\n"));
        check(
            "\n# fix it\nbody\nSigned-off-by: A <a@b>\nOrchestrator-Run: r",
            Some("fix it\n\nbody\n"),
        );
        check("a\u{1b}[31mb", Some("a[31mb\n"));
        check(" \n\t\n", None);
        check("###", None);
        assert!(accept(&"w ".repeat(90_000)).unwrap().chars().count() <= MESSAGE);
    }
}
