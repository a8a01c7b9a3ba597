//! What about manifests, lock files and sources is worth mending.

use super::{
    dependency::Ecosystem,
    has_fetched,
    language::{LARGE, Languages},
    manifest::{ManifestFile, Package, Part, Scope, Source},
};
use crate::builtin::{
    Finding, Index, Report, Severity,
    index::{Class, FileEntry},
    phrase::counted,
};
use std::collections::{BTreeMap, BTreeSet};

/// How many names a message lists.
const NAMED: usize = 8;

pub(super) fn check(
    index: &Index,
    manifests: &[ManifestFile<'_>],
    languages: &Languages,
    report: &mut Report,
) {
    for manifest in manifests {
        if let Some(problem) = &manifest.problem {
            report.push(unreadable(manifest, problem));
            continue;
        }
        match manifest.format.part {
            Part::Manifest => {
                report.findings.extend(missing_lock(index, manifest, manifests));
                report.findings.extend(open_versions(index, manifest));
                report.findings.extend(moving_sources(index, manifest));
                report.findings.extend(outside_paths(index, manifest));
            }
            Part::Lock => {
                report.findings.extend(stale_lock(manifest, manifests));
                report.findings.extend(duplicates(manifest));
            }
        }
    }
    report.findings.extend(mixed_managers(manifests));
    report.findings.extend(committed_packages(index));
    for (path, lines) in &languages.large {
        report.push(
            Finding::new(
                "dev/large-source-file",
                Severity::Low,
                format!("{lines} lines of code in one file"),
                format!(
                    "Split it along its concerns: files of more than {LARGE} lines of code are \
                     hard to review and to change"
                ),
            )
            .at(path),
        );
    }
}

fn unreadable(manifest: &ManifestFile<'_>, problem: &str) -> Finding {
    Finding::new(
        "dev/unreadable-manifest",
        Severity::Medium,
        format!("cannot be read: {problem}"),
        "Mend the file: what it names is missing from this report, and tools may refuse it",
    )
    .at(&*manifest.file.path)
}

/// Whether `dir` is `other` or lies in it.
fn is_within(dir: &str, other: &str) -> bool {
    other.is_empty() || dir == other || dir.strip_prefix(other).is_some_and(|r| r.starts_with('/'))
}

fn missing_lock(
    index: &Index,
    manifest: &ManifestFile<'_>,
    manifests: &[ManifestFile<'_>],
) -> Option<Finding> {
    let (severity, name, command) = match (manifest.format.ecosystem, manifest.file.name()) {
        (Ecosystem::Cargo, _) => (Severity::Low, "Cargo.lock", "cargo generate-lockfile"),
        (Ecosystem::Npm, _) => (Severity::Medium, "package-lock.json", "npm install"),
        (Ecosystem::Go, _) => (Severity::Medium, "go.sum", "go mod tidy"),
        (Ecosystem::Rubygems, _) => (Severity::Medium, "Gemfile.lock", "bundle lock"),
        (Ecosystem::Composer, _) => (Severity::Medium, "composer.lock", "composer update"),
        (Ecosystem::Pypi, "Pipfile") => (Severity::Medium, "Pipfile.lock", "pipenv lock"),
        (Ecosystem::Pypi, "pyproject.toml") => (Severity::Low, "uv.lock", "uv lock"),
        // A file of requirements is its own lock; the JVM and .NET rarely lock.
        (Ecosystem::Pypi | Ecosystem::Maven | Ecosystem::Nuget, _) => return None,
    };
    let is_locked = manifests.iter().any(|lock| {
        lock.format.part == Part::Lock
            && lock.format.ecosystem == manifest.format.ecosystem
            && is_within(manifest.file.dir(), lock.file.dir())
    });
    // bun's lock may be binary, and has no parser here.
    let other_lock = |name: &str| {
        let dir = manifest.file.dir();
        let path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        index.file(&path).is_some()
    };
    let other = ["bun.lock", "bun.lockb", "requirements.txt"].into_iter().any(other_lock);
    if is_locked || other || !has_fetched(manifest) {
        return None;
    }
    // What a library's users get is decided by their own lock file.
    let library = manifest.contents.published;
    if library && matches!(manifest.format.ecosystem, Ecosystem::Pypi | Ecosystem::Composer) {
        return None;
    }
    // Tools alone break a build at worst, never what users run.
    let tools_alone = manifest.contents.packages.iter().all(|p| p.scope != Scope::Normal);
    let severity = if library || tools_alone { severity.min(Severity::Low) } else { severity };
    Some(
        Finding::new(
            "dev/missing-lock-file",
            severity,
            format!("no lock file such as `{name}` fixes the versions of its dependencies"),
            format!(
                "Run `{command}` and commit the lock file, so that every build and every audit \
                 sees the same versions"
            ),
        )
        .at(&*manifest.file.path),
    )
}

/// Whether a requirement takes any version that will ever be published.
fn is_open(ecosystem: Ecosystem, manifest: &FileEntry, package: &Package) -> bool {
    if package.source != Source::Registry {
        return false;
    }
    let Some(version) = package.version.as_deref().map(str::trim) else {
        // Elsewhere a missing version means that another file tells it.
        return match ecosystem {
            Ecosystem::Pypi => manifest.name() != "pyproject.toml",
            _ => false,
        };
    };
    match ecosystem {
        Ecosystem::Maven => {
            matches!(version, "LATEST" | "RELEASE" | "+") || version.starts_with("latest.")
        }
        Ecosystem::Composer => version == "*" || version.starts_with("dev-"),
        Ecosystem::Cargo | Ecosystem::Nuget | Ecosystem::Pypi => version == "*",
        Ecosystem::Npm => matches!(version, "*" | "x" | "latest" | "next" | ""),
        Ecosystem::Go | Ecosystem::Rubygems => false,
    }
}

fn open_versions(index: &Index, manifest: &ManifestFile<'_>) -> Option<Finding> {
    let open: Vec<&Package> = manifest
        .contents
        .packages
        .iter()
        // Peers are chosen by the user of the package.
        .filter(|package| package.scope != Scope::Optional)
        .filter(|package| is_open(manifest.format.ecosystem, manifest.file, package))
        .collect();
    let first = open.first()?;
    let names: Vec<&str> = open.iter().map(|package| &*package.name).collect();
    let runs = open.iter().any(|package| package.scope == Scope::Normal);
    let severity = if runs && manifest.file.name() != "requirements.txt" {
        Severity::Medium
    } else {
        Severity::Low
    };
    Some(
        Finding::new(
            "dev/open-version",
            severity,
            format!(
                "{} any version: {}",
                counted(open.len(), "dependency accepts", "dependencies accept"),
                listed(&names)
            ),
            "Require a range of versions that you have tested, so that a new major version \
             cannot break or take over a build",
        )
        .at(&*manifest.file.path)
        .on_line(line_of(index, manifest.file, &first.name)),
    )
}

fn moving_sources(index: &Index, manifest: &ManifestFile<'_>) -> Vec<Finding> {
    manifest
        .contents
        .packages
        .iter()
        .filter_map(|package| {
            let (severity, message, advice) = match package.source {
                Source::Git { pinned: false } => (
                    Severity::Medium,
                    format!("`{}` comes from a repository without a fixed commit", package.name),
                    "Name a tag or a commit: whoever can push to that branch can change this build",
                ),
                Source::Git { pinned: true } if manifest.contents.published => (
                    Severity::Low,
                    format!("`{}` comes from a repository, in a published package", package.name),
                    "Depend on a release from the registry: many registries refuse the rest, and \
                     auditors cannot see it",
                ),
                Source::Url => (
                    Severity::Medium,
                    format!("`{}` comes from an address outside of the registry", package.name),
                    "Depend on a release from the registry, or fix the archive's checksum",
                ),
                _ => return None,
            };
            Some(
                Finding::new("dev/unregistered-source", severity, message, advice)
                    .at(&*manifest.file.path)
                    .on_line(line_of(index, manifest.file, &package.name)),
            )
        })
        .collect()
}

/// Path dependencies that another checkout of the project would not have.
fn outside_paths(index: &Index, manifest: &ManifestFile<'_>) -> Vec<Finding> {
    let leaves = |path: &str| {
        let mut depth = manifest.file.dir().split('/').filter(|part| !part.is_empty()).count();
        path.starts_with('/')
            || path.split('/').any(|part| match part {
                ".." => match depth.checked_sub(1) {
                    Some(less) => {
                        depth = less;
                        false
                    }
                    None => true,
                },
                "" | "." => false,
                _ => {
                    depth += 1;
                    false
                }
            })
    };
    manifest
        .contents
        .packages
        .iter()
        .filter_map(|package| match &package.source {
            Source::Path(path) if leaves(path) => Some(
                Finding::new(
                    "dev/path-outside-project",
                    Severity::Medium,
                    format!("`{}` is taken from `{path}`, outside of the project", package.name),
                    "Move it into the project or depend on a release: a fresh checkout cannot be \
                     built",
                )
                .at(&*manifest.file.path)
                .on_line(line_of(index, manifest.file, &package.name)),
            ),
            _ => None,
        })
        .collect()
}

/// What the manifest beside a lock file names and the lock file lacks.
fn stale_lock(lock: &ManifestFile<'_>, manifests: &[ManifestFile<'_>]) -> Option<Finding> {
    let is_judged = matches!(
        lock.file.name(),
        "Cargo.lock" | "package-lock.json" | "poetry.lock" | "composer.lock" | "Gemfile.lock"
    );
    if !is_judged {
        return None;
    }
    let manifest = manifests.iter().find(|manifest| {
        manifest.format.part == Part::Manifest
            && manifest.format.ecosystem == lock.format.ecosystem
            && manifest.file.dir() == lock.file.dir()
            && matches!(
                manifest.file.name(),
                "Cargo.toml" | "package.json" | "pyproject.toml" | "composer.json" | "Gemfile"
            )
    })?;
    // A workspace's table may name what no member uses.
    let is_workspace =
        lock.format.ecosystem == Ecosystem::Cargo && manifest.contents.name.is_none();
    if is_workspace {
        return None;
    }
    let locked: BTreeSet<&str> = lock.contents.packages.iter().map(|p| &*p.name).collect();
    let missing: Vec<&str> = manifest
        .contents
        .packages
        .iter()
        .filter(|package| package.scope != Scope::Optional && package.source == Source::Registry)
        .map(|package| &*package.name)
        .filter(|name| !locked.contains(name))
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(
        Finding::new(
            "dev/stale-lock-file",
            Severity::Medium,
            format!(
                "it lacks {} of `{}`: {}",
                counted(missing.len(), "dependency", "dependencies"),
                manifest.file.path,
                listed(&missing)
            ),
            "Have the package manager update the lock file and commit it: a strict install fails \
             as it is",
        )
        .at(&*lock.file.path),
    )
}

/// Packages that are built in several versions. Only where that is not the manager's habit.
fn duplicates(lock: &ManifestFile<'_>) -> Option<Finding> {
    if lock.format.ecosystem != Ecosystem::Cargo {
        return None;
    }
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &lock.contents.packages {
        versions.entry(&package.name).or_default().extend(package.version.as_deref());
    }
    versions.retain(|_, versions| versions.len() > 1);
    if versions.is_empty() {
        return None;
    }
    let texts: Vec<String> = versions
        .iter()
        .map(|(name, versions)| {
            let versions: Vec<&str> = versions.iter().copied().collect();
            format!("{name} ({})", versions.join(", "))
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Some(
        Finding::new(
            "dev/duplicate-versions",
            Severity::Info,
            format!(
                "{} there in several versions: {}",
                counted(texts.len(), "dependency is", "dependencies are"),
                listed(&texts)
            ),
            "See `cargo tree --duplicates`: one version each builds faster and smaller",
        )
        .at(&*lock.file.path),
    )
}

fn mixed_managers(manifests: &[ManifestFile<'_>]) -> Vec<Finding> {
    let mut by_place: BTreeMap<(&str, Ecosystem), Vec<&ManifestFile<'_>>> = BTreeMap::new();
    for lock in manifests.iter().filter(|manifest| manifest.format.part == Part::Lock) {
        by_place.entry((lock.file.dir(), lock.format.ecosystem)).or_default().push(lock);
    }
    by_place
        .into_values()
        .filter_map(|locks| {
            let tools: BTreeSet<&str> = locks.iter().map(|lock| lock.format.tool).collect();
            let first = locks.first()?;
            if tools.len() < 2 {
                return None;
            }
            let names: Vec<&str> = locks.iter().map(|lock| lock.file.name()).collect();
            Some(
                Finding::new(
                    "dev/several-package-managers",
                    Severity::Medium,
                    format!("{} lie side by side", names.join(" and ")),
                    "Keep the lock file of the package manager in use and remove the others: they \
                     drift apart",
                )
                .at(&*first.file.path),
            )
        })
        .collect()
}

/// Directories of installed packages that no ignore file keeps out.
fn committed_packages(index: &Index) -> Vec<Finding> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for file in index.files().iter().filter(|file| file.class == Class::Vendored) {
        for name in ["node_modules/", ".venv/", "venv/", "bower_components/"] {
            let at = if file.path.starts_with(name) {
                Some(0)
            } else {
                file.path.find(&format!("/{name}")).map(|at| at + 1)
            };
            if let Some(dir) = at.and_then(|at| file.path.get(..at + name.len() - 1)) {
                *counts.entry(dir).or_default() += 1;
                break;
            }
        }
    }
    counts
        .into_iter()
        .map(|(dir, count)| {
            Finding::new(
                "dev/installed-packages-in-tree",
                Severity::Medium,
                format!(
                    "{} not ignored",
                    counted(
                        count,
                        "file of an installed package is",
                        "files of installed packages are"
                    )
                ),
                "Add the directory to `.gitignore`: the lock file is enough to install it again",
            )
            .at(dir)
        })
        .collect()
}

fn listed(names: &[&str]) -> String {
    let shown = names.get(..NAMED).unwrap_or(names).join(", ");
    match names.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// The first line that names `name`; 0 when none does.
fn line_of(index: &Index, file: &FileEntry, name: &str) -> u32 {
    let Some(text) = index.read(file) else {
        return 0;
    };
    let at = text.lines().position(|line| {
        line.find(name).is_some_and(|at| {
            let is_part =
                |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-');
            let after = line.get(at + name.len()..).and_then(|rest| rest.chars().next());
            let before = line.get(..at).and_then(|rest| rest.chars().next_back());
            !is_part(before) && !is_part(after)
        })
    });
    at.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::builtin::{Severity, dev::analyse, fixture::Tree};

    fn check(files: &[(&str, &str)], expected: &[(&str, Option<&str>, Option<u32>)]) {
        let tree = Tree::new(files);
        let report = analyse(&tree.index(), &tree.options());
        let mut found: Vec<_> =
            report.findings.iter().map(|f| (&*f.rule, f.path.as_deref(), f.line)).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{files:?}");
    }

    const LOCK: &str = "[[package]]\nname='a'\nversion='0.1.0'\n";

    #[test]
    fn manifests_without_a_lock_file_are_found() {
        let finding = |path| ("dev/missing-lock-file", Some(path), None);
        let cargo = "[package]\nname='a'\n[dependencies]\nserde='1'";
        check(&[("Cargo.toml", cargo)], &[finding("Cargo.toml")]);
        check(&[("Cargo.toml", "[package]\nname='a'")], &[]);
        check(&[("a/Cargo.toml", cargo), ("Cargo.lock", LOCK)], &[]);
        check(&[("package.json", r#"{"dependencies":{"a":"1"}}"#)], &[finding("package.json")]);
        check(&[("package.json", r#"{"dependencies":{"a":"1"}}"#), ("bun.lock", "{}")], &[]);
        check(&[("go.mod", "module x\nrequire y v1.0.0\n")], &[finding("go.mod")]);
        check(&[("requirements.txt", "flask==2\n")], &[]);
        check(
            &[(
                "pyproject.toml",
                "[build-system]\nrequires=[]\n[project]\nname='a'\ndependencies=['b>1']",
            )],
            &[],
        );
    }

    #[test]
    fn a_lock_file_matters_most_where_programs_need_it() {
        for (manifest, severity) in [
            (r#"{"private":true,"dependencies":{"a":"1"}}"#, Severity::Medium),
            (r#"{"private":true,"devDependencies":{"a":"1"}}"#, Severity::Low),
        ] {
            let tree = Tree::new(&[("package.json", manifest)]);
            let report = analyse(&tree.index(), &tree.options());
            assert_eq!(report.findings[0].severity, severity, "{manifest}");
        }
    }

    #[test]
    fn dependencies_that_may_change_by_themselves_are_found() {
        let locked = |deps: &str| {
            let text = format!("[package]\nname='a'\n[dependencies]\n{deps}");
            let lock = format!("{LOCK}[[package]]\nname='b'\nversion='1.0.0'\nsource='registry'\n");
            (text, lock)
        };
        for (deps, rule) in [
            ("b='1'", None),
            ("b='*'", Some("dev/open-version")),
            ("b={git='https://h/b'}", Some("dev/unregistered-source")),
            ("b={git='https://h/b',rev='abc'}", None),
            ("b={path='../b'}", Some("dev/path-outside-project")),
            ("b={path='b'}", None),
        ] {
            let (text, lock) = locked(deps);
            let expected: Vec<_> =
                rule.into_iter().map(|rule| (rule, Some("Cargo.toml"), Some(4))).collect();
            check(&[("Cargo.toml", &text), ("Cargo.lock", &lock)], &expected);
        }
        check(
            &[("requirements.txt", "# web\nflask\nnumpy==1\n")],
            &[("dev/open-version", Some("requirements.txt"), Some(2))],
        );
    }

    #[test]
    fn lock_files_that_do_not_fit_are_found() {
        check(
            &[
                ("package.json", r#"{"dependencies":{"a":"1","b":"1"}}"#),
                ("package-lock.json", r#"{"packages":{"node_modules/a":{"version":"1.0.0"}}}"#),
            ],
            &[("dev/stale-lock-file", Some("package-lock.json"), None)],
        );
        check(
            &[
                ("package.json", r#"{"dependencies":{"a":"1"}}"#),
                ("package-lock.json", r#"{"packages":{"node_modules/a":{"version":"1.0.0"}}}"#),
                ("yarn.lock", "a@1:\n  version \"1.0.0\"\n"),
            ],
            &[("dev/several-package-managers", Some("package-lock.json"), None)],
        );
        check(
            &[(
                "Cargo.lock",
                "[[package]]\nname='a'\nversion='1'\n[[package]]\nname='a'\nversion='2'\n",
            )],
            &[("dev/duplicate-versions", Some("Cargo.lock"), None)],
        );
        check(&[("Cargo.lock", "[[")], &[("dev/unreadable-manifest", Some("Cargo.lock"), None)]);
    }

    #[test]
    fn installed_packages_in_the_tree_are_one_finding() {
        check(
            &[("web/node_modules/a/index.js", "x"), ("web/node_modules/b/index.js", "y")],
            &[("dev/installed-packages-in-tree", Some("web/node_modules"), None)],
        );
    }
}
