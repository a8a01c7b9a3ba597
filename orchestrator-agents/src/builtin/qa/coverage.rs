//! How much of the code has tests, as far as names tell.

use super::{
    NAMED,
    examine::{Examined, hash},
};
use crate::builtin::{Finding, Severity, index::Class};
use orchestrator_workspace::recognise::Syntax;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

/// Files with fewer lines than this are not asked for tests.
const WORTH_TESTING: usize = 25;
/// From how many untested lines a directory's finding is of medium severity.
const MANY_LINES: usize = 500;

/// Counts of tests and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) tests: usize,
    pub(super) test_files: usize,
    pub(super) test_lines: usize,
    pub(super) code_files: usize,
    pub(super) code_lines: usize,
}

impl Counts {
    fn add(&mut self, file: &Examined<'_>) {
        match file.class {
            Class::Test => self.test_files += 1,
            _ => self.code_files += 1,
        }
        self.tests += file.tests;
        self.test_lines += file.test_lines;
        self.code_lines += file.code_lines;
    }

    /// Lines of test for each line of code, to two places.
    pub(super) fn ratio(&self) -> f64 {
        if self.code_lines == 0 {
            return 0.0;
        }
        let hundredths = self.test_lines.saturating_mul(100) / self.code_lines;
        u32::try_from(hundredths).map_or(f64::MAX, |hundredths| f64::from(hundredths) / 100.0)
    }
}

/// The counts of all languages.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    pub(super) total: Counts,
    languages: BTreeMap<Syntax, Counts>,
}

impl Coverage {
    pub(super) fn of(examined: &[Examined<'_>]) -> Self {
        let mut coverage = Self::default();
        for file in examined.iter().filter(|file| file.class != Class::Example) {
            coverage.total.add(file);
            coverage.languages.entry(file.syntax).or_default().add(file);
        }
        coverage
    }

    pub(super) fn table(&self) -> Value {
        self.languages
            .iter()
            .map(|(syntax, counts)| {
                json!({
                    "language": syntax.name(),
                    "tests": counts.tests,
                    "test-files": counts.test_files,
                    "code-files": counts.code_files,
                    "test-lines": counts.test_lines,
                    "code-lines": counts.code_lines,
                    "test-to-code-ratio": counts.ratio(),
                })
            })
            .collect()
    }

    /// A finding for each directory with files that have no test of their own and that no test
    /// mentions.
    pub(super) fn untested(&self, examined: &[Examined<'_>]) -> Vec<Finding> {
        let mut mentioned: HashSet<u64> = HashSet::new();
        for file in examined {
            mentioned.extend(&file.mentions);
            if file.class == Class::Test {
                mentioned.extend(subject(file.path).map(hash));
            }
        }
        let mut dirs: BTreeMap<&str, (usize, Vec<&Examined<'_>>)> = BTreeMap::new();
        for file in examined.iter().filter(|file| is_worth_testing(file)) {
            let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
            let (count, untested) = dirs.entry(dir).or_default();
            *count += 1;
            if file.tests == 0 && !is_mentioned(file, &mentioned) {
                untested.push(file);
            }
        }
        dirs.into_values()
            .filter_map(|(count, mut untested)| {
                untested.sort_by(|a, b| b.code_lines.cmp(&a.code_lines).then(a.path.cmp(b.path)));
                let largest = untested.first()?;
                let lines: usize = untested.iter().map(|file| file.code_lines).sum();
                let severity = if lines >= MANY_LINES { Severity::Medium } else { Severity::Low };
                let names: Vec<String> = untested
                    .iter()
                    .take(NAMED)
                    .map(|file| {
                        let name = file.path.rsplit('/').next().unwrap_or(file.path);
                        format!("{name} ({})", file.code_lines)
                    })
                    .collect();
                let more = match untested.len().checked_sub(NAMED) {
                    Some(more @ 1..) => format!(" and {more} more"),
                    _ => String::new(),
                };
                let names = names.join(", ");
                let message = match untested.len() {
                    1 => format!("no test mentions it or what it defines, {lines} lines"),
                    all if all == count => format!(
                        "no test mentions any of the {count} files in this directory, {lines} \
                         lines in all: {names}{more}"
                    ),
                    some => format!(
                        "{some} of {count} files in this directory have no test that mentions \
                         them, {lines} lines in all: {names}{more}"
                    ),
                };
                Some(
                    Finding::new(
                        "qa/untested-files",
                        severity,
                        message,
                        "Begin with the largest, at its public functions. Judged by names: a test \
                         that reaches a file through others is not seen",
                    )
                    .at(largest.path),
                )
            })
            .collect()
    }
}

/// What a test file of this path tests, by its name.
fn subject(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let ends = ["_test", "_tests", "_spec", "Tests", "Test", "Spec", "IT"];
    let stem = ends.iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
    Some(stem.strip_prefix("test_").unwrap_or(stem))
}

fn is_worth_testing(file: &Examined<'_>) -> bool {
    const NOT: [&str; 12] = [
        "setup.py",
        "build.rs",
        "conf.py",
        "manage.py",
        "wsgi.py",
        "asgi.py",
        "gulpfile.js",
        "Gruntfile.js",
        "noxfile.py",
        "tasks.py",
        "mix.exs",
        "module-info.java",
    ];
    let name = file.path.rsplit('/').next().unwrap_or(file.path);
    // What a header declares is tested where it is defined.
    let is_settings = name.ends_with(".h")
        || name.contains(".config.")
        || name.ends_with(".d.ts")
        || name.contains("rc.");
    // What the documentation is built with; in Go, `doc` is a package like any other.
    let is_docs = file.syntax != Syntax::Go
        && file.path.split('/').rev().skip(1).any(|dir| matches!(dir, "doc" | "docs"));
    file.class == Class::Own
        && !is_docs
        && file.code_lines >= WORTH_TESTING
        && file.functions > 0
        && !is_settings
        && !NOT.contains(&name)
        && !file.path.contains("/migrations/")
        && !file.path.contains(".stories.")
}

/// Whether tests mention the file by its name or by something that it defines.
fn is_mentioned(file: &Examined<'_>, mentioned: &HashSet<u64>) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or(file.path);
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    // These are named for the place that they have in their directory.
    let stem = match stem {
        "mod" | "lib" | "main" | "index" | "__init__" | "__main__" => {
            file.path.rsplit('/').nth(1).unwrap_or(stem)
        }
        stem => stem,
    };
    mentioned.contains(&hash(stem)) || file.defines.iter().any(|name| mentioned.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::{fixture::Tree, qa::examine::examine};
    use std::sync::atomic::AtomicBool;

    fn untested(files: &[(&str, &str)]) -> Vec<(Option<String>, String)> {
        let index = Tree::new(files).index();
        let examined: Vec<_> = index
            .scan(&AtomicBool::new(false), |_| true, examine)
            .into_iter()
            .filter_map(|(_, examined)| examined)
            .collect();
        let coverage = Coverage::of(&examined);
        coverage.untested(&examined).into_iter().map(|f| (f.path, f.message)).collect()
    }

    #[test]
    fn files_are_tested_when_a_test_names_them_or_what_they_define() {
        let code = |name: &str| format!("def {name}():\n{}", "    x = 1\n".repeat(30));
        let (parse, render, store) = (code("parse_all"), code("render_all"), code("run"));
        let found = untested(&[
            ("pkg/parse.py", &parse),
            ("pkg/render.py", &render),
            ("pkg/store.py", &store),
            ("pkg/tiny.py", "def tiny_one():\n    pass\n"),
            ("pkg/lost.py", &store),
            ("docs/conf_tools.py", &store),
            ("tests/test_store.py", "def test_x():\n    assert parse_all() and render\n"),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.as_deref(), Some("pkg/lost.py"));
        assert_eq!(found[0].1, "no test mentions it or what it defines, 31 lines");
        // One of five in its directory is no less untested than both of two.
        let found = untested(&[
            ("pkg/a.py", &store),
            ("pkg/b.py", &store),
            ("lib/c.py", &store),
            ("lib/d.py", &store),
            ("lib/parse.py", &parse),
            ("tests/test_parse.py", "def test_x():\n    assert parse_all()\n"),
        ]);
        let messages: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "2 of 3 files in this directory have no test that mentions them, 62 lines in all: \
                 c.py (31), d.py (31)",
                "no test mentions any of the 2 files in this directory, 62 lines in all: a.py (31), \
                 b.py (31)",
            ]
        );
    }

    #[test]
    fn a_test_file_names_its_subject() {
        for (path, expected) in [
            ("tests/test_store.py", "store"),
            ("a/store_test.go", "store"),
            ("a/UserStoreTest.java", "UserStore"),
            ("a/store.spec.ts", "store"),
            ("spec/store_spec.rb", "store"),
        ] {
            assert_eq!(subject(path), Some(expected), "{path}");
        }
    }
}
