//! What a task declares of where it works and what proves it.

use crate::task::opt_duration;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// What kind of place an attempt works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkspaceKind {
    /// An empty directory of its own.
    None,
    /// The project itself, to be read only.
    #[default]
    Project,
    /// A git worktree and a branch of its own.
    Worktree,
    /// A copy of the project, without git.
    Copy,
}

impl WorkspaceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::None, Self::Project, Self::Worktree, Self::Copy];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Project => "project",
            Self::Worktree => "worktree",
            Self::Copy => "copy",
        }
    }
}

/// Where the attempts of a task work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WorkspacePolicy {
    /// In what kind of place.
    pub kind: WorkspaceKind,
    /// Commands that make it ready, in this order, each for `sh -c`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Commands that are run before it is removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleanup: Vec<String>,
    /// Files of the project that git does not keep and that are copied into it, such as `.env`:
    /// paths or patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copy: Vec<String>,
    /// How many ports it has of its own, told in `ORCHESTRATOR_PORT` and `ORCHESTRATOR_PORTS`.
    #[serde(default)]
    pub ports: u16,
    /// The directory in it where the work is done, such as a package of a monorepo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Directories that are checked out, and no others; all when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse: Vec<String>,
    /// How many bytes it may take on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<u64>,
    /// Whether the hooks of the project's repository run in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hooks: bool,
}

/// A command that proves a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckSpec {
    /// What it is called; the command itself unless it is said.
    pub name: String,
    /// What is run.
    pub command: CheckCommand,
    /// The directory in the checkout where it is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// How long it may take.
    #[serde(default, with = "opt_duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// How what it prints is read.
    #[serde(default)]
    pub parser: CheckParser,
    /// The file that it writes and that is read in place of what it prints, relative to
    /// `directory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// How often it is run again when it fails, to tell a flaky check from a broken one.
    #[serde(default)]
    pub retries: u32,
    /// The least part of lines that must be covered, in percent, where a coverage report is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<u8>,
}

impl CheckSpec {
    /// A check by its exit code alone, run once in the root of the checkout.
    pub fn new(name: impl Into<String>, command: CheckCommand) -> Self {
        Self {
            name: name.into(),
            command,
            directory: None,
            timeout: None,
            parser: CheckParser::default(),
            report: None,
            retries: 0,
            coverage: None,
        }
    }
}

/// What a check runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CheckCommand {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

impl fmt::Display for CheckCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(line) => f.write_str(line),
            Self::Program(words) => f.write_str(&words.join(" ")),
        }
    }
}

/// How what a check prints or writes is read. The exit code counts whatever the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckParser {
    /// Only the exit code counts.
    #[default]
    ExitCode,
    /// JUnit XML.
    Junit,
    /// Test Anything Protocol, versions 12 to 14.
    Tap,
    /// SARIF 2.1.0: results of level `error` fail.
    Sarif,
    /// What `cargo test` prints, as text or as JSON lines.
    Cargo,
    /// The report of `pytest-json-report`, or what `pytest -rA` prints.
    Pytest,
    /// What `jest --json` or `vitest --reporter=json` gives.
    Jest,
    /// What `go test -json` prints.
    Go,
    /// Coverage: LCOV, Cobertura XML or the JSON of coverage.py.
    Coverage,
}

impl CheckParser {
    /// Every parser.
    pub const ALL: [Self; 9] = [
        Self::ExitCode,
        Self::Junit,
        Self::Tap,
        Self::Sarif,
        Self::Cargo,
        Self::Pytest,
        Self::Jest,
        Self::Go,
        Self::Coverage,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExitCode => "exit-code",
            Self::Junit => "junit",
            Self::Tap => "tap",
            Self::Sarif => "sarif",
            Self::Cargo => "cargo",
            Self::Pytest => "pytest",
            Self::Jest => "jest",
            Self::Go => "go",
            Self::Coverage => "coverage",
        }
    }
}

/// What proves the results of a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChecksPolicy {
    /// The commands, run in this order.
    pub run: Vec<CheckSpec>,
    /// What follows when an attempt has weakened what proves it.
    #[serde(default)]
    pub tamper: TamperPolicy,
    /// Whether the checks also run on the base, so that failures that were there before do not
    /// count against the attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// Commands that make the checkout ready, each for `sh -c`; those of the workspace unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Paths or patterns of what proves results besides what is known for tests: changes of them
    /// are flagged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<String>,
    /// The agent or role that judges the result, once the commands have passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
}

/// What follows when an attempt has deleted, skipped, weakened or changed what proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TamperPolicy {
    /// It is not verified, and is sent back.
    #[default]
    Block,
    /// It is flagged, and verified all the same.
    Flag,
    /// Nobody looks.
    Off,
}
