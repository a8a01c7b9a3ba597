//! Counting the tokens of a text by the tokenizer of its model, which the user has as a file.
//!
//! Three kinds of file are read: a `tokenizer.json`, as open models are published with, of byte pair
//! encodings and Unigram; a model of SentencePiece, mostly called `tokenizer.model`, of the same two; and a
//! `.tiktoken` of those that are known by their digest. What a file asks for and this does not know is an
//! error, never a count that is nearly right. Tokenizers are not built in, since each has some megabytes.

mod added;
mod bytes;
mod characters;
mod charsmap;
mod files;
mod json;
mod merge;
mod normal;
mod pieces;
mod sentence;
mod sentencepiece;
mod split;
#[cfg(test)]
mod tests;
mod tiktoken;
mod trie;
mod unigram;
mod wire;

pub use files::{TokenizerError, Tokenizers};

use added::Added;
use characters::Characters;
use merge::Merges;
use normal::Normalizer;
use pieces::Pieces;
use split::Split;
use unigram::Unigram;

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
    model: Model,
}

/// How a piece falls into tokens.
#[derive(Debug)]
enum Model {
    Bytes(Merges),
    Characters(Characters),
    Pieces(Pieces),
    Unigram(Unigram),
}

impl Tokenizer {
    /// Reads a `tokenizer.json`, a model of SentencePiece or a `.tiktoken`: what it is, its content tells.
    ///
    /// # Errors
    /// What the file asks for and this does not know, or what is wrong with it, in words.
    pub fn read(content: &[u8]) -> Result<Self, String> {
        if content.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
            json::read(content)
        } else if sentencepiece::is_one(content) {
            sentencepiece::read(content)
        } else {
            tiktoken::read(content)
        }
    }

    /// The name of the encoding, such as `o200k_base`, where the file is one of those that OpenAI has
    /// published; else `None`.
    pub fn encoding(&self) -> Option<&'static str> {
        self.encoding
    }

    /// How many tokens `text` has. `None` where a pattern of the tokenizer gives up on it, or it knows no
    /// token for a character.
    pub fn count(&self, text: &str) -> Option<u64> {
        let mut tokens = 0;
        let mut is_first = true;
        for part in self.before.parts(text) {
            if let Some(part) = part {
                let normal = normal::all(&self.normalizers, part)?;
                for part in self.after.parts(&normal) {
                    tokens += part.map_or(Some(1), |part| self.count_plain(part, is_first))?;
                    is_first = false;
                }
            } else {
                tokens += 1;
            }
            is_first = false;
        }
        Some(tokens)
    }

    /// The same for what holds no added token; `is_first` where it begins the text.
    fn count_plain(&self, text: &str, is_first: bool) -> Option<u64> {
        let mut tokens = 0;
        split::walk(&self.splits, text, is_first, &mut |piece| {
            tokens += match &self.model {
                Model::Bytes(merges) => merges.count(piece.as_bytes()),
                Model::Characters(characters) => characters.count(piece),
                Model::Pieces(pieces) => pieces.count(piece),
                Model::Unigram(unigram) => unigram.count(piece),
            }?;
            Some(())
        })?;
        Some(tokens)
    }
}
