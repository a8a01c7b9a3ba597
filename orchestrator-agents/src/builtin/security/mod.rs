//! The security analyst: secrets, risky files and settings, and licences.
//!
//! It reads the files of the index and, where there is a git repository, what git tracks in spite
//! of its ignore rules; with [`Options::history`] also every commit. It runs nothing but `git`,
//! and that so that a repository's own settings cannot make it run anything else. A secret is
//! never shown whole.

mod actions;
mod container;
mod diff;
mod git;
mod history;
mod pattern;
mod place;
mod secret;

#[cfg(test)]
mod tests;

pub(crate) use secret::scrub;

use super::{
    Options,
    finding::{Finding, Report, Severity},
    index::{Class, Index, Kind, classify},
    licence,
    phrase::counted,
};
use git::{Git, GitError};
use place::Tracking;
use secret::{ALLOW, Context, Scan, Scanner};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::Read,
};

/// Files that git tracks and ignores at once are read up to this size, as others are.
const MAX_FILE: u64 = 1 << 20;

/// Tells what is unsafe in a project, and under which licences it and its dependencies stand.
///
/// Facts: `files-scanned`, `secrets` (counts of `found`, `allowed-by-comment`, and with the
/// history `in-history` and `commits`), `licences` (see the licence analysis).
pub fn analyse(index: &Index, options: &Options) -> Report {
    let mut report = Report::new("security");
    let mut tally = Tally::default();
    if !Scanner::shared().is_ready() {
        report.note("secrets were not looked for: the rules could not be compiled on this machine");
    }
    scan_files(index, options, &mut report, &mut tally);
    let git = repository(index, options, &mut report);
    if let Some(git) = &git {
        scan_hidden(git, index, &mut report, &mut tally);
    }
    judge_places(index, options, git.as_ref(), &mut report);
    if let (true, Some(git)) = (options.history, &git) {
        let history = history::search(git, &tally.known, &options.cancelled);
        tally.in_history = Some((history.findings.len(), history.commits));
        tally.allowed += history.allowed;
        report.findings.extend(history.findings);
        report.notes.extend(history.notes);
    }
    let licences = licence::analyse(index, options);
    let licence_words = licences.summary;
    report.findings.extend(licences.findings);
    report.notes.extend(licences.notes);

    let mut secrets = json!({ "found": tally.found, "allowed-by-comment": tally.allowed });
    if let (Some((found, commits)), Some(map)) = (tally.in_history, secrets.as_object_mut()) {
        map.insert("in-history".to_owned(), json!(found));
        map.insert("commits".to_owned(), json!(commits));
    }
    report.fact("files-scanned", tally.files);
    report.fact("secrets", secrets);
    report.fact("licences", licences.facts);
    if tally.allowed > 0 {
        report.note(format!(
            "{} possible secrets are allowed by the comment `{ALLOW}`",
            tally.allowed
        ));
    }
    report.summary = summary(&report, &tally, &licence_words);
    report.finish();
    report
}

/// What was counted on the way.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    found: usize,
    allowed: usize,
    /// Findings in the history and commits read, when it was searched.
    in_history: Option<(usize, usize)>,
    /// The secrets that are reported already.
    known: HashSet<u64>,
}

/// What one file gave.
#[derive(Debug, Default)]
struct FileResult {
    secrets: Scan,
    others: Vec<Finding>,
}

fn scan_files(index: &Index, options: &Options, report: &mut Report, tally: &mut Tally) {
    let scanned = index.scan(
        &options.cancelled,
        |_| true,
        |file, text| scan_text(&file.path, file.class, text),
    );
    tally.files = scanned.len();
    for (file, result) in scanned {
        keep(&file.path, file.class, result, report, tally);
    }
}

fn scan_text(path: &str, class: Class, text: &str) -> FileResult {
    let mut others = Vec::new();
    // Tests switch protections off on purpose, and other people's code is theirs to mend.
    if matches!(class, Class::Own | Class::Example) {
        others = pattern::scan(path, text);
        let name = path.rsplit('/').next().unwrap_or(path);
        if container::is_dockerfile(name) {
            others.extend(container::scan(path, text));
        } else if actions::is_workflow(path) {
            others.extend(actions::scan(path, text));
        }
    }
    FileResult { secrets: Scanner::shared().scan(text, Context::of(path)), others }
}

/// Turns one file's results into findings; made-up credentials of tests become one a file.
fn keep(path: &str, class: Class, result: FileResult, report: &mut Report, tally: &mut Tally) {
    report.findings.extend(result.others);
    tally.allowed += result.secrets.allowed;
    let mut made_up: BTreeMap<(String, &str), (usize, u32)> = BTreeMap::new();
    for hit in result.secrets.hits {
        tally.known.insert(hit.fingerprint);
        let is_test =
            matches!(class, Class::Test | Class::Fixture | Class::Example) || is_chapter(path);
        if is_test && hit.severity <= Severity::Low {
            made_up.entry((hit.rule, hit.name)).or_insert((0, hit.line)).0 += 1;
            continue;
        }
        tally.found += 1;
        report.push(
            Finding::new(
                hit.rule,
                hit.severity,
                format!("{} {}", hit.name, hit.shown),
                format!(
                    "If it is real, {}, then read it from the environment or a secret store. If it \
                     is not, mark the line with `{ALLOW}`",
                    hit.revoke
                ),
            )
            .at(path)
            .on_line(hit.line),
        );
    }
    for ((rule, name), (count, line)) in made_up {
        let message = match count {
            1 => format!("{name} in a test or an example, probably made up"),
            _ => format!("{count} times a {name} in a test or an example, probably made up"),
        };
        let advice = format!("Make sure that none of them is real, and mark them with `{ALLOW}`");
        report.push(Finding::new(rule, Severity::Info, message, advice).at(path).on_line(line));
    }
}

/// Whether the file is a page of the documentation, where credentials are examples.
fn is_chapter(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let in_docs = lower.split('/').rev().skip(1).any(|dir| matches!(dir, "doc" | "docs"));
    let extension = lower.rsplit_once('.').map_or("", |(_, extension)| extension);
    in_docs && matches!(extension, "md" | "mdx" | "rst" | "txt" | "adoc")
}

/// The repository to ask, with a note when there is none that matters.
fn repository(index: &Index, options: &Options, report: &mut Report) -> Option<Git> {
    match Git::open(index.root()) {
        Ok(git) => Some(git),
        Err(error) => {
            let reason = match &error {
                GitError::Io(source) => format!("{error}: {source}"),
                _ => error.to_string(),
            };
            if options.history {
                report.note(format!("the history was not searched: {reason}"));
            } else {
                report.note(format!("what git tracks is not known: {reason}"));
            }
            None
        }
    }
}

/// Reads what the index leaves out because an ignore rule names it, although git has it.
fn scan_hidden(git: &Git, index: &Index, report: &mut Report, tally: &mut Tally) {
    let hidden = match git.tracked_but_ignored() {
        Ok(hidden) => hidden,
        Err(error) => {
            report
                .note(format!("files that git tracks and ignores at once were not read: {error}"));
            return;
        }
    };
    for path in hidden {
        if index.file(&path).is_some() {
            continue;
        }
        let class = classify(&path);
        let full = index.root().join(&path);
        // A link on the way would lead out of the project.
        let is_inside = fs::canonicalize(&full).is_ok_and(|real| real == full);
        let Some(meta) =
            fs::symlink_metadata(&full).ok().filter(|meta| is_inside && meta.is_file())
        else {
            continue;
        };
        if let Some(risky) = place::by_name(&path, meta.len(), Kind::Text) {
            report.push(risky.finding(&path, class, Tracking::Tracked));
        }
        let mut bytes = Vec::new();
        let read =
            fs::File::open(&full).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
        if read.is_ok() && meta.len() <= MAX_FILE && !bytes.iter().take(8192).any(|byte| *byte == 0)
        {
            let text = String::from_utf8_lossy(&bytes);
            tally.files += 1;
            keep(&path, class, scan_text(&path, class, &text), report, tally);
        }
    }
}

fn judge_places(index: &Index, options: &Options, git: Option<&Git>, report: &mut Report) {
    let risky: Vec<_> = index
        .files()
        .iter()
        .filter(|file| file.kind != Kind::Link)
        .filter_map(|file| Some((file, place::by_name(&file.path, file.size, file.kind)?)))
        .collect();
    let paths: Vec<&str> = risky.iter().map(|(file, _)| file.path.as_str()).collect();
    let tracked = git.and_then(|git| git.tracked(&paths).ok());
    for (file, risky) in &risky {
        let tracking = match &tracked {
            Some(tracked) if tracked.contains(&file.path) => Tracking::Tracked,
            Some(_) => Tracking::Loose,
            None => Tracking::Unknown,
        };
        report.push(risky.finding(&file.path, file.class, tracking));
    }
    let (found, note) = place::links_and_modes(index, &options.cancelled);
    report.findings.extend(found);
    report.notes.extend(note);
}

fn summary(report: &Report, tally: &Tally, licences: &str) -> String {
    let files = counted(tally.files, "file", "files");
    let secrets = match tally.found {
        0 => format!("No secret was found in {files}"),
        1 => format!("One possible secret was found in {files}"),
        count => format!("{count} possible secrets were found in {files}"),
    };
    let commits = |count| counted(count, "commit", "commits");
    let history = match tally.in_history {
        None => String::new(),
        Some((0, count)) => format!(", and none in the history of {}", commits(count)),
        Some((found, count)) => {
            let found = match tally.found {
                0 => format!("but {found}"),
                _ => format!("and {found} more"),
            };
            format!(", {found} in the history of {}", commits(count))
        }
    };
    let worst = report.findings.iter().filter(|finding| finding.severity >= Severity::High).count();
    let urgent = match worst {
        0 => "nothing is urgent".to_owned(),
        1 => "one finding is urgent".to_owned(),
        count => format!("{count} findings are urgent"),
    };
    format!("{secrets}{history}; {urgent}. {licences}")
}
