//! `tokenizer.json` whose tokens are made of characters: byte pair encodings and Unigram.

use super::{check, read};
use serde_json::{Map, Value, json};

/// A byte pair encoding of `tokens`, which are merged as told, prepared as Llama 2 does.
fn bpe(tokens: &[&str], merges: &[&str]) -> Value {
    let merged = merges.iter().map(|merge| merge.replace(' ', ""));
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let tokens = tokens.iter().map(|token| (*token).to_owned());
    let vocab: Map<String, Value> = ["<unk>".to_owned(), "▁".to_owned()]
        .into_iter()
        .chain(bytes)
        .chain(tokens)
        .chain(merged)
        .zip(0_u32..)
        .map(|(text, token)| (text, token.into()))
        .collect();
    json!({
        "added_tokens": [{ "content": "<s>", "normalized": false }],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
        ] },
        "pre_tokenizer": null,
        "model": {
            "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": vocab, "merges": merges,
        },
    })
}

fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

#[test]
fn what_is_no_token_becomes_its_bytes() {
    let document = bpe(&["a", "b"], &["▁ a", "a b", "▁a b", "▁ ▁"]);
    check(
        &document,
        &[
            ("", 0),
            ("a", 1),
            ("ab", 1),
            ("ab ab", 2),
            ("bab", 3),
            // Two spaces and the one that is put before.
            ("  ", 2),
            // Three bytes each.
            ("日a日", 8),
            ("a\n", 2),
            // What an added token parts begins anew.
            ("a<s>a", 3),
        ],
    );
    let long = "a ".repeat(100_000);
    check(&document, &[(&long, 100_001)]);
}

#[test]
fn what_is_unknown_is_one_where_there_are_no_bytes() {
    let document = with(bpe(&["a"], &[]), "/model/byte_fallback", false.into());
    check(&document, &[("日本a日", 4), ("日", 2)]);
    let each = with(document.clone(), "/model/fuse_unk", false.into());
    check(&each, &[("日本a日", 5)]);
    let none = with(document.clone(), "/model/unk_token", Value::Null);
    check(&none, &[("日本a日", 2), ("日", 1)]);
    let strange = with(document, "/model/unk_token", json!("<none>"));
    assert!(read(&strange).unwrap_err().contains("what is unknown is not in its vocabulary"));
}

#[test]
fn spaces_are_marked_as_the_file_says() {
    let document = |split: Value| {
        let document = bpe(&["a"], &["▁ a", "▁a ▁a"]);
        with(with(document, "/normalizer", Value::Null), "/pre_tokenizer", split)
    };
    let metaspace = |scheme: &str, split: bool| {
        let step = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split });
        document(step)
    };
    check(&metaspace("always", true), &[("a a", 2), ("a<s>a", 3), (" a", 1), ("  a", 2)]);
    check(&metaspace("always", false), &[("a a", 1), ("aa", 2)]);
    // After the added token the text is no longer the first.
    check(&metaspace("first", false), &[("a a", 1), ("a<s>a", 3), ("a<s> a", 3), ("<s>a", 2)]);
    check(&metaspace("never", false), &[("a a", 2), (" a a", 1)]);
    let old =
        document(json!({ "type": "Metaspace", "replacement": "▁", "add_prefix_space": true }));
    check(&old, &[("a a", 2)]);
    let late = with(metaspace("first", true), "/normalizer", json!({ "type": "NFC" }));
    assert!(read(&late).unwrap_err().contains("(`first`) after other steps"));
}

#[test]
fn what_is_found_may_join_its_neighbours() {
    let document = |behavior: &str, invert: bool| {
        let split = json!({ "type": "Split", "pattern": { "String": "." }, "behavior": behavior, "invert": invert });
        let document = bpe(&["a", "."], &["a .", ". a", ". ."]);
        with(with(document, "/normalizer", Value::Null), "/pre_tokenizer", split)
    };
    check(&document("MergedWithPrevious", false), &[("a.a", 2), ("..a", 3), ("a..a", 3)]);
    check(&document("MergedWithNext", false), &[("a.a", 2), ("..a", 2), ("a..", 3)]);
    check(&document("Contiguous", false), &[("a..a", 3), ("..", 1)]);
    check(&document("Removed", false), &[("a..a", 2)]);
    check(&document("MergedWithPrevious", true), &[(".a.", 2)]);
}

#[test]
fn texts_are_prepared_as_the_file_says() {
    let prepared = |steps: Value| {
        let document = bpe(&["a", "b", "i", "\u{301}"], &[]);
        let document = with(document, "/model/byte_fallback", false.into());
        let document = with(document, "/model/fuse_unk", false.into());
        with(document, "/normalizer", json!({ "type": "Sequence", "normalizers": steps }))
    };
    let strip = |left: bool, right: bool| {
        prepared(json!([{ "type": "Strip", "strip_left": left, "strip_right": right }]))
    };
    check(&strip(true, false), &[(" \n a ", 2), ("  ", 0)]);
    check(&strip(false, true), &[("  a \u{3000}", 3)]);
    check(&prepared(json!([{ "type": "NFD" }])), &[("á", 2)]);
    check(&prepared(json!([{ "type": "NFKD" }])), &[("ªá", 3)]);
    // A dot above follows the small letter.
    check(&prepared(json!([{ "type": "Lowercase" }])), &[("AB", 2), ("İ", 2)]);
    let replace = json!([{ "type": "Replace", "pattern": { "Regex": "a{2,}" }, "content": "b$1" }]);
    check(&prepared(replace), &[("aaaa", 3), ("a", 1)]);
    let nowhere = json!([{ "type": "Replace", "pattern": { "Regex": "x*" }, "content": "b" }]);
    assert_eq!(read(&prepared(nowhere)).unwrap().count("a"), None);
    let mut gone = prepared(json!([{ "type": "Strip" }]));
    gone["added_tokens"] = json!([{ "content": " ", "normalized": true }]);
    assert!(read(&gone).unwrap_err().contains("nothing when it is normalized"));
}

#[test]
fn unigram_takes_the_highest_sum() {
    let document = |unknown: Value| {
        json!({
            "added_tokens": [],
            "model": {
                "type": "Unigram", "unk_id": unknown, "byte_fallback": true,
                "vocab": [
                    ["<unk>", 0.0], ["a", -1.0], ["b", -1.0], ["c", -1.0], ["ab", -1.5], ["bc", -1.25],
                    ["<0xC3>", -9.0], ["<0xA9>", -9.0], ["cc", -2.0], ["ccc", -2.0],
                ],
            },
        })
    };
    check(
        &document(0.into()),
        &[
            ("", 0),
            // a bc: 2.25; ab c: 2.5.
            ("abc", 2),
            ("abab", 2),
            // As good as two of them: the first that is found stays.
            ("cc", 1),
            ("cccc", 2),
            // Its two bytes are tokens; those of the others are not.
            ("é", 2),
            ("aéb", 4),
            ("éé", 4),
            ("日本", 1),
            ("é日", 1),
            ("a日b", 3),
        ],
    );
    let none = read(&document(Value::Null)).unwrap();
    assert_eq!((none.count("abc"), none.count("日")), (Some(2), None));
    let other = with(document(0.into()), "/model/unk_id", 99.into());
    assert!(read(&other).unwrap_err().contains("what is unknown is not in its vocabulary"));
    let mut random = document(0.into());
    random["model"]["alpha"] = 0.1.into();
    assert!(read(&random).unwrap_err().contains("at random"));
    let mut bytes = document(0.into());
    bytes["pre_tokenizer"] = json!({ "type": "ByteLevel" });
    assert!(read(&bytes).unwrap_err().contains("Unigram of bytes"));
}
