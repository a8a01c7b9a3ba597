//! How Messages answers are read.

use crate::{
    failure::ErrorBody,
    provider::{
        Stop, WireFormat,
        assembly::{Assembly, Counts},
        read::Dialect,
    },
};
use orchestrator_core::usage::TokenCount;
use serde_json::Value;
use std::collections::BTreeMap;

/// What has to be remembered between events.
#[derive(Default)]
pub(super) struct Messages {
    /// Blocks that are kept or completed when they stop, by their index.
    open: BTreeMap<u64, Value>,
}

impl Messages {
    /// The block `index` is whole.
    fn close(&mut self, index: u64, so_far: &mut Assembly<'_, '_>) {
        let Some(block) = self.open.remove(&index) else { return };
        if block["type"] == "tool_use" {
            so_far.complete_arguments(index, &block["input"].to_string());
        } else if is_signed(&block) {
            so_far.keep(WireFormat::Anthropic, block);
        }
    }
}

impl Dialect for Messages {
    fn event(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        let index = json["index"].as_u64().unwrap_or_default();
        match text(&json["type"]) {
            "message_start" => {
                let message = &json["message"];
                so_far.served_by(&message["model"]);
                count(&message["usage"], so_far);
                so_far.output_goes_on();
            }
            "content_block_start" => {
                let block = &json["content_block"];
                match text(&block["type"]) {
                    "text" => so_far.add_text(text(&block["text"])),
                    "thinking" | "redacted_thinking" => {
                        so_far.add_reasoning(text(&block["thinking"]));
                        self.open.insert(index, block.clone());
                    }
                    "tool_use" => {
                        so_far.start_call(index, text(&block["id"]), text(&block["name"]));
                        self.open.insert(index, block.clone());
                    }
                    other => so_far.unknown(other),
                }
            }
            "content_block_delta" => {
                let delta = &json["delta"];
                match text(&delta["type"]) {
                    "text_delta" => so_far.add_text(text(&delta["text"])),
                    "thinking_delta" => {
                        so_far.add_reasoning(text(&delta["thinking"]));
                        extend(self.open.get_mut(&index), "thinking", text(&delta["thinking"]));
                    }
                    "signature_delta" => {
                        extend(self.open.get_mut(&index), "signature", text(&delta["signature"]));
                    }
                    "input_json_delta" => so_far.add_arguments(index, text(&delta["partial_json"])),
                    "citations_delta" => {}
                    other => so_far.unknown(other),
                }
            }
            "content_block_stop" => self.close(index, so_far),
            "message_delta" => {
                count(&json["usage"], so_far);
                end(&json["delta"], so_far);
            }
            "message_stop" => so_far.ended = true,
            "ping" => {}
            "error" => return Err(Box::new(ErrorBody::from_json(json))),
            other => so_far.unknown(other),
        }
        Ok(())
    }

    fn whole(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        let Some(blocks) = json["content"].as_array() else {
            return Err(Box::new(ErrorBody::from_json(json)));
        };
        so_far.served_by(&json["model"]);
        for (index, block) in (0..).zip(blocks) {
            match text(&block["type"]) {
                "text" => so_far.add_text(text(&block["text"])),
                "thinking" | "redacted_thinking" => {
                    so_far.add_reasoning(text(&block["thinking"]));
                    if is_signed(block) {
                        so_far.keep(WireFormat::Anthropic, block.clone());
                    }
                }
                "tool_use" => {
                    so_far.start_call(index, text(&block["id"]), text(&block["name"]));
                    so_far.add_arguments(index, &block["input"].to_string());
                }
                other => so_far.unknown(other),
            }
        }
        count(&json["usage"], so_far);
        end(json, so_far);
        Ok(())
    }

    fn may_close(&self, _: &Assembly<'_, '_>) -> bool {
        false
    }

    /// Blocks that never stopped.
    fn finish(&mut self, so_far: &mut Assembly<'_, '_>) {
        while let Some(index) = self.open.keys().next().copied() {
            self.close(index, so_far);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Without its seal a thought would be refused when it comes back.
fn is_signed(block: &Value) -> bool {
    !text(&block["signature"]).is_empty() || block["type"] == "redacted_thinking"
}

/// Adds `more` to the text at `key` of an open block.
fn extend(block: Option<&mut Value>, key: &str, more: &str) {
    let Some(Value::Object(block)) = block else { return };
    match block.get_mut(key) {
        Some(Value::String(text)) => text.push_str(more),
        _ => {
            block.insert(key.to_owned(), Value::String(more.to_owned()));
        }
    }
}

/// Takes the reason for the end over from `place`.
fn end(place: &Value, so_far: &mut Assembly<'_, '_>) {
    let Some(reason) = place["stop_reason"].as_str() else { return };
    let stop = stop(reason);
    if stop == Stop::Refused {
        so_far.refusal.push_str(text(&place["stop_details"]["explanation"]));
    }
    so_far.stop = Some(stop);
}

/// Takes counts over; each is a running total, and a later event may leave some out. What is told
/// and is no count makes its side unknown: the count before it would be too little.
fn count(usage: &Value, so_far: &mut Assembly<'_, '_>) {
    if !usage.is_object() {
        return;
    }
    let mut counts: Counts = so_far.counts();
    let told = |key: &str| Some(&usage[key]).filter(|it| !it.is_null()).map(Value::as_u64);
    if let Some(tokens) = told("input_tokens") {
        counts.usage.input = tokens.map_or(counts.usage.input, TokenCount);
        counts.has_input = tokens.is_some();
    }
    if let Some(tokens) = told("output_tokens") {
        counts.usage.output = tokens.map_or(counts.usage.output, TokenCount);
        counts.has_output = tokens.is_some();
    }
    for (key, cached) in [
        ("cache_read_input_tokens", &mut counts.usage.cache_read),
        ("cache_creation_input_tokens", &mut counts.usage.cache_write),
    ] {
        match told(key) {
            Some(Some(tokens)) => *cached = TokenCount(tokens),
            Some(None) => counts.has_input = false,
            None => {}
        }
    }
    if let Some(tokens) = usage["output_tokens_details"]["thinking_tokens"].as_u64() {
        counts.usage.reasoning = TokenCount(tokens.min(counts.usage.output.0));
    }
    so_far.set_counts(counts);
}

fn stop(reason: &str) -> Stop {
    match reason {
        "end_turn" | "stop_sequence" => Stop::End,
        "tool_use" => Stop::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => Stop::MaxTokens,
        "refusal" => Stop::Refused,
        other => Stop::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_reasons_are_mapped() {
        for (reason, expected) in [
            ("end_turn", "end"),
            ("stop_sequence", "end"),
            ("tool_use", "tool_calls"),
            ("max_tokens", "max_tokens"),
            ("model_context_window_exceeded", "max_tokens"),
            ("refusal", "refused"),
            ("pause_turn", "pause_turn"),
        ] {
            assert_eq!(stop(reason).as_str(), expected);
        }
    }
}
