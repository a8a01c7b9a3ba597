//! How a text falls into pieces before tokens are merged: no token reaches over the end of one.

use fancy_regex::Regex;
use std::ops::Range;

/// The pattern of GPT-2, which `ByteLevel` splits by unless it is told not to.
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// One way to split.
#[derive(Debug)]
pub(super) enum Split {
    /// By what the pattern finds.
    By {
        pattern: Box<Regex>,
        behavior: Behavior,
        /// Whether what lies between counts as found instead.
        is_inverted: bool,
    },
    /// A piece that does not begin with a space gets one.
    Space,
    /// Spaces become `mark`.
    Metaspace {
        mark: char,
        prepend: Prepend,
        /// Whether a piece begins at each mark.
        splits: bool,
    },
}

/// What becomes of the texts that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    /// They are pieces.
    Isolated,
    /// They are left out.
    Removed,
    /// They end the piece before.
    MergedWithPrevious,
    /// They begin the piece that follows.
    MergedWithNext,
    /// Those that follow each other are a piece.
    Contiguous,
}

/// Whether a piece that does not begin with the mark gets one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prepend {
    Always,
    /// The one at the beginning of the whole text alone.
    First,
    Never,
}

impl Split {
    pub(super) fn isolated(pattern: &str) -> Result<Self, String> {
        Self::by(pattern, Behavior::Isolated, false)
    }

    pub(super) fn gpt_2() -> Result<Self, String> {
        Self::isolated(GPT_2)
    }

    pub(super) fn by(pattern: &str, behavior: Behavior, is_inverted: bool) -> Result<Self, String> {
        Ok(Self::By { pattern: Box::new(regex(pattern)?), behavior, is_inverted })
    }
}

/// `pattern`, ready to be found.
pub(super) fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|_| "it has a pattern that cannot be used".to_owned())
}

/// Tells `each` every piece that is left of `text` after all of `splits`, in order; `is_first` where `text`
/// begins all that is counted. `None` where a pattern or `each` gives up.
pub(super) fn walk(
    splits: &[Split],
    text: &str,
    is_first: bool,
    each: &mut dyn FnMut(&str) -> Option<()>,
) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    let Some((first, rest)) = splits.split_first() else {
        return each(text);
    };
    match first {
        Split::Space if text.starts_with(' ') => walk(rest, text, is_first, each),
        Split::Space => walk(rest, &format!(" {text}"), is_first, each),
        Split::Metaspace { mark, prepend, splits } => {
            let mut marked = text.replace(' ', mark.encode_utf8(&mut [0; 4]));
            let is_prepended = match prepend {
                Prepend::Always => true,
                Prepend::First => is_first,
                Prepend::Never => false,
            };
            if is_prepended && !marked.starts_with(*mark) {
                marked.insert(0, *mark);
            }
            let mut done = 0;
            let marks = marked.match_indices(*mark).map(|(place, _)| place);
            for place in marks.filter(|_| *splits) {
                walk(rest, &marked[done..place], is_first, each)?;
                done = place;
            }
            walk(rest, &marked[done..], is_first, each)
        }
        Split::By { pattern, behavior, is_inverted } => {
            for piece in pieces(pattern, *behavior, *is_inverted, text)? {
                walk(rest, &text[piece], is_first, each)?;
            }
            Some(())
        }
    }
}

/// The pieces that `text` falls into. `None` where `pattern` gives up.
fn pieces(
    pattern: &Regex,
    behavior: Behavior,
    is_inverted: bool,
    text: &str,
) -> Option<Vec<Range<usize>>> {
    // Each with whether it was found.
    let mut parts: Vec<(Range<usize>, bool)> = Vec::new();
    let mut done = 0;
    for found in pattern.find_iter(text) {
        let found = found.ok()?;
        if done < found.start() {
            parts.push((done..found.start(), is_inverted));
        }
        parts.push((found.range(), !is_inverted));
        done = found.end();
    }
    if done < text.len() {
        parts.push((done..text.len(), is_inverted));
    }
    let mut pieces: Vec<Range<usize>> = Vec::with_capacity(parts.len());
    let mut was_found = false;
    let is_backward = behavior == Behavior::MergedWithNext;
    if is_backward {
        parts.reverse();
    }
    for (part, is_found) in parts {
        let is_joined = match behavior {
            Behavior::Isolated => false,
            Behavior::Removed if is_found => continue,
            Behavior::Removed => false,
            Behavior::MergedWithPrevious | Behavior::MergedWithNext => is_found && !was_found,
            Behavior::Contiguous => is_found == was_found,
        };
        was_found = is_found;
        match pieces.last_mut().filter(|_| is_joined) {
            Some(last) if is_backward => last.start = part.start,
            Some(last) => last.end = part.end,
            None => pieces.push(part),
        }
    }
    if is_backward {
        pieces.reverse();
    }
    Some(pieces)
}
