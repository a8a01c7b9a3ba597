//! Plans of known findings, and what holds for every plan.

use super::*;
use crate::builtin::index::Limits;
use std::{fs, sync::atomic::AtomicBool};

fn finding(rule: &str, severity: Severity, path: &str) -> (String, Finding) {
    let analyst = rule.split('/').next().unwrap_or_default().to_owned();
    (analyst, Finding::new(rule, severity, "m", "a").at(path).on_line(1))
}

/// Some thousand findings of all kinds, the same each time.
fn many() -> Vec<(String, Finding)> {
    let rules = [
        "security/github-token",
        "docs/dead-link",
        "qa/untested-file",
        "dev/oversized-file",
        "pm/todo",
    ];
    (0..2000_usize)
        .map(|n| {
            let path = format!("{}/{}/f{}.rs", ["src", "lib", "app"][n % 3], n % 11, n % 97);
            finding(rules[n % rules.len()], Severity::WORST_FIRST[(n / 7) % 5], &path)
        })
        .collect()
}

#[test]
fn what_matters_goes_first() {
    let plan = Plan::of(vec![
        finding("docs/dead-link", Severity::Low, "a/x.md"),
        finding("security/github-token", Severity::Critical, "b/y.rs"),
        finding("qa/untested-file", Severity::Medium, "c/z.rs"),
        finding("pm/todo", Severity::Info, "c/z.rs"),
    ]);
    let order: Vec<&str> = plan.tasks.iter().map(|task| task.rule.as_str()).collect();
    assert_eq!(order, ["security/github-token", "qa/untested-file", "docs/dead-link", "pm/todo"]);
    assert_eq!(plan.tasks[3].role, "dev");
    assert_eq!(plan.tasks[0].role, "security");
}

#[test]
fn related_findings_are_one_task() {
    let plan = Plan::of(vec![
        finding("docs/dead-link", Severity::Low, "guide/a/x.md"),
        finding("docs/dead-link", Severity::Low, "guide/a/y.md"),
        finding("docs/dead-link", Severity::Low, "api/z.md"),
    ]);
    let tasks: Vec<_> = plan.tasks.iter().map(|t| (t.findings, t.file_count)).collect();
    assert_eq!(tasks, [(2, 2), (1, 1)]);
}

#[test]
fn the_order_of_the_findings_does_not_matter() {
    let forward = Plan::of(many());
    let mut backward = many();
    backward.reverse();
    let mut turned = many();
    turned.rotate_left(777);
    assert_eq!(forward, Plan::of(backward));
    assert_eq!(forward, Plan::of(turned));
}

#[test]
fn every_plan_is_ordered_and_loses_nothing() {
    let mut all = many();
    // Few enough groups that none is left out.
    for (_, finding) in &mut all {
        finding.path = finding.path.take().map(|path| path.replacen('/', "-", 1));
    }
    let count = all.len();
    let plan = Plan::of(all);
    assert_eq!(plan.left_out, 0);
    assert_eq!(plan.tasks.iter().map(|task| task.findings).sum::<usize>(), count);
    for pair in plan.tasks.windows(2) {
        let key = |task: &PlannedTask| (task.severity, task.priority);
        assert!(key(&pair[0]) >= key(&pair[1]));
    }
    for (at, task) in plan.tasks.iter().enumerate() {
        assert_eq!(task.order, at + 1);
        assert!(task.effort.hours[0] > 0.0 && task.effort.hours[0] <= task.effort.hours[1]);
        assert!(["S", "M", "L"].contains(&task.effort.size.as_str()));
        assert!(
            !task.steps.is_empty() && !task.title.is_empty() && task.files.len() <= task.file_count
        );
    }
}

#[test]
fn worse_wider_and_quicker_each_raise_the_priority() {
    let priority = |findings: Vec<(String, Finding)>| Plan::of(findings).tasks[0].priority;
    let one = |severity| priority(vec![finding("docs/a", severity, "a.md")]);
    for pair in Severity::WORST_FIRST.windows(2) {
        assert!(one(pair[0]) > one(pair[1]), "{pair:?}");
    }
    let quick = priority(vec![finding("docs/dead-link", Severity::Low, "a.md")]);
    let slow = priority(vec![finding("dev/oversized-file", Severity::Low, "a.md")]);
    assert!(quick > slow);
    let links = |files: [&str; 2]| {
        priority(files.map(|file| finding("docs/dead-link", Severity::Low, file)).to_vec())
    };
    assert!(links(["a.md", "b.md"]) > links(["a.md", "a.md"]));
}

#[test]
fn a_whole_project_gives_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let token = format!("{}_{}", "ghp", "q7Rz0pLmK2vW9sXeB4nTq1Yd8Uc3Jf6HhG5A");
    fs::create_dir_all(dir.path().join("vendor")).unwrap();
    fs::write(dir.path().join("vendor/b.rs"), "// FIXME: not ours\n").unwrap();
    fs::write(dir.path().join("a.rs"), format!("// TODO: do\n// FIXME(ann): drop {token}\n"))
        .unwrap();
    let index = Index::build(dir.path(), Limits::default(), &AtomicBool::new(false)).unwrap();

    let mut options = Options::new(dir.path());
    let alone = analyse(&index, &options);
    assert_eq!(alone.findings.len(), 1, "{:?}", alone.findings);
    assert_eq!(alone.findings[0].message, "FIXME (ann): drop [redacted]");
    assert_eq!(alone.facts["notes"], json!({ "FIXME": 1, "TODO": 1 }));
    assert_eq!(alone.notes.len(), 1);
    assert!(!serde_json::to_string(&alone).unwrap().contains(&token));

    let mut other = Report::new("security");
    other.push(Finding::new("security/x", Severity::High, "m", "a"));
    options.others = vec![other, alone];
    let report = analyse(&index, &options);
    let tasks: Vec<PlannedTask> = serde_json::from_value(report.facts["plan"].clone()).unwrap();
    assert_eq!(tasks.len(), 3, "the planner's own report is not planned again");
    assert_eq!(tasks[0].rule, "security/x");
    assert!(
        report.summary.starts_with("3 tasks from 2 notes in the code and one report"),
        "{}",
        report.summary
    );
}

#[test]
fn nothing_to_do_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::build(dir.path(), Limits::default(), &AtomicBool::new(false)).unwrap();
    let report = analyse(&index, &Options::new(dir.path()));
    assert!(report.summary.starts_with("Nothing to plan"), "{}", report.summary);
    assert_eq!(report.facts["plan"], json!([]));
}
