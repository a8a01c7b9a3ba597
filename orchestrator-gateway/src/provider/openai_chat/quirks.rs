//! What a compatible server does not take, told from its refusals.

use crate::{
    failure::ErrorBody,
    provider::{Endpoint, Request},
};
use orchestrator_core::error::ErrorClass;

/// How the bound on the answer is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// `max_completion_tokens`, which OpenAI's reasoning models demand.
    Completion,
    /// `max_tokens`, which everyone else knows.
    Plain,
    /// Neither.
    None,
}

/// The form of a request that a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quirks {
    pub(super) bound: Bound,
    /// The other name was already refused.
    bound_swapped: bool,
    pub(super) schema: bool,
    pub(super) stream_options: bool,
    pub(super) temperature: bool,
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
        }
    }

    /// The form to try next, when the refusal names a parameter that can be given up.
    pub(super) fn after_refusal(
        self,
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
        if schema_sent && (names("response_format") || names("json_schema")) {
            next.schema = false;
            return Some(next);
        }
        if !UNKNOWN.into_iter().any(|word| refusal.mentions(word)) {
            return None;
        }
        let bounded = request.max_tokens.is_some();
        if self.stream_options && names("stream_options") {
            next.stream_options = false;
        } else if self.temperature && request.temperature.is_some() && names("temperature") {
            next.temperature = false;
        } else if bounded && self.bound == Bound::Completion && names("max_completion_tokens") {
            next.bound = if self.bound_swapped { Bound::None } else { Bound::Plain };
            next.bound_swapped = true;
        } else if bounded && self.bound == Bound::Plain && names("max_tokens") {
            next.bound = if self.bound_swapped { Bound::None } else { Bound::Completion };
            next.bound_swapped = true;
        } else {
            return None;
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const START: Quirks = Quirks {
        bound: Bound::Plain,
        bound_swapped: false,
        schema: true,
        stream_options: true,
        temperature: true,
    };

    fn after(start: Quirks, message: &str) -> Option<Quirks> {
        let request = Request::new("m", "p")
            .with_max_tokens(9)
            .with_temperature(0.0)
            .with_output_schema(Arc::new(serde_json::json!({})));
        let body = ErrorBody { message: message.into(), ..ErrorBody::default() };
        start.after_refusal(&request, ErrorClass::InvalidRequest, &body)
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
    fn other_refusals_stand() {
        for message in ["max_tokens is too large: 9", "model not found", "unknown model", ""] {
            assert_eq!(after(START, message), None, "{message}");
        }
        let gone = Quirks { schema: false, ..START };
        assert_eq!(after(gone, "response_format is not supported"), None);
        let body = ErrorBody { message: "unsupported max_tokens".into(), ..ErrorBody::default() };
        let request = Request::new("m", "p").with_max_tokens(1);
        assert_eq!(START.after_refusal(&request, ErrorClass::Auth, &body), None);
    }
}
