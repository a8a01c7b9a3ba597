//! A plan as Markdown: what to do first, and how, for someone who has just arrived.

use super::markdown::{code, prose, title};
use crate::builtin::pm::PlannedTask;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The name of the fact that holds a plan.
pub(super) const FACT: &str = "plan";

/// How many tasks are written out with their steps; the table has them all.
const DETAILED: usize = 15;

/// Writes the plan in `facts`, when there is one.
pub(super) fn plan(out: &mut String, facts: &Map<String, Value>) {
    let tasks = facts.get(FACT).and_then(|value| Vec::<PlannedTask>::deserialize(value).ok());
    if let Some(Value::Object(reports)) = facts.get("reports")
        && !reports.is_empty()
    {
        out.push_str("## What the analysts say\n\n");
        for (analyst, summary) in reports {
            let said = prose(summary.as_str().unwrap_or_default());
            let _ = writeln!(out, "- **{}**: {said}", title(analyst));
        }
        out.push('\n');
    }
    let Some(tasks) = tasks.filter(|tasks| !tasks.is_empty()) else { return };
    // Writing to a string cannot fail, here and below.
    out.push_str("## What to do, in this order\n\n| # | Task | Who | Severity | Effort |\n|---:|---|---|---|---|\n");
    for task in &tasks {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            task.order,
            prose(&task.title),
            prose(&task.role),
            task.severity,
            effort(task)
        );
    }
    out.push('\n');
    for task in tasks.iter().take(DETAILED) {
        let _ = writeln!(
            out,
            "### {}. {}\n\n{}\n",
            task.order,
            prose(&task.title),
            prose(&task.reason)
        );
        for (number, step) in (1..).zip(&task.steps) {
            let _ = writeln!(out, "{number}. {}", prose(step));
        }
        if !task.files.is_empty() {
            let names: Vec<String> = task.files.iter().map(|file| code(file)).collect();
            let more = match task.file_count.saturating_sub(names.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let _ = writeln!(out, "\nFiles: {}{more}", names.join(", "));
        }
        let _ = writeln!(out, "\nEffort: {}; {}\n", effort(task), prose(&task.effort.rule));
    }
}

fn effort(task: &PlannedTask) -> String {
    let [least, most] = task.effort.hours;
    if least >= most {
        return format!("{} ({most} h)", prose(&task.effort.size));
    }
    format!("{} ({least} to {most} h)", prose(&task.effort.size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::{
        finding::{Finding, Severity},
        pm::Plan,
    };
    use serde_json::json;

    #[test]
    fn a_plan_is_written_in_its_order() {
        let findings = ["a|b.rs", "c.rs"]
            .map(|path| {
                ("qa".to_owned(), Finding::new("qa/x", Severity::High, "m", "Do it").at(path))
            })
            .to_vec();
        let facts = Map::from_iter([(FACT.to_owned(), json!(Plan::of(findings).tasks))]);
        let mut out = String::new();
        plan(&mut out, &facts);
        assert!(out.contains("| 1 | X (2) | qa | high | S (0.5 to 2 h) |"), "{out}");
        assert!(out.contains("2. Do it"), "{out}");
        assert!(out.contains("Files: `a|b.rs`, `c.rs`"), "{out}");
    }

    #[test]
    fn other_facts_are_no_plan() {
        for value in [json!(3), json!([]), json!([{"order": "x"}]), json!({})] {
            let mut out = String::new();
            plan(&mut out, &Map::from_iter([(FACT.to_owned(), value)]));
            assert_eq!(out, "");
        }
    }
}
