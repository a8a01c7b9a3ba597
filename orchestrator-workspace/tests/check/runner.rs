//! How checks are run: what they see, how they are bounded, what is told of them.

use crate::support::{Host, Project, RIGHT, WRONG, spec};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    workspace::{CheckOutcome, CheckParser, Verdict},
};
use orchestrator_workspace::{
    check::{CheckError, CheckSettings},
    process::Environment,
    sandbox::{Confinement, Enforced, Off, Sandbox, SandboxError},
};
use std::{ffi::OsStr, ffi::OsString, path::Path, process::Command, sync::Arc};

#[tokio::test]
async fn a_check_sees_its_own_home_and_nothing_of_the_environment() {
    let mut project = Project::shell().await;
    let line = "env | sort; [ \"$PWD\" != \"$HOME\" ] && [ -d \"$TMPDIR\" ] && [ ! -e .git ] && [ -z \
                \"$CARGO_MANIFEST_DIR\" ]";
    project.policy.run = vec![spec(line, CheckParser::ExitCode)];
    let checked = project.check().await;
    let output = String::from_utf8(checked.outputs[0].clone()).unwrap();
    assert_eq!(checked.evidence.verdict, Verdict::Verified, "{output}");
    assert!(output.contains("TZ=UTC"), "{output}");
    assert!(checked.evidence.environment["variables"].contains("TMPDIR"));
}

#[tokio::test]
async fn a_relative_place_for_programs_is_not_looked_at() {
    let mut project = Project::shell().await;
    project.program("tool", "#!/bin/sh\nexit 0\n");
    project.policy.run =
        vec![spec("case \":$PATH:\" in *:.:*|*::*) exit 1;; esac", CheckParser::ExitCode)];
    let commit = project.record().await;
    let environment = Environment::from_vars(std::env::vars_os(), &[])
        .with("PATH", format!(".:{}:", std::env::var("PATH").unwrap()));
    let settings = CheckSettings::new(project.root().join("scratch"), environment);
    let checked = project.check_with(Arc::new(Off), settings, &commit).await.unwrap();
    assert_eq!(checked.evidence.verdict, Verdict::Verified, "{:?}", checked.evidence);
}

#[tokio::test]
async fn a_repository_around_the_checkout_is_not_found() {
    let mut project = Project::shell().await;
    project.policy.run = vec![spec("! git rev-parse --git-dir", CheckParser::ExitCode)];
    let commit = project.record().await;
    let environment = Environment::from_vars(std::env::vars_os(), &[]);
    let settings = CheckSettings::new(project.root().join("user/scratch"), environment);
    let checked = project.check_with(Arc::new(Off), settings, &commit).await.unwrap();
    assert_eq!(checked.evidence.verdict, Verdict::Verified, "{:?}", checked.evidence);
}

#[tokio::test]
async fn set_up_comes_first_and_its_failure_is_told() {
    let mut project = Project::shell().await;
    project.write("lib/add.sh", WRONG);
    project.policy.run =
        vec![spec("[ -e ready ] && [ -e \"$HOME/ready\" ]", CheckParser::ExitCode)];
    project.policy.setup = vec!["touch ready".into(), "touch \"$HOME/ready\"".into()];
    assert_eq!(project.check().await.evidence.verdict, Verdict::Verified);
    project.policy.setup = vec!["echo no such thing >&2; exit 3".into()];
    let evidence = project.check().await.evidence;
    assert_eq!(evidence.verdict, Verdict::Failed);
    assert_eq!(evidence.checks[0].outcome, CheckOutcome::Unusable);
    let excerpt = &evidence.checks[0].excerpt;
    assert!(excerpt.contains("exit code 3") && excerpt.contains("no such thing"), "{excerpt}");
}

#[tokio::test]
async fn outcomes_are_told_apart() {
    let mut project = Project::shell().await;
    for (line, parser, outcome, words) in [
        ("false", CheckParser::ExitCode, CheckOutcome::Failed, ""),
        ("kill -9 $$", CheckParser::ExitCode, CheckOutcome::Failed, "a signal ended it"),
        ("echo 1..0", CheckParser::Tap, CheckOutcome::Unusable, "no test ran"),
        (
            "echo 'ok 1 # SKIP x'; echo 1..1",
            CheckParser::Tap,
            CheckOutcome::Unusable,
            "1 were skipped",
        ),
        ("echo 'not ok 1'; echo 1..1", CheckParser::Tap, CheckOutcome::Failed, "with exit code 0"),
        ("echo hello", CheckParser::Tap, CheckOutcome::Unusable, "no test points"),
        ("echo hello; exit 1", CheckParser::Tap, CheckOutcome::Failed, "hello"),
        ("echo '{}'", CheckParser::Sarif, CheckOutcome::Unusable, "no `runs`"),
        ("no-such-program-at-all", CheckParser::ExitCode, CheckOutcome::Failed, "not found"),
    ] {
        project.policy.run = vec![spec(line, parser)];
        let record = project.check().await.evidence.checks.remove(0);
        assert_eq!(record.outcome, outcome, "{line}: {record:?}");
        assert!(record.excerpt.contains(words), "{line}: {record:?}");
    }
    let mut program = spec("x", CheckParser::ExitCode);
    program.command =
        orchestrator_core::workspace::CheckCommand::Program(vec!["no-such-program-at-all".into()]);
    project.policy.run = vec![program];
    let record = project.check().await.evidence.checks.remove(0);
    assert_eq!(record.outcome, CheckOutcome::Unusable);
    assert!(record.excerpt.contains("cannot start"), "{record:?}");
    // Nothing that proves is no proof.
    project.policy.run = Vec::new();
    assert_eq!(project.check().await.evidence.verdict, Verdict::Failed);
}

#[tokio::test]
async fn coverage_may_be_asked_for() {
    let mut project = Project::shell().await;
    let line = "printf 'SF:a\\nDA:1,1\\nDA:2,1\\nDA:3,0\\nDA:4,1\\nend_of_record\\n' >cov.info";
    let mut check = spec(line, CheckParser::Coverage);
    check.report = Some("cov.info".into());
    for (least, outcome) in [
        (None, CheckOutcome::Passed),
        (Some(75), CheckOutcome::Passed),
        (Some(76), CheckOutcome::Failed),
    ] {
        check.coverage = least;
        project.policy.run = vec![check.clone()];
        let record = project.check().await.evidence.checks.remove(0);
        assert_eq!((record.outcome, record.coverage), (outcome, Some(75.0)));
    }
}

#[tokio::test]
async fn paths_out_of_the_checkout_are_refused() {
    let mut project = Project::shell().await;
    project.link("/", "everything");
    for (directory, report) in [
        (Some("../"), None),
        (Some("/tmp"), None),
        (Some("everything/tmp"), None),
        (None, Some("../x.tap")),
        (None, Some("everything/tmp/x.tap")),
        (Some("missing"), None),
    ] {
        let mut check = spec("echo ok 1; echo 1..1", CheckParser::Tap);
        check.directory = directory.map(str::to_owned);
        check.report = report.map(str::to_owned);
        project.policy.run = vec![check];
        let record = project.check().await.evidence.checks.remove(0);
        assert_eq!(record.outcome, CheckOutcome::Unusable, "{directory:?} {report:?}");
    }
}

#[tokio::test]
async fn a_base_is_checked_once() {
    let mut project = Project::shell().await;
    project.policy.baseline = true;
    let count = project.root().join("count");
    let line = format!("grep -q 'echo 0' lib/add.sh && echo x >>{}; sh check.sh", count.display());
    project.policy.run = vec![spec(&line, CheckParser::Tap)];
    project.write("lib/add.sh", RIGHT);
    for _ in 0..3 {
        project.must_verify().await;
    }
    assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
}

#[tokio::test]
async fn a_check_stops_when_the_attempt_does() {
    let mut project = Project::shell().await;
    project.policy.run = vec![spec("echo begun; sleep 600", CheckParser::ExitCode)];
    let host = Host { stop_at: Some("begun"), ..Host::default() };
    let error = project.check_heard_by(&host).await.unwrap_err();
    assert!(matches!(error, CheckError::Cancelled));
    assert_eq!(Failure::from(error).class, ErrorClass::Cancelled);
}

/// Lets nothing run.
#[derive(Debug)]
struct Closed;

impl Sandbox for Closed {
    fn name(&self) -> &str {
        "closed"
    }

    fn command(
        &self,
        _: &OsStr,
        _: &[OsString],
        _: &Path,
        _: &Confinement,
    ) -> Result<Command, SandboxError> {
        Err(SandboxError::Unavailable("nothing here confines".into()))
    }

    fn prove(&self, _: &Confinement) -> Result<Vec<Enforced>, SandboxError> {
        Err(SandboxError::Unavailable("nothing here confines".into()))
    }
}

#[tokio::test]
async fn what_cannot_be_confined_is_not_run() {
    let project = Project::shell().await;
    let commit = project.record().await;
    let settings = CheckSettings::new(project.root().join("scratch"), Environment::default());
    let error = project.check_with(Arc::new(Closed), settings, &commit).await.unwrap_err();
    assert_eq!(Failure::from(error).class, ErrorClass::Unsafe);
}
