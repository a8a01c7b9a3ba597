//! How Responses answers are read.

use crate::{
    failure::ErrorBody,
    provider::{
        Stop, WireFormat,
        assembly::{Assembly, Counts},
        read::Dialect,
    },
};
use serde_json::{Value, json};

/// Nothing has to be remembered between events: each names its item.
#[derive(Default)]
pub(super) struct Items;

impl Dialect for Items {
    fn event(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        let item = &json["item"];
        let key = json["output_index"].as_u64().unwrap_or_default();
        match text(&json["type"]) {
            "response.created" => so_far.served_by(&json["response"]["model"]),
            "response.output_item.added" => match text(&item["type"]) {
                "function_call" => {
                    so_far.start_call(key, text(&item["call_id"]), text(&item["name"]));
                    so_far.add_arguments(key, text(&item["arguments"]));
                }
                "message" | "reasoning" => {}
                other => so_far.unknown(other),
            },
            "response.output_text.delta" => so_far.add_text(text(&json["delta"])),
            "response.refusal.delta" => so_far.refusal.push_str(text(&json["delta"])),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                so_far.add_reasoning(text(&json["delta"]));
            }
            "response.function_call_arguments.delta" => {
                so_far.add_arguments(key, text(&json["delta"]));
            }
            "response.function_call_arguments.done" => {
                so_far.complete_arguments(key, text(&json["arguments"]));
            }
            "response.output_item.done" => match text(&item["type"]) {
                "function_call" => so_far.complete_arguments(key, text(&item["arguments"])),
                _ => keep(item, so_far),
            },
            "response.completed" | "response.incomplete" => {
                let response = &json["response"];
                so_far.served_by(&response["model"]);
                // A server that streams nothing but the end of it.
                if so_far.is_blank() {
                    take_items(response, so_far);
                }
                end(response, so_far);
                so_far.ended = true;
            }
            "response.failed" => {
                let response = &json["response"];
                count(&response["usage"], so_far);
                return Err(Box::new(ErrorBody::from_json(response)));
            }
            "error" => return Err(Box::new(ErrorBody::from_json(json))),
            "response.queued"
            | "response.in_progress"
            | "response.content_part.added"
            | "response.content_part.done"
            | "response.output_text.done"
            | "response.refusal.done"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done"
            | "response.reasoning_summary_text.done"
            | "response.reasoning_text.done" => {}
            other => so_far.unknown(other),
        }
        Ok(())
    }

    fn whole(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        let failed = json["status"] == "failed" || json.get("error").is_some_and(|e| !e.is_null());
        if failed || !json["output"].is_array() {
            count(&json["usage"], so_far);
            return Err(Box::new(ErrorBody::from_json(json)));
        }
        so_far.served_by(&json["model"]);
        take_items(json, so_far);
        end(json, so_far);
        Ok(())
    }

    fn may_close(&self, _: &Assembly<'_, '_>) -> bool {
        false
    }

    fn finish(&mut self, _: &mut Assembly<'_, '_>) {}
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Takes the output of a whole response.
fn take_items(response: &Value, so_far: &mut Assembly<'_, '_>) {
    for (key, item) in (0..).zip(response["output"].as_array().into_iter().flatten()) {
        let parts = |field: &str| item[field].as_array().cloned().unwrap_or_default();
        match text(&item["type"]) {
            "function_call" => {
                so_far.start_call(key, text(&item["call_id"]), text(&item["name"]));
                so_far.add_arguments(key, text(&item["arguments"]));
            }
            "message" => {
                for part in parts("content") {
                    match text(&part["type"]) {
                        "output_text" => so_far.add_text(text(&part["text"])),
                        "refusal" => so_far.refusal.push_str(text(&part["refusal"])),
                        other => so_far.unknown(other),
                    }
                }
            }
            "reasoning" => {
                for part in parts("summary").iter().chain(&parts("content")) {
                    so_far.add_reasoning(text(&part["text"]));
                }
            }
            other => so_far.unknown(other),
        }
        keep(item, so_far);
    }
}

/// Keeps what has to come back of a whole item. Reasoning that is not encrypted is only a name at
/// the server, which forgets it.
fn keep(item: &Value, so_far: &mut Assembly<'_, '_>) {
    match (text(&item["type"]), item) {
        ("reasoning", Value::Object(fields)) if item["encrypted_content"].is_string() => {
            // An absent field is the same, and is never refused.
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let item = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
            so_far.keep(WireFormat::OpenaiResponses, Value::Object(item));
        }
        ("message", _) if item["phase"].is_string() => {
            so_far.keep(WireFormat::OpenaiResponses, json!({ "phase": item["phase"] }));
        }
        _ => {}
    }
}

/// Takes over how `response` ended and what it used.
fn end(response: &Value, so_far: &mut Assembly<'_, '_>) {
    count(&response["usage"], so_far);
    so_far.stop = Some(match text(&response["status"]) {
        "incomplete" => match text(&response["incomplete_details"]["reason"]) {
            "max_output_tokens" => Stop::MaxTokens,
            "content_filter" => Stop::Refused,
            other => Stop::Other(other.to_owned()),
        },
        "completed" | "" => Stop::End,
        other => Stop::Other(other.to_owned()),
    });
}

fn count(usage: &Value, so_far: &mut Assembly<'_, '_>) {
    let (input, output) = (usage["input_tokens"].as_u64(), usage["output_tokens"].as_u64());
    if input.is_none() && output.is_none() {
        return;
    }
    let number = |part: &str, name: &str| usage[part][name].as_u64().unwrap_or_default();
    let cache = (
        number("input_tokens_details", "cached_tokens"),
        number("input_tokens_details", "cache_write_tokens"),
    );
    let reasoning = number("output_tokens_details", "reasoning_tokens");
    so_far.set_counts(Counts::overlapping(input, cache, output, reasoning));
}
