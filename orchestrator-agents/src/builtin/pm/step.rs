//! Who does a task, what it is called, and how to go about it.

use crate::builtin::finding::{Finding, Severity};

/// The role that a task of `rule`, found by `analyst`, is for.
pub(super) fn role<'a>(analyst: &'a str, rule: &str) -> &'a str {
    match rule {
        _ if rule.starts_with("pm/") => "dev",
        _ => analyst,
    }
}

/// The last part of a rule's id in words: `security/github-token` becomes `github token`.
fn words(rule: &str) -> String {
    rule.rsplit('/').next().unwrap_or(rule).replace('-', " ")
}

/// What the task is called.
pub(super) fn title(rule: &str, area: &str, findings: &[&Finding]) -> String {
    let count = findings.len();
    let place = match area {
        "" => String::new(),
        area => format!(" in {area}"),
    };
    let times = if count == 1 { String::new() } else { format!(" ({count})") };
    match rule {
        "pm/todo" => format!("Work through the TODO notes{place}{times}"),
        "pm/fixme" => format!("Mend what FIXME notes call broken{place}{times}"),
        "pm/hack" => format!("Replace the workarounds marked HACK{place}{times}"),
        "pm/xxx" => format!("Clear up the XXX warnings{place}{times}"),
        _ => match findings {
            [only] => {
                let at = only.path.as_deref().map(|path| format!(" in {path}")).unwrap_or_default();
                format!("{}{at}", capital(&words(rule)))
            }
            _ => format!("{}{place}{times}", capital(&words(rule))),
        },
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Why the task is worth doing.
pub(super) fn reason(severity: Severity, files: usize, findings: &[&Finding]) -> String {
    let weight = match severity {
        Severity::Critical => "worth stopping for",
        Severity::High => "worth doing soon",
        Severity::Medium => "worth planning",
        Severity::Low => "worth doing when there is time",
        Severity::Info => "worth knowing",
    };
    let places = match (findings.len(), files) {
        (1, 0 | 1) => "one place".to_owned(),
        (count, 0) => format!("{count} findings"),
        (count, 1) => format!("{count} places in one file"),
        (count, files) => format!("{count} places in {files} files"),
    };
    let first = findings.first().map(|finding| finding.message.as_str()).unwrap_or_default();
    match findings.len() {
        1 => format!("{severity} ({weight}): {first}"),
        _ => format!("{severity} ({weight}), {places}; for example: {first}"),
    }
}

/// How to go about it, in order.
pub(super) fn steps(rule: &str, findings: &[&Finding]) -> Vec<String> {
    let mut steps = Vec::new();
    let is_secret = findings.iter().any(|finding| {
        finding.advice.contains("orchestrator:allow-secret")
            || finding.rule.ends_with("-in-history")
    });
    if is_secret {
        steps.push("Find out whether it is real, and who uses it".to_owned());
    } else if let Some(first) = findings.first().filter(|_| findings.len() > 1) {
        let place = match (&first.path, first.line) {
            (Some(path), Some(line)) => format!("{path}:{line}"),
            (Some(path), None) => path.clone(),
            (None, _) => "the first one".to_owned(),
        };
        steps.push(format!("Begin with {place}, and see whether the others go the same way"));
    }
    // Rules give the same advice each time, or the few variants that are all worth reading.
    let mut advice: Vec<&str> =
        findings.iter().map(|finding| finding.advice.as_str()).filter(|a| !a.is_empty()).collect();
    advice.sort_unstable();
    advice.dedup();
    steps.extend(advice.into_iter().take(3).map(str::to_owned));
    if rule.starts_with("pm/") {
        steps.push("Delete each note with the change that settles it".to_owned());
    }
    steps.push(format!("Run the audit again: `{rule}` is silent then"));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_say_what_and_where() {
        let one = Finding::new("docs/missing-readme", Severity::High, "there is no README", "a");
        let other = one.clone().at("a/b.rs");
        for (rule, area, findings, expected) in [
            ("docs/missing-readme", "", vec![&one], "Missing readme"),
            ("qa/untested-file", "src", vec![&other, &one], "Untested file in src (2)"),
            ("qa/untested-file", "a", vec![&other], "Untested file in a/b.rs"),
            ("pm/todo", "src", vec![&one, &one, &one], "Work through the TODO notes in src (3)"),
        ] {
            assert_eq!(title(rule, area, &findings), expected);
        }
    }

    #[test]
    fn steps_end_with_proof() {
        let finding = Finding::new("pm/todo", Severity::Info, "m", "Do it").at("a.rs").on_line(3);
        assert_eq!(
            steps("pm/todo", &[&finding, &finding]),
            [
                "Begin with a.rs:3, and see whether the others go the same way",
                "Do it",
                "Delete each note with the change that settles it",
                "Run the audit again: `pm/todo` is silent then"
            ]
        );
    }
}
