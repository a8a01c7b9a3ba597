//! The usage of Gemini: `usageMetadata` in every piece, the last of which counts.
//! `promptTokenCount` includes what was cached; thoughts are beside the candidates' tokens.

use super::{Counts, chat::split, count, mentions};
use orchestrator_core::usage::TokenCount;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Body {
    model_version: Value,
    usage_metadata: Value,
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<Feedback>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Candidate {
    finish_reason: Value,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Feedback {
    block_reason: Value,
}

pub(super) fn event(data: &[u8], counts: &mut Counts) {
    if !mentions(data, "\"usageMetadata\"") && !mentions(data, "Reason\"") {
        return;
    }
    let Ok(body) = serde_json::from_slice::<Body>(data) else { return };
    counts.model(&body.model_version);
    add(&body.usage_metadata, counts);
    let finished = body.candidates.unwrap_or_default();
    counts.has_stopped |= finished.iter().any(|candidate| candidate.finish_reason.is_string());
    let blocked = body.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_string());
    if blocked && counts.has_input {
        // A prompt that is blocked has no candidates, and no count of them.
        (counts.has_stopped, counts.has_output) = (true, true);
    }
    if counts.has_stopped {
        counts.end();
    }
}

fn add(usage: &Value, counts: &mut Counts) {
    let none = TokenCount::default();
    if let Some(prompt) = count(usage, "promptTokenCount") {
        counts.has_input = true;
        let prompt = prompt + count(usage, "toolUsePromptTokenCount").unwrap_or(none);
        let cached = count(usage, "cachedContentTokenCount").unwrap_or(none);
        let usage = &mut counts.reading.usage;
        (usage.input, usage.cache_read, usage.cache_write) = split(prompt, cached, none);
    }
    let thoughts = count(usage, "thoughtsTokenCount");
    let candidates = count(usage, "candidatesTokenCount");
    if thoughts.is_some() || candidates.is_some() {
        counts.has_output = true;
        counts.reading.usage.output = thoughts.unwrap_or(none) + candidates.unwrap_or(none);
        counts.reading.usage.reasoning = thoughts.unwrap_or(none);
    }
}
