//! Settings from TOML files.

use super::{
    layer::{Entry, Layer, Origin},
    path::KeyPath,
};
use crate::document::Diagnostic;
use serde_json::Value;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use toml_edit::{Document, Item, TableLike};

/// The entries of the settings file `path`; none when there is no such file.
pub(super) fn read(path: &Path, layer: Layer) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let unreadable = |error: &dyn std::fmt::Display| {
        vec![Diagnostic {
            file: Some(path.to_owned()),
            ..Diagnostic::new("ORC-0101", format!("cannot read the settings: {error}"))
        }]
    };
    match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse(&text, path, layer),
            Err(_) => Err(unreadable(&"the file is not UTF-8 text")),
        },
        // A file where a directory would be holds no settings; making the directory refuses it.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(unreadable(&error)),
    }
}

/// The entries of `text`, or everything that is wrong with it.
pub(super) fn parse(text: &str, path: &Path, layer: Layer) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let source: Arc<str> = text.into();
    let file = File { path: path.to_owned(), text: source };
    let document = Document::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let message = format!("the settings are not valid TOML: {}", error.message().trim());
        vec![file.origin(at).diagnostic("ORC-0102", message.replace('\n', "; "))]
    })?;
    let mut found = Vec::new();
    file.collect(document.as_table(), &KeyPath(Vec::new()), layer, &mut found);
    let mut problems = Vec::new();
    let entries =
        found.into_iter().filter_map(|entry| entry.check().map_err(|p| problems.push(*p)).ok());
    let entries = entries.collect();
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

struct File {
    path: PathBuf,
    text: Arc<str>,
}

impl File {
    fn origin(&self, at: usize) -> Origin {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Origin::File { file: self.path.clone(), line, column, text: self.text.clone() }
    }

    fn collect(&self, table: &dyn TableLike, at: &KeyPath, layer: Layer, entries: &mut Vec<Entry>) {
        for (name, item) in table.iter() {
            let path = at.child(name);
            let key = table.get_key_value(name).and_then(|(key, _)| key.span());
            let start = key.or_else(|| item.span()).map_or(0, |span| span.start);
            // Below a setting nothing is looked for: its value is wrong as a whole.
            let inner = item
                .as_table_like()
                .filter(|_| super::keys::is_section(&path) || super::keys::find(&path).is_none());
            match inner {
                Some(inner) if !inner.is_empty() => self.collect(inner, &path, layer, entries),
                // An empty section is no setting, unless it could never become one.
                Some(_) if super::keys::is_section(&path) => {}
                _ => entries.push(Entry {
                    path,
                    value: json(item),
                    layer,
                    origin: self.origin(start),
                }),
            }
        }
    }
}

fn json(item: &Item) -> Value {
    match item.as_value() {
        Some(value) => value_json(value),
        None => Value::Null,
    }
}

fn value_json(value: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match value {
        Toml::String(text) => Value::String(text.value().clone()),
        Toml::Integer(number) => Value::from(*number.value()),
        Toml::Float(number) => Value::from(*number.value()),
        Toml::Boolean(flag) => Value::from(*flag.value()),
        Toml::Datetime(instant) => Value::String(instant.value().to_string()),
        Toml::Array(items) => items.iter().map(value_json).collect(),
        Toml::InlineTable(_) => Value::Null,
    }
}
