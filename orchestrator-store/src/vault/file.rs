//! The credential file on the disk.

use super::{
    document::{Document, LONGEST},
    key_file::{shown, unavailable},
    keys::{KeyPlace, Keys},
    open,
    seal::{Key, random_key},
};
use crate::directory;
use async_trait::async_trait;
use orchestrator_core::{
    id::SecretName,
    port::{ManagedSecret, Secrets, SecretsError},
    secret::SecretString,
    time::Timestamp,
};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What names of unfinished files begin with.
const UNFINISHED: &str = ".credentials-";
/// What the name of the lock beside the file ends with.
const LOCK: &str = "lock";
/// The most bytes of one secret.
const LONGEST_VALUE: usize = 64 << 10;

/// The data key that was opened last, with the file and generation that it belongs to.
type Last = Option<((Vec<u8>, u64), Key)>;

/// Secrets in one encrypted file, which any number of processes may share.
///
/// Reading takes no lock and needs the key only for values. The key is looked for when it is first
/// needed and kept for as long as a clone of this value lives, so a passphrase is asked for once.
#[derive(Clone)]
pub struct FileVault {
    path: PathBuf,
    pub(super) keys: Keys,
    opened: Arc<Mutex<Last>>,
}

impl fmt::Debug for FileVault {
    /// The places alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileVault")
            .field("path", &self.path)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl FileVault {
    /// The secrets in the file `path`, which need not exist yet. Touches nothing.
    pub fn new(path: PathBuf, keys: Keys) -> Self {
        Self { path, keys, opened: Arc::default() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the key of the file is kept; none when there is no file yet. Needs no key.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn key_place(&self) -> Result<Option<KeyPlace>, SecretsError> {
        Ok(self.read()?.map(|document| open::place(document.source())))
    }

    /// The key file that opens the file, or would; none where another key does, or where there is
    /// no place for it.
    pub fn key_file_path(&self) -> Option<PathBuf> {
        match self.key_place().ok()?.unwrap_or_else(|| self.keys.for_new.clone()) {
            KeyPlace::KeyFile(path) => self.key_file(path).ok(),
            KeyPlace::Passphrase | KeyPlace::Keyring => None,
        }
    }

    /// What is kept, by name in order. Needs no key.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn list(&self) -> Result<Vec<ManagedSecret>, SecretsError> {
        let Some(document) = self.read()? else { return Ok(Vec::new()) };
        Ok(document.names().map(|(name, at)| self.managed(name, at)).collect())
    }

    /// The value of `name`; none when there is no such secret. May wait for a passphrase, and takes
    /// tenths of a second to make a key of it.
    ///
    /// # Errors
    /// A file or a key that cannot be used.
    pub fn value(&self, name: &SecretName) -> Result<Option<SecretString>, SecretsError> {
        let Some(document) = self.read()?.filter(|document| document.has(name)) else {
            return Ok(None);
        };
        let data_key = self.data_key(&document)?;
        let Some(found) = document.get(name, &data_key) else { return Ok(None) };
        let text = found.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        text.map(|text| Some(SecretString::new(text))).ok_or_else(|| self.changed(name))
    }

    /// Keeps `value` under `name`, in the place of what was there, in a file that is made when
    /// there is none. Durable on return. Waits as [`FileVault::value`] does.
    ///
    /// # Errors
    /// A file or a key that cannot be used, or a value that cannot be kept; the file is as it was.
    pub fn put(
        &self,
        name: &SecretName,
        value: &SecretString,
        now: Timestamp,
    ) -> Result<ManagedSecret, SecretsError> {
        let unfit = |reason| SecretsError::Unfit { name: name.clone(), reason };
        match value.expose().len() {
            0 => return Err(unfit("it is empty")),
            length if length > LONGEST_VALUE => return Err(unfit("it has more than 64 KiB")),
            _ => {}
        }
        let _lock = self.lock()?;
        let (mut document, data_key) = match self.read()? {
            Some(document) => {
                let data_key = self.data_key(&document)?;
                (document, data_key)
            }
            None => {
                let (source, key) = self.new_key(&self.keys.for_new)?;
                let data_key = random_key().map_err(|_| self.broken())?;
                let document = Document::new(source, &key, &data_key).map_err(|_| self.broken())?;
                (document, data_key)
            }
        };
        let sealed = document.set(name, value.expose().as_bytes(), now, &data_key);
        sealed.map_err(|_| self.broken())?;
        self.write(&document)?;
        *self.opened() = Some((document.version(), data_key));
        Ok(self.managed(name, now))
    }

    /// Forgets `name`; says whether it was there. Durable on return. Needs no key.
    ///
    /// # Errors
    /// A file that cannot be used; it is as it was.
    pub fn forget(&self, name: &SecretName) -> Result<bool, SecretsError> {
        if !self.path.exists() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let Some(mut document) = self.read()? else { return Ok(false) };
        let was_there = document.remove(name);
        if was_there {
            self.write(&document)?;
        }
        Ok(was_there)
    }

    /// Seals every secret anew under a new data key, which from now on the key in `place` opens, or
    /// one in the same place as before. Says where that is and how many secrets there are; none
    /// when there is no file. Durable on return, all or nothing.
    ///
    /// # Errors
    /// A file or a key that cannot be used, or a secret that does not open; the file is as it was.
    pub fn rotate(&self, to: Option<KeyPlace>) -> Result<Option<(KeyPlace, usize)>, SecretsError> {
        if !self.path.exists() {
            return Ok(None);
        }
        let _lock = self.lock()?;
        let Some(document) = self.read()? else { return Ok(None) };
        let (old_key, data_key) = self.keys_of(&document)?;
        let (source, key) = match &to {
            Some(place) => self.new_key(place)?,
            None => (document.source().clone(), old_key),
        };
        let new_data_key = random_key().map_err(|_| self.broken())?;
        let rotated = document.rotated(&data_key, source, &key, &new_data_key);
        let rotated = rotated.map_err(|name| match name {
            Some(name) => self.changed(&name),
            None => self.broken(),
        })?;
        self.write(&rotated)?;
        *self.opened() = Some((rotated.version(), new_data_key));
        Ok(Some((open::place(rotated.source()), rotated.names().count())))
    }

    fn managed(&self, name: &SecretName, at: Timestamp) -> ManagedSecret {
        ManagedSecret { name: name.clone(), set_at: Some(at), kept_in: self.shown() }
    }

    pub(super) fn opened(&self) -> MutexGuard<'_, Last> {
        // A panic elsewhere leaves a key or none; either is whole.
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shown(&self) -> String {
        shown(&self.path)
    }

    pub(super) fn broken(&self) -> SecretsError {
        unavailable("seal", &self.path, &io::Error::other("the cipher or the random source failed"))
    }

    fn changed(&self, name: &SecretName) -> SecretsError {
        let reason = format!("the secret `{name}` does not open: it was changed or moved");
        SecretsError::Damaged { place: self.shown(), reason }
    }

    fn read(&self) -> Result<Option<Document>, SecretsError> {
        let failed = |error: io::Error| unavailable("read", &self.path, &error);
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LONGEST {
            let reason = "it is too large to be a credential file".to_owned();
            return Err(SecretsError::Damaged { place: self.shown(), reason });
        }
        Document::read(&bytes, &self.shown()).map(Some)
    }

    /// Keeps other writers away until it is dropped; makes the directory if it is missing.
    fn lock(&self) -> Result<File, SecretsError> {
        let failed = |error: io::Error| unavailable("lock", &self.path, &error);
        directory::make(self.path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        let lock = directory::touch(&self.path.with_extension(LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(lock)
    }

    /// Replaces the file. Only under the lock.
    fn write(&self, document: &Document) -> Result<(), SecretsError> {
        let failed = |error: io::Error| unavailable("write", &self.path, &error);
        let bytes = document.write().map_err(|_| self.broken())?;
        // A link stays one: what it points to is replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let parent = path.parent().unwrap_or(Path::new("."));
        sweep(parent);
        let mut file =
            tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(parent).map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&path).map_err(|lost| failed(lost.error))?;
        directory::sync(parent).map_err(failed)
    }
}

/// Removes what writers have left that died. Whoever holds the lock is the only one alive; that it
/// may fail is no reason not to write.
fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[async_trait]
impl Secrets for FileVault {
    async fn get(&self, name: &SecretName) -> Result<Option<SecretString>, SecretsError> {
        let name = name.clone();
        self.aside(move |vault| vault.value(&name)).await
    }

    async fn set(
        &self,
        name: &SecretName,
        value: SecretString,
        now: Timestamp,
    ) -> Result<ManagedSecret, SecretsError> {
        let name = name.clone();
        self.aside(move |vault| vault.put(&name, &value, now)).await
    }

    async fn remove(&self, name: &SecretName) -> Result<bool, SecretsError> {
        let name = name.clone();
        self.aside(move |vault| vault.forget(&name)).await
    }

    async fn names(&self) -> Result<Vec<ManagedSecret>, SecretsError> {
        self.aside(|vault| vault.list()).await
    }
}

impl FileVault {
    /// Does what may wait for a disk or a person where it holds nobody up.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, SecretsError> + Send + 'static,
    ) -> Result<T, SecretsError> {
        let vault = self.clone();
        tokio::task::spawn_blocking(move || work(vault)).await.unwrap_or_else(|error| {
            Err(unavailable("use", &self.path, &io::Error::other(error.to_string())))
        })
    }
}

#[cfg(test)]
mod tests;
