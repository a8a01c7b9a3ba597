//! Directories and files that only their owner may read, durable once made.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Makes `path` and what is missing above it, each for its owner alone and with a name that stays.
///
/// A directory's name is in the one above it, and on the disk only once that one is synchronised
/// (fsync(2)). So each level is made and its name synchronised before anything is put into it. A
/// directory that is there but empty may be of somebody who died in between: its name is
/// synchronised too.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    make_with(path, &mut sync)
}

fn make_with(path: &Path, sync: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut open = Vec::new();
    for at in path.ancestors().filter(|at| !at.as_os_str().is_empty()) {
        if holds_something(at)? {
            break;
        }
        open.push(at);
    }
    // Whatever made the first that holds something may not have known of all this.
    let known = open.last().and_then(|last| last.parent()).filter(|at| at.parent().is_some());
    if let Some(known) = known {
        match sync(above(known)) {
            // Then it was not made on the way to here either.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            done => done?,
        }
    }
    for at in open.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(at) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !at.is_dir() => {
                return Err(error);
            }
            _ => sync(above(at))?,
        }
    }
    Ok(())
}

/// Whether `path` is a directory with something in it, or one that may not be read.
fn holds_something(path: &Path) -> io::Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(false),
            io::ErrorKind::PermissionDenied => Ok(true),
            _ => Err(error),
        },
    }
}

/// The directory that holds the name of `path`.
fn above(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Opens the file `path` for writing, making it for its owner alone when it is missing.
pub(crate) fn touch(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Makes the names in the directory `path` durable.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Makes `a/b/c` where `there` is already, and compares what is synchronised, with the levels
    /// that are there at that moment.
    fn check(there: &[&str], expected: &[(&str, &str)]) {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("project");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("file"), "").unwrap();
        for path in there {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        let mut seen = Vec::new();
        let levels = ["a/b/c", "a/b", "a", ""];
        make_with(&root.join("a/b/c"), &mut |path| {
            let deepest = levels.iter().find(|level| root.join(level).is_dir()).unwrap();
            let path = path.strip_prefix(outside.path()).unwrap().to_str().unwrap().to_owned();
            seen.push((path, (*deepest).to_owned()));
            Ok(())
        })
        .unwrap();
        let seen: Vec<_> = seen.iter().map(|(path, level)| (&path[..], &level[..])).collect();
        assert_eq!(seen, expected, "{there:?}");
        assert!(root.join("a/b/c").is_dir());
    }

    #[test]
    fn each_level_is_durable_before_the_next_is_made() {
        let all = [("", ""), ("project", "a"), ("project/a", "a/b"), ("project/a/b", "a/b/c")];
        check(&[], &all);
        check(&["a/other"], &[("project", "a"), ("project/a", "a/b"), ("project/a/b", "a/b/c")]);
        check(&["a/b/other"], &[("project/a", "a/b"), ("project/a/b", "a/b/c")]);
    }

    #[test]
    fn what_somebody_made_and_perhaps_did_not_finish_is_made_durable() {
        // The project holds a file and is known; `a/b` holds `c`; `c` is empty.
        check(&["a/b/c"], &[("project/a", "a/b/c"), ("project/a/b", "a/b/c")]);
        let rest = [("project/a", "a/b"), ("project/a/b", "a/b/c")];
        check(&["a"], &[&[("", "a"), ("project", "a")], &rest[..]].concat());
    }

    #[test]
    fn what_is_in_use_costs_nothing() {
        check(&["a/b/c/events"], &[]);
    }

    #[test]
    fn it_is_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        make(&path).unwrap();
        for made in [root.path().join("a"), path.clone()] {
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
        }
        make(&path).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make(&file).is_err());
        assert!(make(&file.join("below")).is_err());
        assert!(fs::metadata(file).unwrap().is_file());
    }
}
