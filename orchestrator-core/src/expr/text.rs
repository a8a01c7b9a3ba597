//! Texts with `{{ path }}`, and values that hold such texts.

use super::{ExprError, MAX_TEXT, MAX_VALUE, program::tasks_in};
use serde_json::{Map, Value};
use std::io;

/// A piece of a text with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Path(Vec<&'t str>),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, ExprError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        pieces.push(Piece::Text(&rest[..open]));
        let inside = &rest[open + 2..];
        let close = inside.find("}}").ok_or(ExprError::Unclosed)?;
        let path = inside[..close].trim();
        let steps: Vec<&str> = path.split('.').map(str::trim).collect();
        let is_step = |step: &&str| {
            !step.is_empty()
                && step.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        if !steps.iter().all(is_step) {
            return Err(ExprError::NotAPath(path.chars().take(80).collect()));
        }
        pieces.push(Piece::Path(steps));
        rest = &inside[close + 2..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// The paths that `text` refers to, each as its steps.
///
/// # Errors
/// [`ExprError::Unclosed`] or [`ExprError::NotAPath`].
pub fn paths(text: &str) -> Result<Vec<Vec<&str>>, ExprError> {
    Ok(pieces(text)?
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Path(steps) => Some(steps),
            Piece::Text(_) => None,
        })
        .collect())
}

/// The tasks that `source` refers to: by `{{ tasks.NAME }}` where it is a text that holds `{{`,
/// else as an expression in CEL. Each once, in the order of the source; what cannot be read
/// refers to nothing.
pub fn refers(source: &str) -> Vec<String> {
    if !source.contains("{{") {
        return tasks_in(source);
    }
    let mut found: Vec<String> = Vec::new();
    for path in paths(source).unwrap_or_default() {
        if let ["tasks", name, ..] = path[..]
            && !found.iter().any(|known| known == name)
        {
            found.push(name.to_owned());
        }
    }
    found
}

/// `text` with every `{{ path }}` replaced by its value in `scope`: text as it is, other values as
/// compact JSON. What is filled in is not looked at again.
///
/// # Errors
/// [`ExprError::Unclosed`], [`ExprError::NotAPath`], [`ExprError::NoValue`], or
/// [`ExprError::TooLong`] above [`MAX_TEXT`] bytes.
pub fn fill(text: &str, scope: &Value) -> Result<String, ExprError> {
    fill_where(text, |steps| Some(lookup(steps, scope)))
}

/// `value` with every text in it filled in, keys as they are. A text that is nothing but one
/// `{{ path }}` becomes the value itself, whatever its type.
///
/// # Errors
/// Those of [`fill`], and [`ExprError::TooLarge`] when the whole exceeds [`MAX_VALUE`] bytes.
pub fn fill_value(value: &Value, scope: &Value) -> Result<Value, ExprError> {
    fill_within(value, scope, &mut ValueSize::new(MAX_VALUE))
}

fn fill_within(value: &Value, scope: &Value, size: &mut ValueSize) -> Result<Value, ExprError> {
    match value {
        Value::String(text) if text.contains("{{") => {
            if let Some(steps) = only_path(text)? {
                let found = lookup(&steps, scope)?;
                size.add(found).ok_or(ExprError::TooLarge)?;
                return Ok(found.clone());
            }
            let text = fill(text, scope)?;
            size.take(text.len()).ok_or(ExprError::TooLarge)?;
            Ok(Value::String(text))
        }
        Value::Array(items) => items.iter().map(|item| fill_within(item, scope, size)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                size.take(key.len()).ok_or(ExprError::TooLarge)?;
                Ok((key.clone(), fill_within(value, scope, size)?))
            })
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        other => {
            size.add(other).ok_or(ExprError::TooLarge)?;
            Ok(other.clone())
        }
    }
}

/// The steps of the path when `text` is nothing but one `{{ path }}`.
fn only_path(text: &str) -> Result<Option<Vec<&str>>, ExprError> {
    let mut path = None;
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) if text.trim().is_empty() => {}
            Piece::Path(steps) if path.is_none() => path = Some(steps),
            Piece::Text(_) | Piece::Path(_) => return Ok(None),
        }
    }
    Ok(path)
}

/// The same as [`fill`], but paths for which `value` gives `None` are left as they stand.
pub(crate) fn fill_where<'v>(
    text: &str,
    value: impl Fn(&[&str]) -> Option<Result<&'v Value, ExprError>>,
) -> Result<String, ExprError> {
    let mut filled = Filled(Vec::with_capacity(text.len().min(MAX_TEXT)));
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => filled.push(text)?,
            Piece::Path(steps) => match value(&steps) {
                None => filled.push(&format!("{{{{ {} }}}}", steps.join(".")))?,
                Some(found) => match found? {
                    Value::String(text) => filled.push(text)?,
                    Value::Null => {}
                    other => {
                        serde_json::to_writer(&mut filled, other)
                            .map_err(|_| ExprError::TooLong)?;
                    }
                },
            },
        }
    }
    // Texts and JSON are UTF-8, and so is what they are joined to.
    String::from_utf8(filled.0).map_err(|_| ExprError::TooLong)
}

/// What is filled in so far; refuses to grow past [`MAX_TEXT`].
struct Filled(Vec<u8>);

impl Filled {
    fn push(&mut self, text: &str) -> Result<(), ExprError> {
        if text.len() > MAX_TEXT - self.0.len() {
            return Err(ExprError::TooLong);
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl io::Write for Filled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > MAX_TEXT - self.0.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The value at a path of `scope`.
pub(super) fn lookup<'v>(steps: &[&str], scope: &'v Value) -> Result<&'v Value, ExprError> {
    let mut at = scope;
    for step in steps {
        let next = match at {
            Value::Object(map) => map.get(*step),
            Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        at = next.ok_or_else(|| ExprError::NoValue {
            path: steps.join("."),
            reason: format!("there is no `{step}`"),
        })?;
    }
    Ok(at)
}

/// Counts roughly how many bytes values take as JSON, and stops at a bound.
pub(crate) struct ValueSize {
    left: usize,
}

impl ValueSize {
    pub(crate) fn new(bound: usize) -> Self {
        Self { left: bound }
    }

    /// Counts so many bytes; nothing when the bound is passed.
    pub(crate) fn take(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes.saturating_add(4))?;
        Some(())
    }

    /// Counts `value` with all that it holds; nothing when the bound is passed.
    pub(crate) fn add(&mut self, value: &Value) -> Option<()> {
        match value {
            Value::String(text) => self.take(text.len()),
            Value::Array(items) => {
                self.take(0)?;
                items.iter().try_for_each(|item| self.add(item))
            }
            Value::Object(map) => {
                self.take(0)?;
                map.iter().try_for_each(|(key, value)| {
                    self.take(key.len())?;
                    self.add(value)
                })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.take(4),
        }
    }
}
