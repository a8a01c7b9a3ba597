//! The most that a call can cost, before it is made.

use super::{Api, asked::Asked, config::FrontLimits, upstream::Upstream};
use crate::{
    meter::Format,
    prices::{CacheWrites, PriceEntry, PriceTable},
};
use aho_corasick::AhoCorasick;
use http::HeaderMap;
use orchestrator_core::{ledger::Amounts, money::MicroUsd, usage::TokenCount};
use std::sync::LazyLock;

/// The most tokens of one picture. A picture of few bytes can be large: the dearest usual models
/// count some 5,000 for the largest that they take.
const PICTURE_TOKENS: u64 = 8_192;

/// The prompts of Anthropic's models whose long-prompt price begins here can only be longer with
/// [`LONG_CONTEXT_BETA`].
const LONG_CONTEXT: u64 = 200_000;
const LONG_CONTEXT_BETA: &str = "context-1m";

/// What stands for a picture.
const PICTURES: [&str; 5] =
    ["\"image\"", "\"input_image\"", "\"image_url\"", "\"inlineData\"", "\"inline_data\""];

/// What brings tokens into the prompt that are not in the body: stored files and conversations,
/// caches, documents, and tools that the provider itself runs.
const BEYOND: [&str; 20] = [
    "\"document\"",
    "\"input_file\"",
    "\"file_id\"",
    "\"file_url\"",
    "\"fileUri\"",
    "\"file_uri\"",
    "\"cachedContent\"",
    "\"cached_content\"",
    "\"previous_response_id\"",
    "\"conversation\"",
    "\"container\"",
    "\"mcp_servers\"",
    "\"web_search",
    "\"web_fetch",
    "\"code_execution",
    "\"code_interpreter\"",
    "\"googleSearch\"",
    "\"google_search\"",
    "\"urlContext\"",
    "\"url_context\"",
];

/// `None` cannot be: the patterns are these. Then every request counts as one that reaches beyond.
static MARKS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(PICTURES.iter().chain(&BEYOND)).ok());

/// The most tokens that a prompt of this body can have. A token is at least one byte of the text,
/// and the text at least as long in JSON, with what is put around it for the model; pictures and
/// what is not in the body are counted apart.
fn most_input(body: &[u8], context: u64) -> u64 {
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let Some(marks) = &*MARKS else {
        return bytes.saturating_add(context);
    };
    let (mut pictures, mut beyond) = (0, false);
    for mark in marks.find_iter(body) {
        if mark.pattern().as_usize() < PICTURES.len() {
            pictures += 1;
        } else {
            beyond = true;
        }
    }
    let beyond = if beyond { context } else { 0 };
    bytes.saturating_add(pictures * PICTURE_TOKENS).saturating_add(beyond)
}

/// How many pictures a body has.
pub(super) fn pictures(body: &[u8]) -> u64 {
    let Some(marks) = &*MARKS else { return 0 };
    let marks = marks.find_iter(body);
    marks.filter(|mark| mark.pattern().as_usize() < PICTURES.len()).map(|_| 1).sum()
}

/// Whether a body may ask a cache to keep something for an hour. What is escaped might.
fn writes(format: Format, body: &[u8]) -> CacheWrites {
    let has = |text: &str| memchr::memmem::find(body, text.as_bytes()).is_some();
    if format == Format::Messages && (has("\"1h\"") || has("\\u00")) {
        CacheWrites::Hour
    } else {
        CacheWrites::Usual
    }
}

/// The most that a call can spend: one request, its tokens, and what these cost if that is known.
pub(super) fn worst(
    (format, asked, body, headers): (Format, &Asked, &[u8], &HeaderMap),
    (upstream, model): (&Upstream, &str),
    prices: &PriceTable,
    limits: &FrontLimits,
) -> Amounts {
    let mut input = most_input(body, limits.context_tokens);
    let output = asked.most_output(format, limits.output_tokens);
    let entry = upstream.price(prices, model);
    if let (Api::Anthropic, Some(entry)) = (upstream.api, entry)
        && is_short(entry, headers)
    {
        input = input.min(LONG_CONTEXT);
    }
    let usd = match entry {
        _ if asked.is_priced_otherwise() => None,
        Some(entry) => entry.worst(TokenCount(input), TokenCount(output), writes(format, body)),
        None => upstream.is_local().then_some(MicroUsd::ZERO),
    };
    Amounts::call(usd, input.saturating_add(output))
}

/// Whether prompts cannot reach the part of the price that begins at [`LONG_CONTEXT`].
fn is_short(entry: &PriceEntry, headers: &HeaderMap) -> bool {
    let begins_there =
        entry.long.as_ref().is_some_and(|long| long.above_input_tokens == LONG_CONTEXT);
    let asks = headers.get_all("anthropic-beta").iter().any(|value| {
        memchr::memmem::find(value.as_bytes(), LONG_CONTEXT_BETA.as_bytes()).is_some()
    });
    begins_there && !asks
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::id::ProviderName;

    #[test]
    fn a_body_is_bounded_by_its_bytes_pictures_and_references() {
        let check = |body: &str, beyond: u64| {
            assert_eq!(
                most_input(body.as_bytes(), 1_000_000),
                body.len() as u64 + beyond,
                "{body}"
            );
        };
        check("", 0);
        check(r#"{"content":"héllo 🦀"}"#, 0);
        check(r#"{"content":"an \"image\" of it"}"#, 0);
        check(r#"[{"type":"image"},{"type": "image"}]"#, 2 * PICTURE_TOKENS);
        check(r#"{"type":"image_url","image_url":{}}"#, 2 * PICTURE_TOKENS);
        check(r#"{"previous_response_id":"r"}"#, 1_000_000);
        check(r#"[{"type":"web_search_20250305"},{"file_id":"f"}]"#, 1_000_000);
    }

    #[test]
    fn what_a_call_can_cost_by_table() {
        let prices = PriceTable::built_in();
        let limits = FrontLimits::default();
        let check =
            |format: Format, model: &str, body: &str, beta: &str, expected: Option<&str>| {
                let api = if format == Format::Messages { Api::Anthropic } else { Api::OpenAi };
                let name = ProviderName::new("p").unwrap();
                let upstream = Upstream::new(name, api, "http://127.0.0.1:1").unwrap();
                let mut headers = HeaderMap::new();
                headers.insert("anthropic-beta", beta.parse().unwrap());
                let asked = Asked::read(body.as_bytes()).unwrap();
                let of = (format, &asked, body.as_bytes(), &headers);
                let worst = worst(of, (&upstream, model), &prices, &limits);
                let usd = worst.usd.map(|usd| usd.to_string());
                assert_eq!(usd.as_deref(), expected, "{model} {} bytes", body.len());
            };
        let body = |more: &str| format!(r#"{{"max_tokens":1000{more}}}"#);
        // 19 bytes at 1.25, and 1,000 tokens at 5.
        let (chat, messages) = (Format::Chat, Format::Messages);
        check(messages, "claude-haiku-4-5", &body(""), "x", Some("0.005024"));
        // 25 bytes at 2.
        check(messages, "claude-haiku-4-5", &body(r#","a":"1h""#), "x", Some("0.005056"));
        check(chat, "gpt-5-mini", &body(""), "x", Some("0.002005"));
        check(chat, "gpt-5-mini", &body(r#","service_tier":"priority""#), "x", None);
        check(chat, "never-heard-of", &body(""), "x", None);
        // A long body stays within the usual prompts without the beta.
        let long = body(&format!(r#","a":"{}""#, "x".repeat(300_000)));
        check(messages, "claude-sonnet-4-5", &long, "x", Some("0.765"));
        check(messages, "claude-sonnet-4-5", &long, "context-1m-2025-08-07", None);
    }
}
