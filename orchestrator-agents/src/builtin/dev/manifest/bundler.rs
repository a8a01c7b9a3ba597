//! `Gemfile` and `Gemfile.lock`.

use super::{Contents, Package, Scope, Source};

/// A Gemfile is a program; only `gem` lines with a literal name are seen.
pub(super) fn manifest(text: &str) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut scope = Scope::Normal;
    for line in text.lines() {
        let line = line.trim();
        if let Some(group) = line.strip_prefix("group ") {
            let dev = [":development", ":test"].iter().any(|name| group.contains(name));
            scope = if dev { Scope::Dev } else { Scope::Normal };
        } else if line == "end" {
            scope = Scope::Normal;
        }
        let Some(rest) = line.strip_prefix("gem").filter(|rest| rest.starts_with([' ', '(']))
        else {
            continue;
        };
        let mut quoted = rest.split(['"', '\'']);
        let (Some(_), Some(name), between, text) =
            (quoted.next(), quoted.next(), quoted.next(), quoted.next())
        else {
            continue;
        };
        let is_option = |between: &str| between.contains(':') || between.contains("=>");
        let version = text.filter(|_| !between.is_some_and(is_option)).map(str::to_owned);
        let value_of = |key: &str| {
            let at = rest.find(&format!("{key}:")).or_else(|| rest.find(&format!(":{key} =>")))?;
            rest.get(at..)?.split(['"', '\'']).nth(1)
        };
        let source = if let Some(path) = value_of("path") {
            Source::Path(path.to_owned())
        } else if value_of("git").is_some() || value_of("github").is_some() {
            Source::Git { pinned: value_of("ref").is_some() || value_of("tag").is_some() }
        } else {
            Source::Registry
        };
        contents.packages.push(Package::new(name, version).from(source).scoped(scope));
    }
    Ok(contents)
}

/// Gems are the lines of four spaces below `specs:`, `name (version)`.
pub(super) fn lock(text: &str) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut source = Source::Registry;
    for line in text.lines() {
        match line {
            "GEM" => source = Source::Registry,
            "GIT" => source = Source::Git { pinned: true },
            "PATH" => source = Source::Workspace,
            _ => {
                let Some(spec) = line.strip_prefix("    ").filter(|spec| !spec.starts_with(' '))
                else {
                    continue;
                };
                if let Some((name, version)) = spec.split_once(" (") {
                    let version = version.trim_end_matches(')').to_owned();
                    contents.packages.push(Package::new(name, Some(version)).from(source.clone()));
                }
            }
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gems_have_versions_groups_and_sources() {
        let text = "source 'https://gems.test'\ngem 'rails', '~> 7.0'\ngem \"pg\"\n\
                    group :development, :test do\n  gem 'rspec', require: false\nend\n\
                    gem 'mine', git: 'https://h/x', ref: 'abc'\ngem('near', path: '../near')\n";
        let found: Vec<_> = manifest(text)
            .unwrap()
            .packages
            .into_iter()
            .map(|p| (p.name, p.version, p.scope, p.source))
            .collect();
        let of = |name: &str, version: Option<&str>, scope, source| {
            (name.to_owned(), version.map(str::to_owned), scope, source)
        };
        assert_eq!(
            found,
            [
                of("rails", Some("~> 7.0"), Scope::Normal, Source::Registry),
                of("pg", None, Scope::Normal, Source::Registry),
                of("rspec", None, Scope::Dev, Source::Registry),
                of("mine", None, Scope::Normal, Source::Git { pinned: true }),
                of("near", None, Scope::Normal, Source::Path("../near".to_owned())),
            ]
        );
    }

    #[test]
    fn a_lock_file_is_read() {
        let text = "PATH\n  remote: .\n  specs:\n    me (0.1)\n\nGEM\n  remote: https://x\n  specs:\n    \
                    rails (7.0.1)\n      activesupport (= 7.0.1)\n\nDEPENDENCIES\n  rails\n";
        let found: Vec<_> =
            lock(text).unwrap().packages.into_iter().map(|p| (p.name, p.source)).collect();
        assert_eq!(
            found,
            [("me".to_owned(), Source::Workspace), ("rails".to_owned(), Source::Registry),]
        );
    }
}
