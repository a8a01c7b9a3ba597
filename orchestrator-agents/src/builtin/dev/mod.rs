//! The developer's analyst: languages, dependencies and frameworks.

mod dependency;
mod framework;
mod language;
mod manifest;
mod rule;

pub use dependency::{Dependency, Ecosystem, dependencies};

use super::{Index, Options, Report, phrase::counted};
use dependency::flatten;
use language::Languages;
use manifest::{ManifestFile, Part, Scope};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The most direct dependencies that the facts list; the lock files have the rest.
const MAX_DIRECT: usize = 200;
/// The most entry points that the facts list.
const MAX_ENTRY_POINTS: usize = 50;

/// Reports what the project is made of: languages and lines, frameworks, dependencies, entry
/// points; and what about them is worth mending.
pub fn analyse(index: &Index, options: &Options) -> Report {
    let mut report = Report::new("dev");
    let languages = language::count(index, &options.cancelled);
    let (manifests, left_out) = manifest::manifests(index);
    let dependencies = flatten(&manifests);
    let of_product: Vec<Dependency> =
        dependencies.iter().filter(|d| !is_side_show(&d.manifest)).cloned().collect();
    let frameworks = framework::detect(&of_product);

    report.summary = summary(&languages, &manifests, &dependencies, &frameworks);
    report.fact(
        "totals",
        json!({
            "files": languages.total.files,
            "lines": languages.total.lines(),
            "code": languages.total.code,
            "comments": languages.total.comments,
            "blanks": languages.total.blanks,
        }),
    );
    report.fact("languages", languages.table());
    report.fact("set-aside", languages.set_aside_table());
    report.fact("frameworks", frameworks);
    report.fact("package-managers", package_managers(&manifests));
    report.fact("dependencies", by_ecosystem(&manifests, &dependencies));
    let direct = direct(&dependencies, &mut report.notes);
    report.fact("direct-dependencies", direct);
    report.fact("entry-points", entry_points(index, &manifests));

    rule::check(index, &manifests, &languages, &mut report);
    if left_out > 0 {
        report.note(format!(
            "left out: {} in tests, examples, fixtures or copied code",
            counted(left_out, "manifest", "manifests")
        ));
    }
    report.finish();
    report
}

/// Whether a manifest is about the project's documentation or tools: what those are built with
/// says nothing about the project.
fn is_side_show(manifest: &str) -> bool {
    let dirs = manifest.rsplit_once('/').map_or("", |(dirs, _)| dirs);
    dirs.split('/').any(|dir| matches!(dir, "doc" | "docs" | "tools" | "website" | ".github"))
}

fn summary(
    languages: &Languages,
    manifests: &[ManifestFile<'_>],
    dependencies: &[Dependency],
    frameworks: &[String],
) -> String {
    let mut summary = match languages.main() {
        Some(main) => format!(
            "{} in {}, mostly {main}",
            counted(languages.total.code, "line of code", "lines of code"),
            counted(languages.total.files, "file", "files")
        ),
        None => "No source code was found".to_owned(),
    };
    if !frameworks.is_empty() {
        let shown: Vec<&str> = frameworks.iter().take(5).map(String::as_str).collect();
        summary.push_str(&format!(", with {}", shown.join(", ")));
    }
    summary.push_str(". ");
    if manifests.is_empty() {
        summary.push_str("No manifest of a known package manager was found.");
    } else {
        let names = |direct: bool| -> BTreeSet<(Ecosystem, &str)> {
            dependencies
                .iter()
                .filter(|dependency| dependency.direct || !direct)
                .map(|dependency| (dependency.ecosystem, &*dependency.name))
                .collect()
        };
        let files = counted(manifests.len(), "manifest or lock file", "manifests and lock files");
        let (all, direct) = (names(false).len(), names(true).len());
        let packages = counted(all, "package is", "packages are");
        summary.push_str(&match (all, direct) {
            (0, _) => format!("There are no dependencies in {files}."),
            (1, 1) => format!("{packages} depended on, by {files}."),
            (all, direct) if all == direct => {
                format!("{packages} depended on, all of them directly, by {files}.")
            }
            _ => format!("{packages} depended on, {direct} of them directly, by {files}."),
        });
    }
    summary
}

fn package_managers(manifests: &[ManifestFile<'_>]) -> Vec<&'static str> {
    let tools: BTreeSet<&str> = manifests.iter().map(|manifest| manifest.format.tool).collect();
    tools.into_iter().collect()
}

fn by_ecosystem(manifests: &[ManifestFile<'_>], dependencies: &[Dependency]) -> Value {
    #[derive(Default)]
    struct Counts<'a> {
        direct: BTreeSet<&'a str>,
        all: BTreeSet<&'a str>,
        manifests: usize,
        locks: usize,
    }
    let mut counts: BTreeMap<Ecosystem, Counts<'_>> = BTreeMap::new();
    for manifest in manifests {
        let counts = counts.entry(manifest.format.ecosystem).or_default();
        match manifest.format.part {
            Part::Manifest => counts.manifests += 1,
            Part::Lock => counts.locks += 1,
        }
    }
    for dependency in dependencies {
        let counts = counts.entry(dependency.ecosystem).or_default();
        counts.all.insert(&dependency.name);
        if dependency.direct {
            counts.direct.insert(&dependency.name);
        }
    }
    counts
        .into_iter()
        .map(|(ecosystem, counts)| {
            json!({
                "ecosystem": ecosystem,
                "direct": counts.direct.len(),
                "total": counts.all.len(),
                "manifests": counts.manifests,
                "lock-files": counts.locks,
            })
        })
        .collect()
}

/// What the manifests name, each package once for each ecosystem, with the requirement.
fn direct(dependencies: &[Dependency], notes: &mut Vec<String>) -> Value {
    let mut seen: BTreeMap<(Ecosystem, &str), &Dependency> = BTreeMap::new();
    for dependency in dependencies.iter().filter(|dependency| dependency.direct) {
        seen.entry((dependency.ecosystem, &dependency.name)).or_insert(dependency);
    }
    if let Some(more @ 1..) = seen.len().checked_sub(MAX_DIRECT) {
        notes.push(format!("{more} more direct dependencies are counted but not listed"));
    }
    seen.into_values()
        .take(MAX_DIRECT)
        .map(|dependency| {
            json!({
                "ecosystem": dependency.ecosystem,
                "name": dependency.name,
                "version": dependency.version,
                "manifest": dependency.manifest,
            })
        })
        .collect()
}

/// Where programs begin: what manifests say, and files that are so by the habit of their language.
fn entry_points(index: &Index, manifests: &[ManifestFile<'_>]) -> Vec<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    for manifest in manifests {
        let dir = manifest.file.dir();
        for entry in &manifest.contents.entry_points {
            // What names a module or a class, not a file, stays as it is written.
            let is_path = entry.contains('.') && !entry.contains([' ', ':']) && !dir.is_empty();
            let joined = format!("{dir}/{entry}");
            let is_file = is_path && index.file(&joined).is_some();
            found.insert(if is_file { joined } else { entry.clone() });
        }
    }
    for file in index.files().iter().filter(|file| file.class == super::index::Class::Own) {
        let in_bin = file.dir() == "src/bin" || file.dir().ends_with("/src/bin");
        let in_cmd = file.dir().starts_with("cmd/") || file.dir().contains("/cmd/");
        let is_entry = match file.name() {
            "main.rs" => file.dir() == "src" || file.dir().ends_with("/src") || in_bin,
            "main.go" => !file.dir().contains('/') || in_cmd,
            "__main__.py" | "manage.py" | "Program.cs" | "config.ru" => true,
            name => in_bin && name.ends_with(".rs"),
        };
        if is_entry {
            found.insert(file.path.clone());
        }
    }
    found.into_iter().take(MAX_ENTRY_POINTS).collect()
}

/// Whether a manifest names anything that has to be fetched to run or build.
fn has_fetched(manifest: &ManifestFile<'_>) -> bool {
    manifest.contents.packages.iter().any(|package| {
        package.scope != Scope::Optional
            && !matches!(package.source, manifest::Source::Path(_) | manifest::Source::Workspace)
    })
}
