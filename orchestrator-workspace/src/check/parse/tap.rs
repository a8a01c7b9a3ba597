//! Test Anything Protocol, versions 12 to 14.

use super::{Output, Report, Unreadable, unreadable};
use orchestrator_core::workspace::CaseOutcome;

pub(super) fn read(output: Output<'_>) -> Result<Report, Unreadable> {
    let text = output.text();
    let mut report = Report::default();
    let mut plan: Option<u32> = None;
    let mut points = 0_u32;
    let mut is_diagnostic = false;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let body = line.trim_start();
        // Diagnostics in YAML between `---` and `...` may hold anything.
        if is_diagnostic {
            is_diagnostic = body.trim_end() != "...";
            continue;
        }
        if indent > 0 {
            is_diagnostic = body.trim_end() == "---";
            // Points of a subtest count in the point that ends it.
            continue;
        }
        if let Some(count) = body.strip_prefix("1..") {
            let count = count.split_whitespace().next().unwrap_or_default();
            let Ok(count) = count.parse() else { return unreadable("its plan is no number") };
            plan = Some(count);
        } else if let Some(reason) = body.strip_prefix("Bail out!") {
            report.broke(&format!("it bailed out:{reason}"));
        } else if let Some((is_ok, rest)) = point(body) {
            points = points.saturating_add(1);
            let (name, directive) = directive(rest);
            let outcome = match directive {
                Some(Directive::Skip | Directive::Todo) => CaseOutcome::Skipped,
                None if is_ok => CaseOutcome::Passed,
                None => CaseOutcome::Failed,
            };
            let name = if name.is_empty() { format!("point {points}") } else { name.to_owned() };
            report.add(&name, outcome);
        }
    }
    match plan {
        Some(plan) if plan != points => {
            unreadable(format!("it planned {plan} tests and told of {points}"))
        }
        None if points == 0 => unreadable("it printed no test points"),
        None => unreadable("it printed no plan: it may have ended too early"),
        Some(_) => Ok(report),
    }
}

/// `ok 3 - name`.
fn point(line: &str) -> Option<(bool, &str)> {
    let (is_ok, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let rest = rest.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    Some((is_ok, rest.strip_prefix("- ").unwrap_or(rest)))
}

enum Directive {
    Skip,
    Todo,
}

/// The name, and what `# SKIP` or `# TODO` behind it says.
fn directive(rest: &str) -> (&str, Option<Directive>) {
    for (at, _) in rest.match_indices('#') {
        let is_escaped = rest[..at].ends_with('\\');
        let word = rest[at + 1..].trim_start();
        let is =
            |name: &str| word.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
        let found = if is("skip") {
            Directive::Skip
        } else if is("todo") {
            Directive::Todo
        } else {
            continue;
        };
        if !is_escaped {
            return (rest[..at].trim_end(), Some(found));
        }
    }
    // `# time=1ms` is a note.
    let end = rest.find(" # time=").unwrap_or(rest.len());
    (rest[..end].trim_end_matches(" {").trim_end(), None)
}
