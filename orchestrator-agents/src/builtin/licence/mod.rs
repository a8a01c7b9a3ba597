//! Licences: what the project and its dependencies stand under, and where that does not fit.
//!
//! Only what the project's directory holds is read: manifests, licence files, lock files, and
//! packages installed below it. What none of them states is counted as unknown.

mod compatibility;
mod declared;
mod expression;
mod installed;
mod text;

#[cfg(test)]
mod tests;

use super::{
    Options,
    dev::{self, Dependency},
    finding::{Finding, Severity},
    index::{Class, Index},
    phrase,
};
use compatibility::{Verdict, verdict};
use declared::{Declared, declared};
use expression::{Stated, terms};
use installed::Installed;
use serde_json::{Value, json};
use spdx::Expression;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

/// What the licences of a project come to.
#[derive(Debug, Default)]
pub struct Licences {
    /// What does not fit or is missing.
    pub findings: Vec<Finding>,
    /// `project` (by manifest and licence file) and `dependencies` (`total`, `unknown`,
    /// `by-licence`: counts by expression).
    pub facts: Value,
    /// One sentence.
    pub summary: String,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// The most statements of the project's own that the facts list.
const MAX_FACTS: usize = 50;

/// A licence file and what it is.
#[derive(Debug)]
struct LicenceFile {
    path: String,
    dir: String,
    id: Option<&'static str>,
}

/// Reads the licences of the project and of its dependencies and compares them.
pub fn analyse(index: &Index, options: &Options) -> Licences {
    let own = declared(index);
    let files = licence_files(index);
    let mut result = Licences::default();
    judge_own(&own, &files, index.home(), &mut result.findings);
    let dependencies = judge_dependencies(index, options, &own, &files, &mut result);

    let mut project: Vec<Value> = own
        .iter()
        .filter_map(|own| Some(json!({ "file": own.manifest, "licence": own.licence.as_ref()? })))
        .collect();
    project.extend(
        files.iter().filter_map(|file| Some(json!({ "file": file.path, "licence": file.id? }))),
    );
    let more = project.len().saturating_sub(MAX_FACTS);
    project.truncate(MAX_FACTS);
    if more > 0 {
        result.notes.push(format!(
            "{more} more licence statements of the project's own parts are not listed in the facts"
        ));
    }
    let licence = root_licence(&own, &files, index.home());
    let words = match &licence {
        Some(stated) => stated.canonical().unwrap_or_else(|| "unclear".to_owned()),
        None => "not stated".to_owned(),
    };
    result.summary = format!("The project's licence: {words}; {}", dependencies.words());
    result.facts = json!({
        "licence": words,
        "project": project,
        "dependencies": {
            "total": dependencies.total,
            "unknown": dependencies.unknown,
            "by-licence": dependencies.by_licence,
        },
    });
    result
}

fn licence_files(index: &Index) -> Vec<LicenceFile> {
    const STARTS: [&str; 4] = ["license", "licence", "copying", "unlicense"];
    index
        .files()
        .iter()
        .filter(|file| file.class == Class::Own)
        .filter(|file| {
            let name = file.name().to_ascii_lowercase();
            let is_text = matches!(
                name.rsplit_once('.').map_or("", |(_, extension)| extension),
                "" | "md" | "txt" | "rst" | "lesser" | "mit" | "apache" | "bsd"
            );
            let stem = name.split(['.', '-', '_']).next().unwrap_or_default();
            // `MIT-LICENSE.txt` is as common as `LICENSE-MIT.txt`.
            let whole = name.split('.').next().unwrap_or_default();
            let ends = ["-license", "_license", "-licence", "_licence"];
            let is_named = STARTS.contains(&stem) || ends.iter().any(|end| whole.ends_with(end));
            is_text && is_named && !name.contains("third") && !name.contains("header")
        })
        .filter_map(|file| {
            let text = index.read(file)?;
            Some(LicenceFile {
                path: file.path.clone(),
                dir: file.dir().to_owned(),
                id: text::identify(&text),
            })
        })
        .collect()
}

/// What the project's own files say, compared with each other.
fn judge_own(own: &[Declared], files: &[LicenceFile], home: &str, findings: &mut Vec<Finding>) {
    let stated = own.iter().any(|own| own.licence.is_some());
    let is_private = !own.is_empty() && own.iter().all(|own| own.is_private);
    if !stated && files.is_empty() && !is_private {
        findings.push(Finding::new(
            "security/licence-missing",
            Severity::Low,
            "neither a manifest nor a file says under which licence the project stands",
            "Choose a licence, add its text as `LICENSE` and its SPDX name to the manifest; without \
             one nobody may use or change the code",
        ));
    }
    for file in files.iter().filter(|file| file.id.is_none() && file.dir == home) {
        let is_alone = !files.iter().any(|other| other.id.is_some() && other.dir == home);
        if is_alone && !stated {
            findings.push(
                Finding::new(
                    "security/licence-unclear",
                    Severity::Low,
                    "the text is none of the common licences, and no manifest names one",
                    "Use the unchanged text of an SPDX-listed licence, or name yours in the manifest",
                )
                .at(&file.path),
            );
        }
    }
    for own in own {
        let Some(raw) = &own.licence else { continue };
        match Stated::parse(raw) {
            Stated::Proprietary => {}
            Stated::Unclear => findings.push(
                Finding::new(
                    "security/licence-unclear",
                    Severity::Low,
                    format!("`{raw}` names no licence that SPDX lists"),
                    "Write an SPDX expression such as `MIT OR Apache-2.0`, so that tools and people \
                     know what is meant",
                )
                .at(&own.manifest),
            ),
            Stated::Spdx(expression) => {
                if !Stated::is_strict(raw) {
                    let better = Stated::Spdx(expression.clone()).canonical().unwrap_or_default();
                    findings.push(
                        Finding::new(
                            "security/licence-not-spdx",
                            Severity::Info,
                            format!("`{raw}` is no SPDX expression; it seems to mean `{better}`"),
                            "Write the SPDX expression, so that tools know what is meant",
                        )
                        .at(&own.manifest),
                    );
                }
                judge_agreement(own, raw, &expression, files, findings);
            }
        }
    }
}

/// Whether the licence file beside a manifest is one that the manifest names.
fn judge_agreement(
    own: &Declared,
    raw: &str,
    expression: &Expression,
    files: &[LicenceFile],
    findings: &mut Vec<Finding>,
) {
    let beside: Vec<&LicenceFile> =
        files.iter().filter(|file| file.dir == own.dir && file.id.is_some()).collect();
    let named = terms(expression);
    let fits = |id: &str| {
        named.iter().any(|term| {
            // The LGPL is an addition to the GPL, whose text comes with it.
            term.base == id || (term.base.starts_with("LGPL-") && id.starts_with("GPL-"))
        })
    };
    if let Some(first) = beside.first()
        && !beside.iter().any(|file| file.id.is_some_and(fits))
    {
        findings.push(
            Finding::new(
                "security/licence-mismatch",
                Severity::Medium,
                format!(
                    "`{}` says `{raw}`, but the text here is {}",
                    own.manifest,
                    first.id.unwrap_or_default()
                ),
                "Make both say the same: a reader cannot know which one holds",
            )
            .at(&first.path),
        );
    }
}

/// The licence that holds for what lies in `dir`: of the manifest there or nearest above, else of
/// the licence file.
fn root_licence(own: &[Declared], files: &[LicenceFile], dir: &str) -> Option<Stated> {
    let mut dir = dir;
    loop {
        let here = own.iter().filter(|own| own.dir == dir);
        if let Some(raw) = here.clone().find_map(|own| own.licence.as_deref()) {
            return Some(Stated::parse(raw));
        }
        let ids: BTreeSet<&str> =
            files.iter().filter(|file| file.dir == dir).filter_map(|file| file.id).collect();
        if !ids.is_empty() {
            // Several texts side by side are a choice; the LGPL's two are one licence.
            let lesser = ids.iter().any(|id| id.starts_with("LGPL-"));
            let names: Vec<String> = ids
                .iter()
                .filter(|id| !(lesser && id.starts_with("GPL-")))
                .map(|id| if id.contains("GPL-") { format!("{id}-only") } else { (*id).to_owned() })
                .collect();
            return Some(Stated::parse(&names.join(" OR ")));
        }
        if here.clone().any(|own| own.is_private) && dir.is_empty() {
            return Some(Stated::Proprietary);
        }
        if dir.is_empty() {
            return None;
        }
        dir = dir.rsplit_once('/').map_or("", |(above, _)| above);
    }
}

/// Counts of the dependencies' licences.
#[derive(Debug, Default)]
struct Counted {
    total: usize,
    unknown: usize,
    conflicts: usize,
    by_licence: BTreeMap<String, usize>,
}

impl Counted {
    fn words(&self) -> String {
        if self.total == 0 {
            return "no dependencies were found.".to_owned();
        }
        let known = self.total - self.unknown;
        let conflicts = match self.conflicts {
            0 => "none of them conflicts with it".to_owned(),
            1 => "one of them conflicts with it".to_owned(),
            count => format!("{count} of them conflict with it"),
        };
        match known {
            0 if self.total == 1 => {
                "its one dependency states none in the project's files.".to_owned()
            }
            0 => format!(
                "none of its {} dependencies states one in the project's files.",
                self.total
            ),
            _ => format!(
                "{known} of {} {} theirs, and {conflicts}.",
                phrase::counted(self.total, "dependency", "dependencies"),
                if known == 1 { "states" } else { "state" }
            ),
        }
    }
}

fn judge_dependencies(
    index: &Index,
    options: &Options,
    own: &[Declared],
    files: &[LicenceFile],
    result: &mut Licences,
) -> Counted {
    let installed = Installed::new(index.root());
    let own_names: BTreeSet<&str> = own.iter().filter_map(|own| own.name.as_deref()).collect();
    // One package that several files name counts once, under the file that states the licence.
    let mut packages: BTreeMap<(_, String, String), (Dependency, Option<String>)> = BTreeMap::new();
    let mut versioned: BTreeSet<(_, String)> = BTreeSet::new();
    let all = dev::dependencies(index);
    for dependency in &all {
        if dependency.licence.is_some() || dependency.manifest.to_ascii_lowercase().contains("lock")
        {
            versioned.insert((dependency.ecosystem, dependency.name.clone()));
        }
    }
    for dependency in all {
        if options.cancelled.load(Ordering::Relaxed) {
            break;
        }
        if own_names.contains(dependency.name.as_str()) {
            continue;
        }
        let is_locked = dependency.manifest.to_ascii_lowercase().contains("lock");
        // A requirement in a manifest is the same package as its pinned version in the lock file.
        if !is_locked
            && dependency.licence.is_none()
            && versioned.contains(&(dependency.ecosystem, dependency.name.clone()))
        {
            continue;
        }
        let licence = dependency.licence.clone().or_else(|| installed.licence(&dependency));
        let key = (
            dependency.ecosystem,
            dependency.name.clone(),
            // Requirements of several manifests on one package are one dependency; what lock files
            // hold in several versions is not.
            dependency.version.clone().filter(|_| is_locked).unwrap_or_default(),
        );
        match packages.get_mut(&key) {
            Some((_, known)) if known.is_none() => *known = licence,
            Some(_) => {}
            None => {
                packages.insert(key, (dependency, licence));
            }
        }
    }
    let mut counted = Counted { total: packages.len(), ..Counted::default() };
    for (dependency, licence) in packages.into_values() {
        let Some(raw) = licence else {
            counted.unknown += 1;
            continue;
        };
        let stated = Stated::parse(&raw);
        *counted
            .by_licence
            .entry(stated.canonical().unwrap_or_else(|| raw.clone()))
            .or_default() += 1;
        let Stated::Spdx(theirs) = stated else {
            result.findings.push(obligations(
                &dependency,
                &raw,
                "it names no licence that SPDX lists; ask what it means",
            ));
            continue;
        };
        let dir = dependency.manifest.rsplit_once('/').map_or("", |(dir, _)| dir);
        let (verdict, reason) = match root_licence(own, files, dir) {
            Some(Stated::Spdx(ours)) => verdict(Some(&*ours), &theirs),
            Some(Stated::Proprietary) => verdict(None, &theirs),
            // Without a licence of its own there is nothing to conflict with.
            Some(Stated::Unclear) | None => continue,
        };
        match verdict {
            Verdict::Fine => {}
            Verdict::Unknown | Verdict::Conditions => {
                result.findings.push(obligations(&dependency, &raw, reason))
            }
            Verdict::Conflict => {
                counted.conflicts += 1;
                result.findings.push(conflict(&dependency, &raw, reason));
            }
        }
    }
    if counted.unknown > 0 {
        result.notes.push(format!(
            "{} of {} without a licence in any file of the project; what a package manager keeps \
             outside of it is not read",
            counted.unknown,
            phrase::counted(counted.total, "dependency is", "dependencies are"),
        ));
    }
    counted
}

fn shown(dependency: &Dependency) -> String {
    match &dependency.version {
        Some(version) => format!("{} {version}", dependency.name),
        None => dependency.name.clone(),
    }
}

fn conflict(dependency: &Dependency, raw: &str, reason: &str) -> Finding {
    let severity = if dependency.direct { Severity::High } else { Severity::Medium };
    Finding::new(
        "security/licence-conflict",
        severity,
        format!("`{}` ({raw}) does not fit the project's licence: {reason}", shown(dependency)),
        "Replace it, keep it to tools that are not passed on, or change the project's licence; ask \
         someone who knows licences before you ship",
    )
    .at(&dependency.manifest)
}

fn obligations(dependency: &Dependency, raw: &str, reason: &str) -> Finding {
    Finding::new(
        "security/licence-obligations",
        Severity::Low,
        format!("`{}` ({raw}) comes with conditions: {reason}", shown(dependency)),
        "Read the conditions before you pass the project on, and say in its documentation how they \
         are met",
    )
    .at(&dependency.manifest)
}
