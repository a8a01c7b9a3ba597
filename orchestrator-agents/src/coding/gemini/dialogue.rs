//! What Gemini CLI prints.

use super::{NAME, status_of, tools};
use crate::coding::{
    adapter::{Dialogue, Exit, Order, Reach, Step, Verdict},
    event::{Counted, Ended, Event, Finish, ModelUsage, Outcome, Scope, ToolResult},
    told::{by_status, by_words, count, disagrees, object, outcome, text},
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    usage::{TokenCount, Usage},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The stream of one process.
#[derive(Debug, Default)]
pub(super) struct Stream {
    prompt: String,
    reach: Reach,
    model: Option<String>,
    /// What the model is saying.
    saying: String,
    /// What it said last.
    said: Option<String>,
    /// Tools that run, by their calls.
    running: BTreeMap<String, String>,
    denied: Vec<String>,
    ended: Option<Result<Finish, Failure>>,
}

impl Stream {
    pub(super) fn new(order: &Order) -> Self {
        let (prompt, model) = (order.prompt.clone(), order.model.clone());
        Self { prompt, reach: order.reach, model, ..Self::default() }
    }

    /// The message that has come piece by piece, once something else follows.
    fn whole(&mut self) -> Option<Event> {
        if self.saying.is_empty() {
            return None;
        }
        let text = std::mem::take(&mut self.saying);
        self.said = Some(text.clone());
        Some(Event::Message { text, model: self.model.clone() })
    }

    fn read(&mut self, event: &Value) -> Vec<Event> {
        let kind = text(event, "/type").unwrap_or_default();
        match kind {
            "init" => {
                self.model = text(event, "/model").map(str::to_owned).or(self.model.take());
                let id = text(event, "/session_id");
                let session = id.map(|id| Event::Session {
                    id: id.to_owned(),
                    model: self.model.clone(),
                    version: None,
                });
                session.into_iter().collect()
            }
            "message" => match (text(event, "/role"), text(event, "/content")) {
                (Some("assistant"), Some(said)) => {
                    self.saying.push_str(said);
                    vec![Event::Delta(said.to_owned())]
                }
                // What it was asked.
                _ => Vec::new(),
            },
            "tool_use" => {
                let tool = text(event, "/tool_name").unwrap_or("tool");
                let id = text(event, "/tool_id").unwrap_or_default().to_owned();
                let input = event.get("parameters").cloned().unwrap_or_default();
                self.running.insert(id.clone(), tool.to_owned());
                let action = tools::action(tool, &input);
                self.whole().into_iter().chain([Event::ToolStarted { id, action, input }]).collect()
            }
            "tool_result" => {
                let id = text(event, "/tool_id").unwrap_or_default().to_owned();
                let tool = self.running.remove(&id).unwrap_or_default();
                let outcome = self.outcome(event, &tool);
                let output = event.get("output").or(event.pointer("/error/message"));
                let output = output.cloned().unwrap_or_default();
                vec![Event::ToolEnded { id, result: ToolResult { outcome, output } }]
            }
            "error" => {
                let told = text(event, "/message").unwrap_or("something went wrong");
                vec![Event::Notice(told.to_owned())]
            }
            "result" => {
                let mut events: Vec<Event> = self.whole().into_iter().collect();
                events.extend(used(event).map(Event::Used));
                let result = self.finish(event);
                self.ended = Some(result.clone());
                events.push(Event::Ended(Ended { result }));
                events
            }
            _ => vec![Event::Unknown { kind: kind.to_owned() }],
        }
    }

    fn outcome(&mut self, event: &Value, tool: &str) -> Outcome {
        let outcome = outcome(text(event, "/status") == Some("success"));
        let is_gone = text(event, "/error/type") == Some("tool_not_registered");
        let is_refused = text(event, "/error/type") == Some("policy_violation");
        if outcome == Outcome::Failed
            && (is_refused || (is_gone && tools::is_out_of(self.reach, tool)))
        {
            self.denied.push(tool.to_owned());
            return Outcome::Denied;
        }
        outcome
    }

    fn finish(&self, event: &Value) -> Result<Finish, Failure> {
        if text(event, "/status") == Some("success") {
            let denied = self.denied.clone();
            return Ok(Finish { text: self.said.clone(), structured: None, denied });
        }
        let told = text(event, "/error/message").unwrap_or("it does not say why");
        if text(event, "/error/type") == Some("FatalTurnLimitedError") {
            return Err(Failure::new(ErrorClass::NoProgress, format!("{NAME} stopped: {told}")));
        }
        // `[API Error: …]`, with JSON or text inside. Advice may follow, such as to ask for a quota.
        let inside = told.strip_prefix("[API Error: ").and_then(|told| told.rsplit_once(']'));
        let inside = inside.map_or(told, |(inside, _)| inside);
        let json: Option<Value> = serde_json::from_str(inside).ok();
        let status = json.as_ref().map_or(0, |json| count(json, "/error/code"));
        Err(match u16::try_from(status) {
            Ok(status @ 400..600) => by_status(NAME, status, inside),
            _ => by_words(NAME, inside),
        })
    }
}

/// What this process used, of all its calls.
fn used(event: &Value) -> Option<Counted> {
    let models = event.pointer("/stats/models").and_then(Value::as_object)?;
    let models = models.iter().filter_map(|(model, stats)| {
        let (all, input) = (count(stats, "/total_tokens"), count(stats, "/input_tokens"));
        let (output, cached) = (count(stats, "/output_tokens"), count(stats, "/cached"));
        // Thoughts are only in the total.
        let reasoning = all.saturating_sub(input).saturating_sub(output);
        let usage = Usage {
            input: TokenCount(input.saturating_sub(cached)),
            cache_read: TokenCount(cached),
            cache_write: TokenCount(0),
            output: TokenCount(output + reasoning),
            reasoning: TokenCount(reasoning),
        };
        let model = Some(model.clone());
        (!usage.is_zero()).then_some(ModelUsage { model, requests: None, usage, cost: None })
    });
    let models: Vec<ModelUsage> = models.collect();
    (!models.is_empty()).then_some(Counted { scope: Scope::Process, models })
}

impl Dialogue for Stream {
    /// The prompt is read from the standard input: as an argument it would have a bound.
    fn start(&mut self) -> Vec<Step> {
        vec![Step::Write(std::mem::take(&mut self.prompt)), Step::Close]
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        match object(line) {
            Ok(event) => self.read(&event).into_iter().map(Step::Said).collect(),
            Err(steps) => steps,
        }
    }

    fn verdict(&mut self, exit: Exit) -> Verdict {
        match (self.ended.take(), exit) {
            (Some(Ok(finish)), Exit::Code(0) | Exit::Stopped) => Verdict::Done(finish),
            (Some(Ok(_)), exit) => Verdict::Failed(disagrees(NAME, exit)),
            // The code tells the status where the words do not.
            (Some(Err(failure)), Exit::Code(code)) if failure.class == ErrorClass::Transient => {
                let status = status_of(code);
                let begin = format!("{NAME} failed: ");
                let words = failure.message.strip_prefix(&begin).unwrap_or(&failure.message);
                let by_code = status.map(|status| by_status(NAME, status, words));
                Verdict::Failed(by_code.unwrap_or(failure))
            }
            (Some(Err(failure)), _) => Verdict::Failed(failure),
            (None, _) => Verdict::Silent,
        }
    }
}
