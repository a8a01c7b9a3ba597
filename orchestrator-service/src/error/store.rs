//! Codes and help for a store that failed.

use super::Exit;
use orchestrator_core::port::StoreError;
use std::path::Path;

pub(super) fn code(error: &StoreError) -> &'static str {
    match error {
        StoreError::NoSuchRun(_) => "ORC-0601",
        StoreError::LeaseHeld { .. } | StoreError::Fenced { .. } | StoreError::Conflict { .. } => {
            "ORC-0606"
        }
        StoreError::TooNew { .. } => "ORC-0402",
        StoreError::Damaged(_) => "ORC-0403",
        StoreError::Full(_) => "ORC-0404",
        StoreError::Unavailable { reason, .. } if is_locked(reason) => "ORC-0405",
        StoreError::Unavailable { .. } => "ORC-0401",
        StoreError::RunExists(_) => "ORC-0901",
        _ => "ORC-0401",
    }
}

pub(super) fn help(error: &StoreError, directory: &Path) -> String {
    let state = directory.display();
    match code(error) {
        "ORC-0402" => "use a newer version of orchestrator".into(),
        "ORC-0403" => format!(
            "copy `{state}` away first; then restore it from a backup (`*.backup-*` beside it), or \
             move it aside and start anew"
        ),
        "ORC-0404" => {
            "free some space; `orchestrator clean --older-than 30d` removes old runs".into()
        }
        "ORC-0405" => {
            format!("end the program that keeps `{state}` locked, such as a database browser")
        }
        "ORC-0601" => "`orchestrator list-runs` shows those that there are".into(),
        "ORC-0606" => "`orchestrator status` shows what runs".into(),
        _ => "`orchestrator doctor` shows what is wrong".into(),
    }
}

/// A store that answers, and refuses, is no store that cannot be reached.
pub(super) fn exit(error: &StoreError) -> Exit {
    match error {
        StoreError::NoSuchRun(_) | StoreError::LeaseHeld { .. } => Exit::Usage,
        // Another process took the run over while this one drove it.
        StoreError::Fenced { .. } | StoreError::Conflict { .. } | StoreError::RunExists(_) => {
            Exit::Failed
        }
        _ => Exit::Unreachable,
    }
}

fn is_locked(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    reason.contains("locked") || reason.contains("busy")
}
