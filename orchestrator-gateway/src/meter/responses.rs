//! The usage of OpenAI Responses: in the response that the last event of a stream holds.
//! `input_tokens` includes what was cached.

use super::{Counts, chat::split, count, mentions};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: Value,
    response: Response,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Response {
    model: Value,
    status: Value,
    usage: Value,
}

/// What the events that end a response are called. Its status then has the same name.
const ENDS: [&str; 4] =
    ["response.completed", "response.incomplete", "response.failed", "response.cancelled"];

pub(super) fn event(data: &[u8], counts: &mut Counts) {
    if !ENDS.iter().any(|end| mentions(data, end)) {
        return;
    }
    let Ok(body) = serde_json::from_slice::<Body>(data) else { return };
    if body.kind.as_str().is_some_and(|kind| ENDS.contains(&kind)) {
        add(&body.response, counts);
        counts.end();
    }
}

pub(super) fn whole(json: &[u8], counts: &mut Counts) {
    let Ok(response) = serde_json::from_slice::<Response>(json) else { return };
    add(&response, counts);
    let status = response.status.as_str().unwrap_or_default();
    if ENDS.iter().any(|end| end.strip_prefix("response.") == Some(status)) {
        counts.end();
    }
}

fn add(response: &Response, counts: &mut Counts) {
    counts.model(&response.model);
    let usage = &response.usage;
    let part = |of: &str, key: &str| usage.get(of).and_then(|details| count(details, key));
    if let Some(prompt) = count(usage, "input_tokens") {
        counts.has_input = true;
        let cached = part("input_tokens_details", "cached_tokens").unwrap_or_default();
        let written = part("input_tokens_details", "cache_write_tokens").unwrap_or_default();
        let usage = &mut counts.reading.usage;
        (usage.input, usage.cache_read, usage.cache_write) = split(prompt, cached, written);
    }
    if let Some(tokens) = count(usage, "output_tokens") {
        (counts.reading.usage.output, counts.has_output) = (tokens, true);
    }
    if let Some(tokens) = part("output_tokens_details", "reasoning_tokens") {
        counts.reading.usage.reasoning = tokens;
    }
}
