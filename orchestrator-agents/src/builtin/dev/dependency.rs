//! What a project depends on, as its manifests and lock files say.

use super::manifest::{ManifestFile, Part, Scope, Source, manifests};
use crate::builtin::Index;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// A package manager's world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ecosystem {
    /// Rust.
    Cargo,
    /// JavaScript and TypeScript.
    Npm,
    /// Python.
    Pypi,
    /// Go modules.
    Go,
    /// Java and the JVM.
    Maven,
    /// Ruby.
    Rubygems,
    /// PHP.
    Composer,
    /// .NET.
    Nuget,
}

impl Ecosystem {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Go => "go",
            Self::Maven => "maven",
            Self::Rubygems => "rubygems",
            Self::Composer => "composer",
            Self::Nuget => "nuget",
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One package that the project depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Dependency {
    /// Whose package it is.
    pub ecosystem: Ecosystem,
    /// Its name there; Python's in the form that PyPI compares.
    pub name: String,
    /// The version: exact from a lock file, else the requirement as written.
    pub version: Option<String>,
    /// Whether the project names it itself.
    pub direct: bool,
    /// The file that says so, relative to the project.
    pub manifest: String,
    /// The licence, where the file states it, as written there.
    pub licence: Option<String>,
}

/// Everything that the project's own manifests and lock files name, sorted by ecosystem and name,
/// each once for each file that names it. What lies in the project itself is left out, and so are
/// the manifests of tests, examples, fixtures and copied code.
pub fn dependencies(index: &Index) -> Vec<Dependency> {
    flatten(&manifests(index).0)
}

pub(super) fn flatten(manifests: &[ManifestFile<'_>]) -> Vec<Dependency> {
    let of = |part: Part| manifests.iter().filter(move |manifest| manifest.format.part == part);
    // What a manifest names is direct in the lock files too, wherever those lie.
    let named: BTreeSet<(Ecosystem, &str)> = of(Part::Manifest)
        .flat_map(|manifest| {
            let direct = manifest.contents.packages.iter().filter(|package| {
                // Go's manifests list what others need as well.
                manifest.format.ecosystem != Ecosystem::Go || package.scope != Scope::Optional
            });
            direct.map(|package| (manifest.format.ecosystem, &*package.name))
        })
        .collect();
    let mut found: Vec<Dependency> = of(Part::Manifest)
        .chain(of(Part::Lock))
        .flat_map(|manifest| {
            let ecosystem = manifest.format.ecosystem;
            let fetched = manifest
                .contents
                .packages
                .iter()
                .filter(|package| !matches!(package.source, Source::Path(_)))
                // A workspace's own package in a lock file; in a manifest it is one to fetch
                // whose version the workspace's root tells.
                .filter(move |p| {
                    p.source != Source::Workspace || manifest.format.part == Part::Manifest
                });
            let named = &named;
            fetched.map(move |package| Dependency {
                ecosystem,
                name: package.name.clone(),
                version: package.version.clone(),
                direct: named.contains(&(ecosystem, &*package.name)),
                manifest: manifest.file.path.clone(),
                licence: package.licence.clone(),
            })
        })
        .collect();
    let own: BTreeSet<(Ecosystem, &str)> = of(Part::Manifest)
        .filter_map(|manifest| {
            Some((manifest.format.ecosystem, manifest.contents.name.as_deref()?))
        })
        .collect();
    found.retain(|dependency| !own.contains(&(dependency.ecosystem, &*dependency.name)));
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::fixture::Tree;

    #[test]
    fn manifests_and_lock_files_tell_one_story() {
        let tree = Tree::new(&[
            ("Cargo.toml", "[workspace]\nmembers=['a','b']\n[workspace.dependencies]\nserde='1'"),
            (
                "a/Cargo.toml",
                "[package]\nname='a'\n[dependencies]\nserde={workspace=true}\nb={path='../b'}",
            ),
            ("b/Cargo.toml", "[package]\nname='b'"),
            (
                "Cargo.lock",
                "[[package]]\nname='a'\nversion='0.1.0'\n[[package]]\nname='b'\nversion='0.1.0'\n\
                 [[package]]\nname='serde'\nversion='1.0.2'\nsource='registry+x'\n\
                 [[package]]\nname='itoa'\nversion='1.0.9'\nsource='registry+x'\n",
            ),
            ("tests/fixtures/x/package.json", r#"{"dependencies":{"left-pad":"1"}}"#),
        ]);
        let found: Vec<_> = dependencies(&tree.index())
            .into_iter()
            .map(|d| (d.name, d.version.unwrap_or_default(), d.direct, d.manifest))
            .collect();
        let of = |name: &str, version: &str, direct, manifest: &str| {
            (name.to_owned(), version.to_owned(), direct, manifest.to_owned())
        };
        assert_eq!(
            found,
            [
                of("itoa", "1.0.9", false, "Cargo.lock"),
                of("serde", "", true, "a/Cargo.toml"),
                of("serde", "1", true, "Cargo.toml"),
                of("serde", "1.0.2", true, "Cargo.lock"),
            ]
        );
    }
}
