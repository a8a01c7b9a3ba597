//! `poetry.lock`, `uv.lock` and `pdm.lock`: tables of packages.

use super::{Contents, Package, Source, one_line, requirements::normal};
use serde::Deserialize;
use toml::Value;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: Option<String>,
    source: Option<Value>,
}

pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let lock: Lock = toml::from_str(text).map_err(one_line)?;
    let packages = lock.package.into_iter().map(|locked| {
        let has =
            |key: &str| locked.source.as_ref().is_some_and(|source| source.get(key).is_some());
        let kind = locked.source.as_ref().and_then(|source| source.get("type")?.as_str());
        let source = if has("virtual") || has("editable") || has("directory") {
            Source::Workspace
        } else if has("git") || kind == Some("git") {
            Source::Git { pinned: true }
        } else {
            Source::Registry
        };
        Package::new(normal(&locked.name), locked.version).from(source)
    });
    Ok(Contents { packages: packages.collect(), ..Contents::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_with_their_source() {
        let contents = lock(
            "version = 1\n[[package]]\nname = \"me\"\nversion = \"0\"\nsource = { editable = \".\" }\n\
             [[package]]\nname = \"A.b\"\nversion = \"1\"\nsource = { registry = \"https://x\" }\n\
             [[package]]\nname = \"g\"\nversion = \"1\"\n[package.source]\ntype = \"git\"\n",
        )
        .unwrap();
        let found: Vec<_> = contents.packages.into_iter().map(|p| (p.name, p.source)).collect();
        assert_eq!(
            found,
            [
                ("me".to_owned(), Source::Workspace),
                ("a-b".to_owned(), Source::Registry),
                ("g".to_owned(), Source::Git { pinned: true }),
            ]
        );
    }
}
