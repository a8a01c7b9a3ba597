//! Models of SentencePiece. What is in `fixtures` is made by `scripts/tokenizers/made.py`, with the counts of
//! the libraries.

use crate::tokenizer::Tokenizer;
use std::collections::BTreeMap;

const BPE: &[u8] = include_bytes!("../fixtures/bpe.model");
const UNIGRAM: &[u8] = include_bytes!("../fixtures/unigram.model");
const UNIGRAM_JSON: &[u8] = include_bytes!("../fixtures/unigram.json");
const COUNTS: &str = include_str!("../fixtures/counts.json");

#[test]
fn the_counts_are_those_of_the_libraries() {
    let counts: BTreeMap<String, Vec<(String, u64)>> = serde_json::from_str(COUNTS).unwrap();
    let files = [("bpe.model", BPE), ("unigram.model", UNIGRAM), ("unigram.json", UNIGRAM_JSON)];
    assert_eq!(counts.len(), files.len());
    for (name, content) in files {
        let tokenizer = Tokenizer::read(content).unwrap();
        for (text, tokens) in &counts[name] {
            assert_eq!(tokenizer.count(text), Some(*tokens), "{name}: {text:?}");
        }
    }
}

/// A field of a message that holds bytes.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut message = vec![field << 3 | 2];
    let mut length = content.len();
    while length > 0x7f {
        message.push(length as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend(content);
    message
}

/// A field that holds a small number.
fn number(field: u8, number: u8) -> Vec<u8> {
    [
        if field < 16 { vec![field << 3] } else { vec![(field << 3) | 0x80, field >> 4] },
        vec![number],
    ]
    .concat()
}

fn piece(text: &str, score: f32, kind: u8) -> Vec<u8> {
    let score = [vec![2 << 3 | 5], score.to_le_bytes().to_vec()].concat();
    bytes(1, &[bytes(1, text.as_bytes()), score, number(3, kind)].concat())
}

/// A model of `kind` that leaves a text as it is.
fn model(kind: u8, pieces: &[(&str, f32, u8)]) -> Vec<u8> {
    let mut model = piece("<unk>", 0.0, 2);
    model.extend(pieces.iter().flat_map(|&(text, score, kind)| piece(text, score, kind)));
    model.extend(bytes(2, &number(3, kind)));
    model.extend(bytes(3, &[number(3, 0), number(4, 0)].concat()));
    model
}

#[track_caller]
fn check(model: &[u8], texts: &[(&str, u64)]) {
    let tokenizer = Tokenizer::read(model).unwrap();
    for (text, tokens) in texts {
        assert_eq!(tokenizer.count(text), Some(*tokens), "{text:?}");
    }
}

#[test]
fn pieces_are_merged_by_their_scores() {
    let letters = [("a", -9.0, 1), ("b", -9.0, 1), ("c", -9.0, 1)];
    let with = |more: &[(&'static str, f32, u8)]| model(2, &[&letters, more].concat());
    check(&with(&[("ab", -2.0, 1), ("bc", -1.0, 1)]), &[("abc", 2), ("abab", 2), ("bcabc", 3)]);
    // Of one score the leftmost comes first.
    check(&with(&[("ab", -1.0, 1), ("bc", -1.0, 1), ("cc", -1.0, 1)]), &[("abcc", 2)]);
    // What is asked for is found first, and never merged.
    check(&with(&[("ab", -1.0, 1), ("bc", 0.0, 4), ("abc", 0.0, 1)]), &[("abc", 2), ("ab", 1)]);
    // A piece that is not used falls apart, after it has led to others.
    check(&with(&[("ab", -1.0, 5), ("abc", -2.0, 1)]), &[("ab", 2), ("abc", 1), ("abab", 4)]);
    // What is unknown is one in a row.
    check(&with(&[]), &[("xya", 2), ("xyaz", 3)]);
    // A text that only looks like a control.
    check(&with(&[("<s>", 0.0, 3)]), &[("<s>", 1), ("a<s>", 2)]);
}

#[test]
fn unigram_sums_as_the_library_does() {
    let asked = [("a", -1.0, 1), ("b", -1.0, 1), ("xa", -0.001, 1), ("ab", -50.0, 4)];
    check(&model(1, &asked), &[("xab", 2), ("ab", 1), ("aab", 2)]);
    let unused = [("a", -1.0, 1), ("b", -1.0, 1), ("ab", -0.5, 5)];
    check(&model(1, &unused), &[("ab", 2), ("xx", 1)]);
    // Sums are counted anew from 100,000 on, so that a long text is cut like a short one.
    let spaces = [("a", -9.0, 1), ("b", -2.1716766, 1), ("bb", -4.3433533, 1)];
    let long = "a".repeat(200_000) + "bb";
    check(&model(1, &spaces), &[("bb", 1), (&long, 200_001)]);
}

#[test]
fn a_model_that_is_not_known_is_an_error_and_quotes_nothing() {
    let refused = |content: &[u8]| Tokenizer::read(content).unwrap_err();
    for (kind, said) in
        [(3, "whole words"), (4, "single characters"), (9, "a kind that is not known")]
    {
        assert!(refused(&model(kind, &[("a", 0.0, 1)])).contains(said));
    }
    for (pieces, said) in [
        (vec![("", 0.0, 1)], "is empty"),
        (vec![("a", f32::NAN, 1)], "no score"),
        (vec![("a", 0.0, 7)], "a kind that is not known"),
        (vec![("hunter2", 0.0, 1), ("hunter2", 0.0, 4)], "are the same"),
        (vec![("a", 0.0, 2)], "what is unknown, or several"),
        (vec![("<0x0A>", 0.0, 6)], "not the 256"),
    ] {
        let error = refused(&model(2, &pieces));
        assert!(error.contains(said) && !error.contains("hunter2"), "{error}");
    }
    let setting = [model(2, &[]), bytes(3, &number(9, 1))].concat();
    assert!(refused(&setting).contains("not known here: field 9"));
    let map = [model(2, &[]), bytes(3, &bytes(2, b"hunter2"))].concat();
    assert!(refused(&map).contains("is broken"));
}

/// Whatever is wrong with a file, it is told or counted, and nothing panics.
#[test]
fn a_broken_model_is_told() {
    for whole in [BPE, UNIGRAM] {
        for end in (0..whole.len()).step_by(5) {
            if let Ok(tokenizer) = Tokenizer::read(&whole[..end]) {
                tokenizer.count("the quick\u{a0}brown ﬁx");
            }
        }
        for place in (0..whole.len()).step_by(5) {
            let mut other = whole.to_vec();
            other[place] ^= 0x55;
            if let Ok(tokenizer) = Tokenizer::read(&other) {
                tokenizer.count("the quick\u{a0}brown ﬁx AB\u{ad}");
            }
        }
    }
    assert!(Tokenizer::read(b"\nhunter2").unwrap_err().contains("as a SentencePiece model"));
}
