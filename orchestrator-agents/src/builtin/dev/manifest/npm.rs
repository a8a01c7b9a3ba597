//! `package.json` and `package-lock.json`, which npm and its kin share.

use super::{Contents, Package, Scope, Source, one_line};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let root: Map<String, Value> = serde_json::from_str(text).map_err(one_line)?;
    let mut contents = Contents {
        name: root.get("name").and_then(Value::as_str).map(str::to_owned),
        published: root.get("private").and_then(Value::as_bool) != Some(true)
            && root.contains_key("name")
            && root.contains_key("version"),
        ..Contents::default()
    };
    for (key, scope) in [
        ("dependencies", Scope::Normal),
        ("devDependencies", Scope::Dev),
        ("optionalDependencies", Scope::Optional),
        ("peerDependencies", Scope::Optional),
    ] {
        for (name, value) in root.get(key).and_then(Value::as_object).into_iter().flatten() {
            if let Some(requirement) = value.as_str() {
                contents.packages.push(package(name, requirement).scoped(scope));
            }
        }
    }
    let mut entry = |value: &Value| {
        if let Some(path) = value.as_str() {
            contents.entry_points.push(path.trim_start_matches("./").to_owned());
        }
    };
    for key in ["main", "module", "browser"] {
        root.get(key).into_iter().for_each(&mut entry);
    }
    match root.get("bin") {
        Some(Value::Object(programs)) => programs.values().for_each(&mut entry),
        Some(program) => entry(program),
        None => {}
    }
    contents.entry_points.dedup();
    Ok(contents)
}

/// A requirement as npm reads it: a range, a tag, or a place.
pub(super) fn package(name: &str, requirement: &str) -> Package {
    let requirement = requirement.trim();
    let hosted = ["github:", "gitlab:", "bitbucket:", "gist:", "git+", "git:", "git@"];
    let source = if requirement.starts_with("workspace:") || requirement.starts_with("catalog:") {
        Source::Workspace
    } else if let Some(path) =
        ["file:", "link:", "portal:"].iter().find_map(|kind| requirement.strip_prefix(kind))
    {
        Source::Path(path.to_owned())
    } else if hosted.iter().any(|prefix| requirement.starts_with(prefix))
        || is_short_repository(requirement)
    {
        Source::Git { pinned: requirement.split_once('#').is_some_and(|(_, at)| is_commit(at)) }
    } else if requirement.starts_with("http:") || requirement.starts_with("https:") {
        Source::Url
    } else {
        Source::Registry
    };
    let version = (!requirement.is_empty()).then(|| requirement.to_owned());
    Package::new(name, version).from(source)
}

/// `owner/name`, npm's short form for a repository.
fn is_short_repository(requirement: &str) -> bool {
    let repository = requirement.split_once('#').map_or(requirement, |(before, _)| before);
    !requirement.contains(':')
        && !requirement.starts_with(['.', '/', '~'])
        && repository.matches('/').count() == 1
        && !repository.starts_with('@')
}

fn is_commit(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Only what is needed of a lock file: they run to megabytes.
#[derive(Deserialize)]
struct Lock {
    /// Versions 2 and 3: by place on disk, the root under the empty name.
    #[serde(default)]
    packages: BTreeMap<String, Locked>,
    /// Version 1: by name, each with its own below it.
    #[serde(default)]
    dependencies: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<Value>,
    license: Option<Value>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    dependencies: Option<Value>,
}

pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let lock: Lock = serde_json::from_str(text).map_err(one_line)?;
    let mut contents = Contents::default();
    if lock.packages.is_empty() {
        version_one(&lock.dependencies, &mut contents.packages);
        return Ok(contents);
    }
    for (place, locked) in lock.packages {
        // The root and the workspace's own directories lie outside of node_modules.
        let Some((_, name)) = place.rsplit_once("node_modules/") else {
            continue;
        };
        if !locked.link {
            let name = locked.name.clone().unwrap_or_else(|| name.to_owned());
            contents.packages.push(locked.package(name));
        }
    }
    Ok(contents)
}

fn version_one(dependencies: &BTreeMap<String, Locked>, packages: &mut Vec<Package>) {
    for (name, locked) in dependencies {
        packages.push(locked.package(name.clone()));
        let below = locked.dependencies.clone().unwrap_or_default();
        if let Ok(below) = serde_json::from_value::<BTreeMap<String, Locked>>(below) {
            version_one(&below, packages);
        }
    }
}

impl Locked {
    fn package(&self, name: String) -> Package {
        let resolved = self.resolved.as_ref().and_then(Value::as_str).unwrap_or_default();
        let source = if resolved.starts_with("git") {
            Source::Git { pinned: true }
        } else {
            Source::Registry
        };
        let mut package = Package::new(name, self.version.clone()).from(source);
        package.licence = licence(self.license.as_ref());
        if self.dev {
            package.scope = Scope::Dev;
        }
        package
    }
}

/// A licence as text, as an old object with a `type`, or as a list of either, any of which holds.
pub(super) fn licence(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) => fields.get("type")?.as_str().map(str::to_owned),
        Value::Array(items) => {
            let all: Vec<String> = items.iter().filter_map(|item| licence(Some(item))).collect();
            (!all.is_empty()).then(|| all.join(" OR "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_tells_where_the_package_comes_from() {
        for (requirement, source) in [
            ("^1.2.3", Source::Registry),
            ("*", Source::Registry),
            ("latest", Source::Registry),
            ("npm:other@1", Source::Registry),
            ("workspace:*", Source::Workspace),
            ("file:../near", Source::Path("../near".to_owned())),
            ("owner/repo", Source::Git { pinned: false }),
            ("owner/repo#0123abc", Source::Git { pinned: true }),
            ("git+https://h/x.git#main", Source::Git { pinned: false }),
            ("https://h/x.tgz", Source::Url),
        ] {
            assert_eq!(package("x", requirement).source, source, "{requirement}");
        }
    }

    #[test]
    fn a_manifest_has_dependencies_and_entry_points() {
        let contents = manifest(
            r#"{"name":"a","version":"1.0.0","main":"./lib/a.js","bin":{"a":"bin/a.js"},
                "dependencies":{"react":"^18"},"devDependencies":{"jest":"*"}}"#,
        )
        .unwrap();
        assert_eq!(contents.entry_points, ["lib/a.js", "bin/a.js"]);
        assert_eq!(contents.packages[1].scope, Scope::Dev);
        assert!(contents.published);
        assert!(!manifest(r#"{"name":"a","version":"1","private":true}"#).unwrap().published);
    }

    #[test]
    fn every_version_of_the_lock_file_is_read() {
        let three = r#"{"lockfileVersion":3,"packages":{"":{"name":"me","dependencies":{"a":"1"}},
            "node_modules/a":{"version":"1.0.0","license":"MIT"},
            "node_modules/@s/b":{"version":"2.0.0","license":{"type":"ISC"},"dev":true},
            "node_modules/a/node_modules/b":{"version":"3.0.0"},
            "packages/own":{"version":"0.0.1"},"node_modules/own":{"link":true}}}"#;
        let found: Vec<_> = lock(three)
            .unwrap()
            .packages
            .into_iter()
            .map(|p| (p.name, p.version.unwrap_or_default(), p.licence))
            .collect();
        assert_eq!(
            found,
            [
                ("@s/b".to_owned(), "2.0.0".to_owned(), Some("ISC".to_owned())),
                ("a".to_owned(), "1.0.0".to_owned(), Some("MIT".to_owned())),
                ("b".to_owned(), "3.0.0".to_owned(), None),
            ]
        );
        let one = r#"{"lockfileVersion":1,"dependencies":{"a":{"version":"1.0.0",
            "requires":{"b":"^2"},"dependencies":{"b":{"version":"2.0.0"}}}}}"#;
        let names: Vec<_> = lock(one).unwrap().packages.into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
