//! Byte pair encoding of characters, as `tokenizer.json` has it for Gemma, Llama 2 and Mistral.

use super::merge::{Pairs, Symbols};
use std::collections::{HashMap, HashSet};

/// The tokens and what may be merged.
#[derive(Debug)]
pub(super) struct Characters {
    /// The tokens that are one character.
    pub(super) characters: HashMap<char, u32>,
    /// The tokens `<0x00>` to `<0xFF>` that bytes of other characters become, as far as there are such.
    pub(super) bytes: Box<[Option<u32>; 256]>,
    pub(super) unknown: Option<Unknown>,
    pub(super) pairs: Pairs,
    /// Pieces that are a token as a whole, however they would be merged.
    pub(super) whole: HashSet<Box<str>>,
}

/// What a character becomes that is no token. Without, it is left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unknown {
    pub(super) token: u32,
    /// Whether several that follow each other are one.
    pub(super) is_fused: bool,
}

impl Characters {
    /// How many tokens the piece has.
    pub(super) fn count(&self, piece: &str) -> Option<u64> {
        if self.whole.contains(piece) {
            return Some(1);
        }
        let mut symbols = Symbols::with_room_for(piece.len())?;
        let mut unknown: Option<(Unknown, usize)> = None;
        for character in piece.chars() {
            let mut encoded = [0; 4];
            let encoded = character.encode_utf8(&mut encoded).as_bytes();
            if let Some(token) = self.characters.get(&character) {
                if let Some((unknown, bytes)) = unknown.take() {
                    symbols.push(unknown.token, bytes);
                }
                symbols.push(*token, encoded.len());
            } else if encoded.iter().all(|byte| self.bytes[usize::from(*byte)].is_some()) {
                // An unknown one before it stays behind, as in the library.
                for token in encoded.iter().filter_map(|byte| self.bytes[usize::from(*byte)]) {
                    symbols.push(token, 1);
                }
            } else if let Some(new) = self.unknown {
                let before = unknown.take();
                let fused = before.filter(|_| new.is_fused).map_or(0, |(_, bytes)| bytes);
                if let Some((unknown, bytes)) = before.filter(|_| !new.is_fused) {
                    symbols.push(unknown.token, bytes);
                }
                unknown = Some((new, fused + encoded.len()));
            }
        }
        if let Some((unknown, bytes)) = unknown {
            symbols.push(unknown.token, bytes);
        }
        symbols.merge(|left, right| self.pairs.get(&(left.token, right.token)).copied());
        Some(symbols.left().count() as u64)
    }
}
