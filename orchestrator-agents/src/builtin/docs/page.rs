//! The pages that readers look for first.

use crate::builtin::{
    Finding, Report, Severity,
    index::{FileEntry, Index, Kind},
};
use serde_json::{Map, Value};

/// How many of the usual pages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) found: usize,
    pub(super) expected: usize,
}

struct Page {
    name: &'static str,
    rule: &'static str,
    severity: Severity,
    /// The beginnings of its file names, in lower case.
    stems: &'static [&'static str],
    message: &'static str,
    advice: &'static str,
}

const PAGES: [Page; 5] = [
    Page {
        name: "readme",
        rule: "docs/missing-readme",
        severity: Severity::High,
        stems: &["readme"],
        message: "there is no README",
        advice: "Write a `README.md`: what it is, for whom, how to install it, and one example",
    },
    Page {
        name: "licence",
        rule: "docs/missing-licence",
        severity: Severity::Medium,
        stems: &["license", "licence", "copying", "unlicense", "licenses", "copyright"],
        message: "there is no licence file",
        advice: "Add a `LICENSE` file: without one, nobody may use, copy or change the project",
    },
    Page {
        name: "changelog",
        rule: "docs/missing-changelog",
        severity: Severity::Low,
        stems: &[
            "changelog",
            "changes",
            "history",
            "news",
            "releases",
            "release-notes",
            "release_notes",
            "releasenotes",
        ],
        message: "there is no changelog",
        advice: "Keep a `CHANGELOG.md` of what users notice, newest first, by version",
    },
    Page {
        name: "contributing",
        rule: "docs/missing-contributing",
        severity: Severity::Low,
        stems: &["contributing", "contribute", "hacking", "development"],
        message: "there is no page for contributors",
        advice: "Write a `CONTRIBUTING.md`: how to build and test, and how changes get in",
    },
    Page {
        name: "security",
        rule: "docs/missing-security",
        severity: Severity::Low,
        stems: &["security"],
        message: "there is no security policy",
        advice: "Write a `SECURITY.md`: which versions get fixes, and where to report in private",
    },
];

pub(super) fn check(index: &Index, report: &mut Report) -> Pages {
    let mut found = Map::new();
    for page in &PAGES {
        let file = find(index, page.stems).or_else(|| deeper(index, page));
        if file.is_none() {
            report.push(Finding::new(page.rule, page.severity, page.message, page.advice));
        }
        let path = file.map_or(Value::Null, |file| Value::String(file.path.clone()));
        found.insert(page.name.to_owned(), path);
    }
    let count = found.values().filter(|path| !path.is_null()).count();
    report.fact("pages", found);
    if let Some(readme) = find(index, &["readme"])
        && let Some(text) = index.read(readme)
    {
        report.findings.extend(gaps(readme, &text, has_code(index)));
    }
    Pages { found: count, expected: PAGES.len() }
}

/// The page at the root, or where code hosting services look for it. `LICENSES/` counts too.
fn find<'a>(index: &'a Index, stems: &[&str]) -> Option<&'a FileEntry> {
    let is_page = |name: &str| {
        let lower = name.to_ascii_lowercase();
        // Numbers put a page first: `00-RELEASENOTES`.
        let lower = lower.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        // `MIT-LICENSE`
        let stem = lower.split('.').next().unwrap_or_default();
        let is_licence = stems.contains(&"license")
            && ["-license", "_license", "-licence", "_licence"].iter().any(|e| stem.ends_with(e));
        if is_licence && !stem.contains("third") {
            return true;
        }
        stems.iter().any(|stem| {
            lower.strip_prefix(stem).is_some_and(|rest| {
                rest.is_empty()
                    // `ReleaseNotes4.13.md`
                    || *stem == "releasenotes"
                    || rest.starts_with(['.', '-', '_'])
                        && !["rs", "py", "go", "js", "ts", "java"]
                            .contains(&rest.trim_start_matches('.'))
            })
        })
    };
    ["", ".github", "docs", "doc"].into_iter().find_map(|dir| {
        index.files().iter().find(|file| {
            let Some(here) = below_home(index, file.dir()) else { return false };
            let at_place = here == dir && is_page(file.name());
            let in_licences = dir.is_empty() && here == "LICENSES" && stems.contains(&"license");
            (at_place || in_licences) && file.kind != Kind::Unreadable
        })
    })
}

/// `path` from where the project begins; nothing when it lies elsewhere.
fn below_home<'a>(index: &Index, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(index.home())?;
    if index.home().is_empty() || rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// A page within the documentation: release notes in a directory of their own, a chapter for
/// contributors, or one that says where to report a vulnerability.
fn deeper<'a>(index: &'a Index, page: &Page) -> Option<&'a FileEntry> {
    const RELEASES: [&str; 9] = [
        "releases",
        "release-notes",
        "release_notes",
        "releasenotes",
        "changelog",
        "changelog.d",
        "changelogs",
        "changes",
        "newsfragments",
    ];
    index.files().iter().filter(|file| file.kind == Kind::Text).find(|file| {
        let Some(path) = below_home(index, &file.path) else { return false };
        let lower = path.to_ascii_lowercase();
        let Some((dirs, name)) = lower.rsplit_once('/') else { return false };
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let is_prose = ["md", "rst", "txt", "adoc", "markdown"].contains(&extension);
        let mut dirs = dirs.split('/');
        let Some(top) = dirs.next().filter(|_| is_prose) else { return false };
        let in_docs = matches!(top, "docs" | "doc" | "documentation");
        match page.name {
            "changelog" => {
                RELEASES.contains(&top) || in_docs && dirs.any(|dir| RELEASES.contains(&dir))
            }
            "contributing" => {
                in_docs && (page.stems.contains(&stem) || dirs.any(|dir| page.stems.contains(&dir)))
            }
            "security" => {
                let says_where = |text: &str| {
                    let lower = text.to_ascii_lowercase();
                    lower.contains("report")
                        && ["vulnerabilit", "security issue", "security problem", "security bug"]
                            .iter()
                            .any(|word| lower.contains(word))
                };
                let is_named = matches!(stem, "security" | "security-policy" | "security_policy");
                in_docs && is_named && index.read(file).is_some_and(|text| says_where(&text))
            }
            _ => false,
        }
    })
}

fn has_code(index: &Index) -> bool {
    use crate::builtin::index::Class;
    use orchestrator_workspace::recognise::Syntax;
    index
        .files()
        .iter()
        .any(|file| file.class == Class::Own && Syntax::of(file.extension()).is_some())
}

/// Fewer words than this are no README.
const FEW_WORDS: usize = 20;

/// What a README should have and does not. Only English words are known.
fn gaps(readme: &FileEntry, text: &str, has_code: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut tell = |rule: &str, message: &str, advice: &str| {
        findings.push(Finding::new(rule, Severity::Low, message, advice).at(&*readme.path));
    };
    if text.split_whitespace().take(FEW_WORDS).count() < FEW_WORDS {
        tell(
            "docs/empty-readme",
            "the README says next to nothing",
            "Say what it is, for whom, how to install it, and show one example",
        );
        return findings;
    }
    if !has_code {
        return findings;
    }
    let lower = text.to_ascii_lowercase();
    let headings: Vec<&str> = headings(&lower);
    let titled = |words: &[&str]| {
        headings.iter().any(|heading| words.iter().any(|word| heading.contains(word)))
    };
    // What is not called installation and is. A word on it, or a pointer to it, is enough.
    const INSTALL: [&str; 15] = [
        "install",
        "npm i ",
        "npx ",
        "yarn add",
        "pnpm add",
        "uv add",
        "uv tool",
        "poetry add",
        "cargo add",
        "[dependencies]",
        "go get",
        "composer require",
        "dotnet add",
        "docker run",
        "<dependency>",
    ];
    let begins = [
        "install",
        "setup",
        "set up",
        "getting started",
        "quick start",
        "quickstart",
        "build",
        "download",
        "requirements",
    ];
    if !titled(&begins) && !INSTALL.iter().any(|command| lower.contains(command)) {
        tell(
            "docs/readme-without-installation",
            "the README does not say how to install or build",
            "Add a section with the commands, tried on a fresh machine",
        );
    }
    let uses = [
        "usage",
        "use",
        "using",
        "example",
        "quick start",
        "quickstart",
        "getting started",
        "how to",
        "tutorial",
        "guide",
    ];
    let has_block = lower.contains("```") || lower.contains("\n    ") || lower.contains("::\n");
    let has_guide = [
        "documentation",
        "docs.rs",
        "readthedocs",
        "user guide",
        "getting started",
        "getting-started",
        "tutorial",
        "manual",
    ]
    .iter()
    .any(|word| lower.contains(word));
    if !titled(&uses) && !has_block && !has_guide {
        tell(
            "docs/readme-without-usage",
            "the README does not show how to use it",
            "Add the shortest example that does something real",
        );
    }
    findings
}

/// The headings of Markdown, of reStructuredText and of HTML within either.
fn headings(lower: &str) -> Vec<&str> {
    let lines: Vec<&str> = lower.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_rule = line.len() >= 3
            && ["=", "-", "~", "^", "*"]
                .iter()
                .any(|c| line.trim_matches(c.chars().next().unwrap_or(' ')).is_empty());
        if line.starts_with('#')
            || line.starts_with("<h")
            || line.starts_with("= ")
            || line.starts_with("== ")
        {
            found.push(*line);
        } else if is_rule && at > 0 {
            found.extend(lines.get(at - 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::builtin::{docs::analyse, fixture::Tree};

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let tree = Tree::new(files);
        let report = analyse(&tree.index(), &tree.options());
        let mut found: Vec<_> = report.findings.iter().map(|f| f.rule.clone()).collect();
        found.sort();
        assert_eq!(found, expected, "{files:?}");
    }

    const LONG: &str = "This tool does one thing and it does that thing well enough that people \
                        come back to it every single day of the week.\n";

    #[test]
    fn missing_pages_are_found_wherever_they_may_lie() {
        check(
            &[("a.txt", "x")],
            &[
                "docs/missing-changelog",
                "docs/missing-contributing",
                "docs/missing-licence",
                "docs/missing-readme",
                "docs/missing-security",
            ],
        );
        check(
            &[
                ("Readme.rst", LONG),
                ("LICENSE-MIT", "x"),
                ("docs/CHANGES.md", "x"),
                (".github/CONTRIBUTING.md", "x"),
                ("SECURITY.md", "x"),
            ],
            &[],
        );
        check(
            &[
                ("README", LONG),
                ("MIT-LICENSE", "x"),
                ("NEWS", "x"),
                ("HACKING", "x"),
                ("SECURITY", "x"),
            ],
            &[],
        );
        // Pages of an unpacked archive, and chapters of the documentation.
        check(
            &[
                ("package/Readme.md", LONG),
                ("package/LICENSE", "x"),
                ("package/00-RELEASENOTES", "x"),
                ("package/docs/internals/contributing/index.txt", "x"),
                ("package/docs/internals/security.txt", "Report security issues to us."),
            ],
            &[],
        );
        check(
            &[
                ("README", LONG),
                ("LICENSE", "x"),
                ("docs/releases/1.0.txt", "x"),
                ("docs/contributing.md", "x"),
                // A chapter on passwords is no policy; code in `src/releases` is no changelog.
                ("docs/internals/security.rst.bak", "Report vulnerabilities."),
                ("docs/topics/security.txt", "Choose long passwords."),
            ],
            &["docs/missing-security"],
        );
        check(
            &[
                ("README", LONG),
                ("LICENSE", "x"),
                ("src/releases/a.md", "x"),
                ("CONTRIBUTING", "x"),
                ("SECURITY", "x"),
            ],
            &["docs/missing-changelog"],
        );
        // Code that is named like a page is none.
        let others = [("README.md", LONG), ("COPYING", "x"), ("NEWS", "x"), ("CONTRIBUTING", "x")];
        let mut files = others.to_vec();
        files.push(("security.py", "def a():\n    '''A.'''\n\n# usage install\n"));
        files[0].1 = "# Tool\n\n## Install\n\nRun the thing that installs it on the machine you have.\n\n## Usage\n\nRun it and see what comes out of it.\n";
        check(&files, &["docs/missing-security"]);
    }

    #[test]
    fn a_readme_has_to_say_something() {
        let pages = |readme: &'static str| {
            vec![
                ("README.md", readme),
                ("LICENSE", "x"),
                ("CHANGELOG.md", "x"),
                ("CONTRIBUTING.md", "x"),
                ("SECURITY.md", "x"),
                ("a.c", "int main(void) { return 0; }\n"),
            ]
        };
        check(&pages("# Tool\n"), &["docs/empty-readme"]);
        check(&pages(LONG), &["docs/readme-without-installation", "docs/readme-without-usage"]);
        const POINTER: &str = "This tool does one thing and it does that thing well enough that \
                               people come back to it. See docs/intro.txt for how to install it, \
                               and our documentation for more.\n";
        check(&pages(POINTER), &[]);
    }
}
