//! `Pipfile` and `Pipfile.lock`.

use super::{Contents, Package, Scope, Source, one_line, requirements::normal};
use serde_json::Value;

pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let root: toml::Table = toml::from_str(text).map_err(one_line)?;
    let mut contents = Contents::default();
    for (key, scope) in [("packages", Scope::Normal), ("dev-packages", Scope::Dev)] {
        for (name, value) in root.get(key).and_then(toml::Value::as_table).into_iter().flatten() {
            let text = |key: &str| value.get(key).and_then(toml::Value::as_str);
            let source = match (text("git"), text("path")) {
                (Some(_), _) => Source::Git { pinned: text("ref").is_some() },
                (_, Some(path)) => Source::Path(path.to_owned()),
                _ => Source::Registry,
            };
            let version = value.as_str().or_else(|| text("version")).map(str::to_owned);
            contents.packages.push(Package::new(normal(name), version).from(source).scoped(scope));
        }
    }
    Ok(contents)
}

pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let root: Value = serde_json::from_str(text).map_err(one_line)?;
    let mut contents = Contents::default();
    for (key, scope) in [("default", Scope::Normal), ("develop", Scope::Dev)] {
        for (name, value) in root.get(key).and_then(Value::as_object).into_iter().flatten() {
            let version = value.get("version").and_then(Value::as_str);
            let version = version.map(|version| version.trim_start_matches('=').to_owned());
            contents.packages.push(Package::new(normal(name), version).scoped(scope));
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_and_lock_are_read() {
        let wanted = manifest("[packages]\nFlask='*'\n[dev-packages]\nx={git='https://h',ref='m'}");
        let wanted = wanted.unwrap().packages;
        assert_eq!((&*wanted[0].name, wanted[0].version.as_deref()), ("flask", Some("*")));
        assert_eq!(wanted[1].source, Source::Git { pinned: true });
        let chosen = lock(r#"{"default":{"flask":{"version":"==2.0"}},"develop":{}}"#).unwrap();
        assert_eq!(chosen.packages[0].version.as_deref(), Some("2.0"));
    }
}
