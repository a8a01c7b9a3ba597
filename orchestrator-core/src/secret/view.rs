//! A text with its escapes undone, and where each byte of it stands in the text as it is.
//!
//! An escape can be written in many ways (`%2F` or `%2f`, `\/` or `\u002f`, every character or
//! only those that need it). Undoing all of them finds each spelling with one search.

/// A text as it reads once some escapes are undone.
pub(super) struct View {
    pub(super) bytes: Vec<u8>,
    /// Where each byte begins in the text, and at last where the text ends.
    starts: Vec<usize>,
}

/// What is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// `%XX` of URLs.
    Percent,
    /// The same, and `+` for a space, as in forms.
    Form,
    /// `\n`, `\"`, `\u00e9` and the others of JSON strings (RFC 8259, section 7).
    Json,
}

impl View {
    /// `text` itself.
    pub(super) fn of(text: &[u8]) -> Self {
        Self { bytes: text.to_vec(), starts: (0..=text.len()).collect() }
    }

    /// The part of the text that bytes `start` to `end` of this view stand for.
    pub(super) fn place(&self, start: usize, end: usize) -> (usize, usize) {
        (self.starts[start], self.starts[end])
    }

    /// The view with `escapes` undone; none when there are none.
    pub(super) fn undo(&self, escapes: Escapes) -> Option<Self> {
        let mark = |byte: &u8| match escapes {
            Escapes::Percent => *byte == b'%',
            Escapes::Form => matches!(byte, b'%' | b'+'),
            Escapes::Json => *byte == b'\\',
        };
        if !self.bytes.iter().any(mark) {
            return None;
        }
        let mut view = Self { bytes: Vec::new(), starts: Vec::new() };
        let (mut at, mut undone) = (0, false);
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let mut buffer = [0; 4];
            let found = match escapes {
                Escapes::Form if rest[0] == b'+' => Some((&b" "[..], 1)),
                Escapes::Percent | Escapes::Form => percent(rest, &mut buffer),
                Escapes::Json => json(rest, &mut buffer),
            };
            let (bytes, length) = found.unwrap_or((&rest[..1], 1));
            undone |= found.is_some();
            view.bytes.extend_from_slice(bytes);
            view.starts.extend(std::iter::repeat_n(self.starts[at], bytes.len()));
            at += length;
        }
        view.starts.push(self.starts[self.bytes.len()]);
        undone.then_some(view)
    }
}

/// The byte that an escape of a URL at the start of `rest` stands for, and the escape's length.
fn percent<'a>(rest: &[u8], buffer: &'a mut [u8; 4]) -> Option<(&'a [u8], usize)> {
    let digits = rest.strip_prefix(b"%")?.get(..2)?;
    buffer[0] = u8::try_from(hex(digits)?).ok()?;
    Some((&buffer[..1], 3))
}

/// The character that an escape of JSON at the start of `rest` stands for, and the escape's length.
fn json<'a>(rest: &[u8], buffer: &'a mut [u8; 4]) -> Option<(&'a [u8], usize)> {
    let after = rest.strip_prefix(b"\\")?;
    let byte = match after.first()? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'f' => 0x0c,
        byte @ (b'"' | b'\\' | b'/' | b'\'') => *byte,
        b'u' => {
            let first = hex(after.get(1..5)?)?;
            // Above U+FFFF a character is written as two halves.
            let (code, length) = match char::from_u32(first) {
                Some(_) => (first, 6),
                None => {
                    let second = hex(rest.get(6..)?.strip_prefix(b"\\u")?.get(..4)?)?;
                    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    (0x1_0000 + (first.checked_sub(0xd800)? << 10) + low, 12)
                }
            };
            let character = char::from_u32(code)?;
            return Some((character.encode_utf8(buffer).as_bytes(), length));
        }
        _ => return None,
    };
    buffer[0] = byte;
    Some((&buffer[..1], 2))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_places_kept() {
        let check = |escapes, text: &str, expected: Option<&str>| {
            let view = View::of(text.as_bytes()).undo(escapes);
            let found = view.as_ref().map(|view| String::from_utf8(view.bytes.clone()).unwrap());
            assert_eq!(found.as_deref(), expected, "{text}");
            if let Some(view) = view {
                assert_eq!(view.place(0, view.bytes.len()), (0, text.len()));
            }
        };
        check(Escapes::Percent, "a%2Fb%c3%A9+%zz%4", Some("a/bé+%zz%4"));
        check(Escapes::Percent, "100%", None);
        check(Escapes::Form, "a+b%20c", Some("a b c"));
        check(Escapes::Json, r#"\"a\\n\u00e9\/\ud83d\ude00\q"#, Some("\"a\\né/😀\\q"));
        check(Escapes::Json, r"\ud83d \u12 \", None);
        let text = View::of(b"x%41%42y").undo(Escapes::Percent).unwrap();
        assert_eq!(text.place(1, 3), (1, 7));
        let twice = View::of(br#"x\\\"y"#).undo(Escapes::Json).unwrap();
        let twice = twice.undo(Escapes::Json).unwrap();
        assert_eq!((twice.bytes.as_slice(), twice.place(1, 2)), (&b"x\"y"[..], (1, 5)));
    }
}
