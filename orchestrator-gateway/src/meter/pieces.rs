//! A JSON document in pieces: one object, or the objects of a list, each whole.

/// Cuts bytes into the objects at their top, wherever the network cut them. What lies between them
/// is passed over, and nothing is checked: whoever parses an object finds out whether it is one.
#[derive(Debug)]
pub(super) struct Pieces {
    limit: usize,
    piece: Vec<u8>,
    /// How many brackets of the piece are open.
    depth: u32,
    in_string: bool,
    after_backslash: bool,
}

impl Pieces {
    /// For objects of up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, piece: Vec::new(), depth: 0, in_string: false, after_backslash: false }
    }

    /// Gives each object that `bytes` complete to `each`; false when one is too large.
    pub(super) fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> bool {
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if self.depth == 0 {
                if *byte == b'{' {
                    (self.depth, start) = (1, at);
                }
                continue;
            }
            if !self.step(*byte) {
                continue;
            }
            if !self.keep(&bytes[start..=at]) {
                return false;
            }
            each(&self.piece);
            self.piece.clear();
        }
        self.depth == 0 || self.keep(&bytes[start..])
    }

    fn keep(&mut self, bytes: &[u8]) -> bool {
        let fits = self.piece.len() + bytes.len() <= self.limit;
        if fits {
            self.piece.extend_from_slice(bytes);
        } else {
            self.piece = Vec::new();
        }
        fits
    }

    /// Takes a byte inside of a piece; whether it ends it.
    fn step(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' => self.after_backslash = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, size: usize) -> Vec<String> {
        let (mut pieces, mut found) = (Pieces::new(64), Vec::new());
        for bytes in text.as_bytes().chunks(size) {
            pieces.feed(bytes, &mut |piece| found.push(String::from_utf8(piece.to_vec()).unwrap()));
        }
        found
    }

    #[test]
    fn objects_are_found_wherever_they_are_cut() {
        let check = |text: &str, expected: &[&str]| {
            for size in 1..=text.len() {
                assert_eq!(cut(text, size), expected, "{text} by {size}");
            }
        };
        check(r#" {"a":[1,{"b":"}"}]} "#, &[r#"{"a":[1,{"b":"}"}]}"#]);
        check(r#"[{"a":"\"]}"},{"é":"\\"}]"#, &[r#"{"a":"\"]}"}"#, r#"{"é":"\\"}"#]);
        check("[{},\r\n{}]", &["{}", "{}"]);
        check(r#"[1,"x"]"#, &[]);
        check(r#"{"a":"#, &[]);
        check("}]}{}", &["{}"]);
    }

    #[test]
    fn what_is_too_large_ends_it() {
        let mut pieces = Pieces::new(4);
        assert!(pieces.feed(b"{  }", &mut |_| {}));
        assert!(!pieces.feed(b"{   }", &mut |_| {}));
    }
}
