//! `go.mod` and `go.sum`.

use super::{Contents, Package, Scope, Source};
use std::collections::BTreeSet;

pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut block: Option<&str> = None;
    let mut replaced = Vec::new();
    for line in text.lines() {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let code = code.trim();
        if code == ")" {
            block = None;
            continue;
        }
        let (directive, rest) = match block {
            Some(directive) => (directive, code),
            None => code.split_once([' ', '\t']).unwrap_or((code, "")),
        };
        let rest = rest.trim();
        if rest == "(" {
            block = Some(directive);
            continue;
        }
        match directive {
            "module" => contents.name = Some(rest.trim_matches('"').to_owned()),
            "require" => {
                let Some((name, version)) = rest.split_once([' ', '\t']) else {
                    continue;
                };
                let package = Package::new(name.trim_matches('"'), Some(version.trim().to_owned()));
                // Go marks what only others need.
                let indirect = comment.trim() == "indirect";
                contents.packages.push(if indirect {
                    package.scoped(Scope::Optional)
                } else {
                    package
                });
            }
            "replace" => {
                if let Some((old, new)) = rest.split_once("=>") {
                    let old = old.split_whitespace().next().unwrap_or_default();
                    let new = new.split_whitespace().next().unwrap_or_default();
                    if new.starts_with(['.', '/']) {
                        replaced.push((old.to_owned(), new.to_owned()));
                    }
                }
            }
            _ => {}
        }
    }
    for (old, new) in replaced {
        for package in contents.packages.iter_mut().filter(|package| package.name == old) {
            package.source = Source::Path(new.clone());
        }
    }
    Ok(contents)
}

/// A sum file lists what was ever looked at; only modules with their contents, not only their
/// `go.mod`, are built from.
pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version), Some(_)) = (words.next(), words.next(), words.next())
            && !version.ends_with("/go.mod")
        {
            seen.insert((name, version));
        }
    }
    let packages =
        seen.into_iter().map(|(name, version)| Package::new(name, Some(version.to_owned())));
    Ok(Contents { packages: packages.collect(), ..Contents::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_single_lines_and_replacements_are_read() {
        let contents = manifest(
            "module example.com/me\n\ngo 1.22\n\nrequire example.com/a v1.0.0\n\nrequire (\n\
             \texample.com/b v1.2.3\n\texample.com/c v0.0.0 // indirect\n)\n\
             replace example.com/a => ../a\n",
        )
        .unwrap();
        let found: Vec<_> =
            contents.packages.into_iter().map(|p| (p.name, p.scope, p.source)).collect();
        let of = |name: &str, scope, source| (format!("example.com/{name}"), scope, source);
        assert_eq!(
            found,
            [
                of("a", Scope::Normal, Source::Path("../a".to_owned())),
                of("b", Scope::Normal, Source::Registry),
                of("c", Scope::Optional, Source::Registry),
            ]
        );
        assert_eq!(contents.name.as_deref(), Some("example.com/me"));
    }

    #[test]
    fn a_sum_of_go_mod_alone_is_no_package() {
        let contents = lock("a v1.0.0 h1:x=\na v1.0.0/go.mod h1:y=\nb v2.0.0/go.mod h1:z=\n");
        assert_eq!(contents.unwrap().packages.len(), 1);
    }
}
