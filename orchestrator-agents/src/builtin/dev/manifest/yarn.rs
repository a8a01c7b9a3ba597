//! `yarn.lock`, of Yarn 1 and of later ones.

use super::{Contents, Package};

/// Both formats have a line for each entry, `"name@range", "name@range":`, and below it the
/// version, with a colon in the later one. What fits neither is passed over.
pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut name: Option<&str> = None;
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            name = line.strip_suffix(':').and_then(entry_name);
            continue;
        }
        let Some(version) = line.trim_start().strip_prefix("version") else {
            continue;
        };
        if let Some(name) = name.take() {
            let version = version.trim_start_matches([':', ' ']).trim_matches('"');
            contents.packages.push(Package::new(name, Some(version.to_owned())));
        }
    }
    Ok(contents)
}

/// The name in the first of an entry's descriptors; nothing for the workspace's own packages.
fn entry_name(entry: &str) -> Option<&str> {
    let first = entry.split(',').next()?.trim().trim_matches('"');
    let at = first.get(1..)?.find('@')? + 1;
    let range = first.get(at + 1..)?;
    (!range.starts_with("workspace:")).then(|| first.get(..at)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        let one = "# yarn lockfile v1\n\n\"@s/a@^1.0.0\", \"@s/a@^1.1.0\":\n  version \"1.1.0\"\n  \
                   resolved \"https://x\"\n\nb@~2:\n  version \"2.0.0\"\n  dependencies:\n    version \"9\"\n";
        let two = "__metadata:\n  version: 8\n\n\"@s/a@npm:^1.0.0\":\n  version: 1.1.0\n\n\
                   \"b@npm:~2\":\n  version: 2.0.0\n\n\"me@workspace:.\":\n  version: 0.0.0-use.local\n";
        for text in [one, two] {
            let found: Vec<_> = lock(text)
                .unwrap()
                .packages
                .into_iter()
                .map(|p| format!("{} {}", p.name, p.version.unwrap_or_default()))
                .collect();
            assert_eq!(found, ["@s/a 1.1.0", "b 2.0.0"], "{text}");
        }
    }
}
