//! What an analyst reports: findings, facts and what it had to leave out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// The schema that every report names.
pub const REPORT_SCHEMA: &str = "orchestrator.report/v1";

/// The most findings of one rule that a report lists; the rest is counted in its notes.
pub const MAX_PER_RULE: usize = 200;

/// How much a finding matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth doing when there is time.
    Low,
    /// Worth planning.
    Medium,
    /// Worth doing soon.
    High,
    /// Worth stopping for.
    Critical,
}

impl Severity {
    /// Every severity, worst first.
    pub const WORST_FIRST: [Self; 5] =
        [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that an analyst found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// The stable id of the rule, such as `docs/missing-readme`.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// What was found, in one sentence without a final period.
    pub message: String,
    /// The file, relative to the project, with `/` between its parts. A name that is not UTF-8
    /// is shown with `U+FFFD` where it cannot be decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line in it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What to do about it.
    pub advice: String,
}

impl Finding {
    /// A finding about the project as a whole.
    pub fn new(
        rule: impl Into<String>,
        severity: Severity,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            rule: rule.into(),
            severity,
            message: message.into(),
            path: None,
            line: None,
            advice: advice.into(),
        }
    }

    /// The same in the file `path`.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The same on `line`, from 1; 0 means the file as a whole.
    #[must_use]
    pub fn on_line(mut self, line: u32) -> Self {
        self.line = (line > 0).then_some(line);
        self
    }
}

/// All that one analyst has to say about a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// [`REPORT_SCHEMA`].
    pub schema: String,
    /// The role of the analyst, such as `qa`.
    pub analyst: String,
    /// The result in one to three sentences.
    pub summary: String,
    /// What was measured, by name; the shape of each value is the analyst's own.
    pub facts: Map<String, Value>,
    /// What was found: worst first, then by rule, path and line.
    pub findings: Vec<Finding>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// An empty report of the analyst with this role.
    pub fn new(analyst: impl Into<String>) -> Self {
        Self {
            schema: REPORT_SCHEMA.to_owned(),
            analyst: analyst.into(),
            summary: String::new(),
            facts: Map::new(),
            findings: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The report that `value` holds, when it is one.
    pub fn from_value(value: &Value) -> Option<Self> {
        if value.get("schema")?.as_str()? != REPORT_SCHEMA {
            return None;
        }
        Self::deserialize(value).ok()
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Sets a fact.
    pub fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.to_owned(), value.into());
    }

    /// Adds a remark about what was left out.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Puts the findings in their order, removes repeats and keeps at most [`MAX_PER_RULE`] of
    /// each rule; what is cut is counted in the notes.
    pub fn finish(&mut self) {
        self.findings.sort_by(|a, b| {
            let place = |f: &Finding| (f.path.clone(), f.line);
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.rule.cmp(&b.rule))
                .then_with(|| place(a).cmp(&place(b)))
                .then_with(|| a.message.cmp(&b.message))
        });
        self.findings.dedup();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        self.findings.retain(|finding| {
            let count = seen.entry(finding.rule.clone()).or_default();
            *count += 1;
            *count <= MAX_PER_RULE
        });
        for (rule, count) in seen {
            if let Some(more @ 1..) = count.checked_sub(MAX_PER_RULE) {
                self.notes.push(format!(
                    "{more} more findings of `{rule}` are not listed; the first {MAX_PER_RULE} are"
                ));
            }
        }
    }

    /// How many findings there are of each severity, worst first, without those that have none.
    pub fn counts(&self) -> Vec<(Severity, usize)> {
        Severity::WORST_FIRST
            .into_iter()
            .map(|s| (s, self.findings.iter().filter(|f| f.severity == s).count()))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_json() {
        let mut report = Report::new("qa");
        report.push(Finding::new("qa/x", Severity::High, "m", "a").at("src/a.rs").on_line(3));
        report.fact("n", 3);
        let value = serde_json::to_value(&report).unwrap();
        assert_eq!(Report::from_value(&value), Some(report));
        assert_eq!(value["findings"][0]["severity"], "high");
    }

    #[test]
    fn other_json_is_not_a_report() {
        for text in ["null", "{}", r#"{"schema":"orchestrator.report/v2"}"#, r#"{"schema":3}"#] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(Report::from_value(&value), None, "{text}");
        }
    }

    #[test]
    fn findings_are_ordered_capped_and_unique() {
        let mut report = Report::new("qa");
        for line in 1..=205 {
            report.push(Finding::new("qa/low", Severity::Low, "m", "a").at("f").on_line(line));
        }
        report.push(Finding::new("qa/low", Severity::Low, "m", "a").at("f").on_line(1));
        report.push(Finding::new("qa/bad", Severity::Critical, "m", "a"));
        report.finish();
        assert_eq!(report.findings[0].rule, "qa/bad");
        assert_eq!(report.findings.len(), 201);
        assert_eq!(report.notes.len(), 1);
        assert!(report.notes[0].starts_with("5 more"), "{}", report.notes[0]);
        assert_eq!(report.counts(), [(Severity::Critical, 1), (Severity::Low, 200)]);
    }
}
