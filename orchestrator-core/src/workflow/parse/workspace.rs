//! Reads where a task works, what proves its result and where that goes.

use crate::{
    time::parse_duration,
    workflow::{
        problem::{self as code, Problem, join},
        reader::{Table, table, wrong_type},
    },
    workspace::{
        CheckCommand, CheckParser, CheckSpec, ChecksPolicy, LandMode, LandPolicy, TamperPolicy,
        WorkspaceKind, WorkspacePolicy,
    },
};
use serde_json::Value;
use std::sync::Arc;

/// How often a check may be run again, at most.
const MOST_RETRIES: u32 = 10;

/// A word is the kind; a mapping may say more.
pub(super) fn read_workspace(
    owner: &Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Arc<WorkspacePolicy>> {
    let kinds = WorkspaceKind::ALL.map(|kind| (kind.as_str(), kind));
    let policy = match owner.get("workspace")? {
        Value::String(_) => {
            let kind = owner.choice("workspace", &kinds, problems)?;
            WorkspacePolicy { kind, ..WorkspacePolicy::default() }
        }
        value @ Value::Object(_) => {
            let own = table(value, &owner.pointer("workspace"), problems)?;
            let known = [
                "kind",
                "setup",
                "cleanup",
                "copy",
                "ports",
                "directory",
                "sparse",
                "quota",
                "hooks",
            ];
            own.check_keys(&known, &[], problems);
            let kind = own.choice("kind", &kinds, problems);
            let ports = own.count("ports", 0..=100, problems).unwrap_or_default();
            WorkspacePolicy {
                kind: kind.unwrap_or(WorkspaceKind::Worktree),
                setup: texts(&own, "setup", problems),
                cleanup: texts(&own, "cleanup", problems),
                copy: texts(&own, "copy", problems),
                ports: u16::try_from(ports).unwrap_or(u16::MAX),
                directory: own.text("directory", problems).map(str::to_owned),
                sparse: texts(&own, "sparse", problems),
                quota: read_quota(&own, problems),
                hooks: own.flag("hooks", problems).unwrap_or(false),
            }
        }
        other => {
            let expected = "`none`, `project`, `worktree`, `copy`, or a mapping with `kind`,";
            problems.push(wrong_type(&owner.pointer("workspace"), expected, other));
            return None;
        }
    };
    Some(Arc::new(policy))
}

/// A list of commands, or a mapping that has it in `run`. An empty list takes the checks of the
/// `defaults` away.
pub(super) fn read_checks(
    owner: &Table<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Arc<ChecksPolicy>> {
    let at = owner.pointer("checks");
    let policy = match owner.get("checks")? {
        Value::Array(items) => {
            ChecksPolicy { run: read_list(items, &at, problems), ..ChecksPolicy::default() }
        }
        value @ Value::Object(_) => {
            let own = table(value, &at, problems)?;
            let known = ["run", "tamper", "baseline", "setup", "protect", "judge"];
            own.check_keys(&known, &[], problems);
            let tamper = [
                ("block", TamperPolicy::Block),
                ("flag", TamperPolicy::Flag),
                ("off", TamperPolicy::Off),
            ];
            let run = match own.get("run") {
                Some(Value::Array(items)) => read_list(items, &own.pointer("run"), problems),
                Some(other) => {
                    problems.push(wrong_type(&own.pointer("run"), "a list of checks", other));
                    Vec::new()
                }
                None => {
                    let message = "the key `run` is missing: the list of checks";
                    problems.push(Problem::new(code::MISSING_KEY, &own.at, message));
                    Vec::new()
                }
            };
            ChecksPolicy {
                run,
                tamper: own.choice("tamper", &tamper, problems).unwrap_or_default(),
                baseline: own.flag("baseline", problems).unwrap_or(false),
                setup: texts(&own, "setup", problems),
                protect: texts(&own, "protect", problems),
                judge: own.text("judge", problems).map(str::to_owned),
            }
        }
        other => {
            let expected = "a list of commands, or a mapping with `run`,";
            problems.push(wrong_type(&at, expected, other));
            return None;
        }
    };
    Some(Arc::new(policy))
}

fn read_list(items: &[Value], at: &str, problems: &mut Vec<Problem>) -> Vec<CheckSpec> {
    let read = |(index, item)| read_check(item, &join(at, index), problems);
    items.iter().enumerate().filter_map(read).collect()
}

/// A text is a line for the shell; a mapping may say more.
fn read_check(item: &Value, at: &str, problems: &mut Vec<Problem>) -> Option<CheckSpec> {
    match item {
        Value::String(line) => {
            let command = CheckCommand::Shell(told(line, at, problems)?.to_owned());
            Some(CheckSpec::new(line.clone(), command))
        }
        Value::Object(_) => {
            let own = table(item, at, problems)?;
            let known =
                ["name", "run", "directory", "timeout", "parser", "report", "retries", "coverage"];
            own.check_keys(&known, &[], problems);
            let command = read_command(&own, problems);
            let parsers = CheckParser::ALL.map(|parser| (parser.as_str(), parser));
            let parser = own.choice("parser", &parsers, problems).unwrap_or_default();
            let retries = own.count("retries", 0..=MOST_RETRIES, problems).unwrap_or_default();
            let coverage = own.count("coverage", 0..=100, problems);
            let name = own.text("name", problems).map(str::to_owned);
            let directory = own.text("directory", problems).map(str::to_owned);
            let timeout = own.parsed("timeout", problems, parse_duration);
            let report = own.text("report", problems).map(str::to_owned);
            let command = command?;
            let name = name.unwrap_or_else(|| command.to_string());
            Some(CheckSpec {
                directory,
                timeout,
                parser,
                report,
                retries,
                coverage: coverage.and_then(|percent| u8::try_from(percent).ok()),
                ..CheckSpec::new(name, command)
            })
        }
        other => {
            problems.push(wrong_type(at, "a command, or a mapping with `run`,", other));
            None
        }
    }
}

fn read_command(own: &Table<'_>, problems: &mut Vec<Problem>) -> Option<CheckCommand> {
    let at = own.pointer("run");
    match own.get("run") {
        Some(Value::String(line)) => Some(CheckCommand::Shell(told(line, &at, problems)?.into())),
        Some(Value::Array(_)) => {
            let words = texts(own, "run", problems);
            told(words.first().map_or("", String::as_str), &at, problems)?;
            Some(CheckCommand::Program(words))
        }
        Some(other) => {
            problems.push(wrong_type(&at, "a command, or a list of program and arguments,", other));
            None
        }
        None => {
            let message = "the key `run` is missing: what the check runs";
            problems.push(Problem::new(code::MISSING_KEY, &own.at, message));
            None
        }
    }
}

/// The text, unless it says nothing.
fn told<'t>(text: &'t str, at: &str, problems: &mut Vec<Problem>) -> Option<&'t str> {
    if text.trim().is_empty() {
        problems.push(Problem::new(code::INVALID_VALUE, at, "a check that runs nothing"));
        return None;
    }
    Some(text)
}

/// A word is the mode; a mapping may say more.
pub(super) fn read_land(owner: &Table<'_>, problems: &mut Vec<Problem>) -> Option<Arc<LandPolicy>> {
    let modes = LandMode::ALL.map(|mode| (mode.as_str(), mode));
    let policy = match owner.get("land")? {
        Value::String(_) => {
            let mode = owner.choice("land", &modes, problems)?;
            LandPolicy { mode, ..LandPolicy::default() }
        }
        // YAML 1.1 reads `no` so.
        Value::Bool(false) => LandPolicy { mode: LandMode::No, ..LandPolicy::default() },
        value @ Value::Object(_) => {
            let own = table(value, &owner.pointer("land"), problems)?;
            own.check_keys(
                &["mode", "target", "touches", "keep-apart", "unverified"],
                &[],
                problems,
            );
            let mode = match own.get("mode") {
                Some(Value::Bool(false)) => Some(LandMode::No),
                _ => own.choice("mode", &modes, problems),
            };
            LandPolicy {
                mode: mode.unwrap_or_default(),
                target: own.text("target", problems).map(str::to_owned),
                touches: texts(&own, "touches", problems),
                keep_apart: own.flag("keep-apart", problems).unwrap_or(false),
                unverified: own.flag("unverified", problems).unwrap_or(false),
            }
        }
        other => {
            let expected = "`branch`, `direct`, `pull-request`, `no`, or a mapping with `mode`,";
            problems.push(wrong_type(&owner.pointer("land"), expected, other));
            return None;
        }
    };
    Some(Arc::new(policy))
}

fn texts(own: &Table<'_>, key: &str, problems: &mut Vec<Problem>) -> Vec<String> {
    own.texts(key, problems).into_iter().map(|(text, _)| text.to_owned()).collect()
}

/// A number of bytes, or a text such as `500 MB`.
fn read_quota(own: &Table<'_>, problems: &mut Vec<Problem>) -> Option<u64> {
    match own.get("quota")? {
        Value::Number(number) if number.as_u64().is_some_and(|bytes| bytes > 0) => number.as_u64(),
        Value::String(text) => own.keep("quota", parse_size(text), problems),
        other => {
            let expected = "a size such as `500 MB`, or a number of bytes,";
            problems.push(wrong_type(&own.pointer("quota"), expected, other));
            None
        }
    }
}

/// Units of a thousand and of 1,024.
const UNITS: [(&str, u64); 9] = [
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size such as `500 MB`, `2 GiB` or `1.5 GB`");
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit = text[end..].trim().to_ascii_lowercase();
    let unit = if unit.is_empty() { "b" } else { &unit };
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let (number, factor) = (text[..end].parse::<f64>().map_err(|_| wrong())?, factor);
    let bytes = number * factor.ok_or_else(wrong)? as f64;
    // Beyond this a float does not hold every whole number; no disk is as large.
    if !(1.0..9e15).contains(&bytes) {
        return Err(wrong());
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("1", 1),
            ("500 MB", 500_000_000),
            ("1.5GB", 1_500_000_000),
            (" 2 KiB ", 2_048),
            ("1 tib", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "0", "-1 MB", "1 XB", "1.2.3 MB", "99999999 TB", "0.1 B"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
