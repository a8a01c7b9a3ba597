//! Processes of a project's tasks that are still alive, as `/proc` shows them.

use super::{Broken, Project};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// How long the end of what a killed program left behind may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The living processes that work in the project: task programs and all that these started.
pub(super) fn find(project: &Project) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        else {
            continue;
        };
        // A process that has ended and waits to be reaped has no directory any more.
        let Ok(place) = fs::read_link(entry.path().join("cwd")) else { continue };
        if place.starts_with(project.path()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace(['\0', '\n'], " ");
            let line: String = line.trim().chars().take(80).collect();
            found.push(format!("{pid} `{line}`"));
        }
    }
    found
}

/// Waits until none is left.
///
/// # Errors
/// Those that stay.
pub(super) fn expect_none(project: &Project, when: &str) -> Result<(), Broken> {
    let start = Instant::now();
    loop {
        let found = find(project);
        if found.is_empty() {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            return Err(Broken::new(format!(
                "{when}, {PATIENCE:?} later, these are still alive: {}",
                found.join(", ")
            )));
        }
        thread::park_timeout(Duration::from_millis(2));
    }
}
