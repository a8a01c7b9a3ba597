//! The four wire formats: a recorded answer of each, and what its end looks like.

use orchestrator_gateway::ProviderKind;

/// A wire format. Every recorded answer has used 100 tokens of input, 60 of them cached, and 25 of
/// output, 10 of them reasoning.
#[derive(Debug)]
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) kind: ProviderKind,
    pub(crate) model: &'static str,
    stream: &'static str,
    /// How many events before the end the counts are the last word.
    pub(crate) counted: usize,
    /// How many events before the end the connection may close.
    pub(crate) closes: usize,
    /// Whether the last event says that nothing follows.
    pub(crate) says_the_end: bool,
    /// The names of the counts: input, cached, output, reasoning.
    pub(crate) counts: [&'static str; 4],
}

/// What every recorded answer used in all.
pub(crate) const TOKENS: u64 = 125;

pub(crate) const MESSAGES: Format = Format {
    name: "messages",
    kind: ProviderKind::Anthropic,
    model: "claude-sonnet-4-5",
    stream: include_str!("../streams/anthropic.sse"),
    counted: 1,
    closes: 0,
    says_the_end: true,
    counts: ["input_tokens", "cache_read_input_tokens", "output_tokens", "thinking_tokens"],
};

pub(crate) const CHAT: Format = Format {
    name: "chat",
    kind: ProviderKind::OpenAiChat,
    model: "gpt-4o",
    stream: include_str!("../streams/openai-chat.sse"),
    counted: 1,
    closes: 2,
    says_the_end: true,
    counts: ["prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"],
};

pub(crate) const RESPONSES: Format = Format {
    name: "responses",
    kind: ProviderKind::OpenAiResponses,
    model: "gpt-4o",
    stream: include_str!("../streams/openai-responses.sse"),
    counted: 0,
    closes: 0,
    says_the_end: true,
    counts: ["input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"],
};

pub(crate) const GEMINI: Format = Format {
    name: "gemini",
    kind: ProviderKind::Gemini,
    model: "gemini-3.5-flash",
    stream: include_str!("../streams/gemini.sse"),
    counted: 0,
    closes: 0,
    says_the_end: false,
    counts: [
        "promptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
    ],
};

pub(crate) const ALL: [&Format; 4] = [&MESSAGES, &CHAT, &RESPONSES, &GEMINI];

impl Format {
    /// The events of the recorded answer, each with its empty line.
    pub(crate) fn events(&self) -> Vec<&'static str> {
        let events = self.stream.split_inclusive("\n\n");
        events.filter(|event| !event.trim().is_empty()).collect()
    }

    /// The whole of the recorded answer.
    pub(crate) fn body(&self) -> String {
        self.events().concat()
    }

    /// The recorded answer with another value for the last count `name`.
    pub(crate) fn saying(&self, name: &str, value: &str) -> String {
        let mut body = self.body();
        let key = format!("\"{name}\":");
        let is_count =
            |at: &usize| body[at + key.len()..].starts_with(|c: char| c.is_ascii_digit());
        let found = body.rmatch_indices(&key).map(|(at, _)| at).find(is_count);
        let from = found.unwrap_or_else(|| panic!("{} counts no {name}", self.name)) + key.len();
        let digits = body[from..].find(|c: char| !c.is_ascii_digit()).unwrap();
        body.replace_range(from..from + digits, value);
        body
    }

    /// The body of an error, as the servers of this format write it.
    pub(crate) fn error(&self, status: u16, message: &str, details: &str) -> String {
        match self.kind {
            ProviderKind::Anthropic => {
                let error = format!(r#"{{"type":"api_error","message":"{message}"}}"#);
                format!(r#"{{"type":"error","error":{error}}}"#)
            }
            ProviderKind::Gemini => format!(
                r#"{{"error":{{"code":{status},"message":"{message}","details":[{details}]}}}}"#
            ),
            _ => format!(
                r#"{{"error":{{"message":"{message}","type":"api_error","param":null,"code":null}}}}"#
            ),
        }
    }
}
