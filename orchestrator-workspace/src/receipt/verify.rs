//! Whether a receipt is what was signed, and whether what it names is what is there.

use super::{
    content::{Chained, LogHead, Receipt, ReceiptEntry, SCHEMA, digest, link},
    key::PublicKey,
};
use orchestrator_core::{
    id::{BlobId, CommitId},
    workspace::{Evidence, Verdict},
};
use serde_json::Value;
use std::fmt;

/// The most bytes of a receipt that is read.
const MOST: usize = 64 * 1024 * 1024;

/// What a blob holds, by its id.
type Blobs<'a> = dyn Fn(&BlobId) -> Option<Vec<u8>> + 'a;
/// The tree of a commit, if it is there.
type Commits<'a> = dyn Fn(&CommitId) -> Option<CommitId> + 'a;

/// What a receipt is held against. Without anything only the receipt itself is checked.
#[derive(Default)]
pub struct Trust<'a> {
    /// The key that must have signed it. Without one, that whoever holds the key which it names has
    /// signed it is all that is known.
    pub key: Option<PublicKey>,
    /// Gives the blobs that it names.
    pub blobs: Option<&'a Blobs<'a>>,
    /// Gives the trees of the commits that it names.
    pub commits: Option<&'a Commits<'a>>,
    /// The events of the run's log, in order. A log that has gone on since is right, too.
    pub events: Option<&'a [Value]>,
}

impl fmt::Debug for Trust<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("key", &self.key)
            .field("blobs", &self.blobs.is_some())
            .field("commits", &self.commits.is_some())
            .field("events", &self.events.map(<[Value]>::len))
            .finish()
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The receipt, as far as it could be read. Nothing in it is to be believed where there are
    /// problems.
    pub receipt: Option<Receipt>,
    /// All that is wrong; nothing when it is right.
    pub problems: Vec<Problem>,
    /// How many blobs were compared.
    pub blobs: usize,
    /// How many commits were looked for.
    pub commits: usize,
}

/// What is wrong with a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is no receipt.
    #[error("this is no receipt that can be read: {0}")]
    Unreadable(String),
    /// It is of a version that is not known here.
    #[error("it is a `{0}`, and not a `{SCHEMA}`")]
    Schema(String),
    /// Its text is not the one that was written.
    #[error("its text was changed at byte {0}")]
    Text(usize),
    /// The key that it names is none.
    #[error("it names no key that can be read")]
    Key,
    /// Another key than the trusted one has signed it.
    #[error("it was signed by {0}, which is not the key that is trusted")]
    Untrusted(PublicKey),
    /// The signature is not of this content.
    #[error("its signature does not match: it was changed after it was signed, or never signed")]
    Signature,
    /// The chain is broken.
    #[error("its chain is broken at entry {at}, {about}: it or one before it was changed")]
    Chain {
        /// Which entry, from 1.
        at: usize,
        /// What it is about.
        about: String,
    },
    /// A blob is not there.
    #[error("the {what} `{blob}` is not there")]
    BlobMissing {
        /// What it is.
        what: String,
        /// Its id.
        blob: BlobId,
    },
    /// A blob holds something else.
    #[error("the {what} `{blob}` is not what was recorded")]
    BlobDiffers {
        /// What it is.
        what: String,
        /// Its id.
        blob: BlobId,
    },
    /// The evidence says something else than the receipt.
    #[error("{about} says something else than its blob: its {field} differs")]
    EvidenceDiffers {
        /// What the entry is about.
        about: String,
        /// Which field.
        field: &'static str,
    },
    /// A commit is not in the repository.
    #[error("the commit {0} is not in the repository")]
    CommitMissing(CommitId),
    /// A commit has another tree.
    #[error("the commit {commit} has another tree than the one that was checked, {tree}")]
    TreeDiffers {
        /// The commit.
        commit: CommitId,
        /// The tree that it should have.
        tree: CommitId,
    },
    /// The log is another.
    #[error("the log of the run is not the one that it was made from: {0}")]
    Log(String),
}

/// Checks the receipt in `bytes` and, as far as `trust` gives it, what it names. Needs no network.
pub fn verify(bytes: &[u8], trust: &Trust<'_>) -> Verification {
    let mut result = Verification { receipt: None, problems: Vec::new(), blobs: 0, commits: 0 };
    if bytes.len() > MOST {
        result.problems.push(Problem::Unreadable(format!("it is larger than {MOST} bytes")));
        return result;
    }
    let receipt: Receipt = match serde_json::from_slice(bytes) {
        Ok(receipt) => receipt,
        Err(error) => {
            result.problems.push(read_problem(bytes, &error));
            return result;
        }
    };
    if receipt.schema != SCHEMA {
        result.problems.push(Problem::Schema(receipt.schema.clone()));
    }
    // Only one text stands for one receipt: what people read is what was signed.
    let written = receipt.to_bytes();
    if written != bytes {
        let at = written.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        result.problems.push(Problem::Text(at));
    }
    signature(&receipt, trust, &mut result.problems);
    chain(&receipt, &mut result.problems);
    for Chained { entry, .. } in &receipt.entries {
        if let Some(blobs) = trust.blobs {
            compare_blobs(entry, blobs, &mut result);
        }
        if let Some(commits) = trust.commits {
            look_for_commits(entry, commits, &mut result);
        }
    }
    if let Some(events) = trust.events {
        log(&receipt.log, events, &mut result.problems);
    }
    result.receipt = Some(receipt);
    result
}

fn read_problem(bytes: &[u8], error: &serde_json::Error) -> Problem {
    let schema = serde_json::from_slice::<Value>(bytes).ok();
    let schema = schema.as_ref().and_then(|value| value.get("schema")).and_then(Value::as_str);
    match schema {
        Some(schema) if schema != SCHEMA => Problem::Schema(schema.chars().take(100).collect()),
        _ => Problem::Unreadable(error.to_string()),
    }
}

fn signature(receipt: &Receipt, trust: &Trust<'_>, problems: &mut Vec<Problem>) {
    let Ok(key) = receipt.key.parse::<PublicKey>() else {
        problems.push(Problem::Key);
        return;
    };
    if trust.key.is_some_and(|trusted| trusted != key) {
        problems.push(Problem::Untrusted(key));
    }
    if !key.accepts(&receipt.message(), &receipt.signature) {
        problems.push(Problem::Signature);
    }
}

/// The first place where the chain is broken: all after it hang on it.
fn chain(receipt: &Receipt, problems: &mut Vec<Problem>) {
    let mut hash = Receipt::begin(&receipt.run, &receipt.log);
    for (at, Chained { entry, hash: told }) in (1..).zip(&receipt.entries) {
        hash = link(&hash, &serde_json::to_value(entry).unwrap_or_default());
        if hash != *told {
            problems.push(Problem::Chain { at, about: entry.about() });
            return;
        }
    }
}

fn compare_blobs(entry: &ReceiptEntry, blobs: &Blobs<'_>, result: &mut Verification) {
    for named in entry.blobs() {
        let (what, blob) = (named.what.clone(), named.blob.clone());
        result.blobs += 1;
        let Some(bytes) = blobs(&blob) else {
            result.problems.push(Problem::BlobMissing { what, blob });
            continue;
        };
        if digest(&bytes) != named.digest {
            result.problems.push(Problem::BlobDiffers { what, blob });
            continue;
        }
        if named.what != "evidence" {
            continue;
        }
        let about = entry.about();
        match serde_json::from_slice::<Evidence>(&bytes) {
            Err(_) => {
                result.problems.push(Problem::EvidenceDiffers { about, field: "form" });
            }
            Ok(evidence) => {
                for (field, is_same) in told_by(entry, &evidence) {
                    if !is_same {
                        let about = about.clone();
                        result.problems.push(Problem::EvidenceDiffers { about, field });
                    }
                }
            }
        }
    }
}

/// Whether evidence says what an entry says that names it.
fn told_by(entry: &ReceiptEntry, evidence: &Evidence) -> Vec<(&'static str, bool)> {
    match entry {
        ReceiptEntry::Evidence { commit, tree, verdict, .. } => vec![
            ("commit", evidence.commit == *commit),
            ("tree", evidence.tree == *tree),
            ("verdict", evidence.verdict == *verdict),
        ],
        // It is of all that was checked together, whose last commit may be a later one.
        ReceiptEntry::Landing { .. } => {
            vec![("verdict", evidence.verdict == Verdict::Verified)]
        }
        ReceiptEntry::Run { .. }
        | ReceiptEntry::Agent { .. }
        | ReceiptEntry::Attempt { .. }
        | ReceiptEntry::PullRequest { .. }
        | ReceiptEntry::Cost { .. } => Vec::new(),
    }
}

fn look_for_commits(entry: &ReceiptEntry, commits: &Commits<'_>, result: &mut Verification) {
    for (commit, tree) in entry.commits() {
        result.commits += 1;
        match commits(commit) {
            None => result.problems.push(Problem::CommitMissing(commit.clone())),
            Some(found) => {
                if let Some(tree) = tree.filter(|tree| **tree != found) {
                    let (commit, tree) = (commit.clone(), tree.clone());
                    result.problems.push(Problem::TreeDiffers { commit, tree });
                }
            }
        }
    }
}

fn log(told: &LogHead, events: &[Value], problems: &mut Vec<Problem>) {
    let length = usize::try_from(told.events).unwrap_or(usize::MAX);
    match events.get(..length) {
        None => problems.push(Problem::Log(format!(
            "it has {} events, and {} are told of",
            events.len(),
            told.events
        ))),
        Some(events) if LogHead::of(events).head != told.head => {
            problems.push(Problem::Log("one of its events is another".to_owned()));
        }
        Some(_) => {}
    }
}
