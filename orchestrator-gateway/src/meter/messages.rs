//! The usage of Anthropic Messages: `message_start` counts the input, each `message_delta` the
//! output so far. `input_tokens` excludes what was cached. Source: the API's streaming guide.

use super::{Counts, count, mentions};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: Value,
    message: Message,
    model: Value,
    usage: Value,
    stop_reason: Value,
    delta: Delta,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    model: Value,
    usage: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Delta {
    stop_reason: Value,
}

pub(super) fn event(data: &[u8], counts: &mut Counts) {
    if !mentions(data, "\"usage\"") && !mentions(data, "message_stop") {
        return;
    }
    let Ok(body) = serde_json::from_slice::<Body>(data) else { return };
    match body.kind.as_str() {
        Some("message_start") => {
            counts.model(&body.message.model);
            add(&body.message.usage, counts);
            // The first token or so: what is written in all comes with the end.
            counts.has_output = false;
        }
        Some("message_delta") => {
            add(&body.usage, counts);
            if body.delta.stop_reason.is_string() {
                counts.end();
            }
        }
        Some("message_stop") => counts.end(),
        _ => {}
    }
}

pub(super) fn whole(json: &[u8], counts: &mut Counts) {
    let Ok(body) = serde_json::from_slice::<Body>(json) else { return };
    counts.model(&body.model);
    add(&body.usage, counts);
    if body.kind == "message" {
        counts.end();
    }
}

fn add(usage: &Value, counts: &mut Counts) {
    let reading = &mut counts.reading;
    if let Some(tokens) = count(usage, "input_tokens") {
        (reading.usage.input, counts.has_input) = (tokens, true);
    }
    if let Some(tokens) = count(usage, "output_tokens") {
        (reading.usage.output, counts.has_output) = (tokens, true);
    }
    if let Some(tokens) = count(usage, "cache_read_input_tokens") {
        reading.usage.cache_read = tokens;
    }
    if let Some(tokens) = count(usage, "cache_creation_input_tokens") {
        reading.usage.cache_write = tokens;
    }
    if let Some(tokens) =
        usage.get("cache_creation").and_then(|of| count(of, "ephemeral_1h_input_tokens"))
    {
        reading.hour_writes = tokens;
    }
    if let Some(tokens) =
        usage.get("output_tokens_details").and_then(|of| count(of, "thinking_tokens"))
    {
        reading.usage.reasoning = tokens;
    }
}
