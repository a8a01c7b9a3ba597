//! What the engine found when it checked a commit.

use crate::id::{BlobId, CommitId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What was found when the checks ran on a commit: the document `orchestrator.evidence/v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// The commit that was checked out.
    pub commit: CommitId,
    /// What it was made on.
    pub base: CommitId,
    /// The hash of the commit's tree, so that the content is named and not only the commit.
    pub tree: CommitId,
    /// How the checks were confined, such as `landlock`; `off` when they were not.
    pub sandbox: String,
    /// What tells the environment: the system, versions of programs, names of variables.
    pub environment: BTreeMap<String, String>,
    /// What each check gave, in the order in which they ran.
    pub checks: Vec<CheckRecord>,
    /// What the attempt did to that which proves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What a judge said, if one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
    /// What it comes to.
    pub verdict: Verdict,
}

impl Evidence {
    /// Where what the checks printed is kept: in order of the names, each once.
    pub fn outputs(&self) -> Vec<BlobId> {
        let kept = self.checks.iter().filter_map(|check| check.output.clone());
        let kept: BTreeSet<BlobId> = kept.collect();
        kept.into_iter().collect()
    }
}

/// What evidence comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every check passed, at least one ran, and nothing that proves the result was weakened.
    Verified,
    /// A check did not pass.
    Failed,
    /// What proves the result was weakened.
    Tampered,
    /// The judge did not accept it.
    NotAccepted,
}

/// What one check gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckRecord {
    /// What it is called.
    pub name: String,
    /// What was run: program and arguments.
    pub command: Vec<String>,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// Its exit code; none when a signal or the limit ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How long it took, in milliseconds, all its runs together.
    pub duration_ms: u64,
    /// How often it was run.
    pub runs: u32,
    /// How many tests it told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestCounts>,
    /// Names of what failed that did not fail on the base, at most [`CheckRecord::LISTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_failures: Vec<String>,
    /// Names of what failed on the base as well, at most [`CheckRecord::LISTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub old_failures: Vec<String>,
    /// Names of what failed and then passed, at most [`CheckRecord::LISTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<String>,
    /// The part of lines that is covered, in percent, where a report told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// The last of what it printed, for people and agents.
    pub excerpt: String,
    /// All that it printed, up to a bound. Kept by the engine: none until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<BlobId>,
}

impl CheckRecord {
    /// The most names in each of its lists.
    pub const LISTED: usize = 100;
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// Well.
    Passed,
    /// It failed, and then passed when it was run again.
    Flaky,
    /// It failed as it does on the base, with nothing new.
    FailedBefore,
    /// It failed.
    Failed,
    /// It was past its limit.
    TimedOut,
    /// It could not be run, or what it gave could not be read.
    Unusable,
}

impl CheckOutcome {
    /// Whether it counts as passed.
    pub fn is_good(self) -> bool {
        match self {
            Self::Passed | Self::Flaky | Self::FailedBefore => true,
            Self::Failed | Self::TimedOut | Self::Unusable => false,
        }
    }
}

/// How one test of a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseOutcome {
    /// Well.
    Passed,
    /// Badly.
    Failed,
    /// It did not run.
    Skipped,
}

/// How many tests a check told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TestCounts {
    /// That passed.
    pub passed: u32,
    /// That failed.
    pub failed: u32,
    /// That did not run.
    pub skipped: u32,
}

/// Something that an attempt did to that which proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// The file; empty when it is about none.
    pub path: String,
    /// In words, for people and agents.
    pub message: String,
    /// Whether it keeps the result from being verified.
    pub blocks: bool,
}

/// What an attempt did to that which proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A test file is gone.
    TestDeleted,
    /// A test is skipped, ignored, or is the only one that runs.
    TestSkipped,
    /// A test has fewer assertions, or assertions that cannot fail.
    TestWeakened,
    /// A test file was changed.
    TestChanged,
    /// What runs the checks was changed: a script, a configuration of tests, a continuous
    /// integration file.
    CheckChanged,
    /// Fewer tests ran than on the base.
    FewerTests,
    /// Something that git or a tool would run by itself was planted: a hook, a filter, an
    /// attribute.
    Planted,
    /// Something outside of its place was touched: a branch, a link that leads out.
    Outside,
}

/// What a judge said of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Judgement {
    /// The agent that judged.
    pub agent: String,
    /// Its model, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether it accepts the result.
    pub accepted: bool,
    /// Why.
    pub reason: String,
}
