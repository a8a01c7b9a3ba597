//! Tests in languages whose habits are not known here: they are there, but cannot be counted.

use crate::builtin::{
    index::{Class, Index, Kind},
    phrase,
};
use orchestrator_workspace::recognise::Syntax;
use std::collections::BTreeMap;

/// How many extensions a note names.
const NAMED: usize = 4;

/// Extensions of programs and of test formats, in lower case. Anything else in a directory of
/// tests is data.
const PROGRAMS: [&str; 33] = [
    "at", "awk", "bash", "bats", "clj", "erl", "exp", "f90", "feature", "fs", "groovy", "hs", "jl",
    "lua", "m", "ml", "mm", "nim", "phpt", "pl", "ps1", "r", "robot", "rkt", "sh", "sql", "t",
    "tcl", "test", "vb", "vim", "zig", "zsh",
];

/// Test files that nobody counted.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// How many there are.
    pub(super) files: usize,
    /// How many of each extension; a script without one is under the empty name.
    extensions: BTreeMap<String, usize>,
}

impl Foreign {
    pub(super) fn of(index: &Index) -> Self {
        let mut foreign = Self::default();
        for file in index.files() {
            let extension = file.extension().to_ascii_lowercase();
            let is_test = file.class == Class::Test && file.kind == Kind::Text;
            if !is_test || Syntax::of(file.extension()).is_some() {
                continue;
            }
            let is_program = PROGRAMS.contains(&&*extension)
                || extension.is_empty()
                    && index.read(file).is_some_and(|text| text.starts_with("#!"));
            if is_program {
                foreign.files += 1;
                *foreign.extensions.entry(extension).or_default() += 1;
            }
        }
        foreign
    }

    /// The commonest extensions, for people.
    pub(super) fn kinds(&self) -> String {
        let mut counts: Vec<(&str, usize)> =
            self.extensions.iter().map(|(extension, count)| (&**extension, *count)).collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let names: Vec<String> = counts
            .iter()
            .take(NAMED)
            .map(|(extension, count)| match *extension {
                "" => phrase::counted(*count, "script", "scripts") + " without an extension",
                extension => format!("{count} `.{extension}`"),
            })
            .collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::fixture::Tree;

    #[test]
    fn programs_among_tests_are_told_from_data() {
        let tree = Tree::new(&[
            ("tests/unit/a.tcl", "test x {}\n"),
            ("tests/unit/b.tcl", "test x {}\n"),
            ("tests/run", "#!/bin/sh\n"),
            ("tests/list", "one\n"),
            ("tests/a.json", "{}"),
            ("tests/README.md", "# x\n"),
            ("tests/test_a.py", "def test_a(): assert 1\n"),
            ("src/a.tcl", "puts x\n"),
        ]);
        let foreign = Foreign::of(&tree.index());
        assert_eq!(foreign.files, 3);
        assert_eq!(foreign.kinds(), "2 `.tcl`, 1 script without an extension");
    }
}
