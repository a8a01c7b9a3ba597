//! What one run of a check comes to.

use super::parse::{self, Output, Report, Unreadable};
use orchestrator_core::workspace::{
    CheckCommand, CheckOutcome, CheckParser, CheckSpec, TestCounts,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One run of a check, as far as its outcome goes.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) outcome: CheckOutcome,
    /// Why, where the outcome alone does not tell.
    pub(super) why: Option<String>,
    /// What failed, by name; empty when only the whole did.
    pub(super) failures: BTreeSet<String>,
    pub(super) tests: Option<TestCounts>,
    pub(super) coverage: Option<f64>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Exit(i32),
    Signal,
    TimedOut,
    /// It could not be started.
    NotStarted,
}

/// What a check gave on the base, as far as it is compared with: what a [`Baselines`] keeps.
///
/// [`Baselines`]: super::Baselines
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BaseResult {
    /// How it ended.
    pub outcome: CheckOutcome,
    /// The names of what failed.
    pub failures: BTreeSet<String>,
    /// How many tests it told of.
    pub tests: Option<TestCounts>,
}

impl BaseResult {
    /// Whether the tests of the base can tell anything: they could be run there, and there were some.
    pub(super) fn says_something(&self) -> bool {
        match self.outcome {
            CheckOutcome::Passed | CheckOutcome::Flaky | CheckOutcome::FailedBefore => true,
            CheckOutcome::Failed => {
                let ran = |tests: TestCounts| tests.passed.saturating_add(tests.failed);
                !self.failures.is_empty() || self.tests.is_none_or(|tests| ran(tests) > 0)
            }
            CheckOutcome::TimedOut | CheckOutcome::Unusable => false,
        }
    }
}

/// What the run of `spec` comes to by itself.
pub(super) fn judge(spec: &CheckSpec, end: End, output: Output<'_>) -> Judged {
    let (parser, is_asked) = match spec.parser {
        CheckParser::ExitCode => (known(&spec.command), false),
        parser => (parser, true),
    };
    let read = match parse::read(parser, output) {
        // An output that nobody asked to be read counts only where it shows that tests did not
        // come to their end.
        Err(error) if !is_asked && !error.is_cut => Ok(None),
        other => other,
    };
    let report = read.as_ref().ok().and_then(Option::as_ref);
    let mut judged = Judged {
        outcome: CheckOutcome::Passed,
        why: None,
        failures: report.into_iter().flat_map(Report::failures).map(str::to_owned).collect(),
        tests: report.filter(|_| parse::tells_tests(parser)).map(|report| report.counts),
        coverage: report.and_then(|report| report.coverage),
    };
    let (outcome, why) = match end {
        End::TimedOut => (CheckOutcome::TimedOut, None),
        End::NotStarted => (CheckOutcome::Unusable, None),
        End::Signal => (CheckOutcome::Failed, Some("a signal ended it".to_owned())),
        End::Exit(0) => well(spec, parser, is_asked, read, &judged),
        End::Exit(_) => (CheckOutcome::Failed, None),
    };
    (judged.outcome, judged.why) = (outcome, why);
    judged
}

/// What an exit code of 0 is worth.
fn well(
    spec: &CheckSpec,
    parser: CheckParser,
    is_asked: bool,
    read: Result<Option<Report>, Unreadable>,
    judged: &Judged,
) -> (CheckOutcome, Option<String>) {
    let report = match read {
        Err(why) => return (CheckOutcome::Unusable, Some(why.to_string())),
        Ok(None) => return (CheckOutcome::Passed, None),
        Ok(Some(report)) => report,
    };
    if !judged.failures.is_empty() || report.counts.failed > 0 {
        let words = "it ended with exit code 0, but tells of what failed";
        return (CheckOutcome::Failed, Some(words.to_owned()));
    }
    if is_asked && parse::tells_tests(parser) && report.ran() == 0 {
        let words = match report.counts.skipped {
            0 => "no test ran".to_owned(),
            skipped => format!("no test ran, {skipped} were skipped"),
        };
        return (CheckOutcome::Unusable, Some(words));
    }
    match (spec.coverage, report.coverage) {
        (Some(least), Some(covered)) if covered < f64::from(least) => {
            let words = format!("{covered} % of lines are covered, and {least} % are asked for");
            (CheckOutcome::Failed, Some(words))
        }
        (Some(_), None) => {
            let words = "a part of lines that must be covered is asked for, and nothing tells it";
            (CheckOutcome::Unusable, Some(words.to_owned()))
        }
        _ => (CheckOutcome::Passed, None),
    }
}

/// The parser that reads what a command is known to print.
fn known(command: &CheckCommand) -> CheckParser {
    let line = match command {
        CheckCommand::Shell(line) => line.clone(),
        CheckCommand::Program(words) => words.join(" "),
    };
    // More than one command on a line speak through each other.
    if line.contains(['|', ';', '&', '>', '<', '`', '\n']) {
        return CheckParser::ExitCode;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    let program = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    let is_plain = !has("--help") && !has("--version") && !has("--no-run") && !has("--list");
    match program {
        "cargo" if is_plain && (has("test") || has("t")) => CheckParser::Cargo,
        "pytest" | "py.test" if is_plain && !has("--collect-only") && !has("--co") => {
            CheckParser::Pytest
        }
        "python" | "python3" if is_plain && has("-m") && has("pytest") => CheckParser::Pytest,
        _ => CheckParser::ExitCode,
    }
}

/// What a run comes to beside what the base gave: the outcome, what failed anew, what failed before.
pub(super) fn compare(
    judged: &Judged,
    base: &BaseResult,
) -> (CheckOutcome, BTreeSet<String>, BTreeSet<String>) {
    let (old, new): (BTreeSet<String>, BTreeSet<String>) =
        judged.failures.iter().cloned().partition(|name| base.failures.contains(name));
    if judged.outcome != CheckOutcome::Failed || base.outcome != CheckOutcome::Failed {
        return (judged.outcome, new, old);
    }
    // By names, where both tell them; else as a whole, where neither does.
    let is_old = if judged.failures.is_empty() {
        base.failures.is_empty() && judged.tests.is_none() == base.tests.is_none()
    } else {
        new.is_empty()
    };
    // What stopped halfway has not failed as before.
    let is_whole = !has_fewer(judged.tests, base.tests);
    let outcome =
        if is_old && is_whole { CheckOutcome::FailedBefore } else { CheckOutcome::Failed };
    (outcome, new, old)
}

/// Whether fewer tests ran than on the base.
pub(super) fn has_fewer(now: Option<TestCounts>, base: Option<TestCounts>) -> bool {
    let ran = |counts: TestCounts| counts.passed.saturating_add(counts.failed);
    match (now, base) {
        (Some(now), Some(base)) => ran(now) < ran(base),
        (None, Some(base)) => ran(base) > 0,
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(outcome: CheckOutcome, failures: &[&str], passed: u32) -> Judged {
        let failed = u32::try_from(failures.len()).unwrap();
        Judged {
            outcome,
            why: None,
            failures: failures.iter().map(|name| (*name).to_owned()).collect(),
            tests: (passed + failed > 0).then_some(TestCounts { passed, failed, skipped: 0 }),
            coverage: None,
        }
    }

    #[test]
    fn old_failures_are_told_from_new_ones() {
        use CheckOutcome::{Failed, FailedBefore, Passed, TimedOut, Unusable};
        for (now, base, outcome, new) in [
            ((Failed, &["a"][..], 3), (Failed, &["a", "b"][..], 2), FailedBefore, 0),
            ((Failed, &["a", "c"], 3), (Failed, &["a", "b"], 2), Failed, 1),
            // Halfway through, what is not told has not passed.
            ((Failed, &["a"], 1), (Failed, &["a"], 3), Failed, 0),
            ((Failed, &["a"], 3), (Passed, &[], 4), Failed, 1),
            ((Passed, &[], 4), (Failed, &["a"], 3), Passed, 0),
            // As a whole, where there are no names.
            ((Failed, &[], 0), (Failed, &[], 0), FailedBefore, 0),
            ((Failed, &[], 0), (Passed, &[], 0), Failed, 0),
            // It failed with names before, and now without any: it did not come that far.
            ((Failed, &[], 0), (Failed, &["a"], 3), Failed, 0),
            ((TimedOut, &[], 0), (TimedOut, &[], 0), TimedOut, 0),
            ((Unusable, &[], 0), (Failed, &[], 0), Unusable, 0),
        ] {
            let base = judged(base.0, base.1, base.2);
            let base =
                BaseResult { outcome: base.outcome, failures: base.failures, tests: base.tests };
            let (found, added, _) = compare(&judged(now.0, now.1, now.2), &base);
            assert_eq!((found, added.len()), (outcome, new), "{now:?} {base:?}");
        }
    }

    #[test]
    fn what_is_known_to_run_tests_is_read_without_being_asked() {
        for (line, parser) in [
            ("cargo test", CheckParser::Cargo),
            ("cargo +nightly test --workspace", CheckParser::Cargo),
            ("cargo test --no-run", CheckParser::ExitCode),
            ("cargo test | tee out", CheckParser::ExitCode),
            ("cargo build", CheckParser::ExitCode),
            (".venv/bin/pytest -q", CheckParser::Pytest),
            ("python3 -m pytest tests", CheckParser::Pytest),
            ("python3 pytest.py", CheckParser::ExitCode),
            ("make test", CheckParser::ExitCode),
        ] {
            assert_eq!(known(&CheckCommand::Shell(line.into())), parser, "{line}");
        }
    }
}
