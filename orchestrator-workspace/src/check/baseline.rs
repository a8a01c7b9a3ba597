//! What checks gave on bases, kept so that a base is checked once and not for each attempt.

use super::BaseResult;
use orchestrator_core::{canonical_json, id::CommitId, workspace::CheckSpec};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Mutex, PoisonError},
};

/// Keeps what checks gave on bases. What is lost is found out again.
pub trait Baselines: Send + Sync + fmt::Debug {
    /// What is kept under `key`.
    fn get(&self, key: &str) -> Option<BaseResult>;

    /// Keeps `result` under `key`.
    fn put(&self, key: &str, result: &BaseResult);
}

/// Keeps the last of them in memory.
#[derive(Debug)]
pub struct RecentBaselines {
    most: usize,
    kept: Mutex<(BTreeMap<String, BaseResult>, VecDeque<String>)>,
}

impl Default for RecentBaselines {
    /// The last 256.
    fn default() -> Self {
        Self::new(256)
    }
}

impl RecentBaselines {
    /// Keeps the last `most`.
    pub fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }
}

impl Baselines for RecentBaselines {
    fn get(&self, key: &str) -> Option<BaseResult> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).0.get(key).cloned()
    }

    fn put(&self, key: &str, result: &BaseResult) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (results, order) = &mut *kept;
        if results.insert(key.to_owned(), result.clone()).is_none() {
            order.push_back(key.to_owned());
        }
        while order.len() > self.most {
            if let Some(oldest) = order.pop_front() {
                results.remove(&oldest);
            }
        }
    }
}

/// What a result on a base depends on: the tree, the check, the set-up and the environment.
pub(super) fn key(
    tree: &CommitId,
    spec: &CheckSpec,
    setup: &[String],
    environment: &BTreeMap<String, String>,
) -> String {
    let value = json!({
        "tree": tree.as_str(),
        "check": serde_json::to_value(spec).unwrap_or_default(),
        "setup": setup,
        "environment": environment,
    });
    let mut digest = Sha256::new();
    canonical_json(&value, &mut |bytes| digest.update(bytes));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
