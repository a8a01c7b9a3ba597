//! Tasks that touch the same files do not run at once, where that is asked for.

use super::Run;
use crate::{schedule::HeldUp, workspace::LandPolicy};

/// Where a pattern begins to be one.
const WILD: [char; 4] = ['*', '?', '[', '{'];

impl Run {
    /// What the task at `place` says of the files that it touches.
    pub(super) fn touches(&self, place: usize) -> Option<&LandPolicy> {
        self.spec(place).land.as_deref().filter(|land| !land.touches.is_empty())
    }

    /// The place itself, when what the task touches may hold it up: then no other may wait for it.
    pub(super) fn alone(&self, place: usize) -> Option<usize> {
        self.touches(place).map(|_| place)
    }

    /// Who is at work on the files that the task at `place` touches, when one of the two asks to be
    /// kept apart.
    pub(super) fn held_apart(&self, place: usize) -> Option<HeldUp> {
        if self.touching.is_empty() {
            return None;
        }
        let own = self.touches(place)?;
        self.touching.iter().filter(|&&other| other != place).find_map(|&other| {
            let others = self.touches(other).filter(|land| own.keep_apart || land.keep_apart)?;
            let both = |path: &&String| others.touches.iter().any(|other| overlap(path, other));
            let path = own.touches.iter().find(both)?.clone();
            Some(HeldUp::Apart { task: self.name(other), path })
        })
    }
}

/// Whether two paths or patterns may mean the same file: what stands before the first sign of a
/// pattern decides, so that patterns are kept apart rather too often than too seldom.
fn overlap(one: &str, other: &str) -> bool {
    let (one, other) = (Touched::of(one), Touched::of(other));
    one.covers(&other) || other.covers(&one)
}

/// A path, or what is the same in all paths that a pattern means.
struct Touched<'t> {
    text: &'t str,
    is_pattern: bool,
}

impl<'t> Touched<'t> {
    fn of(path: &'t str) -> Self {
        let path = path.trim_start_matches("./");
        match path.find(WILD) {
            Some(at) => Self { text: &path[..at], is_pattern: true },
            // The root of all.
            None if path.trim_end_matches('/') == "." => Self { text: "", is_pattern: true },
            None => Self { text: path.trim_end_matches('/'), is_pattern: false },
        }
    }

    /// Whether `other` may lie below this one, or be it.
    fn covers(&self, other: &Self) -> bool {
        match other.text.strip_prefix(self.text) {
            None => false,
            Some(_) if self.is_pattern || self.text.is_empty() => true,
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn what_may_be_the_same_file_overlaps() {
        for (one, other) in [
            ("src/a.rs", "src/a.rs"),
            ("src/a.rs", "./src/a.rs"),
            ("src", "src/a.rs"),
            ("src/", "src/deep/a.rs"),
            ("src/*.rs", "src/a.rs"),
            ("src/*.rs", "src/**"),
            ("src/a*", "src/abc/d.rs"),
            ("**/*.rs", "docs/x.md"),
            (".", "docs/x.md"),
            ("src/{a,b}.rs", "src"),
        ] {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("src/a.rs", "src/b.rs"),
            ("src", "src2/a.rs"),
            ("src/a", "src/ab"),
            ("src/*.rs", "docs/a.rs"),
            ("src/a*", "src/b*"),
        ] {
            assert!(!overlap(one, other) && !overlap(other, one), "{one} {other}");
        }
    }
}
