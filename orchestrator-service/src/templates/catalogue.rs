//! All templates and workflows that can be named here.

use super::built_in;
use crate::{
    ServiceError,
    document::{Diagnostic, Document},
};
use orchestrator_core::{
    template::{Library, Resolved, Template},
    workflow::{Problem, did_you_mean},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// All templates and workflows that can be named here: the built-in ones, whose names nobody else
/// can take, and the project's before the user's.
#[derive(Debug)]
pub(crate) struct Catalogue {
    library: Library,
    documents: BTreeMap<String, (Document, Home)>,
    /// Files that cannot be used, by the name that they would be asked for under.
    broken: BTreeMap<String, (Vec<Diagnostic>, Home)>,
}

/// Where a template comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Home {
    Project,
    User,
    BuiltIn,
}

impl Home {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
            Self::BuiltIn => "built-in",
        }
    }
}

/// A template with all that it inherits, and the documents that it is made of, its own first.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(super) resolved: Resolved,
    pub(crate) documents: Vec<Document>,
    pub(crate) name: String,
    /// Where it came from: `template:NAME`, or a file.
    pub(crate) source: String,
    /// Whether it was asked for by its name, not by its file.
    pub(super) by_name: bool,
}

/// One line of the list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// What is wrong with its file, when it cannot be used.
    pub(crate) broken: Option<Vec<Diagnostic>>,
    pub(crate) home: Home,
    pub(crate) file: Option<PathBuf>,
}

impl Catalogue {
    /// Reads the directories of the project and the user; either may be missing.
    pub(crate) fn read(project: &Path, user: Option<&Path>, model_at_hand: bool) -> Self {
        let mut catalogue =
            Self { library: Library::new(), documents: BTreeMap::new(), broken: BTreeMap::new() };
        for document in built_in::documents(model_at_hand) {
            catalogue.add(document, Home::BuiltIn);
        }
        if let Some(user) = user {
            catalogue.read_directory(user, Home::User);
        }
        catalogue.read_directory(project, Home::Project);
        catalogue
    }

    fn read_directory(&mut self, directory: &Path, home: Home) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| is_document(path)).collect();
        files.sort();
        for file in files {
            match Document::read(&file) {
                Ok(document) => self.add(document, home),
                Err(diagnostic) => self.add_broken(&file, vec![*diagnostic], home),
            }
        }
    }

    fn add_broken(&mut self, file: &Path, diagnostics: Vec<Diagnostic>, home: Home) {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.broken.insert(stem, (diagnostics, home));
    }

    fn add(&mut self, document: Document, home: Home) {
        let template = match Template::parse(&document.value) {
            Ok(template) => template,
            Err(problems) => {
                let file = document.file.clone().unwrap_or_default();
                self.add_broken(&file, diagnose(&problems, &[document]), home);
                return;
            }
        };
        let name = template.name().to_string();
        // A built-in name stays what it is: a repository that somebody else wrote must not decide
        // what `audit` runs.
        let twin =
            self.documents.get(&name).filter(|(_, other)| [home, Home::BuiltIn].contains(other));
        if let Some((twin, _)) = twin {
            let message = match &twin.file {
                Some(other) => format!("`{name}` is defined in `{}` too", other.display()),
                None => format!("`{name}` is the name of a built-in template"),
            };
            let diagnostic = document
                .diagnostic("ORC-0291", "/name", message)
                .suggest(Some("give it another name".into()));
            let file = document.file.clone().unwrap_or_default();
            self.add_broken(&file, vec![diagnostic], home);
            return;
        }
        self.library.insert(template);
        self.documents.insert(name, (document, home));
    }

    /// What can be named, in the order of a list: built-in ones first, then by name.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let built_in = built_in::listed().filter_map(|name| {
            let (document, home) = self.documents.get(name)?;
            Some(Listed {
                name: name.to_owned(),
                home: *home,
                file: document.file.clone(),
                broken: None,
            })
        });
        let own = self.documents.iter().filter_map(|(name, (document, home))| {
            let listed = *home == Home::BuiltIn || built_in::listed().any(|known| known == name);
            (!listed).then(|| Listed {
                name: name.clone(),
                home: *home,
                file: document.file.clone(),
                broken: None,
            })
        });
        let broken = self.broken.iter().map(|(name, (diagnostics, home))| Listed {
            name: name.clone(),
            home: *home,
            file: diagnostics.first().and_then(|diagnostic| diagnostic.file.clone()),
            broken: Some(diagnostics.clone()),
        });
        built_in.chain(own).chain(broken).collect()
    }

    /// The template or workflow of that name.
    ///
    /// # Errors
    /// That there is none, or everything that is wrong with it.
    pub(crate) fn load(&self, name: &str) -> Result<Loaded, ServiceError> {
        let name = self.name_of(name);
        if let (None, Some((diagnostics, _))) = (self.documents.get(name), self.broken.get(name)) {
            return Err(refuse(diagnostics.clone()));
        }
        let Some((document, home)) = self.documents.get(name) else {
            let known = self.list();
            return Err(ServiceError::NoSuchTemplate {
                name: name.to_owned(),
                suggestion: did_you_mean(name, known.iter().map(|listed| listed.name.as_str())),
            });
        };
        let source = match (&document.file, home) {
            (Some(file), Home::Project | Home::User) => file.display().to_string(),
            _ => format!("template:{name}"),
        };
        let loaded = self.resolve(&self.library, name, document, source)?;
        Ok(Loaded { by_name: true, ..loaded })
    }

    /// The name of the workflow that `given` means: its own, or that of its file without the ending.
    pub(super) fn name_of<'a>(&'a self, given: &'a str) -> &'a str {
        if self.documents.contains_key(given) || self.broken.contains_key(given) {
            return given;
        }
        let by_file = self.documents.iter().find(|(_, (document, _))| {
            let stem = document.file.as_deref().and_then(Path::file_stem);
            stem.is_some_and(|stem| stem == given)
        });
        by_file.map_or(given, |(name, _)| name)
    }

    /// The workflow in `file`, which may extend those that can be named.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn load_file(&self, file: &Path) -> Result<Loaded, ServiceError> {
        if file.to_str().is_none() {
            return Err(ServiceError::PathNotUtf8(file.to_owned()));
        }
        let document = Document::read(file).map_err(|diagnostic| refuse(vec![*diagnostic]))?;
        let template = Template::parse(&document.value).map_err(|problems| {
            // The whole of it is judged, so that one look at the file mends all.
            let all = orchestrator_core::workflow::Workflow::parse(&document.value);
            let problems = all.err().unwrap_or(problems);
            refuse(diagnose(&problems, std::slice::from_ref(&document)))
        })?;
        let mut library = self.library.clone();
        let name = template.name().to_string();
        library.insert(template);
        self.resolve(&library, &name, &document, file.display().to_string())
    }

    fn resolve(
        &self,
        library: &Library,
        name: &str,
        document: &Document,
        source: String,
    ) -> Result<Loaded, ServiceError> {
        let mut documents = vec![document.clone()];
        let mut next = library.get(name).and_then(Template::extends);
        while let Some(parent) = next {
            match self.documents.get(parent) {
                Some((parent, _)) if documents.len() < 100 => documents.push(parent.clone()),
                _ => break,
            }
            next = library.get(parent).and_then(Template::extends);
        }
        let resolved =
            library.resolve(name).map_err(|problems| refuse(diagnose(&problems, &documents)))?;
        Ok(Loaded { resolved, documents, name: name.to_owned(), source, by_name: false })
    }
}

/// Whether `path` is named like a workflow file.
pub(crate) fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// Problems with the place of each in the document that it is about: the first that has such a
/// part, else the first of all.
pub(crate) fn diagnose(problems: &[Problem], documents: &[Document]) -> Vec<Diagnostic> {
    problems
        .iter()
        .map(|problem| {
            let mut pointer = problem.pointer.as_str();
            let owner = loop {
                let owner = documents.iter().find(|document| document.spans.has(pointer));
                match (owner, pointer.rfind('/')) {
                    (Some(owner), _) => break Some(owner),
                    (None, Some(cut)) => pointer = &pointer[..cut],
                    (None, None) => break documents.first(),
                }
            };
            let diagnostic = match owner {
                Some(document) if document.file.is_some() => {
                    document.diagnostic(problem.code, pointer, problem.message.clone())
                }
                _ => Diagnostic::new(problem.code, problem.message.clone()),
            };
            diagnostic.suggest(problem.suggestion.clone())
        })
        .collect()
}

pub(crate) fn refuse(diagnostics: Vec<Diagnostic>) -> ServiceError {
    ServiceError::Invalid { what: "cannot use the workflow".into(), diagnostics }
}
