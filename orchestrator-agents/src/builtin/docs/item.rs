//! Public items without documentation.

use crate::builtin::{
    Finding, Report, Severity,
    index::{Class, FileEntry, Index},
};
use orchestrator_workspace::recognise::{Syntax, identifier, indent};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicBool,
};

/// How many names a message lists.
const NAMED: usize = 5;

/// Public items, and how many of them are documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Items {
    pub(super) public: usize,
    pub(super) documented: usize,
}

impl Items {
    /// The documented part, rounded down, of 100.
    pub(super) fn percent(self) -> usize {
        (self.documented * 100).checked_div(self.public).unwrap_or(100)
    }
}

/// What one file has.
#[derive(Debug, Default)]
struct Found {
    documented: usize,
    /// Line and name of each that is not.
    bare: Vec<(u32, String)>,
}

pub(super) fn check(index: &Index, cancelled: &AtomicBool, report: &mut Report) -> Items {
    let libraries = rust_libraries(index);
    let files = index.scan(
        cancelled,
        |file| file.class == Class::Own && is_read(file, &libraries),
        |file, text| Syntax::of(file.extension()).map(|syntax| (syntax, find(syntax, text))),
    );
    let mut total = Items::default();
    let mut languages: BTreeMap<Syntax, Items> = BTreeMap::new();
    for (file, found) in files {
        let Some((syntax, found)) = found else {
            continue;
        };
        let items =
            Items { public: found.documented + found.bare.len(), documented: found.documented };
        for sum in [&mut total, languages.entry(syntax).or_default()] {
            sum.public += items.public;
            sum.documented += items.documented;
        }
        report.findings.extend(finding(file, syntax, items, &found));
    }
    let table: Value = languages
        .iter()
        .filter(|(_, items)| items.public > 0)
        .map(|(syntax, items)| {
            json!({
                "language": syntax.name(),
                "public-items": items.public,
                "documented": items.documented,
                "percent": items.percent(),
            })
        })
        .collect();
    report.fact("documented-items", table);
    total
}

/// One finding a file; a few bare items among many documented ones matter least.
fn finding(file: &FileEntry, syntax: Syntax, items: Items, found: &Found) -> Option<Finding> {
    let (line, _) = found.bare.first()?;
    // Overloads share a name, which is worth saying once.
    let mut names: Vec<&str> = Vec::new();
    for (_, name) in &found.bare {
        if !names.contains(&&**name) {
            names.push(name);
        }
    }
    let more = match names.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    names.truncate(NAMED);
    let names = names.join(", ");
    let message = match (found.bare.len(), items.public) {
        (_, 1) => format!("the only public item has no documentation: {names}"),
        (1, public) => format!("1 of {public} public items has no documentation: {names}"),
        (bare, public) if bare == public => {
            format!("none of {public} public items has documentation: {names}{more}")
        }
        (bare, public) => {
            format!("{bare} of {public} public items have no documentation: {names}{more}")
        }
    };
    // Exports of scripts are as often a matter of files as of an interface for others.
    let severity = if syntax.is_script() || found.bare.len() < 3 || items.percent() >= 80 {
        Severity::Info
    } else {
        Severity::Low
    };
    let advice = match syntax {
        Syntax::Rust => "Put a `///` line above each: what it is for, and when it fails",
        Syntax::Python => "Begin each with a docstring: what it does, takes and returns",
        Syntax::Go => "Put a comment above each that begins with its name",
        Syntax::Java => "Put Javadoc above each: what it is for, and what it throws",
        _ => "Put a `/** */` comment above each: what it is for, and what it returns",
    };
    Some(
        Finding::new("docs/undocumented-items", severity, message, advice)
            .at(&*file.path)
            .on_line(*line),
    )
}

/// Directories of Rust packages that others can build on.
fn rust_libraries(index: &Index) -> BTreeSet<&str> {
    let manifests = index.files().iter().filter(|file| file.name() == "Cargo.toml");
    manifests
        .filter(|manifest| {
            let within = |path: &str| match manifest.dir() {
                "" => path.to_owned(),
                dir => format!("{dir}/{path}"),
            };
            index.file(&within("src/lib.rs")).is_some()
                || index.read(manifest).is_some_and(|text| text.contains("[lib]"))
        })
        .map(FileEntry::dir)
        .collect()
}

fn is_read(file: &FileEntry, libraries: &BTreeSet<&str>) -> bool {
    match Syntax::of(file.extension()) {
        Some(Syntax::Rust) => {
            let package = file.path.rsplit_once("src/").map(|(dir, _)| dir.trim_end_matches('/'));
            package.is_some_and(|dir| libraries.contains(dir)) && !file.path.contains("src/bin/")
        }
        Some(Syntax::Python) => {
            !matches!(file.name(), "setup.py" | "conf.py" | "manage.py")
                && !file.path.contains("/migrations/")
        }
        Some(Syntax::JavaScript | Syntax::TypeScript) => {
            !file.name().contains(".config.") && !file.name().contains(".stories.")
        }
        Some(Syntax::Go | Syntax::Java) => true,
        _ => false,
    }
}

fn find(syntax: Syntax, text: &str) -> Found {
    match syntax {
        Syntax::Rust => above(
            text,
            rust_item,
            Comments { doc: &["///", "/**", "#[doc", "#![doc"], other: &["//"], attribute: "#[" },
            Some("#[cfg(test)]"),
        ),
        Syntax::Go if is_go_program(text) => Found::default(),
        Syntax::Go => {
            above(text, go_item, Comments { doc: &["//", "/*"], other: &[], attribute: "\0" }, None)
        }
        Syntax::JavaScript | Syntax::TypeScript => above(
            text,
            script_item,
            Comments { doc: &["/**"], other: &["//"], attribute: "@" },
            None,
        ),
        Syntax::Java => above(
            text,
            java_item,
            Comments { doc: &["/**", "///"], other: &["//"], attribute: "@" },
            None,
        ),
        Syntax::Python => python(text),
        _ => Found::default(),
    }
}

/// How a language writes comments above an item.
#[derive(Clone, Copy)]
struct Comments {
    /// How documentation begins.
    doc: &'static [&'static str],
    /// How a comment begins that is none.
    other: &'static [&'static str],
    /// How what may stand between documentation and item begins.
    attribute: &'static str,
}

/// Languages that document an item above it. `end` cuts off what follows a line at the margin.
fn above(
    text: &str,
    item: fn(&str, usize) -> Option<&str>,
    comments: Comments,
    end: Option<&str>,
) -> Found {
    let begins = |code: &str, all: &[&str]| all.iter().any(|start| code.starts_with(start));
    let mut found = Found::default();
    let mut documented = false;
    let mut overrides = false;
    // Within a comment or an attribute of several lines.
    let mut within: Option<&str> = None;
    for (number, line) in (1u32..).zip(text.lines()) {
        let code = line.trim();
        if let Some(closing) = within {
            if code.ends_with(closing) || (closing == "*/" && code.contains(closing)) {
                within = None;
            }
            continue;
        }
        if code.is_empty() {
            documented = false;
            overrides = false;
            continue;
        }
        if end.is_some_and(|end| line.starts_with(end)) {
            break;
        }
        if begins(code, comments.doc) {
            documented = true;
            if code.starts_with("/*") && !code.contains("*/") {
                within = Some("*/");
            }
            continue;
        }
        if code.starts_with("/*") {
            if !code.contains("*/") {
                within = Some("*/");
            }
            continue;
        }
        if begins(code, comments.other) {
            continue;
        }
        if code.starts_with(comments.attribute) {
            overrides |= code.starts_with("@Override");
            if comments.attribute == "#[" && !code.ends_with(']') && !code.contains("] ") {
                within = Some("]");
            }
            // An annotation may stand on the line of its item.
            if comments.attribute != "@" || !code.contains(" class ") {
                continue;
            }
        }
        if let Some(name) = item(code, indent(line))
            && !overrides
        {
            if documented {
                found.documented += 1;
            } else {
                found.bare.push((number, name.to_owned()));
            }
        }
        documented = false;
        overrides = false;
    }
    found
}

/// The rest after the first of `words` that `text` begins with as a whole word.
fn after_word<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| {
        let rest = text.strip_prefix(word)?;
        rest.starts_with([' ', '\t']).then(|| rest.trim_start())
    })
}

fn named(text: &str) -> Option<&str> {
    Some(identifier(text)).filter(|name| !name.is_empty())
}

fn rust_item(code: &str, _: usize) -> Option<&str> {
    let mut rest = code.strip_prefix("pub ")?;
    // Items of macros have no name yet; a module's documentation is in its file.
    if rest.contains('$') || (rest.starts_with("mod ") && rest.ends_with(';')) {
        return None;
    }
    while let Some(less) = after_word(rest, &["async", "unsafe", "extern", "\"C\"", "default"]) {
        rest = less;
    }
    if let Some(function) = after_word(rest, &["const"])
        && let Some(name) = after_word(function, &["fn", "unsafe fn", "async fn"])
    {
        return named(name);
    }
    let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "union"];
    named(after_word(rest, &kinds)?)
}

fn is_go_program(text: &str) -> bool {
    text.lines().any(|line| line.trim() == "package main")
}

fn go_item(code: &str, indent: usize) -> Option<&str> {
    if indent > 0 {
        return None;
    }
    let rest = after_word(code, &["func", "type", "var", "const"])?;
    let rest = match rest.strip_prefix('(') {
        Some(receiver) => {
            let (receiver, rest) = receiver.split_once(')')?;
            let of = receiver.split_whitespace().last().unwrap_or(receiver).trim_start_matches('*');
            // A method of a type that is not exported is seen by nobody.
            if !code.starts_with("func") || !of.starts_with(char::is_uppercase) {
                return None;
            }
            rest.trim_start()
        }
        None => rest,
    };
    named(rest).filter(|name| name.starts_with(char::is_uppercase))
}

fn script_item(code: &str, indent: usize) -> Option<&str> {
    if indent > 0 {
        return None;
    }
    let mut rest = after_word(code, &["export"])?;
    while let Some(less) = after_word(rest, &["default", "async", "abstract", "declare"]) {
        rest = less;
    }
    let kinds = ["function", "function*", "class", "interface", "type", "enum", "const"];
    let rest = after_word(rest, &kinds)?;
    // `export type { A } from` and `export const { a } =` pass things on.
    let rest = after_word(rest, &["enum"]).unwrap_or(rest);
    named(rest).filter(|name| !matches!(*name, "extends" | "from"))
}

fn java_item(code: &str, _: usize) -> Option<&str> {
    let mut rest = after_word(code, &["public", "@interface"])?;
    while let Some(less) = after_word(
        rest,
        &[
            "static",
            "final",
            "abstract",
            "synchronized",
            "sealed",
            "non-sealed",
            "default",
            "strictfp",
        ],
    ) {
        rest = less;
    }
    if let Some(name) = after_word(rest, &["class", "interface", "enum", "record", "@interface"]) {
        return named(name);
    }
    // A method: its name stands before the first parenthesis. Fields are left out.
    let (head, _) = rest.split_once('(')?;
    if head.contains('=') {
        return None;
    }
    let name = head.rsplit([' ', '\t', '>']).next()?;
    let is_accessor = ["get", "set", "is"].iter().any(|start| {
        name.strip_prefix(start)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    let is_usual = matches!(name, "toString" | "equals" | "hashCode" | "main" | "compareTo");
    named(name).filter(|_| !is_accessor && !is_usual)
}

/// Functions and classes at the margin whose body does not begin with a string.
fn python(text: &str) -> Found {
    let mut found = Found::default();
    let lines: Vec<&str> = text.lines().collect();
    // Within a string of several lines nothing is defined.
    let mut quoted: Option<&str> = None;
    for (at, line) in lines.iter().enumerate() {
        if let Some(quote) = quoted {
            if line.contains(quote) {
                quoted = None;
            }
            continue;
        }
        for quote in ["\"\"\"", "'''"] {
            if line.matches(quote).count() == 1 && !line.trim_start().starts_with('#') {
                quoted = Some(quote);
            }
        }
        if indent(line) > 0 {
            continue;
        }
        let Some(rest) = after_word(line, &["def", "class", "async def"]) else {
            continue;
        };
        let Some(name) = named(rest).filter(|name| !name.starts_with('_')) else {
            continue;
        };
        let before = lines.get(at.wrapping_sub(1)).map_or("", |line| line.trim());
        if before.starts_with("@overload") || before.starts_with("@typing.overload") {
            continue;
        }
        let Some(body) = python_body(lines.get(at..).unwrap_or_default()) else {
            continue;
        };
        let is_string =
            ["\"", "'", "r\"", "r'", "R\"", "u\"", "f\""].iter().any(|q| body.starts_with(q));
        if is_string {
            found.documented += 1;
        } else {
            found.bare.push((u32::try_from(at + 1).unwrap_or(u32::MAX), name.to_owned()));
        }
    }
    found
}

/// The first line of the body of a definition whose head begins with the first of `lines`.
/// Nothing when the whole of it is on one line.
fn python_body<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut open = 0i32;
    for (at, line) in lines.iter().enumerate().take(60) {
        let code = line.split(" #").next().unwrap_or(line).trim_end();
        for byte in code.bytes() {
            match byte {
                b'(' | b'[' | b'{' => open += 1,
                b')' | b']' | b'}' => open -= 1,
                _ => {}
            }
        }
        if open <= 0 {
            if !code.ends_with(':') {
                return None;
            }
            let rest = lines.get(at + 1..)?;
            return rest
                .iter()
                .map(|line| line.trim())
                .find(|line| !line.is_empty() && !line.starts_with('#'));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::fixture::Tree;

    fn check(syntax: Syntax, text: &str, documented: usize, bare: &[(u32, &str)]) {
        let found = find(syntax, text);
        let names: Vec<(u32, &str)> = found.bare.iter().map(|(l, n)| (*l, &**n)).collect();
        assert_eq!((found.documented, &*names), (documented, bare), "{text}");
    }

    #[test]
    fn rust_items_have_their_documentation_above() {
        check(
            Syntax::Rust,
            "/// A.\n#[derive(\n    Debug\n)]\npub struct A;\n\npub fn b() {}\n\n// not doc\n\
             pub const fn c() {}\n\npub(crate) fn d() {}\npub mod e;\npub use x::y;\n\
             /** F. */\npub enum F {}\n\npub async unsafe fn g() {}\n\n\
             #[cfg(test)]\nmod tests {\n    pub fn h() {}\n}\n",
            2,
            &[(7, "b"), (10, "c"), (18, "g")],
        );
    }

    #[test]
    fn go_items_are_public_by_their_capital() {
        check(
            Syntax::Go,
            "package a\n\n// A does.\nfunc A() {}\n\nfunc B() {}\n\nfunc c() {}\n\n\
             func (x *T) D() {}\n\nfunc (x *t) E() {}\n\ntype F struct {\n\tvar G int\n}\n",
            1,
            &[(6, "B"), (10, "D"), (14, "F")],
        );
        check(Syntax::Go, "package main\n\nfunc B() {}\n", 0, &[]);
    }

    #[test]
    fn exports_of_scripts_want_a_doc_comment() {
        check(
            Syntax::TypeScript,
            "/**\n * A.\n */\nexport function a() {}\n\nexport const b = 1\n\nexport { c } from './c'\n\
             export type { D } from './d'\n\nexport default class E {}\n\n@dec\nexport class F {}\n",
            1,
            &[(6, "b"), (11, "E"), (14, "F")],
        );
    }

    #[test]
    fn java_overrides_and_accessors_need_no_javadoc() {
        check(
            Syntax::Java,
            "/** A. */\n@X\npublic class A {\n    public int getB() { return b; }\n\n    @Override\n    \
             public void c() {}\n\n    public static int d(int x) {\n    }\n    public int e = f(1);\n}\n",
            1,
            &[(9, "d")],
        );
    }

    #[test]
    fn python_items_begin_with_a_docstring() {
        check(
            Syntax::Python,
            "def a():\n    \"\"\"A.\"\"\"\n\ndef b(\n    x: int,  # y\n) -> int:\n    return x\n\n\
             def _c():\n    pass\n\nclass D(object):\n\n    # note\n    '''D.'''\n    def e(self):\n        pass\n\n\
             X = \"\"\"\ndef f():\n    pass\n\"\"\"\nclass G: pass\nasync def h():\n    return 1\n",
            2,
            &[(4, "b"), (24, "h")],
        );
    }

    #[test]
    fn a_message_counts_items_and_says_each_name_once() {
        for (text, expected) in [
            ("package a\n\nfunc B() {}\n", "the only public item has no documentation: B"),
            (
                "package a\n\nfunc B() {}\n\nfunc (x *T) B() {}\n",
                "none of 2 public items has documentation: B",
            ),
            (
                "package a\n\n// C does.\nfunc C() {}\n\nfunc B() {}\n",
                "1 of 2 public items has no documentation: B",
            ),
        ] {
            let tree = Tree::new(&[("a.go", text)]);
            let mut report = Report::new("docs");
            super::check(&tree.index(), &AtomicBool::new(false), &mut report);
            let messages: Vec<&str> = report.findings.iter().map(|f| &*f.message).collect();
            assert_eq!(messages, [expected], "{text}");
        }
    }
}
