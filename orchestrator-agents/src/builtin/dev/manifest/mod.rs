//! Manifests and lock files: one module a format, one shape for all.

mod bundler;
mod cargo;
mod composer;
mod go;
mod gradle;
mod maven;
mod npm;
mod nuget;
mod pipfile;
mod pnpm;
mod pyproject;
mod python_lock;
mod requirements;
mod yarn;

use super::dependency::Ecosystem;
use crate::builtin::index::{Class, FileEntry, Index, Kind, classify};

/// Lock files larger than this many bytes are not parsed.
const MAX_LOCK: u64 = 8 << 20;

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The ecosystem's registry.
    Registry,
    /// A repository; whether it is held to one commit.
    Git { pinned: bool },
    /// An archive.
    Url,
    /// A directory, relative to the manifest.
    Path(String),
    /// What the workspace says, or another member of it.
    Workspace,
}

/// What a package is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// To run.
    Normal,
    /// To develop, build or test.
    Dev,
    /// Only when a user asks for it, or brings it.
    Optional,
}

/// One package that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    /// Exact in a lock file, a requirement in a manifest; `None` when any will do or none is said.
    pub(super) version: Option<String>,
    pub(super) source: Source,
    pub(super) scope: Scope,
    pub(super) licence: Option<String>,
}

impl Package {
    fn new(name: impl Into<String>, version: Option<String>) -> Self {
        Self {
            name: name.into(),
            version,
            source: Source::Registry,
            scope: Scope::Normal,
            licence: None,
        }
    }

    fn from(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    fn scoped(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }
}

/// What a format's parser makes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Contents {
    pub(super) packages: Vec<Package>,
    /// The name of the package that the manifest describes.
    pub(super) name: Option<String>,
    /// Whether the package is meant to be published to a registry.
    pub(super) published: bool,
    /// Where programs and libraries begin, as the manifest says.
    pub(super) entry_points: Vec<String>,
}

/// Whether a file says what is wanted or what was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Manifest,
    Lock,
}

/// A format that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) ecosystem: Ecosystem,
    pub(super) part: Part,
    /// The program that writes or reads it.
    pub(super) tool: &'static str,
    parse: fn(&str) -> Result<Contents, String>,
}

impl Format {
    fn of(name: &str) -> Option<Self> {
        use Ecosystem::{Cargo, Composer, Go, Maven, Npm, Nuget, Pypi, Rubygems};
        use Part::{Lock, Manifest};
        let is = |ecosystem, part, tool, parse| Some(Self { ecosystem, part, tool, parse });
        match name {
            "Cargo.toml" => is(Cargo, Manifest, "cargo", cargo::manifest),
            "Cargo.lock" => is(Cargo, Lock, "cargo", cargo::lock),
            "package.json" => is(Npm, Manifest, "npm", npm::manifest),
            "package-lock.json" | "npm-shrinkwrap.json" => is(Npm, Lock, "npm", npm::lock),
            "pnpm-lock.yaml" => is(Npm, Lock, "pnpm", pnpm::lock),
            "yarn.lock" => is(Npm, Lock, "yarn", yarn::lock),
            "pyproject.toml" => is(Pypi, Manifest, "pip", pyproject::manifest),
            "poetry.lock" => is(Pypi, Lock, "poetry", python_lock::lock),
            "uv.lock" => is(Pypi, Lock, "uv", python_lock::lock),
            "pdm.lock" => is(Pypi, Lock, "pdm", python_lock::lock),
            "Pipfile" => is(Pypi, Manifest, "pipenv", pipfile::manifest),
            "Pipfile.lock" => is(Pypi, Lock, "pipenv", pipfile::lock),
            "go.mod" => is(Go, Manifest, "go", go::manifest),
            "go.sum" => is(Go, Lock, "go", go::lock),
            "pom.xml" => is(Maven, Manifest, "maven", maven::manifest),
            "build.gradle" | "build.gradle.kts" => is(Maven, Manifest, "gradle", gradle::manifest),
            "gradle.lockfile" => is(Maven, Lock, "gradle", gradle::lock),
            "Gemfile" => is(Rubygems, Manifest, "bundler", bundler::manifest),
            "Gemfile.lock" => is(Rubygems, Lock, "bundler", bundler::lock),
            "composer.json" => is(Composer, Manifest, "composer", composer::manifest),
            "composer.lock" => is(Composer, Lock, "composer", composer::lock),
            "packages.config" => is(Nuget, Manifest, "nuget", nuget::config),
            "Directory.Packages.props" => is(Nuget, Manifest, "nuget", nuget::project),
            "packages.lock.json" => is(Nuget, Lock, "nuget", nuget::lock),
            _ if is_requirements(name) => is(Pypi, Manifest, "pip", requirements::manifest),
            _ => match name.rsplit_once('.') {
                Some((_, "csproj" | "fsproj" | "vbproj")) => {
                    is(Nuget, Manifest, "nuget", nuget::project)
                }
                _ => None,
            },
        }
    }
}

/// `requirements.txt`, `requirements-dev.txt`, `dev_requirements.txt` and the like.
fn is_requirements(name: &str) -> bool {
    name.strip_suffix(".txt").is_some_and(|stem| {
        stem.starts_with("requirements") || stem.ends_with("requirements") || stem == "constraints"
    })
}

/// One manifest or lock file of the project.
#[derive(Debug)]
pub(super) struct ManifestFile<'a> {
    pub(super) file: &'a FileEntry,
    pub(super) format: Format,
    pub(super) contents: Contents,
    /// Why nothing was read from it.
    pub(super) problem: Option<String>,
}

/// Every manifest and lock file that belongs to the project itself, in the order of their paths,
/// and how many others there are in tests, examples and copies of foreign code.
pub(super) fn manifests(index: &Index) -> (Vec<ManifestFile<'_>>, usize) {
    let mut found = Vec::new();
    let mut left_out = 0;
    for file in index.files() {
        let Some(format) = Format::of(file.name()) else {
            continue;
        };
        if file.kind == Kind::Link {
            continue;
        }
        if !is_own_place(file) {
            left_out += 1;
            continue;
        }
        let (contents, problem) = match index.read_large(file, MAX_LOCK) {
            // A chapter on constraints is as easily called `constraints.txt` as pip's own file is.
            Some(text) if is_requirements(file.name()) && !requirements::is_list(&text) => continue,
            Some(text) => match (format.parse)(text.trim_start_matches('\u{feff}')) {
                Ok(contents) => (contents, None),
                Err(problem) => (Contents::default(), Some(problem)),
            },
            None => (Contents::default(), Some("it is too large, binary or unreadable".to_owned())),
        };
        found.push(ManifestFile { file, format, contents, problem });
    }
    (found, left_out)
}

/// Whether a manifest lies where the project's own ones do. Judged by its directory alone, for a
/// lock file is generated wherever it is.
fn is_own_place(file: &FileEntry) -> bool {
    classify(&format!("{}/x", file.dir())) == Class::Own
}

/// A message of a parser, without the excerpt that some add: one line.
fn one_line(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_tells_its_format() {
        for (name, expected) in [
            ("Cargo.toml", Some(("cargo", Part::Manifest))),
            ("npm-shrinkwrap.json", Some(("npm", Part::Lock))),
            ("requirements-dev.txt", Some(("pip", Part::Manifest))),
            ("dev-requirements.txt", Some(("pip", Part::Manifest))),
            ("App.csproj", Some(("nuget", Part::Manifest))),
            ("cargo.toml.orig", None),
            ("notes.txt", None),
            ("tsconfig.json", None),
        ] {
            let found = Format::of(name).map(|format| (format.tool, format.part));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn what_does_not_parse_is_a_problem_and_never_a_panic() {
        for name in [
            "Cargo.toml",
            "Cargo.lock",
            "package.json",
            "package-lock.json",
            "pnpm-lock.yaml",
            "pyproject.toml",
            "poetry.lock",
            "Pipfile",
            "Pipfile.lock",
            "pom.xml",
            "composer.json",
            "composer.lock",
            "packages.config",
            "packages.lock.json",
            "a.csproj",
        ] {
            let format = Format::of(name).unwrap();
            let problem = (format.parse)("{ \"a\": <").unwrap_err();
            assert!(!problem.is_empty() && !problem.contains('\n'), "{name}: {problem}");
        }
    }

    #[test]
    fn no_parser_falls_over_odd_input() {
        for name in [
            "Cargo.toml",
            "Cargo.lock",
            "package.json",
            "package-lock.json",
            "pnpm-lock.yaml",
            "yarn.lock",
            "pyproject.toml",
            "poetry.lock",
            "uv.lock",
            "Pipfile",
            "Pipfile.lock",
            "go.mod",
            "go.sum",
            "pom.xml",
            "build.gradle",
            "gradle.lockfile",
            "Gemfile",
            "Gemfile.lock",
            "composer.json",
            "composer.lock",
            "packages.config",
            "packages.lock.json",
            "a.csproj",
            "requirements.txt",
        ] {
            let format = Format::of(name).unwrap();
            for text in [
                "",
                "\n",
                "é",
                "[]",
                "{}",
                "null",
                "[[[[",
                "\"",
                "'",
                "= = =",
                "@",
                "a@",
                "@:",
                "require (",
                "require (\n)",
                "gem",
                "gem '",
                "name = 3",
                "dependencies = 3",
                "{\"dependencies\": 3}",
                "{\"packages\": {\"\": 3}}",
                "<a/>",
                "- 3",
                "a: [",
                "-r",
                "    x",
                "GEM\n  specs:\n    é (",
                "implementation(\"",
                "x ; y @ z # é",
            ] {
                // Any result will do; that there is one is the point.
                let _ = (format.parse)(text).is_ok();
            }
        }
    }
}
