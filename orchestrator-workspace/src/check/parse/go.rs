//! What `go test -json` prints: the events of `test2json`.

use super::{Output, Report, Unreadable, unreadable};
use orchestrator_core::workspace::CaseOutcome;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn read(output: Output<'_>) -> Result<Report, Unreadable> {
    let text = output.text();
    let mut report = Report::default();
    let mut events = 0_u64;
    // Tests and packages that have begun; a package has no test's name.
    let mut open: BTreeSet<(String, String)> = BTreeSet::new();
    let mut failed_in: BTreeSet<String> = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let word = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let (action, package, test) = (word("Action"), word("Package"), word("Test"));
        let key = (package.to_owned(), test.to_owned());
        let outcome = match action {
            "start" | "run" => {
                events += 1;
                if open.len() < super::CASES {
                    open.insert(key);
                }
                continue;
            }
            "pass" => CaseOutcome::Passed,
            "fail" => CaseOutcome::Failed,
            "skip" => CaseOutcome::Skipped,
            "build-fail" => {
                report.broke(&format!("{} (build)", word("ImportPath")));
                continue;
            }
            _ => continue,
        };
        events += 1;
        open.remove(&key);
        if !test.is_empty() {
            if outcome == CaseOutcome::Failed {
                failed_in.insert(package.to_owned());
            }
            report.add(&format!("{package} {test}"), outcome);
        } else if outcome == CaseOutcome::Failed && !failed_in.contains(package) {
            report.broke(&format!("{package} (package)"));
        }
    }
    if events == 0 {
        return unreadable("it printed no events of `go test -json`");
    }
    match open.first() {
        Some((package, test)) => unreadable(format!(
            "it ended before `{}` did",
            super::cut(format!("{package} {test}").trim())
        )),
        None => Ok(report),
    }
}
