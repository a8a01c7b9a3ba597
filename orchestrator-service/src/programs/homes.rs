//! The homes of coding CLIs: removed when their task has ended.
//!
//! Those of a process that died are removed when the run ends that is taken up again, or with the run
//! by `orchestrator clean`.

use orchestrator_core::{
    event::{Event, Recorded},
    id::RunId,
    port::Observer,
};
use std::{fs, path::PathBuf};

/// Removes homes.
#[derive(Debug)]
pub(crate) struct Homes {
    directory: PathBuf,
}

impl Homes {
    /// The homes in `directory`.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }
}

impl Observer for Homes {
    fn recorded(&self, run: &RunId, events: &[Recorded]) {
        let over = events.iter().filter_map(|recorded| match &recorded.event {
            Event::RunEnded { .. } => Some(format!("{run}+")),
            Event::AttemptFailed { task, next: None, ask: None, .. }
            | Event::TaskFailed { task, .. }
            | Event::TaskCancelled { task, .. } => Some(format!("{run}+{task}+")),
            _ => None,
        });
        let over: Vec<String> = over.collect();
        if over.is_empty() || !self.directory.is_dir() {
            return;
        }
        let directory = self.directory.clone();
        // A home may be large, and whoever tells must not wait.
        std::thread::spawn(move || {
            for home in fs::read_dir(directory).into_iter().flatten().flatten() {
                let name = home.file_name();
                let name = name.to_string_lossy();
                let is_over = over.iter().any(|run_or_task| name.starts_with(run_or_task));
                if is_over && name.ends_with("+cli") {
                    // What cannot be removed now is for `clean`.
                    let _ = fs::remove_dir_all(home.path());
                }
            }
        });
    }
}
