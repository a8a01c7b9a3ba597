//! The definition of a run as it is now.

use super::Before;
use crate::{OrchestratorService, ServiceError};
use orchestrator_core::{
    id::{AgentName, TaskName},
    run::StartRun,
    task::TaskKind,
    workflow::Workflow,
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The prefix of the source of a run that a template was for.
const TEMPLATE: &str = "template:";

/// A run of the definition as it is now.
pub(super) struct Latest {
    pub(super) start: StartRun,
    /// Everybody who may be given work.
    pub(super) agents: BTreeSet<AgentName>,
}

impl OrchestratorService {
    /// A run of the definition of `before` as it is now: its file or template is read again.
    ///
    /// # Errors
    /// A definition that is not there any more or not valid, or whose inputs have changed so that
    /// those of the run do not fit.
    pub(super) fn latest(&self, before: &Before) -> Result<Latest, ServiceError> {
        let created = before.created();
        let loaded = match created.source.strip_prefix(TEMPLATE) {
            Some(name) => self.catalogue()?.load(name)?,
            None => self.load_named(&created.source)?,
        };
        let mut given = match &*created.inputs {
            Value::Object(map) => map.clone(),
            _ => Map::new(),
        };
        // An input that there is not any more is nothing to stop at.
        if let Ok(now) = loaded.instantiate(&Map::new()) {
            given.retain(|name, _| now.inputs.iter().any(|input| input.name == *name));
        }
        let (mut workflow, inputs) = loaded.prepare(&given, None)?;
        let (library, bound) = self.complete(&mut workflow, &loaded, &[])?;
        let agents = bound.everybody().iter().cloned().collect();
        let mut start = before.start(self);
        start.workflow = Arc::new(workflow);
        start.inputs = inputs;
        start.library = library;
        Ok(Latest { start, agents })
    }
}

impl Latest {
    /// The tasks whose child workflow, or one that it uses, is not what it was.
    pub(super) fn changed_children(&self, before: &Before) -> BTreeSet<TaskName> {
        let (old, new) = (&before.created().library, &self.start.library);
        let changed = |spec: &&orchestrator_core::task::TaskSpec| match &spec.kind {
            TaskKind::Workflow { workflow, .. } => {
                !is_same(workflow, old, new, &mut BTreeSet::new())
            }
            _ => false,
        };
        self.start.workflow.tasks.iter().filter(changed).map(|spec| spec.name.clone()).collect()
    }
}

type Library = BTreeMap<String, Arc<Workflow>>;

/// Whether the workflow under `key` is in both what it is, with all whose results it uses.
fn is_same(key: &str, old: &Library, new: &Library, seen: &mut BTreeSet<String>) -> bool {
    if !seen.insert(key.to_owned()) {
        return true;
    }
    let (Some(one), Some(other)) = (old.get(key), new.get(key)) else { return false };
    one == other
        && one.tasks.iter().all(|spec| match &spec.kind {
            TaskKind::Workflow { workflow, .. } => is_same(workflow, old, new, seen),
            _ => true,
        })
}
