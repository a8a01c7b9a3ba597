//! SARIF 2.1.0 (OASIS standard, 27 March 2020), as much of it as a report needs.

use crate::builtin::finding::{Finding, Report, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The symbol that stands for the project's directory, under the name that code-scanning
/// services know.
const BASE: &str = "%SRCROOT%";

/// The report as a SARIF 2.1.0 log of one run, indented, with a final line end.
///
/// Severities become levels: critical and high are errors, medium is a warning, low and info are
/// notes; the exact severity stays in each result's properties.
///
/// # Errors
/// Never for a report made here; serde's error for text that cannot be written.
pub fn sarif(report: &Report) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&log(report))?;
    text.push('\n');
    Ok(text)
}

fn log(report: &Report) -> Log<'_> {
    let mut by_id: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in &report.findings {
        // Findings come worst first, so that a rule's default level is that of its worst.
        by_id.entry(&finding.rule).or_insert(finding);
    }
    let places: BTreeMap<&str, usize> =
        by_id.keys().enumerate().map(|(at, rule)| (*rule, at)).collect();
    let results = report
        .findings
        .iter()
        .map(|finding| Outcome {
            rule_id: &finding.rule,
            rule_index: places.get(&*finding.rule).copied().unwrap_or_default(),
            level: level(finding.severity),
            message: Text { text: &finding.message },
            locations: location(finding).into_iter().collect(),
            properties: Properties { severity: finding.severity, advice: Some(&finding.advice) },
        })
        .collect();
    let rules = by_id
        .into_values()
        .map(|finding| Rule {
            id: &finding.rule,
            short_description: OwnedText { text: title(&finding.rule) },
            help: Text { text: &finding.advice },
            default_configuration: Configuration { level: level(finding.severity) },
            properties: Properties { severity: finding.severity, advice: None },
        })
        .collect();
    Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "orchestrator",
                    version: env!("CARGO_PKG_VERSION"),
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    information_uri: Some(env!("CARGO_PKG_REPOSITORY"))
                        .filter(|uri| !uri.is_empty()),
                    rules,
                },
            },
            automation_details: Automation {
                id: format!("orchestrator/{}/", report.analyst),
                description: Text { text: &report.summary },
            },
            invocations: [Invocation {
                execution_successful: true,
                tool_execution_notifications: report
                    .notes
                    .iter()
                    .map(|note| Notification { level: "note", message: Text { text: note } })
                    .collect(),
            }],
            original_uri_base_ids: BTreeMap::from([(
                BASE,
                Base { description: Text { text: "the directory of the project" } },
            )]),
            column_kind: "unicodeCodePoints",
            results,
        }],
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// The rule's id in words: `docs/missing-readme` is "Missing readme".
fn title(rule: &str) -> String {
    let words = rule.rsplit('/').next().unwrap_or(rule).replace('-', " ");
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn location(finding: &Finding) -> Option<Location> {
    let path = finding.path.as_deref().filter(|path| !path.is_empty())?;
    Some(Location {
        physical_location: PhysicalLocation {
            artifact_location: ArtifactLocation { uri: percent_encode(path), uri_base_id: BASE },
            region: finding.line.filter(|line| *line > 0).map(|start_line| Region { start_line }),
        },
    })
}

/// Keeps RFC 3986's unreserved characters and `/`; all else becomes `%XX`, so that no path can be
/// read as a scheme, query or fragment.
fn percent_encode(path: &str) -> String {
    use std::fmt::Write as _;
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            uri.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    automation_details: Automation<'a>,
    invocations: [Invocation<'a>; 1],
    original_uri_base_ids: BTreeMap<&'static str, Base>,
    column_kind: &'static str,
    results: Vec<Outcome<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    /// Left out while the manifest names no repository: the empty text is no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    information_uri: Option<&'static str>,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: &'a str,
    short_description: OwnedText,
    help: Text<'a>,
    default_configuration: Configuration,
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Automation<'a> {
    id: String,
    description: Text<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification<'a>>,
}

#[derive(Serialize)]
struct Notification<'a> {
    level: &'static str,
    message: Text<'a>,
}

#[derive(Serialize)]
struct Base {
    description: Text<'static>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: Text<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Location>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Properties<'a> {
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a str>,
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct OwnedText {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_path_becomes_a_relative_uri() {
        for (path, uri) in [
            ("src/a.rs", "src/a.rs"),
            ("a b/ü#?.md", "a%20b/%C3%BC%23%3F.md"),
            ("c:/x", "c%3A/x"),
            ("100%.txt", "100%25.txt"),
        ] {
            assert_eq!(percent_encode(path), uri);
        }
    }

    #[test]
    fn each_result_names_its_rule_and_place() {
        let mut report = Report::new("qa");
        report.push(Finding::new("qa/b", Severity::Low, "m1", "a1").at("x y.rs").on_line(7));
        report.push(Finding::new("qa/a", Severity::High, "m2", "a2"));
        report.finish();
        let log: Value = serde_json::from_str(&sarif(&report).unwrap()).unwrap();
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[at]["id"], result["ruleId"]);
        }
        assert_eq!(run["results"][0]["level"], "error");
        assert!(run["results"][0].get("locations").is_none());
        let place = &run["results"][1]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "x%20y.rs");
        assert_eq!(place["region"]["startLine"], 7);
    }
}
