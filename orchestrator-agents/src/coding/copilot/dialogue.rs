//! What Copilot CLI prints.

use super::{NAME, tools};
use crate::coding::{
    adapter::{Dialogue, Exit, Order, Start, Step, Verdict},
    event::{Counted, Ended, Event, Finish, ModelUsage, Outcome, Retry, Scope, ToolResult},
    told::{brief, by_status, by_words, count, disagrees, object, outcome, text},
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    usage::{TokenCount, Usage},
};
use serde_json::Value;

/// Statuses that do not pass by themselves, though it tries again.
const LASTING: [u16; 4] = [400, 401, 403, 404];

/// Kinds of events that say nothing that is not said by another.
const SILENT: [&str; 21] = [
    "session.skills_loaded",
    "session.mcp_server_tools_loaded",
    "session.mcp_servers_loaded",
    "session.mcp_server_status_changed",
    "session.background_tasks_changed",
    "session.title_changed",
    "session.usage_info",
    "user.message",
    "assistant.turn_start",
    "assistant.turn_end",
    "assistant.idle",
    "assistant.message_start",
    "assistant.tool_call_delta",
    "assistant.reasoning_delta",
    "assistant.turn_retry",
    "assistant.usage",
    "model.call_start",
    "model.call_finished",
    "model.call_final_result",
    "tool.shell_output",
    "tool.execution_partial_result",
];

/// The stream of one process.
#[derive(Debug, Default)]
pub(super) struct Stream {
    prompt: String,
    /// The session that it was told to work in.
    session: Option<String>,
    model: Option<String>,
    said: Option<String>,
    denied: Vec<String>,
    /// Whether it was interrupted: it may say that it is done all the same.
    interrupted: bool,
    /// What went wrong last.
    error: Option<Failure>,
    ended: Option<Result<Finish, Failure>>,
}

impl Stream {
    pub(super) fn new(order: &Order) -> Self {
        let session = match &order.start {
            Start::New(id) | Start::Resume(id) => Some(id.clone()),
            Start::Fork { .. } => None,
        };
        let (prompt, model) = (order.prompt.clone(), order.model.clone());
        Self { prompt, session, model, ..Self::default() }
    }

    fn read(&mut self, event: &Value) -> Vec<Step> {
        let kind = text(event, "/type").unwrap_or_default();
        let said = |event| vec![Step::Said(event)];
        match kind {
            "session.tools_updated" => {
                self.model = text(event, "/data/model").map(str::to_owned).or(self.model.take());
                // It works in the session that it was given, and says so only at its end.
                let session = self.session.take().map(|id| {
                    Step::Said(Event::Session { id, model: self.model.clone(), version: None })
                });
                session.into_iter().collect()
            }
            "assistant.message_delta" => match text(event, "/data/deltaContent") {
                Some(delta) => said(Event::Delta(delta.to_owned())),
                None => Vec::new(),
            },
            "assistant.reasoning" => match text(event, "/data/content") {
                Some(thought) => said(Event::Thought(thought.to_owned())),
                None => Vec::new(),
            },
            "assistant.message" => match text(event, "/data/content") {
                Some(message) => {
                    self.said = Some(message.to_owned());
                    let model = text(event, "/data/model").map(str::to_owned);
                    said(Event::Message { text: message.to_owned(), model })
                }
                // Only tools are called.
                None => Vec::new(),
            },
            "tool.execution_start" => {
                let tool = text(event, "/data/toolName").unwrap_or("tool");
                let id = text(event, "/data/toolCallId").unwrap_or_default().to_owned();
                let input = event.pointer("/data/arguments").cloned().unwrap_or_default();
                said(Event::ToolStarted { id, action: tools::action(tool, &input), input })
            }
            "tool.execution_complete" => said(self.tool_ended(event)),
            "model.call_failure" => self.failed_call(event),
            "session.error" => {
                let told = text(event, "/data/message").unwrap_or("it does not say why");
                let failure = failure(event, "/data/statusCode", told);
                self.error = Some(failure);
                said(Event::Notice(brief(told)))
            }
            "session.warning" | "session.info" => match text(event, "/data/message") {
                Some(told) => said(Event::Notice(brief(told))),
                None => Vec::new(),
            },
            "result" => {
                let result = self.finish(event);
                self.ended = Some(result.clone());
                said(Event::Ended(Ended { result }))
            }
            "abort" | "agent.interrupted" => {
                self.interrupted = true;
                Vec::new()
            }
            _ if SILENT.contains(&kind) => Vec::new(),
            _ => said(Event::Unknown { kind: kind.to_owned() }),
        }
    }

    fn tool_ended(&mut self, event: &Value) -> Event {
        let id = text(event, "/data/toolCallId").unwrap_or_default().to_owned();
        let succeeded = event.pointer("/data/success").and_then(Value::as_bool) == Some(true);
        let mut outcome = outcome(succeeded);
        let told = text(event, "/data/error/message");
        if text(event, "/data/error/code") == Some("denied") {
            outcome = Outcome::Denied;
            self.denied.push(told.map(brief).unwrap_or_default());
        }
        let output = text(event, "/data/result/content").or(told);
        let output = output.map_or(Value::Null, |text| Value::String(text.to_owned()));
        Event::ToolEnded { id, result: ToolResult { outcome, output } }
    }

    fn failed_call(&mut self, event: &Value) -> Vec<Step> {
        let told = text(event, "/data/errorMessage").unwrap_or("a call of a model failed");
        let status = u16::try_from(count(event, "/data/statusCode")).ok().filter(|it| *it > 0);
        let attempt = count(event, "/data/retryAttempt").saturating_add(1);
        let retry = Retry {
            attempt: u32::try_from(attempt).ok(),
            status,
            wait: None,
            message: brief(told),
        };
        let mut steps = vec![Step::Said(Event::Retrying(retry))];
        let failure = failure(event, "/data/statusCode", told);
        if status.is_some_and(|status| LASTING.contains(&status)) {
            steps.push(Step::GiveUp(failure.clone()));
        }
        self.error = Some(failure);
        steps
    }

    fn finish(&mut self, event: &Value) -> Result<Finish, Failure> {
        if self.interrupted {
            let message = format!("{NAME} was interrupted");
            return Err(Failure::new(ErrorClass::Crashed, message));
        }
        if event.get("exitCode").and_then(Value::as_i64) == Some(0) {
            return Ok(Finish {
                text: self.said.clone(),
                structured: None,
                denied: self.denied.clone(),
            });
        }
        Err(self.error.take().unwrap_or_else(|| by_words(NAME, "it does not say why")))
    }
}

fn failure(event: &Value, status: &str, told: &str) -> Failure {
    match u16::try_from(count(event, status)) {
        Ok(status @ 400..600) => by_status(NAME, status, told),
        _ => by_words(NAME, told),
    }
}

impl Dialogue for Stream {
    /// The prompt is read from the standard input: as an argument it would have a bound.
    fn start(&mut self) -> Vec<Step> {
        vec![Step::Write(std::mem::take(&mut self.prompt)), Step::Close]
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        match object(line) {
            Ok(event) => self.read(&event),
            Err(steps) => steps,
        }
    }

    /// All that the session used: what its earlier processes did is in it.
    fn report(&mut self, file: &[u8]) -> Vec<Step> {
        let Ok(report) = serde_json::from_slice::<Value>(file) else { return Vec::new() };
        let Some(models) = report.get("modelMetrics").and_then(Value::as_object) else {
            return Vec::new();
        };
        let models = models.iter().map(|(model, metrics)| {
            let cached = count(metrics, "/usage/cacheReadTokens");
            let written = count(metrics, "/usage/cacheWriteTokens");
            let input = count(metrics, "/usage/inputTokens");
            let usage = Usage {
                input: TokenCount(input.saturating_sub(cached).saturating_sub(written)),
                cache_read: TokenCount(cached),
                cache_write: TokenCount(written),
                output: TokenCount(count(metrics, "/usage/outputTokens")),
                reasoning: TokenCount(count(metrics, "/usage/reasoningTokens")),
            };
            let requests = u32::try_from(count(metrics, "/requests/count")).ok();
            ModelUsage { model: Some(model.clone()), requests, usage, cost: None }
        });
        let models = models.collect();
        vec![Step::Said(Event::Used(Counted { scope: Scope::Session, models }))]
    }

    fn verdict(&mut self, exit: Exit) -> Verdict {
        match (self.ended.take(), exit) {
            (Some(Ok(finish)), Exit::Code(0) | Exit::Stopped) => Verdict::Done(finish),
            (Some(Ok(_)), exit) => Verdict::Failed(disagrees(NAME, exit)),
            (Some(Err(failure)), _) => Verdict::Failed(failure),
            (None, _) => self.error.take().map_or(Verdict::Silent, Verdict::Failed),
        }
    }
}
