//! A run, another way from a point in its history on.

use crate::{Execution, OrchestratorService, ServiceError, document::Diagnostic};
use orchestrator_core::{
    event::{Event, Origin, Recorded},
    id::{Sequence, TaskName},
    workflow::Workflow,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// From where a run goes another way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForkRequest {
    /// The run: an id, a unique start of one, or `latest`.
    pub run: String,
    /// The number of the last event that counts, or a task: then what had happened before it began.
    pub at: String,
    /// Inputs in place of those of the run, as text; each is read as its declared type.
    pub inputs: Vec<(String, String)>,
}

impl OrchestratorService {
    /// Starts a new run from the state that a run had at a point of its history, whether it has ended
    /// or not. When this returns, the new run is durable and under way.
    ///
    /// # Errors
    /// An unknown run or task, a point that is not in the history, inputs that do not fit; and as
    /// for [`OrchestratorService::execute`].
    pub async fn fork(&self, request: &ForkRequest) -> Result<Execution, ServiceError> {
        let (opened, row) = self.find_run(&request.run).await?;
        let mut before = opened.before(row).await?;
        let mut redone = BTreeSet::new();
        let at = match request.at.parse::<u64>() {
            Ok(number) if (1..=before.events.len() as u64).contains(&number) => Sequence(number),
            Ok(number) => {
                return Err(ServiceError::Argument {
                    what: "`--at`",
                    given: number.to_string(),
                    expected: format!(
                        "the log of run `{}` has the events 1 to {}",
                        before.row.id,
                        before.events.len()
                    ),
                });
            }
            Err(_) => {
                let place = before.find(&request.at)?;
                redone = before.downstream(place);
                let task = before.run.name(place);
                last_before(&before.events, &task).ok_or_else(|| ServiceError::NotAgain {
                    action: "fork",
                    run: before.row.id.to_string(),
                    reason: format!("`{task}` has not begun in it; give the number of an event"),
                })?
            }
        };
        before.events.truncate(usize::try_from(at.0).unwrap_or(usize::MAX));
        before.run = opened.folded(&before.row.id, &before.events)?;
        let mut start = before.start(self);
        start.inputs = inputs(&start.workflow, start.inputs, &request.inputs)?;
        start.seed = before.run.carry(&start.workflow, &|task| !redone.contains(task));
        start.origin = Some(Origin::Fork { run: before.row.id.clone(), at });
        let this = self.as_for(opened, before.created()).await?;
        let agents = this.roster()?.needed(before.created());
        this.begin(start, &agents).await
    }
}

/// The last event before the first that is about `task`; none when there is none about it. What was
/// carried over when the run began counts as done before everything.
fn last_before(events: &[Recorded], task: &TaskName) -> Option<Sequence> {
    let carried = events.iter().skip(1).take_while(|recorded| {
        matches!(
            recorded.event,
            Event::TaskCarried { .. } | Event::TaskExpanded { .. } | Event::TasksAdded { .. }
        ) && recorded.at == events[0].at
    });
    let seeded = 1 + carried.count() as u64;
    let about = |recorded: &&Recorded| {
        let of = recorded.event.task();
        // What an item of it does, it does.
        of.is_some_and(|of| of == task || of.as_item().is_some_and(|(g, _)| g == task.as_str()))
    };
    let first = events.iter().find(about)?;
    Some(Sequence((first.seq.0 - 1).max(seeded.min(events.len() as u64)).max(1)))
}

/// The inputs of the run with those that were given in their place.
fn inputs(
    workflow: &Workflow,
    before: Value,
    given: &[(String, String)],
) -> Result<Value, ServiceError> {
    if given.is_empty() {
        return Ok(before);
    }
    let mut all = match before {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (name, text) in given {
        all.insert(name.clone(), Value::String(text.clone()));
    }
    workflow.bind_inputs(&all).map_err(|problems| ServiceError::Invalid {
        what: "cannot use the inputs".into(),
        diagnostics: problems
            .into_iter()
            .map(|problem| {
                Diagnostic::new(problem.code, problem.message).suggest(problem.suggestion)
            })
            .collect(),
    })
}
