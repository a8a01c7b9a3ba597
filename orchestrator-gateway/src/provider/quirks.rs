//! What a server or a model does not take, told from its refusals.

use super::{Endpoint, Request};
use crate::{ProviderKind, failure::ErrorBody};
use orchestrator_core::error::ErrorClass;

/// How the bound on the answer is named in Chat Completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// `max_completion_tokens`, which OpenAI's reasoning models demand.
    Completion,
    /// `max_tokens`, which everyone else knows.
    Plain,
    /// Neither.
    None,
}

/// The form of a request that a model takes. Each protocol looks at what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quirks {
    pub(super) bound: Bound,
    /// The other name was already refused.
    bound_swapped: bool,
    pub(super) schema: bool,
    pub(super) stream_options: bool,
    pub(super) temperature: bool,
    /// The Responses API may be asked for reasoning in a form that can be sent back.
    pub(super) reasoning: bool,
}

impl Quirks {
    /// What to try first at `endpoint`.
    pub(super) fn expected(endpoint: &Endpoint) -> Self {
        let at_openai = endpoint.base.host_str() == Some("api.openai.com");
        Self {
            bound: if at_openai { Bound::Completion } else { Bound::Plain },
            bound_swapped: false,
            schema: true,
            stream_options: true,
            temperature: true,
            reasoning: true,
        }
    }

    /// The form to try next at a server of `kind`, when the refusal names a parameter that can be
    /// given up.
    pub(super) fn after_refusal(
        self,
        kind: ProviderKind,
        request: &Request,
        class: ErrorClass,
        refusal: &ErrorBody,
    ) -> Option<Self> {
        // "max_tokens is too large" names a parameter that is known very well.
        const UNKNOWN: [&str; 8] = [
            "unsupported",
            "not support",
            "unrecognized",
            "unknown",
            "unexpected",
            "not permitted",
            "extra inputs",
            "unavailable",
        ];
        if class != ErrorClass::InvalidRequest {
            return None;
        }
        let names = |parameter| refusal.mentions(parameter);
        let mut next = self;
        // Servers find much to say against a schema; without it the prompt still asks for it.
        let schema_sent = self.schema && request.output_schema.is_some();
        if schema_sent && schema_names(kind).iter().any(|name| names(name)) {
            next.schema = false;
            return Some(next);
        }
        if !UNKNOWN.into_iter().any(|word| refusal.mentions(word)) {
            return None;
        }
        let bounded = request.max_tokens.is_some();
        let chat = !matches!(
            kind,
            ProviderKind::Anthropic | ProviderKind::OpenAiResponses | ProviderKind::Gemini
        );
        let responses = kind == ProviderKind::OpenAiResponses;
        if chat && self.stream_options && names("stream_options") {
            next.stream_options = false;
        } else if self.temperature && request.temperature.is_some() && names("temperature") {
            next.temperature = false;
        } else if responses
            && self.reasoning
            && (names("encrypted content") || names("encrypted_content") || names("include"))
        {
            next.reasoning = false;
        } else if chat
            && bounded
            && self.bound == Bound::Completion
            && names("max_completion_tokens")
        {
            next.bound = if self.bound_swapped { Bound::None } else { Bound::Plain };
            next.bound_swapped = true;
        } else if chat && bounded && self.bound == Bound::Plain && names("max_tokens") {
            next.bound = if self.bound_swapped { Bound::None } else { Bound::Completion };
            next.bound_swapped = true;
        } else {
            return None;
        }
        Some(next)
    }
}

/// How servers of `kind` call the place of the output schema.
fn schema_names(kind: ProviderKind) -> &'static [&'static str] {
    match kind {
        ProviderKind::Anthropic => &["output_config", "output_format", "structured output"],
        ProviderKind::OpenAiResponses => &["text.format", "json_schema", "response_format"],
        ProviderKind::Gemini => &[
            "response_json_schema",
            "responsejsonschema",
            "response_schema",
            "response mime type",
            "response_mime_type",
            "responsemimetype",
        ],
        ProviderKind::OpenAiChat | ProviderKind::DeepSeek | ProviderKind::Ollama => {
            &["response_format", "json_schema"]
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;

    pub(in crate::provider) const START: Quirks = Quirks {
        bound: Bound::Plain,
        bound_swapped: false,
        schema: true,
        stream_options: true,
        temperature: true,
        reasoning: true,
    };

    fn at(kind: ProviderKind, start: Quirks, message: &str) -> Option<Quirks> {
        let request = Request::new("m", "p")
            .with_max_tokens(9)
            .with_temperature(0.0)
            .with_output_schema(Arc::new(serde_json::json!({})));
        let body = ErrorBody { message: message.into(), ..ErrorBody::default() };
        start.after_refusal(kind, &request, ErrorClass::InvalidRequest, &body)
    }

    fn after(start: Quirks, message: &str) -> Option<Quirks> {
        at(ProviderKind::OpenAiChat, start, message)
    }

    #[test]
    fn one_parameter_is_given_up_at_a_time() {
        let check = |message: &str, expected: Quirks| {
            assert_eq!(after(START, message), Some(expected), "{message}");
        };
        let swapped = Quirks { bound: Bound::Completion, bound_swapped: true, ..START };
        check("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", swapped);
        check("This response_format type is unavailable now", Quirks { schema: false, ..START });
        check(
            "Invalid schema for response_format 'output': it must be an object",
            Quirks { schema: false, ..START },
        );
        check(
            "Unsupported value: 'temperature' does not support 0",
            Quirks { temperature: false, ..START },
        );
        check("unknown field stream_options", Quirks { stream_options: false, ..START });
        assert_eq!(
            after(swapped, "unknown field max_completion_tokens"),
            Some(Quirks { bound: Bound::None, ..swapped })
        );
    }

    #[test]
    fn each_protocol_gives_up_what_it_sends() {
        use ProviderKind::*;
        let no_schema = Some(Quirks { schema: false, ..START });
        for (kind, message) in [
            (Anthropic, "output_config.format.schema: `additionalProperties` must be false"),
            (Anthropic, "output_config: Extra inputs are not permitted"),
            (OpenAiResponses, "Invalid schema for response_format 'output'"),
            (OpenAiResponses, "Unsupported parameter: 'text.format'"),
            (Gemini, "Function calling with a response mime type is unsupported"),
            (Gemini, "Unknown name \"responseJsonSchema\": Cannot find field."),
        ] {
            assert_eq!(at(kind, START, message), no_schema, "{kind} {message}");
        }
        let encrypted = "Encrypted content is not supported with this model.";
        let no_reasoning = Some(Quirks { reasoning: false, ..START });
        assert_eq!(at(OpenAiResponses, START, encrypted), no_reasoning);
        for kind in [Anthropic, OpenAiResponses, Gemini] {
            assert_eq!(at(kind, START, "unknown field max_tokens"), None, "{kind}");
            assert_eq!(at(kind, START, "unknown field stream_options"), None, "{kind}");
        }
        for kind in [Anthropic, OpenAiChat, Gemini] {
            assert_eq!(at(kind, START, encrypted), None, "{kind}");
        }
    }

    #[test]
    fn other_refusals_stand() {
        for message in ["max_tokens is too large: 9", "model not found", "unknown model", ""] {
            assert_eq!(after(START, message), None, "{message}");
        }
        let gone = Quirks { schema: false, ..START };
        assert_eq!(after(gone, "response_format is not supported"), None);
        let body = ErrorBody { message: "unsupported max_tokens".into(), ..ErrorBody::default() };
        let request = Request::new("m", "p").with_max_tokens(1);
        let kind = ProviderKind::OpenAiChat;
        assert_eq!(START.after_refusal(kind, &request, ErrorClass::Auth, &body), None);
    }
}
