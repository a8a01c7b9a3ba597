//! Whether what an exported file says can be true, before any of it is used.

use super::{
    bundle::{Bundle, Log, SCHEMA},
    export::{MOST_RUNS, blobs, children},
    seal,
};
use orchestrator_core::{
    event::{Content, Event},
    id::{BlobId, RunId},
    time::Timestamp,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The most items that one `for-each` task has.
const MOST_ITEMS: u32 = 100_000;
/// The most tasks that the lists of one log add.
const MOST_TASKS: u64 = 1_000_000;
/// The first instant that has no date any more: the end of the year 9999.
const END_OF_TIME: Timestamp = Timestamp(253_402_300_800_000);
/// No counter of a run comes near it; whatever counts on from here cannot overflow.
const MOST: u64 = u32::MAX as u64;

/// What is wrong with the file, in words; nothing of it may be used then.
type Refusal = String;

/// Judges all of `bundle` but whether its events replay.
pub(super) fn judge(bundle: &Bundle) -> Result<(), Refusal> {
    if bundle.schema != SCHEMA {
        return Err(format!(
            "it is of the schema `{}`, and this program reads `{SCHEMA}`",
            bundle.schema.chars().take(64).collect::<String>()
        ));
    }
    judge_family(&bundle.logs)?;
    let contents = judge_blobs(bundle)?;
    for log in &bundle.logs {
        judge_log(log, &contents).map_err(|reason| format!("run `{}`: {reason}", log.run))?;
    }
    Ok(())
}

/// One run, and below it its children.
fn judge_family(logs: &[Log]) -> Result<(), Refusal> {
    if logs.is_empty() || logs.len() > MOST_RUNS {
        return Err(format!("it holds {} runs; 1 to {MOST_RUNS} are allowed", logs.len()));
    }
    let mut parents: BTreeMap<&RunId, &RunId> = BTreeMap::new();
    for log in logs {
        for child in children(&log.events) {
            if parents.insert(child, &log.run).is_some() {
                return Err(format!("run `{child}` is the child of more than one run"));
            }
            // What was exported is above all others, so that no circle is possible.
            if *child == logs[0].run {
                return Err(format!("run `{child}` stands before its parent"));
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (place, log) in logs.iter().enumerate() {
        let id = &log.run;
        if !is_run_id(id) {
            return Err(format!("`{id}` is not the id of a run"));
        }
        let Some(Event::RunCreated(created)) = log.events.first().map(|first| &first.event) else {
            return Err(format!("the log of run `{id}` does not begin with its creation"));
        };
        if created.run != *id {
            return Err(format!("the log of run `{id}` is that of run `{}`", created.run));
        }
        // Each comes after its parent, so that no circle of parents is possible.
        let parent = parents.get(id).copied();
        let is_child = parent.is_some_and(|parent| seen.contains(parent));
        if place > 0 && (!is_child || created.parent.as_ref() != parent) {
            return Err(format!("run `{id}` is no child of a run before it in the file"));
        }
        if !seen.insert(id) {
            return Err(format!("run `{id}` is there twice"));
        }
    }
    Ok(())
}

/// `r_` and 1 to 64 letters, digits, `-` or `_`: ids of tasks are made of it, and file names.
fn is_run_id(id: &RunId) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    id.as_str()
        .strip_prefix("r_")
        .is_some_and(|rest| (1..=64).contains(&rest.len()) && rest.bytes().all(plain))
}

/// Every blob is what its id says, each once; none is missing and none is more than was asked for.
fn judge_blobs(bundle: &Bundle) -> Result<BTreeMap<&BlobId, &[u8]>, Refusal> {
    let mut contents: BTreeMap<&BlobId, &[u8]> = BTreeMap::new();
    for blob in &bundle.blobs {
        let id = &blob.id;
        if !seal::is_blob_id(id) {
            return Err(format!("`{id}` is not the id of a blob"));
        }
        if seal::digest(&blob.bytes) != id.as_str() {
            return Err(format!("blob {id} is damaged: its content does not match its id"));
        }
        if contents.insert(id, &blob.bytes).is_some() {
            return Err(format!("blob {id} is there twice"));
        }
    }
    let wanted = blobs(&bundle.logs);
    if let Some(missing) = wanted.iter().find(|id| !contents.contains_key(**id)) {
        return Err(format!("blob {missing} is missing"));
    }
    match contents.keys().find(|id| !wanted.contains(**id)) {
        Some(more) => Err(format!("nothing refers to blob {more}")),
        None => Ok(contents),
    }
}

fn judge_log(log: &Log, contents: &BTreeMap<&BlobId, &[u8]>) -> Result<(), Refusal> {
    let mut listed = 0;
    for recorded in &log.events {
        let wrong = |reason: String| format!("event {}: {reason}", recorded.seq);
        if recorded.at >= END_OF_TIME {
            return Err(wrong("it lies after the year 9999".into()));
        }
        match &recorded.event {
            Event::AttemptStarted { epoch, .. } if epoch.0 > MOST => {
                return Err(wrong(format!("epoch {epoch} is none that a run reaches")));
            }
            Event::RunRecovered { lease } if lease.0 > MOST => {
                return Err(wrong(format!("epoch {lease} is none that a run reaches")));
            }
            Event::SignalTaken { number, .. } if *number > MOST => {
                return Err(wrong(format!("signal {number} is none that a run reaches")));
            }
            Event::AttemptSucceeded { output, artifacts, .. } => {
                judge_content(output, contents).map_err(wrong)?;
                judge_sizes(artifacts, contents).map_err(wrong)?;
            }
            Event::WorkRecorded { output, artifacts, .. } => {
                judge_content(output, contents).map_err(wrong)?;
                judge_sizes(artifacts, contents).map_err(wrong)?;
            }
            Event::TaskCarried { output, artifacts, .. } => {
                if let Some(output) = output {
                    judge_content(output, contents).map_err(wrong)?;
                }
                judge_sizes(artifacts, contents).map_err(wrong)?;
            }
            Event::TaskSucceeded { output: Some(output), .. } => {
                judge_content(output, contents).map_err(wrong)?;
            }
            Event::TurnRecorded { turn, .. } => {
                judge_content(&turn.output, contents).map_err(wrong)?;
            }
            Event::TaskExpanded { count, items, .. } => {
                listed += u64::from(*count);
                if *count > MOST_ITEMS || listed > MOST_TASKS {
                    return Err(wrong(format!("{count} items are more than are allowed")));
                }
                let found = judge_content(items, contents).map_err(wrong)?;
                if found.as_array().map(Vec::len) != usize::try_from(*count).ok() {
                    return Err(wrong(format!("its list does not have {count} items")));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The value that `content` is, if it is one that the engine would have kept.
fn judge_content(content: &Content, contents: &BTreeMap<&BlobId, &[u8]>) -> Result<Value, Refusal> {
    let (value, blob) = match content {
        Content::Inline(value) => (value.clone(), None),
        Content::Blob { id, bytes } => {
            let found = contents.get(id).copied().unwrap_or_default();
            if found.len() as u64 != *bytes {
                return Err(format!("blob {id} has {} bytes, not {bytes}", found.len()));
            }
            let value = serde_json::from_slice(found)
                .map_err(|error| format!("blob {id} does not hold JSON: {error}"))?;
            (value, Some(id))
        }
    };
    match (Content::admits(&value), blob) {
        (true, _) => Ok(value),
        (false, None) => Err("a value is nested too deeply".into()),
        (false, Some(id)) => Err(format!("blob {id} is nested too deeply")),
    }
}

fn judge_sizes(
    artifacts: &[orchestrator_core::event::ArtifactRef],
    contents: &BTreeMap<&BlobId, &[u8]>,
) -> Result<(), Refusal> {
    for artifact in artifacts {
        let found = contents.get(&artifact.blob).map_or(0, |bytes| bytes.len());
        if found as u64 != artifact.bytes {
            let name = artifact.name.chars().take(64).collect::<String>();
            return Err(format!("file `{name}` has {found} bytes, not {}", artifact.bytes));
        }
    }
    Ok(())
}
