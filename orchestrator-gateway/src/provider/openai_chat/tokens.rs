//! The tokens of a conversation by OpenAI's public encodings, where the rest is public, too.
//!
//! Which model has which encoding, and what stands around each message, is what OpenAI has published with
//! them: three tokens and those of the role for each message, and three for the start of the answer.
//! How tools, pictures and schemas are written is not public, and neither is what stands around the
//! messages of later models: of these nothing is counted here.

use crate::provider::{Author, Message, Part, Request};
use orchestrator_core::usage::TokenCount;

/// What each message costs beside its role and text, and what the start of the answer does.
const FRAME: u64 = 3;

/// The name of the encoding of `model`, where it and what stands around its messages are public.
pub(crate) fn encoding(model: &str) -> Option<&'static str> {
    match without_date(model) {
        "gpt-4o" | "gpt-4o-mini" => Some("o200k_base"),
        "gpt-4" | "gpt-4-32k" | "gpt-4-turbo" | "gpt-3.5-turbo" | "gpt-3.5-turbo-16k" => {
            Some("cl100k_base")
        }
        _ => None,
    }
}

/// The exact number by the encoding of the model, which `count` applies to a text; `None` where it cannot
/// be known.
pub(crate) fn exact(request: &Request, count: &dyn Fn(&str) -> Option<u64>) -> Option<TokenCount> {
    encoding(&request.model)?;
    if !request.tools.is_empty() || request.output_schema.is_some() {
        return None;
    }
    let message = |role: &str, text: &str| Some(FRAME + count(role)? + count(text)?);
    let mut tokens = FRAME;
    if let Some(text) = &request.system {
        tokens += message("system", text)?;
    }
    for said in &request.messages {
        let role = match said.author {
            Author::User => "user",
            Author::Assistant => "assistant",
        };
        tokens += message(role, text(said)?)?;
    }
    Some(TokenCount(tokens))
}

/// The same by the tables that are built in.
#[cfg(feature = "tokenizers")]
pub(super) fn count(request: &Request) -> Option<TokenCount> {
    let encoding = match encoding(&request.model)? {
        "o200k_base" => bpe_openai::o200k_base(),
        _ => bpe_openai::cl100k_base(),
    };
    exact(request, &|text| Some(encoding.count(text) as u64))
}

/// The text of a message that is nothing else, as it is sent.
fn text(message: &Message) -> Option<&str> {
    match message.parts.as_slice() {
        [Part::Text(text)] if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The name without the day of a snapshot: `gpt-4o-2024-08-06`, `gpt-4-0613`.
fn without_date(model: &str) -> &str {
    let mut name = model;
    while let Some((rest, last)) = name.rsplit_once('-') {
        let is_number = matches!(last.len(), 2 | 4) && last.bytes().all(|b| b.is_ascii_digit());
        if !is_number {
            break;
        }
        name = rest;
    }
    name
}

#[cfg(all(test, feature = "tokenizers"))]
mod tests {
    use super::*;
    use crate::provider::{Image, Tool};
    use serde_json::json;

    fn tokens(request: &Request) -> Option<u64> {
        count(request).map(|tokens| tokens.0)
    }

    #[test]
    fn text_is_counted_by_the_encoding_of_its_model() {
        // Both encodings have `hello` and ` world`; the long word is one token in the newer one alone.
        for (model, expected) in [("gpt-4o", 2), ("gpt-4", 2), ("gpt-3.5-turbo-0125", 2)] {
            let request = Request::new(model, "hello world");
            assert_eq!(tokens(&request), Some(3 + (3 + 1 + expected)), "{model}");
        }
        let word = "надеюсь";
        let of = |model: &str| tokens(&Request::new(model, word)).unwrap();
        assert!(of("gpt-4o") < of("gpt-4"), "the newer encoding knows more languages");
        let request = Request::new("gpt-4o-mini-2024-07-18", "hello world")
            .with_system("hello")
            .with_message(Message::assistant("hello"))
            .with_message(Message::user("hello"));
        assert_eq!(tokens(&request), Some(3 + (4 + 1) + (4 + 2) + (4 + 1) + (4 + 1)));
    }

    #[test]
    fn what_is_not_public_is_not_counted() {
        for model in ["gpt-5", "gpt-4.1", "gpt-4o-audio-preview", "o3", "deepseek-chat", "4o"] {
            assert_eq!(tokens(&Request::new(model, "hello")), None, "{model}");
        }
        let plain = Request::new("gpt-4o", "hello");
        let tool = plain.clone().with_tool(Tool::new("t", "d", json!({})));
        let picture = Message::user("look").with(Image::Url("https://h/x.png".into()));
        let shown = plain.clone().with_message(picture);
        let schema = plain.with_output_schema(std::sync::Arc::new(json!({})));
        for request in [tool, shown, schema] {
            assert_eq!(tokens(&request), None);
        }
    }

    #[test]
    fn the_count_is_never_above_the_bound() {
        for text in ["a", "é🦀\u{0}", &"0123456789 ".repeat(500), &"\u{fffd}x".repeat(300)] {
            let request = Request::new("gpt-4", text).with_system("be brief");
            assert!(tokens(&request).unwrap() <= request.most_input_tokens().0);
        }
    }
}
