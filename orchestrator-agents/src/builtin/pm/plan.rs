//! Findings into tasks, and tasks into an order.

use super::{
    area::{area, depth},
    effort::{Cost, cost, minutes},
    step,
};
use crate::builtin::finding::{Finding, Severity};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// The most tasks that a plan lists.
const MAX_TASKS: usize = 60;
/// The most files that a task lists; the rest is counted.
const MAX_FILES: usize = 10;

/// How long a task may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Effort {
    /// `S` (up to two hours), `M` (up to a day of eight) or `L`.
    pub size: String,
    /// The least and the most hours.
    pub hours: [f64; 2],
    /// How they were reckoned.
    pub rule: String,
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedTask {
    /// Its place in the plan, from 1.
    pub order: usize,
    /// What it is called.
    pub title: String,
    /// Why it is worth doing.
    pub reason: String,
    /// How long it may take.
    pub effort: Effort,
    /// Weight of the severity times reach, by the hours in the middle; higher goes first.
    pub priority: u64,
    /// The worst severity of its findings.
    pub severity: Severity,
    /// Who could do it: `dev`, `qa`, `security`, `docs` or the analyst's own role.
    pub role: String,
    /// The rule that its findings share.
    pub rule: String,
    /// How many findings it settles.
    pub findings: usize,
    /// The files that it touches, the first ten.
    pub files: Vec<String>,
    /// How many files it touches.
    pub file_count: usize,
    /// How to go about it.
    pub steps: Vec<String>,
}

/// Tasks in the order in which to do them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The tasks, first things first.
    pub tasks: Vec<PlannedTask>,
    /// How many more there are, of lower priority.
    pub left_out: usize,
}

impl Plan {
    /// Makes a plan of findings, each with the role of the analyst that found it.
    ///
    /// The same findings in any order give the same plan.
    pub fn of(findings: Vec<(String, Finding)>) -> Self {
        let mut by_rule: BTreeMap<(String, String), Vec<Finding>> = BTreeMap::new();
        for (analyst, finding) in findings {
            by_rule.entry((finding.rule.clone(), analyst)).or_default().push(finding);
        }
        let mut tasks = Vec::new();
        for ((rule, analyst), findings) in &by_rule {
            let depth = depth(findings.iter().filter_map(|finding| finding.path.as_deref()));
            let mut by_area: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
            for finding in findings {
                by_area.entry(area(finding.path.as_deref(), depth)).or_default().push(finding);
            }
            for (area, group) in by_area {
                tasks.push(task(rule, analyst, &area, group));
            }
        }
        tasks.sort_by(|a, b| {
            let key = |t: &PlannedTask| (Reverse(t.severity), Reverse(t.priority));
            key(a)
                .cmp(&key(b))
                .then_with(|| a.rule.cmp(&b.rule))
                .then_with(|| a.title.cmp(&b.title))
                .then_with(|| a.files.cmp(&b.files))
        });
        let left_out = tasks.len().saturating_sub(MAX_TASKS);
        tasks.truncate(MAX_TASKS);
        for (order, task) in (1..).zip(&mut tasks) {
            task.order = order;
        }
        Self { tasks, left_out }
    }

    /// The least and the most hours of all listed tasks together, rounded.
    pub fn hours(&self) -> (u64, u64) {
        let sum =
            |at: usize| self.tasks.iter().filter_map(|task| task.effort.hours.get(at)).sum::<f64>();
        (whole(sum(0).round()), whole(sum(1).round()))
    }
}

/// A non-negative amount as an integer.
fn whole(amount: f64) -> u64 {
    // Saturates by the language's rule; nothing here is near the bounds.
    amount.max(0.0) as u64
}

/// What one finding weighs. Tasks are ordered by severity first; among equals, what reaches far
/// and is quickly done goes first.
fn weight(severity: Severity) -> f64 {
    match severity {
        Severity::Critical => 10_000.0,
        Severity::High => 2_000.0,
        Severity::Medium => 400.0,
        Severity::Low => 80.0,
        Severity::Info => 10.0,
    }
}

fn task(rule: &str, analyst: &str, area: &str, mut group: Vec<&Finding>) -> PlannedTask {
    group.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| {
            (&a.path, a.line, &a.message, &a.advice).cmp(&(&b.path, b.line, &b.message, &b.advice))
        })
    });
    let severity = group.first().map_or(Severity::Info, |finding| finding.severity);
    let files: BTreeSet<&str> =
        group.iter().filter_map(|finding| finding.path.as_deref()).collect();
    let effort = effort(rule, group.len());
    let middle = f64::midpoint(effort.hours[0], effort.hours[1]);
    // Ten times the files matter about three times as much.
    let reach = (files.len().max(1) as f64).sqrt();
    PlannedTask {
        order: 0,
        title: step::title(rule, area, &group),
        reason: step::reason(severity, files.len(), &group),
        priority: whole((weight(severity) * reach / middle).round()),
        effort,
        severity,
        role: step::role(analyst, rule).to_owned(),
        rule: rule.to_owned(),
        findings: group.len(),
        file_count: files.len(),
        files: files.into_iter().take(MAX_FILES).map(str::to_owned).collect(),
        steps: step::steps(rule, &group),
    }
}

fn effort(rule: &str, count: usize) -> Effort {
    let cost = cost(rule);
    let minutes = f64::from(minutes(cost, count));
    let half_hours = |minutes: f64| (minutes / 30.0).round().max(1.0) / 2.0;
    let (least, most) = (half_hours(minutes * 0.6), half_hours(minutes * 1.8));
    let size = match most {
        ..=2.0 => "S",
        ..=8.0 => "M",
        _ => "L",
    };
    let Cost { start, each } = cost;
    let places = match (each, count) {
        (0, _) => format!("{start} min"),
        (_, 1) => format!("{start} min to begin and {each} min for the place itself"),
        _ => format!("{start} min to begin and {each} min for each of {count} places"),
    };
    Effort {
        size: size.to_owned(),
        hours: [least, most],
        rule: format!("{places}; from 0.6 to 1.8 times that"),
    }
}
