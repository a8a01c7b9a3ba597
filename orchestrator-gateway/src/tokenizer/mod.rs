//! Counting the tokens of a text by the tokenizer of its model, which the user has as a file.
//!
//! Two kinds of file are read: a `tokenizer.json`, as open models are published with, whose tokens are made
//! of bytes (DeepSeek, Qwen, Llama 3, GPT-OSS and others), and a `.tiktoken` of those that are known by
//! their digest. What a file asks for and this does not know is an error, never a count that is nearly
//! right. Tokenizers are not built in, since each has some megabytes.

mod added;
mod bytes;
mod files;
mod json;
mod merge;
mod normal;
mod split;
#[cfg(test)]
mod tests;
mod tiktoken;

pub use files::{TokenizerError, Tokenizers};

use added::Added;
use merge::Merges;
use normal::Normalizer;
use split::Split;

/// The tokenizer of a model. Counts what a text is in tokens, without what begins or ends a prompt.
#[derive(Debug)]
pub struct Tokenizer {
    /// The name of the encoding, where it is one that was published under a name.
    encoding: Option<&'static str>,
    /// Texts that are one token each, found before anything else is done.
    before: Added,
    normalizers: Vec<Normalizer>,
    /// Likewise, found in the text as it is normalized.
    after: Added,
    /// How a text falls into pieces, one after the other.
    splits: Vec<Split>,
    merges: Merges,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` or a `.tiktoken`: what it is, its content tells.
    ///
    /// # Errors
    /// What the file asks for and this does not know, or what is wrong with it, in words.
    pub fn read(content: &[u8]) -> Result<Self, String> {
        let is_json = content.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if is_json { json::read(content) } else { tiktoken::read(content) }
    }

    /// The name of the encoding, such as `o200k_base`, where the file is one of those that OpenAI has
    /// published; else `None`.
    pub fn encoding(&self) -> Option<&'static str> {
        self.encoding
    }

    /// How many tokens `text` has. `None` where a pattern of the tokenizer gives up on it.
    pub fn count(&self, text: &str) -> Option<u64> {
        let mut tokens = 0;
        for part in self.before.parts(text) {
            let Some(part) = part else {
                tokens += 1;
                continue;
            };
            let normal = normal::all(&self.normalizers, part);
            for part in self.after.parts(&normal) {
                match part {
                    Some(part) => self.count_plain(part, &mut tokens)?,
                    None => tokens += 1,
                }
            }
        }
        Some(tokens)
    }

    /// The same for what holds no added token.
    fn count_plain(&self, text: &str, tokens: &mut u64) -> Option<()> {
        split::walk(&self.splits, text, &mut |piece| *tokens += self.merges.count(piece.as_bytes()))
    }
}
