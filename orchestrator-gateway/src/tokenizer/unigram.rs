//! Unigram: of all ways to cut a piece into tokens the one with the highest sum of scores (Viterbi's way to
//! find it: the best that ends at each place, from left to right).

use super::trie::Trie;

/// The tokens with their scores.
#[derive(Debug)]
pub(super) struct Unigram {
    /// The numbers in it are places in `tokens`.
    pub(super) trie: Trie,
    pub(super) tokens: Vec<Token>,
    /// The score of a character that is no token.
    pub(super) unknown_score: f64,
    /// Which bytes have a token of their own, for what is unknown.
    pub(super) bytes: Box<[bool; 256]>,
    pub(super) rules: Rules,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Token {
    Of {
        score: f64,
    },
    /// One that the user of SentencePiece has asked for: always taken.
    Asked,
    /// The one that stands for what is unknown, spelled out in a text.
    Unknown {
        score: f64,
    },
}

/// Two libraries encode, and round differently.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rules {
    /// Hugging Face's `tokenizers`. Whether there is a token for what is unknown.
    Double { has_unknown: bool },
    /// SentencePiece: scores and their sums have 32 bits.
    Single,
}

/// From here on SentencePiece counts from zero again, lest small scores are lost in the sum.
const MOST_SINGLE: f64 = 100_000.0;

/// The best way to the end of a token.
#[derive(Debug, Clone, Copy)]
struct Best {
    score: f64,
    start: usize,
    is_unknown: bool,
}

impl Unigram {
    /// How many tokens the piece has. `None` where a character is unknown and nothing stands for such.
    pub(super) fn count(&self, piece: &str) -> Option<u64> {
        let best = self.best(piece)?;
        let (mut tokens, mut end) = (0, piece.len());
        // Where a run of unknown characters ends.
        let mut run = None;
        while end > 0 {
            let Best { start, is_unknown, .. } = best[end]?;
            if is_unknown {
                run.get_or_insert(end);
            } else {
                tokens += run.take().map_or(0, |last| self.unknown(&piece[end..last]));
                tokens += 1;
            }
            end = start;
        }
        Some(tokens + run.map_or(0, |last| self.unknown(&piece[..last])))
    }

    /// How many tokens characters in a row have that are unknown.
    fn unknown(&self, run: &str) -> u64 {
        if matches!(self.rules, Rules::Double { .. }) && self.trie.has(run.as_bytes()) {
            return 1;
        }
        let has_bytes = run.bytes().all(|byte| self.bytes[usize::from(byte)]);
        if has_bytes { run.len() as u64 } else { 1 }
    }

    /// The best way to each place of `piece`.
    fn best(&self, piece: &str) -> Option<Vec<Option<Best>>> {
        let mut best: Vec<Option<Best>> = vec![None; piece.len() + 1];
        // Where the furthest token ends so far.
        let mut furthest = 0;
        for (start, character) in piece.char_indices() {
            let mut here = best[start].map_or(0.0, |best| best.score);
            if matches!(self.rules, Rules::Single) && here.abs() > MOST_SINGLE {
                for later in best[start..=furthest].iter_mut().flatten() {
                    later.score = f64::from((later.score - here) as f32);
                }
                here = 0.0;
            }
            let mut has_single = false;
            for (length, number) in self.trie.prefixes(&piece.as_bytes()[start..]) {
                let token = self.tokens[number as usize];
                let score = match token {
                    Token::Of { score } | Token::Unknown { score } => score,
                    // The longer, the better: nothing else has more.
                    Token::Asked => f64::from((0.1 * (length - 1) as f64) as f32),
                };
                let is_unknown = matches!(token, Token::Unknown { .. });
                self.take(&mut best[start + length], score + here, start, is_unknown);
                furthest = furthest.max(start + length);
                has_single |= length == character.len_utf8();
            }
            if !has_single {
                let score = match self.rules {
                    Rules::Double { has_unknown: false } => return None,
                    Rules::Double { has_unknown: true } | Rules::Single => {
                        self.unknown_score + here
                    }
                };
                let end = start + character.len_utf8();
                self.take(&mut best[end], score, start, true);
                furthest = furthest.max(end);
            }
        }
        Some(best)
    }

    /// Keeps the way with `score` where it is better than the one `at` its end so far.
    fn take(&self, at: &mut Option<Best>, score: f64, start: usize, is_unknown: bool) {
        let score = match self.rules {
            Rules::Double { .. } => score,
            Rules::Single => f64::from(score as f32),
        };
        if at.is_none_or(|best| score > best.score) {
            *at = Some(Best { score, start, is_unknown });
        }
    }
}
