//! Thirteen reference workflows, which between them have every construct of the language: what the
//! proofs over every crash and every fault run.
//!
//! Each is a file as a user would write it. Its agents are [`Scripted`](crate::sim::Scripted): the
//! prompts say what they do.

use crate::sim::Job;
use orchestrator_core::port::Signal;
use serde_json::Value;

/// A reference workflow.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reference {
    /// Its name.
    pub name: &'static str,
    /// What is in it, in a few words.
    pub shows: &'static str,
    /// The work, for a simulation.
    pub job: Job,
}

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!($name, ".json"))
    };
}

/// All of them.
///
/// # Panics
/// Never: every file is read by a test.
pub fn all() -> Vec<Reference> {
    let make = |name, shows, file: &str| {
        let document = read(file);
        Reference { name, shows, job: Job::new(document) }
    };
    let mut references = vec![
        make("chain", "a chain with turns, a session and logs", file!("chain")),
        make("diamond", "parallel tasks of many priorities, a limit, `when`", file!("diamond")),
        make("retries", "every way to fail that is tried again", file!("retries")),
        make("each", "`for-each`, with blobs, and one over nothing", file!("each")),
        make("revise", "work that is sent back twice", file!("revise")),
        make("people", "an approval, a question, an approval that nobody gives", file!("people")),
        make("compensate", "what was done is undone, the last first", file!("compensate")),
        make("manager", "a task that adds tasks", file!("manager")),
        make("time", "delays, timeouts, an agent that does not stop", file!("time")),
        make("groups", "concurrency groups and a cached result", file!("groups")),
        make("worktrees", "worktrees, checks that fail once, a conflict", file!("worktrees")),
        make("pause", "paused in the middle and resumed, one task killed", file!("pause")),
        make(
            "everything",
            "parallel, nested, suspended, for-each and revise at once",
            file!("everything"),
        ),
    ];
    for reference in &mut references {
        let job = std::mem::replace(&mut reference.job, Job::new(Value::Null));
        reference.job = match reference.name {
            "chain" => job.starts("afterwards", read(file!("afterwards"))),
            "everything" => job
                .starts("child", read(file!("child")))
                .starts("grandchild", read(file!("grandchild"))),
            "pause" => {
                let task = orchestrator_core::id::TaskName::new("endless").into_iter().next();
                let kill = task.map(|task| Signal::Kill { task, reason: "enough".into() });
                let job = job.act("second", Signal::Pause { now: true });
                kill.into_iter().fold(job, |job, kill| job.act("endless", kill))
            }
            _ => job,
        };
    }
    references
}

fn read(file: &str) -> Value {
    serde_json::from_str(file).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::workflow::Workflow;

    #[test]
    fn every_file_is_a_workflow() {
        let references = all();
        assert_eq!(references.len(), 13);
        for reference in references {
            let documents = reference.job.library.iter().map(|(_, document)| document);
            for document in documents.chain([&reference.job.document]) {
                assert_eq!(Workflow::parse(document).err(), None, "{}", reference.name);
            }
        }
    }
}
