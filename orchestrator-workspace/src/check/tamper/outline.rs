//! The tests of a source file: their names and their lines.

use crate::recognise::{Marker, Syntax, identifier, indent, marker};

/// One test of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    /// Its name, or what stands for it.
    pub(super) name: String,
    /// The line where it begins.
    pub(super) line: u32,
    /// Its lines without comments and blank ones, from the first to the last.
    pub(super) body: Vec<String>,
}

/// The language of a path, if its tests can be told.
pub(super) fn syntax(path: &str) -> Option<Syntax> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Syntax::of(name.rsplit_once('.')?.1)
}

/// The tests of `text`, in their order.
pub(super) fn cases(syntax: Syntax, text: &str) -> Vec<Case> {
    let lines: Vec<&str> = text.lines().collect();
    let mut cases: Vec<Case> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim();
        let mut is_test = marker(syntax, code, "") == Some(Marker::Test);
        // A skipped or focused test of a script is still the test of its name.
        is_test |= syntax.is_script() && script_name(code).is_some();
        if !is_test {
            continue;
        }
        let Some(name) = name(syntax, &lines, at) else { continue };
        let body = match syntax {
            Syntax::Python => python_body(&lines, at),
            Syntax::Ruby | Syntax::Elixir => indented_body(&lines, at),
            _ => balanced_body(syntax, &lines, at),
        };
        let body = body.iter().filter_map(|line| code_of(syntax, line)).collect();
        let line = u32::try_from(at + 1).unwrap_or(u32::MAX);
        cases.push(Case { name, line, body });
    }
    cases
}

/// The name of the test that begins at `at`.
fn name(syntax: Syntax, lines: &[&str], at: usize) -> Option<String> {
    let code = lines.get(at)?.trim();
    if syntax.is_script() || matches!(syntax, Syntax::Dart | Syntax::Ruby | Syntax::Elixir) {
        return script_name(code).or_else(|| Some(code.to_owned()));
    }
    // An attribute or annotation stands before the function that it makes a test.
    for line in lines.get(at..)?.iter().take(20) {
        let line = line.trim();
        if let Some(name) = function_name(syntax, line) {
            return Some(name);
        }
    }
    Some(code.to_owned())
}

fn function_name(syntax: Syntax, line: &str) -> Option<String> {
    let keyword = match syntax {
        Syntax::Rust => "fn ",
        Syntax::Python => "def ",
        Syntax::Go | Syntax::Swift => "func ",
        Syntax::Kotlin => "fun ",
        Syntax::Scala => "def ",
        Syntax::Php => "function ",
        _ => {
            // `public void testA() {`, `TEST(A, B) {`
            let is_attribute = line.starts_with(['@', '[']);
            let (head, rest) = line.split_once('(').filter(|_| !is_attribute)?;
            if head.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
                return Some(rest.split(')').next()?.replace(' ', ""));
            }
            return head.split_whitespace().last().map(str::to_owned);
        }
    };
    let start = line.find(keyword)?;
    if start > 0 && !line[..start].ends_with(' ') {
        return None;
    }
    let rest = line[start + keyword.len()..].trim_start_matches('`');
    let name = identifier(rest);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The title of a call such as `it.skip("adds", …`.
fn script_name(code: &str) -> Option<String> {
    let (call, rest) = code.split_once('(')?;
    let call = call.split('.').next()?.trim_start_matches(['x', 'f']);
    if !matches!(call, "it" | "test" | "specify" | "it " | "test ") {
        return None;
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    rest[1..].split(quote).next().map(str::to_owned)
}

fn python_body<'a>(lines: &[&'a str], at: usize) -> Vec<&'a str> {
    let depth = lines.get(at).map_or(0, |line| indent(line));
    let mut body = Vec::new();
    // Decorators belong to it.
    let mut start = at;
    while start > 0
        && lines
            .get(start - 1)
            .is_some_and(|line| indent(line) == depth && line.trim_start().starts_with('@'))
    {
        start -= 1;
    }
    body.extend(lines.get(start..=at).unwrap_or_default());
    let mut open = brackets(lines.get(at).copied().unwrap_or_default());
    for line in lines.get(at + 1..).unwrap_or_default() {
        // Parameters may go on below the margin.
        if open <= 0 && !line.trim().is_empty() && indent(line) <= depth {
            break;
        }
        open = open.max(0) + brackets(line).min(i32::from(open > 0) * i32::MAX);
        body.push(*line);
    }
    body
}

fn brackets(line: &str) -> i32 {
    line.chars().fold(0, |open, c| match c {
        '(' | '[' => open + 1,
        ')' | ']' => open - 1,
        _ => open,
    })
}

fn indented_body<'a>(lines: &[&'a str], at: usize) -> Vec<&'a str> {
    let depth = lines.get(at).map_or(0, |line| indent(line));
    let rest = lines.get(at + 1..).unwrap_or_default();
    let end = rest.iter().position(|line| !line.trim().is_empty() && indent(line) <= depth);
    let end = end.map_or(lines.len(), |end| at + 1 + end);
    lines.get(at..end).unwrap_or_default().to_vec()
}

/// From the head to where its brackets are closed again: braces, or for scripts the call's own.
fn balanced_body<'a>(syntax: Syntax, lines: &[&'a str], at: usize) -> Vec<&'a str> {
    let (open_with, close_with) =
        if syntax.is_script() || syntax == Syntax::Dart { ('(', ')') } else { ('{', '}') };
    let mut body = Vec::new();
    // Attributes between the marker and the function, and those just before it, belong to it.
    let mut start = at;
    while start > 0
        && lines.get(start - 1).is_some_and(|line| line.trim_start().starts_with(['#', '@', '[']))
    {
        start -= 1;
    }
    body.extend(lines.get(start..at).unwrap_or_default());
    let (mut depth, mut was_open) = (0_i64, false);
    for line in lines.get(at..).unwrap_or_default().iter().take(2_000) {
        body.push(*line);
        let is_attribute = !was_open && line.trim_start().starts_with(['#', '@', '[']);
        let mut quote = None;
        let mut escaped = false;
        for c in line.chars().filter(|_| !is_attribute) {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = quote.is_some();
            } else if let Some(open) = quote {
                if c == open {
                    quote = None;
                }
            } else if c == '"' || (c == '\'' && syntax.is_script()) || c == '`' {
                quote = Some(c);
            } else if c == open_with {
                depth += 1;
                was_open = true;
            } else if c == close_with {
                depth -= 1;
            }
        }
        if was_open && depth <= 0 {
            break;
        }
    }
    body
}

/// A line without its comment; none when nothing is left.
fn code_of(syntax: Syntax, line: &str) -> Option<String> {
    let line = line.trim();
    let comment = match syntax {
        Syntax::Python | Syntax::Ruby | Syntax::Elixir => "#",
        _ => "//",
    };
    let is_comment = line.starts_with(comment)
        || line.starts_with("/*")
        || line.starts_with("* ")
        || line == "*";
    let line = match line.find(&format!(" {comment} ")) {
        Some(end) => line[..end].trim_end(),
        None => line,
    };
    (!is_comment && !line.is_empty()).then(|| line.to_owned())
}
