//! What is made of an agent's answer: checked against its schema, and the tasks that it adds read.

use super::{Shared, schema::Schema};
use crate::{
    command::Added,
    error::{ErrorClass, Failure},
    event::Content,
    id::TaskName,
    port::Answer,
    run::Run,
    workflow::{Mode, Problem, Workflow},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// An answer that fits.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) answer: Answer,
    pub(super) added: Option<Added>,
}

/// The definition whose tasks are managed.
#[derive(Debug)]
pub(super) struct Managed {
    workflow: Arc<Workflow>,
    /// The names of the tasks that the run has.
    names: BTreeSet<TaskName>,
    /// The other definitions that tasks may name.
    library: BTreeMap<String, Arc<Workflow>>,
}

impl Managed {
    /// What the task at `place` manages: in hierarchical mode the first task manages the others.
    pub(super) fn by(run: &Run, place: usize) -> Option<Self> {
        let created = run.created();
        (place == 0 && created.workflow.mode == Mode::Hierarchical).then(|| Self {
            workflow: created.workflow.clone(),
            names: run.tasks().map(|task| task.name()).collect(),
            library: created.library.clone(),
        })
    }

    /// The tasks that `document` adds, bound to agents.
    fn read(&self, shared: &Shared, document: &Value) -> Result<Added, String> {
        let told = |problems: Vec<Problem>| {
            let all: Vec<String> = problems.iter().map(Problem::to_string).collect();
            all.join("; ")
        };
        let tasks = Workflow::parse_tasks(document).map_err(told)?;
        let exists = |name: &str| self.names.contains(name);
        let problems = self.workflow.check_added(&exists, &self.library, &tasks);
        if !problems.is_empty() {
            return Err(told(problems));
        }
        let bound = shared.bind(&tasks).map_err(|error| error.to_string())?;
        Ok(Added { tasks, bindings: bound.bindings, agents: bound.agents })
    }
}

/// Accepts an answer.
///
/// # Errors
/// It is nested too deeply, does not fit its schema, or adds tasks that cannot be added.
pub(super) fn accept(
    shared: &Shared,
    mut answer: Answer,
    schema: Option<&Schema>,
    managed: Option<&Managed>,
) -> Result<Accepted, Failure> {
    match judge(shared, &mut answer, schema, managed) {
        Ok(added) => Ok(Accepted { answer, added }),
        Err(message) => Err(Failure::new(ErrorClass::BadOutput, message).spent(answer.spend)),
    }
}

fn judge(
    shared: &Shared,
    answer: &mut Answer,
    schema: Option<&Schema>,
    managed: Option<&Managed>,
) -> Result<Option<Added>, String> {
    if !Content::admits(&answer.output) {
        return Err(format!("the output is nested deeper than {} levels", Content::MAX_DEPTH));
    }
    if let Some(schema) = schema {
        schema.check(&answer.output)?;
    }
    let Some(managed) = managed else {
        return match &answer.tasks {
            Some(_) => Err("only the first task of a hierarchical workflow may add tasks".into()),
            None => Ok(None),
        };
    };
    let tasks = answer.tasks.take();
    let tasks = match (&tasks, answer.output.get("tasks")) {
        (Some(tasks), _) => tasks,
        (None, Some(tasks)) if tasks.is_object() => tasks,
        (None, _) => return Ok(None),
    };
    managed
        .read(shared, tasks)
        .map(Some)
        .map_err(|problems| format!("the tasks that it adds cannot be added: {problems}"))
}
