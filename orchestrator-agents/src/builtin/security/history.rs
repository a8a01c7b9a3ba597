//! Secrets in the history of the repository.

use super::{
    diff::additions,
    git::{Git, GitError},
    secret::{Context, Hit, Scanner},
};
use crate::builtin::{finding::Finding, index::Class, index::classify};
use std::{
    collections::{BTreeMap, HashSet},
    io::BufReader,
    sync::atomic::{AtomicBool, Ordering},
};

/// How much of the history's additions is read at most: enough for a decade of a large team.
const MAX_BYTES: u64 = 8 << 30;

/// What the history gave.
#[derive(Debug, Default)]
pub(super) struct History {
    /// One finding for each secret, at the oldest commit that added it.
    pub(super) findings: Vec<Finding>,
    /// How many commits were read.
    pub(super) commits: usize,
    /// How many secrets a comment allows.
    pub(super) allowed: usize,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
}

/// Searches every commit of `git` for secrets that are not among `known`: those are in the tree
/// still and reported there.
pub(super) fn search(git: &Git, known: &HashSet<u64>, cancelled: &AtomicBool) -> History {
    let mut history = History::default();
    if git.is_shallow {
        history.notes.push(
            "the clone is shallow: its history before the cut was not searched; run \
             `git fetch --unshallow` first"
                .to_owned(),
        );
    }
    match read(git, known, cancelled, &mut history) {
        Ok(true) => {}
        Ok(false) if cancelled.load(Ordering::Relaxed) => {}
        Ok(false) => history.notes.push(
            "git stopped before the end of the history; run `git fsck` to see whether the \
             repository is damaged or objects are missing"
                .to_owned(),
        ),
        Err(error) => history.notes.push(format!("the history was not searched: {error}")),
    }
    history
}

fn read(
    git: &Git,
    known: &HashSet<u64>,
    cancelled: &AtomicBool,
    history: &mut History,
) -> Result<bool, GitError> {
    let scanner = Scanner::shared();
    let mut stream = git.log()?;
    let mut bytes = 0;
    // By secret, the oldest place: the log runs from new to old, so a later one replaces.
    let mut found: BTreeMap<(String, u64), (Hit, String, String)> = BTreeMap::new();
    history.commits =
        additions(BufReader::with_capacity(1 << 16, &mut stream.output), |addition| {
            bytes += addition.text.len() as u64;
            // Data and copies of other people's code hold made-up ones, and most of the bytes.
            if !matches!(classify(&addition.path), Class::Vendored | Class::Lock) {
                let scan = scanner.scan(&addition.text, Context::of(&addition.path));
                history.allowed += scan.allowed;
                for hit in scan.hits {
                    if !known.contains(&hit.fingerprint) {
                        let key = (hit.rule.clone(), hit.fingerprint);
                        found.insert(key, (hit, addition.commit.clone(), addition.path.clone()));
                    }
                }
            }
            bytes < MAX_BYTES && !cancelled.load(Ordering::Relaxed)
        })?;
    history.findings =
        found.into_values().map(|(hit, commit, path)| finding(&hit, &commit, &path)).collect();
    if bytes >= MAX_BYTES {
        history
            .notes
            .push(format!("only the newest {} GiB of the history were searched", MAX_BYTES >> 30));
        return Ok(true);
    }
    Ok(stream.succeeded(cancelled))
}

fn finding(hit: &Hit, commit: &str, path: &str) -> Finding {
    let short: String = commit.chars().take(12).collect();
    Finding::new(
        format!("{}-in-history", hit.rule),
        hit.severity,
        format!(
            "{} {} was added in commit {short} and is in the history still",
            hit.name, hit.shown
        ),
        format!(
            "Treat it as known to everyone who has a clone: {}. Rewriting the history does not \
             take it back",
            hit.revoke
        ),
    )
    .at(path)
}
