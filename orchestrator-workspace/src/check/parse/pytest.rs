//! The report of `pytest-json-report`, or what `pytest -rA` prints.

use super::{Output, Report, Unreadable, cut_off, json, unreadable};
use orchestrator_core::workspace::{CaseOutcome, TestCounts};
use serde_json::Value;

pub(super) fn read(output: Output<'_>) -> Result<Report, Unreadable> {
    if output.report.is_some() || output.stdout.trim_ascii_start().starts_with(b"{") {
        read_json(&json(output, "report of pytest-json-report")?)
    } else {
        read_text(&output.text())
    }
}

fn read_json(document: &Value) -> Result<Report, Unreadable> {
    let Some(summary) = document.get("summary").and_then(Value::as_object) else {
        return unreadable("it gave JSON, but no `summary` as pytest-json-report writes it");
    };
    let mut report = Report::default();
    for test in document.get("tests").and_then(Value::as_array).into_iter().flatten() {
        let word = |key: &str| test.get(key).and_then(Value::as_str).unwrap_or_default();
        report.add(word("nodeid"), outcome(word("outcome")));
    }
    for collector in document.get("collectors").and_then(Value::as_array).into_iter().flatten() {
        if collector.get("outcome").and_then(Value::as_str) == Some("failed") {
            let name = collector.get("nodeid").and_then(Value::as_str).unwrap_or_default();
            report.broke(&format!("{name} (collection)"));
        }
    }
    // With `--json-report-omit` the tests are not named.
    if report.cases.is_empty() {
        let number = |key: &str| super::count(summary.get(key));
        report.counts = TestCounts {
            passed: number("passed").saturating_add(number("xpassed")),
            failed: number("failed").saturating_add(number("error")),
            skipped: number("skipped").saturating_add(number("xfailed")),
        };
        if report.counts.failed > 0 {
            report.broke("tests that are not named");
        }
    }
    Ok(report)
}

fn outcome(word: &str) -> CaseOutcome {
    match word {
        "passed" | "xpassed" => CaseOutcome::Passed,
        "skipped" | "xfailed" => CaseOutcome::Skipped,
        _ => CaseOutcome::Failed,
    }
}

fn read_text(text: &str) -> Result<Report, Unreadable> {
    let lines: Vec<&str> = text.lines().collect();
    let Some((end, sums)) =
        lines.iter().enumerate().rev().find_map(|(at, line)| Some((at, sums(line)?)))
    else {
        // Quiet twice, it ends with its progress and tells no sums.
        if lines.iter().any(|line| line.ends_with("[100%]"))
            && !text.contains("test session starts")
        {
            return unreadable("it printed no sums of its tests: it is too quiet");
        }
        return cut_off("it ended before it told its result: the last line of pytest is missing");
    };
    let mut report = Report::default();
    let start = lines.iter().rposition(|line| line.contains(" short test summary info "));
    for line in start.and_then(|start| lines.get(start..end)).unwrap_or_default() {
        let Some((word, rest)) = line.split_once(' ') else { continue };
        let outcome = match word {
            "PASSED" | "XPASS" => CaseOutcome::Passed,
            "FAILED" | "ERROR" => CaseOutcome::Failed,
            "XFAIL" => CaseOutcome::Skipped,
            _ => continue,
        };
        let name = rest.split_once(" - ").map_or(rest, |(name, _)| name);
        report.add(name, outcome);
    }
    // Skipped tests stand in the list by their place, and without `-rA` only what failed.
    report.counts = sums;
    if sums.failed > 0 && report.failures().next().is_none() {
        report.broke("tests that are not named");
    }
    Ok(report)
}

/// `=== 1 failed, 3 passed, 1 skipped in 0.64s ===`, with `-q` without the marks.
fn sums(line: &str) -> Option<TestCounts> {
    let line = line.trim_matches(|c| c == '=' || c == ' ');
    let (parts, time) = line.rsplit_once(" in ")?;
    if !time.starts_with(|c: char| c.is_ascii_digit()) || !time.contains('s') {
        return None;
    }
    let mut sums = TestCounts::default();
    if parts == "no tests ran" {
        return Some(sums);
    }
    for part in parts.split(", ") {
        let (number, word) = part.split_once(' ')?;
        let number: u32 = number.parse().ok()?;
        let sum = match word {
            "passed" | "xpassed" => &mut sums.passed,
            "failed" | "error" | "errors" => &mut sums.failed,
            "skipped" | "xfailed" => &mut sums.skipped,
            "deselected" | "warning" | "warnings" | "rerun" | "subtests passed" => continue,
            _ => return None,
        };
        *sum = sum.saturating_add(number);
    }
    Some(sums)
}
