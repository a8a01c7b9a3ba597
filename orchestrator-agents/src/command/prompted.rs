//! A program that is an agent: it reads a prompt and prints its answer.

use super::{Confine, Environment, GRACE, output_of, run::Runner};
use crate::model::{output::OutputSchema, prompt};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::{Agent, Answer, Assignment, AttemptHost, Work},
};
use serde_json::Value;
use std::sync::Arc;

/// Runs one program for every task that it is given. The program reads the agent's instructions and
/// the task's prompt, as a model would be told them, from its standard input, and what it prints is
/// its answer. Where the task declares an output schema the answer must hold JSON that fits it.
///
/// A model that is named in the agent's specification is told in `ORCHESTRATOR_MODEL`.
#[derive(Debug, Clone)]
pub struct ProgramAgent {
    command: Vec<String>,
    environment: Environment,
    confine: Option<Arc<dyn Confine>>,
}

impl ProgramAgent {
    /// An agent that runs `command`, a program and its arguments, which sees what `environment` lets
    /// through.
    pub fn new(command: Vec<String>, environment: Environment) -> Self {
        Self { command, environment, confine: None }
    }

    /// The same, whose program is confined as `confine` says; not at all otherwise.
    #[must_use]
    pub fn confined_by(mut self, confine: Arc<dyn Confine>) -> Self {
        self.confine = Some(confine);
        self
    }
}

#[async_trait]
impl Agent for ProgramAgent {
    /// # Errors
    /// As a program of a `command` task; `BadOutput` when its answer does not fit the schema.
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let invalid = |message: String| Failure::new(ErrorClass::InvalidRequest, message);
        let name = &assignment.agent.name;
        let Work::Prompt(_) = &assignment.work else {
            return Err(invalid(format!("agent `{name}` answers prompts and runs no `command`")));
        };
        let schema = assignment.output_schema.clone().map(OutputSchema::new);
        let schema = schema.transpose().map_err(invalid)?;
        let mut environment = self.environment.clone();
        if let Some(model) = &assignment.agent.model {
            environment = environment.with("ORCHESTRATOR_MODEL", model);
        }
        let input =
            format!("{}\n\n{}\n", assignment.agent.instructions(), prompt::text(assignment));
        let confine = self.confine.as_deref();
        let runner = Runner { environment: &environment, grace: GRACE, confine };
        let mut ran = runner.run(&self.command, Some(input), assignment, host).await?;
        let program = ran.program.clone();
        let bad = |why: String| Failure::new(ErrorClass::BadOutput, why);
        let output = match schema {
            None => match output_of(&program, false, &mut ran.stdout).await? {
                Value::String(text) if text.trim().is_empty() => {
                    return Err(bad(format!("`{program}` printed no answer")));
                }
                output => output,
            },
            Some(schema) => {
                let whole = ran.stdout.whole().await;
                let whole = whole.map_err(|error| {
                    bad(format!("cannot read the answer of `{program}`: {error}"))
                })?;
                schema.read(&String::from_utf8_lossy(&whole)).map_err(|violations| {
                    let violations = prompt::brief(&violations.join("; "));
                    bad(format!(
                        "the answer of `{program}` does not fit the output schema: {violations}"
                    ))
                })?
            }
        };
        Ok(ran.keep(Answer { output, ..Answer::default() }, host).await)
    }
}
