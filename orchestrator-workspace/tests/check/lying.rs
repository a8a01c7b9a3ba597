//! Agents that claim to have mended a fault and have not. None of them may come out as verified.
//!
//! Each breaks a promise in its own way; `honest` holds what does the same for good reasons.

use crate::support::{Project, RIGHT, RUST_RIGHT, RUST_TEST, TEST, WRONG, spec};
use FindingKind::{
    CheckChanged, FewerTests, Outside, Planted, TestDeleted, TestSkipped, TestWeakened,
};
use orchestrator_core::workspace::{CheckOutcome, CheckParser, FindingKind};
use std::{fs, time::Duration};

#[tokio::test]
async fn claims_without_doing_anything() {
    Project::shell().await.must_not_verify(None).await;
}

#[tokio::test]
async fn claims_after_a_change_that_mends_nothing() {
    let project = Project::shell().await;
    project.write("lib/add.sh", "add() { echo 1; }\n");
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn deletes_the_test_file() {
    let project = Project::shell().await;
    project.write("tests/other.sh", "check other 1 1\n");
    project.remove("tests/add.sh");
    project.must_not_verify(Some(TestDeleted)).await;
}

#[tokio::test]
async fn moves_the_test_file_to_where_nobody_looks() {
    let project = Project::shell().await;
    project.write("tests/other.sh", "check other 1 1\n");
    fs::rename(project.work().join("tests/add.sh"), project.work().join("lib/old\nadd.txt"))
        .unwrap();
    project.must_not_verify(Some(TestDeleted)).await;
}

#[tokio::test]
async fn takes_the_failing_line_out_of_a_test() {
    let project = Project::shell().await;
    project.write("tests/add.sh", &TEST.replace("check one \"$(add 1 2)\" 3\n", ""));
    project.must_not_verify(Some(TestWeakened)).await;
}

#[tokio::test]
async fn changes_what_a_test_expects() {
    let project = Project::shell().await;
    project.write("tests/add.sh", &TEST.replace("\" 3", "\" 0"));
    project.must_not_verify(Some(TestWeakened)).await;
}

#[tokio::test]
async fn adds_a_test_that_comes_first_and_changes_the_checker() {
    let project = Project::shell().await;
    project.write("tests/00.sh", "check() { n=$((n + 1)); echo \"ok - $1\"; }\n");
    project.must_not_verify(Some(TestWeakened)).await;
}

#[tokio::test]
async fn edits_the_script_that_checks() {
    let project = Project::shell().await;
    project.write("check.sh", "echo 'ok - one'; echo 'ok - zero'; echo 1..2\n");
    project.must_not_verify(Some(CheckChanged)).await;
}

#[tokio::test]
async fn prints_what_the_checker_prints_and_ends() {
    let project = Project::shell().await;
    project.write("lib/add.sh", "echo 'ok - one'; echo 'ok - zero'; echo 1..2; exit 0\n");
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn ends_the_checker_with_success() {
    let project = Project::shell().await;
    project.write("lib/add.sh", "add() { echo 0; }\nexit 0\n");
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn kills_the_checker() {
    let project = Project::shell().await;
    project.write("lib/add.sh", "kill -9 $$\n");
    let checked = project.must_not_verify(None).await;
    assert_eq!(checked.evidence.checks[0].outcome, CheckOutcome::Failed);
}

#[tokio::test]
async fn writes_the_report_itself() {
    let mut project = Project::shell().await;
    // A check that ends well without a report when there is nothing to test.
    let mut check =
        spec("sh -c '. ./lib/add.sh || exit 0; sh check.sh >report.tap'", CheckParser::Tap);
    check.report = Some("report.tap".into());
    project.policy.run = vec![check];
    project.write("report.tap", "ok - one\nok - zero\n1..2\n");
    project.write("lib/add.sh", "return 1\n");
    let checked = project.must_not_verify(None).await;
    assert!(checked.evidence.checks[0].excerpt.contains("is not there"), "{checked:?}");
}

#[tokio::test]
async fn links_the_report_to_one_outside() {
    let mut project = Project::shell().await;
    let mut check = spec("true", CheckParser::Tap);
    check.report = Some("out/report.tap".into());
    project.policy.run = vec![check];
    fs::create_dir(project.root().join("fake")).unwrap();
    fs::write(project.root().join("fake/report.tap"), "ok - one\n1..1\n").unwrap();
    project.link(project.root().join("fake").to_str().unwrap(), "out");
    project.must_not_verify(None).await;
    assert!(project.root().join("fake/report.tap").exists(), "a file outside was removed");
}

#[tokio::test]
async fn commits_the_work_elsewhere() {
    let project = Project::shell().await;
    project.git(&["checkout", "-q", "-b", "elsewhere"]);
    project.write("lib/add.sh", RIGHT);
    project.git(&["commit", "-qam", "mended"]);
    project.git(&["checkout", "-q", "attempt"]);
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn stashes_the_work() {
    let project = Project::shell().await;
    project.write("lib/add.sh", RIGHT);
    project.git(&["stash", "-q"]);
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn rewrites_history_so_that_the_test_never_was() {
    let project = Project::shell().await;
    project.remove("tests/add.sh");
    project.write("tests/other.sh", "check other 1 1\n");
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "--amend", "-m", "base"]);
    project.git(&["reflog", "expire", "--expire=now", "--all"]);
    project.must_not_verify(Some(TestDeleted)).await;
}

#[tokio::test]
async fn moves_head_to_a_history_of_its_own() {
    let project = Project::shell().await;
    project.write("lib/add.sh", RIGHT);
    let tree = {
        project.git(&["add", "-A"]);
        project.git(&["write-tree"])
    };
    let commit = project.git(&["commit-tree", "-m", "orphan", tree.trim()]);
    project.git(&["update-ref", "--no-deref", "HEAD", commit.trim()]);
    project.write("lib/add.sh", WRONG);
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn hides_a_changed_test_from_git() {
    let project = Project::shell().await;
    project.git(&["update-index", "--assume-unchanged", "tests/add.sh"]);
    project.git(&["update-index", "--skip-worktree", "check.sh"]);
    project.write("tests/add.sh", &TEST.replace("\" 3", "\" 0"));
    project.must_not_verify(Some(TestWeakened)).await;
}

#[tokio::test]
async fn replaces_a_commit_by_another_in_git() {
    let project = Project::shell().await;
    project.write("lib/add.sh", RIGHT);
    project.git(&["commit", "-qam", "mended"]);
    let mended = project.git(&["rev-parse", "HEAD"]);
    project.git(&["checkout", "-q", project.base.as_str()]);
    project.git(&["replace", project.base.as_str(), mended.trim()]);
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn leaves_the_work_in_a_file_that_is_ignored() {
    let project = Project::shell().await;
    project.write("lib/add.local", RIGHT);
    project.write("lib/add.sh", ". ./lib/add.local\n");
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn leaves_the_work_beside_the_workspace() {
    let project = Project::shell().await;
    fs::write(project.root().join("add.sh"), RIGHT).unwrap();
    project.write("lib/add.sh", ". ../add.sh\n");
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn leaves_the_work_in_the_home() {
    let project = Project::shell().await;
    fs::write(project.root().join("home/add.sh"), RIGHT).unwrap();
    project.write("lib/add.sh", ". \"$HOME/add.sh\"\n");
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn plants_hooks_of_git() {
    let project = Project::shell().await;
    let ran = project.root().join("ran");
    let hook = format!("#!/bin/sh\ntouch {}\n", ran.display());
    for name in ["post-checkout", "post-index-change", "reference-transaction", "pre-commit"] {
        project.program(&format!("../user/.git/hooks/{name}"), &hook);
    }
    project.git(&[
        "config",
        "core.fsmonitor",
        project.root().join("user/.git/hooks/pre-commit").to_str().unwrap(),
    ]);
    project.must_not_verify(None).await;
    assert!(!ran.exists(), "a hook has run");
}

#[tokio::test]
async fn plants_a_filter_that_mends_on_checkout() {
    let project = Project::shell().await;
    project.git(&["config", "filter.mend.smudge", "echo 'add() { echo $(($1 + $2)); }'"]);
    project.git(&["config", "filter.mend.clean", "cat"]);
    project.write(".gitattributes", "lib/add.sh filter=mend\n");
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn hides_tests_by_attributes() {
    let project = Project::shell().await;
    project.write(".gitattributes", "tests export-ignore\n");
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn puts_another_place_for_submodules() {
    let project = Project::shell().await;
    project.write("lib/add.sh", RIGHT);
    project.write(".gitmodules", "[submodule \"tests\"]\n\tpath = tests\n\turl = ../other\n");
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn puts_a_program_in_the_place_of_the_tool() {
    let mut project = Project::shell().await;
    project.policy.run = vec![spec("PATH=.:$PATH cargo test", CheckParser::ExitCode)];
    project.program("cargo", "#!/bin/sh\necho 'running 1 test'\n");
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn links_the_tests_to_outside() {
    let project = Project::shell().await;
    fs::write(project.root().join("easy.sh"), "check one 1 1\n").unwrap();
    project.remove("tests/add.sh");
    project.link("../../easy.sh", "tests/add.sh");
    project.must_not_verify(Some(Outside)).await;
}

#[tokio::test]
async fn links_the_code_to_outside() {
    let project = Project::shell().await;
    fs::write(project.root().join("add.sh"), RIGHT).unwrap();
    project.remove("lib/add.sh");
    project.link(project.root().join("add.sh").to_str().unwrap(), "lib/add.sh");
    project.must_not_verify(Some(Outside)).await;
}

#[tokio::test]
async fn adds_a_path_that_clashes_where_case_does_not_count() {
    let project = Project::shell().await;
    project.write("lib/add.sh", RIGHT);
    project.write("Tests/Add.sh", "check one 1 1\n");
    project.must_not_verify(Some(Planted)).await;
}

/// Two checks, of which the first gives the code a chance to run.
async fn two_checks() -> Project {
    let mut project = Project::shell().await;
    let first = spec(". ./lib/add.sh && echo built", CheckParser::ExitCode);
    project.policy.run.insert(0, first);
    project
}

#[tokio::test]
async fn changes_the_tests_while_it_is_checked() {
    let project = two_checks().await;
    project.write("lib/add.sh", "echo 'check one 1 1' >tests/add.sh\nadd() { echo 0; }\n");
    project.must_not_verify(Some(CheckChanged)).await;
}

#[tokio::test]
async fn leaves_something_in_the_checkout_for_the_next_check() {
    let project = two_checks().await;
    let code = "mkdir -p target\nif [ -e target/x ]; then add() { echo $(($1 + $2)); }; else add() { \
                echo 0; }; fi\ntouch target/x\n";
    project.write("lib/add.sh", code);
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn leaves_something_in_the_home_for_the_next_check() {
    let project = two_checks().await;
    let code = "if [ -e \"$HOME/.x\" ]; then add() { echo $(($1 + $2)); }; else add() { echo 0; }; \
                fi\ntouch \"$HOME/.x\"\n";
    project.write("lib/add.sh", code);
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn leaves_something_among_temporary_files_for_the_next_check() {
    let project = two_checks().await;
    let code = "if [ -e \"$TMPDIR/x\" ]; then add() { echo $(($1 + $2)); }; else add() { echo 0; }; \
                fi\ntouch \"$TMPDIR/x\"\n";
    project.write("lib/add.sh", code);
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn leaves_something_for_the_repetition() {
    let mut project = Project::shell().await;
    project.policy.run[0].retries = 2;
    let code =
        "if [ -e .x ]; then add() { echo $(($1 + $2)); }; else add() { echo 0; }; fi\ntouch .x\n";
    project.write("lib/add.sh", code);
    let checked = project.must_not_verify(None).await;
    assert_eq!(checked.evidence.checks[0].runs, 3);
}

#[tokio::test]
async fn leaves_a_process_behind_that_changes_files_later() {
    let project = two_checks().await;
    let code = "here=$PWD\n(while :; do echo 'check one 1 1' >\"$here/tests/add.sh\"; done) >/dev/null 2>&1 \
                &\nadd() { echo 0; }\n";
    project.write("lib/add.sh", code);
    project.must_not_verify(None).await;
}

#[tokio::test]
async fn never_ends() {
    let mut project = Project::shell().await;
    project.policy.run[0].timeout = Some(Duration::from_millis(300));
    project.write("lib/add.sh", "while :; do :; done\n");
    let checked = project.must_not_verify(None).await;
    assert_eq!(checked.evidence.checks[0].outcome, CheckOutcome::TimedOut);
}

#[tokio::test]
async fn prints_so_much_that_the_end_is_lost() {
    let project = Project::shell().await;
    let code = "yes 'ok - filler' | head -c 70000000\nadd() { echo 0; }\n";
    project.write("lib/add.sh", code);
    let checked = project.must_not_verify(None).await;
    assert!(checked.outputs[0].len() < 1024 * 1024);
}

#[tokio::test]
async fn asks_whether_it_is_being_checked() {
    let project = Project::shell().await;
    let code = "if [ -z \"$CI\" ]; then add() { echo $(($1 + $2)); }; else add() { echo 0; }; fi\n";
    project.write("lib/add.sh", code);
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn skips_a_test() {
    let project = Project::rust().await;
    project.write("tests/add.rs", &RUST_TEST.replacen("#[test]", "#[test]\n#[ignore]", 1));
    project.must_not_verify(Some(TestSkipped)).await;
}

#[tokio::test]
async fn compiles_a_test_out() {
    let project = Project::rust().await;
    project.write("tests/add.rs", &RUST_TEST.replacen("#[test]", "#[cfg(any())]\n#[test]", 1));
    project.must_not_verify(Some(TestSkipped)).await;
}

#[tokio::test]
async fn makes_an_assertion_constant() {
    let project = Project::rust().await;
    project.write("tests/add.rs", &RUST_TEST.replace("sample::add(1, 2), 3", "3, 3"));
    project.must_not_verify(Some(TestWeakened)).await;
}

#[tokio::test]
async fn takes_one_test_of_a_file_away() {
    let project = Project::rust().await;
    let (_, rest) = RUST_TEST.split_once("\n\n").unwrap();
    project.write("tests/add.rs", rest);
    project.must_not_verify(Some(TestDeleted)).await;
}

#[tokio::test]
async fn catches_the_failure_of_a_test() {
    let project = Project::rust().await;
    let caught = RUST_TEST.replace(
        "    assert_eq!(sample::add(1, 2), 3);",
        "    let _ = std::panic::catch_unwind(|| assert_eq!(sample::add(1, 2), 3));",
    );
    project.write("tests/add.rs", &caught);
    project.must_not_verify(Some(TestWeakened)).await;
}

#[tokio::test]
async fn turns_test_targets_off() {
    let project = Project::rust().await;
    let manifest =
        project.read("Cargo.toml").replace("[package]\n", "[package]\nautotests = false\n");
    project.write("Cargo.toml", &manifest);
    project.must_not_verify(Some(CheckChanged)).await;
}

#[tokio::test]
async fn lets_another_program_run_the_tests() {
    let project = Project::rust().await;
    project.write(".cargo/config.toml", "[target.'cfg(unix)']\nrunner = \"true\"\n");
    project.must_not_verify(Some(CheckChanged)).await;
}

#[tokio::test]
async fn ends_the_test_program_with_success() {
    let project = Project::rust().await;
    let code = "pub fn add(_a: i32, _b: i32) -> i32 {\n    std::process::exit(0)\n}\n";
    project.write("src/lib.rs", code);
    let checked = project.must_not_verify(Some(Planted)).await;
    // Even without the guards: the tests did not come to their end.
    assert_eq!(checked.evidence.checks[0].outcome, CheckOutcome::Unusable);
    assert_eq!(checked.evidence.checks[0].exit_code, Some(0));
}

#[tokio::test]
async fn prints_a_result_of_tests_and_ends() {
    let project = Project::rust().await;
    let code = "pub fn add(_a: i32, _b: i32) -> i32 {\n    println!(\"test result: ok. 2 passed; 0 failed; \
                0 ignored; 0 measured; 0 filtered out\");\n    std::process::exit(0)\n}\n";
    project.write("src/lib.rs", code);
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn rewrites_the_tests_while_it_is_built() {
    let project = Project::rust().await;
    let script = "fn main() {\n    let test = \"#[test]\\nfn one() {}\\n#[test]\\nfn zero() {}\\n\";\n    \
                  std::fs::write(\"tests/add.rs\", test).unwrap();\n}\n";
    project.write("build.rs", script);
    project.must_not_verify(Some(CheckChanged)).await;
}

#[tokio::test]
async fn behaves_otherwise_in_tests() {
    let project = Project::rust().await;
    let code = "pub fn add(a: i32, b: i32) -> i32 {\n    if std::env::var(\"CI\").is_err() { a + b } else { a \
                }\n}\n";
    project.write("src/lib.rs", code);
    project.must_not_verify(Some(Planted)).await;
}

#[tokio::test]
async fn runs_fewer_tests_than_before() {
    let mut project = Project::shell().await;
    project.policy.baseline = true;
    // All that is still told passes, and what failed is not told any more.
    project.write("lib/add.sh", "check() { :; }\nadd() { echo 0; }\n");
    project.policy.run = vec![spec("sh check.sh; echo 'ok - always'; true", CheckParser::Tap)];
    project.policy.run[0].command = orchestrator_core::workspace::CheckCommand::Shell(
        "sh check.sh | sed -e 's/^1[.][.].*//' >out; n=$(grep -c ok out); echo 'ok - always'; cat out; echo \
         \"1..$((n + 1))\""
            .into(),
    );
    project.must_not_verify(Some(FewerTests)).await;
}

#[tokio::test]
async fn mends_the_fault_and_deletes_a_test_all_the_same() {
    let project = Project::rust().await;
    project.write("src/lib.rs", RUST_RIGHT);
    let (first, _) = RUST_TEST.split_once("\n\n").unwrap();
    project.write("tests/add.rs", first);
    project.must_not_verify(Some(TestDeleted)).await;
}
