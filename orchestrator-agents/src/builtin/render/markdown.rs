//! A report as Markdown that is worth reading.

use super::plan::{FACT as PLAN, plan};
use crate::builtin::finding::{Finding, Report, Severity};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The most rows of one fact's table; the whole of it is in the JSON.
const MAX_ROWS: usize = 30;
/// The most findings of one rule that are written out; the whole list is in the JSON.
const MAX_FINDINGS: usize = 25;

/// The report as Markdown: summary, findings by severity and rule with their places and advice,
/// what was measured, and what was left out.
///
/// Text that comes from the project is escaped, so that no file name can become markup.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(out, "# {}\n\n{}\n", title(&report.analyst), prose(&report.summary));
    let counts = report.counts();
    let is_plan = report.facts.contains_key(PLAN);
    if is_plan {
        // A plan counts what is to be done itself.
    } else if counts.is_empty() {
        out.push_str("Nothing to report.\n\n");
    } else {
        out.push_str("| Severity | Findings |\n|---|---:|\n");
        for (severity, count) in &counts {
            let _ = writeln!(out, "| {} | {count} |", heading(*severity));
        }
        out.push('\n');
    }
    plan(&mut out, &report.facts);
    for (severity, _) in counts {
        let _ = writeln!(out, "## {}\n", heading(severity));
        let all: Vec<&Finding> =
            report.findings.iter().filter(|f| f.severity == severity).collect();
        for group in all.chunk_by(|a, b| a.rule == b.rule) {
            findings(&mut out, group);
        }
    }
    if !report.facts.is_empty() {
        out.push_str("## Facts\n\n");
        facts(&mut out, &report.facts);
    }
    if !report.notes.is_empty() {
        out.push_str("## Notes\n\n");
        for note in &report.notes {
            let _ = writeln!(out, "- {}", prose(note));
        }
        out.push('\n');
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

pub(super) fn title(analyst: &str) -> String {
    match analyst {
        "pm" => "Plan".to_owned(),
        "dev" => "Code and dependencies".to_owned(),
        "qa" => "Tests".to_owned(),
        "security" => "Security and licences".to_owned(),
        "docs" => "Documentation".to_owned(),
        other => prose(other),
    }
}

fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "Critical",
        Severity::High => "High",
        Severity::Medium => "Medium",
        Severity::Low => "Low",
        Severity::Info => "Info",
    }
}

/// The findings of one rule: the advice once when it is the same for all.
fn findings(out: &mut String, group: &[&Finding]) {
    let Some(first) = group.first() else { return };
    let _ = writeln!(out, "### {} ({})\n", code(&first.rule), group.len());
    let shared = group.iter().all(|finding| finding.advice == first.advice);
    if shared {
        let _ = writeln!(out, "{}\n", prose(&first.advice));
    }
    for finding in group.iter().take(MAX_FINDINGS) {
        out.push_str("- ");
        if let Some(path) = &finding.path {
            let place = match finding.line {
                Some(line) => format!("{path}:{line}"),
                None => path.clone(),
            };
            let _ = write!(out, "{} ", code(&place));
        }
        out.push_str(&prose(&finding.message));
        if !shared {
            let _ = write!(out, ". {}", prose(&finding.advice));
        }
        out.push('\n');
    }
    if let Some(more @ 1..) = group.len().checked_sub(MAX_FINDINGS) {
        let _ = writeln!(out, "- ... and {more} more, listed in the JSON report");
    }
    out.push('\n');
}

/// Plain values together in one table, then a table for each list or object.
fn facts(out: &mut String, facts: &Map<String, Value>) {
    let is_plain = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
    let plain: Vec<_> = facts.iter().filter(|(_, value)| is_plain(value)).collect();
    if !plain.is_empty() {
        out.push_str("| Fact | Value |\n|---|---|\n");
        for (name, value) in plain {
            let _ = writeln!(out, "| {} | {} |", words(name), cell(value));
        }
        out.push('\n');
    }
    // What a plan is made of has its own part of the page.
    let elsewhere =
        |name: &str| facts.contains_key(PLAN) && [PLAN, "hours", "reports"].contains(&name);
    for (name, value) in facts.iter().filter(|(name, value)| !is_plain(value) && !elsewhere(name)) {
        let empty = match value {
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        if empty {
            continue;
        }
        let _ = writeln!(out, "### {}\n", words(name));
        match value {
            Value::Array(items) => list(out, items),
            Value::Object(fields) => {
                out.push_str("| | |\n|---|---|\n");
                for (name, value) in fields.iter().take(MAX_ROWS) {
                    let _ = writeln!(out, "| {} | {} |", prose(name), cell(value));
                }
                more(out, fields.len());
            }
            _ => {}
        }
        out.push('\n');
    }
}

/// A list of objects is a table with a column for each key of any; else it is a list of points.
fn list(out: &mut String, items: &[Value]) {
    if items.iter().all(Value::is_object) {
        let mut columns: Vec<&String> = Vec::new();
        for key in items.iter().filter_map(Value::as_object).flat_map(Map::keys) {
            if !columns.contains(&key) {
                columns.push(key);
            }
        }
        let header: Vec<String> = columns.iter().map(|name| words(name)).collect();
        let _ = writeln!(out, "| {} |\n|{}", header.join(" | "), "---|".repeat(columns.len()));
        for item in items.iter().take(MAX_ROWS) {
            let cells: Vec<String> = columns
                .iter()
                .map(|name| item.get(name.as_str()).map_or_else(String::new, cell))
                .collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
    } else {
        for item in items.iter().take(MAX_ROWS) {
            let _ = writeln!(out, "- {}", cell(item));
        }
    }
    more(out, items.len());
}

fn more(out: &mut String, count: usize) {
    if let Some(more @ 1..) = count.checked_sub(MAX_ROWS) {
        let _ = writeln!(out, "\n... and {more} more, listed in the JSON report.");
    }
}

/// A fact's name as a heading: `test-files` is "Test files".
fn words(name: &str) -> String {
    let spaced = prose(&name.replace(['-', '_'], " "));
    let mut chars = spaced.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A value in one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => prose(text),
        Value::Array(items) => {
            let shown: Vec<String> = items.iter().take(MAX_ROWS).map(cell).collect();
            let more = if items.len() > MAX_ROWS { ", ..." } else { "" };
            format!("{}{more}", shown.join(", "))
        }
        Value::Object(fields) => {
            let shown: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", prose(name), cell(value)))
                .collect();
            shown.join(", ")
        }
    }
}

/// Text on one line with everything escaped that Markdown would take for markup, except pairs of
/// backticks, which our own messages use for code.
pub(super) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd number of backticks leaves the last one without a partner.
    let unpaired = parts.len().is_multiple_of(2).then(|| parts.len() - 1);
    let mut out = String::with_capacity(text.len() + 8);
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push_str(if unpaired == Some(at) { "\\`" } else { "`" });
        }
        let in_code = at % 2 == 1 && unpaired != Some(at);
        for c in part.chars() {
            match c {
                c if c.is_control() => out.push(' '),
                '|' => out.push_str("\\|"),
                '<' if !in_code => out.push_str("&lt;"),
                '&' if !in_code => out.push_str("&amp;"),
                '*' | '_' | '[' | ']' | '\\' | '#' if !in_code => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
    }
    out
}

/// `text` as a code span, whatever it holds.
pub(super) fn code(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    if longest == 0 {
        return format!("`{text}`");
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_project_cannot_become_markup() {
        for (text, expected) in [
            ("plain", "plain"),
            ("run `cargo test`", "run `cargo test`"),
            ("a|b", "a\\|b"),
            ("<script>", "&lt;script>"),
            ("[x](http://y)", "\\[x\\](http://y)"),
            ("one ` alone", "one \\` alone"),
            ("`a` and ` b", "`a` and \\` b"),
            ("a\nb", "a b"),
        ] {
            assert_eq!(prose(text), expected, "{text}");
        }
        assert_eq!(code("a.rs:3"), "`a.rs:3`");
        assert_eq!(code("a`b"), "`` a`b ``");
    }

    #[test]
    fn a_report_reads_from_summary_to_notes() {
        let mut report = Report::new("qa");
        report.summary = "12 tests in 3 files.".to_owned();
        report
            .push(Finding::new("qa/a", Severity::Low, "low one", "mend it").at("a.rs").on_line(2));
        report.push(Finding::new("qa/b", Severity::High, "high one", "first"));
        report.push(Finding::new("qa/b", Severity::High, "high two", "second"));
        report.fact("tests", 12);
        report.fact("languages", serde_json::json!([{"name": "Rust", "lines": 5}]));
        report.fact("nothing", serde_json::json!([]));
        report.note("1 file skipped");
        report.finish();
        assert_eq!(
            markdown(&report),
            "# Tests\n\n12 tests in 3 files.\n\n\
             | Severity | Findings |\n|---|---:|\n| High | 2 |\n| Low | 1 |\n\n\
             ## High\n\n### `qa/b` (2)\n\n- high one. first\n- high two. second\n\n\
             ## Low\n\n### `qa/a` (1)\n\nmend it\n\n- `a.rs:2` low one\n\n\
             ## Facts\n\n| Fact | Value |\n|---|---|\n| Tests | 12 |\n\n\
             ### Languages\n\n| Name | Lines |\n|---|---|\n| Rust | 5 |\n\n\
             ## Notes\n\n- 1 file skipped\n"
        );
    }

    #[test]
    fn a_clean_report_says_so() {
        assert!(markdown(&Report::new("own")).contains("Nothing to report."));
    }
}
