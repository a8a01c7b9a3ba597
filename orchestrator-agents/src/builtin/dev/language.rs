//! Languages and lines.

use crate::builtin::index::{Class, FileEntry, Index};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::atomic::AtomicBool};
use tokei::{CodeStats, Config, LanguageType};

/// Lines of one language, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lines {
    pub(super) files: usize,
    pub(super) code: usize,
    pub(super) comments: usize,
    pub(super) blanks: usize,
}

impl Lines {
    pub(super) fn lines(self) -> usize {
        self.code + self.comments + self.blanks
    }

    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.code += other.code;
        self.comments += other.comments;
        self.blanks += other.blanks;
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Languages {
    /// What people wrote here, most code first.
    pub(super) rows: Vec<(LanguageType, Lines)>,
    /// All of `rows`.
    pub(super) total: Lines,
    /// Files that are copied in, generated, fixtures or lock files: how many, and their lines.
    pub(super) set_aside: BTreeMap<Class, (usize, usize)>,
    /// Source files with more lines of code than [`LARGE`]: the path and the lines.
    pub(super) large: Vec<(String, usize)>,
}

/// From how many lines of code a source file counts as too large to be read in one go.
pub(super) const LARGE: usize = 1_500;

enum Counted {
    Written(Vec<(LanguageType, Lines)>),
    SetAside(usize),
    Unknown,
}

/// Counts every text file, in parallel.
pub(super) fn count(index: &Index, cancelled: &AtomicBool) -> Languages {
    let config = Config::default();
    let counted = index.scan(
        cancelled,
        |_| true,
        |file, text| {
            if !file.class.is_written_here() {
                return Counted::SetAside(memchr::memchr_iter(b'\n', text.as_bytes()).count());
            }
            match LanguageType::from_path(&file.abs, &config) {
                Some(language) => {
                    Counted::Written(lines(language, &language.parse_from_str(text, &config)))
                }
                None => Counted::Unknown,
            }
        },
    );
    let mut languages = Languages::default();
    let mut rows: BTreeMap<LanguageType, Lines> = BTreeMap::new();
    for (file, counted) in counted {
        match counted {
            Counted::Written(parts) => {
                if let Some((language, own)) = parts.first()
                    && own.code > LARGE
                    && is_program(*language)
                    && file.class == Class::Own
                    && !file.path.ends_with(".d.ts")
                {
                    languages.large.push((file.path.clone(), own.code));
                }
                for (language, lines) in parts {
                    rows.entry(language).or_default().add(lines);
                    languages.total.add(lines);
                }
            }
            Counted::SetAside(lines) => add_aside(&mut languages, file, lines),
            Counted::Unknown => {}
        }
    }
    languages.rows = rows.into_iter().collect();
    languages
        .rows
        .sort_by(|(a, x), (b, y)| y.code.cmp(&x.code).then_with(|| a.name().cmp(b.name())));
    languages
}

fn add_aside(languages: &mut Languages, file: &FileEntry, lines: usize) {
    let (files, sum) = languages.set_aside.entry(file.class).or_default();
    *files += 1;
    *sum += lines;
}

/// The file's own language first, then those embedded in it, which count no file of their own.
fn lines(language: LanguageType, stats: &CodeStats) -> Vec<(LanguageType, Lines)> {
    let of = |stats: &CodeStats, files| Lines {
        files,
        code: stats.code,
        comments: stats.comments,
        blanks: stats.blanks,
    };
    let embedded =
        stats.blobs.iter().map(|(language, stats)| (*language, of(&stats.summarise(), 0)));
    if is_prose(language) {
        // Text is no code, and neither are the examples in it.
        let whole = of(&stats.summarise(), 1);
        let lines = Lines { code: 0, comments: whole.comments + whole.code, ..whole };
        return vec![(language, lines)];
    }
    std::iter::once((language, of(stats, 1))).chain(embedded).collect()
}

/// Whether a language is for people to read.
fn is_prose(language: LanguageType) -> bool {
    matches!(
        language,
        LanguageType::AsciiDoc
            | LanguageType::Markdown
            | LanguageType::Org
            | LanguageType::Po
            | LanguageType::ReStructuredText
            | LanguageType::Text
    )
}

/// Whether a language is for programs rather than for data, pages or prose.
fn is_program(language: LanguageType) -> bool {
    !matches!(
        language,
        LanguageType::Json
            | LanguageType::Yaml
            | LanguageType::Toml
            | LanguageType::Xml
            | LanguageType::Svg
            | LanguageType::Html
            | LanguageType::Css
            | LanguageType::Markdown
            | LanguageType::ReStructuredText
            | LanguageType::Text
            | LanguageType::Sql
            | LanguageType::Tex
    )
}

impl Languages {
    /// The programming language with the most code, headers with what they declare, else any
    /// language.
    pub(super) fn main(&self) -> Option<&'static str> {
        let family = |language: LanguageType| match language {
            LanguageType::CHeader => LanguageType::C,
            LanguageType::CppHeader => LanguageType::Cpp,
            language => language,
        };
        let mut sums: BTreeMap<LanguageType, usize> = BTreeMap::new();
        for (language, lines) in self.rows.iter().filter(|(language, _)| is_program(*language)) {
            *sums.entry(family(*language)).or_default() += lines.code;
        }
        let most = sums.into_iter().filter(|(_, code)| *code > 0).max_by_key(|(_, code)| *code);
        let main = most.map(|(language, _)| language);
        main.or(self.rows.first().map(|(language, _)| *language)).map(LanguageType::name)
    }

    pub(super) fn table(&self) -> Value {
        self.rows
            .iter()
            .map(|(language, lines)| {
                json!({
                    "language": language.name(),
                    "files": lines.files,
                    "code": lines.code,
                    "comments": lines.comments,
                    "blanks": lines.blanks,
                })
            })
            .collect()
    }

    pub(super) fn set_aside_table(&self) -> Value {
        self.set_aside
            .iter()
            .map(|(class, (files, lines))| {
                json!({ "kind": class.as_str(), "files": files, "lines": lines })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::fixture::Tree;

    #[test]
    fn lines_are_counted_by_language_and_foreign_code_is_set_aside() {
        let tree = Tree::new(&[
            ("src/a.rs", "// note\n\nfn main() {}\nfn b() {}\n"),
            ("b.py", "x = 1\n"),
            ("vendor/c.rs", "fn c() {}\nfn d() {}\n"),
            ("data.unknown", "x\n"),
        ]);
        let languages = count(&tree.index(), &AtomicBool::new(false));
        let rows: Vec<_> = languages.rows.iter().map(|(l, n)| (l.name(), *n)).collect();
        assert_eq!(
            rows,
            [
                ("Rust", Lines { files: 1, code: 2, comments: 1, blanks: 1 }),
                ("Python", Lines { files: 1, code: 1, comments: 0, blanks: 0 }),
            ]
        );
        assert_eq!(languages.total.lines(), 5);
        assert_eq!(languages.main(), Some("Rust"));
        assert_eq!(languages.set_aside.get(&Class::Vendored), Some(&(1, 2)));
    }

    #[test]
    fn prose_is_no_code_and_headers_go_with_their_language() {
        let tree = Tree::new(&[
            ("README.md", "# A\n\n```sh\nmake\n```\n"),
            ("guide.rst", "A\n=\n\ntext\n"),
            ("a.hpp", "int a();\nint b();\n"),
            ("a.cpp", "int a() { return 1; }\nint b() { return 2; }\n"),
            ("a.py", "x = 1\ny = 2\nz = 3\n"),
        ]);
        let languages = count(&tree.index(), &AtomicBool::new(false));
        assert_eq!(languages.total.code, 7);
        assert_eq!(languages.main(), Some("C++"));
        assert!(languages.rows.iter().all(|(_, lines)| lines.files > 0), "{languages:?}");
    }

    #[test]
    fn only_large_programs_are_large() {
        let long = "x = 1\n".repeat(LARGE + 1);
        let tree = Tree::new(&[("a.py", &long), ("a.txt", &long), ("tests/b.py", &long)]);
        let languages = count(&tree.index(), &AtomicBool::new(false));
        assert_eq!(languages.large, [("a.py".to_owned(), LARGE + 1)]);
    }
}
