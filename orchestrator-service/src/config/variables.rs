//! Settings from environment variables and the project's `.env` file.

use super::{
    keys::{self, SETTINGS},
    layer::{Entry, Layer, Origin},
    path::KeyPath,
};
use crate::document::Diagnostic;
use serde_json::Value;
use std::{io, path::Path};

const PREFIX: &str = "ORCHESTRATOR_";

/// The setting that the variable `name` stands for. Levels are told apart by `__`, so a variable
/// without it is none: `ORCHESTRATOR_RUN` tells a program which run it works for.
fn path_of(name: &str, names: &[KeyPath]) -> Option<KeyPath> {
    let rest = name.strip_prefix(PREFIX)?;
    if !rest.contains("__") {
        return None;
    }
    let plain: Vec<String> =
        rest.split("__").map(|part| part.to_lowercase().replace('_', "-")).collect();
    let mut path = KeyPath(plain);
    // A name of the user's own may hold capitals, underscores or dots, which a variable cannot
    // tell from `-`: an entry that other layers made is meant before a new one.
    if let Some(own) = path.0.get(1).cloned() {
        let same = |other: &str| {
            let folded: String = other
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
                .collect();
            folded == own
        };
        let known = names
            .iter()
            .find(|known| known.0.len() > 1 && known.0[0] == path.0[0] && same(&known.0[1]));
        let has_names = SETTINGS.iter().any(|setting| {
            setting.key.strip_prefix(path.0[0].as_str()).is_some_and(|rest| rest.starts_with(".*."))
        });
        if let (true, Some(known)) = (has_names, known) {
            path.0[1] = known.0[1].clone();
        }
    }
    Some(path)
}

/// The entries that `variables` give. `names` are the settings of the layers below.
pub(super) fn read<'a>(
    variables: impl IntoIterator<Item = (&'a String, &'a String)>,
    layer: Layer,
    names: &[KeyPath],
) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in variables {
        let Some(path) = path_of(name, names) else { continue };
        let entry = Entry {
            path,
            value: Value::String(value.clone()),
            layer,
            origin: Origin::Variable(name.clone()),
        };
        match entry.check() {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

/// The variables of the `.env` file `path`; none when there is no such file.
///
/// A line is `NAME=VALUE`, after `export` or not; the value may stand in single quotes, which keep
/// it as it is, or in double quotes, in which `\n`, `\"` and `\\` are read. `#` starts a comment at
/// the start of a line or after a space.
pub(super) fn read_dot_env(path: &Path) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    let problem = |code, message: String, line: Option<usize>| Diagnostic {
        file: Some(path.to_owned()),
        line,
        ..Diagnostic::new(code, message)
    };
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| vec![problem("ORC-0703", "the file is not UTF-8 text".into(), None)])?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(vec![problem("ORC-0703", format!("cannot read the file: {error}"), None)]);
        }
    };
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let parsed = line.split_once('=').and_then(|(name, value)| {
            let name = name.trim();
            let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
            Some((fits.then(|| name.to_owned())?, unquote(value.trim())?))
        });
        match parsed {
            Some(variable) => variables.push(variable),
            // The line itself is not shown: it may hold a key.
            None => problems.push(
                problem("ORC-0703", "the line is not `NAME=VALUE`".into(), Some(index + 1))
                    .suggest(Some("close the quotes, or put the value in single quotes".into())),
            ),
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(problems) }
}

fn unquote(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (inner, after) = rest.split_once('\'')?;
        return is_comment(after).then(|| inner.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else {
        let end = value.find(" #").unwrap_or(value.len());
        return Some(value[..end].trim_end().to_owned());
    };
    let mut text = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return is_comment(chars.as_str()).then_some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

fn is_comment(after: &str) -> bool {
    let after = after.trim_start();
    after.is_empty() || after.starts_with('#')
}

/// The settings below which `variables` may name an entry.
pub(super) fn names(entries: &[Entry]) -> Vec<KeyPath> {
    entries
        .iter()
        .filter(|entry| keys::find(&entry.path).is_some())
        .map(|entry| entry.path.clone())
        .collect()
}
