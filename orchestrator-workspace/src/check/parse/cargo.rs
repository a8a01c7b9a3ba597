//! What `cargo test` prints: the text of its test binaries, or their JSON lines.

use super::{Output, Report, Unreadable, cut_off, unreadable};
use orchestrator_core::workspace::{CaseOutcome, TestCounts};
use serde_json::Value;
use std::collections::VecDeque;

/// A test binary that runs.
#[derive(Debug, Default)]
struct Block {
    /// How many tests it said that it has.
    announced: u32,
    /// What it told of them.
    cases: Vec<(String, CaseOutcome)>,
    /// Whether tests are still being told of, and not what the failed ones printed.
    is_telling: bool,
}

pub(super) fn read(output: Output<'_>) -> Result<Report, Unreadable> {
    let text = output.text();
    if text.lines().any(|line| line.starts_with("{ \"type\": \"suite\"")) {
        return read_json(&text);
    }
    let stderr = String::from_utf8_lossy(output.stderr);
    // Cargo names the binaries on one stream, and they speak on the other.
    let mut named: VecDeque<String> = stderr.lines().filter_map(binary).collect();
    let mut report = Report::default();
    let mut name: Option<String> = None;
    let mut block: Option<Block> = None;
    for line in text.lines() {
        if let Some(binary) = binary(line) {
            name = Some(binary);
        } else if let Some(announced) = announced(line) {
            if block.is_some() {
                return cut_off(CUT);
            }
            block = Some(Block { announced, cases: Vec::new(), is_telling: true });
        } else if let Some(result) = line.strip_prefix("test result: ") {
            let Some(block) = block.take() else {
                // Nobody but a test binary that runs has a result; one that failed counts still.
                if result.starts_with("FAILED") {
                    report.broke("a test binary");
                }
                continue;
            };
            let binary = name.take().or_else(|| named.pop_front()).unwrap_or_default();
            close(&mut report, &binary, block, result)?;
        } else if let Some(block) = &mut block {
            if line.is_empty() || line == "failures:" || line == "successes:" {
                block.is_telling &= block.cases.len() < block.announced as usize;
            } else if block.is_telling
                && let Some(case) = case(line)
            {
                block.cases.push(case);
            }
        }
    }
    if block.is_some() {
        return cut_off(CUT);
    }
    if report.cases.is_empty() && !text.contains("test result: ") {
        return unreadable("it printed no results of tests");
    }
    Ok(report)
}

const CUT: &str = "a test binary ended before it told its result";

fn close(report: &mut Report, binary: &str, block: Block, result: &str) -> Result<(), Unreadable> {
    let Some(counts) = counts(result) else {
        return unreadable(format!("its result cannot be read: {}", super::cut(result)));
    };
    let before = report.counts;
    for (name, outcome) in block.cases {
        report.add(&format!("{binary} {name}"), outcome);
    }
    // With `--nocapture` what tests print stands between; the result is what counts.
    let add = |a: u32, b: u32| a.saturating_add(b);
    report.counts = TestCounts {
        passed: add(before.passed, counts.passed),
        failed: add(before.failed, counts.failed),
        skipped: add(before.skipped, counts.skipped),
    };
    let ran = add(add(counts.passed, counts.failed), counts.skipped);
    if ran < block.announced && !result.contains("measured") {
        return cut_off(CUT);
    }
    let has_failed = !result.starts_with("ok") || counts.failed > 0;
    if has_failed && report.failures().next().is_none() {
        report.broke(&format!("{binary} (a test binary)"));
    }
    Ok(())
}

/// The name of a binary whose tests are about to run.
fn binary(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} (documentation)"));
    }
    let (source, program) = line.strip_prefix("Running ")?.split_once(" (")?;
    let program = program.strip_suffix(')')?;
    let file = program.rsplit('/').next().unwrap_or(program);
    let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
    let source = source.strip_prefix("unittests ").unwrap_or(source);
    Some(format!("{name} {source}"))
}

fn announced(line: &str) -> Option<u32> {
    let (number, rest) = line.strip_prefix("running ")?.split_once(' ')?;
    matches!(rest, "test" | "tests").then(|| number.parse().ok()).flatten()
}

/// `test a::b ... ok`.
fn case(line: &str) -> Option<(String, CaseOutcome)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let outcome = if outcome == "ok" || outcome.starts_with("bench:") {
        CaseOutcome::Passed
    } else if outcome.starts_with("ignored") {
        CaseOutcome::Skipped
    } else if outcome.starts_with("FAILED") {
        CaseOutcome::Failed
    } else {
        return None;
    };
    Some((plain(name), outcome))
}

/// A name without what is said beside it. The line of a documentation test moves with every edit
/// above it and tells nothing.
fn plain(name: &str) -> String {
    let name = name.split_once(" - should panic").map_or(name, |(name, _)| name);
    match (name.rfind(" (line "), name.rfind(')')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &name[..start], &name[end + 1..])
        }
        _ => name.to_owned(),
    }
}

/// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
fn counts(result: &str) -> Option<TestCounts> {
    let number = |word: &str| {
        let part = result.split([';', '.']).find(|part| part.trim_end().ends_with(word))?;
        part.trim().split(' ').next()?.parse().ok()
    };
    Some(TestCounts {
        passed: number(" passed")?,
        failed: number(" failed")?,
        skipped: number(" ignored")?,
    })
}

fn read_json(text: &str) -> Result<Report, Unreadable> {
    let mut report = Report::default();
    let (mut suite, mut is_open) = (0_u32, false);
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let word = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        match (word("type"), word("event")) {
            ("suite", "started") => {
                if is_open {
                    return cut_off(CUT);
                }
                (suite, is_open) = (suite.saturating_add(1), true);
            }
            ("suite", event @ ("ok" | "failed")) => {
                is_open = false;
                if event == "failed" && report.counts.failed == 0 {
                    report.broke(&format!("test binary {suite}"));
                }
            }
            ("test", event) => {
                let outcome = match event {
                    "ok" => CaseOutcome::Passed,
                    "failed" | "timeout" => CaseOutcome::Failed,
                    "ignored" => CaseOutcome::Skipped,
                    _ => continue,
                };
                report.add(&format!("{suite} {}", plain(word("name"))), outcome);
            }
            _ => {}
        }
    }
    if is_open { cut_off(CUT) } else { Ok(report) }
}
