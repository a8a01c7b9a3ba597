//! Key files: 32 random bytes that only their owner may read.

use super::seal::{KEY, Key, random_key};
use crate::directory;
use orchestrator_core::port::SecretsError;
use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};
use zeroize::Zeroizing;

/// The key in `path`; none when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Key>, SecretsError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable("read", path, &error)),
    };
    let found = file.metadata().map_err(|error| unavailable("read", path, &error))?;
    let wrong = |reason: String| SecretsError::UnsafeKey { place: shown(path), reason };
    if !found.is_file() {
        return Err(wrong("it is not a file".into()));
    }
    let (owner, me) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != me {
        return Err(wrong(format!("it belongs to user {owner}, not to you (user {me})")));
    }
    if found.mode() & 0o077 != 0 {
        let reason = format!(
            "others may read or change it (mode {:04o}); type `chmod 600 '{}'`",
            found.mode() & 0o777,
            path.display()
        );
        return Err(wrong(reason));
    }
    if found.len() != KEY as u64 {
        return Err(wrong(format!("it has {} bytes, not {KEY}", found.len())));
    }
    let mut key: Key = Zeroizing::new([0; KEY]);
    file.read_exact(key.as_mut()).map_err(|error| unavailable("read", path, &error))?;
    Ok(Some(key))
}

/// The key in `path`, which is made when there is none. Durable on return.
pub(super) fn read_or_make(path: &Path) -> Result<Key, SecretsError> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let failed = |error: io::Error| unavailable("make", path, &error);
    let parent = path.parent().unwrap_or(Path::new("."));
    directory::make(parent).map_err(failed)?;
    let key = random_key().map_err(|_| failed(io::Error::other("no random numbers")))?;
    // A temporary file is for its owner alone, and its name is given to it only when it is whole.
    let mut file =
        tempfile::Builder::new().prefix(".credentials-key-").tempfile_in(parent).map_err(failed)?;
    file.write_all(key.as_slice()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        // Somebody was faster; theirs is the key.
        Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => {
            return read(path)?.ok_or_else(|| failed(lost.error));
        }
        Err(lost) => return Err(failed(lost.error)),
    }
    directory::sync(parent).map_err(failed)?;
    Ok(key)
}

pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

pub(super) fn unavailable(action: &'static str, path: &Path, error: &io::Error) -> SecretsError {
    SecretsError::Unavailable { action, place: shown(path), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.key");
        assert!(read(&path).unwrap().is_none());
        let made = read_or_make(&path).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), made);
        assert_eq!(read_or_make(&path).unwrap(), made);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1, "nothing is left");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        read_or_make(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, SecretsError::UnsafeKey { .. }), "{error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(read(&path).unwrap().is_some());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        directory::touch(&path).unwrap().write_all(b"too short").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("9 bytes"));
        assert!(read_or_make(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"too short", "nothing is written over");
        let error = read(folder.path()).unwrap_err();
        assert!(error.to_string().contains("not a file"), "{error}");
    }
}
