//! Workspaces, what was made in them, and what proves it, as documents.

use orchestrator_core::workspace::{
    Change, ChangedFile, CheckOutcome, Evidence, FindingKind, PullRequestRef, Verdict,
};
use serde::Serialize;

/// What an attempt did in a place of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkView {
    /// Which try, from 1.
    pub attempt: u32,
    /// Its place.
    pub workspace: WorkspaceView,
    /// The states of the place that were recorded, first to last.
    pub checkpoints: Vec<String>,
    /// What it made; null before its agent is done, and without git.
    pub made: Option<MadeView>,
    /// What proves it; null without checks, or before they have run.
    pub evidence: Option<EvidenceView>,
    /// Where it has landed.
    pub landed: Option<LandedView>,
    /// The pull request that was opened for it.
    pub requested: Option<RequestedView>,
    /// Why it could not land.
    pub refused: Option<RefusedView>,
}

/// The place of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkspaceView {
    /// `none`, `project`, `worktree` or `copy`.
    pub kind: String,
    /// Where it is or was.
    pub directory: String,
    /// Its branch; null without git.
    pub branch: Option<String>,
    /// The commit that it began from; null without git.
    pub base: Option<String>,
    /// How programs in it are confined; `off` when they are not.
    pub sandbox: String,
}

/// What an attempt made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MadeView {
    /// The commit that holds it.
    pub commit: String,
    /// What it was made on.
    pub base: String,
    /// How many files differ.
    pub files: u32,
    /// The first of them.
    pub changed: Vec<ChangedView>,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedView {
    /// Its path in the repository.
    pub path: String,
    /// `added`, `modified`, `deleted`, `renamed` or `type-changed`.
    pub change: &'static str,
    /// Where it was before, when it was renamed.
    pub from: Option<String>,
}

/// What the engine found when it checked a commit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvidenceView {
    /// `verified`, `failed`, `tampered` or `not-accepted`.
    pub verdict: &'static str,
    /// The commit that was checked.
    pub commit: String,
    /// The hash of its files.
    pub tree: String,
    /// How the checks were confined; `off` when they were not.
    pub sandbox: String,
    /// The content that holds all of it: `orchestrator.evidence/v1`.
    pub blob: String,
    /// The checks, in the order in which they ran.
    pub checks: Vec<CheckedView>,
    /// What the attempt did to that which proves it.
    pub findings: Vec<FoundView>,
    /// What a judge said, if one was asked.
    pub judgement: Option<JudgedView>,
}

/// What one check gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckedView {
    /// What it is called.
    pub name: String,
    /// What was run: program and arguments.
    pub command: Vec<String>,
    /// `passed`, `flaky`, `failed-before`, `failed`, `timed-out` or `unusable`.
    pub outcome: &'static str,
    /// Its exit code; null when a signal or its limit ended it.
    pub exit_code: Option<i32>,
    /// How long it took.
    pub duration_ms: u64,
    /// How often it was run.
    pub runs: u32,
    /// How many of its tests passed, where it tells.
    pub passed: Option<u32>,
    /// How many failed.
    pub failed: Option<u32>,
    /// How many did not run.
    pub skipped: Option<u32>,
    /// What failed that did not fail on the base.
    pub new_failures: Vec<String>,
    /// What failed on the base as well.
    pub old_failures: Vec<String>,
    /// What failed and then passed.
    pub flaky: Vec<String>,
    /// The part of lines that is covered, in percent, where a report tells.
    pub coverage: Option<f64>,
    /// The last of what it printed.
    pub excerpt: String,
}

/// Something that an attempt did to that which proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundView {
    /// What, such as `test-deleted`.
    pub kind: &'static str,
    /// The file; empty when it is about none.
    pub path: String,
    /// In words.
    pub message: String,
    /// Whether it keeps the result from being verified.
    pub blocks: bool,
}

/// What a judge said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JudgedView {
    /// The agent that judged.
    pub agent: String,
    /// Whether it accepts the result.
    pub accepted: bool,
    /// Why.
    pub reason: String,
}

/// Where work has landed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LandedView {
    /// The branch.
    pub branch: String,
    /// The commit there.
    pub commit: String,
    /// What the branch was before.
    pub before: String,
    /// The content that holds what the checks gave on the branch with it; null without checks.
    pub evidence: Option<String>,
    /// The contents that hold what these printed.
    pub outputs: Vec<String>,
}

/// A pull request that is open for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestedView {
    /// The branch that it is for.
    pub branch: String,
    /// The commit that it asks to merge.
    pub commit: String,
    /// Where people look at it.
    pub url: String,
    /// Its number there; null when it has none.
    pub number: Option<u64>,
}

impl From<&PullRequestRef> for RequestedView {
    fn from(request: &PullRequestRef) -> Self {
        Self {
            branch: request.target.clone(),
            commit: request.commit.to_string(),
            url: request.url.clone(),
            number: request.number,
        }
    }
}

/// Why work could not land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedView {
    /// The branch.
    pub branch: String,
    /// What it was.
    pub tip: String,
    /// The files of a conflict; empty when the checks did not pass on the combination.
    pub files: Vec<String>,
    /// In words.
    pub message: String,
    /// The content that holds what the checks gave on the combination; null for a conflict.
    pub evidence: Option<String>,
    /// The contents that hold what these printed.
    pub outputs: Vec<String>,
}

/// A branch on which a run has landed work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResultBranch {
    /// The branch.
    pub branch: String,
    /// The last commit that the run has there.
    pub commit: String,
    /// The tasks whose work is there, in the order in which it landed.
    pub tasks: Vec<String>,
}

impl From<&ChangedFile> for ChangedView {
    fn from(file: &ChangedFile) -> Self {
        let change = match file.change {
            Change::Added => "added",
            Change::Modified => "modified",
            Change::Deleted => "deleted",
            Change::Renamed => "renamed",
            Change::TypeChanged => "type-changed",
        };
        Self { path: file.path.clone(), change, from: file.from.clone() }
    }
}

impl EvidenceView {
    /// The evidence that is kept as `blob`.
    pub(crate) fn new(evidence: &Evidence, blob: String) -> Self {
        let verdict = match evidence.verdict {
            Verdict::Verified => "verified",
            Verdict::Failed => "failed",
            Verdict::Tampered => "tampered",
            Verdict::NotAccepted => "not-accepted",
        };
        let check = |check: &orchestrator_core::workspace::CheckRecord| CheckedView {
            name: check.name.clone(),
            command: check.command.clone(),
            outcome: match check.outcome {
                CheckOutcome::Passed => "passed",
                CheckOutcome::Flaky => "flaky",
                CheckOutcome::FailedBefore => "failed-before",
                CheckOutcome::Failed => "failed",
                CheckOutcome::TimedOut => "timed-out",
                CheckOutcome::Unusable => "unusable",
            },
            exit_code: check.exit_code,
            duration_ms: check.duration_ms,
            runs: check.runs,
            passed: check.tests.map(|tests| tests.passed),
            failed: check.tests.map(|tests| tests.failed),
            skipped: check.tests.map(|tests| tests.skipped),
            new_failures: check.new_failures.clone(),
            old_failures: check.old_failures.clone(),
            flaky: check.flaky.clone(),
            coverage: check.coverage,
            excerpt: check.excerpt.clone(),
        };
        let finding = |finding: &orchestrator_core::workspace::Finding| FoundView {
            kind: match finding.kind {
                FindingKind::TestDeleted => "test-deleted",
                FindingKind::TestSkipped => "test-skipped",
                FindingKind::TestWeakened => "test-weakened",
                FindingKind::TestChanged => "test-changed",
                FindingKind::CheckChanged => "check-changed",
                FindingKind::FewerTests => "fewer-tests",
                FindingKind::Planted => "planted",
                FindingKind::Outside => "outside",
            },
            path: finding.path.clone(),
            message: finding.message.clone(),
            blocks: finding.blocks,
        };
        Self {
            verdict,
            commit: evidence.commit.to_string(),
            tree: evidence.tree.to_string(),
            sandbox: evidence.sandbox.clone(),
            blob,
            checks: evidence.checks.iter().map(check).collect(),
            findings: evidence.findings.iter().map(finding).collect(),
            judgement: evidence.judgement.as_ref().map(|judgement| JudgedView {
                agent: judgement.agent.clone(),
                accepted: judgement.accepted,
                reason: judgement.reason.clone(),
            }),
        }
    }
}
