//! Project files of .NET, `packages.config` and `packages.lock.json`.

use super::{Contents, Package, Scope, one_line};
use roxmltree::Document;
use serde_json::Value;
use std::collections::BTreeSet;

/// `*.csproj` and its kin, and `Directory.Packages.props`.
pub(super) fn project(text: &str) -> Result<Contents, String> {
    let document = Document::parse(text).map_err(one_line)?;
    let mut contents = Contents::default();
    for node in document.descendants() {
        match node.tag_name().name() {
            "PackageReference" | "PackageVersion" => {
                let Some(name) = node.attribute("Include") else {
                    continue;
                };
                let below = node.children().find(|child| child.tag_name().name() == "Version");
                let version = node
                    .attribute("Version")
                    .or_else(|| below.and_then(|child| child.text()))
                    .map(|version| version.trim().to_owned());
                let private = node.attribute("PrivateAssets").is_some();
                let scope = if private { Scope::Dev } else { Scope::Normal };
                contents.packages.push(Package::new(name, version).scoped(scope));
            }
            "IsPackable" => contents.published = node.text().map(str::trim) == Some("true"),
            "StartupObject" => {
                contents.entry_points.extend(node.text().map(|text| text.trim().to_owned()));
            }
            _ => {}
        }
    }
    Ok(contents)
}

/// `packages.config`, which names exact versions.
pub(super) fn config(text: &str) -> Result<Contents, String> {
    let document = Document::parse(text).map_err(one_line)?;
    let packages = document.descendants().filter(|node| node.tag_name().name() == "package");
    let packages = packages.filter_map(|node| {
        Some(Package::new(node.attribute("id")?, node.attribute("version").map(str::to_owned)))
    });
    Ok(Contents { packages: packages.collect(), ..Contents::default() })
}

/// `packages.lock.json`: by target framework, then by name.
pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let root: Value = serde_json::from_str(text).map_err(one_line)?;
    let mut seen = BTreeSet::new();
    let targets = root.get("dependencies").and_then(Value::as_object).into_iter().flatten();
    for (name, value) in targets.filter_map(|(_, target)| target.as_object()).flatten() {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        if text("type") != Some("Project") {
            seen.insert((name.clone(), text("resolved").map(str::to_owned)));
        }
    }
    let packages = seen.into_iter().map(|(name, version)| Package::new(name, version));
    Ok(Contents { packages: packages.collect(), ..Contents::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_read() {
        let found = |contents: Result<Contents, String>| -> Vec<(String, Option<String>)> {
            contents.unwrap().packages.into_iter().map(|p| (p.name, p.version)).collect()
        };
        let of = |name: &str, version: &str| (name.to_owned(), Some(version.to_owned()));
        assert_eq!(
            found(project(
                "<Project Sdk='Microsoft.NET.Sdk'><ItemGroup><PackageReference Include='A' Version='1.0'/>\
                 <PackageReference Include='B'><Version>2.0</Version></PackageReference></ItemGroup></Project>"
            )),
            [of("A", "1.0"), of("B", "2.0")]
        );
        assert_eq!(
            found(config("<packages><package id='A' version='1.0'/></packages>")),
            [of("A", "1.0")]
        );
        assert_eq!(
            found(lock(
                r#"{"dependencies":{"net8.0":{"A":{"type":"Direct","resolved":"1.0"},
                    "me":{"type":"Project"}},"net9.0":{"A":{"type":"Direct","resolved":"1.0"}}}}"#
            )),
            [of("A", "1.0")]
        );
    }
}
