//! Copying the project, or a few files of it. Blocks are shared where the file system can.

use crate::git::GitError;
use ignore::overrides::{Override, OverrideBuilder};
use orchestrator_core::error::{ErrorClass, Failure};
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Component, Path, PathBuf},
};

/// Copies a project without `.git` and without `state`: files, links as links, and directories.
pub(super) fn project(from: &Path, to: &Path, state: &Path) -> Result<(), GitError> {
    let state = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    let from = fs::canonicalize(from).map_err(|e| GitError::file("read", from, e))?;
    tree(&from, to, &|path| path == state || path.file_name().is_some_and(|name| name == ".git"))
}

fn tree(from: &Path, to: &Path, is_left_out: &dyn Fn(&Path) -> bool) -> Result<(), GitError> {
    let mut left = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = left.pop() {
        fs::create_dir_all(&to).map_err(|e| GitError::file("make", &to, e))?;
        for entry in fs::read_dir(&from).map_err(|e| GitError::file("read", &from, e))? {
            let entry = entry.map_err(|e| GitError::file("read", &from, e))?;
            let (path, to) = (entry.path(), to.join(entry.file_name()));
            if is_left_out(&path) {
                continue;
            }
            let kind = entry.file_type().map_err(|e| GitError::file("read", &path, e))?;
            let copied = if kind.is_dir() {
                left.push((path.clone(), to));
                Ok(())
            } else if kind.is_symlink() {
                fs::read_link(&path).and_then(|target| symlink(target, &to))
            } else if kind.is_file() {
                // The system shares the blocks of both where it can (copy_file_range(2)).
                fs::copy(&path, &to).map(drop)
            } else {
                Ok(())
            };
            match copied {
                // Gone since the directory was read.
                Err(e) if e.kind() == io::ErrorKind::NotFound && !path.exists() => {}
                other => other.map_err(|e| GitError::file("copy", &path, e))?,
            }
        }
    }
    Ok(())
}

/// What came of copying files.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Below the project's directory.
    pub(super) files: Vec<PathBuf>,
    /// What was not copied, and why.
    pub(super) notes: Vec<String>,
}

/// Copies what `patterns` name, paths or patterns below `from`, to the same places below `to`. No
/// link leads out of either.
pub(super) fn files(
    from: &Path,
    to: &Path,
    patterns: &[String],
    state: &Path,
) -> Result<Copied, Failure> {
    let mut copied = Copied::default();
    if patterns.is_empty() {
        return Ok(copied);
    }
    let from = fs::canonicalize(from).map_err(|e| GitError::file("read", from, e))?;
    let state = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    for pattern in patterns {
        let plain = check(pattern)?;
        let is_pattern = pattern.contains(['*', '?', '[', '{']);
        let found = match is_pattern {
            true => matching(&from, pattern, &plain, &state)?,
            false => all_below(&from, plain, &state),
        };
        if found.is_empty() {
            copied.notes.push(format!("nothing to copy for `{pattern}`"));
        }
        for file in found {
            match one(&from, to, &file) {
                Ok(()) => copied.files.push(file),
                Err(Refused::Leads) => copied.notes.push(format!(
                    "`{}` is not copied: a link on its way leads out of the project",
                    file.display()
                )),
                Err(Refused::Failed(error)) => return Err(error.into()),
            }
        }
    }
    copied.files.sort();
    copied.files.dedup();
    Ok(copied)
}

fn check(pattern: &str) -> Result<PathBuf, Failure> {
    let path: PathBuf = Path::new(pattern.trim_end_matches('/'))
        .components()
        .filter(|c| *c != Component::CurDir)
        .collect();
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    if is_below && path.components().next().is_some() {
        return Ok(path);
    }
    let message = format!("cannot copy {pattern:?}: name files below the project, without `..`");
    Err(Failure::new(ErrorClass::InvalidRequest, message))
}

/// The files that a pattern names; the part before its first special character is a path.
fn matching(
    from: &Path,
    pattern: &str,
    plain: &Path,
    state: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let invalid = |e: ignore::Error| {
        Failure::new(ErrorClass::InvalidRequest, format!("cannot copy {pattern:?}: {e}"))
    };
    let mut builder = OverrideBuilder::new(from);
    builder.add(&format!("/{}", pattern.trim_start_matches("./"))).map_err(invalid)?;
    let wanted: Override = builder.build().map_err(invalid)?;
    let is_special =
        |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    let start: PathBuf = plain.components().take_while(|part| !is_special(part)).collect();
    let is_wanted = |path: &PathBuf| {
        path.ancestors().any(|part| {
            let is_dir = part != path.as_path();
            !part.as_os_str().is_empty() && wanted.matched(part, is_dir).is_whitelist()
        })
    };
    Ok(all_below(from, start, state).into_iter().filter(is_wanted).collect())
}

/// The files at or below a path, without `.git` and the state directory; no link is followed.
fn all_below(from: &Path, path: PathBuf, state: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        let whole = from.join(&path);
        if whole == state || path.file_name().is_some_and(|name| name == ".git") {
            continue;
        }
        match fs::symlink_metadata(&whole) {
            Ok(meta) if meta.is_dir() => {
                let entries = fs::read_dir(&whole).into_iter().flatten().flatten();
                left.extend(entries.map(|entry| path.join(entry.file_name())));
            }
            Ok(_) => found.push(path),
            Err(_) => {}
        }
    }
    found.sort();
    found
}

enum Refused {
    Leads,
    Failed(GitError),
}

fn one(from: &Path, to: &Path, file: &Path) -> Result<(), Refused> {
    let (source, target) = (from.join(file), to.join(file));
    let failed = |e| Refused::Failed(GitError::file("copy", &source, e));
    let real = fs::canonicalize(&source).map_err(|_| Refused::Leads)?;
    if !real.starts_with(from) || !real.is_file() {
        return Err(Refused::Leads);
    }
    // What is checked out may hold links as well.
    let mut parent = to.to_owned();
    for part in file.parent().into_iter().flat_map(Path::components) {
        parent.push(part);
        match fs::symlink_metadata(&parent) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(Refused::Leads),
            Err(_) => fs::create_dir(&parent).map_err(failed)?,
        }
    }
    match fs::remove_file(&target) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    fs::copy(&real, &target).map(drop).map_err(failed)
}
