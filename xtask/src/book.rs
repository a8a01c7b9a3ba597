//! `cargo xtask book`: the book's table of contents is whole, and no link in the tree is dead.

use crate::{conclude, markdown, takes_nothing, tree::Tree};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// The directory of the book's pages.
const BOOK: &str = "docs/";
/// The book's table of contents.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Runs the chore. `scripts/book` runs it too, and then builds the book.
///
/// # Errors
/// When a page is missing or not listed, or a link is dead.
pub(crate) fn run(tree: &Tree, arguments: &[String]) -> Result<()> {
    takes_nothing("book", arguments)?;
    let files = tree.files()?;
    let mut pages = BTreeMap::new();
    for file in files.iter().filter(|file| is_page(file)) {
        pages.insert(file.clone(), tree.read(file)?);
    }
    let problems = Book { files: &files.iter().cloned().collect(), pages: &pages }.check();
    conclude("book", &problems, &format!("{} pages, every link leads somewhere", pages.len()))
}

/// Whether a file is a page of ours, not a fixture of some test.
fn is_page(file: &str) -> bool {
    file.ends_with(".md") && !file.contains("/tests/") && !file.contains("/fixtures/")
}

struct Book<'a> {
    files: &'a BTreeSet<String>,
    pages: &'a BTreeMap<String, String>,
}

impl Book<'_> {
    fn check(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let listed: BTreeSet<String> = self
            .pages
            .get(SUMMARY)
            .map(|text| markdown::links(text))
            .unwrap_or_default()
            .iter()
            .filter_map(|link| resolve(SUMMARY, &link.to))
            .map(|(path, _)| path)
            .collect();
        if listed.is_empty() {
            problems.push(format!("{SUMMARY} lists no page"));
        }
        for (page, text) in self.pages {
            let in_book = page.starts_with(BOOK) && page != SUMMARY;
            if in_book && !listed.contains(page) {
                problems.push(format!("{page} is not in {SUMMARY}; list it"));
            }
            let titles = markdown::headings(text).iter().filter(|(level, _)| *level == 1).count();
            if in_book && titles != 1 {
                problems.push(format!("{page} has {titles} titles; give it one `# Title`"));
            }
            for link in markdown::links(text) {
                if let Some(problem) = self.dead(page, &link.to) {
                    problems.push(format!("{page}:{}: {problem}", link.line));
                }
            }
        }
        problems
    }

    /// What is wrong with a link on `page`, if anything is.
    fn dead(&self, page: &str, to: &str) -> Option<String> {
        if is_elsewhere(to) {
            return None;
        }
        let Some((path, anchor)) = resolve(page, to) else {
            return Some(format!("`{to}` leads out of the tree"));
        };
        if page.starts_with(BOOK) && !path.starts_with(BOOK) {
            return Some(format!(
                "`{to}` leads out of the book, where it is dead; use the repository's address"
            ));
        }
        let directory = format!("{}/", path.trim_end_matches('/'));
        let is_directory = path.is_empty() || self.files.iter().any(|f| f.starts_with(&directory));
        if !self.files.contains(&path) && !is_directory {
            return Some(format!("`{to}` leads to nothing"));
        }
        let anchor = anchor?;
        let text = self.pages.get(&path)?;
        let known = markdown::anchors(text).contains(&anchor);
        (!known).then(|| format!("`{to}`: {path} has no heading `#{anchor}`"))
    }
}

/// Whether a link has a scheme, and so leads out of the tree on purpose.
fn is_elsewhere(to: &str) -> bool {
    to.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
    })
}

/// The file that a relative link on `page` leads to, from the root, and its anchor; `None` when
/// it leads out of the tree.
fn resolve(page: &str, to: &str) -> Option<(String, Option<String>)> {
    let (path, anchor) = match to.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor.to_owned())),
        None => (to, None),
    };
    if path.is_empty() {
        return Some((page.to_owned(), anchor));
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some((parts.join("/"), anchor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pages: &[(&str, &str)], expected: &[&str]) {
        let pages: BTreeMap<String, String> =
            pages.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let mut files: BTreeSet<String> = pages.keys().cloned().collect();
        files.insert("scripts/test".to_owned());
        let problems = Book { files: &files, pages: &pages }.check();
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problem} lacks {expected}");
        }
    }

    #[test]
    fn every_page_is_listed_and_every_listed_page_exists() {
        let summary = ("docs/SUMMARY.md", "# Summary\n\n- [A](a.md)\n- [B](adr/b.md)\n");
        check(&[summary, ("docs/a.md", "# A\n"), ("docs/adr/b.md", "# B\n")], &[]);
        check(&[summary, ("docs/a.md", "# A\n")], &["`adr/b.md` leads to nothing"]);
        check(
            &[summary, ("docs/a.md", "# A\n"), ("docs/adr/b.md", "B\n"), ("docs/c.md", "# C\n")],
            &["docs/adr/b.md has 0 titles", "docs/c.md is not in"],
        );
        check(&[], &["lists no page"]);
    }

    #[test]
    fn links_lead_to_files_headings_and_directories() {
        let with = |text: &str, expected: &[&str]| {
            check(
                &[
                    ("docs/SUMMARY.md", "[A](a.md)\n"),
                    ("docs/a.md", "# A\n\n## Part two\n"),
                    ("README.md", text),
                ],
                expected,
            );
        };
        with("[a](docs/a.md#part-two) [d](docs) [s](scripts/test) [x](https://x.y/z)\n", &[]);
        with("[a](docs/a.md#part-three)\n", &["README.md:1: `docs/a.md#part-three`"]);
        with("# Here\n\n[self](#here)\n[gone](#there)\n", &["README.md:4: `#there`"]);
        with("[out](../x.md)\n", &["leads out of the tree"]);
        with("`[code](gone.md)` [m](mailto:a@b.c)\n", &[]);
    }

    #[test]
    fn pages_of_the_book_stay_in_the_book() {
        check(
            &[
                ("docs/SUMMARY.md", "[A](a.md)\n"),
                ("docs/a.md", "# A\n\n[r](../README.md)\n"),
                ("README.md", "x\n"),
            ],
            &["leads out of the book"],
        );
    }
}
