//! `cargo xtask layers`: the dependencies between crates are those of `docs/architecture.md`.
//!
//! The page is the source: its table of allowed edges and its list of what core must do without
//! are read here, so that the documentation cannot drift from what is enforced.

use crate::{conclude, markdown, takes_nothing, tree::Tree};
use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata};
use std::collections::{BTreeMap, BTreeSet};

/// Where the rules are written.
const PAGE: &str = "docs/architecture.md";
/// The header of the table of allowed edges.
const HEADER: [&str; 3] = ["Crate", "May use", "In tests also"];
/// The comment before the list of what core's tree must not hold without features.
const MARKER: &str = "core-without-features";
/// The crate that everything may use and that uses nothing of ours.
const CORE: &str = "orchestrator-core";
/// The crate that is only ever a dev-dependency.
const TESTKIT: &str = "orchestrator-testkit";

/// Runs the chore.
///
/// # Errors
/// When an edge is not allowed, the page names what is not there, or core's bare tree holds what
/// it must do without.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    takes_nothing("layers", arguments)?;
    let page = tree.read(PAGE)?;
    let rules = Rules::read(&page)?;
    let edges = edges(&tree.members()?);
    let mut problems = rules.judge(&edges);
    let bare = tree.output(
        "cargo",
        &["tree", "-p", CORE, "--no-default-features", "-e", "normal", "--prefix", "none"],
    )?;
    problems.extend(rules.judge_bare(&bare));
    problems.extend(inward(tree)?);
    let count: usize = edges.values().map(|edge| edge.always.len() + edge.in_tests.len()).sum();
    conclude("layers", &problems, &format!("{count} edges between {} crates", edges.len()))
}

/// What one crate uses of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Uses {
    /// In its library or program, or to build it.
    always: BTreeSet<String>,
    /// In its tests, examples and benchmarks.
    in_tests: BTreeSet<String>,
}

type Edges = BTreeMap<String, Uses>;

fn edges(metadata: &Metadata) -> Edges {
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| &**package.name).collect();
    let mut edges = Edges::new();
    for package in &metadata.packages {
        let uses = edges.entry(package.name.to_string()).or_default();
        for dependency in package.dependencies.iter().filter(|d| ours.contains(&*d.name)) {
            let kind = match dependency.kind {
                DependencyKind::Development => &mut uses.in_tests,
                _ => &mut uses.always,
            };
            kind.insert(dependency.name.clone());
        }
    }
    edges
}

/// What the page allows.
#[derive(Debug)]
struct Rules {
    allowed: Edges,
    banned: Vec<String>,
}

impl Rules {
    fn read(page: &str) -> Result<Self> {
        let table = markdown::tables(page, &HEADER).into_iter().next().with_context(|| {
            format!("{PAGE} has no table with the header `{}`", HEADER.join(" | "))
        })?;
        let mut allowed = Edges::new();
        for row in table.rows {
            let [name, always, in_tests] = row.as_slice() else {
                continue;
            };
            let name = name.code.first().with_context(|| {
                format!("{PAGE}: the first cell `{}` names no crate in backticks", name.text)
            })?;
            let set = |cell: &markdown::Cell| cell.code.iter().cloned().collect();
            allowed.insert(name.clone(), Uses { always: set(always), in_tests: set(in_tests) });
        }
        let banned = markdown::code_after(page, MARKER)
            .with_context(|| format!("{PAGE} has no paragraph after `<!-- {MARKER} -->`"))?;
        Ok(Self { allowed, banned })
    }

    fn judge(&self, edges: &Edges) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, uses) in edges {
            let Some(allowed) = self.allowed.get(name) else {
                problems.push(format!("{name} has no row in {PAGE}; give it one"));
                continue;
            };
            for other in uses.always.difference(&allowed.always) {
                problems.push(format!(
                    "{name} uses {other}, which its row in {PAGE} does not allow; move what it \
                     needs to where both may reach it, or change the rule with a record in docs/adr"
                ));
            }
            let in_tests: BTreeSet<_> = allowed.always.union(&allowed.in_tests).cloned().collect();
            for other in uses.in_tests.difference(&in_tests) {
                problems.push(format!(
                    "{name} uses {other} in its tests, which its row in {PAGE} does not allow"
                ));
            }
        }
        for (name, allowed) in &self.allowed {
            if !edges.contains_key(name) {
                problems.push(format!("{PAGE} has a row for {name}, which is no crate of ours"));
            }
            if name == CORE && !allowed.always.is_empty() {
                problems.push(format!("{PAGE} lets {CORE} use another crate of ours"));
            }
            if allowed.always.contains(TESTKIT) {
                problems.push(format!(
                    "{PAGE} lets {name} use {TESTKIT} outside its tests; it is for tests alone"
                ));
            }
            let named = allowed.always.iter().chain(&allowed.in_tests);
            for other in named.filter(|other| !edges.contains_key(*other)) {
                problems.push(format!("{PAGE} lets {name} use {other}, which is no crate of ours"));
            }
        }
        problems
    }

    /// Judges what `cargo tree` prints for core without features, one `name version` a line.
    fn judge_bare(&self, listed: &str) -> Vec<String> {
        let held: BTreeSet<&str> =
            listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
        let mut problems: Vec<String> = self
            .banned
            .iter()
            .filter(|name| held.contains(name.as_str()))
            .map(|name| {
                format!(
                    "{CORE} without features depends on {name}; \
                     `cargo tree -p {CORE} --no-default-features -e normal -i {name}` shows why"
                )
            })
            .collect();
        if !held.contains(CORE) {
            problems.push(format!("`cargo tree` did not list {CORE} itself"));
        }
        problems
    }
}

/// Core's domain modules do not reach for its engine.
fn inward(tree: &Tree) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in tree.files()? {
        let Some(module) = file.strip_prefix("orchestrator-core/src/") else {
            continue;
        };
        if module == "lib.rs" || module == "engine.rs" || module.starts_with("engine/") {
            continue;
        }
        for (index, line) in tree.read(&file)?.lines().enumerate() {
            if reaches_engine(line) {
                problems.push(format!(
                    "{file}:{}: a domain module uses the engine; turn the call into an effect \
                     that the engine carries out",
                    index + 1
                ));
            }
        }
    }
    Ok(problems)
}

fn reaches_engine(line: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with("//") && (line.contains("crate::engine") || line.contains("super::engine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| Crate | May use | In tests also |\n|---|---|---|\n\
        | `orchestrator-core` | – | `orchestrator-testkit` |\n\
        | `orchestrator-testkit` | `orchestrator-core` | – |\n\
        | `orchestrator-cli` | `orchestrator-core` | `orchestrator-testkit` |\n\n\
        <!-- core-without-features -->\n\nNone of `tokio`, `mio`.\n";

    fn edges(list: &[(&str, &[&str], &[&str])]) -> Edges {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        list.iter()
            .map(|(name, always, in_tests)| {
                ((*name).to_owned(), Uses { always: set(always), in_tests: set(in_tests) })
            })
            .collect()
    }

    fn check(extra: &[(&str, &[&str], &[&str])], expected: &[&str]) {
        let mut tree = edges(&[
            ("orchestrator-core", &[], &["orchestrator-testkit"]),
            ("orchestrator-testkit", &["orchestrator-core"], &[]),
            ("orchestrator-cli", &["orchestrator-core"], &["orchestrator-core"]),
        ]);
        tree.extend(edges(extra));
        let problems = Rules::read(TABLE).unwrap().judge(&tree);
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problem} lacks {expected}");
        }
    }

    #[test]
    fn only_what_the_table_allows_is_allowed() {
        check(&[], &[]);
        check(
            &[("orchestrator-core", &["orchestrator-cli"], &[])],
            &["orchestrator-core uses orchestrator-cli"],
        );
        check(
            &[("orchestrator-cli", &["orchestrator-testkit"], &[])],
            &["orchestrator-cli uses orchestrator-testkit, which"],
        );
        check(
            &[("orchestrator-testkit", &["orchestrator-core"], &["orchestrator-cli"])],
            &["orchestrator-testkit uses orchestrator-cli in its tests"],
        );
        check(&[("stray", &[], &[])], &["stray has no row"]);
    }

    #[test]
    fn a_table_that_breaks_the_fixed_rules_is_refused() {
        let rules = Rules::read(
            "| Crate | May use | In tests also |\n|---|---|---|\n\
             | `orchestrator-core` | `orchestrator-testkit` | – |\n| `ghost` | – | `phantom` |\n\n\
             <!-- core-without-features -->\n\nNone of `tokio`.\n",
        )
        .unwrap();
        let tree = edges(&[("orchestrator-core", &[], &[]), ("orchestrator-testkit", &[], &[])]);
        let problems = rules.judge(&tree).join("\n");
        for expected in [
            "orchestrator-testkit has no row",
            "row for ghost, which is no crate",
            "lets orchestrator-core use another",
            "lets orchestrator-core use orchestrator-testkit outside its tests",
            "lets ghost use phantom, which is no crate",
        ] {
            assert!(problems.contains(expected), "{problems} lacks {expected}");
        }
    }

    #[test]
    fn cores_bare_tree_is_searched_by_whole_names() {
        let rules = Rules::read(TABLE).unwrap();
        assert!(rules.judge_bare("orchestrator-core v0.1.0\ntokio-util v0.7\n").is_empty());
        let problems = rules.judge_bare("orchestrator-core v0.1.0\ntokio v1.0.0 (*)\n");
        assert!(problems[0].contains("depends on tokio"), "{problems:?}");
        assert!(!rules.judge_bare("").is_empty());
    }

    #[test]
    fn a_page_without_its_rules_is_an_error() {
        assert!(Rules::read("# Nothing").is_err());
        assert!(Rules::read(TABLE.split("<!--").next().unwrap()).is_err());
    }

    #[test]
    fn imports_of_the_engine_are_told_from_words_about_it() {
        assert!(reaches_engine("    use crate::engine::Engine;"));
        assert!(!reaches_engine("/// See [`crate::engine`]."));
        assert!(!reaches_engine("let engine = 1;"));
    }
}
