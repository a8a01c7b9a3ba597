//! Lines that keep tests from running.

use crate::recognise::{Marker, Syntax, marker};

/// The lines that skip a test, or all but one, whatever the condition.
pub(super) fn skips(syntax: Syntax, text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| is_skip(syntax, line)).map(str::to_owned).collect()
}

fn is_skip(syntax: Syntax, line: &str) -> bool {
    if matches!(marker(syntax, line, ""), Some(Marker::Skipped | Marker::Focused)) {
        return true;
    }
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    match syntax {
        Syntax::Rust => {
            line.starts_with("#[cfg(any())]")
                || line.starts_with("#[cfg(all(test,")
                || line.starts_with("#[ignore")
                || (line.starts_with("#[cfg_attr(") && has(&["ignore"]))
                || (line.starts_with("#![cfg(") && !line.starts_with("#![cfg(test)"))
        }
        Syntax::Python => {
            !line.starts_with('#')
                && has(&[
                    "mark.skip",
                    "mark.xfail",
                    "pytest.skip(",
                    "pytest.xfail(",
                    "unittest.skip",
                    "expectedFailure",
                    "skipTest(",
                    "SkipTest",
                    "importorskip(",
                    "__test__ = False",
                    "collect_ignore",
                    "pytest.exit(",
                ])
        }
        Syntax::JavaScript | Syntax::TypeScript => {
            const CALLS: [&str; 6] = ["it", "test", "describe", "context", "suite", "specify"];
            const ENDS: [&str; 7] =
                [".skip", ".only", ".todo", ".failing", ".fails", ".skipIf", ".runIf"];
            CALLS.iter().any(|call| {
                ENDS.iter().any(|end| {
                    let word = format!("{call}{end}");
                    line.match_indices(&word).any(|(at, _)| {
                        let after = line[at + word.len()..].chars().next();
                        !line[..at].ends_with(|c: char| c.is_alphanumeric())
                            && matches!(after, Some('(' | '.' | '`'))
                    })
                })
            }) || ["skip: true", "only: true", "todo: true", "this.skip(", "t.skip("]
                .iter()
                .any(|word| line.contains(word))
        }
        Syntax::Go => {
            has(&["t.Skip(", "t.SkipNow(", "t.Skipf("]) || line.starts_with("//go:build ")
        }
        Syntax::Java | Syntax::Kotlin | Syntax::Scala => {
            has(&["@Disabled", "@Ignore", "@EnabledIf", "Assumptions.assume", "Assume.assume"])
        }
        Syntax::CSharp => has(&["Skip =", "Skip=", "[Ignore", "[Explicit", "Assert.Ignore"]),
        Syntax::Php => has(&["markTestSkipped", "markTestIncomplete"]),
        Syntax::Swift => has(&["XCTSkip", ".disabled("]),
        Syntax::C | Syntax::Cpp => has(&["GTEST_SKIP", "DISABLED_"]),
        Syntax::Elixir => has(&["@tag :skip", "@moduletag :skip", "@tag skip:"]),
        Syntax::Ruby => has(&["pending(", "skip(", ", skip:", ", :skip", "pending:"]),
        Syntax::Dart => has(&["skip:", "@Skip("]),
    }
}
