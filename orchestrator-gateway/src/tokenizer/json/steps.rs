//! What a `tokenizer.json` does to a text before its model gets it: normalizers and pre-tokenizers.

use crate::tokenizer::{
    charsmap::Charsmap,
    normal::Normalizer,
    split::{self, Behavior, Prepend, Split},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) normalizers: Vec<Normalizer>,
    pub(super) splits: Vec<Split>,
    /// Whether each piece is spelled in characters that stand for its bytes at the end.
    pub(super) is_bytes: bool,
}

pub(super) fn read(
    normalizer: Option<&Value>,
    pre_tokenizer: Option<&Value>,
) -> Result<Steps, String> {
    let mut steps = Steps::default();
    if let Some(normalizer) = normalizer {
        read_normalizer(normalizer, &mut steps.normalizers)?;
    }
    if let Some(pre_tokenizer) = pre_tokenizer {
        read_split(pre_tokenizer, &mut steps)?;
    }
    Ok(steps)
}

/// The name of a step, for all that have one.
fn kind(step: &Value) -> &str {
    step["type"].as_str().unwrap_or("of no type")
}

fn flag(step: &Value, key: &str, default: bool) -> bool {
    step[key].as_bool().unwrap_or(default)
}

fn read_normalizer(step: &Value, into: &mut Vec<Normalizer>) -> Result<(), String> {
    into.push(match kind(step) {
        "Sequence" => {
            let steps = step["normalizers"].as_array();
            return steps.into_iter().flatten().try_for_each(|step| read_normalizer(step, into));
        }
        _ if step.is_null() => return Ok(()),
        "NFC" => Normalizer::Nfc,
        "NFD" => Normalizer::Nfd,
        "NFKC" => Normalizer::Nfkc,
        "NFKD" => Normalizer::Nfkd,
        "Lowercase" => Normalizer::Lowercase,
        "Strip" => Normalizer::Strip {
            left: flag(step, "strip_left", true),
            right: flag(step, "strip_right", true),
        },
        "Replace" => {
            let pattern = Box::new(split::regex(&pattern(step)?)?);
            let by = step["content"].as_str().ok_or_else(|| unknown("replacement", "none"))?;
            Normalizer::Replace { pattern, by: by.to_owned() }
        }
        "Prepend" => {
            let before = step["prepend"].as_str().ok_or_else(|| unknown("prefix", "none"))?;
            Normalizer::Prepend(before.to_owned())
        }
        "Precompiled" => {
            let map = step["precompiled_charsmap"].as_str().unwrap_or_default();
            let map = BASE64_STANDARD.decode(map).unwrap_or_default();
            Normalizer::Charsmap(Box::new(Charsmap::read(&map)?))
        }
        other => return Err(unknown("normalizer", other)),
    });
    Ok(())
}

fn read_split(step: &Value, steps: &mut Steps) -> Result<(), String> {
    if step.is_null() {
        return Ok(());
    }
    if steps.is_bytes {
        // From there on the text is no longer text.
        return Err("it splits again after the pre-tokenizer `ByteLevel`".into());
    }
    let split = match kind(step) {
        "Sequence" => {
            let inner = step["pretokenizers"].as_array();
            return inner.into_iter().flatten().try_for_each(|step| read_split(step, steps));
        }
        "Split" => {
            let behavior = match step["behavior"].as_str().unwrap_or_default() {
                "Isolated" => Behavior::Isolated,
                "Removed" => Behavior::Removed,
                "MergedWithPrevious" => Behavior::MergedWithPrevious,
                "MergedWithNext" => Behavior::MergedWithNext,
                "Contiguous" => Behavior::Contiguous,
                other => return Err(unknown("behavior of a split", other)),
            };
            Split::by(&pattern(step)?, behavior, flag(step, "invert", false))?
        }
        "Digits" if flag(step, "individual_digits", false) => Split::isolated(r"\p{N}")?,
        "Digits" => Split::isolated(r"\p{N}+")?,
        "Whitespace" => Split::by(r"\w+|[^\w\s]+", Behavior::Removed, true)?,
        "WhitespaceSplit" => Split::by(r"\s", Behavior::Removed, false)?,
        "Metaspace" => metaspace(step, steps)?,
        "ByteLevel" => {
            if flag(step, "add_prefix_space", true) {
                steps.splits.push(Split::Space);
            }
            steps.is_bytes = true;
            if !flag(step, "use_regex", true) {
                return Ok(());
            }
            Split::gpt_2()?
        }
        other => return Err(unknown("pre-tokenizer", other)),
    };
    steps.splits.push(split);
    Ok(())
}

fn metaspace(step: &Value, steps: &Steps) -> Result<Split, String> {
    let mut marks = step["replacement"].as_str().unwrap_or("\u{2581}").chars();
    let (Some(mark), None) = (marks.next(), marks.next()) else {
        return Err("its spaces become several characters".into());
    };
    // Older files have the one key, newer the other.
    let spaced = if flag(step, "add_prefix_space", true) { "always" } else { "never" };
    let prepend = match step["prepend_scheme"].as_str().unwrap_or(spaced) {
        "always" => Prepend::Always,
        "never" => Prepend::Never,
        // The library goes by where a piece was before any of its steps.
        "first" if steps.normalizers.is_empty() && steps.splits.is_empty() => Prepend::First,
        "first" => return Err("it marks the first piece (`first`) after other steps".into()),
        other => return Err(unknown("way to mark pieces", other)),
    };
    Ok(Split::Metaspace { mark, prepend, splits: flag(step, "split", true) })
}

/// The pattern of a step, as a regular expression.
fn pattern(step: &Value) -> Result<String, String> {
    let pattern = &step["pattern"];
    match (pattern["Regex"].as_str(), pattern["String"].as_str()) {
        (Some(regex), _) => Ok(regex.to_owned()),
        (None, Some(text)) => Ok(fancy_regex::escape(text).into_owned()),
        (None, None) => Err(unknown("pattern", "of no type")),
    }
}

fn unknown(what: &str, which: &str) -> String {
    let which: String = which.chars().take(40).collect();
    format!("it has a {what} that is not known here: {which}")
}
