//! From a request to a run that could start.

use super::{ExecuteRequest, What};
use crate::{
    OrchestratorService, ServiceError,
    document::Diagnostic,
    roster::Bound,
    templates::{Family, Loaded, diagnose, is_document, refuse},
};
use orchestrator_core::{
    money::MicroUsd,
    run::StartRun,
    task::TaskKind,
    workflow::{NESTING, Problem, WORKFLOW_CYCLE, Workflow},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The template of a prompt alone, where a model is at hand.
const FOR_A_PROMPT: &str = "quick-implementation";

/// The input that a prompt is.
const PROMPT: &str = "prompt";

/// A run that could start, and who would do its tasks.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) start: StartRun,
    /// Of the run's own workflow first, then of each of its library, in the order of their keys.
    pub(super) bound: Bound,
}

impl OrchestratorService {
    /// Reads, checks and completes what `request` asks for. Touches neither store nor network.
    pub(super) fn prepare(&self, request: &ExecuteRequest) -> Result<Prepared, ServiceError> {
        let loaded = self.load(request)?;
        let (mut workflow, inputs) = loaded.prepare(&given(request)?, request.mode)?;
        let (library, bound) = self.complete(&mut workflow, &loaded, &request.agents)?;
        let settings = self.settings()?.settings();
        if request.max_parallel == Some(0) {
            return Err(ServiceError::Argument {
                what: "`--max-parallel`",
                given: "0".into(),
                expected: "it is at least 1".into(),
            });
        }
        let max_parallel =
            request.max_parallel.or(workflow.max_parallel).or(settings.defaults.max_parallel);
        // One that only warns is a rule of the ledger, not the run's budget.
        let usual = settings.budget.usd_per_run.filter(|_| !settings.budget.warn_only);
        let budget: Option<MicroUsd> = request.budget.or(workflow.budget).or(usual);
        let mut start = StartRun::new(Arc::new(workflow));
        start.inputs = inputs;
        start.source = loaded.source;
        start.directory = self.project().to_owned();
        start.budget = budget;
        start.max_parallel = max_parallel.unwrap_or(start.max_parallel);
        start.library = library;
        Ok(Prepared { start, bound })
    }

    /// Finds all that `workflow` may start and who does the tasks of all of them, and fills in what
    /// settings say for tasks that do not.
    ///
    /// # Errors
    /// Everything that is wrong with any of them, each at its place.
    pub(crate) fn complete(
        &self,
        workflow: &mut Workflow,
        loaded: &Loaded,
        agents: &[(String, String)],
    ) -> Result<(BTreeMap<String, Arc<Workflow>>, Bound), ServiceError> {
        let mut family = self.catalogue()?.family(workflow, loaded, self.project())?;
        let roster = self.roster()?;
        let mut all: Vec<&mut Workflow> = vec![workflow];
        all.extend(family.values_mut().map(|relative| &mut relative.workflow));
        roster.replace(&mut all, agents)?;
        let timeout = self.settings()?.settings().defaults.timeout;
        let quota = self.settings()?.settings().workspaces.quota;
        for task in all.iter_mut().flat_map(|workflow| &mut workflow.tasks) {
            crate::work::complete(&mut task.workspace, quota);
            // A child takes as long as its tasks and the people in it do.
            if matches!(task.kind, TaskKind::Agent { .. } | TaskKind::Command { .. }) {
                task.timeout = task.timeout.or(timeout);
            }
        }
        let mut asking = vec![(&mut *workflow, loaded)];
        asking.extend(family.values_mut().map(|r| (&mut r.workflow, &r.loaded)));
        let bound = roster.bind(&mut asking)?;
        judge(workflow, loaded, &family)?;
        let library = family.into_iter().map(|(key, r)| (key, Arc::new(r.workflow))).collect();
        Ok((library, bound))
    }

    fn load(&self, request: &ExecuteRequest) -> Result<Loaded, ServiceError> {
        match &request.what {
            What::Template(name) => self.catalogue()?.load(name),
            What::Workflow(given) => self.load_named(given),
            What::Prompt if request.prompt.is_none() => Err(ServiceError::Missing(
                "there is nothing to execute: give a prompt, `--task-type` or `--workflow`",
            )),
            What::Prompt => {
                let roster = self.roster()?;
                match roster.why_no_model() {
                    Some(diagnostic) if !roster.has_model() => {
                        Err(ServiceError::invalid("cannot work on a prompt", diagnostic.clone()))
                    }
                    _ if roster.has_model() => self.catalogue()?.load(FOR_A_PROMPT),
                    _ => Err(ServiceError::ModelNeeded("a prompt".into())),
                }
            }
        }
    }

    /// The workflow that `given` means: a file, or the name of one.
    pub(crate) fn load_named(&self, given: &str) -> Result<Loaded, ServiceError> {
        let catalogue = self.catalogue()?;
        let path = self.environment().directory.join(given);
        let like_a_file =
            given.contains(std::path::MAIN_SEPARATOR) || is_document(Path::new(given));
        if like_a_file || path.is_file() {
            catalogue.load_file(&path)
        } else {
            catalogue.load(given)
        }
    }
}

/// Refuses workflows that do not fit together.
fn judge(workflow: &Workflow, loaded: &Loaded, family: &Family) -> Result<(), ServiceError> {
    let library = family.iter().map(|(key, r)| (key.clone(), Arc::new(r.workflow.clone())));
    let library: BTreeMap<String, Arc<Workflow>> = library.collect();
    let mut found: Vec<Diagnostic> = place(workflow.check_library(&library), loaded);
    for relative in family.values() {
        let mut own = relative.workflow.check_library(&library);
        // Circles and depth are the root's to tell: all of them are below it.
        own.retain(|problem| ![WORKFLOW_CYCLE, NESTING].contains(&problem.code));
        found.extend(place(own, &relative.loaded));
    }
    found.dedup();
    if found.is_empty() { Ok(()) } else { Err(refuse(found)) }
}

fn place(problems: Vec<Problem>, loaded: &Loaded) -> Vec<Diagnostic> {
    diagnose(&problems, &loaded.documents)
}

/// The prompt and the inputs by name.
fn given(request: &ExecuteRequest) -> Result<Map<String, Value>, ServiceError> {
    let mut given = Map::new();
    let prompt = request.prompt.iter().map(|prompt| (PROMPT, prompt));
    let inputs = request.inputs.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in prompt.chain(inputs) {
        if given.insert(name.to_owned(), Value::String(value.clone())).is_some() {
            return Err(ServiceError::Argument {
                what: "an input",
                given: name.to_owned(),
                expected: "it is given twice".into(),
            });
        }
    }
    Ok(given)
}
