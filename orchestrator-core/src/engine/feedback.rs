//! What is told of work that is not accepted: a line for people, and more for the agent that is to
//! mend it.

use crate::workspace::{CheckOutcome, CheckRecord, Conflict, Evidence, Verdict};
use std::fmt::Write as _;

/// The longest text for an agent, in bytes.
const MOST: usize = 4 * 1024;

/// How many names are told of each list.
const NAMED: usize = 10;

/// Why the evidence does not prove the result, in a line.
pub(super) fn summary(evidence: &Evidence) -> String {
    match evidence.verdict {
        Verdict::Verified => "the checks passed".into(),
        Verdict::Failed => {
            let bad: Vec<String> = evidence
                .checks
                .iter()
                .filter(|check| !check.outcome.is_good())
                .map(of_check)
                .collect();
            let failed = match bad.len() {
                0 => "no check has run".into(),
                _ => format!("the checks did not pass: {}", bad.join(", ")),
            };
            // A check that could not be run may be so because of what was done to it.
            match weakened(evidence) {
                Some(weakened) => format!("{failed}; {weakened}"),
                None => failed,
            }
        }
        Verdict::Tampered => {
            weakened(evidence).unwrap_or_else(|| "what proves the result was weakened".into())
        }
        Verdict::NotAccepted => match &evidence.judgement {
            Some(judgement) => format!(
                "`{}` does not accept the result: {}",
                judgement.agent,
                cut(&judgement.reason, 500)
            ),
            None => "the result was not accepted".into(),
        },
    }
}

/// What was done to that which proves the result, in a line.
fn weakened(evidence: &Evidence) -> Option<String> {
    let found = evidence.findings.iter().filter(|finding| finding.blocks);
    let found: Vec<&str> = found.map(|finding| finding.message.as_str()).collect();
    let told = || format!("what proves the result was weakened: {}", cut(&found.join("; "), 500));
    (!found.is_empty()).then(told)
}

fn of_check(check: &CheckRecord) -> String {
    let how = match check.outcome {
        CheckOutcome::Passed => "passed".into(),
        CheckOutcome::Flaky => "failed, then passed".into(),
        CheckOutcome::FailedBefore => "failed as before".into(),
        CheckOutcome::TimedOut => "took longer than it may".into(),
        CheckOutcome::Unusable => "could not be run or read".into(),
        CheckOutcome::Failed => match (check.new_failures.len(), check.exit_code) {
            (0, Some(code)) => format!("failed with exit code {code}"),
            (0, None) => "failed".into(),
            (1, _) => "1 new failure".into(),
            (n, _) => format!("{n} new failures"),
        },
    };
    format!("`{}` ({how})", cut(&check.name, 100))
}

/// What the agent is told that is to mend it: what failed, what it printed last, what else was
/// found. At most [`MOST`] bytes.
pub(super) fn of_evidence(evidence: &Evidence) -> String {
    let mut told = String::new();
    let _ = match evidence.verdict {
        Verdict::Tampered => writeln!(
            told,
            "Your work was not accepted, because it weakens what proves it. Put the tests and \
             checks back as they were, and make them pass by mending the code:"
        ),
        Verdict::NotAccepted => {
            writeln!(told, "The checks passed, but your work was not accepted:")
        }
        Verdict::Failed | Verdict::Verified => writeln!(
            told,
            "The engine ran the checks on commit {} in a fresh checkout, and they did not pass:",
            evidence.commit
        ),
    };
    for finding in &evidence.findings {
        let place =
            if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
        let _ = writeln!(told, "- {place}{}", cut(&finding.message, 300));
    }
    if let Some(judgement) = evidence.judgement.as_ref().filter(|judgement| !judgement.accepted) {
        let _ = writeln!(told, "- {}: {}", judgement.agent, cut(&judgement.reason, 2_000));
    }
    let bad: Vec<&CheckRecord> =
        evidence.checks.iter().filter(|check| !check.outcome.is_good()).collect();
    let room = MOST.saturating_sub(told.len()) / bad.len().max(1);
    for check in bad {
        let mut part = format!("- {}\n", of_check(check));
        if !check.new_failures.is_empty() {
            let _ = writeln!(part, "  failed, and did not before: {}", listed(&check.new_failures));
        }
        if !check.excerpt.is_empty() {
            // The last of it says most.
            let left = room.saturating_sub(part.len() + 40);
            let _ = writeln!(part, "  it printed last:\n{}", tail(&check.excerpt, left));
        }
        told.push_str(cut(&part, room));
    }
    cut(told.trim_end(), MOST).to_owned()
}

/// What the agent is told when its work does not go together with a branch.
pub(super) fn of_conflict(conflict: &Conflict) -> String {
    let told = format!(
        "Your work does not go together with what is on `{}` by now (commit {}). It was brought \
         onto that: solve the conflicts between the marks in these files, keeping what both sides \
         mean: {}.\n{}",
        conflict.target,
        conflict.tip,
        listed(&conflict.files),
        tail(&conflict.message, 1_500),
    );
    cut(&told, MOST).to_owned()
}

/// What the agent is told when its work and what is on a branch do not pass the checks together.
pub(super) fn of_red(target: &str, evidence: &Evidence) -> String {
    let told = format!(
        "Your work passes its checks by itself, but not together with what is on `{target}` by \
         now. It was brought onto that: make both work together.\n{}",
        of_evidence(evidence)
    );
    cut(&told, MOST).to_owned()
}

fn listed(names: &[String]) -> String {
    let mut told: Vec<&str> = names.iter().take(NAMED).map(|name| cut(name, 120)).collect();
    let more = names.len().saturating_sub(NAMED);
    let rest = format!("{more} more");
    if more > 0 {
        told.push(&rest);
    }
    told.join(", ")
}

/// The first `most` bytes, or a few less.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The last `most` bytes, or a few less.
fn tail(text: &str, most: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(most))..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::CommitId,
        workspace::{Finding, FindingKind, Judgement},
    };

    fn commit() -> CommitId {
        CommitId::new("a".repeat(40)).unwrap()
    }

    fn check(name: &str, excerpt: String) -> CheckRecord {
        CheckRecord {
            name: name.into(),
            command: vec!["sh".into(), "-c".into(), name.into()],
            outcome: CheckOutcome::Failed,
            exit_code: Some(3),
            duration_ms: 7,
            runs: 1,
            tests: None,
            new_failures: Vec::new(),
            old_failures: Vec::new(),
            flaky: Vec::new(),
            coverage: None,
            excerpt,
            output: None,
        }
    }

    fn evidence(verdict: Verdict, checks: Vec<CheckRecord>) -> Evidence {
        Evidence {
            commit: commit(),
            base: commit(),
            tree: commit(),
            sandbox: "off".into(),
            environment: Default::default(),
            checks,
            findings: Vec::new(),
            judgement: None,
            verdict,
        }
    }

    #[test]
    fn what_failed_is_told_within_its_bound_however_much_there_is() {
        let long = format!("{}the end of it", "ä line\n".repeat(5_000));
        let mut one = check("cargo test", long.clone());
        one.new_failures = (0..100).map(|n| format!("test_{n}")).collect();
        let all =
            evidence(Verdict::Failed, vec![one, check("lint", long), check("doc", "x".into())]);
        let told = of_evidence(&all);
        assert!(told.len() <= MOST, "{}", told.len());
        for part in [
            "`cargo test` (100 new failures)",
            "test_9",
            "90 more",
            "the end of it",
            "`lint`",
            "`doc`",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(summary(&all).contains("`lint` (failed with exit code 3)"));
        assert!(of_red("main", &all).len() <= MOST);
    }

    #[test]
    fn tampering_is_told_in_the_line_of_a_check_that_could_not_be_run() {
        let mut unusable = check("make test", String::new());
        unusable.outcome = CheckOutcome::Unusable;
        let mut all = evidence(Verdict::Failed, vec![unusable]);
        all.findings.push(Finding {
            kind: FindingKind::TestDeleted,
            path: "Makefile".into(),
            message: "the file of the check was deleted".into(),
            blocks: true,
        });
        assert_eq!(
            summary(&all),
            "the checks did not pass: `make test` (could not be run or read); what proves the result \
             was weakened: the file of the check was deleted"
        );
        // What is only flagged is told to the agent, and blames nobody.
        all.findings[0].blocks = false;
        assert!(!summary(&all).contains("weakened"), "{}", summary(&all));
    }

    #[test]
    fn tampering_is_told_plainly() {
        let mut all = evidence(Verdict::Tampered, Vec::new());
        all.findings.push(Finding {
            kind: FindingKind::TestDeleted,
            path: "tests/a.rs".into(),
            message: "the test file was deleted".into(),
            blocks: true,
        });
        let told = of_evidence(&all);
        assert!(told.contains("weakens what proves it") && told.contains("tests/a.rs"), "{told}");
        assert!(summary(&all).contains("weakened: the test file was deleted"));
        let mut all = evidence(Verdict::NotAccepted, Vec::new());
        all.judgement = Some(Judgement {
            agent: "qa".into(),
            model: None,
            accepted: false,
            reason: "it does half of it".into(),
        });
        assert!(of_evidence(&all).contains("qa: it does half of it"));
    }
}
