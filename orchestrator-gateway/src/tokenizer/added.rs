//! Texts that are one token each wherever they stand, such as those that begin a message.

use aho_corasick::{AhoCorasick, MatchKind};

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct AddedToken {
    pub(super) content: String,
    /// Whether it takes the space before it along.
    pub(super) lstrip: bool,
    /// Whether it takes the space behind it along.
    pub(super) rstrip: bool,
}

/// All of them, ready to be found.
#[derive(Debug, Default)]
pub(super) struct Added {
    tokens: Vec<AddedToken>,
    finder: Option<AhoCorasick>,
}

impl Added {
    pub(super) fn new(tokens: Vec<AddedToken>) -> Result<Self, String> {
        if tokens.is_empty() {
            return Ok(Self::default());
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(tokens.iter().map(|token| &token.content))
            .map_err(|_| "its added tokens are too many".to_owned())?;
        Ok(Self { tokens, finder: Some(finder) })
    }

    /// What `text` falls into: pieces of text, and `None` for each token of these.
    pub(super) fn parts<'t>(&self, text: &'t str) -> Vec<Option<&'t str>> {
        let Some(finder) = &self.finder else {
            return if text.is_empty() { Vec::new() } else { vec![Some(text)] };
        };
        let mut parts = Vec::new();
        let mut done = 0;
        for found in finder.find_iter(text) {
            let token = &self.tokens[found.pattern().as_usize()];
            let (mut start, mut end) = (found.start(), found.end());
            if token.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                parts.push(Some(&text[done..start]));
            }
            parts.push(None);
            done = end;
        }
        if done < text.len() {
            parts.push(Some(&text[done..]));
        }
        parts
    }
}
