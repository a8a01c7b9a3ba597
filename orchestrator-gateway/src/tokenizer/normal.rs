//! What is done to a text before it is split.

use super::{charsmap::Charsmap, sentence::Sentence};
use fancy_regex::Regex;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;

/// One step.
#[derive(Debug)]
pub(super) enum Normalizer {
    /// The forms of Unicode: Unicode Standard Annex 15.
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
    Lowercase,
    /// White space at the ends is left out.
    Strip {
        left: bool,
        right: bool,
    },
    /// What the pattern finds becomes the text; nothing, where it is empty.
    Replace {
        pattern: Box<Regex>,
        by: String,
    },
    /// A text that is not empty gets this before it.
    Prepend(String),
    /// The map of a model of SentencePiece, as Hugging Face's library applies it.
    Charsmap(Box<Charsmap>),
    /// All that SentencePiece itself does.
    Sentence(Box<Sentence>),
}

/// `text` after all of `normalizers`. `None` where one gives up on it.
pub(super) fn all<'t>(normalizers: &[Normalizer], text: &'t str) -> Option<Cow<'t, str>> {
    let mut text = Cow::Borrowed(text);
    for normalizer in normalizers {
        if let Cow::Owned(normal) = normalizer.apply(&text)? {
            text = Cow::Owned(normal);
        }
    }
    Some(text)
}

impl Normalizer {
    /// What `text` becomes: its own where nothing changes.
    fn apply<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        Some(match self {
            Self::Nfc => ComposingNormalizerBorrowed::new_nfc().normalize(text),
            Self::Nfkc => ComposingNormalizerBorrowed::new_nfkc().normalize(text),
            Self::Nfd => DecomposingNormalizerBorrowed::new_nfd().normalize(text),
            Self::Nfkd => DecomposingNormalizerBorrowed::new_nfkd().normalize(text),
            // Each for itself: the end of a word is no matter.
            Self::Lowercase => text.chars().flat_map(char::to_lowercase).collect::<String>().into(),
            Self::Strip { left, right } => {
                let rest = if *left { text.trim_start() } else { text };
                let rest = if *right { rest.trim_end() } else { rest };
                rest.to_owned().into()
            }
            Self::Replace { pattern, by } => replace(pattern, by, text)?.into(),
            Self::Prepend(before) if !text.is_empty() => format!("{before}{text}").into(),
            Self::Prepend(_) => text.into(),
            Self::Charsmap(map) => by_graphemes(map, text).into(),
            Self::Sentence(sentence) => sentence.normalize(text)?.into(),
        })
    }
}

/// `None` where `pattern` gives up, or finds a place rather than a text.
fn replace(pattern: &Regex, by: &str, text: &str) -> Option<String> {
    let mut normal = String::with_capacity(text.len());
    let mut done = 0;
    for found in pattern.find_iter(text) {
        let found = found.ok().filter(|found| found.start() < found.end())?;
        normal.push_str(&text[done..found.start()]);
        normal.push_str(by);
        done = found.end();
    }
    normal.push_str(&text[done..]);
    Some(normal)
}

/// The longest grapheme in bytes that the library looks up as a whole.
const MOST_BYTES: usize = 5;

/// What begins a short grapheme stands for all of it; else each character is looked up. That is not what
/// SentencePiece does, but what the library does.
fn by_graphemes(map: &Charsmap, text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        let whole = (grapheme.len() <= MOST_BYTES).then(|| map.shortest(grapheme.as_bytes()));
        if let Some(becomes) = whole.flatten() {
            normal.push_str(becomes);
            continue;
        }
        for character in grapheme.split_inclusive(|_| true) {
            normal.push_str(map.shortest(character.as_bytes()).unwrap_or(character));
        }
    }
    normal
}
