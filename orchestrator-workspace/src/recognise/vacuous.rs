//! Tests that check nothing, in the languages where a test's body is easily told.

use super::{
    marker::{Marker, marker},
    syntax::{Syntax, identifier, indent},
};

/// Any of these in a body may be a check, or a call of something that checks. The list is wide on
/// purpose: a test that is called empty and is not costs more trust than one that is missed.
const CHECKS: [&str; 24] = [
    "assert",
    "expect",
    "unwrap",
    "panic",
    "should",
    "raise",
    "warn",
    "fail",
    "check",
    "verify",
    "must",
    "require",
    "ensure",
    "approx",
    "compare",
    "match",
    "validate",
    "t.error",
    "t.fatal",
    "t.run",
    "test_",
    "run_test",
    "snapshot",
    "benchmark",
];

/// The lines where a test begins whose body has no check. Rust, Python and Go alone.
pub fn vacuous(syntax: Syntax, text: &str) -> Vec<u32> {
    if !matches!(syntax, Syntax::Rust | Syntax::Python | Syntax::Go) {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim();
        if marker(syntax, code, "") != Some(Marker::Test) {
            continue;
        }
        let rest = lines.get(at + 1..).unwrap_or_default();
        let body = match syntax {
            Syntax::Python => python_body(line, rest),
            _ => braced_body(line, rest),
        };
        if let Some(body) = body
            && !has_check(syntax, code, body)
            && !calls_helper(syntax, text, body)
        {
            found.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
        }
    }
    found
}

/// The lines that are set in deeper than the definition. Nothing when its head spans lines, when
/// the body is a word or a docstring alone, or on the same line.
fn python_body<'a, 'b>(head: &str, rest: &'b [&'a str]) -> Option<&'b [&'a str]> {
    if !head.trim_end().ends_with(':') {
        return None;
    }
    let depth = indent(head);
    let end = rest
        .iter()
        .position(|line| !line.trim().is_empty() && indent(line) <= depth)
        .unwrap_or(rest.len());
    rest.get(..end)
}

/// The lines up to a closing brace in the column of the head.
fn braced_body<'a, 'b>(head: &str, rest: &'b [&'a str]) -> Option<&'b [&'a str]> {
    let depth = indent(head);
    let end =
        rest.iter().position(|line| indent(line) == depth && line.trim_start().starts_with('}'))?;
    rest.get(..end)
}

/// Whether the body calls a function of the same file, which may check on its behalf.
fn calls_helper(syntax: Syntax, text: &str, body: &[&str]) -> bool {
    let keyword = match syntax {
        Syntax::Python => "def",
        Syntax::Go => "func",
        _ => "fn",
    };
    body.iter().any(|line| {
        let code = line.trim_start();
        let name = identifier(code);
        let rest = code.get(name.len()..).unwrap_or_default();
        // A macro of the file, too.
        let is_call = !name.is_empty() && rest.starts_with(['(', '!', ':']);
        is_call
            && [keyword, "macro_rules!"].iter().any(|keyword| {
                let definition = format!("{keyword} {name}");
                memchr::memmem::find(text.as_bytes(), definition.as_bytes()).is_some()
            })
    })
}

fn has_check(syntax: Syntax, head: &str, body: &[&str]) -> bool {
    // Attributes between the marker and the function belong to the body here.
    if syntax == Syntax::Rust
        && (!head.starts_with("#[test]") || body.iter().any(|l| l.contains('?')))
    {
        return true;
    }
    // A test handed on to a function that may fail it.
    let handed = ["(t,", "(t)", ", t)", ", t,", "self.", "with "];
    let is_handed = |line: &str| match syntax {
        Syntax::Go => handed.get(..4).unwrap_or_default().iter().any(|h| line.contains(h)),
        Syntax::Python => handed.get(4..).unwrap_or_default().iter().any(|h| line.contains(h)),
        _ => false,
    };
    let mut statements = 0;
    for line in body {
        let code = line.trim();
        if code.is_empty()
            || code.starts_with('#') && syntax == Syntax::Python
            || code.starts_with("//")
        {
            continue;
        }
        statements += 1;
        let lower = code.to_ascii_lowercase();
        if CHECKS.iter().any(|check| lower.contains(check)) || is_handed(code) {
            return true;
        }
    }
    // A body without anything is a placeholder, which says so itself; a long one without a word
    // of checking most likely checks by means unknown here.
    statements == 0 || statements > 12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_without_any_check_is_found() {
        for (syntax, text, expected) in [
            (Syntax::Python, "def test_a():\n    x = work()\n\ndef b():\n    pass\n", vec![1]),
            (Syntax::Python, "def test_a():\n    assert work()\n", vec![]),
            (Syntax::Python, "def test_a():\n    with raises(X):\n        work()\n", vec![]),
            (Syntax::Python, "def test_a(\n    x\n):\n    work()\n", vec![]),
            (Syntax::Python, "class A:\n    def test_a(self):\n        self.helper()\n", vec![]),
            (Syntax::Rust, "#[test]\nfn a() {\n    work();\n}\n", vec![1]),
            (Syntax::Rust, "#[test]\nfn a() {\n    case(1);\n}\nfn case(x: u8) {}\n", vec![]),
            (Syntax::Rust, "#[test]\nfn a() {\n    work().unwrap();\n}\n", vec![]),
            (Syntax::Rust, "#[test]\n#[should_panic]\nfn a() {\n    work();\n}\n", vec![]),
            (Syntax::Go, "func TestA(t *testing.T) {\n\twork()\n}\n", vec![1]),
            (Syntax::Go, "func TestA(t *testing.T) {\n\thelper(t, 1)\n}\n", vec![]),
            (Syntax::Go, "func TestA(t *testing.T) {\n\tt.Fatal(1)\n}\n", vec![]),
            (Syntax::JavaScript, "it('a', () => {\n})\n", vec![]),
        ] {
            assert_eq!(vacuous(syntax, text), expected, "{text}");
        }
    }
}
