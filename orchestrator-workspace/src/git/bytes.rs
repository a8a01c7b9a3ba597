//! Paths and records as git gives them: bytes, ended by NUL.

use super::GitError;
use orchestrator_core::id::CommitId;
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// A path of these bytes.
pub(crate) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// The bytes of a path.
pub(crate) fn of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The parts of what is ended by NUL.
pub(crate) fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let is_empty = bytes.is_empty();
    bytes.split(|byte| *byte == 0).filter(move |_| !is_empty)
}

/// Paths as git reads them.
pub(crate) fn joined<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend_from_slice(of(path));
        bytes.push(0);
    }
    bytes
}

/// The object that stands alone in what `command` gave.
pub(crate) fn object(bytes: &[u8], command: &str) -> Result<CommitId, GitError> {
    let text = std::str::from_utf8(bytes).ok().map(str::trim);
    text.and_then(|text| CommitId::new(text).ok())
        .ok_or_else(|| GitError::Unreadable { command: command.into() })
}
