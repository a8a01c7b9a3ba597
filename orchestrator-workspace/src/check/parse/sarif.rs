//! SARIF 2.1.0: results of level `error` fail, unless they are suppressed.

use super::{Output, Report, Unreadable, json, unreadable};
use orchestrator_core::workspace::CaseOutcome;
use serde_json::Value;

pub(super) fn read(output: Output<'_>) -> Result<Report, Unreadable> {
    let document = json(output, "SARIF")?;
    let Some(runs) = document.get("runs").and_then(Value::as_array) else {
        return unreadable("it gave JSON, but no `runs` as SARIF has them");
    };
    let mut report = Report::default();
    for run in runs {
        let invocations = run.get("invocations").and_then(Value::as_array);
        for invocation in invocations.into_iter().flatten() {
            if invocation.get("executionSuccessful") == Some(&Value::Bool(false)) {
                report.broke("the analysis itself");
            }
        }
        for result in run.get("results").and_then(Value::as_array).into_iter().flatten() {
            if level(run, result) == "error" && !is_suppressed(result) && is_failure(result) {
                report.add(&name(result), CaseOutcome::Failed);
            }
        }
    }
    Ok(report)
}

fn level<'a>(run: &'a Value, result: &'a Value) -> &'a str {
    if let Some(level) = result.get("level").and_then(Value::as_str) {
        return level;
    }
    let rules = run.pointer("/tool/driver/rules").and_then(Value::as_array);
    let by_index = result
        .get("ruleIndex")
        .and_then(Value::as_u64)
        .and_then(|index| rules?.get(usize::try_from(index).ok()?));
    let by_id = || rules?.iter().find(|rule| rule.get("id") == result.get("ruleId"));
    by_index
        .or_else(by_id)
        .and_then(|rule| rule.pointer("/defaultConfiguration/level"))
        .and_then(Value::as_str)
        .unwrap_or("warning")
}

fn is_suppressed(result: &Value) -> bool {
    let suppressions = result.get("suppressions").and_then(Value::as_array);
    suppressions.is_some_and(|all| {
        !all.is_empty()
            && all.iter().all(|one| {
                matches!(one.get("status").and_then(Value::as_str), None | Some("accepted"))
            })
    })
}

fn is_failure(result: &Value) -> bool {
    matches!(result.get("kind").and_then(Value::as_str), None | Some("fail"))
}

/// Rule, file and message: a line would move with every edit above it.
fn name(result: &Value) -> String {
    let word = |pointer: &str| result.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!(
        "{} {}: {}",
        word("/ruleId"),
        word("/locations/0/physicalLocation/artifactLocation/uri"),
        word("/message/text")
    )
}
