//! What a receipt says.

use super::key::hex;
use orchestrator_core::{
    canonical_json,
    id::{AttemptNumber, BlobId, CommitId, RunId, TaskName},
    money::MicroUsd,
    workspace::{CheckOutcome, Verdict},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The name and version of the document.
pub const SCHEMA: &str = "orchestrator.receipt/v1";

/// What a run did, as a document that is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Receipt {
    /// [`SCHEMA`].
    pub schema: String,
    /// The run.
    pub run: RunId,
    /// The log of the run that it was made from.
    pub log: LogHead,
    /// What it tells, in order; each entry holds the hash of all before it.
    pub entries: Vec<Chained>,
    /// The public key that signed it.
    pub key: String,
    /// The signature: 128 lower-case hexadecimal digits.
    pub signature: String,
}

/// An entry and the hash of the chain up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Chained {
    /// What it tells.
    pub entry: ReceiptEntry,
    /// `sha256:` and 64 hexadecimal digits: of the hash before it and of the entry.
    pub hash: String,
}

/// How far a log was read, and the hash of the chain of its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogHead {
    /// How many events.
    pub events: u64,
    /// `sha256:` and 64 hexadecimal digits.
    pub head: String,
}

impl LogHead {
    /// The head of the chain over `events`, each as the document that is exported.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut head = Self { events: 0, head: start("orchestrator.log/v1") };
        for event in events {
            head.events += 1;
            head.head = link(&head.head, event);
        }
        head
    }
}

/// One thing that a receipt tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum ReceiptEntry {
    /// What ran.
    Run {
        /// The workflow's name.
        workflow: String,
        /// Its version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// How the run ended, such as `succeeded`.
        status: String,
        /// When it began, RFC 3339.
        began: String,
        /// When it ended, RFC 3339; none while it goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<String>,
        /// The version of the orchestrator.
        orchestrator: String,
    },
    /// Who worked.
    Agent {
        /// Its name.
        name: String,
        /// On what it runs.
        provider: String,
        /// Its model, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The version of its program, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
    /// What one attempt made.
    Attempt {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// Who.
        agent: String,
        /// How it ended.
        status: String,
        /// What it cost.
        cost_usd: MicroUsd,
        /// The commit that holds its work, if it made one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<CommitId>,
        /// What the commit was made on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<CommitId>,
    },
    /// What was checked.
    Evidence {
        /// The task.
        task: TaskName,
        /// Which try.
        attempt: AttemptNumber,
        /// The commit that was checked.
        commit: CommitId,
        /// Its tree.
        tree: CommitId,
        /// What it came to.
        verdict: Verdict,
        /// How the checks were confined.
        sandbox: String,
        /// Each check and how it ended.
        checks: Vec<Checked>,
        /// The evidence itself, and what the checks printed.
        blobs: Vec<BlobDigest>,
    },
    /// What came onto a branch.
    Landing {
        /// The task.
        task: TaskName,
        /// The branch.
        target: String,
        /// What it was before.
        before: CommitId,
        /// What it is after.
        commit: CommitId,
        /// Whether the work was verified.
        verified: bool,
        /// What was checked on the branch with it, and what those checks printed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        blobs: Vec<BlobDigest>,
    },
    /// A pull request that was opened.
    PullRequest {
        /// The task.
        task: TaskName,
        /// The branch that it is for.
        target: String,
        /// The commit that it asks to merge.
        commit: CommitId,
        /// Where people look at it.
        url: String,
        /// Its number there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        /// Whether the work was verified.
        verified: bool,
    },
    /// What all of it cost.
    Cost {
        /// In all.
        usd: MicroUsd,
        /// Calls of models.
        calls: u64,
        /// Tokens that models were given.
        input_tokens: u64,
        /// Tokens that models gave.
        output_tokens: u64,
    },
}

/// A check and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Checked {
    /// What it is called.
    pub name: String,
    /// How it ended.
    pub outcome: CheckOutcome,
}

/// A blob and the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BlobDigest {
    /// What it is, such as `evidence` or `output`.
    pub what: String,
    /// Where it is found.
    pub blob: BlobId,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

impl BlobDigest {
    /// What is in a blob with these bytes.
    pub fn new(what: impl Into<String>, blob: BlobId, bytes: &[u8]) -> Self {
        Self { what: what.into(), blob, digest: digest(bytes) }
    }
}

impl ReceiptEntry {
    /// What it is about, for people.
    pub fn about(&self) -> String {
        match self {
            Self::Run { workflow, .. } => format!("the run of `{workflow}`"),
            Self::Agent { name, .. } => format!("the agent `{name}`"),
            Self::Attempt { task, attempt, .. } => {
                format!("attempt {} of `{task}`", attempt.0)
            }
            Self::Evidence { task, attempt, .. } => {
                format!("the evidence of attempt {} of `{task}`", attempt.0)
            }
            Self::Landing { task, target, .. } => format!("`{task}` landing on `{target}`"),
            Self::PullRequest { task, url, .. } => format!("the pull request of `{task}`, {url}"),
            Self::Cost { .. } => "what it cost".to_owned(),
        }
    }

    /// The commits that it names, each with its tree where it tells that.
    pub fn commits(&self) -> Vec<(&CommitId, Option<&CommitId>)> {
        match self {
            Self::Run { .. } | Self::Agent { .. } | Self::Cost { .. } => Vec::new(),
            Self::Attempt { commit, base, .. } => {
                commit.iter().chain(base).map(|commit| (commit, None)).collect()
            }
            Self::Evidence { commit, tree, .. } => vec![(commit, Some(tree))],
            Self::Landing { before, commit, .. } => vec![(before, None), (commit, None)],
            Self::PullRequest { commit, .. } => vec![(commit, None)],
        }
    }

    /// The blobs that it names.
    pub fn blobs(&self) -> &[BlobDigest] {
        match self {
            Self::Evidence { blobs, .. } | Self::Landing { blobs, .. } => blobs,
            Self::Run { .. }
            | Self::Agent { .. }
            | Self::Attempt { .. }
            | Self::PullRequest { .. }
            | Self::Cost { .. } => &[],
        }
    }
}

/// `sha256:` and the hash of `bytes`.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// The hash that a chain of this name begins with.
pub(super) fn start(name: &str) -> String {
    digest(name.as_bytes())
}

/// The hash of a chain after one more value.
pub(super) fn link(before: &str, value: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(before.as_bytes());
    hash.update(b"\n");
    canonical_json(value, &mut |bytes| hash.update(bytes));
    format!("sha256:{}", hex(&hash.finalize()))
}

impl Receipt {
    /// The hash that the chain of its entries begins with: of what stands before them.
    pub(super) fn begin(run: &RunId, log: &LogHead) -> String {
        let head = serde_json::json!({
            "schema": SCHEMA,
            "run": run,
            "log": { "events": log.events, "head": log.head },
        });
        link(&start(SCHEMA), &head)
    }

    /// What is signed: all of it but the signature.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.remove("signature");
        }
        let mut message = format!("{SCHEMA}\n").into_bytes();
        canonical_json(&value, &mut |bytes| message.extend_from_slice(bytes));
        message
    }

    /// The document, as it is kept: JSON for people, with a line feed at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}
