//! A workflow with every other that it may start: as a child, as an undoing, or by `then`.

use super::catalogue::{Catalogue, Loaded, is_document, refuse};
use crate::{ServiceError, document::Diagnostic};
use orchestrator_core::{
    task::{TaskKind, Then},
    workflow::{MISSING_PARAMETER, SIZE, UNKNOWN_WORKFLOW, Workflow},
};
use serde_json::Map;
use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
};

/// The most other workflows that one run may bring along.
const MAX_OTHERS: usize = 200;

/// A workflow that another one starts, with the documents that it is made of.
#[derive(Debug)]
pub(crate) struct Relative {
    pub(crate) workflow: Workflow,
    pub(crate) loaded: Loaded,
}

/// Every workflow that a run may start, by its key: the name that it is called by, or its file,
/// relative to the project where it lies in there.
pub(crate) type Family = BTreeMap<String, Relative>;

/// What a reference leads to.
enum Target {
    Name(String),
    File(PathBuf),
}

impl Catalogue {
    /// Finds all that `root`, which `loaded` gave, may start, and puts each one's key in the place
    /// of the name that the files use for it.
    ///
    /// A file is looked for beside the one that names it; a name is looked for as on the command
    /// line. Each is read once, so a circle ends; whether it is allowed is the core's to say.
    ///
    /// # Errors
    /// Everything that cannot be found or read, at the places that name it or within it.
    pub(crate) fn family(
        &self,
        root: &mut Workflow,
        loaded: &Loaded,
        project: &Path,
    ) -> Result<Family, ServiceError> {
        let mut search = Search {
            catalogue: self,
            project,
            own_key: loaded.key(project),
            found: Family::new(),
            waiting: VecDeque::new(),
            problems: Vec::new(),
        };
        let keys = search.visit(root, loaded);
        rename(root, &keys);
        while let Some(key) = search.waiting.pop_front() {
            let Some(mut relative) = search.found.remove(&key) else { continue };
            let keys = search.visit(&relative.workflow, &relative.loaded);
            rename(&mut relative.workflow, &keys);
            search.found.insert(key, relative);
        }
        let Search { own_key, mut found, problems, .. } = search;
        if !problems.is_empty() {
            return Err(refuse(problems));
        }
        // Who is called by a child is seen to be its own ancestor only when it can be looked up.
        if let Some(again) = found.get_mut(&own_key) {
            again.workflow.clone_from(root);
        }
        Ok(found)
    }
}

struct Search<'a> {
    catalogue: &'a Catalogue,
    project: &'a Path,
    own_key: String,
    found: Family,
    waiting: VecDeque<String>,
    problems: Vec<Diagnostic>,
}

impl Search<'_> {
    /// Finds what `workflow` refers to; returns the key of each name that it uses.
    fn visit(&mut self, workflow: &Workflow, from: &Loaded) -> BTreeMap<String, String> {
        let mut keys = BTreeMap::new();
        for (pointer, name) in workflow.references() {
            let target = self.target(name, &pointer, from);
            let key = match &target {
                Target::Name(name) => self.catalogue.name_of(name).to_owned(),
                Target::File(file) => key_of(file, self.project),
            };
            keys.insert(name.to_owned(), key.clone());
            if self.found.contains_key(&key) || self.waiting.contains(&key) {
                continue;
            }
            if self.found.len() >= MAX_OTHERS {
                let message = format!("more than {MAX_OTHERS} other workflows would be started");
                self.problems.push(from.diagnostic(SIZE, &pointer, message));
                return keys;
            }
            match self.read(&target, &pointer, from) {
                Ok(relative) => {
                    self.found.insert(key.clone(), relative);
                    // What the root may start is on its way already.
                    if key != self.own_key {
                        self.waiting.push_back(key);
                    }
                }
                Err(problems) => self.problems.extend(problems),
            }
        }
        keys
    }

    fn target(&self, name: &str, pointer: &str, from: &Loaded) -> Target {
        if !name.contains(std::path::MAIN_SEPARATOR) && !is_document(Path::new(name)) {
            return Target::Name(name.to_owned());
        }
        let beside = from.file_at(pointer).and_then(Path::parent).unwrap_or(self.project);
        let file = beside.join(name);
        // One file has one key, however the way to it is written.
        Target::File(std::fs::canonicalize(&file).unwrap_or(file))
    }

    fn read(
        &self,
        target: &Target,
        pointer: &str,
        from: &Loaded,
    ) -> Result<Relative, Vec<Diagnostic>> {
        let missing = |message: String, hint: Option<String>| {
            vec![from.diagnostic(UNKNOWN_WORKFLOW, pointer, message).suggest(hint)]
        };
        let loaded = match target {
            Target::Name(name) => self.catalogue.load(name),
            Target::File(file) if !file.is_file() => {
                let message = format!("there is no workflow file `{}`", file.display());
                let hint = "a file is looked for beside the one that names it".to_owned();
                return Err(missing(message, Some(hint)));
            }
            Target::File(file) => self.catalogue.load_file(file),
        };
        let loaded = loaded.map_err(|error| match error {
            ServiceError::NoSuchTemplate { name, suggestion } => {
                missing(format!("no template or workflow is named `{name}`"), suggestion)
            }
            error => within(error, pointer, from),
        })?;
        if let Some(parameter) = loaded.parameters().iter().find(|parameter| parameter.required) {
            let message = format!(
                "`{}` is a template that needs the parameter `{}`, which only a command line can \
                 give",
                loaded.name, parameter.name
            );
            let hint = "make an input of it, or extend the template with the parameter filled in";
            let found = from.diagnostic(MISSING_PARAMETER, pointer, message);
            return Err(vec![found.suggest(Some(hint.into()))]);
        }
        let workflow =
            loaded.instantiate(&Map::new()).map_err(|error| within(error, pointer, from))?;
        Ok(Relative { workflow, loaded })
    }
}

/// The places that are wrong in a file that is referred to; where there are none, the reference.
fn within(error: ServiceError, pointer: &str, from: &Loaded) -> Vec<Diagnostic> {
    match error {
        ServiceError::Invalid { diagnostics, .. } if !diagnostics.is_empty() => diagnostics,
        error => {
            let found = from.diagnostic(error.code(), pointer, error.to_string());
            vec![found.suggest(error.help())]
        }
    }
}

/// The key of a file: its way from the project where it lies in there, else the whole way.
fn key_of(file: &Path, project: &Path) -> String {
    file.strip_prefix(project).unwrap_or(file).display().to_string()
}

impl Loaded {
    /// The key under which a run of it would find itself.
    fn key(&self, project: &Path) -> String {
        if self.by_name {
            return self.name.clone();
        }
        let file = PathBuf::from(&self.source);
        key_of(&std::fs::canonicalize(&file).unwrap_or(file), project)
    }

    /// The file that the part at `pointer` comes from.
    fn file_at(&self, pointer: &str) -> Option<&Path> {
        let mut pointer = pointer;
        loop {
            if let Some(owner) = self.documents.iter().find(|owner| owner.spans.has(pointer)) {
                return owner.file.as_deref();
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }
}

/// Puts keys in the place of names.
fn rename(workflow: &mut Workflow, keys: &BTreeMap<String, String>) {
    let put = |name: &mut String| {
        if let Some(key) = keys.get(name) {
            name.clone_from(key);
        }
    };
    let put_all = |then: &mut Vec<Then>| then.iter_mut().for_each(|then| put(&mut then.workflow));
    put_all(&mut workflow.then);
    for task in &mut workflow.tasks {
        put_all(&mut task.then);
        let undo = task.compensate.as_deref_mut();
        for kind in [Some(&mut task.kind), undo].into_iter().flatten() {
            if let TaskKind::Workflow { workflow, .. } = kind {
                put(workflow);
            }
        }
    }
}
