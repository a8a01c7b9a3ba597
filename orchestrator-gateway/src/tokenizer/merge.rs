//! Byte pair encoding: the neighbours that stand first in the tokenizer's list are merged, again and again.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// What may be merged, and what comes first.
#[derive(Debug)]
pub(super) enum Merges {
    /// Two tokens become another: `tokenizer.json`.
    Pairs {
        /// The token of each byte.
        bytes: Box<[u32; 256]>,
        /// The place in the list, and the token that two others become.
        pairs: HashMap<(u32, u32), (u32, u32)>,
        /// Pieces that are a token as a whole, however they would be merged.
        whole: HashMap<Box<[u8]>, u32>,
    },
    /// Bytes that are a token, with its place: `.tiktoken`.
    Ranks(HashMap<Box<[u8]>, u32>),
}

/// Marks that there is no neighbour.
const NONE: usize = usize::MAX;

/// A token of a piece so far.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    token: u32,
    start: usize,
    /// `start` when it was merged into the one before.
    end: usize,
    previous: usize,
    next: usize,
}

impl Merges {
    /// How many tokens the piece has.
    pub(super) fn count(&self, piece: &[u8]) -> u64 {
        let (Self::Pairs { whole, .. } | Self::Ranks(whole)) = self;
        if piece.len() < 2 || whole.contains_key(piece) {
            return piece.len().min(1) as u64;
        }
        let last = piece.len() - 1;
        let symbol = |(place, &byte): (usize, &u8)| Symbol {
            token: self.token(byte),
            start: place,
            end: place + 1,
            previous: place.wrapping_sub(1),
            next: if place == last { NONE } else { place + 1 },
        };
        let mut symbols: Vec<Symbol> = piece.iter().enumerate().map(symbol).collect();
        // The first in the list comes first, and of one kind the leftmost.
        let mut waiting = BinaryHeap::new();
        for place in 0..last {
            if let Some((rank, token)) = self.merged(piece, symbols[place], symbols[place + 1]) {
                waiting.push(Reverse((rank, place, token)));
            }
        }
        let mut tokens = piece.len() as u64;
        while let Some(Reverse((rank, place, token))) = waiting.pop() {
            let left = symbols[place];
            if left.start == left.end || left.next == NONE {
                continue;
            }
            // What has merged since then made this one void, unless it is still the same.
            let right = symbols[left.next];
            if self.merged(piece, left, right) != Some((rank, token)) {
                continue;
            }
            symbols[left.next].end = right.start;
            let merged = Symbol { token, end: right.end, next: right.next, ..left };
            symbols[place] = merged;
            tokens -= 1;
            if let Some(next) = symbols.get_mut(merged.next) {
                next.previous = place;
            }
            let next = symbols.get(merged.next).copied();
            if let Some((rank, token)) = next.and_then(|next| self.merged(piece, merged, next)) {
                waiting.push(Reverse((rank, place, token)));
            }
            let previous = symbols.get(merged.previous).copied();
            if let Some((rank, token)) =
                previous.and_then(|previous| self.merged(piece, previous, merged))
            {
                waiting.push(Reverse((rank, merged.previous, token)));
            }
        }
        tokens
    }

    fn token(&self, byte: u8) -> u32 {
        match self {
            Self::Pairs { bytes, .. } => bytes[usize::from(byte)],
            // Ranks are of bytes, whatever tokens they are.
            Self::Ranks(_) => 0,
        }
    }

    /// The place in the list and the token that two neighbours become, if they may.
    fn merged(&self, piece: &[u8], left: Symbol, right: Symbol) -> Option<(u32, u32)> {
        match self {
            Self::Pairs { pairs, .. } => pairs.get(&(left.token, right.token)).copied(),
            Self::Ranks(ranks) => {
                ranks.get(&piece[left.start..right.end]).map(|rank| (*rank, *rank))
            }
        }
    }
}
