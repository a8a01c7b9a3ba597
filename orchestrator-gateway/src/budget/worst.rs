//! The most that a request can cost.

use crate::Request;

/// The bound of an answer that is reserved, and asked for, where the request has none.
pub(crate) const DEFAULT_MAX_TOKENS: u32 = 32_000;

/// What a request has around its text: roles, markers, and what a provider puts before the first
/// message. The largest that is documented is Anthropic's system prompt for tools, some 700 tokens.
const AROUND: u64 = 1_024;
const AROUND_EACH: u64 = 16;

/// The most input tokens that `request` can be counted as. A token of any tokenizer stands for one
/// byte of text at least, so that the bytes are a bound.
pub(crate) fn most_input(request: &Request) -> u64 {
    let text: usize = request.messages.iter().map(|message| message.text.len()).sum();
    let system = request.system.as_ref().map_or(0, String::len);
    let schema = request.output_schema.as_ref().map_or(0, |schema| schema.to_string().len());
    (text + system + schema) as u64 + AROUND + AROUND_EACH * request.messages.len() as u64
}
