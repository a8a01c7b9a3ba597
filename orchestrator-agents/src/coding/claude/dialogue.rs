//! What Claude Code says.

use super::super::{
    Decision, Dialogue, Ended, Event, Exit, Finish, Order, Outcome, RequestId, Retry, Step,
    ToolResult, Verdict, told,
};
use super::failure::{self, Heard};
use super::live::{self, After, Channel};
use super::{NAME, result, tool};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    time::Timestamp,
};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

/// Progress of which nothing is told: by `type`.
const PROGRESS: [&str; 7] = [
    "auth_status",
    "command_lifecycle",
    "keep_alive",
    "prompt_suggestion",
    "tool_progress",
    "tool_use_summary",
    "transcript_mirror",
];

/// Progress of which nothing is told: by the `subtype` of `system`.
const STATES: [&str; 26] = [
    "background_tasks_changed",
    "commands_changed",
    "control_request_progress",
    "file_snapshot",
    "files_persisted",
    "hook_progress",
    "hook_response",
    "hook_started",
    "local_command_output",
    "memory_recall",
    "memory_saved",
    "per_turn_effort_changed",
    "permission_check_status",
    "post_turn_summary",
    "session_metadata",
    "session_state_changed",
    "session_title_changed",
    "shell_cwd",
    "status",
    "task_notification",
    "task_progress",
    "task_started",
    "task_summary",
    "task_updated",
    "thinking_tokens",
    "turn_duration",
];

/// Pieces of an answer of which nothing is told: by the `type` of `event`.
const PIECES: [&str; 7] = [
    "content_block_start",
    "content_block_stop",
    "error",
    "message_delta",
    "message_start",
    "message_stop",
    "ping",
];

/// A dialogue with one process.
#[derive(Debug)]
pub(super) struct Claude {
    prompt: String,
    channel: Option<Channel>,
    session: Option<String>,
    /// Calls of tools that were not allowed.
    denied: BTreeSet<String>,
    heard: Heard,
    /// How often its login was refused.
    refused: u32,
    end: End,
}

#[derive(Debug)]
enum End {
    /// Nothing has ended.
    Open,
    /// The last piece of work that ended.
    Result(Result<Finish, Failure>),
    /// It would have tried in vain.
    GivenUp(Failure),
}

impl Claude {
    pub(super) fn new(order: &Order) -> Self {
        Self {
            prompt: order.prompt.clone(),
            channel: order.live.then(|| Channel::new(&order.prompt)),
            session: None,
            denied: BTreeSet::new(),
            heard: Heard { own_login: order.endpoint.is_none(), ..Heard::default() },
            refused: 0,
            end: End::Open,
        }
    }

    fn system(&mut self, line: &Value) -> Vec<Step> {
        let kind = told::text(line, "/subtype").unwrap_or("unnamed");
        match kind {
            "init" => self.init(line),
            "api_retry" => self.retries(line),
            "permission_denied" => {
                let call = told::text(line, "/tool_use_id").map(str::to_owned);
                self.denied.extend(call);
                Vec::new()
            }
            "api_error" => {
                let seconds = line.pointer("/error/rate_limits/resets_at").and_then(Value::as_u64);
                self.heard.resets = seconds.map(epoch).or(self.heard.resets);
                Vec::new()
            }
            "compact_boundary" => notice("it has shortened its conversation"),
            "informational"
            | "model_fallback"
            | "model_refusal_fallback"
            | "notification"
            | "instruction_size_warning"
            | "session_writes_lost"
            | "mirror_error" => {
                let text = ["/content", "/message", "/text", "/error"];
                let text = text.into_iter().find_map(|name| told::text(line, name));
                text.map(notice).unwrap_or_default()
            }
            kind if STATES.contains(&kind) => Vec::new(),
            kind => unknown(&format!("system/{kind}")),
        }
    }

    fn init(&mut self, line: &Value) -> Vec<Step> {
        let Some(id) = told::text(line, "/session_id") else { return Vec::new() };
        // It says so anew with every message that it is told.
        if self.session.as_deref() == Some(id) {
            return Vec::new();
        }
        self.session = Some(id.to_owned());
        vec![Step::Said(Event::Session {
            id: id.to_owned(),
            model: told::text(line, "/model").map(str::to_owned),
            version: told::text(line, "/claude_code_version").map(str::to_owned),
        })]
    }

    fn retries(&mut self, line: &Value) -> Vec<Step> {
        let number = |name: &str| line.get(name).and_then(Value::as_u64);
        let code = told::text(line, "/error");
        let status = number("error_status").and_then(|status| u16::try_from(status).ok());
        let mut steps = vec![Step::Said(Event::Retrying(Retry {
            attempt: number("attempt").and_then(|attempt| u32::try_from(attempt).ok()),
            status,
            wait: number("retry_delay_ms").map(Duration::from_millis),
            message: code.unwrap_or_default().to_owned(),
        }))];
        let failure = failure::of_retry(status, code, self.refused, &self.heard);
        if status == Some(401) {
            self.refused += 1;
        }
        if let (Some(failure), End::Open | End::Result(_)) = (failure, &self.end) {
            self.end = End::GivenUp(failure.clone());
            steps.push(Step::GiveUp(failure));
        }
        steps
    }

    /// A message of the model. Each line holds one block of it.
    fn assistant(&mut self, line: &Value) -> Vec<Step> {
        let model = told::text(line, "/message/model");
        // What the program says in the model's place: of a call that failed.
        if model == Some("<synthetic>") {
            self.heard.error = told::text(line, "/error").map(str::to_owned);
            return Vec::new();
        }
        let by_helper = told::text(line, "/parent_tool_use_id").is_some();
        let mut steps = Vec::new();
        for block in blocks(line) {
            let kind = told::text(block, "/type").unwrap_or("unnamed");
            match kind {
                "text" => {
                    let Some(text) = told::text(block, "/text").map(str::to_owned) else {
                        continue;
                    };
                    steps.push(Step::Said(match by_helper {
                        true => Event::Thought(text),
                        false => Event::Message { text, model: model.map(str::to_owned) },
                    }));
                }
                "thinking" => {
                    let thought = told::text(block, "/thinking").map(str::to_owned);
                    steps.extend(thought.map(|text| Step::Said(Event::Thought(text))));
                }
                "tool_use" | "server_tool_use" | "mcp_tool_use" => {
                    let name = told::text(block, "/name").unwrap_or("a tool");
                    let input = block.get("input").cloned().unwrap_or(Value::Null);
                    let id = told::text(block, "/id").unwrap_or_default().to_owned();
                    let action = tool::action(name, &input);
                    steps.push(Step::Said(Event::ToolStarted { id, action, input }));
                }
                "redacted_thinking" => {}
                kind if kind.ends_with("_tool_result") => {
                    steps.extend(self.tool_ended(block, line))
                }
                kind => steps.extend(unknown(&format!("assistant/{kind}"))),
            }
        }
        steps
    }

    /// What a tool left, or a message of ours that it repeats, or what it tells itself.
    fn user(&mut self, line: &Value) -> Vec<Step> {
        if line.get("isReplay").and_then(Value::as_bool) == Some(true) {
            if let Some(channel) = &mut self.channel {
                channel.took();
            }
            return Vec::new();
        }
        let results = blocks(line).filter(|block| {
            told::text(block, "/type").is_some_and(|kind| kind.ends_with("tool_result"))
        });
        results.flat_map(|block| self.tool_ended(block, line)).collect()
    }

    fn tool_ended(&self, block: &Value, line: &Value) -> Option<Step> {
        let id = told::text(block, "/tool_use_id")?;
        let failed = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
        let outcome = match failed {
            false => Outcome::Done,
            true if self.denied.contains(id) || was_rejected(line, id) => Outcome::Denied,
            true => Outcome::Failed,
        };
        let output = block.get("content").cloned().unwrap_or(Value::Null);
        let result = ToolResult { outcome, output };
        Some(Step::Said(Event::ToolEnded { id: id.to_owned(), result }))
    }

    fn piece(&self, line: &Value) -> Vec<Step> {
        let kind = told::text(line, "/event/type").unwrap_or("unnamed");
        if kind != "content_block_delta" {
            return match PIECES.contains(&kind) {
                true => Vec::new(),
                false => unknown(&format!("stream_event/{kind}")),
            };
        }
        let by_helper = told::text(line, "/parent_tool_use_id").is_some();
        match told::text(line, "/event/delta/text") {
            Some(text) if !by_helper => vec![Step::Said(Event::Delta(text.to_owned()))],
            _ => Vec::new(),
        }
    }

    fn limits(&mut self, line: &Value) -> Vec<Step> {
        let at = line.pointer("/rate_limit_info/resetsAt").and_then(Value::as_u64).map(epoch);
        let window = told::text(line, "/rate_limit_info/rateLimitType").unwrap_or("a limit");
        match told::text(line, "/rate_limit_info/status") {
            Some("rejected") => {
                self.heard.resets = at;
                notice(&format!("a limit of the subscription is reached: {window}"))
            }
            Some("allowed_warning") => {
                notice(&format!("a limit of the subscription is near: {window}"))
            }
            _ => Vec::new(),
        }
    }

    fn result(&mut self, line: &Value) -> Vec<Step> {
        let mut steps: Vec<Step> = result::used(line).map(Step::Said).into_iter().collect();
        let broken_off = !result::is_well(line) && result::is_broken_off(line);
        let after = self.channel.as_mut().map(|channel| channel.ended(broken_off));
        if after == Some(After::Interrupted) {
            let message = format!("{NAME} was interrupted and was told nothing more");
            self.end = End::Result(Err(Failure::new(ErrorClass::Cancelled, message)));
            steps.extend(notice("it was interrupted"));
            return steps;
        }
        let ended = match result::is_well(line) {
            true => Ok(result::finish(line)),
            false => Err(failure::of_result(line, &self.heard)),
        };
        self.heard.error = None;
        self.end = End::Result(ended.clone());
        steps.push(Step::Said(Event::Ended(Ended { result: ended })));
        if after == Some(After::Over) {
            steps.push(Step::Close);
        }
        steps
    }
}

impl Dialogue for Claude {
    fn start(&mut self) -> Vec<Step> {
        match self.channel {
            Some(_) => vec![Channel::hello()],
            None => vec![Step::Write(live::plain(&self.prompt)), Step::Close],
        }
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        let value = match told::object(line) {
            Ok(value) => value,
            Err(steps) => return steps,
        };
        match told::text(&value, "/type").unwrap_or("unnamed") {
            "system" => self.system(&value),
            "assistant" => self.assistant(&value),
            "user" => self.user(&value),
            "stream_event" => self.piece(&value),
            "result" => self.result(&value),
            "rate_limit_event" => self.limits(&value),
            kind @ ("control_request" | "control_response" | "control_cancel_request") => {
                match (&mut self.channel, kind) {
                    (Some(channel), "control_request") => channel.asks(&value),
                    (Some(channel), "control_response") => {
                        let steps = channel.answered(&value);
                        if let Some(Step::GiveUp(failure)) = steps.first() {
                            self.end = End::GivenUp(failure.clone());
                        }
                        steps
                    }
                    (Some(channel), _) => channel.withdraws(&value),
                    (None, kind) => unknown(kind),
                }
            }
            kind if PROGRESS.contains(&kind) => Vec::new(),
            kind => unknown(kind),
        }
    }

    fn answer(&mut self, request: &RequestId, decision: &Decision) -> Vec<Step> {
        let Some(channel) = &mut self.channel else { return Vec::new() };
        let (steps, denied) = channel.answer(request, decision);
        self.denied.extend(denied);
        steps
    }

    fn say(&mut self, message: &str) -> Option<Vec<Step>> {
        self.channel.as_mut()?.say(message)
    }

    fn interrupt(&mut self) -> Option<Vec<Step>> {
        self.channel.as_mut()?.interrupt()
    }

    fn verdict(&mut self, exit: Exit) -> Verdict {
        match (&self.end, exit) {
            (End::Open, _) => Verdict::Silent,
            (End::GivenUp(failure) | End::Result(Err(failure)), _) => {
                Verdict::Failed(failure.clone())
            }
            // Where we stopped it after its result, it had only not gone by itself.
            (End::Result(Ok(finish)), Exit::Code(0) | Exit::Stopped) => {
                Verdict::Done(finish.clone())
            }
            (End::Result(Ok(_)), Exit::Code(_) | Exit::Signal(_)) => {
                Verdict::Failed(told::disagrees(NAME, exit))
            }
        }
    }
}

/// The blocks of a message. One whose content is text has none.
fn blocks(line: &Value) -> impl Iterator<Item = &Value> {
    line.pointer("/message/content").and_then(Value::as_array).into_iter().flatten()
}

/// Whether a line says that the call `id` was not allowed.
fn was_rejected(line: &Value, id: &str) -> bool {
    let told = line.get("tool_result_meta").and_then(Value::as_array).into_iter().flatten();
    told.filter(|told| told::text(told, "/id") == Some(id)).any(|told| {
        told::text(told, "/permission_decision/decision") == Some("reject")
            || told::text(told, "/non_execution_kind").is_some()
    })
}

fn epoch(seconds: u64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000))
}

fn notice(text: &str) -> Vec<Step> {
    vec![Step::Said(Event::Notice(told::brief(text)))]
}

fn unknown(kind: &str) -> Vec<Step> {
    vec![Step::Said(Event::Unknown { kind: kind.to_owned() })]
}
