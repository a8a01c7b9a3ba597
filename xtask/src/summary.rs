//! Test counts, read from what the test runners print.

use std::{fmt, ops::AddAssign};

/// How many tests did what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    /// Passed, at the latest try.
    pub(crate) passed: u64,
    /// Failed, timed out, or could not be started.
    pub(crate) failed: u64,
    /// Ignored or filtered out by name in the runner's summary.
    pub(crate) skipped: u64,
}

impl Count {
    /// Whether nothing was counted as run.
    pub(crate) fn is_empty(self) -> bool {
        self.passed == 0 && self.failed == 0
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Reads one line that a runner printed; `None` when it is not a summary.
///
/// Two forms are known, both with or without colour:
/// - nextest: `Summary [ 0.1s] 9/9 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 2 skipped`
/// - libtest: `test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; …`
pub(crate) fn read(line: &str) -> Option<Count> {
    let line = plain(line);
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("Summary [") {
        let (_, counts) = rest.split_once(" run: ")?;
        return Some(add(split(counts, ',')));
    }
    let rest = line.strip_prefix("test result: ")?;
    let (_, counts) = rest.split_once(". ")?;
    Some(add(split(counts, ';')))
}

/// The parts between `separator`s that stand outside parentheses.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_u32;
    for character in text.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ if character == separator => parts.push(String::new()),
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(character);
                }
            }
        }
    }
    parts
}

fn add(parts: Vec<String>) -> Count {
    let mut count = Count::default();
    for part in parts {
        let Some((number, what)) = part.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match what.trim() {
            "passed" => count.passed += number,
            "failed" | "exec failed" | "timed out" => count.failed += number,
            "skipped" | "ignored" => count.skipped += number,
            // Measured, filtered out, finished in: not outcomes of a test.
            _ => {}
        }
    }
    count
}

/// The text without terminal escape sequences of the form `ESC [ … letter`.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            plain.push(character);
            continue;
        }
        for skipped in characters.by_ref() {
            if skipped.is_ascii_alphabetic() {
                break;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(u64, u64, u64)>) {
        let expected = expected.map(|(passed, failed, skipped)| Count { passed, failed, skipped });
        assert_eq!(read(line), expected, "{line}");
    }

    #[test]
    fn summaries_of_both_runners_are_read() {
        check("     Summary [   0.010s] 3 tests run: 3 passed, 0 skipped", Some((3, 0, 0)));
        check(
            "     Summary [   0.010s] 1 test run: 1 passed (1 leaky), 7 skipped",
            Some((1, 0, 7)),
        );
        check(
            "Summary [ 61.2s] 9/12 tests run: 5 passed (1 slow, 2 flaky), 2 failed, 1 exec failed, \
             1 timed out, 4 skipped",
            Some((5, 4, 4)),
        );
        check("     Summary [   0.000s] 0 tests run: 0 passed, 4 skipped", Some((0, 0, 4)));
        check(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished \
             in 0.02s",
            Some((12, 0, 1)),
        );
        check(
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            Some((1, 2, 0)),
        );
    }

    #[test]
    fn colour_does_not_hide_a_summary() {
        check(
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.010s] \u{1b}[1m2\u{1b}[0m tests run: \
             \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m skipped",
            Some((2, 0, 0)),
        );
        check(
            "test result: \u{1b}[32mok\u{1b}[m. 4 passed; 0 failed; 0 ignored; 0 measured; 0 \
             filtered out; finished in 0.00s",
            Some((4, 0, 0)),
        );
    }

    #[test]
    fn other_lines_are_not_summaries() {
        check("running 3 tests", None);
        check("test result: unknown", None);
        check("        PASS [   0.005s] orchestrator-core summary::3_passed", None);
        check("", None);
    }

    #[test]
    fn the_closing_line_names_skipped_tests_only_when_there_are_any() {
        let mut all = Count { passed: 2, failed: 0, skipped: 0 };
        assert_eq!(all.to_string(), "2 passed, 0 failed");
        all += Count { passed: 1, failed: 1, skipped: 3 };
        assert_eq!(all.to_string(), "3 passed, 1 failed, 3 skipped");
    }
}
