//! An append with its JSON already made, outside the thread that writes.

use crate::{
    body,
    record::{LAST_SEQ, StoredEvents, to_json},
};
use orchestrator_core::{
    event::{Content, Event},
    id::{BlobId, RunId, TaskName},
    port::{Append, AttemptRow, CachedResult, RunRow, SpendRow, StoreError, TaskRow, blobs_of},
};
use std::{collections::HashMap, sync::Arc};

/// The longest event, as JSON in bytes, whose output is written into its task's row as well.
const TWICE: usize = 384;

/// An append that fits together, and the text that is written for it.
#[derive(Debug)]
pub(crate) struct Prepared {
    append: Arc<Append>,
    pub(crate) events: Vec<StoredEvents>,
    pub(crate) blobs: Vec<BlobId>,
    run_body: Option<String>,
    task_bodies: Vec<TaskBody>,
    attempt_bodies: Vec<String>,
    cached_bodies: Vec<String>,
    estimate: Option<String>,
}

/// What is written of a task's row.
#[derive(Debug)]
pub(crate) struct TaskBody {
    pub(crate) text: String,
    /// The event that holds its output, if the text does not.
    pub(crate) output_seq: Option<u64>,
}

impl Prepared {
    /// Checks that `append` fits together and turns it into text.
    pub(crate) fn new(append: Arc<Append>) -> Result<Self, StoreError> {
        check(&append)?;
        let mut long: HashMap<&TaskName, (u64, &Content)> = HashMap::new();
        let events = StoredEvents::encode(&append.run, &append.events, |recorded, bytes| {
            if bytes > TWICE
                && let Some((task, output)) = output_of(&recorded.event)
            {
                long.insert(task, (recorded.seq.0, output));
            }
        })?;
        let rows = &append.rows;
        let task_bodies = rows.tasks.iter().map(|row| {
            let elsewhere = long.get(&row.name).filter(|(_, at)| row.output.as_ref() == Some(*at));
            Ok(match elsewhere {
                Some((seq, _)) => {
                    TaskBody { text: body::of_task(row, false)?, output_seq: Some(*seq) }
                }
                None => TaskBody { text: body::of_task(row, true)?, output_seq: None },
            })
        });
        Ok(Self {
            task_bodies: task_bodies.collect::<Result<_, StoreError>>()?,
            run_body: rows.run.as_ref().map(body::of_run).transpose()?,
            attempt_bodies: rows.attempts.iter().map(body::of_attempt).collect::<Result<_, _>>()?,
            cached_bodies: (rows.cached.iter())
                .map(|result| to_json(result, "a result"))
                .collect::<Result<_, _>>()?,
            estimate: (rows.estimate.as_ref())
                .map(|estimate| to_json(estimate, "an estimate"))
                .transpose()?,
            blobs: blobs_of(&append),
            events,
            append,
        })
    }

    /// What was asked for.
    pub(crate) fn asked(&self) -> &Append {
        &self.append
    }

    /// The run that is written to.
    pub(crate) fn run(&self) -> &RunId {
        &self.append.run
    }

    /// The run's row and its text.
    pub(crate) fn run_row(&self) -> Option<(&RunRow, &str)> {
        self.append.rows.run.as_ref().zip(self.run_body.as_deref())
    }

    /// Each task's row and what is written of it.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = (&TaskRow, &TaskBody)> {
        self.append.rows.tasks.iter().zip(&self.task_bodies)
    }

    /// Each attempt's row and its text.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = (&AttemptRow, &String)> {
        self.append.rows.attempts.iter().zip(&self.attempt_bodies)
    }

    /// Each result to keep and its text.
    pub(crate) fn cached(&self) -> impl Iterator<Item = (&CachedResult, &String)> {
        self.append.rows.cached.iter().zip(&self.cached_bodies)
    }

    /// The text of what was expected of the run.
    pub(crate) fn estimate(&self) -> Option<&str> {
        self.estimate.as_deref()
    }

    /// The lines of spending.
    pub(crate) fn spend(&self) -> &[SpendRow] {
        &self.append.rows.spend
    }
}

fn check(append: &Append) -> Result<(), StoreError> {
    let refuse = |reason: String| {
        Err(StoreError::Unavailable { action: format!("append to run `{}`", append.run), reason })
    };
    let (rows, run) = (&append.rows, &append.run);
    let mut others = (rows.run.iter().map(|row| &row.id))
        .chain(rows.tasks.iter().map(|row| &row.run))
        .chain(rows.attempts.iter().map(|row| &row.run))
        .chain(rows.spend.iter().map(|row| &row.run));
    if let Some(other) = others.find(|id| *id != run) {
        return refuse(format!("one of its rows is of run `{other}`"));
    }
    let first = append.expected.0.saturating_add(1);
    if append.events.iter().zip(first..).any(|(event, number)| event.seq.0 != number) {
        return refuse(format!("its events are not numbered from {first}, one after the other"));
    }
    if append.expected.0.saturating_add(append.events.len() as u64) > LAST_SEQ {
        return refuse(format!("a run has at most {LAST_SEQ} events"));
    }
    Ok(())
}

/// The task to which an event gives an output, and the output.
fn output_of(event: &Event) -> Option<(&TaskName, &Content)> {
    match event {
        Event::AttemptSucceeded { task, output, .. } => Some((task, output)),
        Event::TaskSucceeded { task, output, .. } | Event::TaskCarried { task, output, .. } => {
            output.as_ref().map(|output| (task, output))
        }
        _ => None,
    }
}
