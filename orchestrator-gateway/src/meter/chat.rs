//! The usage of Chat Completions: in one chunk near the end, if the request asked for it; some
//! servers repeat it in every chunk. `prompt_tokens` includes what was cached.

use super::{Counts, count, less, mentions};
use orchestrator_core::usage::TokenCount;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    model: Value,
    usage: Value,
    choices: Option<Vec<Choice>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    finish_reason: Value,
}

pub(super) fn event(data: &[u8], counts: &mut Counts) {
    if !mentions(data, "\"usage\"") {
        return;
    }
    let Ok(body) = serde_json::from_slice::<Body>(data) else { return };
    let choices = body.choices.unwrap_or_default();
    counts.model(&body.model);
    if add(&body.usage, counts)
        && (choices.is_empty() || choices.iter().all(|choice| choice.finish_reason.is_string()))
    {
        counts.end();
    }
}

pub(super) fn whole(json: &[u8], counts: &mut Counts) {
    let Ok(body) = serde_json::from_slice::<Body>(json) else { return };
    counts.model(&body.model);
    if add(&body.usage, counts) {
        counts.end();
    }
}

/// Whether there is any usage.
fn add(usage: &Value, counts: &mut Counts) -> bool {
    let part = |of: &str, key: &str| usage.get(of).and_then(|details| count(details, key));
    let cached = part("prompt_tokens_details", "cached_tokens")
        .or_else(|| count(usage, "prompt_cache_hit_tokens"))
        .unwrap_or_default();
    let written = part("prompt_tokens_details", "cache_write_tokens").unwrap_or_default();
    if let Some(prompt) = count(usage, "prompt_tokens") {
        counts.has_input = true;
        let usage = &mut counts.reading.usage;
        (usage.input, usage.cache_read, usage.cache_write) = split(prompt, cached, written);
    }
    if let Some(tokens) = count(usage, "completion_tokens") {
        (counts.reading.usage.output, counts.has_output) = (tokens, true);
    }
    if let Some(tokens) = part("completion_tokens_details", "reasoning_tokens") {
        counts.reading.usage.reasoning = tokens;
    }
    usage.is_object()
}

/// A prompt as fresh, read and written tokens. What the parts have more than the whole is not
/// believed: the sum is that of the prompt.
pub(super) fn split(
    prompt: TokenCount,
    cached: TokenCount,
    written: TokenCount,
) -> (TokenCount, TokenCount, TokenCount) {
    let cached = cached.min(prompt);
    let written = written.min(less(prompt, cached));
    (less(less(prompt, cached), written), cached, written)
}
