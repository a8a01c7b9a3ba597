//! Notes in comments: TODO, FIXME, HACK and XXX.

use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// What kind of note it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Marker {
    Todo,
    Fixme,
    Hack,
    Xxx,
}

impl Marker {
    const ALL: [Self; 4] = [Self::Todo, Self::Fixme, Self::Hack, Self::Xxx];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Todo => "TODO",
            Self::Fixme => "FIXME",
            Self::Hack => "HACK",
            Self::Xxx => "XXX",
        }
    }
}

/// One note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) marker: Marker,
    /// From 1.
    pub(super) line: u32,
    /// Who is asked, as in `TODO(ann)`.
    pub(super) owner: Option<String>,
    /// The issue that it names, such as `#12`, `ABC-7` or an address.
    pub(super) issue: Option<String>,
    /// What it says, at most [`MAX_TEXT`] characters.
    pub(super) text: String,
}

const MAX_TEXT: usize = 160;
/// Longer lines are data.
const MAX_LINE: usize = 1000;

static MARKERS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(Marker::ALL.map(Marker::as_str)).ok());

/// What begins a comment in a file of this name; empty where comments are not known.
fn comment_marks(name: &str) -> &'static [&'static str] {
    let lower = name.to_ascii_lowercase();
    let extension = lower.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "py" | "pyi" | "rb" | "rake" | "sh" | "bash" | "zsh" | "pl" | "pm" | "r" | "jl" | "yml"
        | "yaml" | "toml" | "ex" | "exs" | "tf" | "cmake" | "mk" | "nix" | "gemspec" | "cfg"
        | "conf" | "properties" | "dockerfile" | "nim" | "cr" | "tcl" | "awk" | "am" | "ac"
        | "ps1" | "graphql" => &["#"],
        "php" => &["//", "#", "/*"],
        "sql" | "lua" | "hs" | "elm" | "adb" | "ads" | "vhd" => &["--", "/*"],
        "ini" | "lisp" | "clj" | "cljs" | "scm" | "el" | "asm" | "s" => &[";", "#", "//"],
        "tex" | "erl" | "hrl" | "m" => &["%", "//"],
        "html" | "htm" | "xml" | "md" | "mdx" | "markdown" | "xhtml" | "csproj" | "xaml" => {
            &["<!--"]
        }
        "vue" | "svelte" | "astro" => &["//", "/*", "<!--"],
        "css" => &["/*"],
        "vb" | "bas" => &["'"],
        "" if matches!(
            lower.as_str(),
            "makefile"
                | "dockerfile"
                | "justfile"
                | "gemfile"
                | "rakefile"
                | "jenkinsfile"
                | ".gitignore"
        ) =>
        {
            &["#", "//"]
        }
        "json" | "txt" | "csv" | "svg" | "lock" | "map" | "" | "rst" | "adoc" | "po" | "ipynb" => {
            &[]
        }
        _ => &["//", "/*"],
    }
}

/// The notes in the file `path`.
pub(super) fn scan(path: &str, text: &str) -> Vec<Note> {
    let marks = comment_marks(path.rsplit('/').next().unwrap_or(path));
    let Some(markers) = MARKERS.as_ref().filter(|_| !marks.is_empty()) else { return Vec::new() };
    let bytes = text.as_bytes();
    let mut notes: Vec<Note> = Vec::new();
    let (mut number, mut counted, mut done) = (1, 0, 0);
    for found in markers.find_iter(text) {
        if found.start() < done || !is_word(bytes, found.start(), found.end()) {
            continue;
        }
        let start = memchr::memrchr(b'\n', &bytes[..found.start()]).map_or(0, |at| at + 1);
        let end =
            memchr::memchr(b'\n', &bytes[found.end()..]).map_or(bytes.len(), |at| found.end() + at);
        let (Some(before), Some(after), Some(marker)) = (
            text.get(start..found.start()),
            text.get(found.end()..end),
            Marker::ALL.get(found.pattern().as_usize()),
        ) else {
            continue;
        };
        if end - start > MAX_LINE || !is_note(*marker, before, after, marks) {
            continue;
        }
        number += memchr::memchr_iter(b'\n', &bytes[counted..start]).count();
        counted = start;
        // The rest of the line is this note's text, whatever other marker it names.
        done = end;
        let mut note = parse(*marker, u32::try_from(number).unwrap_or(u32::MAX), after);
        if note.text.is_empty()
            && let Some(said) = continued(text.get(end..).unwrap_or_default(), marks)
        {
            note.text = parse(*marker, note.line, said).text;
        }
        let code = comment_start(before, marks).and_then(|at| before.get(..at)).map(str::trim);
        if let (true, Some(code)) = (note.text.is_empty(), code.filter(|code| !code.is_empty())) {
            note.text = format!("at `{}`", code.replace('`', "'"));
        }
        notes.push(note);
    }
    notes
}

/// What the comment says on the line after `rest` begins: the marker may stand on a line alone.
fn continued<'a>(rest: &'a str, marks: &[&str]) -> Option<&'a str> {
    let next = rest.trim_start_matches('\r').strip_prefix('\n')?.lines().next()?.trim();
    let said = marks
        .iter()
        .find_map(|mark| next.strip_prefix(mark))
        .or_else(|| next.strip_prefix('*').filter(|_| marks.contains(&"/*")))?;
    (next.len() <= MAX_LINE).then(|| said.trim())
}

/// Whether no letter, digit or hyphen touches the marker: `XXX-XXX` and `TODOs` are no notes.
fn is_word(bytes: &[u8], start: usize, end: usize) -> bool {
    let touches = |byte: Option<&u8>| {
        byte.is_some_and(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'\\' | b'/' | b'.')
        })
    };
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    // `//TODO` is a note.
    let is_slashes = start >= 2 && matches!(&bytes[start - 2..start], b"//" | b"--");
    let after = bytes.get(end);
    (is_slashes || !touches(before))
        && (!touches(after) || matches!(after, Some(b'.' | b'-')))
        && !matches!(after, Some(b'"' | b'\'' | b'`' | b'|' | b','))
}

/// Whether the marker stands in a comment and at the head of what it says.
fn is_note(marker: Marker, before: &str, after: &str, marks: &[&str]) -> bool {
    let is_called =
        after.starts_with([':', '(', '!']) || after.trim_start().starts_with([':', '-', '—']);
    let trimmed = before.trim_start();
    // The body of a block comment: a star, or nothing but the marker with its colon.
    let has_blocks = marks.contains(&"/*");
    let in_block = has_blocks && trimmed.is_empty() && is_called
        || has_blocks && trimmed.trim_end().bytes().all(|b| b == b'*') && !trimmed.is_empty();
    let Some(comment) = comment_start(before, marks) else { return in_block };
    let said = before.get(comment..).unwrap_or_default();
    let lead = said
        .trim_start_matches(['/', '#', '*', '-', '!', '<', ';', '%', ' ', '\t', '@', '[', '\'']);
    // In the middle of a sentence only a marker that calls ("... TODO: ...") is a note.
    lead.is_empty() || (is_called && marker != Marker::Xxx && !said.contains(['"', '`', '\'']))
}

/// Where a comment begins in `before`: the first mark that no string holds.
fn comment_start(before: &str, marks: &[&str]) -> Option<usize> {
    let mut quote: Option<u8> = None;
    let bytes = before.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) if byte == b'\\' => at += 1,
            Some(_) => {}
            None => {
                let rest = &bytes[at..];
                let mark = marks.iter().find(|mark| rest.starts_with(mark.as_bytes()));
                // `https://` and `a#b` are no comments.
                let is_inside = at > 0 && matches!(bytes[at - 1], b':' | b'$' | b'{' | b'&');
                if mark.is_some() && !is_inside {
                    return Some(at);
                }
                // An apostrophe after a letter is one, as in "don't", or a lifetime's.
                let is_apostrophe = byte == b'\''
                    && (at > 0 && bytes[at - 1].is_ascii_alphanumeric()
                        || bytes.get(at + 2) != Some(&b'\'')
                            && before.matches('\'').count() % 2 == 1);
                if matches!(byte, b'"' | b'`') || (byte == b'\'' && !is_apostrophe) {
                    quote = Some(byte);
                }
            }
        }
        at += 1;
    }
    None
}

fn parse(marker: Marker, line: u32, after: &str) -> Note {
    let mut rest = after;
    let mut owner = None;
    let mut issue = None;
    if let Some((inside, behind)) = rest.trim_start().strip_prefix('(').and_then(|inside| inside.split_once(')'))
        // `(see below)` is part of what it says, `(ann, #12)` is not.
        && inside.len() <= 60
        && inside.split([',', ';']).all(|part| !part.trim().contains(' '))
    {
        rest = behind;
        for part in inside.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()) {
            match issue_in(part) {
                Some(found) => issue = issue.or(Some(found)),
                None => owner = owner.or(Some(part.trim_start_matches('@').to_owned())),
            }
        }
    }
    let text = rest.trim_start_matches([':', '-', '—', ' ', '\t', '!', ']']).trim_end();
    let text =
        text.trim_end_matches("-->").trim_end_matches("*/").trim_end_matches("#}").trim_end();
    if issue.is_none() {
        issue = text.split_whitespace().find_map(issue_in);
    }
    if owner.is_none() {
        owner = text.strip_prefix('@').and_then(|name| {
            let end = name
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
                .unwrap_or(name.len());
            name.get(..end).filter(|name| !name.is_empty()).map(str::to_owned)
        });
    }
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    if text.chars().count() > MAX_TEXT {
        short.push('…');
    }
    Note { marker, line, owner, issue, text: short }
}

/// The issue that a word names: `#12`, `gh-12`, `ABC-12`, an address of one.
fn issue_in(word: &str) -> Option<String> {
    let word = word.trim_matches(['(', ')', '[', ']', ',', '.', ';', ':', '<', '>']);
    let is_number = |text: &str| {
        !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit())
    };
    let is_hash = word.strip_prefix('#').is_some_and(is_number);
    let is_key = word.split_once('-').is_some_and(|(key, number)| {
        is_number(number)
            && (2..=10).contains(&key.len())
            && (key.bytes().all(|b| b.is_ascii_uppercase()) || key == "gh")
            && !matches!(key, "UTF" | "SHA" | "ISO" | "RFC" | "AES" | "CVE" | "UTC" | "GMT")
    });
    let is_address = word.starts_with("https://")
        && ["/issues/", "/pull/", "/browse/", "/merge_requests/"]
            .iter()
            .any(|part| word.contains(part));
    (is_hash || is_key || is_address).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, line: &str, expected: Option<(&str, Option<&str>, Option<&str>, &str)>) {
        let text = format!("one\n{line}\nthree\n");
        let notes = scan(path, &text);
        let found = notes
            .first()
            .map(|n| (n.marker.as_str(), n.owner.as_deref(), n.issue.as_deref(), n.text.as_str()));
        assert_eq!(found, expected, "{path}: {line}");
        assert!(notes.iter().all(|note| note.line == 2), "{line}");
        assert!(notes.len() <= 1, "{line}");
    }

    #[test]
    fn notes_in_comments_are_found() {
        for (path, line, expected) in [
            ("a.rs", "// TODO: say so", ("TODO", None, None, "say so")),
            ("a.rs", "//TODO say so", ("TODO", None, None, "say so")),
            ("a.rs", "let x = \"a\"; // FIXME(ann): mend", ("FIXME", Some("ann"), None, "mend")),
            (
                "a.rs",
                "fn f<'a>(x: &'a str) {} // TODO lifetimes",
                ("TODO", None, None, "lifetimes"),
            ),
            ("a.ts", "// FIXME (bo): mend", ("FIXME", Some("bo"), None, "mend")),
            ("a.rs", "// TODO (see below) mend", ("TODO", None, None, "(see below) mend")),
            ("a.ts", "/* HACK #12 around it */", ("HACK", None, Some("#12"), "#12 around it")),
            ("a.java", "   * XXX careful", ("XXX", None, None, "careful")),
            ("a.c", "   TODO: in a block", ("TODO", None, None, "in a block")),
            (
                "a.py",
                "x = 1  # TODO(ABC-7, @bo) later",
                ("TODO", Some("bo"), Some("ABC-7"), "later"),
            ),
            (
                "a.go",
                "// TODO @cy: see https://g.io/a/b/issues/9",
                (
                    "TODO",
                    Some("cy"),
                    Some("https://g.io/a/b/issues/9"),
                    "@cy: see https://g.io/a/b/issues/9",
                ),
            ),
            ("a.md", "<!-- TODO: write this -->", ("TODO", None, None, "write this")),
            ("Makefile", "# FIXME slow", ("FIXME", None, None, "slow")),
            ("a.tcl", "# TODO: test it", ("TODO", None, None, "test it")),
            ("a.sql", "-- TODO index", ("TODO", None, None, "index")),
            (
                "a.rs",
                "// works for now, TODO: better; FIXME too",
                ("TODO", None, None, "better; FIXME too"),
            ),
            ("a.py", "# don't ask. TODO: ask", ("TODO", None, None, "ask")),
        ] {
            // An apostrophe in prose may look like a quote: then silence is the safe side.
            let expected = (line != "# don't ask. TODO: ask").then_some(expected);
            check(path, line, expected);
        }
    }

    #[test]
    fn what_a_lone_marker_means_is_on_the_next_line() {
        for (path, text, expected) in [
            ("a.cpp", "// XXX:\n// Only where floats are IEEE.\n", "Only where floats are IEEE."),
            ("a.cpp", "// TODO\r\n// split\r\n", "split"),
            ("a.c", "/*\n * FIXME:\n * slow\n */\n", "slow"),
            ("a.py", "# TODO\nx = 1\n", ""),
            ("a.c", "  f(); // FIXME\n  g();\n", "at `f();`"),
            ("a.c", "  // FIXME\n  g();\n", ""),
            ("a.py", "# TODO", ""),
        ] {
            let notes = scan(path, text);
            assert_eq!(notes.len(), 1, "{text}");
            assert_eq!(notes[0].text, expected, "{text}");
        }
    }

    #[test]
    fn look_alikes_are_not() {
        for (path, line) in [
            ("a.rs", "let s = \"// TODO: x\";"),
            ("a.rs", "enum State { TODO, DONE }"),
            ("a.rs", "const TODO: u8 = 1;"),
            ("a.py", "STATUS = 'TODO'"),
            ("a.rs", "// the TODOs of others"),
            ("a.rs", "// XXXX and XXX-XXX"),
            ("a.rs", "// counts TODO notes of a file"),
            ("a.rs", "// see \"TODO: x\" there"),
            ("a.json", "{\"a\": \"TODO: x\"}"),
            ("a.md", "TODO: a page about TODO lists"),
            ("a.js", "fetch('https://a.b/TODO: x')"),
            ("a.rs", "/// Gathers `TODO` notes."),
        ] {
            check(path, line, None);
        }
    }
}
