//! How Chat Completions answers are read.

use crate::{
    failure::ErrorBody,
    provider::{
        Stop, WireFormat,
        assembly::{Assembly, Counts},
        read::Dialect,
    },
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What has to be remembered between chunks.
#[derive(Default)]
pub(super) struct Chat {
    /// The calls by the index that the server gives them.
    slots: BTreeMap<u64, u64>,
    /// The call that was spoken of last.
    last: Option<u64>,
    /// The reasoning, where the server tells it in the field in which it wants it back.
    reasoning: Option<String>,
}

impl Dialect for Chat {
    fn event(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        self.take(json, "delta", so_far)
    }

    fn whole(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        if !json["choices"].is_array() {
            return Err(Box::new(ErrorBody::from_json(json)));
        }
        self.take(json, "message", so_far)
    }

    /// Some servers close after the finish reason instead of saying `[DONE]`.
    fn may_close(&self, so_far: &Assembly<'_, '_>) -> bool {
        so_far.stop.is_some()
    }

    /// DeepSeek refuses calls that come back without the reasoning that led to them, be it empty,
    /// and ignores reasoning that led to none.
    fn finish(&mut self, so_far: &mut Assembly<'_, '_>) {
        if let Some(text) = self.reasoning.take()
            && so_far.calls() > 0
        {
            so_far.keep_first(WireFormat::OpenaiChat, json!({ "reasoning_content": text }));
        }
    }
}

impl Chat {
    /// Takes one document, whose text is in the `part` of its first choice.
    fn take(
        &mut self,
        json: &Value,
        part: &str,
        so_far: &mut Assembly<'_, '_>,
    ) -> Result<(), Box<ErrorBody>> {
        if json.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Box::new(ErrorBody::from_json(json)));
        }
        so_far.served_by(&json["model"]);
        let choices = json["choices"].as_array();
        let usage = &json["usage"];
        if choices.is_none() && !usage.is_object() {
            so_far.unknown(json["object"].as_str().unwrap_or("chunk without choices"));
        }
        // The first chunk of a choice that we did not ask for would be some other answer.
        let choice =
            choices.and_then(|all| all.iter().find(|c| c["index"].as_u64().unwrap_or(0) == 0));
        if let Some(choice) = choice {
            let said = &choice[part];
            if let Some(text) = said["reasoning_content"].as_str() {
                self.reasoning.get_or_insert_default().push_str(text);
                so_far.add_reasoning(text);
            } else if let Some(text) = said["reasoning"].as_str() {
                so_far.add_reasoning(text);
            }
            so_far.add_text(said["content"].as_str().unwrap_or_default());
            so_far.refusal.push_str(said["refusal"].as_str().unwrap_or_default());
            for call in said["tool_calls"].as_array().into_iter().flatten() {
                self.call(call, &json["id"], so_far);
            }
            match choice["finish_reason"].as_str() {
                None => {}
                Some("insufficient_system_resource") => {
                    return Err(Box::new(ErrorBody {
                        kind: "overloaded_error".into(),
                        message: "the server ran out of resources in its answer".into(),
                        ..ErrorBody::default()
                    }));
                }
                Some(reason) => so_far.stop = Some(stop(reason)),
            }
        }
        if let Some(counts) = counts(usage) {
            so_far.set_counts(counts);
        }
        Ok(())
    }

    /// Takes a piece of a call: the first has its id and name, the others have only the index and
    /// more arguments. Some servers repeat the id, some leave the index out, and some give every
    /// call the same index.
    fn call(&mut self, piece: &Value, answer: &Value, so_far: &mut Assembly<'_, '_>) {
        let function = &piece["function"];
        let id = piece["id"].as_str().unwrap_or_default();
        let name = function["name"].as_str().unwrap_or_default();
        let index = piece["index"].as_u64();
        let known = match index {
            Some(index) => self.slots.get(&index).copied(),
            None => self.last,
        };
        let key = match known {
            Some(key) if id.is_empty() && (index.is_some() || name.is_empty()) => key,
            Some(key) if !id.is_empty() && so_far.call_id(key) == Some(id) => key,
            _ => {
                let key = so_far.calls() as u64;
                if id.is_empty() {
                    let answer = answer.as_str().unwrap_or("call");
                    so_far.start_call(key, &format!("{answer}-{key}"), name);
                } else {
                    so_far.start_call(key, id, name);
                }
                key
            }
        };
        self.last = Some(key);
        if let Some(index) = index {
            self.slots.insert(index, key);
        }
        match &function["arguments"] {
            Value::String(text) => so_far.add_arguments(key, text),
            Value::Null => {}
            // Against the specification, but clear.
            whole => so_far.complete_arguments(key, &whole.to_string()),
        }
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "stop" => Stop::End,
        "tool_calls" | "function_call" => Stop::ToolCalls,
        "length" => Stop::MaxTokens,
        "content_filter" => Stop::Refused,
        other => Stop::Other(other.to_owned()),
    }
}

/// `prompt_tokens` counts all input; the parts of it that a cache served or took are told apart in
/// `prompt_tokens_details`, or by DeepSeek in `prompt_cache_hit_tokens`.
fn counts(usage: &Value) -> Option<Counts> {
    let prompt = usage["prompt_tokens"].as_u64();
    let completion = usage["completion_tokens"].as_u64();
    if prompt.is_none() && completion.is_none() {
        return None;
    }
    let details = &usage["prompt_tokens_details"];
    let read = details["cached_tokens"]
        .as_u64()
        .or_else(|| usage["prompt_cache_hit_tokens"].as_u64())
        .unwrap_or_default();
    let written = details["cache_write_tokens"].as_u64().unwrap_or_default();
    let reasoning = usage["completion_tokens_details"]["reasoning_tokens"].as_u64();
    Some(Counts::overlapping(prompt, (read, written), completion, reasoning.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Arguments, Part, Response, ToolCall};
    use orchestrator_core::usage::Usage;

    fn check(usage: Value, expected: Option<[u64; 5]>) {
        let read = counts(&usage).map(|counts| {
            let Usage { input, cache_read, cache_write, output, reasoning } = counts.usage;
            [input.0, cache_read.0, cache_write.0, output.0, reasoning.0]
        });
        assert_eq!(read, expected, "{usage}");
    }

    #[test]
    fn usage_is_read_in_every_dialect() {
        check(json!(null), None);
        check(json!({}), None);
        check(json!({ "prompt_tokens": 9, "completion_tokens": 2 }), Some([9, 0, 0, 2, 0]));
        check(
            json!({ "prompt_tokens": 1400, "completion_tokens": 34,
                "prompt_tokens_details": { "cached_tokens": 200, "cache_write_tokens": 100 },
                "completion_tokens_details": { "reasoning_tokens": 8 } }),
            Some([1100, 200, 100, 34, 8]),
        );
        check(
            json!({ "prompt_tokens": 1400, "completion_tokens": 34,
                "prompt_cache_hit_tokens": 200, "prompt_cache_miss_tokens": 1200 }),
            Some([1200, 200, 0, 34, 0]),
        );
        // A server that counts more cached than sent is wrong, and no reason to overflow.
        check(
            json!({ "prompt_tokens": 5, "completion_tokens": 1,
                "prompt_tokens_details": { "cached_tokens": 9, "cache_write_tokens": 9 } }),
            Some([0, 5, 0, 1, 0]),
        );
    }

    #[test]
    fn finish_reasons_are_mapped() {
        for (reason, expected) in [
            ("stop", "end"),
            ("length", "max_tokens"),
            ("content_filter", "refused"),
            ("tool_calls", "tool_calls"),
            ("function_call", "tool_calls"),
            ("abort", "abort"),
        ] {
            assert_eq!(stop(reason).as_str(), expected);
        }
    }

    fn read(deltas: &[Value]) -> Response {
        let mut sink = |_| {};
        let mut so_far = Assembly::new(&mut sink);
        let mut dialect = Chat::default();
        for delta in deltas {
            let chunk = json!({ "id": "a", "choices": [{ "index": 0, "delta": delta }] });
            dialect.event(&chunk, &mut so_far).unwrap();
        }
        dialect.finish(&mut so_far);
        so_far.into_response()
    }

    /// The forms in which servers stream two calls; all mean the same.
    #[test]
    fn calls_are_told_apart_however_servers_number_them() {
        let piece = |index: Option<u64>, id: &str, name: &str, arguments: Value| {
            let mut piece = json!({ "function": { "arguments": arguments } });
            if let Some(index) = index {
                piece["index"] = json!(index);
            }
            if !id.is_empty() {
                piece["id"] = json!(id);
            }
            if !name.is_empty() {
                piece["function"]["name"] = json!(name);
            }
            json!({ "tool_calls": [piece] })
        };
        let call = |id: &str, name: &str, n: u64| ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: Arguments::Object(json!({ "n": n })),
        };
        let expected = vec![call("x", "one", 1), call("y", "two", 2)];
        let by_index = [
            piece(Some(0), "x", "one", json!("")),
            piece(Some(1), "y", "two", json!("")),
            piece(Some(0), "", "", json!("{\"n\":")),
            piece(Some(1), "", "", json!("{\"n\":2}")),
            piece(Some(0), "", "", json!("1}")),
        ];
        assert_eq!(read(&by_index).tool_calls(), expected);
        let repeated = [
            piece(Some(0), "x", "one", json!("{\"n\"")),
            piece(Some(0), "x", "one", json!(":1}")),
            piece(Some(0), "y", "two", json!("{\"n\":2}")),
        ];
        assert_eq!(read(&repeated).tool_calls(), expected);
        let without_index = [
            piece(None, "x", "one", json!("{\"n\":")),
            piece(None, "", "", json!("1}")),
            piece(None, "y", "two", json!({ "n": 2 })),
        ];
        assert_eq!(read(&without_index).tool_calls(), expected);
        let without_ids = [
            piece(None, "", "one", json!("{\"n\":1}")),
            piece(None, "", "two", json!("{\"n\":2}")),
        ];
        let named = vec![call("a-0", "one", 1), call("a-1", "two", 2)];
        assert_eq!(read(&without_ids).tool_calls(), named);
        assert_eq!(read(&without_ids).stop, Stop::ToolCalls);
    }

    #[test]
    fn reasoning_is_kept_with_calls_even_when_it_is_empty() {
        let call =
            json!({ "tool_calls": [{ "index": 0, "id": "x", "function": { "name": "f" } }] });
        let kept = |deltas: &[Value]| {
            let message = read(deltas).message;
            message.parts.into_iter().find_map(|part| match part {
                Part::Opaque(opaque) => Some(opaque.value),
                _ => None,
            })
        };
        let thought = |text: &str| json!({ "reasoning_content": text });
        assert_eq!(kept(&[thought("a"), thought("b"), call.clone()]), Some(thought("ab")));
        assert_eq!(kept(&[thought(""), call.clone()]), Some(thought("")));
        assert_eq!(kept(&[call]), None);
        assert_eq!(kept(&[thought("a"), json!({ "content": "x" })]), None);
    }
}
