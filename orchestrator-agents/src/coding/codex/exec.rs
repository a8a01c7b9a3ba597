//! What `codex exec --json` says.

use super::super::{
    Counted, Dialogue, Ended, Event, Exit, Finish, ModelUsage, Order, Scope, Step, Verdict, told,
};
use super::item::{Items, Stage};
use super::{NAME, failure};
use orchestrator_core::{error::Failure, usage::TokenCount, usage::Usage};
use serde_json::Value;

/// A dialogue with one process.
#[derive(Debug)]
pub(super) struct Exec {
    prompt: String,
    model: Option<String>,
    wants_json: bool,
    items: Items,
    end: End,
}

/// How it ended, by its own word.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing has ended.
    Open,
    /// The last piece of work that ended.
    Result(Result<Finish, Failure>),
    /// It would have tried in vain.
    GivenUp(Failure),
}

impl End {
    /// What came of it.
    pub(super) fn verdict(&self, exit: Exit) -> Verdict {
        match (self, exit) {
            (Self::Open, _) => Verdict::Silent,
            (Self::GivenUp(failure) | Self::Result(Err(failure)), _) => {
                Verdict::Failed(failure.clone())
            }
            // Where we stopped it after its last word, it had only not gone by itself.
            (Self::Result(Ok(finish)), Exit::Code(0) | Exit::Stopped) => {
                Verdict::Done(finish.clone())
            }
            (Self::Result(Ok(_)), Exit::Code(_) | Exit::Signal(_)) => {
                Verdict::Failed(told::disagrees(NAME, exit))
            }
        }
    }

    /// Gives up for `failure`, unless that was done before.
    pub(super) fn give_up(&mut self, failure: Failure) -> Option<Step> {
        if let Self::GivenUp(_) = self {
            return None;
        }
        *self = Self::GivenUp(failure.clone());
        Some(Step::GiveUp(failure))
    }
}

/// What was left by what was said last.
pub(super) fn finish(items: &Items, wants_json: bool) -> Finish {
    let text = items.said.clone();
    let structured = text.as_deref().filter(|_| wants_json);
    let structured = structured.and_then(|text| serde_json::from_str(text).ok());
    Finish { text, structured, denied: items.denied.clone() }
}

/// What was used, by the names of `counted`, which are spelled in two ways. Input that was read from a
/// cache is part of the input there.
pub(super) fn used(counted: &Value, model: Option<&str>) -> Event {
    let tokens =
        |snake: &str, camel: &str| told::count(counted, snake).max(told::count(counted, camel));
    let cache_read = tokens("/cached_input_tokens", "/cachedInputTokens");
    let cache_write = tokens("/cache_write_input_tokens", "/cacheWriteInputTokens");
    let input = tokens("/input_tokens", "/inputTokens");
    let usage = Usage {
        input: TokenCount(input.saturating_sub(cache_read).saturating_sub(cache_write)),
        cache_read: TokenCount(cache_read),
        cache_write: TokenCount(cache_write),
        output: TokenCount(tokens("/output_tokens", "/outputTokens")),
        reasoning: TokenCount(tokens("/reasoning_output_tokens", "/reasoningOutputTokens")),
    };
    let model = model.map(str::to_owned);
    let models = vec![ModelUsage { model, requests: None, usage, cost: None }];
    Event::Used(Counted { scope: Scope::Lineage, models })
}

impl Exec {
    pub(super) fn new(order: &Order) -> Self {
        Self {
            prompt: order.prompt.clone(),
            model: order.model.clone(),
            wants_json: order.schema.is_some(),
            items: Items::default(),
            end: End::Open,
        }
    }

    fn item(&mut self, event: &Value, stage: Stage) -> Vec<Step> {
        let item = event.get("item").unwrap_or(&Value::Null);
        self.items.item(item, stage, self.model.as_deref())
    }

    /// A call that is made again, or else the last word before `turn.failed`.
    fn error(&mut self, event: &Value) -> Vec<Step> {
        let message = told::text(event, "/message").unwrap_or_default();
        if !message.starts_with("Reconnecting") {
            return Vec::new();
        }
        let mut steps = vec![Step::Said(Event::Retrying(failure::retry(message, None)))];
        let failure = failure::of_retry(message, None);
        steps.extend(failure.and_then(|failure| self.end.give_up(failure)));
        steps
    }

    fn ended(&mut self, result: Result<Finish, Failure>) -> Vec<Step> {
        self.end = End::Result(result.clone());
        vec![Step::Said(Event::Ended(Ended { result }))]
    }
}

impl Dialogue for Exec {
    fn start(&mut self) -> Vec<Step> {
        vec![Step::Write(self.prompt.clone()), Step::Close]
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        let event = match told::object(line) {
            Ok(event) => event,
            Err(steps) => return steps,
        };
        match told::text(&event, "/type").unwrap_or("unnamed") {
            "thread.started" => {
                let id = told::text(&event, "/thread_id").map(str::to_owned);
                let model = self.model.clone();
                let session = id.map(|id| Event::Session { id, model, version: None });
                session.map(Step::Said).into_iter().collect()
            }
            "item.started" => self.item(&event, Stage::Started),
            "item.completed" => self.item(&event, Stage::Completed),
            "turn.started" | "item.updated" => Vec::new(),
            "error" => self.error(&event),
            "turn.completed" => {
                let counted = event.get("usage").unwrap_or(&Value::Null);
                let mut steps = vec![Step::Said(used(counted, self.model.as_deref()))];
                steps.extend(self.ended(Ok(finish(&self.items, self.wants_json))));
                steps
            }
            "turn.failed" => {
                let message = told::text(&event, "/error/message").unwrap_or_default();
                self.ended(Err(failure::of(message, None)))
            }
            kind => vec![Step::Said(Event::Unknown { kind: kind.to_owned() })],
        }
    }

    fn verdict(&mut self, exit: Exit) -> Verdict {
        self.end.verdict(exit)
    }
}
