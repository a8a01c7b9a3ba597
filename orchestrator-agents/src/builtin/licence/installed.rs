//! The licences of dependencies that are installed inside the project's directory.

use super::{
    declared::{composer_licence, licence_classifier, npm_licence},
    text,
};
use crate::builtin::dev::{Dependency, Ecosystem};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Metadata files are far smaller; what is not is no metadata.
const MAX: u64 = 256 << 10;

/// Looks up installed packages below one project root.
#[derive(Debug)]
pub(super) struct Installed<'a> {
    root: &'a Path,
    /// By normalised name, the metadata directories of Python packages.
    python: BTreeMap<String, PathBuf>,
}

impl<'a> Installed<'a> {
    /// Of the project at `root`, which is an absolute path without links.
    pub(super) fn new(root: &'a Path) -> Self {
        let mut python = BTreeMap::new();
        for environment in [".venv", "venv"] {
            let lib = root.join(environment).join("lib");
            for version in children(&lib).into_iter().chain([root.join(environment).join("Lib")]) {
                for package in children(&version.join("site-packages")) {
                    let name = package.file_name().map(|name| name.to_string_lossy().into_owned());
                    if let Some(stem) =
                        name.as_deref().and_then(|name| name.strip_suffix(".dist-info"))
                        && let Some((name, _)) = stem.split_once('-')
                    {
                        python.insert(normalised(name), package);
                    }
                }
            }
        }
        Self { root, python }
    }

    /// The licence that the installed `dependency` states, as written there.
    pub(super) fn licence(&self, dependency: &Dependency) -> Option<String> {
        let dir = dependency.manifest.rsplit_once('/').map_or("", |(dir, _)| dir);
        let base = self.root.join(dir);
        // A name is the word of a file: it must not lead anywhere else.
        if dependency.name.split('/').any(|part| matches!(part, "" | "." | ".."))
            || dependency.name.contains('\\')
        {
            return None;
        }
        match dependency.ecosystem {
            Ecosystem::Npm => [base.as_path(), self.root].iter().find_map(|base| {
                let text = self
                    .read(&base.join("node_modules").join(&dependency.name).join("package.json"))?;
                npm_licence(&serde_json::from_str(&text).ok()?)
            }),
            Ecosystem::Composer => {
                let text =
                    self.read(&base.join("vendor").join(&dependency.name).join("composer.json"))?;
                composer_licence(&serde_json::from_str::<Value>(&text).ok()?)
            }
            Ecosystem::Cargo => {
                let version = dependency.version.as_deref().unwrap_or_default();
                [dependency.name.clone(), format!("{}-{version}", dependency.name)].iter().find_map(
                    |name| {
                        let text = self.read(&base.join("vendor").join(name).join("Cargo.toml"))?;
                        let table: toml::Table = text.parse().ok()?;
                        table.get("package")?.get("license")?.as_str().map(str::to_owned)
                    },
                )
            }
            Ecosystem::Go => {
                let dir = base.join("vendor").join(&dependency.name);
                ["LICENSE", "LICENSE.md", "LICENSE.txt", "COPYING", "LICENCE"].iter().find_map(
                    |name| text::identify(&self.read(&dir.join(name))?).map(str::to_owned),
                )
            }
            Ecosystem::Pypi => {
                let text =
                    self.read(&self.python.get(&normalised(&dependency.name))?.join("METADATA"))?;
                python_metadata(&text)
            }
            _ => None,
        }
    }

    /// A small text file, unless a link on its way leads out of the project.
    fn read(&self, path: &Path) -> Option<String> {
        let real = fs::canonicalize(path).ok().filter(|real| real.starts_with(self.root))?;
        let meta = fs::metadata(&real).ok().filter(|meta| meta.is_file() && meta.len() <= MAX)?;
        let mut text = String::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
        fs::File::open(&real).ok()?.take(MAX).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut all: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    all.sort();
    all
}

/// Python takes `-`, `_` and `.` in names as one, and no case.
fn normalised(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// The licence in the headers of a `METADATA` file.
fn python_metadata(text: &str) -> Option<String> {
    let headers = || text.lines().take_while(|line| !line.is_empty());
    let field = |name: &str| {
        headers()
            .find_map(|line| line.strip_prefix(name))
            .map(|value| value.trim().to_owned())
            .filter(|v| !v.is_empty())
    };
    field("License-Expression:")
        .or_else(|| {
            licence_classifier(headers().filter_map(|line| line.strip_prefix("Classifier: ")))
        })
        .or_else(|| field("License:").filter(|value| value.len() < 80 && value != "UNKNOWN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(ecosystem: Ecosystem, name: &str) -> Dependency {
        Dependency {
            ecosystem,
            name: name.to_owned(),
            version: Some("1.0.0".to_owned()),
            direct: true,
            manifest: "app/manifest".to_owned(),
            licence: None,
        }
    }

    #[test]
    fn installed_packages_state_their_licences() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("app/node_modules/@s/a/package.json", r#"{"license":"ISC"}"#);
        write("node_modules/b/package.json", r#"{"license":"MIT"}"#);
        write("app/vendor/c/Cargo.toml", "[package]\nlicense='Zlib'");
        write("app/vendor/example.com/d/LICENSE", "Mozilla Public License Version 2.0");
        write("app/vendor/v/e/composer.json", r#"{"license":["MIT"]}"#);
        write(
            ".venv/lib/python3.12/site-packages/F_x-1.0.dist-info/METADATA",
            "Name: F.x\nLicense-Expression: BSD-3-Clause\n\nLicense: no",
        );
        let installed = Installed::new(&root);
        for (ecosystem, name, expected) in [
            (Ecosystem::Npm, "@s/a", Some("ISC")),
            (Ecosystem::Npm, "b", Some("MIT")),
            (Ecosystem::Npm, "missing", None),
            (Ecosystem::Npm, "../../b", None),
            (Ecosystem::Cargo, "c", Some("Zlib")),
            (Ecosystem::Go, "example.com/d", Some("MPL-2.0")),
            (Ecosystem::Composer, "v/e", Some("MIT")),
            (Ecosystem::Pypi, "f-x", Some("BSD-3-Clause")),
        ] {
            assert_eq!(
                installed.licence(&dependency(ecosystem, name)).as_deref(),
                expected,
                "{name}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_project_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("package.json"), r#"{"license":"MIT"}"#).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join("node_modules")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("node_modules/x")).unwrap();
        assert_eq!(Installed::new(&root).licence(&dependency(Ecosystem::Npm, "x")), None);
    }
}
