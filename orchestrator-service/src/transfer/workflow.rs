//! A workflow file as one of the project's.

use super::import::refuse;
use crate::{
    OrchestratorService, ServiceError,
    templates::{Home, is_document},
    views::ImportView,
};
use serde_json::Map;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

impl OrchestratorService {
    /// Copies the workflow in `path` into the project, under its own name.
    ///
    /// # Errors
    /// An invalid workflow, a name that is taken, a directory that cannot be written.
    pub(super) fn import_workflow(
        &self,
        path: &Path,
        replace: bool,
    ) -> Result<ImportView, ServiceError> {
        if !is_document(path) {
            return Err(refuse(
                path,
                "it is neither an exported run nor a workflow file (.yaml, .yml, .json)".into(),
            ));
        }
        let catalogue = self.catalogue()?;
        let loaded = catalogue.load_file(path)?;
        // What needs parameters is a workflow only once they are given.
        if !loaded.parameters().iter().any(|parameter| parameter.required) {
            loaded.instantiate(&Map::new())?;
        }
        let twin = catalogue.list().into_iter().find(|listed| listed.name == loaded.name);
        let taken = |by: String| ServiceError::WorkflowHere { name: loaded.name.clone(), by };
        let target = match twin {
            Some(twin) if twin.home == Home::BuiltIn => {
                return Err(taken("a built-in template".into()));
            }
            Some(twin) if twin.home == Home::Project => twin.file,
            _ => None,
        };
        let replaced = target.is_some();
        let target = match target {
            Some(file) if replace && same_form(&file, path) => file,
            Some(file) => return Err(taken(format!("`{}`", file.display()))),
            None => self.free_place(path, &loaded.name)?,
        };
        let bytes = fs::read(path).map_err(|error| refuse(path, error.to_string()))?;
        self.place().prepare()?;
        write(&target, &bytes, replaced).map_err(|error| {
            refuse(path, format!("cannot write `{}`: {error}", target.display()))
        })?;
        Ok(ImportView {
            schema: "orchestrator.import/v1",
            kind: "workflow",
            name: loaded.name.clone(),
            file: Some(target.display().to_string()),
            replaced,
            blobs: 0,
            bytes: 0,
            items: Vec::new(),
        })
    }

    /// The file of the project for a workflow called `name`, which must not be there.
    fn free_place(&self, path: &Path, name: &str) -> Result<PathBuf, ServiceError> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let file = self.place().directory().join("workflows").join(format!("{name}.{ending}"));
        match file.symlink_metadata() {
            // It defines another workflow, or nothing that can be used: not ours to replace.
            Ok(_) => Err(ServiceError::WorkflowHere {
                name: name.to_owned(),
                by: format!("`{}`", file.display()),
            }),
            Err(_) => Ok(file),
        }
    }
}

/// Whether both are YAML, or both JSON.
fn same_form(one: &Path, other: &Path) -> bool {
    let json = |path: &Path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    json(one) == json(other)
}

/// Writes a file that is not there, or replaces the one that is as a whole.
fn write(target: &Path, bytes: &[u8], replace: bool) -> std::io::Result<()> {
    if let Some(directory) = target.parent() {
        fs::create_dir_all(directory)?;
    }
    let put = |file: &Path| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(file)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    if !replace {
        return put(target);
    }
    let part = target.with_extension(format!("part-{}", std::process::id()));
    let done = put(&part).and_then(|()| fs::rename(&part, target));
    if done.is_err() {
        // What is left of a failed attempt helps nobody; the reason for the failure is told.
        let _ = fs::remove_file(&part);
    }
    done
}
