//! The models of a `tokenizer.json`.

use crate::tokenizer::{
    bytes,
    characters::{Characters, Unknown},
    merge::{Merges, Pairs},
    trie::Trie,
    unigram::{self, Rules},
};
use serde::{Deserialize, de::IgnoredAny};
use std::collections::{HashMap, HashSet};

/// Byte pair encoding.
#[derive(Deserialize)]
pub(super) struct Bpe {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
    dropout: Option<f64>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

/// Older files have a text with a space between the two.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Two(String, String),
}

impl Merge {
    fn two(&self) -> Option<(&str, &str)> {
        match self {
            Self::Text(text) => text.split_once(' '),
            Self::Two(left, right) => Some((left, right)),
        }
    }
}

impl Bpe {
    /// Where pieces are spelled in characters that stand for bytes.
    pub(super) fn of_bytes(self) -> Result<Merges, String> {
        let characters = bytes::characters();
        let mut bytes = Box::new([0; 256]);
        for (token, character) in bytes.iter_mut().zip(characters) {
            let found = self.vocab.get(character.encode_utf8(&mut [0; 4]) as &str);
            *token = *found.ok_or("its tokens are not made of bytes: one of 256 is missing")?;
        }
        let pairs = self.pairs()?;
        let mut whole = HashMap::new();
        if self.ignore_merges == Some(true) {
            let byte_of: HashMap<char, u8> = characters.into_iter().zip(0..=u8::MAX).collect();
            for (text, token) in &self.vocab {
                let bytes: Option<Vec<u8>> =
                    text.chars().map(|character| byte_of.get(&character).copied()).collect();
                // A token that is no bytes can only be an added one.
                if let Some(bytes) = bytes {
                    whole.insert(bytes.into(), *token);
                }
            }
        }
        Ok(Merges::Pairs { bytes, pairs, whole })
    }

    /// Where pieces are text.
    pub(super) fn of_characters(self) -> Result<Characters, String> {
        let pairs = self.pairs()?;
        let unknown = match self.unk_token.as_deref() {
            None => None,
            Some(text) => {
                let token = self.vocab.get(text).copied();
                let token =
                    token.ok_or("its token for what is unknown is not in its vocabulary")?;
                Some(Unknown { token, is_fused: self.fuse_unk == Some(true) })
            }
        };
        let mut bytes = Box::new([None; 256]);
        if self.byte_fallback == Some(true) {
            for (token, byte) in bytes.iter_mut().zip(0..=u8::MAX) {
                *token = self.vocab.get(&bytes::fallback(byte)).copied();
            }
        }
        let character = |(text, token): (&String, &u32)| {
            let mut characters = text.chars();
            let first = characters.next()?;
            characters.next().is_none().then_some((first, *token))
        };
        let characters = self.vocab.iter().filter_map(character).collect();
        let whole = if self.ignore_merges == Some(true) {
            self.vocab.into_keys().map(String::into_boxed_str).collect()
        } else {
            HashSet::new()
        };
        Ok(Characters { characters, bytes, unknown, pairs, whole })
    }

    fn pairs(&self) -> Result<Pairs, String> {
        let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        if is_set(&self.continuing_subword_prefix) || is_set(&self.end_of_word_suffix) {
            return Err("it marks the parts of a word, which is not known here".into());
        }
        if self.dropout.is_some_and(|dropout| dropout > 0.0) {
            return Err("it leaves merges out at random".into());
        }
        let mut pairs = HashMap::with_capacity(self.merges.len());
        let mut whole = String::new();
        for (rank, merge) in (0..).zip(&self.merges) {
            let token = |text: &str| self.vocab.get(text).copied();
            let merged = merge.two().and_then(|(left, right)| {
                whole.clear();
                whole.extend([left, right]);
                Some(((token(left)?, token(right)?), (rank, token(&whole)?)))
            });
            let (pair, merged) = merged.ok_or_else(|| format!("merge {rank} has no token"))?;
            // As in the library: of two that are the same, the later place counts.
            pairs.insert(pair, merged);
        }
        Ok(pairs)
    }
}

/// The Unigram model.
#[derive(Deserialize)]
pub(super) struct Unigram {
    vocab: Vec<(String, f64)>,
    unk_id: Option<usize>,
    byte_fallback: Option<bool>,
    // What makes it draw among several ways at random.
    alpha: Option<IgnoredAny>,
    nbest_size: Option<IgnoredAny>,
}

/// What is taken off the lowest score for a character that is no token.
const UNKNOWN_PENALTY: f64 = 10.0;

impl Unigram {
    pub(super) fn read(self) -> Result<unigram::Unigram, String> {
        if self.alpha.is_some() || self.nbest_size.is_some() {
            return Err("it cuts texts at random".into());
        }
        if self.unk_id.is_some_and(|unknown| unknown >= self.vocab.len()) {
            return Err("its token for what is unknown is not in its vocabulary".into());
        }
        let texts = || self.vocab.iter().map(|(text, _)| text.as_bytes());
        let trie = Trie::new(texts().zip(0..));
        let has_byte =
            |byte| self.byte_fallback == Some(true) && trie.has(bytes::fallback(byte).as_bytes());
        let mut has_bytes = Box::new([false; 256]);
        for (has, byte) in has_bytes.iter_mut().zip(0..=u8::MAX) {
            *has = has_byte(byte);
        }
        let tokens = self.vocab.iter().enumerate().map(|(place, &(_, score))| {
            if Some(place) == self.unk_id {
                unigram::Token::Unknown { score }
            } else {
                unigram::Token::Of { score }
            }
        });
        let lowest = self.vocab.iter().fold(f64::INFINITY, |least, (_, score)| least.min(*score));
        Ok(unigram::Unigram {
            tokens: tokens.collect(),
            unknown_score: lowest - UNKNOWN_PENALTY,
            bytes: has_bytes,
            rules: Rules::Double { has_unknown: self.unk_id.is_some() },
            trie,
        })
    }
}
