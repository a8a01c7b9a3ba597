//! How Gemini answers are read.

use super::{OWN_ID, wire::SEAL};
use crate::{
    failure::ErrorBody,
    provider::{
        Stop, WireFormat,
        assembly::{Assembly, Counts},
        read::Dialect,
    },
};
use serde_json::{Value, json};

/// Nothing has to be remembered between chunks.
#[derive(Default)]
pub(super) struct Chunks;

impl Dialect for Chunks {
    fn event(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        if json.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Box::new(ErrorBody::from_json(json)));
        }
        so_far.served_by(&json["modelVersion"]);
        count(&json["usageMetadata"], so_far);
        if let Some(reason) = json["promptFeedback"]["blockReason"].as_str() {
            let told = json["promptFeedback"]["blockReasonMessage"].as_str().unwrap_or_default();
            refuse(so_far, "the prompt was blocked", reason, told);
        }
        let candidates = json["candidates"].as_array();
        if candidates.is_none() && json.get("usageMetadata").is_none() && !refused(so_far) {
            so_far.unknown("chunk without candidates");
        }
        // Others are answers that we did not ask for.
        let candidate =
            candidates.and_then(|all| all.iter().find(|c| c["index"].as_u64().unwrap_or(0) == 0));
        let Some(candidate) = candidate else { return Ok(()) };
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            take(part, &json["responseId"], so_far);
        }
        if let Some(reason) = candidate["finishReason"].as_str() {
            let told = candidate["finishMessage"].as_str().unwrap_or_default();
            match stop(reason) {
                Stop::Refused => refuse(so_far, "the answer was blocked", reason, told),
                stop => so_far.stop = Some(stop),
            }
        }
        Ok(())
    }

    fn whole(&mut self, json: &Value, so_far: &mut Assembly<'_, '_>) -> Result<(), Box<ErrorBody>> {
        if !json["candidates"].is_array() && !json["promptFeedback"].is_object() {
            return Err(Box::new(ErrorBody::from_json(json)));
        }
        self.event(json, so_far)
    }

    /// Nothing but the finish reason says that nothing follows.
    fn may_close(&self, so_far: &Assembly<'_, '_>) -> bool {
        so_far.stop.is_some()
    }

    fn finish(&mut self, _: &mut Assembly<'_, '_>) {}
}

fn refused(so_far: &Assembly<'_, '_>) -> bool {
    so_far.stop == Some(Stop::Refused)
}

fn refuse(so_far: &mut Assembly<'_, '_>, what: &str, reason: &str, told: &str) {
    so_far.refusal = match told {
        "" => format!("{what}: {reason}"),
        told => format!("{what}: {reason}: {told}"),
    };
    so_far.stop = Some(Stop::Refused);
}

/// Takes one part.
fn take(part: &Value, answer: &Value, so_far: &mut Assembly<'_, '_>) {
    let seal = part[SEAL].as_str();
    let text = part["text"].as_str();
    let call = &part["functionCall"];
    if part["thought"] == true {
        so_far.add_reasoning(text.unwrap_or_default());
        if seal.is_some() {
            so_far.keep(WireFormat::Gemini, part.clone());
        }
        return;
    }
    match (text, seal) {
        _ if call.is_object() => {
            let key = so_far.calls() as u64;
            let id = match call["id"].as_str() {
                Some(id) if !id.is_empty() => id.to_owned(),
                _ => own_id(answer, key),
            };
            so_far.start_call(key, &id, call["name"].as_str().unwrap_or_default());
            if call["args"].is_object() {
                so_far.add_arguments(key, &call["args"].to_string());
            }
        }
        (Some(text), None) => return so_far.add_text(text),
        // A part with a seal must not be joined with one without.
        (Some(text), Some(_)) if !text.is_empty() => so_far.add_text_apart(text),
        (_, Some(_)) => return so_far.keep(WireFormat::Gemini, part.clone()),
        (None, None) => {
            let kind = part.as_object().and_then(|fields| fields.keys().next());
            return so_far.unknown(kind.map_or("part", String::as_str));
        }
    }
    if let Some(seal) = seal {
        so_far.keep(WireFormat::Gemini, json!({ SEAL: seal }));
    }
}

/// An id that no other call of the conversation has, for servers that give none.
fn own_id(answer: &Value, key: u64) -> String {
    let answer = answer.as_str().unwrap_or_default();
    let plain: String = answer.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{OWN_ID}{plain}-{key}")
}

fn stop(reason: &str) -> Stop {
    match reason {
        "STOP" => Stop::End,
        "MAX_TOKENS" => Stop::MaxTokens,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Stop::Refused,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => Stop::BadToolCall,
        other => Stop::Other(other.to_owned()),
    }
}

/// Counts are running totals. What tools at the server gave is input; thoughts are output. Without
/// a count of the candidates, which a chunk may lack, it follows from the sum of all.
fn count(usage: &Value, so_far: &mut Assembly<'_, '_>) {
    let number = |name: &str| usage[name].as_u64();
    // Without one of these the sum would be too little, and so would that of an earlier chunk.
    let is_no_count = |name: &str| !usage[name].is_null() && number(name).is_none();
    if ["promptTokenCount", "toolUsePromptTokenCount", "thoughtsTokenCount"]
        .into_iter()
        .any(is_no_count)
    {
        return so_far.set_counts(Counts { has_input: false, ..so_far.counts() });
    }
    let Some(prompt) = number("promptTokenCount") else { return };
    let input = prompt.saturating_add(number("toolUsePromptTokenCount").unwrap_or_default());
    let thoughts = number("thoughtsTokenCount").unwrap_or_default();
    let output = match (number("candidatesTokenCount"), number("totalTokenCount")) {
        (Some(candidates), _) => Some(candidates.saturating_add(thoughts)),
        (None, Some(total)) => Some(total.saturating_sub(input)),
        (None, None) => None,
    };
    let cached = number("cachedContentTokenCount").unwrap_or_default();
    so_far.set_counts(Counts::overlapping(Some(input), (cached, 0), output, thoughts));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finish_reasons_are_mapped() {
        for (reason, expected) in [
            ("STOP", "end"),
            ("MAX_TOKENS", "max_tokens"),
            ("SAFETY", "refused"),
            ("RECITATION", "refused"),
            ("SPII", "refused"),
            ("MALFORMED_FUNCTION_CALL", "bad_tool_call"),
            ("UNEXPECTED_TOOL_CALL", "bad_tool_call"),
            ("LANGUAGE", "LANGUAGE"),
            ("OF_THE_FUTURE", "OF_THE_FUTURE"),
        ] {
            assert_eq!(stop(reason).as_str(), expected);
        }
    }

    #[test]
    fn usage_is_counted_without_overlap() {
        let check = |usage: Value, expected: Option<[u64; 4]>| {
            let mut sink = |_| {};
            let mut so_far = Assembly::new(&mut sink);
            count(&usage, &mut so_far);
            so_far.stop = Some(Stop::End);
            let usage = so_far.into_response().usage;
            let read = usage.map(|u| [u.input.0, u.cache_read.0, u.output.0, u.reasoning.0]);
            assert_eq!(read, expected);
        };
        check(json!({ "promptTokenCount": 10, "candidatesTokenCount": 4 }), Some([10, 0, 4, 0]));
        check(
            json!({ "promptTokenCount": 100, "cachedContentTokenCount": 60,
                "toolUsePromptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 30,
                "totalTokenCount": 142 }),
            Some([45, 60, 37, 30]),
        );
        check(json!({ "promptTokenCount": 10, "totalTokenCount": 10 }), Some([10, 0, 0, 0]));
        check(json!({ "promptTokenCount": 10 }), None);
        check(json!({ "candidatesTokenCount": 10 }), None);
    }
}
