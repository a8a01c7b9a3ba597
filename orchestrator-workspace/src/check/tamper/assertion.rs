//! How much a test asserts.

/// What the lines of a test assert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Strength {
    /// Assertions that can fail.
    pub(super) effective: u32,
    /// Assertions that cannot.
    pub(super) constant: u32,
    /// Ways around them: an early return, a branch that is never taken, a swallowed failure.
    pub(super) escapes: u32,
}

const WORDS: [&str; 18] = [
    "assert",
    "expect(",
    "expect!",
    "expect{",
    "expect {",
    ".should",
    "raises(",
    "t.error",
    "t.fatal",
    "t.fail",
    "require.",
    "should_panic",
    "panic!(",
    "verify(",
    "ensure!(",
    ".tobe",
    "xctassert",
    "check(",
];

/// What `body` asserts.
pub(super) fn strength(body: &[String]) -> Strength {
    let mut strength = Strength::default();
    let joined = join(body);
    for (at, line) in joined.iter().enumerate() {
        let lower = line.to_ascii_lowercase();
        let count = assertions(&lower);
        if count > 0 {
            if is_constant(line) {
                strength.constant += count;
            } else {
                strength.effective += count;
            }
        }
        if is_escape(&lower, joined.get(at + 1).map(String::as_str)) {
            strength.escapes += 1;
        }
    }
    strength
}

/// Lines whose brackets are closed: a call over many lines is one.
fn join(body: &[String]) -> Vec<String> {
    let mut joined = Vec::new();
    let mut current = String::new();
    let mut depth = 0_i32;
    for line in body {
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(line);
        depth += line.chars().fold(0, |depth, c| match c {
            '(' | '[' => depth + 1,
            ')' | ']' => depth - 1,
            _ => depth,
        });
        // A test of a script is itself a call, so a line that opens a body ends here.
        if depth <= 0 || line.ends_with('{') || line.ends_with("=>") || current.len() > 2_000 {
            joined.push(std::mem::take(&mut current));
            depth = 0;
        }
    }
    if !current.is_empty() {
        joined.push(current);
    }
    joined
}

fn assertions(lower: &str) -> u32 {
    // `import { expect }`, `use assert`: no assertion is made there.
    if ["import ", "from ", "use ", "const {", "fn ", "def ", "func ", "except"]
        .iter()
        .any(|word| lower.starts_with(word))
        && !lower.contains("assert ")
    {
        return 0;
    }
    let mut count = 0;
    for word in WORDS {
        // `.toBe` belongs to the `expect(` before it.
        if word == ".tobe" && lower.contains("expect(") {
            continue;
        }
        for (at, _) in lower.match_indices(word) {
            let before = lower[..at].chars().next_back();
            let is_own =
                word.starts_with('.') || !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
            // `assert.equal`, `self.assertEqual`, `debug_assert!`: each once.
            count += u32::from(is_own || before == Some('_'));
        }
    }
    count
}

/// Whether an assertion cannot fail: what it looks at is made of literals alone, is compared with
/// itself, or is `or true`.
fn is_constant(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    if lower.contains(" or true") || lower.contains("|| true") || lower.contains(" or 1 ==") {
        return true;
    }
    let Some(start) = WORDS.iter().filter_map(|word| lower.find(word)).min() else { return false };
    let rest = &line[start..];
    let name_end = rest
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '!' | ':')))
        .unwrap_or(rest.len());
    let name = rest[..name_end].to_ascii_lowercase();
    // What counts is that it is reached, not what it is told.
    if name.starts_with("panic") || name.starts_with("t.") || name.starts_with("should_panic") {
        return false;
    }
    let argument = rest[name_end..].trim();
    let argument = argument.trim_end_matches(';');
    let (inside, after) = inside(argument);
    let parts = split(inside);
    // `expect(1).toBe(1)`: both sides matter.
    if name.starts_with("expect") {
        return !inside.trim().is_empty() && is_literal(inside) && is_literal_call(after);
    }
    // Python's statement has no brackets of its own.
    let whole =
        if argument.starts_with('(') && after.trim().is_empty() { inside } else { argument };
    let message_cut = split(whole);
    let first = message_cut.first().copied().unwrap_or_default();
    if message_cut.is_empty() || first.trim().is_empty() {
        return false;
    }
    let is_comparing = ["eq", "equal", "same", "is("].iter().any(|word| name.contains(word));
    if is_comparing && parts.len() >= 2 {
        let (left, right) = (parts[0].trim(), parts[1].trim());
        return left == right || (is_literal(left) && is_literal(right));
    }
    if let Some((left, right)) = first.split_once("==")
        && left.trim() == right.trim_start_matches('=').trim()
    {
        return true;
    }
    is_literal(first)
}

/// What is in the brackets that `text` begins with, and what follows them.
fn inside(text: &str) -> (&str, &str) {
    if !text.starts_with('(') {
        return (text, "");
    }
    let mut depth = 0_i32;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    return (&text[1..at], &text[at + 1..]);
                }
            }
            (None, _) => {}
        }
    }
    (text, "")
}

/// The parts between commas that are in no brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0_i32, 0);
    let mut quote = None;
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Whether an expression names nothing: literals and operators alone.
fn is_literal(expression: &str) -> bool {
    let mut quote = None;
    let mut word = String::new();
    let mut words = Vec::new();
    let mut has_any = false;
    for c in expression.chars() {
        has_any |= !c.is_whitespace();
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, c) if c.is_alphanumeric() || c == '_' => word.push(c),
            (None, _) => words.push(std::mem::take(&mut word)),
        }
    }
    words.push(word);
    has_any
        && words.iter().filter(|word| !word.is_empty()).all(|word| {
            word.starts_with(|c: char| c.is_ascii_digit())
                || matches!(
                    word.as_str(),
                    "true"
                        | "false"
                        | "True"
                        | "False"
                        | "None"
                        | "null"
                        | "nil"
                        | "undefined"
                        | "not"
                        | "and"
                        | "or"
                        | "is"
                )
        })
}

/// Whether a chain such as `.toBe(true)` or `.not.toBeNull()` is given literals alone.
fn is_literal_call(chain: &str) -> bool {
    match chain.find('(') {
        Some(at) => {
            let (arguments, _) = inside(&chain[at..]);
            arguments.trim().is_empty() || is_literal(arguments)
        }
        None => true,
    }
}

/// Whether a line leads around the assertions that follow, or swallows their failure.
fn is_escape(lower: &str, next: Option<&str>) -> bool {
    let line = lower.trim_end_matches(';').trim_end();
    let next = next.unwrap_or_default().trim();
    let is_never = ["if false", "if 0", "while false", "if (false", "if (0", "if not true"]
        .iter()
        .any(|word| line.starts_with(word));
    let swallows_python = line.starts_with("except")
        && line.ends_with(':')
        && (next == "pass" || next == "..." || next.starts_with("return") || next == "continue")
        || line.starts_with("except") && line.ends_with(": pass")
        || line.contains("contextlib.suppress(")
        || line.starts_with("with suppress(");
    let swallows_script = line.contains("catch {}")
        || line.contains("catch (e) {}")
        || line.contains("catch(e){}")
        || line.contains(".catch(() => {})")
        || line.contains("catch") && line.ends_with('{') && next == "}";
    let swallows_rust = line.contains("catch_unwind(");
    line == "return"
        || line == "return none"
        || line == "return ok(())" && !next.starts_with('}')
        || is_never
        || swallows_python
        || swallows_script
        || swallows_rust
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> (u32, u32, u32) {
        let lines: Vec<String> = body.lines().map(|line| line.trim().to_owned()).collect();
        let Strength { effective, constant, escapes } = strength(&lines);
        (effective, constant, escapes)
    }

    #[test]
    fn what_asserts_is_told_from_what_cannot_fail() {
        for (body, expected) in [
            ("assert add(1, 2) == 3", (1, 0, 0)),
            ("assert True", (0, 1, 0)),
            ("assert (1 == 1), 'fine'", (0, 1, 0)),
            ("assert add(1) == add(1)", (0, 1, 0)),
            ("assert add(1) == 2 or True", (0, 1, 0)),
            ("assert not broken", (1, 0, 0)),
            ("self.assertEqual(add(1, 2), 3)", (1, 0, 0)),
            ("self.assertTrue(True)", (0, 1, 0)),
            ("self.assertEqual(3, 3)", (0, 1, 0)),
            ("assert!(true);", (0, 1, 0)),
            ("assert!(add(1) > 0, \"why\");", (1, 0, 0)),
            ("assert_eq!(add(1, 2), 3);", (1, 0, 0)),
            ("assert_eq!(\n3,\n3\n);", (0, 1, 0)),
            ("assert_eq!(x, x);", (0, 1, 0)),
            ("expect(add(1, 2)).toBe(3);", (1, 0, 0)),
            ("expect(true).toBe(true)", (0, 1, 0)),
            ("expect(\"a\").toBe(\"a\")", (0, 1, 0)),
            ("assert.equal(add(1), 2);", (1, 0, 0)),
            ("assert.ok(true);", (0, 1, 0)),
            ("t.Fatalf(\"x\")", (1, 0, 0)),
            ("if got != 3 {\nt.Errorf(\"no\")\n}", (1, 0, 0)),
            ("return\nassert add(1) == 2", (1, 0, 1)),
            ("try:\nassert add(1) == 2\nexcept AssertionError:\npass", (1, 0, 1)),
            ("try {\nexpect(a).toBe(1);\n} catch (e) {\n}", (1, 0, 1)),
            ("if False:\nassert add(1) == 2", (1, 0, 1)),
            ("x = work()", (0, 0, 0)),
        ] {
            assert_eq!(of(body), expected, "{body}");
        }
    }
}
