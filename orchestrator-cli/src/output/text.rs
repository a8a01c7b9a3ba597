//! Text in columns: display width, cutting, and characters that must not reach a terminal.

use std::{borrow::Cow, time::Duration};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `columns` columns, with `…` (or `~` in ASCII) where something was cut off.
pub(crate) fn cut(text: &str, columns: usize, unicode: bool) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        kept.push(c);
    }
    if columns > 0 {
        kept.push(if unicode { '…' } else { '~' });
    }
    Cow::Owned(kept)
}

/// `text` without characters that could steer a terminal: what agents and programs wrote must not
/// move the cursor, retitle the window or hide a line. Tabs and, with `lines`, line ends stay.
pub(crate) fn harmless(text: &str, lines: bool) -> Cow<'_, str> {
    let steers = |c: char| steers(c) && !(lines && c == '\n');
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .filter(|c| *c != '\r' || !lines)
            .map(|c| if steers(c) { '\u{fffd}' } else { c })
            .collect(),
    )
}

/// Whether a character could steer a terminal.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\t')
        // Bidirectional overrides show a text as what it is not (CVE-2021-42574).
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` as it may be shown: of all that could steer a terminal only line ends stay and, with
/// `color`, colours. The last guard before a stream: a path or a name may hold anything as well.
pub(crate) fn presentable(text: &str, color: bool) -> Cow<'_, str> {
    let foreign = |c: char| steers(c) && c != '\n';
    if !text.contains(foreign) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(foreign) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = if color { color_code(rest) } else { 0 };
        if taken > 0 {
            shown.push_str(&rest[..taken]);
            rest = &rest[taken..];
        } else {
            shown.push('\u{fffd}');
            rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
        }
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// How many bytes the sequence takes that sets a colour at the beginning of `text`; 0 without one.
fn color_code(text: &str) -> usize {
    let Some(after) = text.strip_prefix("\x1b[") else { return 0 };
    match after.find(|c: char| !c.is_ascii_digit() && c != ';') {
        Some(end) if after[end..].starts_with('m') => "\x1b[".len() + end + 1,
        _ => 0,
    }
}

/// The first line of `text`, harmless.
pub(crate) fn first_line(text: &str) -> String {
    harmless(text.trim_start().lines().next().unwrap_or_default(), false).into_owned()
}

/// A duration for a narrow column: `85ms`, `2.3s`, `4m05s`, `3h12m`, `2d04h`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let (ms, s) = (duration.as_millis(), duration.as_secs());
    match s {
        0 => format!("{ms}ms"),
        1..60 => format!("{s}.{}s", ms / 100 % 10),
        60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{:02}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3_600 % 24),
    }
}

/// A count with its thousands apart: `1,204,500`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes in binary units: `512 B`, `1.5 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut size = count;
    for unit in ["KiB", "MiB", "GiB"] {
        if size < 1024 {
            break;
        }
        if size < 1024 * 1024 || unit == "GiB" {
            return format!("{}.{} {unit}", size / 1024, size % 1024 * 10 / 1024);
        }
        size /= 1024;
    }
    format!("{count} B")
}

/// `1 task`, `3 tasks`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns_not_bytes() {
        for (text, columns, expected) in [
            ("build", 5, "build"),
            ("build", 4, "bui…"),
            ("建設中です", 6, "建設…"),
            ("build", 1, "…"),
            ("build", 0, ""),
        ] {
            let cut = cut(text, columns, true);
            assert_eq!(cut, expected);
            assert!(width(&cut) <= columns);
        }
        assert_eq!(super::cut("build", 4, false), "bui~");
    }

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        assert_eq!(harmless("a\x1b[2Jb", false), "a\u{fffd}[2Jb");
        assert_eq!(harmless("a\r\nb\tc", true), "a\nb\tc");
        assert_eq!(harmless("a\nb", false), "a\u{fffd}b");
        assert_eq!(harmless("a\u{202e}b", true), "a\u{fffd}b");
        assert!(matches!(harmless("plain é", false), Cow::Borrowed(_)));
    }

    #[test]
    fn only_colours_get_through_at_the_end() {
        for (text, colored, plain) in [
            ("a\x1b[2Jb\n", "a\u{fffd}[2Jb\n", "a\u{fffd}[2Jb\n"),
            ("\x1b[1;32mok\x1b[0m", "\x1b[1;32mok\x1b[0m", "\u{fffd}[1;32mok\u{fffd}[0m"),
            ("\x1b]0;t\x07\x1b[", "\u{fffd}]0;t\u{fffd}\u{fffd}[", "\u{fffd}]0;t\u{fffd}\u{fffd}["),
            ("é\u{9b}31m\u{202e}", "é\u{fffd}31m\u{fffd}", "é\u{fffd}31m\u{fffd}"),
            ("plain\tline", "plain\tline", "plain\tline"),
        ] {
            assert_eq!(presentable(text, true), colored);
            assert_eq!(presentable(text, false), plain);
        }
    }

    #[test]
    fn numbers_read_well() {
        for (ms, text) in [
            (85, "85ms"),
            (2_340, "2.3s"),
            (245_000, "4m05s"),
            (11_520_000, "3h12m"),
            (187_200_000, "2d04h"),
        ] {
            assert_eq!(elapsed(Duration::from_millis(ms)), text);
        }
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_204_500, "1,204,500")] {
            assert_eq!(thousands(count), text);
        }
        for (count, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (1_536, "1.5 KiB"),
            (3_145_728, "3.0 MiB"),
            (5_000_000_000, "4.6 GiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!((counted(1, "task"), counted(2, "task")), ("1 task".into(), "2 tasks".into()));
    }
}
