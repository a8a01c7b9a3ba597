//! Where a project begins in the directory that was given.

use super::FileEntry;

/// Names, in lower case, that lie where a project begins.
const MARKS: [&str; 20] = [
    "build.gradle",
    "build.gradle.kts",
    "cargo.toml",
    "cmakelists.txt",
    "composer.json",
    "configure.ac",
    "copying",
    "gemfile",
    "go.mod",
    "license",
    "license.md",
    "license.txt",
    "makefile",
    "meson.build",
    "package.json",
    "pom.xml",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "mix.exs",
];

/// The one directory that holds everything and looks like a project; else the root, which is
/// empty. What this program itself keeps beside it does not count.
pub(super) fn home(files: &[FileEntry]) -> String {
    let mut paths = files.iter().map(|f| &*f.path).filter(|p| !p.starts_with(".orchestrator/"));
    let Some((top, _)) = paths.clone().next().and_then(|first| first.split_once('/')) else {
        return String::new();
    };
    let inside = |path: &str| path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'));
    if top.starts_with('.') || !paths.all(inside) {
        return String::new();
    }
    let is_project = files.iter().any(|file| {
        let name = file.name().to_ascii_lowercase();
        file.dir() == top && (name.starts_with("readme") || MARKS.contains(&&*name))
    });
    if is_project { top.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use crate::builtin::fixture::Tree;

    #[test]
    fn an_archive_s_only_directory_is_the_home() {
        for (files, expected) in [
            (&["package/package.json", "package/lib/a.js"] as &[&str], "package"),
            (&["tool-1.0/README", "tool-1.0/a.c", ".orchestrator/config.toml"], "tool-1.0"),
            // Not the only one, not a project, or hidden.
            (&["package/package.json", "other/a.js"], ""),
            (&["package/package.json", "a.js"], ""),
            (&["package/package.json", "package-two/a.js"], ""),
            (&["src/a.js", "src/b/package.json"], ""),
            (&[".github/README.md"], ""),
            (&["README.md"], ""),
            (&[], ""),
        ] {
            let files: Vec<_> = files.iter().map(|path| (*path, "x")).collect();
            assert_eq!(Tree::new(&files).index().home(), expected, "{files:?}");
        }
    }
}
