//! The file that a check writes.

use std::{fs, io::Read, path::Path};

/// The most bytes of a report that are read.
const READ: u64 = 64 * 1024 * 1024;

/// Removes what is at the place of a report before the check runs: only what the check itself
/// writes is read.
pub(super) fn clear(path: &Path) {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let removed = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove an old report of a check");
    }
}

/// The report at `path`, which must be a file below `tree` and no link.
pub(super) fn read(tree: &Path, path: &Path) -> Result<Vec<u8>, String> {
    let metadata = fs::symlink_metadata(path)
        .map_err(|error| format!("its report `{}` is not there: {error}", shown(tree, path)))?;
    if !metadata.is_file() {
        return Err(format!("its report `{}` is no file", shown(tree, path)));
    }
    let place = path.canonicalize().map_err(|error| error.to_string())?;
    if !place.starts_with(tree) {
        return Err(format!("its report `{}` is outside of the checkout", shown(tree, path)));
    }
    if metadata.len() > READ {
        return Err(format!("its report `{}` is larger than {READ} bytes", shown(tree, path)));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(&place).map_err(|error| error.to_string())?;
    file.take(READ).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn shown<'a>(tree: &Path, path: &'a Path) -> std::path::Display<'a> {
    path.strip_prefix(tree).unwrap_or(path).display()
}
