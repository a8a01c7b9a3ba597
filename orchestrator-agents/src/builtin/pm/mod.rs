//! The planner: what the notes in the code and the other analysts say is to be done, as tasks in
//! an order that a newcomer can start at the top of.

mod area;
mod effort;
mod note;
mod plan;
mod step;

pub use plan::{Effort, Plan, PlannedTask};

use super::{
    Options,
    finding::{Finding, Report, Severity},
    index::{Class, Index},
    phrase::counted,
    security,
};
use note::{Marker, Note};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Gathers the notes in comments and the findings of [`Options::others`], and orders them.
///
/// Facts: `plan` (the tasks of a [`Plan`], in their order), `hours` (least and most, together), `notes`
/// (counts by marker), `reports` (the summaries of those whose findings are in the plan, by role).
pub fn analyse(index: &Index, options: &Options) -> Report {
    let mut report = Report::new("pm");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut findings: Vec<(String, Finding)> = Vec::new();
    // Copies of other people's code and what programs make carry notes that nobody here can act on.
    let pick = |class: Class| matches!(class, Class::Own | Class::Test | Class::Example);
    let scanned = index.scan(
        &options.cancelled,
        |file| pick(file.class),
        |file, text| note::scan(&file.path, text),
    );
    for (file, notes) in scanned {
        for note in notes {
            *counts.entry(note.marker.as_str()).or_default() += 1;
            let finding = from_note(&file.path, &note);
            if note.marker != Marker::Todo {
                report.push(finding.clone());
            }
            findings.push(("dev".to_owned(), finding));
        }
    }
    for other in &options.others {
        if other.analyst != "pm" {
            findings.extend(other.findings.iter().map(|f| (other.analyst.clone(), f.clone())));
        }
    }
    let reports: Vec<&str> = options
        .others
        .iter()
        .map(|other| other.analyst.as_str())
        .filter(|role| *role != "pm")
        .collect();
    if reports.is_empty() {
        report.note(
            "no other analyst's report was at hand: the plan holds only the notes in the code",
        );
    }
    let plan = Plan::of(findings);
    if plan.left_out > 0 {
        report.note(format!(
            "{} more tasks of the lowest priority are not listed; do the first {} and plan again",
            plan.left_out,
            plan.tasks.len()
        ));
    }
    report.summary = summary(&plan, &counts, &reports);
    let (least, most) = plan.hours();
    report.fact("plan", serde_json::to_value(&plan.tasks).unwrap_or(Value::Null));
    report.fact("hours", json!([least, most]));
    report.fact(
        "notes",
        counts
            .into_iter()
            .map(|(name, count)| (name.to_owned(), json!(count)))
            .collect::<Map<_, _>>(),
    );
    let summaries = options.others.iter().filter(|other| other.analyst != "pm");
    report.fact(
        "reports",
        summaries.map(|other| (other.analyst.clone(), json!(other.summary))).collect::<Map<_, _>>(),
    );
    report.finish();
    report
}

fn from_note(path: &str, note: &Note) -> Finding {
    let (severity, advice) = match note.marker {
        Marker::Fixme => (Severity::Medium, "Mend it, or file an issue and name it in the comment"),
        Marker::Hack => (Severity::Low, "Replace the workaround, or write down why it must stay"),
        Marker::Xxx => {
            (Severity::Low, "Find out what the warning means, and mend it or explain it")
        }
        Marker::Todo => (Severity::Info, "Do it, file it as an issue, or delete the note"),
    };
    let owner = note.owner.as_deref().map(|owner| format!(" ({owner})")).unwrap_or_default();
    let issue = note.issue.as_deref().map(|issue| format!(" [{issue}]")).unwrap_or_default();
    // A comment may quote a key: the report must not.
    let text = security::scrub(&note.text);
    let text = if text.is_empty() { "no words".to_owned() } else { text };
    let rule = format!("pm/{}", note.marker.as_str().to_ascii_lowercase());
    Finding::new(rule, severity, format!("{}{owner}{issue}: {text}", note.marker.as_str()), advice)
        .at(path)
        .on_line(note.line)
}

fn summary(plan: &Plan, counts: &BTreeMap<&str, usize>, reports: &[&str]) -> String {
    let notes = match counts.values().sum() {
        0 => "no notes in the code".to_owned(),
        count => counted(count, "note in the code", "notes in the code"),
    };
    let sources = match reports.len() {
        0 => notes,
        1 => format!("{notes} and one report"),
        count => format!("{notes} and {count} reports"),
    };
    let Some(first) = plan.tasks.first() else {
        return format!("Nothing to plan from {sources}.");
    };
    let (least, most) = plan.hours();
    let total = plan.tasks.len() + plan.left_out;
    let tasks = if total == 1 { "One task".to_owned() } else { format!("{total} tasks") };
    format!(
        "{tasks} from {sources}, some {least} to {most} hours of work. Begin with: {}.",
        first.title
    )
}

#[cfg(test)]
mod tests;
