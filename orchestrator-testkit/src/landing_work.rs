//! Work that is to land on a branch, and what its check gave there: for tests of landing on real
//! repositories.

use async_trait::async_trait;
use orchestrator_core::{
    id::CommitId,
    port::{AttemptHost, Checked, LandRequest, LogLine, Progress},
    task::Priority,
    time::Timestamp,
    workspace::{
        CheckCommand, CheckOutcome, CheckParser, CheckRecord, CheckSpec, ChecksPolicy, Evidence,
        LandPolicy, Verdict,
    },
};
use std::collections::BTreeMap;

/// The host of an attempt that nobody follows and nobody stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unstopped;

#[async_trait]
impl AttemptHost for Unstopped {
    fn log(&self, _: LogLine) {}

    fn progress(&self, _: Progress) {}

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn cancelled(&self) {
        std::future::pending().await
    }
}

/// Verified work that has to pass the shell line `check`, called `test`, on the branch that `policy`
/// names.
pub fn request(commit: CommitId, base: CommitId, policy: LandPolicy, check: &str) -> LandRequest {
    let check = CheckSpec {
        name: "test".into(),
        command: CheckCommand::Shell(check.into()),
        directory: None,
        timeout: None,
        parser: CheckParser::ExitCode,
        report: None,
        retries: 0,
        coverage: None,
    };
    LandRequest {
        commit,
        base,
        policy,
        checks: ChecksPolicy { run: vec![check], ..ChecksPolicy::default() },
        verified: true,
        priority: Priority::Normal,
    }
}

/// What one check gave.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What was run.
    pub command: Vec<String>,
    /// Its exit code; 0 is good.
    pub code: Option<i32>,
    /// All that it printed.
    pub printed: Vec<u8>,
}

/// The evidence of checks that ran on `commit`, which has that tree and would follow `base`, with what
/// they printed: not confined, and good when all exit codes are.
pub fn checked(
    (commit, tree): (&CommitId, CommitId),
    base: &CommitId,
    checks: &[CheckSpec],
    ran: &[Ran],
) -> Checked {
    let record = |(check, ran): (&CheckSpec, &Ran)| CheckRecord {
        name: check.name.clone(),
        command: ran.command.clone(),
        outcome: match ran.code {
            Some(0) => CheckOutcome::Passed,
            _ => CheckOutcome::Failed,
        },
        exit_code: ran.code,
        duration_ms: 0,
        runs: 1,
        tests: None,
        new_failures: Vec::new(),
        old_failures: Vec::new(),
        flaky: Vec::new(),
        coverage: None,
        excerpt: String::from_utf8_lossy(&ran.printed).into_owned(),
        output: None,
    };
    let records: Vec<CheckRecord> = checks.iter().zip(ran).map(record).collect();
    let is_good = records.iter().all(|record| record.outcome.is_good());
    Checked {
        evidence: Evidence {
            commit: commit.clone(),
            base: base.clone(),
            tree,
            sandbox: "off".into(),
            environment: BTreeMap::new(),
            checks: records,
            findings: Vec::new(),
            judgement: None,
            verdict: if is_good { Verdict::Verified } else { Verdict::Failed },
        },
        outputs: ran.iter().map(|ran| ran.printed.clone()).collect(),
    }
}
