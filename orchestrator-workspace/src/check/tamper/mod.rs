//! What an attempt did to that which proves it, as far as the difference to its base tells.
//!
//! The guards read paths and lines. They cannot understand a program, and err on the side of asking:
//! what blocks under [`TamperPolicy::Block`] is sent back with words, and a task that is meant to
//! change its tests says so with `tamper: flag`.

mod assertion;
mod checks;
mod outline;
mod planted;
mod reach;
mod skip;
mod tests_changed;

pub use checks::is_check_file;

use crate::recognise::{Class, classify};
use orchestrator_core::workspace::{Change, Finding, FindingKind, TamperPolicy};

/// The most findings that are told.
pub const FINDINGS: usize = 200;

/// A file that differs between a base and a commit, with what it was and is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Its path in the repository, lossy where it is not UTF-8.
    pub path: String,
    /// Where it was before, when it was renamed.
    pub from: Option<String>,
    /// What happened to it.
    pub change: Change,
    /// What it was; none when it is new.
    pub old: Option<Entry>,
    /// What it is; none when it is gone.
    pub new: Option<Entry>,
}

/// What is at a path of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What kind of thing.
    pub kind: EntryKind,
    /// Its content, or where it points to. None where it is larger than what is read, and for
    /// submodules.
    pub content: Option<Vec<u8>>,
}

/// A kind of thing in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that may be run.
    Executable,
    /// A symbolic link.
    Link,
    /// The commit of another repository.
    Submodule,
}

impl Entry {
    /// Its content as text; empty where there is none.
    fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.content.as_deref().unwrap_or_default())
    }
}

impl FileChange {
    fn old_text(&self) -> std::borrow::Cow<'_, str> {
        self.old.as_ref().map(Entry::text).unwrap_or_default()
    }

    fn new_text(&self) -> std::borrow::Cow<'_, str> {
        self.new.as_ref().map(Entry::text).unwrap_or_default()
    }

    /// The lines that are in the new text more often than in the old.
    fn added_lines(&self) -> Vec<(u32, String)> {
        let old = self.old_text();
        let mut known = std::collections::HashMap::<&str, u32>::new();
        for line in old.lines() {
            *known.entry(line.trim()).or_default() += 1;
        }
        let mut added = Vec::new();
        for (number, line) in (1..).zip(self.new_text().lines()) {
            match known.get_mut(line.trim()) {
                Some(left) if *left > 0 => *left -= 1,
                _ => added.push((number, line.trim().to_owned())),
            }
        }
        added
    }
}

/// What the guards know besides the difference.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The commands of the checks and of the set-up, as lines.
    pub commands: &'a [String],
    /// Paths or patterns that are protected, as in a `.gitignore`.
    pub protect: &'a [String],
    /// All paths of the commit's tree.
    pub paths: &'a [String],
}

/// Whether `path` is a test, by its place or its name.
pub fn is_test(path: &str) -> bool {
    match classify(path) {
        Class::Test => true,
        // Data that tests compare with is as good as the test.
        Class::Fixture => {
            path.split('/').any(|part| {
                matches!(
                    part.to_ascii_lowercase().as_str(),
                    "test" | "tests" | "__tests__" | "spec"
                )
            }) || path.ends_with(".snap")
                || path.contains("__snapshots__/")
        }
        _ => false,
    }
}

/// What `changes` do to that which proves them. Under [`TamperPolicy::Off`] nobody looks; under
/// [`TamperPolicy::Flag`] nothing blocks.
pub fn inspect(
    changes: &[FileChange],
    context: &Context<'_>,
    policy: TamperPolicy,
) -> Vec<Finding> {
    if policy == TamperPolicy::Off {
        return Vec::new();
    }
    let mut found = Found::default();
    tests_changed::inspect(changes, &mut found);
    checks::inspect(changes, context, &mut found);
    planted::inspect(changes, context, &mut found);
    reach::inspect(changes, &mut found);
    let mut findings = found.findings;
    findings.sort_by(|a, b| {
        b.blocks.cmp(&a.blocks).then(a.kind.cmp(&b.kind)).then_with(|| a.path.cmp(&b.path))
    });
    findings.dedup();
    findings.truncate(FINDINGS);
    for finding in &mut findings {
        finding.blocks &= policy == TamperPolicy::Block;
    }
    findings
}

#[derive(Debug, Default)]
struct Found {
    findings: Vec<Finding>,
}

impl Found {
    fn block(&mut self, kind: FindingKind, path: &str, message: impl Into<String>) {
        self.add(kind, path, message.into(), true);
    }

    fn flag(&mut self, kind: FindingKind, path: &str, message: impl Into<String>) {
        self.add(kind, path, message.into(), false);
    }

    fn add(&mut self, kind: FindingKind, path: &str, message: String, blocks: bool) {
        self.findings.push(Finding { kind, path: path.to_owned(), message, blocks });
    }
}

#[cfg(test)]
mod tests;
