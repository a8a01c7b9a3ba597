//! Writing and removing the section of one agent, with the rest of the file as it is.

use super::{
    ConfigFiles, edit, file, invalid,
    layer::{Entry, Layer, Origin},
    path::KeyPath,
};
use crate::ServiceError;
use serde_json::Value;
use std::{io, path::Path};
use toml_edit::{DocumentMut, Item};

/// The project's settings as they would be.
#[derive(Debug)]
pub(crate) struct Draft {
    document: DocumentMut,
}

impl Draft {
    /// The project's settings as they are.
    ///
    /// # Errors
    /// A file that cannot be read or is not valid.
    pub(crate) fn of(files: &ConfigFiles) -> Result<Self, ServiceError> {
        file::read(&files.project, Layer::Project).map_err(invalid)?;
        let text = match std::fs::read_to_string(&files.project) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                return Err(ServiceError::SettingsUnwritable {
                    file: files.project.clone(),
                    source,
                });
            }
        };
        let document = text.parse().map_err(|error: toml_edit::TomlError| {
            ServiceError::Internal(format!("settings that were read cannot be edited: {error}"))
        })?;
        Ok(Self { document })
    }

    /// The agents that it has a section of.
    pub(crate) fn agents(&self) -> Vec<String> {
        let agents = self.document.get("agents").and_then(Item::as_table_like);
        agents.into_iter().flat_map(|agents| agents.iter()).map(|(name, _)| name.into()).collect()
    }

    /// Adds `settings` of the agent `name`, by the last parts of their keys.
    ///
    /// # Errors
    /// A name that no agent can have, a value that does not fit.
    pub(crate) fn add(
        &mut self,
        name: &str,
        settings: Vec<(&str, Value)>,
    ) -> Result<(), ServiceError> {
        for (key, value) in settings {
            let path = KeyPath(["agents", name, key].map(str::to_owned).to_vec());
            let origin = Origin::Flag(format!("agents.{name}.{key}"));
            let entry = Entry { path, value, layer: Layer::Project, origin };
            let entry = entry.check().map_err(|problem| invalid(vec![*problem]))?;
            edit::write(&mut self.document, &entry);
        }
        Ok(())
    }

    /// Removes the section of the agent `name`. Says whether it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let Some(agents) = self.document.get_mut("agents").and_then(Item::as_table_like_mut) else {
            return false;
        };
        let was_there = agents.remove(name).is_some();
        if agents.is_empty() {
            self.document.remove("agents");
        }
        was_there
    }

    /// Writes it to `file`, which holds all of it or nothing of it.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn write(&self, file: &Path) -> Result<(), ServiceError> {
        edit::write_atomically(file, self.document.to_string().as_bytes())
            .map_err(|source| ServiceError::SettingsUnwritable { file: file.to_owned(), source })
    }
}
