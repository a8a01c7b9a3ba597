//! An agent that asks a language model: one question, one answer, through the gateway.
//!
//! The model is told the agent's instructions and the task's prompt, with the reasons why earlier
//! attempts were not accepted. Where the task declares an output schema, the answer must hold JSON
//! that fits it; if it does not, the model is told exactly what is wrong and asked again in the
//! same conversation, at most twice. All that it costs is reported, whatever comes of it. Where a rule
//! names several models, the conversation goes on with the next when one fails.

mod ask;
pub(crate) mod books;
pub(crate) mod output;
pub(crate) mod prompt;
mod route;
mod watch;

#[cfg(test)]
mod tests;

use ask::Conversation;
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::{Agent, Answer, Assignment, AttemptHost, LogLine, LogStream, Work},
};
use orchestrator_gateway::{Gateway, Stop, route::Router};
use output::OutputSchema;
use route::Models;
use std::sync::Arc;

/// How often a model may mend an answer that does not fit the schema.
pub const MAX_REPAIRS: u32 = 2;

/// Asks the model that an agent's specification names, or those of its route: its `provider` is one of
/// the gateway's.
#[derive(Debug, Clone)]
pub struct ModelAgent {
    router: Router,
}

impl ModelAgent {
    /// An agent on the providers of `gateway`.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self::routed(Router::new(gateway))
    }

    /// An agent whose requests go by `router`.
    pub fn routed(router: Router) -> Self {
        Self { router }
    }
}

#[async_trait]
impl Agent for ModelAgent {
    /// # Errors
    /// What the gateway reports; `Refused` when the model declines; `BadOutput` when the answer
    /// is empty, or still does not fit the schema after [`MAX_REPAIRS`] repairs; `InvalidRequest`
    /// for an agent without a model, a task that is not a prompt, and a schema that is not one;
    /// `Cancelled` as soon as the host says so. Each carries what was spent.
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let agent = &assignment.agent;
        let invalid = |message: String| Failure::new(ErrorClass::InvalidRequest, message);
        let Work::Prompt(_) = &assignment.work else {
            let name = &agent.name;
            return Err(invalid(format!("agent `{name}` asks a model and cannot run a command")));
        };
        let Some(models) = Models::of(assignment) else {
            return Err(invalid(format!(
                "agent `{0}` names no model; set `model` in [agents.{0}]",
                agent.name
            )));
        };
        let schema = match &assignment.output_schema {
            Some(schema) => Some(OutputSchema::new(schema.clone()).map_err(invalid)?),
            None => None,
        };
        let request = prompt::request(assignment, &models.first().model);
        let mut conversation = Conversation::new(&self.router, models, assignment, request, host);
        let result = converse(&mut conversation, schema.as_ref(), host).await;
        let spend = conversation.into_spend();
        match result {
            Ok(answer) => Ok(answer.spent(spend)),
            Err(failure) => Err(failure.spent(spend)),
        }
    }
}

async fn converse(
    conversation: &mut Conversation<'_>,
    schema: Option<&OutputSchema>,
    host: &dyn AttemptHost,
) -> Result<Answer, Failure> {
    let note = |text: String| host.log(LogLine { stream: LogStream::Note, text });
    let mut repairs = 0;
    loop {
        let answer = conversation.ask().await?;
        if answer.stop == Stop::Refused {
            let reason = prompt::brief(&answer.text);
            let message = if reason.is_empty() {
                format!("model `{}` declined to answer and gave no reason", conversation.model())
            } else {
                format!("model `{}` declined to answer: {reason}", conversation.model())
            };
            return Err(Failure::new(ErrorClass::Refused, message));
        }
        let cut_off = answer.stop == Stop::MaxTokens;
        let Some(schema) = schema else {
            if answer.text.trim().is_empty() {
                let message = format!(
                    "model `{}` gave an empty answer ({}); raise `max-tokens` or reword the prompt",
                    conversation.model(),
                    answer.stop.as_str()
                );
                return Err(Failure::new(ErrorClass::BadOutput, message));
            }
            if cut_off {
                note(
                    "the answer reached its most tokens and is cut off; raise `max-tokens`".into(),
                );
            }
            return Ok(Answer::text(answer.text));
        };
        let violations = match schema.read(&answer.text) {
            Ok(output) => return Ok(Answer::json(output)),
            Err(violations) => violations,
        };
        if repairs == MAX_REPAIRS {
            let message = format!(
                "the answer of model `{}` still does not fit the output schema after {MAX_REPAIRS} \
                 repairs: {}",
                conversation.model(),
                prompt::brief(&violations.join("; "))
            );
            return Err(Failure::new(ErrorClass::BadOutput, message));
        }
        repairs += 1;
        note(format!(
            "the answer does not fit the output schema; repair {repairs} of {MAX_REPAIRS}: {}",
            prompt::brief(&violations.join("; "))
        ));
        conversation.reply(&answer.text, prompt::repair(&violations, cut_off));
    }
}
