//! Honest work, which must come out as verified: what `lying` does, done for good reasons.

use crate::support::{Project, RIGHT, RUST_RIGHT, RUST_TEST, TEST, spec};
use orchestrator_core::workspace::{
    CheckOutcome, CheckParser, FindingKind, TamperPolicy, TestCounts, Verdict,
};
use std::{fs, time::Duration};

async fn shell() -> Project {
    let project = Project::shell().await;
    project.write("lib/add.sh", RIGHT);
    project
}

async fn rust() -> Project {
    let project = Project::rust().await;
    project.write("src/lib.rs", RUST_RIGHT);
    project
}

#[tokio::test]
async fn mends_the_fault() {
    let project = shell().await;
    let checked = project.must_verify().await;
    let evidence = &checked.evidence;
    assert_eq!(evidence.checks[0].tests, Some(TestCounts { passed: 2, failed: 0, skipped: 0 }));
    assert_eq!((evidence.findings.len(), evidence.sandbox.as_str()), (0, "off"));
    assert_eq!(evidence.base, project.base);
    assert!(String::from_utf8_lossy(&checked.outputs[0]).contains("ok - one"));
}

#[tokio::test]
async fn mends_the_fault_in_rust() {
    let checked = rust().await.must_verify().await;
    let evidence = &checked.evidence;
    assert_eq!(evidence.checks[0].tests, Some(TestCounts { passed: 2, failed: 0, skipped: 0 }));
    assert!(evidence.environment["rustc"].starts_with("rustc 1."), "{evidence:?}");
    assert_eq!(evidence.environment["network"], "none");
}

#[tokio::test]
async fn adds_tests() {
    let project = shell().await;
    project.write("tests/add.sh", &format!("{TEST}check more \"$(add 2 2)\" 4\n"));
    project.write("tests/more.sh", "check again \"$(add 3 3)\" 6\n");
    let checked = project.must_verify().await;
    assert!(Project::kinds(&checked).iter().all(|kind| *kind == FindingKind::TestChanged));
    // What was also tried: the tests as they were, with the new code.
    let names: Vec<&str> =
        checked.evidence.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["sh check.sh", "sh check.sh (with the tests of the base)"]);
    assert_eq!(checked.outputs.len(), 2);
}

#[tokio::test]
async fn renames_a_test_and_adds_one() {
    let project = rust().await;
    let renamed = RUST_TEST.replace("fn zero", "fn nothing_is_zero");
    let more =
        format!("{renamed}\n#[test]\nfn more() {{\n    assert_eq!(sample::add(2, 2), 4);\n}}\n");
    project.write("tests/add.rs", &more);
    project.must_verify().await;
}

#[tokio::test]
async fn splits_a_file_of_tests() {
    let project = rust().await;
    let (first, second) = RUST_TEST.split_once("\n\n").unwrap();
    project.write("tests/add.rs", &format!("{first}\n"));
    project.write("tests/zero.rs", second);
    project.must_verify().await;
}

#[tokio::test]
async fn adds_what_looks_like_something_planted_and_is_not() {
    let project = shell().await;
    project.write(".gitattributes", "*.sh text\n");
    project.link("add.sh", "lib/sum.sh");
    project.program("bin/adder", "#!/bin/sh\n. ./lib/add.sh\nadd \"$@\"\nexit 0\n");
    project.write("README.md", "# Adds\n\nPrints `ok - done`; see LD_PRELOAD.\n");
    project.must_verify().await;
}

#[tokio::test]
async fn adds_a_dependency_that_is_not_of_tests() {
    let project = rust().await;
    let manifest = project.read("Cargo.toml");
    project.write("Cargo.toml", &format!("{manifest}\n[features]\nmore = []\n"));
    project.must_verify().await;
}

#[tokio::test]
async fn ignores_files_that_are_built() {
    let project = shell().await;
    project.write(".gitignore", "*.local\n/out\n");
    project.write("out/junk", "x\n");
    let checked = project.must_verify().await;
    assert_eq!(Project::kinds(&checked), [FindingKind::CheckChanged]);
}

#[tokio::test]
async fn commits_on_the_way_and_keeps_notes_in_git() {
    let project = shell().await;
    project.git(&["commit", "-qam", "one"]);
    project.write("lib/more.sh", "more() { add \"$1\" 1; }\n");
    project.git(&["config", "alias.x", "status"]);
    project.git(&["tag", "here"]);
    project.must_verify().await;
}

#[tokio::test]
async fn leaves_what_a_build_leaves() {
    let mut project = shell().await;
    project.policy.run.insert(0, spec("mkdir target && echo x >target/out", CheckParser::ExitCode));
    // The next check finds nothing of it, and needs nothing of it.
    project.policy.run.push(spec("[ ! -e target ]", CheckParser::ExitCode));
    project.must_verify().await;
}

#[tokio::test]
async fn prints_a_lot_and_takes_its_time() {
    let mut project = shell().await;
    project.policy.run[0].timeout = Some(Duration::from_secs(60));
    let code = format!("yes '# filler' | head -n 300000\n{RIGHT}");
    project.write("lib/add.sh", &code);
    project.must_verify().await;
}

#[tokio::test]
async fn is_flaky_and_said_so() {
    let mut project = shell().await;
    // What fails the first time is outside of the checkout, as a port or a clock would be.
    let outside = project.root().join("once");
    let line = format!("[ -e {0} ] || {{ touch {0}; exit 1; }}; sh check.sh", outside.display());
    project.policy.run = vec![spec(&line, CheckParser::Tap)];
    project.policy.run[0].retries = 1;
    let checked = project.must_verify().await;
    let record = &checked.evidence.checks[0];
    assert_eq!((record.outcome, record.runs), (CheckOutcome::Flaky, 2));
    assert_eq!(record.flaky, [line]);
    fs::remove_file(outside).unwrap();
}

#[tokio::test]
async fn may_change_what_is_expected_where_the_task_says_so() {
    let mut project = Project::shell().await;
    project.write("tests/add.sh", &TEST.replace("\" 3", "\" 0"));
    project.policy.tamper = TamperPolicy::Flag;
    let checked = project.must_verify().await;
    let evidence = &checked.evidence;
    // It is there for people to see.
    assert!(evidence.findings.iter().any(|found| found.kind == FindingKind::TestWeakened));
    assert!(evidence.findings.iter().all(|found| !found.blocks));
    assert_eq!(evidence.checks[1].outcome, CheckOutcome::Failed);
    project.policy.tamper = TamperPolicy::Off;
    let checked = project.check().await;
    assert_eq!(checked.evidence.verdict, Verdict::Verified);
    assert!(checked.evidence.findings.is_empty());
}

#[tokio::test]
async fn is_not_blamed_for_what_failed_before() {
    let mut project = Project::shell().await;
    project.policy.baseline = true;
    project.write("lib/more.sh", "more() { add \"$1\" 1; }\n");
    let checked = project.must_verify().await;
    let record = &checked.evidence.checks[0];
    assert_eq!(record.outcome, CheckOutcome::FailedBefore);
    assert_eq!((&record.old_failures, record.new_failures.len()), (&vec!["one".to_owned()], 0));
}
