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
}
