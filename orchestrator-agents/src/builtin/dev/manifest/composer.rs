//! `composer.json` and `composer.lock`.

use super::{Contents, Package, Scope, npm, one_line};
use serde::Deserialize;
use serde_json::{Map, Value};

pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let root: Map<String, Value> = serde_json::from_str(text).map_err(one_line)?;
    let mut contents = Contents {
        name: root.get("name").and_then(Value::as_str).map(str::to_owned),
        // A project is deployed; anything else is a library for others.
        published: root.contains_key("name")
            && root.get("type").and_then(Value::as_str) != Some("project"),
        ..Contents::default()
    };
    for (key, scope) in [("require", Scope::Normal), ("require-dev", Scope::Dev)] {
        for (name, value) in root.get(key).and_then(Value::as_object).into_iter().flatten() {
            // The platform itself is no package: `php`, `ext-json`, `lib-curl`.
            if name.contains('/') {
                let version = value.as_str().map(str::to_owned);
                contents.packages.push(Package::new(name.as_str(), version).scoped(scope));
            }
        }
    }
    for program in root.get("bin").and_then(Value::as_array).into_iter().flatten() {
        contents.entry_points.extend(program.as_str().map(str::to_owned));
    }
    Ok(contents)
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: Vec<Locked>,
    #[serde(default, rename = "packages-dev")]
    packages_dev: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: Option<String>,
    license: Option<Value>,
}

pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let lock: Lock = serde_json::from_str(text).map_err(one_line)?;
    let scoped = |locked: Locked, scope| {
        let licence = npm::licence(locked.license.as_ref());
        Package { licence, ..Package::new(locked.name, locked.version).scoped(scope) }
    };
    let normal = lock.packages.into_iter().map(|locked| scoped(locked, Scope::Normal));
    let dev = lock.packages_dev.into_iter().map(|locked| scoped(locked, Scope::Dev));
    Ok(Contents { packages: normal.chain(dev).collect(), ..Contents::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_is_no_dependency() {
        let contents =
            manifest(r#"{"name":"a/b","require":{"php":">=8","ext-json":"*","c/d":"^1"}}"#)
                .unwrap();
        let names: Vec<_> = contents.packages.iter().map(|p| &*p.name).collect();
        assert_eq!(names, ["c/d"]);
        assert!(contents.published);
    }

    #[test]
    fn a_lock_file_states_licences() {
        let contents = lock(
            r#"{"packages":[{"name":"a/b","version":"1.0","license":["MIT","GPL-2.0-only"]}],
                "packages-dev":[{"name":"c/d","version":"v2"}]}"#,
        )
        .unwrap();
        assert_eq!(contents.packages[0].licence.as_deref(), Some("MIT OR GPL-2.0-only"));
        assert_eq!(contents.packages[1].scope, Scope::Dev);
    }
}
