//! JUnit XML, as pytest, Maven, Gradle, nextest, Jest and others write it.

use super::{Output, Report, Unreadable, unreadable, xml};
use orchestrator_core::workspace::CaseOutcome;
use roxmltree::Node;

pub(super) fn read(output: Output<'_>) -> Result<Report, Unreadable> {
    xml(output, |root| {
        if !matches!(root.tag_name().name(), "testsuites" | "testsuite") {
            return unreadable(format!(
                "it gave XML, but `{}` is no JUnit report",
                super::cut(root.tag_name().name())
            ));
        }
        let mut report = Report::default();
        for node in root.descendants().filter(Node::is_element) {
            match node.tag_name().name() {
                "testcase" => {
                    let name = match node.attribute("classname") {
                        Some(class) if !class.is_empty() => {
                            format!("{class} {}", node.attribute("name").unwrap_or_default())
                        }
                        _ => node.attribute("name").unwrap_or_default().to_owned(),
                    };
                    report.add(&name, outcome(node));
                }
                "testsuite" => {
                    // A suite that broke outside of its tests has an error of its own.
                    let is_broken = node.children().any(|child| {
                        child.is_element() && matches!(child.tag_name().name(), "error" | "failure")
                    });
                    if is_broken {
                        report.broke(node.attribute("name").unwrap_or("a test suite"));
                    }
                }
                _ => {}
            }
        }
        // The sums are written by the tool itself: they must not tell of more than the cases do.
        let told = |name: &str| {
            let number = |node: Node<'_, '_>| node.attribute(name)?.trim().parse::<u32>().ok();
            let suites = root.descendants().filter(|node| node.has_tag_name("testsuite"));
            suites.filter_map(number).fold(0_u32, u32::saturating_add)
        };
        if told("failures").saturating_add(told("errors")) > 0 && report.failures().next().is_none()
        {
            report.broke("a test suite");
        }
        Ok(report)
    })
}

fn outcome(case: Node<'_, '_>) -> CaseOutcome {
    let has = |names: &[&str]| {
        case.children().any(|child| child.is_element() && names.contains(&child.tag_name().name()))
    };
    if has(&["failure", "error"]) {
        CaseOutcome::Failed
    } else if has(&["skipped"]) || matches!(case.attribute("status"), Some("notrun" | "skipped")) {
        CaseOutcome::Skipped
    } else {
        CaseOutcome::Passed
    }
}
