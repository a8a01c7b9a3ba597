//! How a text falls into pieces before bytes are merged: no token reaches over the end of one.

use fancy_regex::Regex;

/// The pattern of GPT-2, which `ByteLevel` splits by unless it is told not to.
const GPT_2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// One way to split.
#[derive(Debug)]
pub(super) enum Split {
    /// What the pattern finds and what lies between are pieces.
    Isolated(Box<Regex>),
    /// What the pattern finds are pieces; what lies between is left out.
    Found(Box<Regex>),
    /// A piece that does not begin with a space gets one.
    Space,
}

impl Split {
    pub(super) fn isolated(pattern: &str) -> Result<Self, String> {
        Ok(Self::Isolated(Box::new(regex(pattern)?)))
    }

    pub(super) fn found(pattern: &str) -> Result<Self, String> {
        Ok(Self::Found(Box::new(regex(pattern)?)))
    }

    pub(super) fn gpt_2() -> Result<Self, String> {
        Self::isolated(GPT_2)
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|_| "it splits by a pattern that cannot be used".to_owned())
}

/// Tells `each` every piece that is left of `text` after all of `splits`, in order. `None` where a pattern
/// gives up.
pub(super) fn walk(splits: &[Split], text: &str, each: &mut dyn FnMut(&str)) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    let Some((first, rest)) = splits.split_first() else {
        each(text);
        return Some(());
    };
    let (regex, between) = match first {
        Split::Space if text.starts_with(' ') => return walk(rest, text, each),
        Split::Space => return walk(rest, &format!(" {text}"), each),
        Split::Isolated(regex) => (regex, true),
        Split::Found(regex) => (regex, false),
    };
    let mut done = 0;
    for found in regex.find_iter(text) {
        let found = found.ok()?;
        if between {
            walk(rest, &text[done..found.start()], each)?;
        }
        walk(rest, found.as_str(), each)?;
        done = found.end();
    }
    if between { walk(rest, &text[done..], each) } else { Some(()) }
}
