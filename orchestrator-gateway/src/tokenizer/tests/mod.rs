mod characters;
mod sentencepiece;

use super::*;
use serde_json::{Value, json};

/// A tokenizer of bytes with these merges, split like GPT-2's.
fn document(merges: &[&str]) -> Value {
    let mut vocab: Vec<String> = bytes::characters().iter().map(char::to_string).collect();
    vocab.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let vocab: serde_json::Map<String, Value> =
        vocab.into_iter().zip(0_u32..).map(|(text, token)| (text, token.into())).collect();
    json!({
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "use_regex": true },
        "model": { "type": "BPE", "vocab": vocab, "merges": merges },
    })
}

fn read(document: &Value) -> Result<Tokenizer, String> {
    Tokenizer::read(document.to_string().as_bytes())
}

#[track_caller]
fn check(document: &Value, texts: &[(&str, u64)]) {
    let tokenizer = read(document).unwrap();
    for (text, tokens) in texts {
        assert_eq!(tokenizer.count(text), Some(*tokens), "{text:?}");
    }
}

#[test]
fn neighbours_are_merged_in_the_order_of_the_list() {
    check(
        &document(&["b c", "a b", "ab c", "a bc", "abc abc"]),
        &[
            ("", 0),
            ("a", 1),
            ("ab", 1),
            // `b c` comes first, so that `ab c` never does.
            ("abc", 1),
            ("abcabc", 1),
            ("abb", 2),
            ("bca", 2),
            ("abcabcab", 2),
        ],
    );
    // Of one kind the leftmost: three make one and a half.
    check(&document(&["a a", "aa aa"]), &[("aaa", 2), ("aaaa", 1), ("aaaaa", 2), ("aaaaaaa", 3)]);
    let long = "a".repeat(100_001);
    check(&document(&["a a", "aa aa"]), &[(&long, 25_001)]);
}

#[test]
fn nothing_is_merged_over_the_end_of_a_piece() {
    let merges = ["Ġ a", "Ġa b", "a b", "b Ġ", "ab Ġab"];
    check(&document(&merges), &[("ab ab", 2), ("ab  ab", 3), ("ab1ab", 3), ("abab", 2)]);
    let mut spaced = document(&merges);
    spaced["pre_tokenizer"]["add_prefix_space"] = true.into();
    check(&spaced, &[("ab ab", 2), ("ab", 1), (" ab", 1)]);
    let mut whole = document(&merges);
    whole["pre_tokenizer"]["use_regex"] = false.into();
    check(&whole, &[("ab ab", 1), ("b b", 2)]);
}

#[test]
fn a_text_is_split_as_the_file_says() {
    let with = |split: Value| {
        let mut document = document(&["a a", "1 1", "a 1"]);
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "use_regex": false });
        document["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [split, bytes] });
        document
    };
    let split = |pattern: Value, behavior: &str, invert: bool| {
        with(json!({ "type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert }))
    };
    let digits = |each: bool| with(json!({ "type": "Digits", "individual_digits": each }));
    check(&digits(false), &[("aa11", 2), ("a1", 2)]);
    check(&digits(true), &[("aa11", 3)]);
    check(&split(json!({ "Regex": "a+" }), "Isolated", false), &[("aa11", 2), ("x11aa", 3)]);
    check(&split(json!({ "Regex": "a+" }), "Removed", true), &[("aa11", 1), ("x11aa", 1)]);
    check(&split(json!({ "Regex": "a+" }), "Removed", false), &[("aa11", 1), ("aa", 0)]);
    check(&split(json!({ "String": "." }), "Isolated", false), &[("a.a", 3), ("aaa", 2)]);
}

#[test]
fn added_tokens_are_found_before_the_text_is_split() {
    let mut document = document(&["a a"]);
    document["added_tokens"] = json!([
        { "content": "<s>", "normalized": false },
        { "content": "<s>>", "normalized": false },
        { "content": "<l>", "lstrip": true, "rstrip": true, "normalized": false },
        { "content": "é", "normalized": true },
    ]);
    document["normalizer"] = json!({ "type": "NFC" });
    check(
        &document,
        &[
            ("<s>", 1),
            ("aa<s>aa", 3),
            // The longest of those that begin there.
            ("<s>>", 1),
            ("aa <l> aa", 3),
            ("<s> <l>", 2),
            // As it is normalized, not as it is written.
            ("e\u{301}", 1),
            ("aé", 2),
        ],
    );
}

#[test]
fn forms_of_unicode_and_whole_tokens() {
    let mut plain = document(&[]);
    check(&plain, &[("e\u{301}", 3), ("ﬁ", 3)]);
    plain["normalizer"] = json!({ "type": "Sequence", "normalizers": [{ "type": "NFC" }] });
    check(&plain, &[("e\u{301}", 2), ("ﬁ", 3)]);
    plain["normalizer"] = json!({ "type": "NFKC" });
    check(&plain, &[("ﬁ", 2)]);
    let mut whole = document(&["b c", "x abc"]);
    whole["model"]["vocab"]["abc"] = 999.into();
    check(&whole, &[("abc", 2)]);
    whole["model"]["ignore_merges"] = true.into();
    check(&whole, &[("abc", 1), ("abca", 3)]);
}

#[test]
fn what_is_not_known_is_an_error_and_quotes_nothing() {
    let change = |pointer: &str, value: Value| {
        let mut document = document(&["a b"]);
        *document.pointer_mut(pointer).unwrap() = value;
        read(&document).unwrap_err()
    };
    let split = |behavior: &str| json!({ "type": "Split", "pattern": { "Regex": "a" }, "behavior": behavior, "invert": false });
    for (pointer, value, said) in [
        ("/model/type", json!("WordPiece"), "its model is WordPiece"),
        ("/model/type", json!("Unigram"), "cannot be read"),
        ("/model/merges", json!(["a z", "a x"]), "merge 0 has no token"),
        ("/model/merges", json!([["a"]]), "cannot be read"),
        ("/model/vocab", json!({ "a": 1 }), "one of 256 is missing"),
        (
            "/normalizer",
            json!({ "type": "StripAccents" }),
            "normalizer that is not known here: StripAccents",
        ),
        (
            "/normalizer",
            json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" }),
            "`precompiled_charsmap`) is broken",
        ),
        ("/pre_tokenizer", json!({ "type": "Punctuation" }), "not known here: Punctuation"),
        ("/pre_tokenizer", split("Reversed"), "not known here: Reversed"),
        ("/added_tokens", json!([{ "content": "x", "single_word": true }]), "a whole word only"),
    ] {
        let error = change(pointer, value);
        assert!(error.contains(said), "{pointer}: {error}");
    }
    let mut dropping = document(&[]);
    dropping["model"]["dropout"] = 0.1.into();
    assert!(read(&dropping).unwrap_err().contains("at random"));
    let mut marked = document(&[]);
    marked["model"]["end_of_word_suffix"] = "</w>".into();
    assert!(read(&marked).unwrap_err().contains("parts of a word"));
    let mut pattern = document(&[]);
    pattern["pre_tokenizer"] = split("Isolated");
    pattern["pre_tokenizer"]["pattern"]["Regex"] = "(".into();
    assert!(read(&pattern).unwrap_err().contains("a pattern that cannot be used"));
    for content in ["{\"password\": \"hunter2\"", "{\"model\": \"hunter2\"}", "hunter2 1\n", ""] {
        let error = Tokenizer::read(content.as_bytes()).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_pattern_that_gives_up_counts_nothing() {
    let mut document = document(&[]);
    let split = json!({
        "type": "Split", "pattern": { "Regex": "(?:(?=a)a|a(?!c))+(?=b)" }, "behavior": "Isolated",
    });
    let bytes = json!({ "type": "ByteLevel", "use_regex": false });
    document["pre_tokenizer"] = json!({ "type": "Sequence", "pretokenizers": [split, bytes] });
    let tokenizer = read(&document).unwrap();
    assert_eq!(tokenizer.count(&"a".repeat(64)), None);
    assert!(tokenizer.count("aab").is_some());
}

#[test]
fn files_are_read_once_and_only_when_they_are_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tokenizer.json");
    let tokenizers = Tokenizers::default()
        .with_file("one", &path)
        .with_file("two", &path)
        .with_file("nothing", place.path().join("nothing"))
        .with_file("directory", place.path());
    std::fs::write(&path, document(&["a b"]).to_string()).unwrap();
    let read = tokenizers.get("one").unwrap().unwrap();
    assert_eq!((read.count("ab"), read.encoding()), (Some(1), None));
    std::fs::remove_file(&path).unwrap();
    assert!(std::sync::Arc::ptr_eq(&read, &tokenizers.clone().get("two").unwrap().unwrap()));
    assert!(tokenizers.get("other").unwrap().is_none());
    for model in ["nothing", "directory"] {
        let error = tokenizers.get(model).unwrap_err();
        assert_eq!(error.code(), "ORC-0506");
        let path = error.path.display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
    }
    let large = place.path().join("large");
    std::fs::File::create(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    let error = Tokenizers::default().with_file("m", large).get("m").unwrap_err();
    assert!(error.reason.contains("64 MiB"), "{error}");
}
