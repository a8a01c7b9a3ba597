//! What an attempt made in a place of its own, and what proves it, for people.

use crate::output::text;
use orchestrator_service::views::{CheckedView, EvidenceView, WorkView};
use std::time::Duration;

/// How many changed files and failed tests are shown.
const SHOWN: usize = 20;
/// How many lines of what a check printed are shown.
const PRINTED: usize = 12;

/// All of it, in lines.
pub(super) fn lines(work: &WorkView) -> Vec<String> {
    let place = &work.workspace;
    let plain = |what: &str| text::harmless(what, false).into_owned();
    let mut lines = vec![format!("{}  {}", place.kind, plain(&place.directory))];
    let confined = match place.sandbox.as_str() {
        "off" => "off: not confined",
        name => name,
    };
    lines.push(format!("sandbox  {confined}"));
    lines.extend(place.branch.iter().map(|branch| format!("branch  {}", plain(branch))));
    lines.extend(place.base.iter().map(|base| format!("base  {base}")));
    if !work.checkpoints.is_empty() {
        lines.push(format!("checkpoints  {}", work.checkpoints.len()));
    }
    if let Some(made) = &work.made {
        let files = text::counted(u64::from(made.files), "file");
        lines.push(format!("commit  {} ({files} changed)", made.commit));
        lines.extend(made.changed.iter().take(SHOWN).map(|file| {
            let from = file.from.iter().map(|from| format!(" from {from}")).collect::<String>();
            plain(&format!("   {} {}{from}", file.change, file.path))
        }));
        lines.extend(more(made.files as usize));
    }
    lines.extend(work.evidence.iter().flat_map(evidence));
    if let Some(landed) = &work.landed {
        lines.push(plain(&format!("landed  on {} as {}", landed.branch, landed.commit)));
    }
    if let Some(request) = &work.requested {
        lines.push(plain(&format!("pull request  for {}: {}", request.branch, request.url)));
    }
    if let Some(refused) = &work.refused {
        let why = match refused.files.is_empty() {
            true => "the checks do not pass together with what is there".to_owned(),
            false => format!("conflicts in {}", refused.files.join(", ")),
        };
        lines.push(plain(&format!("not landed  on {}: {why}", refused.branch)));
    }
    lines
}

/// What proves it or not, in lines.
pub(super) fn evidence(evidence: &EvidenceView) -> Vec<String> {
    let plain = |what: &str| text::harmless(what, false).into_owned();
    let confined = match evidence.sandbox.as_str() {
        "off" => "without a sandbox".to_owned(),
        name => format!("in {name}"),
    };
    let mut lines = vec![format!("evidence  {}, checked {confined}", evidence.verdict)];
    lines.extend(evidence.checks.iter().flat_map(check));
    lines.extend(evidence.findings.iter().map(|found| {
        let blocks = if found.blocks { "" } else { " (only flagged)" };
        plain(&format!("   {}{blocks}  {}  {}", found.kind, found.path, found.message))
    }));
    lines.extend(evidence.judgement.iter().map(|judged| {
        let verdict = if judged.accepted { "accepts it" } else { "does not accept it" };
        plain(&format!("   {} {verdict}: {}", judged.agent, judged.reason))
    }));
    lines
}

fn check(check: &CheckedView) -> Vec<String> {
    let plain = |what: &str| text::harmless(what, false).into_owned();
    let mut said = vec![text::elapsed(Duration::from_millis(check.duration_ms))];
    said.extend(check.exit_code.map(|code| format!("exit code {code}")));
    let counts = [(check.passed, "passed"), (check.failed, "failed"), (check.skipped, "skipped")];
    let counts = counts.into_iter().filter_map(|(count, what)| Some((count?, what)));
    said.extend(
        counts.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
    );
    said.extend(check.coverage.map(|part| format!("{part:.1} % covered")));
    said.extend((check.runs > 1).then(|| format!("run {} times", check.runs)));
    let mut lines =
        vec![plain(&format!("   {}  {} ({})", check.name, check.outcome, said.join(", ")))];
    lines.extend(check.new_failures.iter().take(SHOWN).map(|name| plain(&format!("      {name}"))));
    if matches!(check.outcome, "failed" | "timed-out" | "unusable") {
        let printed: Vec<&str> = check.excerpt.lines().collect();
        let last = printed.len().saturating_sub(PRINTED);
        lines.extend(printed[last..].iter().map(|line| plain(&format!("      | {line}"))));
    }
    lines
}

fn more(files: usize) -> Option<String> {
    let more = files.checked_sub(SHOWN).filter(|more| *more > 0)?;
    Some(format!("   and {more} more: --json tells more of them"))
}
