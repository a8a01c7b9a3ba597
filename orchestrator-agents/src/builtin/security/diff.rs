//! The lines that commits add, read from what `git log -p` prints.
//!
//! Hunks are followed by their own line counts: what a file holds can look like a header, but
//! never ends a hunk early.

use std::io::{self, BufRead};

/// How many bytes of one file's additions are kept together; more are handed on in parts.
const CHUNK: usize = 1 << 20;
/// A line longer than this is cut.
const MAX_LINE: usize = 64 << 10;

/// Lines that one commit added to one file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Addition {
    /// The commit's id.
    pub(super) commit: String,
    /// The file, relative to the project.
    pub(super) path: String,
    /// The lines, each with its end.
    pub(super) text: String,
}

/// What remains of the hunk that is being read.
#[derive(Debug, Default)]
struct Hunk {
    /// For each parent, how many of its lines are still to come.
    old: Vec<u64>,
    new: u64,
}

impl Hunk {
    fn is_over(&self) -> bool {
        self.new == 0 && self.old.iter().all(|count| *count == 0)
    }
}

/// Reads a log and hands every addition to `each`, until it answers false; gives how many commits
/// were met, those that add nothing among them.
///
/// # Errors
/// What reading gives.
pub(super) fn additions(
    mut source: impl BufRead,
    mut each: impl FnMut(Addition) -> bool,
) -> io::Result<usize> {
    let mut commits = 0;
    let mut now = Addition::default();
    let mut hunk = Hunk::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if !read_line(&mut source, &mut line)? {
            break;
        }
        if !hunk.is_over() {
            if let Some(text) = hunk_line(&mut hunk, &line) {
                now.text.push_str(&String::from_utf8_lossy(text));
                now.text.push('\n');
                if now.text.len() >= CHUNK {
                    let text = std::mem::take(&mut now.text);
                    if !each(Addition { text, ..now.clone() }) {
                        return Ok(commits);
                    }
                }
            }
            continue;
        }
        let is_header = |start: &[u8]| line.starts_with(start);
        if is_header(b"commit ") || is_header(b"diff ") {
            let text = std::mem::take(&mut now.text);
            if !text.is_empty() && !each(Addition { text, ..now.clone() }) {
                return Ok(commits);
            }
            if let Some(commit) = line.strip_prefix(b"commit ") {
                commits += 1;
                now.commit = String::from_utf8_lossy(commit).into_owned();
            }
            now.path.clear();
        } else if let Some(path) = line.strip_prefix(b"+++ ") {
            now.path = new_path(path);
        } else if is_header(b"@@") {
            hunk = start(&line);
        }
    }
    if !now.text.is_empty() {
        each(now);
    }
    Ok(commits)
}

/// The next line without its end, cut at [`MAX_LINE`]; false at the end of the source.
fn read_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut any = false;
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any);
        }
        any = true;
        let (taken, ended) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (at, true),
            None => (buffer.len(), false),
        };
        let room = MAX_LINE.saturating_sub(line.len());
        line.extend_from_slice(&buffer[..taken.min(room)]);
        source.consume(taken + usize::from(ended));
        if ended {
            return Ok(true);
        }
    }
}

/// `@@ -1,2 +3 @@`, or with one more `@` for each further parent of a merge.
fn start(line: &[u8]) -> Hunk {
    let text = String::from_utf8_lossy(line);
    let marks = text.bytes().take_while(|b| *b == b'@').count();
    let mut hunk = Hunk::default();
    for range in text[marks..].split(' ').filter(|part| !part.is_empty()) {
        let count = |range: &str| match range.split_once(',') {
            Some((_, count)) => count.parse().unwrap_or(0),
            None => u64::from(range.parse::<u64>().is_ok()),
        };
        if let Some(old) = range.strip_prefix('-') {
            hunk.old.push(count(old));
        } else if let Some(new) = range.strip_prefix('+') {
            hunk.new = count(new);
        } else {
            break;
        }
    }
    hunk
}

/// Counts one line of a hunk, and returns its text when the commit itself added it.
fn hunk_line<'a>(hunk: &mut Hunk, line: &'a [u8]) -> Option<&'a [u8]> {
    // "\ No newline at end of file" counts for nobody.
    if line.first() == Some(&b'\\') {
        return None;
    }
    let parents = hunk.old.len();
    let (marks, text) = line.split_at(parents.min(line.len()));
    let removed = marks.contains(&b'-');
    for (count, mark) in hunk.old.iter_mut().zip(marks) {
        if *mark == b'-' || (*mark != b'+' && !removed) {
            *count = count.saturating_sub(1);
        }
    }
    if removed {
        return None;
    }
    hunk.new = hunk.new.saturating_sub(1);
    if hunk.new == 0 && marks.is_empty() {
        // A malformed line must not keep the hunk open for ever.
        *hunk = Hunk::default();
    }
    (!marks.is_empty() && marks.iter().all(|mark| *mark == b'+')).then_some(text)
}

/// The path in a `+++` line: unquoted, without its `b/`; empty for a removed file.
fn new_path(raw: &[u8]) -> String {
    let raw = raw.strip_suffix(b"\t").unwrap_or(raw);
    let plain = match raw.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(quoted) => unquote(quoted),
        None => raw.to_vec(),
    };
    String::from_utf8_lossy(plain.strip_prefix(b"b/").unwrap_or_default()).into_owned()
}

/// Undoes git's C-style quoting.
fn unquote(quoted: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => plain.push(b'\n'),
            Some(b't') => plain.push(b'\t'),
            Some(b'r') => plain.push(b'\r'),
            Some(digit @ b'0'..=b'3') => {
                let mut value = digit - b'0';
                for digit in bytes.by_ref().take(2) {
                    value = value.wrapping_mul(8).wrapping_add(digit.wrapping_sub(b'0'));
                }
                plain.push(value);
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(log: &str, expected: &[(&str, &str, &str)]) {
        let mut found = Vec::new();
        additions(log.as_bytes(), |addition| {
            found.push(addition);
            true
        })
        .unwrap();
        let found: Vec<_> =
            found.iter().map(|a| (a.commit.as_str(), a.path.as_str(), a.text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn added_lines_are_taken_by_commit_and_file() {
        check(
            "commit c1\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@ fn\n-old\n+one\n+two\n\
             diff --git a/y b/y\nnew file mode 100644\n--- /dev/null\n+++ \"b/\\303\\244 \\\"y\\\"\"\n@@ -0,0 +1 @@\n+y\n\\ No newline at end of file\n\
             commit c2\n\ndiff --git a/z b/z\ndeleted file mode 100644\n--- a/z\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n",
            &[("c1", "x", "one\ntwo\n"), ("c1", "ä \"y\"", "y\n")],
        );
    }

    #[test]
    fn every_commit_counts_whatever_it_adds() {
        for (log, expected) in [
            ("", 0),
            ("commit c1\n\ncommit c2\n", 2),
            ("commit c1\n\ndiff --git a/x b/x\n+++ b/x\n@@ -0,0 +1 @@\n+commit c9\n", 1),
        ] {
            assert_eq!(additions(log.as_bytes(), |_| true).unwrap(), expected, "{log}");
        }
    }

    #[test]
    fn contents_that_look_like_headers_stay_contents() {
        check(
            "commit c1\n\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@\n--- a/evil\n-commit c9\n+++ b/evil\n+@@ -1 +1 @@\n+commit c9\n",
            &[("c1", "x", "++ b/evil\n@@ -1 +1 @@\ncommit c9\n")],
        );
    }

    #[test]
    fn a_merge_counts_what_no_parent_had() {
        check(
            "commit m\n\ndiff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,3 @@@\n- ours\n -theirs\n++both\n +from ours\n+ from theirs\n\
             commit c1\n\ndiff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -0,0 +1 @@\n+y\n",
            &[("m", "x", "both\n"), ("c1", "y", "y\n")],
        );
    }

    #[test]
    fn damaged_logs_do_no_harm() {
        for log in [
            "",
            "\n\n",
            "@@ -1 +1",
            "@@ -x,y +z @@\n+a\n",
            "commit\n+++ \n@@ +99999999999999999999 @@\n\n\n",
            "@@@@@@\n",
        ] {
            check(log, &[]);
        }
        let long = format!(
            "commit c\ndiff --git a/x b/x\n+++ b/x\n@@ -0,0 +1,2 @@\n+{}\n+b\n",
            "a".repeat(200_000)
        );
        let mut sizes = Vec::new();
        additions(long.as_bytes(), |addition| {
            sizes.push(addition.text.len());
            true
        })
        .unwrap();
        assert_eq!(sizes, [MAX_LINE - 1 + 1 + 2]);
    }
}
