//! Lines of a stream whose pieces end anywhere.

/// How many bytes of one line are kept; what is beyond is left out of it.
pub(super) const LINE: usize = 4 * 1024 * 1024;

/// How large the buffer of a line may stay between lines.
const KEPT: usize = 64 * 1024;

/// Makes lines of pieces.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// Bytes of the present line that were left out.
    left_out: u64,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its text, without its end.
    pub(super) text: String,
    /// How many bytes of it are left out.
    pub(super) left_out: u64,
}

impl Lines {
    /// The lines that end in `bytes`.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut ended = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..end]);
            ended.extend(self.end());
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
        ended
    }

    /// The last line, which has no end; nothing when it is empty.
    pub(super) fn end(&mut self) -> Option<Line> {
        let left_out = std::mem::take(&mut self.left_out);
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let text = String::from_utf8_lossy(line).into_owned();
        self.line.clear();
        self.line.shrink_to(KEPT);
        (!text.trim().is_empty()).then_some(Line { text, left_out })
    }

    fn extend(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LINE - self.line.len());
        self.line.extend_from_slice(&bytes[..kept]);
        self.left_out += (bytes.len() - kept) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_wherever_the_pieces_end() {
        let text = "{\"a\":1}\r\n\n  \n{\"b\":\"é\"}\nlast";
        let expected = ["{\"a\":1}", "{\"b\":\"é\"}", "last"];
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut found: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|piece| lines.take(piece)).collect();
            found.extend(lines.end());
            let found: Vec<_> = found.into_iter().map(|line| line.text).collect();
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_huge_line_is_cut_and_the_next_is_whole() {
        let mut lines = Lines::default();
        let huge = vec![b'x'; LINE + 10];
        assert_eq!(lines.take(&huge), []);
        let found = lines.take(b"yy\nz\n");
        assert_eq!((found[0].text.len(), found[0].left_out), (LINE, 12));
        assert_eq!(found[1], Line { text: "z".into(), left_out: 0 });
        assert!(lines.line.capacity() <= KEPT, "the room of it is given back");
    }
}
