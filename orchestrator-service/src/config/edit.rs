//! Writing one setting, with the rest of the file as it is.

use super::{ConfigFiles, FILE, file, invalid, keys, keys::Takes, known_path, layer::*};
use crate::ServiceError;
use serde_json::Value;
use std::{
    io,
    io::Write,
    path::{Path, PathBuf},
};
use toml_edit::{DocumentMut, InlineTable, Item, Table};

/// Which file a setting is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConfigScope {
    /// The project's own.
    #[default]
    Project,
    /// The user's.
    User,
}

/// Writes the setting `key` and returns the file.
///
/// # Errors
/// An unknown key, a value that does not fit, a file that is not valid or cannot be written.
pub(crate) fn set(
    files: &ConfigFiles,
    scope: ConfigScope,
    key: &str,
    value: &str,
) -> Result<PathBuf, ServiceError> {
    let target = match (scope, &files.user) {
        (ConfigScope::Project, _) => files.project.clone(),
        (ConfigScope::User, Some(user)) => user.clone(),
        (ConfigScope::User, None) => {
            return Err(ServiceError::Argument {
                what: "the scope",
                given: "user".into(),
                expected: "neither XDG_CONFIG_HOME nor HOME says where your settings lie".into(),
            });
        }
    };
    let path = known_path(key)?;
    let layer = match scope {
        ConfigScope::Project => Layer::Project,
        ConfigScope::User => Layer::User,
    };
    let entry = Entry {
        path,
        value: Value::String(value.to_owned()),
        layer,
        origin: Origin::Flag(key.to_owned()),
    };
    let entry = entry.check().map_err(|problem| invalid(vec![*problem]))?;
    let unwritable =
        |source: io::Error| ServiceError::SettingsUnwritable { file: target.clone(), source };
    // Reading first reports what is wrong with the file as it is.
    file::read(&target, layer).map_err(invalid_all)?;
    let text = match std::fs::read_to_string(&target) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(unwritable(error)),
    };
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        ServiceError::Internal(format!("settings that were read cannot be edited: {error}"))
    })?;
    write(&mut document, &entry);
    let text = document.to_string();
    file::parse(&text, &target, layer).map_err(invalid_all)?;
    write_atomically(&target, text.as_bytes()).map_err(unwritable)?;
    Ok(target)
}

/// Puts the setting of `entry`, which was checked, into `document`.
pub(super) fn write(document: &mut DocumentMut, entry: &Entry) {
    let number = keys::find(&entry.path).is_some_and(|s| matches!(s.takes, Takes::Money));
    let item = toml_value(&entry.value, number);
    place(document.as_table_mut(), &entry.path.0, item);
}

fn invalid_all(problems: Vec<crate::document::Diagnostic>) -> ServiceError {
    invalid(problems)
}

fn toml_value(value: &Value, number: bool) -> toml_edit::Value {
    match value {
        Value::Number(count) => toml_edit::Value::from(count.as_i64().unwrap_or(i64::MAX)),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        // An amount is written as people write it, where TOML holds it exactly.
        Value::String(text) if number => match text.parse::<f64>() {
            Ok(amount) if amount.to_string() == *text && text.contains('.') => amount.into(),
            _ => text.parse::<i64>().map_or_else(|_| text.as_str().into(), Into::into),
        },
        Value::String(text) => text.as_str().into(),
        Value::Bool(flag) => (*flag).into(),
        other => other.to_string().into(),
    }
}

/// Puts `value` at `path`, into the inline tables and sections that are there, else new sections.
fn place(table: &mut Table, path: &[String], value: toml_edit::Value) {
    let Some((name, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        match table.get_mut(name) {
            Some(Item::Value(old)) => {
                // What stands around the old value, such as a comment after it, stays.
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
            _ => {
                table.insert(name, Item::Value(value));
            }
        }
        return;
    }
    // `key` and `limits` are written on one line, as in `key = { env = "X" }`.
    let inline = matches!(name.as_str(), "key" | "limits" | "timeouts" | "permissions");
    let item = table.entry(name).or_insert_with(|| {
        if inline {
            Item::Value(toml_edit::Value::InlineTable(InlineTable::new()))
        } else {
            let mut inner = Table::new();
            inner.set_implicit(true);
            Item::Table(inner)
        }
    });
    match item {
        Item::Table(inner) => place(inner, rest, value),
        Item::Value(toml_edit::Value::InlineTable(inner)) => place_inline(inner, rest, value),
        other => {
            let mut inner = Table::new();
            place(&mut inner, rest, value);
            *other = Item::Table(inner);
        }
    }
}

fn place_inline(table: &mut InlineTable, path: &[String], value: toml_edit::Value) {
    match path {
        [] => {}
        [name] => {
            // A key has one place: `env` replaces `secret` and the other way round.
            for other in ["env", "secret"].into_iter().filter(|other| other != name) {
                if matches!(name.as_str(), "env" | "secret") {
                    table.remove(other);
                }
            }
            table.insert(name, value);
        }
        [name, rest @ ..] => {
            let inner = table.entry(name).or_insert_with(|| InlineTable::new().into());
            if let toml_edit::Value::InlineTable(inner) = inner {
                place_inline(inner, rest, value);
            }
        }
    }
}

/// Writes `bytes` to `file` so that it is either the old or the new content, never a part.
pub(crate) fn write_atomically(file: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link stays one: what it points to is replaced.
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let directory = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or(FILE);
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut out = std::fs::File::create(&temporary)?;
        if let Ok(meta) = file.metadata() {
            out.set_permissions(meta.permissions())?;
        }
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&temporary, &file)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
