//! Redrawing a few lines in place at the end of what is on the terminal.

use crate::output::text;
use std::io::Write;

/// What was drawn last. The cursor is hidden only within one write, so that nothing, not even
/// `kill -9`, can leave it hidden; between two frames it rests below the last line.
#[derive(Debug, Default)]
pub(super) struct Screen {
    drawn: Vec<usize>,
}

impl Screen {
    /// The bytes that replace what was drawn last by `lines` on a terminal of `columns`.
    fn frame(&mut self, lines: &[String], columns: usize) -> String {
        // A terminal made narrower since has folded the old lines: they take more rows now.
        let rows = |width: &usize| width.div_ceil(columns.max(1)).max(1);
        let up: usize = self.drawn.iter().map(rows).sum();
        let mut bytes = String::from("\x1b[?25l\r");
        if up > 0 {
            bytes.push_str(&format!("\x1b[{up}A"));
        }
        for line in lines {
            bytes.push_str(line);
            bytes.push_str("\x1b[K\r\n");
        }
        bytes.push_str("\x1b[J\x1b[?25h");
        self.drawn = lines.iter().map(|line| visible(line)).collect();
        bytes
    }

    /// Draws `lines` in place of what was drawn last.
    pub(super) fn draw(&mut self, lines: &[String], columns: usize) {
        let bytes = self.frame(lines, columns);
        // A terminal that is gone has nobody to tell.
        let _ = std::io::stderr().lock().write_all(bytes.as_bytes());
    }

    /// Removes what was drawn last, so that something else can be said there.
    pub(super) fn clear(&mut self, columns: usize) {
        if !self.drawn.is_empty() {
            self.draw(&[], columns);
        }
    }

    /// Leaves what was drawn last where it is: the next frame begins below.
    pub(super) fn leave(&mut self) {
        self.drawn.clear();
    }
}

/// The columns that `line` takes, colours not counted.
fn visible(line: &str) -> usize {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |end| end + 1);
        rest = &after[end..];
    }
    plain.push_str(rest);
    text::width(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_columns() {
        for (line, columns) in [("abc", 3), ("\x1b[1mab\x1b[0mc", 3), ("├─ ✔", 4), ("", 0)] {
            assert_eq!(visible(line), columns, "{line:?}");
        }
    }

    #[test]
    fn a_narrower_terminal_is_cleared_of_folded_lines() {
        let mut screen = Screen::default();
        screen.frame(&["x".repeat(70), "y".repeat(10)], 80);
        // At 40 columns the first line has become two.
        assert!(screen.frame(&["z".into()], 40).starts_with("\x1b[?25l\r\x1b[3A"));
        assert!(screen.frame(&[], 40).starts_with("\x1b[?25l\r\x1b[1A"));
        assert!(screen.frame(&[], 40).starts_with("\x1b[?25l\r\x1b[J"));
    }

    #[test]
    fn every_frame_shows_the_cursor_again() {
        let frame = Screen::default().frame(&["a".into()], 80);
        assert!(frame.ends_with("\x1b[?25h"));
    }
}
