//! Where the parts of a document are.

use std::collections::BTreeMap;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The first character.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// The place of each part of a document by its JSON pointer (RFC 6901). A member of a mapping is
/// where its key is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spans(BTreeMap<String, Place>);

impl Spans {
    pub(super) fn insert(&mut self, pointer: String, place: Place) {
        self.0.entry(pointer).or_insert(place);
    }

    /// Whether there is a part at `pointer` itself.
    pub fn has(&self, pointer: &str) -> bool {
        self.0.contains_key(pointer)
    }

    /// The place of the part at `pointer`, or of the nearest part around it.
    pub fn at(&self, pointer: &str) -> Option<Place> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.0.get(pointer) {
                return Some(*place);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }
}

/// `pointer` with one more step.
pub(super) fn step(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
