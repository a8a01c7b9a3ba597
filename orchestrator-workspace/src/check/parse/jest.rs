//! What `jest --json` and `vitest --reporter=json` give.

use super::{Output, Report, Unreadable, json, unreadable};
use orchestrator_core::workspace::CaseOutcome;
use serde_json::Value;

pub(super) fn read(output: Output<'_>) -> Result<Report, Unreadable> {
    let document = json(output, "JSON of Jest or Vitest")?;
    let Some(files) = document.get("testResults").and_then(Value::as_array) else {
        return unreadable("it gave JSON, but no `testResults` as Jest writes them");
    };
    let mut report = Report::default();
    for file in files {
        let path = file.get("name").and_then(Value::as_str).unwrap_or_default();
        // The place of the checkout is another each time.
        let name = path.rsplit('/').next().unwrap_or(path);
        let mut has_failed = false;
        for case in file.get("assertionResults").and_then(Value::as_array).into_iter().flatten() {
            let word = |key: &str| case.get(key).and_then(Value::as_str).unwrap_or_default();
            let outcome = match word("status") {
                "passed" => CaseOutcome::Passed,
                "pending" | "skipped" | "todo" | "disabled" | "focused" => CaseOutcome::Skipped,
                _ => CaseOutcome::Failed,
            };
            has_failed |= outcome == CaseOutcome::Failed;
            report.add(&format!("{name} {}", word("fullName").trim()), outcome);
        }
        if file.get("status").and_then(Value::as_str) == Some("failed") && !has_failed {
            report.broke(&format!("{name} (could not be run)"));
        }
    }
    if document.get("success") == Some(&Value::Bool(false)) && report.failures().next().is_none() {
        report.broke("the whole run");
    }
    Ok(report)
}
