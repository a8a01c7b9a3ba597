//! What one source file says about tests.

use crate::builtin::index::{Class, FileEntry};
use orchestrator_workspace::recognise::{Marker, Syntax, identifier, indent, marker, vacuous};

/// One source file.
#[derive(Debug)]
pub(super) struct Examined<'a> {
    pub(super) path: &'a str,
    pub(super) syntax: Syntax,
    pub(super) class: Class,
    /// Lines that are not blank and belong to no test.
    pub(super) code_lines: usize,
    /// Lines that are not blank and belong to a test.
    pub(super) test_lines: usize,
    /// How many tests begin in it.
    pub(super) tests: usize,
    /// Lines with a skipped test.
    pub(super) skipped: Vec<u32>,
    /// Lines with a focused test.
    pub(super) focused: Vec<u32>,
    /// Lines where a test begins that checks nothing.
    pub(super) vacuous: Vec<u32>,
    /// How many functions or methods it defines.
    pub(super) functions: usize,
    /// Hashes of the names that it defines, where they are telling.
    pub(super) defines: Vec<u64>,
    /// Hashes of the words in its tests, sorted.
    pub(super) mentions: Vec<u64>,
    /// Whether it uses Python's own test library.
    pub(super) imports_unittest: bool,
}

/// Names shorter than this are in every program and tell nothing.
const TELLING: usize = 6;

pub(super) fn examine<'a>(file: &'a FileEntry, text: &str) -> Option<Examined<'a>> {
    let syntax = Syntax::of(file.extension())?;
    let is_test_file = file.class == Class::Test;
    let mut examined = Examined {
        path: &file.path,
        syntax,
        class: file.class,
        code_lines: 0,
        test_lines: 0,
        tests: 0,
        skipped: Vec::new(),
        focused: Vec::new(),
        vacuous: Vec::new(),
        functions: 0,
        defines: Vec::new(),
        mentions: Vec::new(),
        imports_unittest: false,
    };
    // No runner of Python looks for tests in the `models.py` of a test's own application.
    let is_collected = syntax != Syntax::Python
        || file.name().to_ascii_lowercase().contains("test")
        || file.class != Class::Test;
    // Rust keeps unit tests in the file that they test, in a module of their own.
    let mut inline = Inline::Outside;
    let mut before = "";
    for (number, line) in (1u32..).zip(text.lines()) {
        let code = line.trim();
        if code.is_empty() {
            continue;
        }
        let was = inline;
        if syntax == Syntax::Rust {
            inline = inline.next(line, code);
        }
        // The attribute before the module and the brace after it belong to the tests too.
        let in_test = is_test_file || inline != Inline::Outside || was == Inline::Inside;
        if in_test {
            examined.test_lines += 1;
            words(code, &mut examined.mentions);
        } else {
            examined.code_lines += 1;
            define(syntax, code, &mut examined);
        }
        // Tests outside of test files are in Rust's modules, or are in no habit of their language.
        if in_test || syntax == Syntax::Rust {
            match marker(syntax, code, before).filter(|_| is_collected) {
                Some(Marker::Test) => examined.tests += 1,
                Some(Marker::Skipped) => examined.skipped.push(number),
                Some(Marker::Focused) => examined.focused.push(number),
                None => {}
            }
            examined.imports_unittest |= syntax == Syntax::Python
                && (code.starts_with("import unittest")
                    || code.starts_with("from unittest import"));
        }
        before = code;
    }
    examined.mentions.sort_unstable();
    examined.mentions.dedup();
    if examined.tests > 0 {
        examined.vacuous = vacuous(syntax, text);
    }
    Some(examined)
}

/// Where a line of Rust stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inline {
    Outside,
    /// After `#[cfg(test)]` at the margin.
    Announced,
    Inside,
}

impl Inline {
    fn next(self, line: &str, code: &str) -> Self {
        let at_margin = indent(line) == 0;
        match self {
            Self::Outside if at_margin && code.starts_with("#[cfg(test)]") => {
                // The module may begin on the same line.
                if code.ends_with('{') { Self::Inside } else { Self::Announced }
            }
            Self::Outside => Self::Outside,
            Self::Announced if code.starts_with("#[") => Self::Announced,
            Self::Announced if code.ends_with('{') => Self::Inside,
            Self::Announced => Self::Outside,
            Self::Inside if at_margin && code == "}" => Self::Outside,
            Self::Inside => Self::Inside,
        }
    }
}

/// Notes what a line defines.
fn define(syntax: Syntax, code: &str, examined: &mut Examined<'_>) {
    const MODIFIERS: [&str; 20] = [
        "pub",
        "export",
        "default",
        "async",
        "unsafe",
        "const",
        "extern",
        "public",
        "private",
        "protected",
        "internal",
        "static",
        "final",
        "abstract",
        "override",
        "open",
        "data",
        "sealed",
        "inline",
        "partial",
    ];
    let mut rest = code;
    loop {
        let word = identifier(rest);
        if !MODIFIERS.contains(&word) {
            break;
        }
        rest = rest.get(word.len()..).unwrap_or_default();
        if let Some(scope) = rest.strip_prefix('(') {
            rest = scope.split_once(')').map_or("", |(_, rest)| rest);
        }
        rest = rest.trim_start();
    }
    let keyword = identifier(rest);
    let is_function = matches!(keyword, "fn" | "def" | "func" | "function" | "fun" | "defp");
    let is_type = matches!(
        keyword,
        "struct"
            | "enum"
            | "trait"
            | "class"
            | "interface"
            | "type"
            | "object"
            | "record"
            | "module"
    );
    let arrow = syntax.is_script() && code.contains("=>") && code.contains('=');
    // Where functions have no keyword, a line that opens a body after its parameters is one.
    let method =
        matches!(syntax, Syntax::Java | Syntax::CSharp | Syntax::C | Syntax::Cpp | Syntax::Dart)
            && code.contains('(')
            && (code.ends_with('{') || code.ends_with(')'))
            && !matches!(keyword, "if" | "for" | "while" | "switch" | "return" | "else" | "catch");
    if is_function || arrow || method {
        examined.functions += 1;
    }
    if !(is_function || is_type) {
        return;
    }
    let mut rest = rest.get(keyword.len()..).unwrap_or_default().trim_start();
    if let Some(receiver) = rest.strip_prefix('(') {
        rest = receiver.split_once(')').map_or("", |(_, rest)| rest).trim_start();
    }
    let name = identifier(rest);
    if name.len() >= TELLING {
        examined.defines.push(hash(name));
    }
}

/// The hashes of the words of a line.
fn words(line: &str, into: &mut Vec<u64>) {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    for word in line.split(|c| !is_word(c)).filter(|word| word.len() > 1) {
        into.push(hash(word));
    }
}

/// A word's hash without regard to case and to `_` and `-`: `user-store`, `user_store` and
/// `UserStore` are one. FNV-1a: it need not withstand an attack, for a collision only hides a
/// file from the list of untested ones.
pub(super) fn hash(word: &str) -> u64 {
    let bytes = word.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::fixture::Tree;

    #[test]
    fn unit_tests_of_rust_are_told_from_the_code_around_them() {
        let tree = Tree::new(&[(
            "src/a.rs",
            "pub fn compute() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn a() {\n        \
             assert!(true);\n    }\n}\n\nfn after() {}\n",
        )]);
        let index = tree.index();
        let file = &index.files()[0];
        let examined = examine(file, &index.read(file).unwrap()).unwrap();
        assert_eq!((examined.code_lines, examined.test_lines), (2, 7));
        assert_eq!((examined.tests, examined.functions), (1, 2));
        assert_eq!(examined.defines, [hash("compute")]);
        assert!(examined.vacuous.is_empty());
    }

    #[test]
    fn only_what_a_runner_of_python_collects_holds_tests() {
        let text = "class A:\n    def test_model(self):\n        return 'x'\n";
        for (path, tests) in [
            ("tests/admin/tests.py", 1),
            ("tests/admin/test_a.py", 1),
            ("tests/admin/a_test.py", 1),
            ("tests/admin/models.py", 0),
            ("app/models.py", 0),
        ] {
            let index = Tree::new(&[(path, text)]).index();
            let file = &index.files()[0];
            let examined = examine(file, text).unwrap();
            assert_eq!((examined.tests, examined.vacuous.len()), (tests, tests), "{path}");
        }
    }

    #[test]
    fn words_are_compared_without_their_style() {
        assert_eq!(hash("user-store"), hash("UserStore"));
        assert_eq!(hash("user_store"), hash("userStore"));
        assert_ne!(hash("user"), hash("users"));
    }
}
