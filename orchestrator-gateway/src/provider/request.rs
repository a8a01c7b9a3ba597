//! What is asked of a model.

use super::{Image, Message, Part};
use orchestrator_core::usage::TokenCount;
use serde_json::Value;
use std::sync::Arc;

/// The bound of an answer where the protocol demands one, or a budget, and the request has none.
/// Models that think count their thoughts, so it must be ample; what is not used costs nothing.
pub(crate) const DEFAULT_MAX_TOKENS: u32 = 32_000;

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The model, by the provider's own name for it.
    pub model: String,
    /// What it is told before the conversation.
    pub system: Option<String>,
    /// The conversation, oldest first; it starts and ends with the user.
    pub messages: Vec<Message>,
    /// The tools that the model may call. Default: none.
    pub tools: Vec<Tool>,
    /// Whether it has to call one. Counts only where there are tools.
    pub tool_choice: ToolChoice,
    /// The most tokens that the answer may have. Default: the provider's, or 32,000 where the
    /// protocol demands a number.
    pub max_tokens: Option<u32>,
    /// Text at which the answer ends, without it. The Responses API knows none and refuses them.
    pub stop_sequences: Vec<String>,
    /// The JSON Schema that the answer should fit, for models that can be held to one. Others do
    /// not see it: say it in the conversation, too.
    pub output_schema: Option<Arc<Value>>,
    /// How freely it draws, 0 to 2. Default: the model's.
    pub temperature: Option<f32>,
}

impl Request {
    /// One question to `model`.
    pub fn new(model: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            system: None,
            messages: vec![Message::user(prompt)],
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            max_tokens: None,
            stop_sequences: Vec::new(),
            output_schema: None,
            temperature: None,
        }
    }

    /// The same with a system prompt.
    #[must_use]
    pub fn with_system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }

    /// The same with one more turn of the conversation.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// The same with one more tool.
    #[must_use]
    pub fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// The same with another rule for the tools.
    #[must_use]
    pub fn with_tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// The same with a bound on the answer.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// The same with one more text at which the answer ends.
    #[must_use]
    pub fn with_stop_sequence(mut self, text: impl Into<String>) -> Self {
        self.stop_sequences.push(text.into());
        self
    }

    /// The same with a schema for the answer.
    #[must_use]
    pub fn with_output_schema(mut self, schema: Arc<Value>) -> Self {
        self.output_schema = Some(schema);
        self
    }

    /// The same at another temperature.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// An upper bound of the tokens that the provider counts for the input, for reservations.
    ///
    /// No tokenizer in use makes more than one token of a byte of text, so that the bytes are a
    /// bound; what providers add is bounded by constants, each well above what they document:
    /// 64 tokens for the request and for each message and part; 1,024 once and 256 each for tools,
    /// whose definitions count twice because providers write them in a form of their own; likewise
    /// 1,024 and twice its size for the output schema; and 50,000 for an image, since the dearest
    /// rule known (OpenAI's for `gpt-4o-mini`: 2,833 and 5,667 for each of up to 8 tiles) gives 48,169.
    pub fn most_input_tokens(&self) -> TokenCount {
        self.most_tokens(&|text| Some(text.len() as u64)).unwrap_or(TokenCount(u64::MAX))
    }

    /// The same where `count` says how many tokens a text has: for what is said, not for tools, which
    /// providers write in forms of their own. `None` where it cannot say.
    pub(crate) fn most_tokens(&self, count: &dyn Fn(&str) -> Option<u64>) -> Option<TokenCount> {
        let json = |value: &Value| value.to_string().len();
        let part = |part: &Part| {
            let bytes = match part {
                Part::Text(text) => return count(text),
                Part::Image(_) => MOST_PER_IMAGE,
                // A protocol may carry JSON as text in JSON, where a quote becomes two characters.
                Part::ToolCall(call) => {
                    call.id.len() + call.name.len() + 2 * call.arguments.to_text().len()
                }
                Part::ToolResult(result) => {
                    result.call.len() + result.tool.len() + 2 * result.text.len()
                }
                Part::Opaque(opaque) => json(&opaque.value),
            };
            Some(bytes as u64)
        };
        let tool = |tool: &Tool| {
            256 + 2 * (tool.name.len() + tool.description.len() + json(&tool.input_schema))
        };
        let mut most = FRAME;
        if let Some(text) = &self.system {
            most += FRAME + count(text)?;
        }
        for message in &self.messages {
            most += FRAME;
            for each in &message.parts {
                most += FRAME + part(each)?;
            }
        }
        if !self.tools.is_empty() {
            most += 1_024 + self.tools.iter().map(tool).sum::<usize>() as u64;
        }
        most += self.output_schema.as_ref().map_or(0, |schema| 1_024 + 2 * json(schema)) as u64;
        Some(TokenCount(most))
    }

    /// Roughly how many tokens the prompt has, at four bytes each and 1,500 for an image; at least 1.
    pub(crate) fn estimated_tokens(&self) -> u32 {
        let text = |text: &str| Some(text.len() as u64);
        let bytes = self.said(&text).unwrap_or(u64::MAX).saturating_add(self.beside());
        u32::try_from(bytes / 4 + 1).unwrap_or(u32::MAX)
    }

    /// The same where `count` says how many tokens a text has, with four for what stands around each
    /// message. `None` where it cannot say.
    pub(crate) fn counted_tokens(&self, count: &dyn Fn(&str) -> Option<u64>) -> Option<TokenCount> {
        let around = 4 * (self.messages.len() + usize::from(self.system.is_some())) as u64;
        Some(TokenCount(self.said(count)? + self.beside() / 4 + around))
    }

    /// The sum of `count` over the texts that are said.
    fn said(&self, count: &dyn Fn(&str) -> Option<u64>) -> Option<u64> {
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let texts = parts.filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::ToolResult(result) => Some(result.text.as_str()),
            Part::Image(_) | Part::ToolCall(_) | Part::Opaque(_) => None,
        });
        texts.chain(self.system.as_deref()).map(count).sum()
    }

    /// The bytes of what else there is, an image as 6,000.
    fn beside(&self) -> u64 {
        let json = |value: &Value| value.to_string().len();
        let part = |part: &Part| match part {
            Part::Text(_) | Part::ToolResult(_) => 0,
            Part::Image(Image::Bytes { .. } | Image::Url(_)) => 4 * 1_500,
            Part::ToolCall(call) => call.name.len() + call.arguments.to_text().len(),
            Part::Opaque(opaque) => json(&opaque.value),
        };
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let tool =
            |tool: &Tool| tool.name.len() + tool.description.len() + json(&tool.input_schema);
        let bytes = parts.map(part).sum::<usize>() + self.tools.iter().map(tool).sum::<usize>();
        bytes as u64
    }
}

/// What a message or a part of one costs beyond its text, at most.
const FRAME: u64 = 64;

/// What an image costs, at most.
const MOST_PER_IMAGE: usize = 50_000;

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name: letters, digits, `_` and `-`, at most 64 characters, as every provider takes it.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// The JSON Schema of its arguments: that of an object.
    pub input_schema: Arc<Value>,
}

impl Tool {
    /// A tool by its name, what it does, and the schema of its arguments.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        input_schema: impl Into<Arc<Value>>,
    ) -> Self {
        let (name, description) = (name.into(), description.into());
        Self { name, description, input_schema: input_schema.into() }
    }
}

/// Whether the model has to call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ToolChoice {
    /// As it likes.
    #[default]
    Auto,
    /// It must call at least one.
    Any,
    /// It must call none.
    None,
    /// It must call this one.
    Tool(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Arguments, ToolCall};
    use serde_json::json;

    #[test]
    fn the_bound_covers_everything_that_is_sent() {
        let plain = Request::new("m", "é".repeat(100));
        let base = plain.most_input_tokens().0;
        assert_eq!(base, 64 + 64 + 64 + 200);
        let more = |request: Request| request.most_input_tokens().0 - base;
        assert_eq!(more(plain.clone().with_system("sys")), 64 + 3);
        let image = Message::user("").with(Image::Url("https://h/x".into()));
        assert_eq!(more(plain.clone().with_message(image)), 64 + 64 + 64 + 50_000);
        let tool = Tool::new("t", "d", json!({ "type": "object" }));
        let schema = json!({ "type": "object" }).to_string().len() as u64;
        assert_eq!(more(plain.clone().with_tool(tool)), 1_024 + 256 + 2 * (2 + schema));
        let schema_asked = plain.clone().with_output_schema(Arc::new(json!({ "type": "object" })));
        assert_eq!(more(schema_asked), 1_024 + 2 * schema);
        let arguments = Arguments::read("{\"a\":1}");
        let call = ToolCall { id: "c".into(), name: "t".into(), arguments };
        let result = Message::results([call.result("three")]);
        assert_eq!(more(plain.with_message(result)), 64 + 64 + 2 + 10);
    }

    #[test]
    fn the_estimate_is_never_above_the_bound() {
        let request = Request::new("m", "x".repeat(4_000))
            .with_system("s")
            .with_tool(Tool::new("t", "d", json!({})))
            .with_message(Message::user("").with(Image::bytes("image/png", [1_u8; 9])));
        assert_eq!(request.estimated_tokens(), (4_000 + 1 + 4 + 6_000) / 4 + 1);
        assert!(u64::from(request.estimated_tokens()) < request.most_input_tokens().0);
    }
}
