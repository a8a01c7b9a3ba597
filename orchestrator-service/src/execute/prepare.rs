//! From a request to a run that could start.

use super::{ExecuteRequest, What};
use crate::{
    OrchestratorService, ServiceError,
    roster::Bound,
    templates::{Loaded, is_document},
};
use orchestrator_core::{money::MicroUsd, run::StartRun};
use serde_json::{Map, Value};
use std::{path::Path, sync::Arc};

/// The template of a prompt alone, where a model is at hand.
const FOR_A_PROMPT: &str = "quick-implementation";

/// The input that a prompt is.
const PROMPT: &str = "prompt";

/// A run that could start, and who would do its tasks.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) start: StartRun,
    pub(super) bound: Bound,
}

impl OrchestratorService {
    /// Reads, checks and completes what `request` asks for. Touches neither store nor network.
    pub(super) fn prepare(&self, request: &ExecuteRequest) -> Result<Prepared, ServiceError> {
        let loaded = self.load(request)?;
        let (mut workflow, inputs) = loaded.prepare(&given(request)?, request.mode)?;
        let roster = self.roster()?;
        roster.replace(&mut workflow, &request.agents)?;
        let bound = roster.bind(&mut workflow, &loaded)?;
        let settings = self.settings()?.settings();
        if let Some(timeout) = settings.defaults.timeout {
            for task in workflow.tasks.iter_mut().filter(|task| task.timeout.is_none()) {
                task.timeout = Some(timeout);
            }
        }
        if request.max_parallel == Some(0) {
            return Err(ServiceError::Argument {
                what: "`--max-parallel`",
                given: "0".into(),
                expected: "it is at least 1".into(),
            });
        }
        let max_parallel =
            request.max_parallel.or(workflow.max_parallel).or(settings.defaults.max_parallel);
        let budget: Option<MicroUsd> =
            request.budget.or(workflow.budget).or(settings.budget.usd_per_run);
        let mut start = StartRun::new(Arc::new(workflow));
        start.inputs = inputs;
        start.source = loaded.source;
        start.directory = self.project().to_owned();
        start.budget = budget;
        start.max_parallel = max_parallel.unwrap_or(start.max_parallel);
        Ok(Prepared { start, bound })
    }

    fn load(&self, request: &ExecuteRequest) -> Result<Loaded, ServiceError> {
        let catalogue = self.catalogue()?;
        match &request.what {
            What::Template(name) => catalogue.load(name),
            What::Workflow(given) => {
                let path = self.environment().directory.join(given);
                let like_a_file =
                    given.contains(std::path::MAIN_SEPARATOR) || is_document(Path::new(given));
                if like_a_file || path.is_file() {
                    catalogue.load_file(&path)
                } else {
                    catalogue.load(given)
                }
            }
            What::Prompt if request.prompt.is_none() => Err(ServiceError::Missing(
                "there is nothing to execute: give a prompt, `--task-type` or `--workflow`",
            )),
            What::Prompt => {
                let roster = self.roster()?;
                match roster.why_no_model() {
                    Some(diagnostic) if !roster.has_model() => {
                        Err(ServiceError::invalid("cannot work on a prompt", diagnostic.clone()))
                    }
                    _ if roster.has_model() => catalogue.load(FOR_A_PROMPT),
                    _ => Err(ServiceError::ModelNeeded("a prompt".into())),
                }
            }
        }
    }
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
