//! A model of SentencePiece, as Llama 2, Mistral, T5 and XLM-R are published with, mostly as
//! `tokenizer.model`. Source of the numbers of its fields: `sentencepiece_model.proto` of
//! <https://github.com/google/sentencepiece>.

use super::{
    Model, Tokenizer,
    added::Added,
    bytes,
    charsmap::Charsmap,
    normal::Normalizer,
    pieces::{Piece, Pieces},
    sentence::Sentence,
    trie::Trie,
    unigram::{Rules, Token, Unigram},
    wire::{Broken, Fields, Value},
};
use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

/// What is taken off the lowest score for a character that is no piece.
const UNKNOWN_PENALTY: f32 = 10.0;

struct Read<'c> {
    pieces: Vec<ReadPiece<'c>>,
    kind: u64,
    is_bytes: bool,
    is_spaced_behind: bool,
    charsmap: &'c [u8],
    is_spaced: bool,
    removes_spaces: bool,
    escapes_spaces: bool,
    /// A setting of the normalizer that is not known here.
    other: Option<u32>,
}

struct ReadPiece<'c> {
    text: &'c str,
    score: f32,
    kind: u64,
}

// The kinds of pieces.
const NORMAL: u64 = 1;
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const ASKED: u64 = 4;
const UNUSED: u64 = 5;
const BYTE: u64 = 6;

/// Whether `content` begins like such a model.
pub(super) fn is_one(content: &[u8]) -> bool {
    matches!(content, [0x0a | 0x12 | 0x1a, ..])
}

pub(super) fn read(content: &[u8]) -> Result<Tokenizer, String> {
    let read = fields(content)
        .map_err(|Broken| "it cannot be read as a SentencePiece model".to_owned())?;
    check(&read)?;
    let asked = || {
        let asked = read.pieces.iter().filter(|piece| piece.kind == ASKED);
        Trie::new(asked.map(|piece| (piece.text.as_bytes(), 0)))
    };
    let sentence = Sentence {
        charsmap: match read.charsmap {
            [] => None,
            map => Some(Charsmap::read(map)?),
        },
        asked: asked(),
        is_spaced: read.is_spaced,
        is_spaced_behind: read.is_spaced_behind,
        removes_spaces: read.removes_spaces,
        escapes_spaces: read.escapes_spaces,
    };
    let model = match read.kind {
        1 => Model::Unigram(unigram(&read)),
        2 => Model::Pieces(pieces(&read, asked())),
        3 => return Err("its model is of whole words, which is not known here".into()),
        4 => return Err("its model is of single characters, which is not known here".into()),
        _ => return Err("its model is of a kind that is not known here".into()),
    };
    Ok(Tokenizer {
        encoding: None,
        // What a user says is never taken for a token that begins a message.
        before: Added::default(),
        normalizers: vec![Normalizer::Sentence(Box::new(sentence))],
        after: Added::default(),
        splits: Vec::new(),
        model,
    })
}

fn fields(content: &[u8]) -> Result<Read<'_>, Broken> {
    let mut read = Read {
        pieces: Vec::new(),
        kind: 1,
        is_bytes: false,
        is_spaced_behind: false,
        charsmap: &[],
        is_spaced: true,
        removes_spaces: true,
        escapes_spaces: true,
        other: None,
    };
    for field in Fields(content) {
        match field? {
            (1, Value::Bytes(piece)) => read.pieces.push(piece_of(piece)?),
            (2, Value::Bytes(trainer)) => {
                for field in Fields(trainer) {
                    match field? {
                        (3, Value::Number(kind)) => read.kind = kind,
                        (24, Value::Number(flag)) => read.is_spaced_behind = flag != 0,
                        (35, Value::Number(flag)) => read.is_bytes = flag != 0,
                        // How the model was made, which is of no weight here.
                        _ => {}
                    }
                }
            }
            (3, Value::Bytes(normalizer)) => {
                for field in Fields(normalizer) {
                    match field? {
                        (2, Value::Bytes(map)) => read.charsmap = map,
                        (3, Value::Number(flag)) => read.is_spaced = flag != 0,
                        (4, Value::Number(flag)) => read.removes_spaces = flag != 0,
                        (5, Value::Number(flag)) => read.escapes_spaces = flag != 0,
                        // Its name, and the rules that the map was made from.
                        (1 | 6, _) => {}
                        (other, _) => read.other = Some(other),
                    }
                }
            }
            // Texts to test it by, and how tokens become text again.
            _ => {}
        }
    }
    Ok(read)
}

fn piece_of(content: &[u8]) -> Result<ReadPiece<'_>, Broken> {
    let mut piece = ReadPiece { text: "", score: 0.0, kind: NORMAL };
    for field in Fields(content) {
        match field? {
            (1, Value::Bytes(text)) => {
                piece.text = std::str::from_utf8(text).map_err(|_| Broken)?;
            }
            (2, Value::Four(score)) => piece.score = f32::from_le_bytes(score),
            (3, Value::Number(kind)) => piece.kind = kind,
            _ => {}
        }
    }
    Ok(piece)
}

/// That the library would take the model, and that nothing in it is unknown here.
fn check(read: &Read) -> Result<(), String> {
    if let Some(other) = read.other {
        return Err(format!("its normalizer has a setting that is not known here: field {other}"));
    }
    let (mut texts, mut reserved) = (HashSet::new(), HashSet::new());
    let mut unknown = 0;
    for piece in &read.pieces {
        if piece.text.is_empty() || piece.text.contains('\0') || piece.score.is_nan() {
            return Err("one of its pieces is empty, or has a zero byte or no score".into());
        }
        let is_new = match piece.kind {
            NORMAL | ASKED | UNUSED => texts.insert(piece.text),
            UNKNOWN | CONTROL | BYTE => reserved.insert(piece.text),
            _ => return Err("one of its pieces is of a kind that is not known here".into()),
        };
        if !is_new {
            return Err("two of its pieces are the same".into());
        }
        unknown += u32::from(piece.kind == UNKNOWN);
    }
    if unknown != 1 {
        return Err("it has no piece for what is unknown, or several".into());
    }
    let is_byte = |piece: &&ReadPiece| piece.kind == BYTE;
    let bytes: HashSet<_> =
        read.pieces.iter().filter(is_byte).map(|piece| bytes::of_fallback(piece.text)).collect();
    let right = if read.is_bytes { 256 } else { 0 };
    if bytes.len() != right || bytes.contains(&None) {
        return Err("its pieces for bytes are not the 256 that there are".into());
    }
    Ok(())
}

fn pieces(read: &Read, asked: Trie) -> Pieces {
    let is_text = |piece: &&ReadPiece| matches!(piece.kind, NORMAL | ASKED | UNUSED);
    let mut scores: Vec<f32> =
        read.pieces.iter().filter(is_text).map(|piece| piece.score).collect();
    scores.sort_by(|one, other| other.total_cmp(one));
    let rank = |score: f32| {
        scores.partition_point(|other| other.total_cmp(&score) == Ordering::Greater) as u32
    };
    let by_text: HashMap<_, _> = read
        .pieces
        .iter()
        .filter(is_text)
        .map(|piece| {
            let (rank, is_unused) = (rank(piece.score), piece.kind == UNUSED);
            (piece.text.into(), Piece { rank, is_unused })
        })
        .collect();
    Pieces { by_text, asked, is_bytes: read.is_bytes }
}

fn unigram(read: &Read) -> Unigram {
    let normal = read.pieces.iter().filter(|piece| piece.kind == NORMAL);
    let lowest = normal.map(|piece| piece.score).fold(f32::MAX, f32::min);
    let known = || read.pieces.iter().filter(|piece| matches!(piece.kind, NORMAL | ASKED));
    let tokens = known().map(|piece| match piece.kind {
        ASKED => Token::Asked,
        _ => Token::Of { score: piece.score.into() },
    });
    Unigram {
        trie: Trie::new(known().map(|piece| piece.text.as_bytes()).zip(0..)),
        tokens: tokens.collect(),
        unknown_score: (lowest - UNKNOWN_PENALTY).into(),
        bytes: Box::new([read.is_bytes; 256]),
        rules: Rules::Single,
    }
}
