//! `Cargo.toml` and `Cargo.lock`.

use super::{Contents, Package, Scope, Source, one_line};
use serde::Deserialize;
use toml::{Table, Value};

pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let root: Table = toml::from_str(text).map_err(one_line)?;
    let mut contents = Contents::default();
    let mut places = vec![&root];
    if let Some(targets) = root.get("target").and_then(Value::as_table) {
        places.extend(targets.values().filter_map(Value::as_table));
    }
    places.extend(root.get("workspace").and_then(Value::as_table));
    for place in places {
        for (key, scope) in [
            ("dependencies", Scope::Normal),
            ("dev-dependencies", Scope::Dev),
            ("build-dependencies", Scope::Dev),
        ] {
            let Some(table) = place.get(key).and_then(Value::as_table) else {
                continue;
            };
            contents.packages.extend(table.iter().map(|(name, value)| package(name, value, scope)));
        }
    }
    if let Some(package) = root.get("package").and_then(Value::as_table) {
        contents.name = package.get("name").and_then(Value::as_str).map(str::to_owned);
        contents.published = match package.get("publish") {
            Some(Value::Boolean(publish)) => *publish,
            Some(Value::Array(registries)) => !registries.is_empty(),
            // Without a version, or with the workspace's answer, it is not for sure.
            Some(_) => false,
            None => package.contains_key("version"),
        };
    }
    let bins = root.get("bin").and_then(Value::as_array).into_iter().flatten();
    let lib = root.get("lib");
    contents.entry_points = bins
        .chain(lib)
        .filter_map(|target| target.get("path").and_then(Value::as_str).map(str::to_owned))
        .collect();
    Ok(contents)
}

fn package(key: &str, value: &Value, scope: Scope) -> Package {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let is_true = |name: &str| value.get(name).and_then(Value::as_bool) == Some(true);
    let version = value.as_str().or_else(|| text("version")).map(str::to_owned);
    let source = if is_true("workspace") {
        Source::Workspace
    } else if let Some(path) = text("path") {
        Source::Path(path.to_owned())
    } else if text("git").is_some() {
        Source::Git { pinned: text("rev").is_some() || text("tag").is_some() }
    } else {
        Source::Registry
    };
    let scope = if is_true("optional") { Scope::Optional } else { scope };
    Package::new(text("package").unwrap_or(key), version).from(source).scoped(scope)
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let lock: Lock = toml::from_str(text).map_err(one_line)?;
    let packages = lock.package.into_iter().map(|locked| {
        let source = match &locked.source {
            None => Source::Workspace,
            Some(source) if source.starts_with("git+") => Source::Git { pinned: true },
            Some(_) => Source::Registry,
        };
        Package::new(locked.name, Some(locked.version)).from(source)
    });
    Ok(Contents { packages: packages.collect(), ..Contents::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_each_dependency_with_its_source() {
        let contents = manifest(
            r#"
            [package]
            name = "demo"
            version = "1.0.0"
            [dependencies]
            serde = "1"
            any = "*"
            renamed = { package = "real", version = "2", optional = true }
            near = { path = "../near" }
            moving = { git = "https://x/y" }
            fixed = { git = "https://x/y", rev = "abc" }
            shared = { workspace = true }
            [target.'cfg(unix)'.dependencies]
            libc = "0.2"
            [dev-dependencies]
            tempfile = "3"
            [[bin]]
            name = "demo"
            path = "src/bin/demo.rs"
            "#,
        )
        .unwrap();
        let of = |name: &str| contents.packages.iter().find(|p| p.name == name).unwrap();
        assert_eq!(of("serde").version.as_deref(), Some("1"));
        assert_eq!(of("real").scope, Scope::Optional);
        assert_eq!(of("near").source, Source::Path("../near".to_owned()));
        assert_eq!(of("moving").source, Source::Git { pinned: false });
        assert_eq!(of("fixed").source, Source::Git { pinned: true });
        assert_eq!(of("shared").source, Source::Workspace);
        assert_eq!(of("libc").version.as_deref(), Some("0.2"));
        assert_eq!(of("tempfile").scope, Scope::Dev);
        assert_eq!(contents.entry_points, ["src/bin/demo.rs"]);
        assert!(contents.published);
    }

    #[test]
    fn only_a_package_with_a_version_that_may_be_published_is() {
        for (text, published) in [
            ("[package]\nname='a'\nversion='1.0.0'", true),
            ("[package]\nname='a'\nversion='1.0.0'\npublish=false", false),
            ("[package]\nname='a'\nversion='1.0.0'\npublish=[]", false),
            ("[package]\nname='a'", false),
            ("[workspace]", false),
        ] {
            assert_eq!(manifest(text).unwrap().published, published, "{text}");
        }
    }

    #[test]
    fn a_lock_file_tells_the_workspace_from_the_rest() {
        let contents = lock(
            "version = 4\n[[package]]\nname = \"me\"\nversion = \"0.1.0\"\n\
             [[package]]\nname = \"serde\"\nversion = \"1.0.1\"\nsource = \"registry+https://x\"\n",
        )
        .unwrap();
        assert_eq!(contents.packages[0].source, Source::Workspace);
        assert_eq!(contents.packages[1].version.as_deref(), Some("1.0.1"));
    }
}
