//! Hides known secrets in text, bytes and JSON.

use super::{
    SecretString,
    encoding::{Form, forms, is_base64},
    view::{Escapes, View},
};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use serde_json::{Map, Value};
use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

/// What stands in the place of a secret.
pub const MASK: &str = "[redacted]";

/// Secrets with fewer bytes are not looked for: they would be found in what is none.
pub const SHORTEST: usize = 6;

/// A line of a secret of several lines is looked for by itself when it has so many bytes.
const LINE: usize = 16;

/// Of a longer form only so many bytes are searched for; what follows is compared. So the search
/// stays small whatever is kept as a secret, and the beginning of one that was cut off is found too.
const BEGINNING: usize = 256;

/// How many layers of escapes are undone: JSON within a string of JSON, as logs are full of.
const LAYERS: usize = 2;

/// Finds known secrets and puts [`MASK`] in their place.
///
/// A secret is found as it is; in base64 of either alphabet, padded or not, wherever it lies in
/// what was encoded; in hexadecimal digits, all of them lower or all upper case; and each of these
/// behind escapes of URLs and of JSON strings, two layers deep. Of a secret of several lines each
/// line of at least 16 bytes is found too, since logs come in lines; of one of more than 256 bytes
/// also a beginning that is longer than that. Where secrets overlap, all
/// that is part of any is hidden.
///
/// Not found are secrets of fewer than [`SHORTEST`] bytes, encoded text that is broken into lines,
/// and what was compressed, encrypted or cut into pieces. A text without a known secret comes back
/// as it was, byte for byte.
///
/// ```
/// use orchestrator_core::secret::{Redactor, SecretString};
///
/// let redactor = Redactor::new([SecretString::new("sk-12345")]);
/// assert_eq!(redactor.text("key=sk-12345&x=1"), "key=[redacted]&x=1");
/// assert_eq!(redactor.text("c2stMTIzNDU="), "[redacted]=");
/// ```
///
/// The forms of the secrets stay in memory for as long as a clone of the value does.
#[derive(Clone, Default)]
pub struct Redactor {
    search: Option<Arc<Search>>,
}

struct Search {
    forms: Vec<Form>,
    automaton: AhoCorasick,
    /// Whether a secret holds a space, which forms write as `+`.
    spaces: bool,
}

impl fmt::Debug for Redactor {
    /// Nothing of what is looked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// What finds `secrets`.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut all: Vec<Form> = Vec::new();
        let mut spaces = false;
        for secret in secrets {
            let text = secret.expose();
            let lines = text.lines().filter(|line| {
                line.len() >= LINE && line.len() < text.len() && !line.starts_with("-----")
            });
            for part in [text].into_iter().filter(|text| text.len() >= SHORTEST).chain(lines) {
                spaces |= part.contains(' ');
                all.extend(forms(part.as_bytes()));
            }
        }
        all.sort();
        all.dedup();
        if all.is_empty() {
            return Self::default();
        }
        let beginnings = all.iter().map(|form| form.bytes.get(..BEGINNING).unwrap_or(&form.bytes));
        let kind = Some(AhoCorasickKind::ContiguousNFA);
        let automaton = AhoCorasick::builder().kind(kind).build(beginnings);
        // It fails only for more patterns than any memory holds.
        let Ok(automaton) = automaton else { return Self::default() };
        Self { search: Some(Arc::new(Search { forms: all, automaton, spaces })) }
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.search.is_none()
    }

    /// Whether `bytes` hold a known secret.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.search.as_ref().is_some_and(|search| !search.places(bytes).is_empty())
    }

    /// Where a known secret begins that `bytes` end in the middle of: what was cut off may hold the
    /// beginning of one. `None` when they do not, or with fewer than [`SHORTEST`] bytes of it.
    ///
    /// ```
    /// use orchestrator_core::secret::{Redactor, SecretString};
    ///
    /// let redactor = Redactor::new([SecretString::new("sk-12345")]);
    /// assert_eq!(redactor.cut_off(b"key=sk-123"), Some(4));
    /// assert_eq!(redactor.cut_off(b"key=sk-12345"), None);
    /// ```
    pub fn cut_off(&self, bytes: &[u8]) -> Option<usize> {
        let forms = self.search.iter().flat_map(|search| &search.forms);
        let longest = |form: &Form| {
            let most = form.bytes.len().saturating_sub(1).min(bytes.len());
            (SHORTEST..=most).rev().find(|&length| bytes.ends_with(&form.bytes[..length]))
        };
        forms.filter_map(longest).max().map(|length| bytes.len() - length)
    }

    /// `text` without known secrets.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // A secret is text, so what is left around it is; if it ever were not, this mends it.
            Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        }
    }

    /// `bytes` without known secrets.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let places = self.search.as_ref().map(|search| search.places(bytes)).unwrap_or_default();
        if places.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let (mut hidden, mut at) = (Vec::with_capacity(bytes.len()), 0);
        for place in places {
            hidden.extend_from_slice(&bytes[at..place.start]);
            hidden.extend_from_slice(MASK.as_bytes());
            at = place.end;
        }
        hidden.extend_from_slice(&bytes[at..]);
        Cow::Owned(hidden)
    }

    /// Hides known secrets in every text of `value`, the names of members among them, and puts
    /// [`MASK`] in the place of a number that is one. Says whether there was any.
    pub fn value(&self, value: &mut Value) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut found = false;
        // A list in place of recursion: values of agents may be nested as deep as they like.
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::Null | Value::Bool(_) => {}
                Value::Number(number) => {
                    if self.finds(number.to_string().as_bytes()) {
                        *value = Value::String(MASK.into());
                        found = true;
                    }
                }
                Value::String(text) => {
                    if let Cow::Owned(hidden) = self.text(text) {
                        *text = hidden;
                        found = true;
                    }
                }
                Value::Array(items) => open.extend(items),
                Value::Object(members) => {
                    if members.keys().any(|name| self.finds(name.as_bytes())) {
                        let old = std::mem::take(members);
                        let hidden = |name: String| self.text(&name).into_owned();
                        *members = old
                            .into_iter()
                            .map(|(name, value)| (hidden(name), value))
                            .collect::<Map<_, _>>();
                        found = true;
                    }
                    open.extend(members.values_mut());
                }
            }
        }
        found
    }
}

impl Search {
    /// Where secrets are in `text`: in order, apart from each other.
    fn places(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut places: Vec<Range<usize>> = self.matches(text).collect();
        if text.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'+')) {
            let mut views = vec![View::of(text)];
            for _ in 0..LAYERS {
                let undone = |view: &View| {
                    let form = self.spaces.then(|| view.undo(Escapes::Form)).flatten();
                    [view.undo(Escapes::Percent), view.undo(Escapes::Json), form]
                        .into_iter()
                        .flatten()
                };
                views = views.iter().flat_map(undone).collect();
                for view in &views {
                    places.extend(self.matches(&view.bytes).map(|place| {
                        let (start, end) = view.place(place.start, place.end);
                        start..end
                    }));
                }
            }
        }
        places.sort_by_key(|place| place.start);
        places.dedup_by(|later, earlier| {
            let joined = later.start <= earlier.end;
            if joined {
                earlier.end = earlier.end.max(later.end);
            }
            joined
        });
        places
    }

    /// Every form of every secret in `bytes`, those that overlap too.
    fn matches(&self, bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
        self.automaton.find_overlapping_iter(bytes).map(|found| {
            let form = &self.forms[found.pattern()];
            let (mut start, mut end) = (found.start(), found.end());
            if let Some(rest) = form.bytes.get(BEGINNING..) {
                let follows = bytes[end..].iter().zip(rest).take_while(|(a, b)| a == b);
                end += follows.count();
            }
            let is_part = |at: usize| bytes.get(at).copied().is_some_and(is_base64);
            if form.before && start.checked_sub(1).is_some_and(is_part) {
                start -= 1;
            }
            if form.after && is_part(end) {
                end += 1;
            }
            start..end
        })
    }
}

#[cfg(test)]
mod tests;
