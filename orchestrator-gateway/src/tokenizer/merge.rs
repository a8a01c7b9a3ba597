//! Byte pair encoding: the neighbours that stand first in the tokenizer's list are merged, again and again.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

/// What may be merged, and what comes first, of tokens that are made of bytes.
#[derive(Debug)]
pub(super) enum Merges {
    /// Two tokens become another: `tokenizer.json`.
    Pairs {
        /// The token of each byte.
        bytes: Box<[u32; 256]>,
        pairs: Pairs,
        /// Pieces that are a token as a whole, however they would be merged.
        whole: HashMap<Box<[u8]>, u32>,
    },
    /// Bytes that are a token, with its place: `.tiktoken`.
    Ranks(HashMap<Box<[u8]>, u32>),
}

/// The place in the list, and the token that two others become.
pub(super) type Pairs = HashMap<(u32, u32), (u32, u32)>;

/// Marks that there is no neighbour.
const NONE: u32 = u32::MAX;

/// A token of a piece so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol {
    pub(super) token: u32,
    /// Where it begins in the piece, in bytes.
    pub(super) start: u32,
    /// `start` when it was merged into the one before.
    pub(super) end: u32,
    previous: u32,
    next: u32,
}

/// The tokens of a piece.
#[derive(Debug, Default)]
pub(super) struct Symbols(Vec<Symbol>);

impl Symbols {
    /// For a piece of `bytes`. `None` for one of more than 4 GiB, which nobody can count.
    pub(super) fn with_room_for(bytes: usize) -> Option<Self> {
        let most = u32::try_from(bytes).is_ok_and(|bytes| bytes < NONE);
        most.then(|| Self(Vec::with_capacity(bytes)))
    }

    /// Takes the next `bytes` of the piece for `token`.
    pub(super) fn push(&mut self, token: u32, bytes: usize) {
        let place = self.0.len() as u32;
        let (start, previous) = match self.0.last_mut() {
            Some(last) => {
                last.next = place;
                (last.end, place - 1)
            }
            None => (0, NONE),
        };
        self.0.push(Symbol { token, start, end: start + bytes as u32, previous, next: NONE });
    }

    /// What is left of them, in order.
    pub(super) fn left(&self) -> impl Iterator<Item = Symbol> {
        self.0.iter().copied().filter(|symbol| symbol.start < symbol.end)
    }

    /// Merges all that can be merged: `merged` tells the place in the list and the token that two neighbours
    /// become, if they may, and is asked once for each two that come together. Of one place the leftmost come
    /// first.
    pub(super) fn merge(&mut self, mut merged: impl FnMut(Symbol, Symbol) -> Option<(u32, u32)>) {
        let symbols = &mut self.0;
        let mut waiting = BinaryHeap::new();
        for (place, pair) in (0_u32..).zip(symbols.windows(2)) {
            if let Some((rank, token)) = merged(pair[0], pair[1]) {
                waiting.push(Reverse((rank, place, pair[1].end, token)));
            }
        }
        while let Some(Reverse((_, place, end, token))) = waiting.pop() {
            let left = symbols[place as usize];
            if left.start == left.end || left.next == NONE {
                continue;
            }
            let right = symbols[left.next as usize];
            // Either of the two has become part of another since then.
            if right.end != end {
                continue;
            }
            symbols[left.next as usize].end = right.start;
            let whole = Symbol { token, end, next: right.next, ..left };
            symbols[place as usize] = whole;
            if let Some(next) = symbols.get_mut(whole.next as usize) {
                next.previous = place;
            }
            if let Some(previous) = symbols.get(whole.previous as usize).copied()
                && let Some((rank, token)) = merged(previous, whole)
            {
                waiting.push(Reverse((rank, whole.previous, end, token)));
            }
            if let Some(next) = symbols.get(whole.next as usize).copied()
                && let Some((rank, token)) = merged(whole, next)
            {
                waiting.push(Reverse((rank, place, next.end, token)));
            }
        }
    }
}

impl Merges {
    /// How many tokens the piece has.
    pub(super) fn count(&self, piece: &[u8]) -> Option<u64> {
        let (Self::Pairs { whole, .. } | Self::Ranks(whole)) = self;
        if piece.len() < 2 || whole.contains_key(piece) {
            return Some(piece.len().min(1) as u64);
        }
        let mut symbols = Symbols::with_room_for(piece.len())?;
        match self {
            Self::Pairs { bytes, pairs, .. } => {
                piece.iter().for_each(|&byte| symbols.push(bytes[usize::from(byte)], 1));
                symbols.merge(|left, right| pairs.get(&(left.token, right.token)).copied());
            }
            Self::Ranks(ranks) => {
                // Ranks are of bytes, whatever tokens they are.
                piece.iter().for_each(|_| symbols.push(0, 1));
                symbols.merge(|left, right| {
                    let both = left.start as usize..right.end as usize;
                    ranks.get(&piece[both]).map(|rank| (*rank, 0))
                });
            }
        }
        Some(symbols.left().count() as u64)
    }
}
