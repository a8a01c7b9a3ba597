//! Verifying receipts: offline, and against what is here of the run.

use super::receipt::log;
use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{ReceiptTaskView, VerifyView},
};
use orchestrator_core::{
    id::{BlobId, CommitId, Sequence, TaskName},
    workspace::Verdict,
};
use orchestrator_workspace::receipt::{
    Problem, PublicKey, Receipt, ReceiptEntry, Trust, Verification, verify,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::Path,
};

/// The most bytes that are read of a file that should hold a key.
const KEY: u64 = 4 * 1024;
/// The most bytes of a receipt that are read: one more than are taken.
const RECEIPT: u64 = 64 * 1024 * 1024 + 1;

/// What is here of the run that a receipt is of.
#[derive(Default)]
struct Here {
    blobs: Option<BTreeMap<BlobId, Vec<u8>>>,
    trees: Option<BTreeMap<CommitId, CommitId>>,
    events: Option<Vec<Value>>,
    unchecked: Vec<String>,
}

impl OrchestratorService {
    /// Whether a receipt is what was signed; and, where this project has the run, whether its evidence,
    /// commits and log are what it names. `key` is the key that must have signed it: its text, or a file
    /// that holds that.
    ///
    /// # Errors
    /// [`ServiceError::Receipt`] when the file is no receipt; a key that cannot be read.
    pub async fn verify_receipt(
        &self,
        file: &Path,
        key: Option<&str>,
    ) -> Result<VerifyView, ServiceError> {
        let path = self.environment().directory.join(file);
        let unreadable = |reason: String| ServiceError::Receipt { file: file.to_owned(), reason };
        let trusted = key.map(|key| self.trusted(key)).transpose()?;
        let bytes = read(&path, RECEIPT).map_err(|error| unreadable(error.to_string()))?;
        let alone = verify(&bytes, &Trust { key: trusted, ..Trust::default() });
        for problem in &alone.problems {
            if let Problem::Unreadable(_) | Problem::Schema(_) = problem {
                return Err(unreadable(problem.to_string()));
            }
        }
        let Some(receipt) = alone.receipt.clone() else {
            return Err(unreadable("there is nothing in it".into()));
        };
        let here = self.here(&receipt).await?;
        let blobs = |id: &BlobId| here.blobs.as_ref()?.get(id).cloned();
        let trees = |id: &CommitId| here.trees.as_ref()?.get(id).cloned();
        let result = verify(
            &bytes,
            &Trust {
                key: trusted,
                blobs: here.blobs.as_ref().map(|_| &blobs as _),
                commits: here.trees.as_ref().map(|_| &trees as _),
                events: here.events.as_deref(),
            },
        );
        Ok(self.verified(file, &receipt, &result, trusted, &here))
    }

    fn verified(
        &self,
        file: &Path,
        receipt: &Receipt,
        result: &Verification,
        trusted: Option<PublicKey>,
        here: &Here,
    ) -> VerifyView {
        let good = result.problems.is_empty();
        let signed_by = match (trusted, self.own_key()) {
            (Some(trusted), _) if trusted.to_string() == receipt.key => "trusted",
            (_, Some(own)) if own.to_string() == receipt.key => "own",
            _ => "unknown",
        };
        let is_wrong = |wrong: fn(&Problem) -> bool| result.problems.iter().any(wrong);
        let mut verified = Vec::new();
        let mut right = |wrong: fn(&Problem) -> bool, text: String| {
            if !is_wrong(wrong) {
                verified.push(text);
            }
        };
        right(
            |p| matches!(p, Problem::Signature | Problem::Key | Problem::Text(_)),
            format!("its text is what {} has signed", receipt.key),
        );
        if trusted.is_some() {
            right(
                |p| matches!(p, Problem::Untrusted(_) | Problem::Key),
                "that is the key that is trusted".into(),
            );
        }
        let entries = receipt.entries.len();
        right(
            |p| matches!(p, Problem::Chain { .. }),
            format!("its chain of {entries} entries is whole"),
        );
        if here.events.is_some() {
            let events = receipt.log.events;
            right(
                |p| matches!(p, Problem::Log(_)),
                format!("the log of the run is the same: {events} events"),
            );
        }
        if result.blobs > 0 {
            right(
                |p| {
                    matches!(
                        p,
                        Problem::BlobMissing { .. }
                            | Problem::BlobDiffers { .. }
                            | Problem::EvidenceDiffers { .. }
                    )
                },
                format!("evidence and outputs are the same: {} blobs", result.blobs),
            );
        }
        if here.trees.is_some() && result.commits > 0 {
            right(
                |p| matches!(p, Problem::CommitMissing(_) | Problem::TreeDiffers { .. }),
                format!("commits and trees are in the repository: {}", result.commits),
            );
        }
        let mut unchecked = here.unchecked.clone();
        if trusted.is_none() && signed_by == "unknown" {
            let what = "whose key that is: give the one that you know with `--key`";
            unchecked.push(what.to_owned());
        }
        VerifyView {
            schema: "orchestrator.verify/v1",
            file: file.display().to_string(),
            good,
            run: receipt.run.to_string(),
            key: receipt.key.clone(),
            signed_by,
            verified,
            problems: result.problems.iter().map(ToString::to_string).collect(),
            unchecked,
            tasks: if good { tasks(receipt) } else { Vec::new() },
        }
    }

    /// The key that `given` is, or that the file of that name holds.
    fn trusted(&self, given: &str) -> Result<PublicKey, ServiceError> {
        let parse = |text: &str| {
            let text = text.trim();
            text.parse::<PublicKey>().or_else(|error| match text.len() {
                64 => format!("ed25519:{}", text.to_ascii_lowercase()).parse(),
                _ => Err(error),
            })
        };
        if let Ok(key) = parse(given) {
            return Ok(key);
        }
        let bytes = read(&self.environment().directory.join(given), KEY);
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let key = text.and_then(|text| parse(text.lines().next().unwrap_or_default()).ok());
        key.ok_or_else(|| ServiceError::Argument {
            what: "`--key`",
            given: given.chars().take(100).collect(),
            expected:
                "give `ed25519:` and 64 hexadecimal digits, or a file that holds that, such as \
                       `orchestrator verify --show-key` prints"
                    .into(),
        })
    }

    /// What this project has of the run that a receipt is of.
    async fn here(&self, receipt: &Receipt) -> Result<Here, ServiceError> {
        let mut here = Here::default();
        let found = match self.find_run(receipt.run.as_str()).await {
            Ok((opened, row)) if row.id == receipt.run => Some(opened),
            Ok(_) | Err(ServiceError::NoSuchRun(_) | ServiceError::NoRuns) => None,
            // A store that cannot be read is no fault of the receipt.
            Err(error) => {
                here.unchecked.push(format!("its log and evidence: {error}"));
                None
            }
        };
        let Some(opened) = found else {
            if here.unchecked.is_empty() {
                let what = "its log, evidence and commits: the run is not in this project";
                here.unchecked.push(what.to_owned());
            }
            return Ok(here);
        };
        here.events = Some(log(&opened.events(&receipt.run, Sequence(0)).await?));
        here.blobs = Some(blobs(opened, receipt).await?);
        let commits: BTreeSet<CommitId> = receipt
            .entries
            .iter()
            .flat_map(|chained| chained.entry.commits())
            .map(|(commit, _)| commit.clone())
            .collect();
        if commits.is_empty() {
            return Ok(here);
        }
        let repository = match self.repository().await {
            Ok(repository) => repository,
            Err(error) => {
                here.unchecked.push(format!("its commits: {error}"));
                return Ok(here);
            }
        };
        let mut trees = BTreeMap::new();
        for commit in commits {
            if repository.holds(&commit).await? {
                let tree = repository.tree(&commit).await?;
                trees.insert(commit, tree);
            }
        }
        // A run that was imported came without its commits.
        if trees.is_empty() {
            here.unchecked.push("its commits: this repository has none of them".to_owned());
        } else {
            here.trees = Some(trees);
        }
        Ok(here)
    }
}

async fn blobs(
    opened: &Opened,
    receipt: &Receipt,
) -> Result<BTreeMap<BlobId, Vec<u8>>, ServiceError> {
    let mut found = BTreeMap::new();
    for chained in &receipt.entries {
        for named in chained.entry.blobs() {
            // One that cannot be had is missing, and the receipt's problem is told.
            if let Ok(bytes) = opened.blobs().get(&named.blob).await {
                found.insert(named.blob.clone(), bytes);
            }
        }
    }
    Ok(found)
}

/// What a receipt says of tasks, by their names.
fn tasks(receipt: &Receipt) -> Vec<ReceiptTaskView> {
    let mut made: BTreeMap<&TaskName, &CommitId> = BTreeMap::new();
    let mut good: BTreeSet<(&TaskName, &CommitId)> = BTreeSet::new();
    let mut statuses: BTreeMap<&TaskName, &str> = BTreeMap::new();
    for chained in &receipt.entries {
        match &chained.entry {
            ReceiptEntry::Attempt { task, status, commit, .. } => {
                statuses.insert(task, status);
                if let Some(commit) = commit {
                    made.insert(task, commit);
                }
            }
            ReceiptEntry::Evidence { task, commit, verdict: Verdict::Verified, .. } => {
                good.insert((task, commit));
            }
            _ => {}
        }
    }
    let view = |(task, status): (&TaskName, &str)| ReceiptTaskView {
        task: task.to_string(),
        status: status.to_owned(),
        verified: status == "succeeded"
            && made.get(task).is_some_and(|commit| good.contains(&(task, *commit))),
    };
    statuses.into_iter().map(view).collect()
}

fn read(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
