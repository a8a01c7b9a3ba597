//! The tester's analyst: what tests there are, how to run them, and what lacks them.

mod automation;
mod command;
mod coverage;
mod examine;
mod foreign;

use super::{Finding, Index, Options, Report, Severity, phrase::counted};
use coverage::Coverage;
use examine::{Examined, examine};
use foreign::Foreign;
use serde_json::{Value, json};

/// How many paths or names a message lists.
const NAMED: usize = 6;
/// With fewer lines of code than this a project without tests is a small matter.
const FEW_LINES: usize = 50;

/// Reports how the project is tested: its own test commands, continuous integration, the ratio
/// of test to code, files that no test mentions, tests that are skipped, focused or check nothing.
pub fn analyse(index: &Index, options: &Options) -> Report {
    let mut report = Report::new("qa");
    let examined: Vec<Examined<'_>> = index
        .scan(&options.cancelled, |file| file.class.is_written_here(), examine)
        .into_iter()
        .filter_map(|(_, examined)| examined)
        .collect();
    let commands = command::detect(index, &examined);
    let automation = automation::detect(index);
    let coverage = Coverage::of(&examined);
    let foreign = Foreign::of(index);

    report.summary = summary(&coverage, &foreign, &commands, &automation);
    report.fact(
        "totals",
        json!({
            "tests": coverage.total.tests,
            "test-files": coverage.total.test_files,
            "test-lines": coverage.total.test_lines,
            "code-files": coverage.total.code_files,
            "code-lines": coverage.total.code_lines,
            "test-to-code-ratio": coverage.total.ratio(),
            "test-files-not-counted": foreign.files,
        }),
    );
    report.fact("languages", coverage.table());
    let rows: Value =
        commands.iter().map(|c| json!({ "command": c.command, "because-of": c.because })).collect();
    report.fact("test-commands", rows);
    report.fact("continuous-integration", automation.files.clone());

    let has_code = coverage.total.code_files > 0;
    if foreign.files > 0 {
        report.note(format!(
            "{} in languages whose tests are not counted here: {}",
            counted(foreign.files, "test file is", "test files are"),
            foreign.kinds()
        ));
    }
    if foreign.files > 0 && foreign.files * 2 >= coverage.total.test_files {
        report.note(
            "which files have no tests was not judged, for too many of the tests cannot be read",
        );
    } else if has_code && coverage.total.tests == 0 && coverage.total.test_files == 0 {
        let lines = coverage.total.code_lines;
        report.push(Finding::new(
            "qa/no-tests",
            if lines < FEW_LINES { Severity::Low } else { Severity::High },
            format!("no test was found for {}", counted(lines, "line of code", "lines of code")),
            "Begin with the part whose failure would cost most, and run its tests on every change",
        ));
    } else {
        report.findings.extend(coverage.untested(&examined));
    }
    if has_code && commands.is_empty() {
        report.push(Finding::new(
            "qa/no-test-command",
            Severity::Medium,
            "no command that runs the tests could be found",
            "Give the project one command that runs all of its tests, and name it in the README",
        ));
    }
    if has_code && automation.files.is_empty() {
        report.push(Finding::new(
            "qa/no-continuous-integration",
            Severity::Low,
            "no continuous integration was found",
            "Run the tests on every change, for example with a workflow in `.github/workflows`",
        ));
    } else if has_code && !automation.runs_tests {
        let path = automation.files.first().cloned().unwrap_or_default();
        report.push(
            Finding::new(
                "qa/tests-not-in-continuous-integration",
                Severity::Medium,
                "continuous integration seems to run no tests",
                "Add a step that runs the test command",
            )
            .at(path),
        );
    }
    for file in &examined {
        report.findings.extend(marks(file));
    }
    report.finish();
    report
}

fn summary(
    coverage: &Coverage,
    foreign: &Foreign,
    commands: &[command::TestCommand],
    automation: &automation::Automation,
) -> String {
    let total = &coverage.total;
    let mut summary = if total.code_files == 0 && total.test_files == 0 {
        "No source code in a language with known test habits was found.".to_owned()
    } else if total.tests + total.test_files + foreign.files == 0 {
        let lines = counted(total.code_lines, "line of code", "lines of code");
        format!("No tests were found for {lines}.")
    } else {
        format!(
            "{} in {}; {:.2} lines of test for each line of code.",
            counted(total.tests, "test", "tests"),
            counted(total.test_files, "test file", "test files"),
            total.ratio()
        )
    };
    if foreign.files > 0 {
        summary.push_str(&format!(
            " {} in a language whose tests are not counted.",
            counted(foreign.files, "more test file is", "more test files are")
        ));
    }
    if let Some(first) = commands.first() {
        let has_tests = total.tests + total.test_files + foreign.files > 0;
        let verb = if has_tests { "Run them with" } else { "The command for them is" };
        summary.push_str(&format!(" {verb} `{}`.", first.command));
    }
    if !automation.files.is_empty() {
        summary.push_str(if automation.runs_tests {
            " Continuous integration runs tests."
        } else {
            " Continuous integration is there."
        });
    }
    summary
}

/// What is marked in one file, a finding for each sort.
fn marks(file: &Examined<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut tell = |rule: &str, severity, lines: &[u32], what: &str, advice: &str| {
        if let Some(first) = lines.first() {
            let count = lines.len();
            let message = if count == 1 {
                format!("1 test {what}")
            } else {
                let shown: Vec<String> = lines.iter().take(NAMED).map(u32::to_string).collect();
                let more = if count > NAMED { ", ..." } else { "" };
                format!("{count} tests {what}: lines {}{more}", shown.join(", "))
            };
            findings.push(
                Finding::new(rule, severity, message, advice).at(&*file.path).on_line(*first),
            );
        }
    };
    tell(
        "qa/focused-test",
        Severity::High,
        &file.focused,
        "focused",
        "Remove the focus: as long as it is there, all other tests are left out silently",
    );
    tell(
        "qa/skipped-test",
        Severity::Low,
        &file.skipped,
        "skipped",
        "Mend and run it, or remove it: a skipped test protects nothing",
    );
    tell(
        "qa/test-without-check",
        Severity::Low,
        &file.vacuous,
        "without a visible check",
        "Assert what should hold: a test that checks nothing passes whatever the code does",
    );
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::fixture::Tree;

    fn rules(files: &[(&str, &str)]) -> Vec<(String, Option<String>, Option<u32>)> {
        let tree = Tree::new(files);
        let report = analyse(&tree.index(), &tree.options());
        let mut found: Vec<_> =
            report.findings.into_iter().map(|f| (f.rule, f.path, f.line)).collect();
        found.sort();
        found
    }

    fn check(files: &[(&str, &str)], expected: &[(&str, Option<&str>, Option<u32>)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(rule, path, line)| ((*rule).to_owned(), path.map(str::to_owned), *line))
            .collect();
        assert_eq!(rules(files), expected, "{files:?}");
    }

    #[test]
    fn a_project_without_tests_or_automation_is_told_so_once() {
        let code = "def work(x):\n    return x\n".repeat(20);
        check(
            &[("a.py", &code), ("b.py", &code)],
            &[
                ("qa/no-continuous-integration", None, None),
                ("qa/no-test-command", None, None),
                ("qa/no-tests", None, None),
            ],
        );
        check(&[("README.md", "# Hi")], &[]);
    }

    #[test]
    fn tests_that_cannot_be_counted_are_tests_all_the_same() {
        let code = "int work(int x) {\n    return x;\n}\n".repeat(200);
        let ci = (".travis.yml", "script: make check\n");
        let make = ("Makefile", "check:\n\tsh tests/run.sh\n");
        check(&[("a.c", &code), ("tests/run.sh", "#!/bin/sh\n./a | diff - b\n"), ci, make], &[]);
        check(&[("a.c", &code), ("tests/b.txt", "x\n"), ci, make], &[("qa/no-tests", None, None)]);
    }

    #[test]
    fn automation_that_runs_no_tests_is_found() {
        let test = ("test_a.py", "def test_a():\n    assert 1\n");
        let code = ("a.py", "x = 1\n");
        for (ci, expected) in [
            ("jobs:\n  a:\n    steps:\n      - run: pytest\n", None),
            (
                "jobs:\n  a:\n    steps:\n      - run: make docs\n",
                Some("qa/tests-not-in-continuous-integration"),
            ),
        ] {
            let path = ".github/workflows/ci.yml";
            let expected: Vec<_> =
                expected.into_iter().map(|rule| (rule, Some(path), None)).collect();
            check(&[test, code, (path, ci)], &expected);
        }
    }

    #[test]
    fn marked_tests_are_one_finding_a_file() {
        let ci = (".gitlab-ci.yml", "test:\n  script: npm test\n");
        let package = ("package.json", r#"{"scripts":{"test":"jest"}}"#);
        check(
            &[
                ci,
                package,
                (
                    "a.test.js",
                    "it('a', () => {})\nxit('b', () => {})\ntest.skip('c', () => {})\n\
                     describe.only('d', () => {})\n",
                ),
            ],
            &[
                ("qa/focused-test", Some("a.test.js"), Some(4)),
                ("qa/skipped-test", Some("a.test.js"), Some(2)),
            ],
        );
    }
}
