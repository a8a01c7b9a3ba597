//! `tokenizer.json`, the form of Hugging Face's library, as far as tokens are made of bytes.

use super::{
    Tokenizer,
    added::{Added, AddedToken},
    bytes,
    merge::Merges,
    normal::{self, Normalizer},
    split::Split,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use std::collections::HashMap;

/// What is read first, to say what a file is that is not read here.
#[derive(Deserialize)]
struct Head {
    model: Option<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    r#type: Option<String>,
    // Another kind has no such list.
    merges: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    added_tokens: Vec<Token>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    model: Model,
}

#[derive(Deserialize)]
struct Token {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    ignore_merges: bool,
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

pub(super) fn read(content: &[u8]) -> Result<Tokenizer, String> {
    let head: Head = parse(content)?;
    let kind = head.model.ok_or("it has no key `model`")?;
    let named = kind.r#type.as_deref();
    if kind.merges.is_none() || named.is_some_and(|named| named != "BPE") {
        let named = named.unwrap_or("another kind");
        return Err(format!("its model is {named}; only byte pair encodings (BPE) are read"));
    }
    let Document { added_tokens, normalizer, pre_tokenizer, model } = parse(content)?;
    let mut normalizers = Vec::new();
    if let Some(normalizer) = &normalizer {
        read_normalizer(normalizer, &mut normalizers)?;
    }
    let mut splits = Vec::new();
    let mut is_bytes = false;
    if let Some(pre_tokenizer) = &pre_tokenizer {
        read_split(pre_tokenizer, &mut splits, &mut is_bytes)?;
    }
    if !is_bytes {
        return Err("its tokens are not made of bytes: it has no pre-tokenizer `ByteLevel`".into());
    }
    let (before, after) = read_added(added_tokens, &normalizers)?;
    let merges = read_model(model)?;
    Ok(Tokenizer { encoding: None, before, normalizers, after, splits, merges })
}

/// A part of the document. What the parser says may quote a file that is none of these: it is not told.
fn parse<'c, T: Deserialize<'c>>(content: &'c [u8]) -> Result<T, String> {
    serde_json::from_slice(content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it cannot be read as a tokenizer.json, at line {line}, column {column}")
    })
}

/// The name of a step, for all that have one.
fn kind(step: &Value) -> &str {
    step["type"].as_str().unwrap_or("of no type")
}

fn flag(step: &Value, key: &str, default: bool) -> bool {
    step[key].as_bool().unwrap_or(default)
}

fn read_normalizer(step: &Value, into: &mut Vec<Normalizer>) -> Result<(), String> {
    match kind(step) {
        "Sequence" => {
            let steps = step["normalizers"].as_array();
            steps.into_iter().flatten().try_for_each(|step| read_normalizer(step, into))
        }
        "NFC" => {
            into.push(Normalizer::Nfc);
            Ok(())
        }
        "NFKC" => {
            into.push(Normalizer::Nfkc);
            Ok(())
        }
        _ if step.is_null() => Ok(()),
        other => Err(unknown("normalizer", other)),
    }
}

fn read_split(step: &Value, into: &mut Vec<Split>, is_bytes: &mut bool) -> Result<(), String> {
    if *is_bytes && !step.is_null() {
        // From there on the text is no longer text.
        return Err("it splits again after the pre-tokenizer `ByteLevel`".into());
    }
    match kind(step) {
        "Sequence" => {
            let steps = step["pretokenizers"].as_array();
            return steps
                .into_iter()
                .flatten()
                .try_for_each(|step| read_split(step, into, is_bytes));
        }
        "Split" => {
            let pattern = &step["pattern"];
            let pattern = match (pattern["Regex"].as_str(), pattern["String"].as_str()) {
                (Some(regex), _) => regex.to_owned(),
                (None, Some(text)) => fancy_regex::escape(text).into_owned(),
                (None, None) => return Err(unknown("pattern", "of no type")),
            };
            let behavior = step["behavior"].as_str().unwrap_or_default();
            into.push(match (behavior, flag(step, "invert", false)) {
                ("Isolated", _) => Split::isolated(&pattern)?,
                ("Removed", true) => Split::found(&pattern)?,
                (other, _) => return Err(unknown("behavior of a split", other)),
            });
        }
        "Digits" if flag(step, "individual_digits", false) => {
            into.push(Split::isolated(r"\p{N}")?);
        }
        "Digits" => into.push(Split::isolated(r"\p{N}+")?),
        "ByteLevel" => {
            if flag(step, "add_prefix_space", true) {
                into.push(Split::Space);
            }
            if flag(step, "use_regex", true) {
                into.push(Split::gpt_2()?);
            }
            *is_bytes = true;
        }
        _ if step.is_null() => {}
        other => return Err(unknown("pre-tokenizer", other)),
    }
    Ok(())
}

fn read_added(tokens: Vec<Token>, normalizers: &[Normalizer]) -> Result<(Added, Added), String> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for Token { content, single_word, lstrip, rstrip, normalized } in tokens {
        if single_word {
            return Err("an added token of it counts as a whole word only".into());
        }
        if content.is_empty() {
            continue;
        }
        if normalized {
            let content = normal::all(normalizers, &content).into_owned();
            after.push(AddedToken { content, lstrip, rstrip });
        } else {
            before.push(AddedToken { content, lstrip, rstrip });
        }
    }
    Ok((Added::new(before)?, Added::new(after)?))
}

fn read_model(model: Model) -> Result<Merges, String> {
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if is_set(&model.continuing_subword_prefix) || is_set(&model.end_of_word_suffix) {
        return Err("it marks the parts of a word, which is not known here".into());
    }
    if model.dropout.is_some_and(|dropout| dropout > 0.0) {
        return Err("it leaves merges out at random".into());
    }
    let characters = bytes::characters();
    let mut bytes = Box::new([0; 256]);
    for (token, character) in bytes.iter_mut().zip(characters) {
        let found = model.vocab.get(character.encode_utf8(&mut [0; 4]) as &str);
        *token = *found.ok_or("its tokens are not made of bytes: one of 256 is missing")?;
    }
    let mut pairs = HashMap::with_capacity(model.merges.len());
    for (rank, merge) in (0..).zip(&model.merges) {
        let token = |text: &str| model.vocab.get(text).copied();
        let merged = merge.two().and_then(|(left, right)| {
            let whole = [left, right].concat();
            Some(((token(left)?, token(right)?), (rank, token(&whole)?)))
        });
        let (pair, merged) = merged.ok_or_else(|| format!("merge {rank} has no token"))?;
        // As in the library: of two that are the same, the later place counts.
        pairs.insert(pair, merged);
    }
    let mut whole = HashMap::new();
    if model.ignore_merges {
        let byte_of: HashMap<char, u8> = characters.into_iter().zip(0..=u8::MAX).collect();
        for (text, token) in &model.vocab {
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

fn unknown(what: &str, which: &str) -> String {
    let which: String = which.chars().take(40).collect();
    format!("it has a {what} that is not known here: {which}")
}
