//! What test tools say, in one shape.
//!
//! Every parser is total: whatever bytes it is given, it answers with a [`Report`] or says in words
//! why there is none. What it keeps is bounded by [`CASES`] and [`NAME`].

mod cargo;
mod coverage;
mod go;
mod jest;
mod junit;
mod pytest;
mod sarif;
mod tap;

use orchestrator_core::workspace::{CaseOutcome, CheckParser, TestCounts};
use std::{borrow::Cow, collections::BTreeMap};

/// The most cases that are kept by name; those beyond are counted only.
pub const CASES: usize = 100_000;
/// The most bytes of a case's name.
pub const NAME: usize = 400;

/// What a check left behind to be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Output<'a> {
    /// What it printed to its standard output.
    pub stdout: &'a [u8],
    /// What it printed to its standard error.
    pub stderr: &'a [u8],
    /// The file that it wrote, where one is named.
    pub report: Option<&'a [u8]>,
}

impl<'a> Output<'a> {
    /// The file, or what was printed where no file is named.
    fn main(&self) -> &'a [u8] {
        self.report.unwrap_or(self.stdout)
    }

    fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.main())
    }
}

/// What a check's output tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Each test by its name. Where a name occurs more than once, the worst outcome.
    pub cases: BTreeMap<String, CaseOutcome>,
    /// How many tests there were of each outcome, those of the same name each for itself.
    pub counts: TestCounts,
    /// What failed and is no test: a file that could not be loaded, a suite that broke.
    pub broken: Vec<String>,
    /// The part of lines that is covered, in percent.
    pub coverage: Option<f64>,
}

impl Report {
    /// How many tests ran.
    pub fn ran(&self) -> u32 {
        self.counts.passed.saturating_add(self.counts.failed)
    }

    /// The names of all that failed, what is no test among them.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        let failed = self.cases.iter().filter(|(_, outcome)| **outcome == CaseOutcome::Failed);
        failed.map(|(name, _)| name.as_str()).chain(self.broken.iter().map(String::as_str))
    }

    fn add(&mut self, name: &str, outcome: CaseOutcome) {
        let count = match outcome {
            CaseOutcome::Passed => &mut self.counts.passed,
            CaseOutcome::Failed => &mut self.counts.failed,
            CaseOutcome::Skipped => &mut self.counts.skipped,
        };
        *count = count.saturating_add(1);
        let name = cut(name.trim());
        if let Some(known) = self.cases.get_mut(name) {
            if rank(outcome) > rank(*known) {
                *known = outcome;
            }
        } else if self.cases.len() < CASES || outcome == CaseOutcome::Failed {
            self.cases.insert(name.to_owned(), outcome);
        }
    }

    fn broke(&mut self, what: &str) {
        let what = cut(what.trim()).to_owned();
        if self.broken.len() < CASES && !self.broken.contains(&what) {
            self.broken.push(what);
        }
    }
}

fn rank(outcome: CaseOutcome) -> u8 {
    match outcome {
        CaseOutcome::Skipped => 0,
        CaseOutcome::Passed => 1,
        CaseOutcome::Failed => 2,
    }
}

/// The first bytes of `name`, at most [`NAME`].
fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Why an output cannot be read, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    /// The words.
    pub why: String,
    /// Whether it begins as it should and ends before its end, as that of a program which ends
    /// itself does.
    pub is_cut: bool,
}

fn unreadable<T>(why: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable { why: why.into(), is_cut: false })
}

fn cut_off<T>(why: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable { why: why.into(), is_cut: true })
}

/// Reads an output. `Ok(None)` when only the exit code counts.
///
/// # Errors
/// [`Unreadable`] when it is not what the parser reads, or ends before its end.
pub fn read(parser: CheckParser, output: Output<'_>) -> Result<Option<Report>, Unreadable> {
    Ok(Some(match parser {
        CheckParser::ExitCode => return Ok(None),
        CheckParser::Junit => junit::read(output)?,
        CheckParser::Tap => tap::read(output)?,
        CheckParser::Sarif => sarif::read(output)?,
        CheckParser::Cargo => cargo::read(output)?,
        CheckParser::Pytest => pytest::read(output)?,
        CheckParser::Jest => jest::read(output)?,
        CheckParser::Go => go::read(output)?,
        CheckParser::Coverage => coverage::read(output)?,
    }))
}

/// Whether a parser tells of tests, so that none at all is no success.
pub fn tells_tests(parser: CheckParser) -> bool {
    match parser {
        CheckParser::ExitCode | CheckParser::Sarif | CheckParser::Coverage => false,
        CheckParser::Junit
        | CheckParser::Tap
        | CheckParser::Cargo
        | CheckParser::Pytest
        | CheckParser::Jest
        | CheckParser::Go => true,
    }
}

/// The JSON document in an output, or the last line of it that is one.
fn json(output: Output<'_>, what: &str) -> Result<serde_json::Value, Unreadable> {
    let bytes = output.main();
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // Tools print notes before their document.
    let lines = bytes.split(|byte| *byte == b'\n').rev().take(50);
    lines
        .filter(|line| line.trim_ascii_start().starts_with(b"{"))
        .find_map(|line| serde_json::from_slice(line).ok())
        .map_or_else(|| unreadable(format!("it gave no {what}: {error}")), Ok)
}

/// The XML document in an output, from its first element on. `f` must not keep it.
fn xml<T>(
    output: Output<'_>,
    f: impl FnOnce(roxmltree::Node<'_, '_>) -> Result<T, Unreadable>,
) -> Result<T, Unreadable> {
    let text = output.text();
    let start = text.find('<').unwrap_or(0);
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        nodes_limit: 4_000_000,
        ..roxmltree::ParsingOptions::default()
    };
    match roxmltree::Document::parse_with_options(text[start..].trim_end(), options) {
        Ok(document) => f(document.root_element()),
        Err(error) => unreadable(format!("it gave no XML that can be read: {error}")),
    }
}

/// Keeps a number from a report within what is counted.
fn count(value: Option<&serde_json::Value>) -> u32 {
    let number = value.and_then(serde_json::Value::as_u64).unwrap_or(0);
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
