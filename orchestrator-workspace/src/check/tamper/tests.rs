use super::*;
use FindingKind::{
    CheckChanged, Outside, Planted, TestChanged, TestDeleted, TestSkipped, TestWeakened,
};

fn entry(text: &str) -> Entry {
    Entry { kind: EntryKind::File, content: Some(text.as_bytes().to_vec()) }
}

fn changed(path: &str, old: &str, new: &str) -> FileChange {
    FileChange {
        path: path.into(),
        from: None,
        change: Change::Modified,
        old: Some(entry(old)),
        new: Some(entry(new)),
    }
}

fn added(path: &str, new: &str) -> FileChange {
    FileChange {
        path: path.into(),
        from: None,
        change: Change::Added,
        old: None,
        new: Some(entry(new)),
    }
}

fn deleted(path: &str, old: &str) -> FileChange {
    FileChange {
        path: path.into(),
        from: None,
        change: Change::Deleted,
        old: Some(entry(old)),
        new: None,
    }
}

/// What blocks and what is only flagged, by kind.
fn kinds(changes: &[FileChange]) -> (Vec<FindingKind>, Vec<FindingKind>) {
    let commands = ["sh ./scripts/check.sh --all".to_owned(), "ourtool run".to_owned()];
    let protect = ["golden/**".to_owned(), "/api.txt".to_owned()];
    let paths = ["src/lib.rs".to_owned(), "README.md".to_owned()];
    let context = Context { commands: &commands, protect: &protect, paths: &paths };
    let findings = inspect(changes, &context, TamperPolicy::Block);
    let of = |blocks: bool| {
        let mut kinds: Vec<FindingKind> =
            findings.iter().filter(|f| f.blocks == blocks).map(|f| f.kind).collect();
        kinds.dedup();
        kinds
    };
    (of(true), of(false))
}

#[track_caller]
fn check(changes: &[FileChange], blocks: &[FindingKind], flags: &[FindingKind]) {
    let commands = ["sh ./scripts/check.sh --all".to_owned(), "ourtool run".to_owned()];
    let context = Context { commands: &commands, ..Context::default() };
    let told = inspect(changes, &context, TamperPolicy::Block);
    assert_eq!(kinds(changes), (blocks.to_vec(), flags.to_vec()), "{told:#?}");
}

const PYTHON: &str = "from pkg import add\n\n\ndef test_a():\n    assert add(1, 2) == 3\n    assert \
                      add(0, 0) == 0\n\n\ndef test_b():\n    assert add(1, 1) == 2\n";
const SCRIPT: &str = "test('adds', () => {\n  expect(add(1, 2)).toBe(3);\n});\ntest('zero', () => \
                      expect(add(0, 0)).toBe(0));\n";
const RUST: &str = "pub fn add(a: u8, b: u8) -> u8 { a + b }\n\n#[cfg(test)]\nmod tests {\n    use \
                    super::*;\n\n    #[test]\n    fn adds() {\n        assert_eq!(add(1, 2), 3);\n    \
                    }\n\n    #[test]\n    fn zero() {\n        assert_eq!(add(0, 0), 0);\n    }\n}\n";
const GO: &str = "package a\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {\n\tif add(1, 2) != 3 \
                  {\n\t\tt.Fatal(\"no\")\n\t}\n}\n";

#[test]
fn honest_changes_do_not_block() {
    check(&[changed("src/a.py", "x = 1\n", "x = 2\n")], &[], &[]);
    check(&[changed("src/lib.rs", RUST, &RUST.replace("{ a + b }", "{ b + a }"))], &[], &[]);
    let more = format!("{PYTHON}\n\ndef test_c():\n    assert add(2, 2) == 4\n");
    check(&[changed("tests/test_a.py", PYTHON, &more)], &[], &[TestChanged]);
    check(&[added("tests/test_a.py", PYTHON)], &[], &[TestChanged]);
    // Renamed, moved to another file, or in another order, a test is the same.
    let renamed = PYTHON.replace("test_b", "test_sum");
    check(&[changed("tests/test_a.py", PYTHON, &renamed)], &[], &[TestChanged]);
    let (first, second) = PYTHON.split_once("\n\n\ndef test_b").unwrap();
    let moved = [
        changed("tests/test_a.py", PYTHON, &format!("{first}\n")),
        added("tests/test_b.py", &format!("from pkg import add\n\n\ndef test_b{second}")),
    ];
    check(&moved, &[], &[TestChanged]);
    let more = RUST.replace(
        "    #[test]\n    fn zero",
        "    #[test]\n    fn more() {\n        \
                             assert_eq!(add(2, 2), 4);\n    }\n\n    #[test]\n    fn zero",
    );
    check(&[changed("src/lib.rs", RUST, &more)], &[], &[]);
    // Dependencies and versions are no settings of checks.
    let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nserde = \"1\"\n";
    check(&[changed("Cargo.toml", manifest, &manifest.replace("\"1\"", "\"2\""))], &[], &[]);
    let package = "{\"scripts\":{\"test\":\"jest\"},\"dependencies\":{\"a\":\"1.0.0\"}}";
    check(&[changed("package.json", package, &package.replace("1.0.0", "1.1.0"))], &[], &[]);
    let pyproject = "[project]\nversion = \"1\"\n[tool.pytest.ini_options]\naddopts = \"-q\"\n";
    check(&[changed("pyproject.toml", pyproject, &pyproject.replace("\"1\"", "\"2\""))], &[], &[]);
    check(&[added(".gitattributes", "*.sh text\n")], &[], &[]);
    check(
        &[added("src/main.py", "import sys\nif __name__ == '__main__':\n    sys.exit(0)\n")],
        &[],
        &[],
    );
    check(&[added("src/main.rs", "fn main() {\n    std::process::exit(0);\n}\n")], &[], &[]);
}

#[test]
fn tests_that_are_gone_are_found() {
    let (first, _) = PYTHON.split_once("\n\n\ndef test_b").unwrap();
    check(&[changed("tests/test_a.py", PYTHON, first)], &[TestDeleted], &[TestChanged]);
    check(&[deleted("tests/test_a.py", PYTHON)], &[TestDeleted], &[]);
    let (first, _) = RUST.split_once("#[cfg(test)]").unwrap();
    check(&[changed("src/lib.rs", RUST, first)], &[TestDeleted], &[]);
    let one = RUST.replace("    #[test]\n    fn zero() {", "    fn zero() {");
    check(&[changed("src/lib.rs", RUST, &one)], &[TestDeleted], &[]);
    let mut moved = changed("old/a.py", PYTHON, PYTHON);
    (moved.from, moved.change) = (Some("tests/test_a.py".into()), Change::Renamed);
    check(&[moved], &[TestDeleted], &[]);
    check(&[deleted("tests/__snapshots__/a.snap", "x")], &[TestDeleted], &[]);
    let commented = SCRIPT.replace("test('zero'", "// test('zero'");
    check(&[changed("a.test.js", SCRIPT, &commented)], &[TestDeleted], &[TestChanged]);
}

#[test]
fn tests_that_are_skipped_are_found() {
    let with =
        |text: &str, before: &str, what: &str| text.replacen(before, &format!("{what}{before}"), 1);
    for (path, old, new) in [
        ("tests/test_a.py", PYTHON, with(PYTHON, "def test_b", "@pytest.mark.skip\n")),
        ("tests/test_a.py", PYTHON, with(PYTHON, "def test_b", "@pytest.mark.xfail\n")),
        ("tests/test_a.py", PYTHON, with(PYTHON, "def test_b", "@pytest.mark.skipif(True)\n")),
        (
            "tests/test_a.py",
            PYTHON,
            with(PYTHON, "def test_a", "pytestmark = pytest.mark.skip\n\n"),
        ),
        (
            "tests/test_a.py",
            PYTHON,
            with(
                PYTHON,
                "def test_a",
                "import pytest; pytest.skip('x', allow_module_level=True)\n\n",
            ),
        ),
        ("src/lib.rs", RUST, RUST.replacen("#[test]", "#[test]\n    #[ignore = \"slow\"]", 1)),
        ("src/lib.rs", RUST, RUST.replace("#[cfg(test)]", "#[cfg(all(test, feature = \"x\"))]")),
        ("a.test.js", SCRIPT, SCRIPT.replacen("test(", "test.skip(", 1)),
        ("a.test.js", SCRIPT, SCRIPT.replacen("test(", "test.only(", 1)),
        ("a.test.js", SCRIPT, SCRIPT.replacen("test(", "xtest(", 1)),
        ("a.test.js", SCRIPT, SCRIPT.replacen("test(", "test.failing(", 1)),
        ("a_test.go", GO, GO.replacen("\tif", "\tt.Skip(\"later\")\n\tif", 1)),
        ("a_test.go", GO, format!("//go:build never\n\n{GO}")),
    ] {
        let (blocks, _) = kinds(&[changed(path, old, &new)]);
        assert_eq!(blocks, [TestSkipped], "{new}");
    }
}

#[test]
fn tests_that_assert_less_are_found() {
    for (path, old, new) in [
        ("tests/test_a.py", PYTHON, PYTHON.replace("    assert add(0, 0) == 0\n", "")),
        ("tests/test_a.py", PYTHON, PYTHON.replace("assert add(1, 1) == 2", "assert True")),
        ("tests/test_a.py", PYTHON, PYTHON.replace("== 2", "== 2 or True")),
        ("tests/test_a.py", PYTHON, PYTHON.replace("assert add(1, 1) == 2", "add(1, 1)")),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace("    assert add(1, 1)", "    return\n    assert add(1, 1)"),
        ),
        (
            "tests/test_a.py",
            PYTHON,
            PYTHON.replace(
                "    assert add(1, 1) == 2",
                "    try:\n        assert add(1, 1) == 2\n    except AssertionError:\n        pass",
            ),
        ),
        (
            "a.test.js",
            SCRIPT,
            SCRIPT.replace("expect(add(1, 2)).toBe(3)", "expect(true).toBe(true)"),
        ),
        ("a.test.js", SCRIPT, SCRIPT.replace("  expect(add(1, 2)).toBe(3);\n", "")),
        ("src/lib.rs", RUST, RUST.replace("assert_eq!(add(0, 0), 0)", "assert_eq!(0, 0)")),
        ("src/lib.rs", RUST, RUST.replace("assert_eq!(add(0, 0), 0)", "let _ = add(0, 0)")),
        ("a_test.go", GO, GO.replace("\t\tt.Fatal(\"no\")\n", "")),
    ] {
        let (blocks, _) = kinds(&[changed(path, old, &new)]);
        assert_eq!(blocks, [TestWeakened], "{new}");
    }
    let helper = "def equal(a, b):\n    assert a == b\n\n\ndef test_a():\n    equal(1 + 1, 2)\n";
    let weak = helper.replace("assert a == b", "pass");
    check(&[changed("tests/test_a.py", helper, &weak)], &[TestWeakened], &[TestChanged]);
}

#[test]
fn what_runs_checks_is_found() {
    for path in [
        "Makefile",
        "conftest.py",
        "tests/conftest.py",
        "pytest.ini",
        "scripts/check.sh",
        ".github/workflows/ci.yml",
        ".cargo/config.toml",
        "web/jest.config.ts",
        "tox.ini",
        ".orchestrator/config.toml",
        "golden/a/b.txt",
        "api.txt",
    ] {
        let (blocks, _) = kinds(&[changed(path, "a\n", "b\n")]);
        assert_eq!(blocks, [CheckChanged], "{path}");
        let (blocks, _) = kinds(&[deleted(path, "a\n")]);
        assert!(blocks.contains(&CheckChanged), "{path}");
    }
    for (path, old, new) in [
        ("package.json", "{\"scripts\":{\"test\":\"jest\"}}", "{\"scripts\":{\"test\":\"true\"}}"),
        ("package.json", "{}", "{\"jest\":{\"testPathIgnorePatterns\":[\"a\"]}}"),
        ("package.json", "{}", "{\"devDependencies\":{\"jest\":\"file:./mine\"}}"),
        (
            "pyproject.toml",
            "[project]\n",
            "[project]\n[tool.pytest.ini_options]\naddopts = \"-k x\"\n",
        ),
        ("Cargo.toml", "[lib]\npath = \"a.rs\"\n", "[lib]\npath = \"a.rs\"\ntest = false\n"),
        ("Cargo.toml", "[package]\n", "[package]\nautotests = false\n"),
        ("Cargo.toml", "[package]\n", "[package]\n[[test]]\nname = \"a\"\nharness = false\n"),
    ] {
        let (blocks, _) = kinds(&[changed(path, old, new)]);
        assert_eq!(blocks, [CheckChanged], "{path}: {new}");
    }
    check(&[changed("build.rs", "fn main() {}\n", "fn main() { run(); }\n")], &[], &[CheckChanged]);
}

/// A file that a check is given to look at is what is proved; one that it runs proves.
#[test]
fn only_what_a_check_runs_is_a_part_of_it() {
    for (command, path, runs) in [
        ("ruff check src/app.py", "src/app.py", false),
        ("mypy --strict src/app.py", "src/app.py", false),
        ("grep -q x lib/a.sh", "lib/a.sh", false),
        ("sh lib/a.sh", "lib/a.sh", true),
        ("bash -e ./lib/a.sh --all", "lib/a.sh", true),
        ("cd lib && ./a.sh", "lib/a.sh", true),
        ("CI=1 ./a.sh", "a.sh", true),
        ("python3 tools/run.py | tee out", "tools/run.py", true),
        ("sh -c '. ./lib/a.sh; go'", "lib/a.sh", true),
        ("node dist/check.mjs", "check.mjs", false),
    ] {
        let commands = [command.to_owned()];
        let context = Context { commands: &commands, ..Context::default() };
        let changes = [changed(path, "a\n", "b\n")];
        let found = inspect(&changes, &context, TamperPolicy::Block);
        assert_eq!(!found.is_empty(), runs, "{command}: {found:?}");
    }
}

#[test]
fn what_is_planted_is_found() {
    for (path, text) in [
        ("sitecustomize.py", "import sys\n"),
        ("x.pth", "import os\n"),
        ("pytest.py", "print('ok')\n"),
        ("_pytest/__init__.py", ""),
        ("src/unittest/__init__.py", ""),
        ("tests/pytest.py", ""),
        ("node_modules/.bin/jest", "#!/bin/sh\n"),
        ("cargo", "#!/bin/sh\nexit 0\n"),
        ("bin/ourtool", "#!/bin/sh\nexit 0\n"),
        (".gitattributes", "*.py filter=x\n"),
        (".gitattributes", "tests export-ignore\n"),
        (".gitmodules", "[submodule \"a\"]\n"),
        (".husky/pre-commit", "x\n"),
        ("hooks/post-checkout", "#!/bin/sh\n"),
        ("run.sh", "export LD_PRELOAD=./a.so\n"),
        ("SRC/LIB.rs", "pub fn a() {}\n"),
        ("pkg/a.py", "import os\nos._exit(0)\n"),
        ("pkg/b.py", "import sys\nsys.exit(0)\n"),
        ("pkg/c.py", "import _pytest.runner\n"),
        ("pkg/d.py", "class A:\n    def __eq__(self, other):\n        return True\n"),
        ("pkg/e.py", "import os\nif os.environ.get('CI'):\n    x = 1\n"),
        ("src/x.rs", "pub fn f() { std::process::exit(0) }\n"),
        ("src/y.rs", "pub fn f() -> bool { cfg!(test) }\n"),
        ("lib/x.js", "process.exit(0);\n"),
        ("lib/y.js", "globalThis.expect = () => ({});\n"),
        ("x.go", "package x\n\nfunc f() { os.Exit(0) }\n"),
    ] {
        let (blocks, _) = kinds(&[added(path, text)]);
        assert_eq!(blocks, [Planted], "{path}: {text}");
    }
}

#[test]
fn links_that_lead_out_are_found() {
    for (path, target, blocks) in [
        ("a", "b", false),
        ("x/a", "../b", false),
        ("x/a", "../../b", true),
        ("a", "/etc/passwd", true),
        ("a", "x/../../b", true),
        ("a", ".git/config", true),
    ] {
        let mut link = added(path, target);
        link.new = Some(Entry { kind: EntryKind::Link, content: Some(target.into()) });
        let expected: &[FindingKind] = if blocks { &[Outside] } else { &[] };
        assert_eq!(kinds(&[link]).0, expected, "{path} -> {target}");
    }
    let mut submodule = added("dep", "");
    submodule.new = Some(Entry { kind: EntryKind::Submodule, content: None });
    assert_eq!(kinds(&[submodule]).0, [Planted]);
}

#[test]
fn the_policy_says_what_follows() {
    let changes = [deleted("tests/test_a.py", PYTHON)];
    let of = |policy| inspect(&changes, &Context::default(), policy);
    assert!(of(TamperPolicy::Block).iter().any(|finding| finding.blocks));
    assert!(!of(TamperPolicy::Flag).is_empty());
    assert!(of(TamperPolicy::Flag).iter().all(|finding| !finding.blocks));
    assert!(of(TamperPolicy::Off).is_empty());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_makes_a_guard_panic(
        old in "([a-z_ü(){}\\[\\]'\"#@.,;:=\\\\]|\n|def test_a|assert |#\\[test\\]|it\\('|expect\\(){0,60}",
        new in "([a-z_ü(){}\\[\\]'\"#@.,;:=\\\\]|\n|def test_a|assert |#\\[test\\]|it\\('|expect\\(){0,60}",
        which in 0..6_usize,
    ) {
        let path = ["tests/test_a.py", "src/a.rs", "a.test.js", "a_test.go", "ATest.java", "a_spec.rb"];
        let _ = kinds(&[changed(path[which], &old, &new)]);
    }
}
