//! What a file is for, as far as its path tells.

/// What a file is for. Analysts judge only what people wrote for this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Written for this project: sources, settings, pages.
    Own,
    /// A test or what only tests use.
    Test,
    /// Data that tests read.
    Fixture,
    /// An example or a benchmark.
    Example,
    /// Somebody else's code, copied in.
    Vendored,
    /// Made by a program, minified files among them.
    Generated,
    /// A lock file of a package manager.
    Lock,
}

impl Class {
    /// Whether people wrote it for this project, tests and examples included.
    pub fn is_written_here(self) -> bool {
        matches!(self, Self::Own | Self::Test | Self::Example)
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Test => "test",
            Self::Fixture => "fixture",
            Self::Example => "example",
            Self::Vendored => "vendored",
            Self::Generated => "generated",
            Self::Lock => "lock-file",
        }
    }
}

const LOCKS: [&str; 22] = [
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "bun.lockb",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pipfile.lock",
    "go.sum",
    "go.work.sum",
    "gemfile.lock",
    "composer.lock",
    "packages.lock.json",
    "gradle.lockfile",
    "mix.lock",
    "pubspec.lock",
    "podfile.lock",
    "flake.lock",
    "deno.lock",
];

const VENDORED: [&str; 14] = [
    "vendor",
    "vendored",
    "_vendor",
    "node_modules",
    "bower_components",
    "third_party",
    "third-party",
    "thirdparty",
    "3rdparty",
    "site-packages",
    ".venv",
    "venv",
    "pods",
    "externals",
];
/// Directories that hold copies of other projects when they lie at the top, each in a directory of
/// its own. Deeper down the same names are common for a project's own code.
const VENDORED_AT_TOP: [&str; 4] = ["deps", "extern", "external", "subprojects"];
const FIXTURES: [&str; 12] = [
    "fixtures",
    "fixture",
    "testdata",
    "test_data",
    "test-data",
    "__fixtures__",
    "__snapshots__",
    "snapshots",
    "golden",
    "goldens",
    "cassettes",
    "corpus",
];
const TESTS: [&str; 9] =
    ["test", "tests", "__tests__", "spec", "specs", "testing", "e2e", "__mocks__", "androidtest"];
const EXAMPLES: [&str; 8] =
    ["examples", "example", "samples", "sample", "demo", "demos", "benches", "benchmarks"];
const GENERATED: [&str; 8] =
    ["dist", "generated", "__generated__", "gen", ".next", "out", "target", "__pycache__"];

/// The class of the file at `path`, relative to the project with `/` between its parts.
pub fn classify(path: &str) -> Class {
    let lower = path.to_ascii_lowercase();
    let (dirs, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let within = |names: &[&str]| dirs.split('/').any(|dir| names.contains(&dir));
    let mut parts = dirs.split('/');
    let at_top = parts.next().is_some_and(|top| VENDORED_AT_TOP.contains(&top));
    if within(&VENDORED) || (at_top && parts.next().is_some()) {
        Class::Vendored
    } else if within(&FIXTURES) || name.ends_with(".snap") {
        Class::Fixture
    } else if LOCKS.contains(&name) {
        Class::Lock
    } else if is_generated_name(name) || within(&GENERATED) {
        Class::Generated
    } else if within(&TESTS) || is_test_name(path.rsplit('/').next().unwrap_or(path)) {
        Class::Test
    } else if within(&EXAMPLES) {
        Class::Example
    } else {
        Class::Own
    }
}

fn is_generated_name(name: &str) -> bool {
    const ENDS: [&str; 16] = [
        ".min.js",
        ".min.mjs",
        ".min.css",
        ".bundle.js",
        "-bundle.js",
        ".js.map",
        ".css.map",
        ".pb.go",
        ".pb.rs",
        ".pb.cc",
        ".pb.h",
        "_pb2.py",
        "_pb2_grpc.py",
        ".g.dart",
        ".g.cs",
        ".designer.cs",
    ];
    ENDS.iter().any(|end| name.ends_with(end))
        || name.starts_with("zz_generated")
        || name == "bundle.js"
}

/// Whether a text that begins with `head` was made by a program: it says so in a comment of its
/// first lines, or it is a script or style sheet without line ends.
pub(super) fn looks_generated(path: &str, head: &[u8]) -> bool {
    if is_web(path) && head.len() >= MINIFIED && memchr::memchr(b'\n', &head[..MINIFIED]).is_none()
    {
        return true;
    }
    let head = head.get(..1024).unwrap_or(head);
    head.split(|byte| *byte == b'\n').take(10).any(|line| {
        let line = line.trim_ascii();
        let is_comment = [b"//" as &[u8], b"#", b"/*", b"*", b"--", b"<!--", b";", b"\"\"\""]
            .iter()
            .any(|leader| line.starts_with(leader));
        is_comment
            && GENERATED_MARKS
                .iter()
                .any(|mark| memchr::memmem::find(line, mark.as_bytes()).is_some())
    })
}

/// What programs write in a comment at the top of what they make.
const GENERATED_MARKS: [&str; 19] = [
    "@generated",
    "DO NOT EDIT",
    "Do not edit",
    "do not edit",
    "Automatically generated by",
    "<auto-generated",
    "Code generated by",
    "file is generated",
    "file was generated",
    "file is automatically generated",
    "file was automatically generated",
    "file is auto-generated",
    "file was auto-generated",
    "file is autogenerated",
    "file was autogenerated",
    "made by GNU Bison",
    "scanner generated by flex",
    "Generated by the protocol buffer",
    "Autogenerated by ",
];

/// Whether the file is a script or style sheet of the web.
pub(super) fn is_web(path: &str) -> bool {
    [".js", ".mjs", ".cjs", ".css"].iter().any(|end| path.ends_with(end))
}

/// Whether a script or style sheet that ends with `tail` was made from another file, which its
/// last line names.
pub(super) fn names_its_source(tail: &[u8]) -> bool {
    let last = tail.trim_ascii_end();
    let start = memchr::memrchr(b'\n', last).map_or(0, |at| at + 1);
    let last = last.get(start..).unwrap_or_default();
    [b"//# sourceMappingURL=" as &[u8], b"//@ sourceMappingURL=", b"/*# sourceMappingURL="]
        .iter()
        .any(|mark| last.starts_with(mark))
}

/// A script whose first line is longer than this is minified.
const MINIFIED: usize = 4096;

/// Whether a file of this name is a test by the habit of its language.
fn is_test_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let Some((stem, extension)) = lower.rsplit_once('.') else {
        return false;
    };
    let original_stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    match extension {
        "rs" => {
            matches!(stem, "test" | "tests") || stem.ends_with("_test") || stem.ends_with("_tests")
        }
        "go" => stem.ends_with("_test"),
        "py" | "pyi" => {
            stem.starts_with("test_")
                || stem.ends_with("_test")
                || matches!(stem, "tests" | "conftest")
        }
        "js" | "jsx" | "ts" | "tsx" | "mjs" | "cjs" | "mts" | "cts" | "vue" | "svelte" => {
            stem.ends_with(".test") || stem.ends_with(".spec") || stem.ends_with(".cy")
        }
        "rb" => stem.ends_with("_spec") || stem.ends_with("_test") || stem.starts_with("test_"),
        "java" | "kt" | "kts" | "scala" | "groovy" | "cs" | "fs" | "vb" | "php" | "swift" => {
            ["Test", "Tests", "TestCase", "Spec", "IT"]
                .iter()
                .any(|end| original_stem.ends_with(end))
        }
        "ex" | "exs" | "dart" | "c" | "cc" | "cpp" | "zig" => {
            stem.ends_with("_test") || stem.ends_with("_tests") || stem.starts_with("test_")
        }
        "snap" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_a_file_is_for() {
        for (path, class) in [
            ("src/main.rs", Class::Own),
            ("README.md", Class::Own),
            ("src/latest.rs", Class::Own),
            ("src/contest.py", Class::Own),
            ("Commit.java", Class::Own),
            ("attest/lib.go", Class::Own),
            ("pkg/a_test.go", Class::Test),
            ("tests/it.rs", Class::Test),
            ("web/src/app.test.tsx", Class::Test),
            ("src/test/java/com/A.java", Class::Test),
            ("UserServiceTest.java", Class::Test),
            ("pkg/testdata/x.go", Class::Fixture),
            ("node_modules/a/index.js", Class::Vendored),
            ("vendor/test/a.go", Class::Vendored),
            ("static/jquery.min.js", Class::Generated),
            ("api/service_pb2.py", Class::Generated),
            ("examples/hello.rs", Class::Example),
            ("sub/Cargo.lock", Class::Lock),
            ("deps/lua/src/lvm.c", Class::Vendored),
            ("deps/Makefile", Class::Own),
            ("src/deps/auth/login.py", Class::Own),
            ("migrations/x/bundle.js", Class::Generated),
            ("src/bundle.ts", Class::Own),
        ] {
            assert_eq!(classify(path), class, "{path}");
        }
    }

    #[test]
    fn generated_text_says_so_or_has_no_lines() {
        let long = "x".repeat(5000);
        for (path, text, generated) in [
            ("a.go", "// Code generated by protoc. DO NOT EDIT.\npackage a", true),
            ("a.rs", "// @generated\n", true),
            ("a.py", "# Do not edit this file by hand\n", true),
            ("a.rs", "const MARK: &str = \"@generated\";\n", false),
            ("a.rs", "//! Finds files.\n", false),
            ("a.c", "/* A Bison parser, made by GNU Bison 3.0.4.  */\n", true),
            ("a.c", "#line 3 \"a.c\"\n\n/* A lexical scanner generated by flex */\n", true),
            ("a.rb", "# This file is automatically generated from x.\n", true),
            ("a.rb", "# This file is automatically loaded.\n", false),
            ("a.py", "# Events generated by the file watcher.\n", false),
            ("a.js", &long, true),
            ("a.txt", &long, false),
        ] {
            assert_eq!(looks_generated(path, text.as_bytes()), generated, "{path}: {text:.30}");
        }
    }

    #[test]
    fn a_source_map_gives_a_made_script_away() {
        for (tail, made) in [
            ("x();\n//# sourceMappingURL=a.js.map\n", true),
            ("a{}\n/*# sourceMappingURL=a.css.map */", true),
            ("//# sourceMappingURL=data:application/json;base64,e30=", true),
            ("write('//# sourceMappingURL=' + url);\n", false),
            ("//# sourceMappingURL=a.js.map\nx();\n", false),
            ("", false),
        ] {
            assert_eq!(names_its_source(tail.as_bytes()), made, "{tail}");
        }
    }
}
