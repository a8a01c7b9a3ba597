//! Who does a task, what it is called, and how to go about it.

use crate::builtin::finding::{Finding, Severity};

/// The role that a task of `rule`, found by `analyst`, is for.
pub(super) fn role<'a>(analyst: &'a str, rule: &str) -> &'a str {
    match rule {
        _ if rule.starts_with("pm/") => "dev",
        _ => analyst,
    }
}

/// What a rule is called where its id alone would read badly: for one finding, and for several.
const NAMES: [(&str, &str, &str); 22] = [
    ("dev/installed-packages-in-tree", "Installed packages", "Installed packages"),
    ("dev/open-version", "Dependencies on any version", "Dependencies on any version"),
    (
        "dev/path-outside-project",
        "Dependency outside of the project",
        "Dependencies outside of the project",
    ),
    (
        "dev/unregistered-source",
        "Dependency from outside of the registry",
        "Dependencies from outside of the registry",
    ),
    ("docs/empty-readme", "Empty README", "Empty READMEs"),
    ("docs/missing-changelog", "Missing changelog", "Missing changelogs"),
    (
        "docs/missing-contributing",
        "Missing page for contributors",
        "Missing pages for contributors",
    ),
    ("docs/missing-licence", "Missing licence file", "Missing licence files"),
    ("docs/missing-readme", "Missing README", "Missing READMEs"),
    ("docs/missing-security", "Missing security policy", "Missing security policies"),
    (
        "docs/readme-without-installation",
        "README without installation",
        "READMEs without installation",
    ),
    ("docs/readme-without-usage", "README without usage", "READMEs without usage"),
    ("docs/undocumented-items", "Undocumented items", "Undocumented items"),
    ("qa/no-tests", "No tests", "No tests"),
    ("qa/test-without-check", "Test without a check", "Tests without a check"),
    ("qa/untested-files", "Untested file", "Untested files"),
    ("security/container-as-root", "Container that runs as root", "Containers that run as root"),
    ("security/hard-coded-credential", "Hard-coded credential", "Hard-coded credentials"),
    (
        "security/licence-not-spdx",
        "Licence that is no SPDX expression",
        "Licences that are no SPDX expressions",
    ),
    ("security/pipe-to-shell", "Download piped to a shell", "Downloads piped to a shell"),
    ("security/unpinned-action", "Unpinned action", "Unpinned actions"),
    ("security/unsafe-deserialisation", "Unsafe deserialisation", "Unsafe deserialisation"),
];

/// The rule in words: as [`NAMES`] has it, else the last part of its id, so that
/// `security/github-token` becomes `GitHub token`.
fn name(rule: &str, count: usize) -> String {
    if let Some((_, one, many)) = NAMES.iter().find(|(known, ..)| *known == rule) {
        return (if count == 1 { *one } else { *many }).to_owned();
    }
    let words: Vec<&str> = rule
        .rsplit('/')
        .next()
        .unwrap_or(rule)
        .split('-')
        .map(|word| match word {
            "api" => "API",
            "aws" => "AWS",
            "github" => "GitHub",
            "gitlab" => "GitLab",
            "jwt" => "JWT",
            "pypi" => "PyPI",
            "sql" => "SQL",
            "ssh" => "SSH",
            "tls" => "TLS",
            "url" => "URL",
            word => word,
        })
        .collect();
    capital(&words.join(" "))
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
                // Of a directory with several such files the finding names the largest.
                let several =
                    rule == "qa/untested-files" && only.message.contains("in this directory");
                let at = match only.path.as_deref() {
                    Some(path) if several => match path.rsplit_once('/') {
                        Some((dir, _)) => format!(" in {dir}"),
                        None => " at the top".to_owned(),
                    },
                    Some(path) if rule == "qa/untested-files" => format!(": {path}"),
                    Some(path) => format!(" in {path}"),
                    None => String::new(),
                };
                format!("{}{at}", name(rule, 1 + usize::from(several)))
            }
            _ => format!("{}{place}{times}", name(rule, count)),
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
        let token = one.clone().at("a/b.rs");
        let other =
            Finding::new("qa/untested-files", Severity::Low, "2 of 3 files in this directory", "a")
                .at("a/b.rs");
        let single = Finding::new("qa/untested-files", Severity::Low, "no test mentions it", "a")
            .at("a/b.rs");
        for (rule, area, findings, expected) in [
            ("docs/missing-readme", "", vec![&one], "Missing README"),
            ("docs/missing-security", "", vec![&one], "Missing security policy"),
            ("security/github-token", "a", vec![&token], "GitHub token in a/b.rs"),
            ("my-own/odd-thing", "src", vec![&other, &one], "Odd thing in src (2)"),
            ("qa/untested-files", "src", vec![&other, &one], "Untested files in src (2)"),
            ("qa/untested-files", "a", vec![&other], "Untested files in a"),
            ("qa/untested-files", "a", vec![&single], "Untested file: a/b.rs"),
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
