//! Reads typed values out of a document and collects every problem on the way.

use super::problem::{self as code, Problem, did_you_mean, join};
use serde_json::{Map, Value};

/// A mapping in a document with the place where it stands.
pub(crate) struct Table<'v> {
    pub(crate) map: &'v Map<String, Value>,
    pub(crate) at: String,
}

pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

pub(crate) fn wrong_type(at: &str, expected: &str, found: &Value) -> Problem {
    Problem::new(
        code::WRONG_TYPE,
        at,
        format!("{expected} is expected here, but {} is given", type_name(found)),
    )
}

/// The value as a mapping.
pub(crate) fn table<'v>(
    value: &'v Value,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<Table<'v>> {
    match value {
        Value::Object(map) => Some(Table { map, at: at.to_owned() }),
        other => {
            problems.push(wrong_type(at, "a mapping", other));
            None
        }
    }
}

impl<'v> Table<'v> {
    pub(crate) fn pointer(&self, key: &str) -> String {
        join(&self.at, key)
    }

    /// The value of `key`, when it is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Reports every key that is neither known nor planned, and every planned one as not offered yet.
    pub(crate) fn check_keys(&self, known: &[&str], planned: &[&str], problems: &mut Vec<Problem>) {
        for key in self.map.keys() {
            if known.contains(&key.as_str()) {
                continue;
            }
            let at = self.pointer(key);
            problems.push(if planned.contains(&key.as_str()) {
                Problem::new(
                    code::NOT_OFFERED,
                    &at,
                    format!("`{key}` is part of the language, but not offered by this version"),
                )
            } else {
                Problem::new(code::UNKNOWN_KEY, &at, format!("the key `{key}` is not known here"))
                    .suggest(did_you_mean(key, known.iter().copied()))
            });
        }
    }

    pub(crate) fn text(&self, key: &str, problems: &mut Vec<Problem>) -> Option<&'v str> {
        match self.get(key)? {
            Value::String(text) => Some(text),
            other => {
                problems.push(wrong_type(&self.pointer(key), "text", other));
                None
            }
        }
    }

    pub(crate) fn required_text(&self, key: &str, problems: &mut Vec<Problem>) -> Option<&'v str> {
        if self.get(key).is_none() {
            problems.push(Problem::new(
                code::MISSING_KEY,
                &self.at,
                format!("the key `{key}` is missing"),
            ));
        }
        self.text(key, problems)
    }

    /// A text value made into something by a fallible conversion.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        key: &str,
        problems: &mut Vec<Problem>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        self.keep(key, parse(text), problems)
    }

    /// The good outcome, or a problem at `key`.
    pub(crate) fn keep<T, E: std::fmt::Display>(
        &self,
        key: &str,
        outcome: Result<T, E>,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        outcome
            .map_err(|error| {
                problems.push(Problem::new(
                    code::INVALID_VALUE,
                    &self.pointer(key),
                    error.to_string(),
                ));
            })
            .ok()
    }

    pub(crate) fn flag(&self, key: &str, problems: &mut Vec<Problem>) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            other => {
                problems.push(wrong_type(&self.pointer(key), "true or false", other));
                None
            }
        }
    }

    /// A whole number between two bounds, both included.
    pub(crate) fn count(
        &self,
        key: &str,
        bounds: std::ops::RangeInclusive<u32>,
        problems: &mut Vec<Problem>,
    ) -> Option<u32> {
        let value = self.get(key)?;
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
        match number {
            Some(number) if bounds.contains(&number) => Some(number),
            _ if value.is_number() => {
                problems.push(Problem::new(
                    code::INVALID_VALUE,
                    &self.pointer(key),
                    format!(
                        "`{key}` must be a whole number from {} to {}",
                        bounds.start(),
                        bounds.end()
                    ),
                ));
                None
            }
            _ => {
                problems.push(wrong_type(&self.pointer(key), "a whole number", value));
                None
            }
        }
    }

    /// One of several named values.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            problems.push(
                Problem::new(
                    code::INVALID_VALUE,
                    &self.pointer(key),
                    format!("`{text}` is not one of: {}", names.join(", ")),
                )
                .suggest(did_you_mean(text, names.iter().copied())),
            );
        }
        found
    }

    /// A list of texts, each with its place.
    pub(crate) fn texts(&self, key: &str, problems: &mut Vec<Problem>) -> Vec<(&'v str, String)> {
        let at = self.pointer(key);
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| match item {
                    Value::String(text) => Some((text.as_str(), join(&at, index))),
                    other => {
                        problems.push(wrong_type(&join(&at, index), "text", other));
                        None
                    }
                })
                .collect(),
            Some(other) => {
                problems.push(wrong_type(&at, "a list of texts", other));
                Vec::new()
            }
        }
    }
}
