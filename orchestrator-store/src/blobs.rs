//! Blobs as files: `ab/cdef…` for the content whose SHA-256 begins with `abcdef`.

use crate::directory;
use async_trait::async_trait;
use orchestrator_core::{
    id::BlobId,
    port::{BlobError, Blobs},
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How long a blob is kept that nothing refers to: an append that will may be under way, here or
/// in another process.
const GRACE: Duration = Duration::from_secs(3600);

/// What names of unfinished files begin with.
const UNFINISHED: &str = ".new-";

/// The file whose lock keeps a sweep and the re-use of an old blob apart.
const LOCK: &str = ".lock";

/// Content-addressed files in one directory, which any number of processes may share.
///
/// A file is written under another name, synchronised, renamed, and its directory synchronised:
/// a name that exists has its whole content, also after a power cut. Reading proves the content
/// against the id.
#[derive(Debug, Clone)]
pub struct FileBlobs {
    dir: Arc<Path>,
}

/// What a sweep removed, or would.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) blobs: u64,
    pub(crate) bytes: u64,
}

impl FileBlobs {
    /// The blobs in the directory `dir`, which is made if it is missing.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] when the directory cannot be made.
    pub fn open(dir: &Path) -> Result<Self, BlobError> {
        directory::make(dir).map_err(|error| unavailable("create the directory", dir, &error))?;
        Ok(Self { dir: dir.into() })
    }

    /// Where the content with that digest lies.
    fn path(&self, hex: &str) -> PathBuf {
        self.dir.join(&hex[..2]).join(&hex[2..])
    }

    fn keep(&self, bytes: &[u8]) -> io::Result<String> {
        let hex = digest(bytes);
        let path = self.path(&hex);
        let parent = path.parent().unwrap_or(&self.dir).to_path_buf();
        if self.reuse(&path, bytes)? {
            // Whoever wrote it may not have come to synchronise its name yet.
            directory::sync(&parent)?;
            return Ok(hex);
        }
        if !parent.exists() {
            directory::make(&parent)?;
            directory::sync(&self.dir)?;
        }
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        file.persist(&path).map_err(|failed| failed.error)?;
        directory::sync(&parent)?;
        Ok(hex)
    }

    /// Whether the file is there already with that content; if so it counts as new from now on.
    fn reuse(&self, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        if !path.exists() {
            return Ok(false);
        }
        // Held while the file's age changes: a sweep must not judge it by its old one.
        let lock = self.lock()?;
        lock.lock_shared()?;
        match fs::read(path) {
            Ok(found) if found == bytes => {
                File::options().write(true).open(path)?.set_modified(SystemTime::now())?;
                Ok(true)
            }
            // Gone by now, or damaged: written anew.
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn lock(&self) -> io::Result<File> {
        directory::touch(&self.dir.join(LOCK))
    }

    /// Removes the blobs whose ids are not in `kept()` and that are older than an hour at `now`;
    /// with `dry_run` it only counts them. `kept` is asked while no old blob can be put to new use.
    pub(crate) fn sweep(
        &self,
        kept: impl FnOnce() -> Result<HashSet<String>, orchestrator_core::port::StoreError>,
        now: SystemTime,
        dry_run: bool,
    ) -> Result<Swept, orchestrator_core::port::StoreError> {
        let failed = |error: io::Error| {
            crate::error::from_io(format!("sweep the blobs in `{}`", self.dir.display()), &error)
        };
        let lock = self.lock().map_err(failed)?;
        lock.lock().map_err(failed)?;
        let kept = kept()?;
        let mut swept = Swept::default();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(UNFINISHED) {
                if !dry_run && is_old(&entry.path(), now).map_err(failed)?.is_some() {
                    remove(&entry.path()).map_err(failed)?;
                }
            } else if is_hex(&name, 2) {
                let part = self.sweep_part(&name, &kept, now, dry_run).map_err(failed)?;
                swept.blobs += part.blobs;
                swept.bytes += part.bytes;
            }
        }
        Ok(swept)
    }

    fn sweep_part(
        &self,
        start: &str,
        kept: &HashSet<String>,
        now: SystemTime,
        dry_run: bool,
    ) -> io::Result<Swept> {
        let mut swept = Swept::default();
        for entry in fs::read_dir(self.dir.join(start))? {
            let entry = entry?;
            let rest = entry.file_name().to_string_lossy().into_owned();
            if !is_hex(&rest, 62) || kept.contains(&format!("sha256:{start}{rest}")) {
                continue;
            }
            if let Some(bytes) = is_old(&entry.path(), now)? {
                swept.blobs += 1;
                swept.bytes += bytes;
                if !dry_run {
                    remove(&entry.path())?;
                }
            }
        }
        Ok(swept)
    }
}

/// The length of the file when it was last put longer ago than the grace.
fn is_old(path: &Path, now: SystemTime) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) => {
            let age = now.duration_since(found.modified()?).unwrap_or_default();
            Ok((age > GRACE).then_some(found.len()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn unavailable(action: &str, path: &Path, error: &io::Error) -> BlobError {
    let action = format!("{action} `{}`", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full(action),
        _ => BlobError::Unavailable { action, reason: error.to_string() },
    }
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| {
        Err(BlobError::Unavailable {
            action: "reach the blobs".into(),
            reason: format!("the thread at work has stopped: {stopped}"),
        })
    })
}

#[async_trait]
impl Blobs for FileBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<BlobId, BlobError> {
        let (blobs, bytes) = (self.clone(), bytes.to_vec());
        blocking(move || {
            let hex = blobs
                .keep(&bytes)
                .map_err(|error| unavailable("keep a blob in", &blobs.dir, &error))?;
            BlobId::new(format!("sha256:{hex}")).map_err(|error| BlobError::Unavailable {
                action: "name a blob".into(),
                reason: error.to_string(),
            })
        })
        .await
    }

    async fn get(&self, id: &BlobId) -> Result<Vec<u8>, BlobError> {
        let Some(hex) = id.as_str().strip_prefix("sha256:").filter(|hex| is_hex(hex, 64)) else {
            return Err(BlobError::Missing(id.clone()));
        };
        let (path, hex, id) = (self.path(hex), hex.to_owned(), id.clone());
        blocking(move || match fs::read(&path) {
            Ok(bytes) if digest(&bytes) == hex => Ok(bytes),
            Ok(_) => Err(BlobError::Damaged(id)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BlobError::Missing(id)),
            Err(error) => Err(unavailable("read the blob", &path, &error)),
        })
        .await
    }
}
