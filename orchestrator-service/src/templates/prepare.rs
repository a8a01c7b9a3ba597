//! From a template and what a caller gives to a workflow with its inputs.

use super::catalogue::{Loaded, diagnose, refuse};
use crate::{ServiceError, document::Diagnostic};
use orchestrator_core::workflow::{InputSpec, Mode, Problem, Workflow};
use serde_json::{Map, Value};

impl Loaded {
    /// The workflow for `given`, which are parameters of the template and inputs of the workflow
    /// alike, and the run's inputs.
    ///
    /// # Errors
    /// Everything that is wrong with the workflow or what was given.
    pub(crate) fn prepare(
        &self,
        given: &Map<String, Value>,
        mode: Option<Mode>,
    ) -> Result<(Workflow, Value), ServiceError> {
        let is_parameter = |name: &str| self.resolved.parameters().iter().any(|p| p.name == name);
        let (parameters, inputs): (Vec<_>, Vec<_>) =
            given.clone().into_iter().partition(|(name, _)| is_parameter(name));
        let mut workflow = self.instantiate(&parameters.into_iter().collect())?;
        if let Some(mode) = mode.filter(|mode| *mode != workflow.mode) {
            workflow.mode = mode;
            let problems = workflow.check();
            if !problems.is_empty() {
                return Err(refuse(diagnose(&problems, &self.documents)));
            }
        }
        let inputs = workflow
            .bind_inputs(&inputs.into_iter().collect())
            .map_err(|problems| self.refuse_given(&problems))?;
        Ok((workflow, inputs))
    }

    /// The workflow for these parameters.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn instantiate(
        &self,
        parameters: &Map<String, Value>,
    ) -> Result<Workflow, ServiceError> {
        let document = self.resolved.instantiate(parameters).map_err(|problems| {
            // What was given on a command line has no place in the file.
            if problems.iter().any(|problem| problem.pointer.starts_with("/parameters")) {
                self.refuse_given(&problems)
            } else {
                refuse(diagnose(&problems, &self.documents))
            }
        })?;
        Workflow::parse(&document).map_err(|problems| refuse(diagnose(&problems, &self.documents)))
    }

    /// What the template takes beside its inputs.
    pub(crate) fn parameters(&self) -> &[InputSpec] {
        self.resolved.parameters()
    }

    /// Something wrong with the part at `pointer` of the workflow.
    pub(crate) fn diagnostic(
        &self,
        code: &'static str,
        pointer: &str,
        message: String,
    ) -> Diagnostic {
        let problem = Problem::new(code, pointer, message.clone());
        diagnose(&[problem], &self.documents)
            .pop()
            .unwrap_or_else(|| Diagnostic::new(code, message))
    }

    fn refuse_given(&self, problems: &[Problem]) -> ServiceError {
        ServiceError::Invalid {
            what: format!("cannot use what was given to `{}`", self.name),
            diagnostics: problems
                .iter()
                .map(|problem| {
                    Diagnostic::new(problem.code, problem.message.clone())
                        .suggest(problem.suggestion.clone())
                })
                .collect(),
        }
    }
}
