//! The lines in which two texts differ.

/// How many equal lines are shown around those that differ.
const CONTEXT: usize = 2;
/// The most lines that differ, beside what both begin and end with, that are matched line by line:
/// the table has its square.
const MATCHED: usize = 400;
/// The most lines of the result.
const SHOWN: usize = 40;
/// The most characters of a line.
const WIDTH: usize = 200;

/// One line of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    Left(&'a str),
    Right(&'a str),
}

/// The lines in which `left` and `right` differ, each after `-`, `+` or, around them, a space; `…`
/// stands for equal lines, and for what is more than a screen shows. Nothing when they are equal.
pub(super) fn unified(left: &str, right: &str) -> Vec<String> {
    if left == right {
        return Vec::new();
    }
    let lines = align(&left.lines().collect::<Vec<_>>(), &right.lines().collect::<Vec<_>>());
    let near: Vec<bool> = near(&lines);
    let mut shown: Vec<String> = Vec::new();
    let mut hidden = false;
    for (line, near) in lines.into_iter().zip(near) {
        if !near {
            hidden = true;
            continue;
        }
        if std::mem::take(&mut hidden) {
            shown.push("…".into());
        }
        if shown.len() >= SHOWN {
            shown.push("…".into());
            break;
        }
        let (mark, text) = match line {
            Line::Both(text) => (' ', text),
            Line::Left(text) => ('-', text),
            Line::Right(text) => ('+', text),
        };
        shown.push(mark.to_string() + &text.chars().take(WIDTH).collect::<String>());
    }
    shown
}

/// Which lines differ or stand close to one that does.
fn near(lines: &[Line<'_>]) -> Vec<bool> {
    let mut near = vec![false; lines.len()];
    for (at, line) in lines.iter().enumerate() {
        if !matches!(line, Line::Both(_)) {
            let end = (at + CONTEXT + 1).min(lines.len());
            near[at.saturating_sub(CONTEXT)..end].fill(true);
        }
    }
    near
}

/// All lines of both in one order.
fn align<'a>(left: &[&'a str], right: &[&'a str]) -> Vec<Line<'a>> {
    let common = |(a, b): &(&&str, &&str)| a == b;
    let start = left.iter().zip(right).take_while(common).count();
    let (left_rest, right_rest) = (&left[start..], &right[start..]);
    let end = left_rest.iter().rev().zip(right_rest.iter().rev()).take_while(common).count();
    let middle = (&left_rest[..left_rest.len() - end], &right_rest[..right_rest.len() - end]);
    let mut lines: Vec<Line<'a>> = left[..start].iter().map(|line| Line::Both(line)).collect();
    lines.extend(match_lines(middle.0, middle.1));
    lines.extend(left_rest[left_rest.len() - end..].iter().map(|line| Line::Both(line)));
    lines
}

/// Lines matched by their longest common subsequence; all of one side before all of the other where
/// there are too many.
fn match_lines<'a>(left: &[&'a str], right: &[&'a str]) -> Vec<Line<'a>> {
    let (rows, columns) = (left.len(), right.len());
    let replaced = || {
        let left = left.iter().map(|line| Line::Left(line));
        left.chain(right.iter().map(|line| Line::Right(line))).collect()
    };
    if rows > MATCHED || columns > MATCHED {
        return replaced();
    }
    // longest[i][j]: how many lines of left[i..] and right[j..] match in order.
    let mut longest = vec![vec![0u32; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            longest[i][j] = match left[i] == right[j] {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::with_capacity(rows + columns);
    while i < rows || j < columns {
        if i < rows && j < columns && left[i] == right[j] {
            lines.push(Line::Both(left[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == columns || (i < rows && longest[i + 1][j] >= longest[i][j + 1]) {
            lines.push(Line::Left(left[i]));
            i += 1;
        } else {
            lines.push(Line::Right(right[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(left: &str, right: &str, expected: &[&str]) {
        assert_eq!(unified(left, right), expected, "{left:?} {right:?}");
    }

    #[test]
    fn only_what_differs_is_shown_with_what_is_around_it() {
        check("a\nb", "a\nb", &[]);
        check("a", "b", &["-a", "+b"]);
        check("", "b", &["+b"]);
        check("1\n2\n3\n4\n5", "1\n2\nx\n4\n5", &[" 1", " 2", "-3", "+x", " 4", " 5"]);
        check("1\n2\n3\n4\nx", "1\n2\n3\n4\ny", &["…", " 3", " 4", "-x", "+y"]);
        check("a\nb\nc", "b\nc\nd", &["-a", " b", " c", "+d"]);
        check(
            "x\n1\n2\n3\n4\n5\n6\ny",
            "1\n2\n3\n4\n5\n6",
            &["-x", " 1", " 2", "…", " 5", " 6", "-y"],
        );
    }

    #[test]
    fn texts_without_bound_make_a_bounded_result() {
        let text = |word: &str| (0..5_000).map(|n| format!("{word}{n}\n")).collect::<String>();
        let shown = unified(&text("a"), &text("b"));
        assert_eq!(shown.len(), SHOWN + 1);
        assert_eq!(shown.last().map(String::as_str), Some("…"));
        let long = unified(&"é".repeat(9_999), "");
        assert_eq!(long[0].chars().count(), WIDTH + 1);
    }
}
