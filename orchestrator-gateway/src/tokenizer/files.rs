//! Which model has which tokenizer, each read when it is first asked for.

use super::Tokenizer;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// The largest file that is read. The largest tokenizers known have 35 MB.
const MOST_BYTES: u64 = 64 << 20;

/// A tokenizer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the tokenizer `{}`: {reason}", path.display())]
pub struct TokenizerError {
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with it, and never what stands in it.
    pub reason: String,
}

impl TokenizerError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        "ORC-0506"
    }
}

/// The tokenizers of models. Clones share what was read. Default: of no model.
#[derive(Debug, Clone, Default)]
pub struct Tokenizers {
    by_model: BTreeMap<String, Arc<Kept>>,
}

#[derive(Debug)]
struct Kept {
    path: PathBuf,
    read: OnceLock<Result<Arc<Tokenizer>, TokenizerError>>,
}

impl Tokenizers {
    /// The same with the file `path` for `model`, as it is named in requests. It is not read yet.
    #[must_use]
    pub fn with_file(mut self, model: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let same = self.by_model.values().find(|kept| kept.path == path).cloned();
        let kept = same.unwrap_or_else(|| Arc::new(Kept { path, read: OnceLock::new() }));
        self.by_model.insert(model.into(), kept);
        self
    }

    /// The models that have one, in order.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.by_model.keys().map(String::as_str)
    }

    /// Whether `model` has one.
    pub fn has(&self, model: &str) -> bool {
        self.by_model.contains_key(model)
    }

    /// The tokenizer of `model`; `None` when it has none. Reads the file when nobody has yet, which takes
    /// some tenths of a second.
    ///
    /// # Errors
    /// [`TokenizerError`] for a file that cannot be used, every time.
    pub fn get(&self, model: &str) -> Result<Option<Arc<Tokenizer>>, TokenizerError> {
        let Some(kept) = self.by_model.get(model) else { return Ok(None) };
        kept.read.get_or_init(|| read(&kept.path)).clone().map(Some)
    }
}

fn read(path: &Path) -> Result<Arc<Tokenizer>, TokenizerError> {
    let wrong = |reason: String| TokenizerError { path: path.to_owned(), reason };
    // Asked before it is opened: a pipe would be waited for.
    let about = fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if !about.is_file() {
        return Err(wrong("it is not a file".into()));
    }
    let mut content = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut content));
    read.map_err(|error| wrong(error.to_string()))?;
    if content.len() as u64 > MOST_BYTES {
        return Err(wrong(format!("it has more than {} MiB", MOST_BYTES >> 20)));
    }
    Tokenizer::read(&content).map(Arc::new).map_err(wrong)
}
