//! Tests that are gone, skipped, weakened or changed.

use super::{
    Entry, EntryKind, FileChange, Found,
    assertion::{Strength, strength},
    is_test,
    outline::{Case, cases, syntax},
    skip::skips,
};
use crate::recognise::{Syntax, vacuous};
use orchestrator_core::workspace::{
    Change,
    FindingKind::{TestChanged, TestDeleted, TestSkipped, TestWeakened},
};
use std::collections::{BTreeMap, HashSet};

/// How many names a message lists.
const NAMED: usize = 5;

pub(super) fn inspect(changes: &[FileChange], found: &mut Found) {
    // Tests that move from one file to another are not gone.
    let mut bodies: HashSet<Vec<String>> = HashSet::new();
    let mut names: HashSet<String> = HashSet::new();
    for change in changes {
        if let Some(syntax) = syntax(&change.path) {
            for case in cases(syntax, &change.new_text()) {
                bodies.insert(without_head(&case));
                names.insert(case.name);
            }
        }
    }
    for change in changes {
        let old_path = change.from.as_deref().unwrap_or(&change.path);
        let (was_test, is_now) = (is_test(old_path), is_test(&change.path));
        file(change, old_path, was_test, is_now, found);
        let Some(syntax) = syntax(old_path) else { continue };
        if !(was_test || is_now || syntax == Syntax::Rust) {
            continue;
        }
        let (old, new) = (change.old_text(), change.new_text());
        let (before, after) = (cases(syntax, &old), cases(syntax, &new));
        // In sources only what is about tests counts.
        if !was_test && !is_now && before.is_empty() && after.is_empty() {
            continue;
        }
        deleted(old_path, &before, &after, (&bodies, &names), found);
        skipped(&change.path, syntax, &old, &new, found);
        weakened(&change.path, &before, &after, found);
        helpers(&change.path, syntax, (&old, &before), (&new, &after), was_test, found);
        let (none_before, none_after) = (vacuous(syntax, &old).len(), vacuous(syntax, &new));
        if none_after.len() > none_before {
            let line = none_after.last().copied().unwrap_or(0);
            found.flag(
                TestWeakened,
                &change.path,
                format!("a test that checks nothing was written, as in line {line}"),
            );
        }
    }
}

fn file(change: &FileChange, old_path: &str, was_test: bool, is_now: bool, found: &mut Found) {
    if !was_test && !is_now {
        return;
    }
    match (change.change, was_test, is_now) {
        (Change::Added, ..) | (_, false, true) => {
            found.flag(TestChanged, &change.path, "a test file was added");
        }
        (Change::Deleted, true, _) => found.block(TestDeleted, old_path, "a test file is gone"),
        (Change::Renamed, true, false) => found.block(
            TestDeleted,
            old_path,
            format!("a test file was moved to `{}`, where none is looked for", change.path),
        ),
        (Change::TypeChanged, true, _) if is_other_kind(change) => {
            let words = "a test file was replaced by another kind of thing";
            found.block(TestWeakened, &change.path, words);
        }
        _ => {
            let is_unread = [&change.old, &change.new]
                .into_iter()
                .flatten()
                .any(|entry| entry.content.is_none());
            if is_unread {
                let words = "a test file was changed that is too large to be read";
                found.block(TestChanged, &change.path, words);
            } else {
                found.flag(TestChanged, &change.path, "a test file was changed");
            }
        }
    }
}

/// Whether it is no longer a file, or was none. Being executable makes it no other thing.
fn is_other_kind(change: &FileChange) -> bool {
    let is_file = |entry: &Option<Entry>| {
        entry
            .as_ref()
            .is_some_and(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable))
    };
    is_file(&change.old) != is_file(&change.new)
}

fn deleted(
    path: &str,
    before: &[Case],
    after: &[Case],
    everywhere: (&HashSet<Vec<String>>, &HashSet<String>),
    found: &mut Found,
) {
    let kept: HashSet<&str> = after.iter().map(|case| case.name.as_str()).collect();
    let (bodies, names) = everywhere;
    let gone: Vec<&str> = before
        .iter()
        .filter(|case| {
            !kept.contains(case.name.as_str())
                && !bodies.contains(&without_head(case))
                && !names.contains(&case.name)
        })
        .map(|case| case.name.as_str())
        .collect();
    if !gone.is_empty() {
        found.block(TestDeleted, path, format!("{} gone: {}", tests(gone.len()), list(&gone)));
    }
    // The same name twice, and now once.
    let doubles = before.len().saturating_sub(after.len());
    if gone.is_empty() && doubles > 0 && after.iter().all(|case| names.contains(&case.name)) {
        let lost: Vec<&str> = before
            .iter()
            .filter(|case| !bodies.contains(&without_head(case)))
            .map(|case| case.name.as_str())
            .collect();
        if lost.len() >= doubles && !kept.is_empty() {
            found.block(TestDeleted, path, format!("fewer tests than before: {}", list(&lost)));
        }
    }
}

fn skipped(path: &str, syntax: Syntax, old: &str, new: &str, found: &mut Found) {
    let mut known: BTreeMap<String, u32> = BTreeMap::new();
    let before = skips(syntax, old);
    for line in &before {
        *known.entry(line.clone()).or_default() += 1;
    }
    let after = skips(syntax, new);
    if after.len() <= before.len() {
        return;
    }
    let added = after.iter().find(|line| match known.get_mut(*line) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    let line = added.map(String::as_str).unwrap_or_default();
    let line: String = line.chars().take(120).collect();
    found.block(TestSkipped, path, format!("a test is kept from running: `{line}`"));
}

fn weakened(path: &str, before: &[Case], after: &[Case], found: &mut Found) {
    let strengths: BTreeMap<&str, Strength> =
        after.iter().map(|case| (case.name.as_str(), strength(&case.body))).collect();
    for case in before {
        let Some(now) = strengths.get(case.name.as_str()) else { continue };
        let was = strength(&case.body);
        let name = &case.name;
        let words = if now.effective < was.effective {
            format!(
                "`{name}` asserts less: {} assertions that can fail, {} before",
                now.effective, was.effective
            )
        } else if now.constant > was.constant {
            format!("`{name}` has an assertion that cannot fail")
        } else if now.escapes > was.escapes {
            format!("`{name}` has a way around its assertions")
        } else {
            continue;
        };
        found.block(TestWeakened, path, words);
    }
}

/// What tests call in a test file: helpers that assert for them.
fn helpers(
    path: &str,
    syntax: Syntax,
    (old, before): (&str, &[Case]),
    (new, after): (&str, &[Case]),
    was_test: bool,
    found: &mut Found,
) {
    if !was_test {
        return;
    }
    let rest = |text: &str, cases: &[Case]| {
        let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        let comment = if syntax == Syntax::Python { "#" } else { "//" };
        let lines: Vec<String> =
            lines.into_iter().filter(|line| !line.starts_with(comment)).collect();
        let whole = strength(&lines).effective;
        let inside: u32 = cases.iter().map(|case| strength(&case.body).effective).sum();
        whole.saturating_sub(inside)
    };
    let (was, now) = (rest(old, before), rest(new, after));
    if now < was && !new.is_empty() {
        found.block(
            TestWeakened,
            path,
            format!("what its tests call asserts less: {now} assertions, {was} before"),
        );
    }
}

/// What a test does, without its name: the same under another name is the same test.
fn without_head(case: &Case) -> Vec<String> {
    case.body.iter().map(|line| line.replace(&case.name, "")).collect()
}

fn tests(count: usize) -> String {
    if count == 1 { "a test is".to_owned() } else { format!("{count} tests are") }
}

fn list(names: &[&str]) -> String {
    let mut text: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    if names.len() > NAMED {
        text.push(format!("and {} more", names.len() - NAMED));
    }
    text.join(", ")
}
