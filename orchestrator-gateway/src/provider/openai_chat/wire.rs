//! The documents of Chat Completions.

use super::quirks::{Bound, Quirks};
use crate::{
    failure::ErrorBody,
    provider::{
        Request, Stop,
        read::{Assembly, Counts, Dialect},
    },
};
use orchestrator_core::usage::{TokenCount, Usage};
use serde_json::{Value, json};

/// The document that asks.
pub(super) fn body(request: &Request, quirks: Quirks) -> Value {
    let system = request.system.iter().map(|text| json!({ "role": "system", "content": text }));
    let turns = request
        .messages
        .iter()
        .map(|message| json!({ "role": message.author.as_str(), "content": message.text }));
    let messages: Vec<Value> = system.chain(turns).collect();
    let mut body = json!({ "model": request.model, "stream": true, "messages": messages });
    if quirks.stream_options {
        body["stream_options"] = json!({ "include_usage": true });
    }
    if let Some(tokens) = request.max_tokens {
        match quirks.bound {
            Bound::Completion => body["max_completion_tokens"] = json!(tokens),
            Bound::Plain => body["max_tokens"] = json!(tokens),
            Bound::None => {}
        }
    }
    if let (Some(temperature), true) = (request.temperature, quirks.temperature) {
        body["temperature"] = json!(temperature);
    }
    if let (Some(schema), true) = (&request.output_schema, quirks.schema) {
        // Not strict: that demands a dialect of JSON Schema that users' schemas need not follow.
        body["response_format"] = json!({
            "type": "json_schema",
            "json_schema": { "name": "output", "strict": false, "schema": **schema },
        });
    }
    body
}

/// How answers are read.
pub(super) struct Chat;

impl Dialect for Chat {
    fn event(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        take(json, "delta", so_far)
    }

    fn whole(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        if !json["choices"].is_array() {
            return Err(Box::new(ErrorBody::from_json(json)));
        }
        take(json, "message", so_far)
    }

    /// Some servers close after the finish reason instead of saying `[DONE]`.
    fn may_close(&self, so_far: &Assembly<'_, '_>) -> bool {
        so_far.stop.is_some()
    }
}

/// Takes one document, whose text is in the `part` of its first choice.
fn take(json: &Value, part: &str, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
    if json.get("error").is_some_and(|error| !error.is_null()) {
        return Err(Box::new(ErrorBody::from_json(json)));
    }
    if so_far.served_model.is_none() {
        so_far.served_model = json["model"].as_str().map(str::to_owned);
    }
    let choices = json["choices"].as_array();
    let usage = &json["usage"];
    if choices.is_none() && !usage.is_object() {
        so_far.unknown(json["object"].as_str().unwrap_or("chunk without choices"));
    }
    // The first chunk of a choice that we did not ask for would be some other answer.
    let choice = choices.and_then(|all| all.iter().find(|c| c["index"].as_u64().unwrap_or(0) == 0));
    if let Some(choice) = choice {
        let said = &choice[part];
        for reasoning in ["reasoning_content", "reasoning"] {
            if let Some(text) = said[reasoning].as_str() {
                so_far.add_reasoning(text);
                break;
            }
        }
        so_far.add_text(said["content"].as_str().unwrap_or_default());
        so_far.refusal.push_str(said["refusal"].as_str().unwrap_or_default());
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

fn stop(reason: &str) -> Stop {
    match reason {
        "stop" => Stop::End,
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
    let prompt_tokens = prompt.unwrap_or_default();
    let cache_read = details["cached_tokens"]
        .as_u64()
        .or_else(|| usage["prompt_cache_hit_tokens"].as_u64())
        .unwrap_or_default()
        .min(prompt_tokens);
    let cache_write =
        details["cache_write_tokens"].as_u64().unwrap_or_default().min(prompt_tokens - cache_read);
    let output = completion.unwrap_or_default();
    let reasoning =
        usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap_or_default();
    Some(Counts {
        usage: Usage {
            input: TokenCount(prompt_tokens - cache_read - cache_write),
            cache_read: TokenCount(cache_read),
            cache_write: TokenCount(cache_write),
            output: TokenCount(output),
            reasoning: TokenCount(reasoning.min(output)),
        },
        has_input: prompt.is_some(),
        has_output: completion.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(stop(reason).as_str(), expected);
        }
    }
}
