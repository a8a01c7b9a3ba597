//! `tokenizer.json`, the form of Hugging Face's library.

mod models;
mod steps;

use super::{
    Model, Tokenizer,
    added::{Added, AddedToken},
    normal::{self, Normalizer},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use steps::Steps;

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
struct Document<M> {
    #[serde(default)]
    added_tokens: Vec<Token>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    model: M,
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

pub(super) fn read(content: &[u8]) -> Result<Tokenizer, String> {
    let head: Head = parse(content)?;
    let kind = head.model.ok_or("it has no key `model`")?;
    match (kind.r#type.as_deref(), kind.merges) {
        (None | Some("BPE"), Some(_)) => {
            let document: Document<models::Bpe> = parse(content)?;
            tokenizer(document, |model, is_bytes| {
                Ok(if is_bytes {
                    Model::Bytes(model.of_bytes()?)
                } else {
                    Model::Characters(model.of_characters()?)
                })
            })
        }
        (Some("Unigram"), _) => {
            let document: Document<models::Unigram> = parse(content)?;
            tokenizer(document, |model, is_bytes| match is_bytes {
                false => model.read().map(Model::Unigram),
                true => Err("its model is Unigram of bytes, which is not known here".into()),
            })
        }
        (named, _) => {
            let named = named.unwrap_or("of another kind");
            Err(format!(
                "its model is {named}; only byte pair encodings (BPE) and Unigram are read"
            ))
        }
    }
}

/// `model` is told whether pieces are spelled in bytes.
fn tokenizer<M>(
    document: Document<M>,
    model: impl FnOnce(M, bool) -> Result<Model, String>,
) -> Result<Tokenizer, String> {
    let Steps { normalizers, splits, is_bytes } =
        steps::read(document.normalizer.as_ref(), document.pre_tokenizer.as_ref())?;
    let (before, after) = read_added(document.added_tokens, &normalizers)?;
    let model = model(document.model, is_bytes)?;
    Ok(Tokenizer { encoding: None, before, normalizers, after, splits, model })
}

/// A part of the document. What the parser says may quote a file that is none of these: it is not told.
fn parse<'c, T: Deserialize<'c>>(content: &'c [u8]) -> Result<T, String> {
    serde_json::from_slice(content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it cannot be read as a tokenizer.json, at line {line}, column {column}")
    })
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
            let content = normal::all(normalizers, &content);
            let content = content.filter(|content| !content.is_empty());
            let content = content.ok_or("an added token of it is nothing when it is normalized")?;
            after.push(AddedToken { content: content.into_owned(), lstrip, rstrip });
        } else {
            before.push(AddedToken { content, lstrip, rstrip });
        }
    }
    Ok((Added::new(before)?, Added::new(after)?))
}
