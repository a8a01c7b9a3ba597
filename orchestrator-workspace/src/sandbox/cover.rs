//! Which directories and files are allowed so that what is hidden stays so.
//!
//! The kernel's rules only allow, and what is allowed holds for all that lies below. A directory
//! with something hidden below it is therefore not allowed itself: what lies in it is, each entry
//! for itself, as it is at the start. What appears in such a directory later is not allowed, and so
//! a hidden file that is made later is hidden as well.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is allowed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cover {
    /// Allowed with all below.
    pub whole: Vec<PathBuf>,
    /// Directories whose entries may be listed, no more.
    pub listed: Vec<PathBuf>,
}

impl Cover {
    /// Allows `root` but for what is `hidden`. All paths are without links.
    pub(super) fn add(&mut self, root: &Path, hidden: &[PathBuf]) {
        if hidden.iter().any(|hidden| root.starts_with(hidden)) {
            return;
        }
        let below: Vec<PathBuf> =
            hidden.iter().filter(|hidden| hidden.starts_with(root)).cloned().collect();
        if below.is_empty() {
            self.whole.push(root.to_owned());
            return;
        }
        // Of what cannot be listed nothing is allowed.
        let Ok(entries) = fs::read_dir(root) else { return };
        self.listed.push(root.to_owned());
        for entry in entries.flatten() {
            // What a link leads to is allowed where it lies, or not at all.
            if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
                self.add(&entry.path(), &below);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_lies_beside_the_hidden_is_allowed_and_nothing_above_it() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path().canonicalize().expect("a path");
        for dir in [".ssh", "code/app", "code/.env.d"] {
            fs::create_dir_all(home.join(dir)).expect("a directory");
        }
        symlink(home.join(".ssh"), home.join("link")).expect("a link");
        let hidden = [home.join(".ssh"), home.join("code/.env.d"), home.join(".netrc")];
        let mut cover = Cover::default();
        cover.add(&home, &hidden);
        assert_eq!(cover.whole, [home.join("code/app")]);
        cover.listed.sort();
        assert_eq!(cover.listed, [home.clone(), home.join("code")]);
    }

    #[test]
    fn without_anything_hidden_the_root_is_allowed() {
        let mut cover = Cover::default();
        cover.add(Path::new("/usr"), &[PathBuf::from("/home")]);
        assert_eq!(cover.whole, [PathBuf::from("/usr")]);
        assert!(cover.listed.is_empty());
    }

    #[test]
    fn what_is_hidden_is_not_allowed_by_a_path_below_it() {
        let mut cover = Cover::default();
        cover.add(Path::new("/home/me/.ssh/keys"), &[PathBuf::from("/home/me/.ssh")]);
        assert_eq!(cover, Cover::default());
    }
}
