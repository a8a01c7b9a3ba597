//! What SentencePiece does to a text before it is encoded.

use super::{charsmap::Charsmap, trie::Trie};

/// The character that stands for a space.
const SPACE: &str = "\u{2581}";

/// The settings of a model for that.
#[derive(Debug)]
pub(super) struct Sentence {
    pub(super) charsmap: Option<Charsmap>,
    /// What the user of SentencePiece has asked for is left as it is.
    pub(super) asked: Trie,
    /// Whether the text gets a space.
    pub(super) is_spaced: bool,
    /// Whether it gets it at its end.
    pub(super) is_spaced_behind: bool,
    /// Whether spaces at both ends are left out, and all but one in between.
    pub(super) removes_spaces: bool,
    /// Whether spaces become [`SPACE`].
    pub(super) escapes_spaces: bool,
}

impl Sentence {
    /// `text` as it is encoded. `None` where the map of characters does not fit to it.
    pub(super) fn normalize(&self, text: &str) -> Option<String> {
        let mut rest = text;
        if self.removes_spaces {
            while !rest.is_empty() {
                let (" ", after) = self.next(rest)? else { break };
                rest = after;
            }
        }
        let mut normal = String::with_capacity(text.len() + text.len() / 2);
        if rest.is_empty() {
            return Some(normal);
        }
        let space = if self.escapes_spaces { SPACE } else { " " };
        if self.is_spaced && !self.is_spaced_behind {
            normal.push_str(space);
        }
        let mut is_after_space = self.removes_spaces;
        while !rest.is_empty() {
            let (mut part, after) = self.next(rest)?;
            if is_after_space {
                part = part.trim_start_matches(' ');
            }
            for (number, word) in part.split(' ').enumerate() {
                if number > 0 {
                    normal.push_str(space);
                }
                normal.push_str(word);
            }
            if !part.is_empty() {
                is_after_space = self.removes_spaces && part.ends_with(' ');
            }
            rest = after;
        }
        if self.removes_spaces {
            normal.truncate(normal.trim_end_matches(space).len());
        }
        if self.is_spaced && self.is_spaced_behind {
            normal.push_str(space);
        }
        Some(normal)
    }

    /// What the first of `text` becomes, and what follows it.
    fn next<'t>(&'t self, text: &'t str) -> Option<(&'t str, &'t str)> {
        if let Some(length) = self.asked.longest(text.as_bytes()) {
            return text.split_at_checked(length);
        }
        let mapped = self.charsmap.as_ref().and_then(|map| map.longest(text.as_bytes()));
        match mapped {
            Some((length, becomes)) => Some((becomes, text.get(length..)?)),
            None => text.split_at_checked(text.chars().next()?.len_utf8()),
        }
    }
}
