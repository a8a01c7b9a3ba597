//! Byte pair encoding as SentencePiece does it: two neighbours are merged where what they are together is a
//! piece, and the piece with the highest score comes first.

use super::{merge::Symbols, trie::Trie};
use std::collections::HashMap;

/// The pieces of a model.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) by_text: HashMap<Box<str>, Piece>,
    /// Those that are never merged: what the user of SentencePiece has asked for.
    pub(super) asked: Trie,
    /// Whether what is unknown becomes its bytes.
    pub(super) is_bytes: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Its place by score, the highest first; those of one score have one place.
    pub(super) rank: u32,
    /// Whether it is only a step on the way to others, and falls apart again at the end.
    pub(super) is_unused: bool,
}

const ASKED: u32 = 1;
const OTHER: u32 = 0;

impl Pieces {
    /// How many tokens the text has.
    pub(super) fn count(&self, text: &str) -> Option<u64> {
        let mut symbols = Symbols::with_room_for(text.len())?;
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let asked = self.asked.longest(rest.as_bytes());
            let length = asked.unwrap_or(character.len_utf8());
            symbols.push(if asked.is_some() { ASKED } else { OTHER }, length);
            rest = rest.get(length..)?;
        }
        // Where the two begin and end that an unused piece was made of last.
        let mut made: HashMap<&str, [(usize, usize); 2]> = HashMap::new();
        symbols.merge(|left, right| {
            if left.token == ASKED || right.token == ASKED {
                return None;
            }
            let (start, end) = (left.start as usize, right.end as usize);
            let both = &text[start..end];
            let piece = self.by_text.get(both)?;
            if piece.is_unused {
                let middle = left.end as usize;
                made.insert(both, [(start, middle), (middle, end)]);
            }
            Some((piece.rank, OTHER))
        });
        let mut tokens = 0;
        let mut is_after_unknown = false;
        for symbol in symbols.left() {
            let mut open = vec![(symbol.start as usize, symbol.end as usize)];
            while let Some((start, end)) = open.pop() {
                let part = &text[start..end];
                let is_known = match (self.by_text.get(part), made.get(part)) {
                    (Some(Piece { is_unused: true, .. }), Some(&[left, right])) => {
                        open.extend([right, left]);
                        continue;
                    }
                    (piece, _) => piece.is_some_and(|piece| !piece.is_unused),
                };
                tokens += match is_known {
                    true => 1,
                    false if self.is_bytes => part.len() as u64,
                    // Several in a row are one.
                    false => u64::from(!is_after_unknown),
                };
                is_after_unknown = !is_known;
            }
        }
        Some(tokens)
    }
}
