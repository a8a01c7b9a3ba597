//! Programs that attributes of files name: filters and merge drivers.
//!
//! A repository's configuration stands where agents may come to write it, so what it says of such
//! programs does not count: the definitions of the user and the system do. Where they have none, files
//! are taken as they are and merged as text.

use super::{Git, GitError, program::Call};
use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// What merges as git itself does.
const PLAIN_MERGE: &str = "git merge-file --marker-size=%L %A %O %B";

/// What is known of the configuration of one repository.
#[derive(Debug, Default)]
pub(super) struct Drivers {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The files it was read from, as they were then.
    files: BTreeMap<PathBuf, Stamp>,
    settings: Vec<(String, String)>,
}

type Stamp = Option<(u64, u64, i64, i64, i64)>;

impl Drivers {
    /// What has to be set so that nothing of the repository's is run.
    pub(super) async fn settings(
        &self,
        git: &Git,
        git_dir: &Path,
    ) -> Result<Vec<(String, String)>, GitError> {
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.files.is_empty()
                && known.files.iter().all(|(file, then)| stamp(file) == *then)
            {
                return Ok(known.settings.clone());
            }
        }
        let own = [git_dir.join("config"), git_dir.join("config.worktree")];
        // The stamps come first: what changes while it is read is read again.
        let mut files: BTreeMap<_, _> = own.map(|file| (file.clone(), stamp(&file))).into();
        let mut call = Call::new(Path::new("/"));
        call.git_dir = Some(git_dir);
        let arguments = ["config", "--local", "--includes", "--show-origin", "-z", "--list"];
        let output = git.run(call.args(arguments)).await?;
        let mut keys = BTreeSet::new();
        let mut parts = super::bytes::parts(&output);
        while let (Some(origin), Some(entry)) = (parts.next(), parts.next()) {
            if let Some(file) = origin.strip_prefix(b"file:") {
                let file = super::bytes::path(file);
                let stamp = stamp(&file);
                files.entry(file).or_insert(stamp);
            }
            keys.extend(self::entries(entry).map(|(key, _)| key).filter(|key| runs(key)));
        }
        let settings = override_all(&keys, git.drivers());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Known { files, settings: settings.clone() };
        Ok(settings)
    }
}

/// The entries of `git config -z --list`.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = (String, String)> {
    super::bytes::parts(bytes).map(|entry| {
        let entry = String::from_utf8_lossy(entry);
        let (key, value) = entry.split_once('\n').unwrap_or((&entry, "true"));
        (key.to_owned(), value.to_owned())
    })
}

/// Whether an entry names a program that attributes can call.
pub(super) fn runs(key: &str) -> bool {
    let Some((section, rest)) = key.split_once('.') else { return false };
    let Some((_, name)) = rest.rsplit_once('.') else { return false };
    match section.to_ascii_lowercase().as_str() {
        "filter" => true,
        "merge" => matches!(name, "driver" | "recursive"),
        _ => false,
    }
}

/// Sets what the repository says of drivers to what the user says of it, or to nothing.
///
/// A filter for which the repository names a `process` and the user does not is off altogether: git
/// has no way to take back that there is one.
fn override_all(local: &BTreeSet<String>, global: &[(String, String)]) -> Vec<(String, String)> {
    let nothing = |key: &str| match key.rsplit_once('.') {
        Some((_, "required")) => "false",
        Some((_, "driver")) => PLAIN_MERGE,
        _ => "",
    };
    let value = |key: &String| {
        let said = global.iter().rev().find(|(other, _)| other == key);
        said.map_or_else(|| nothing(key).to_owned(), |(_, value)| value.clone())
    };
    local.iter().map(|key| (key.clone(), value(key))).collect()
}

fn stamp(file: &Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.ino(), meta.len(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_users_drivers_are_left() {
        let local =
            ["filter.evil.clean", "filter.evil.required", "filter.lfs.smudge", "merge.evil.driver"];
        let local: BTreeSet<_> = local.map(str::to_owned).into();
        assert!(local.iter().all(|key| runs(key)));
        assert!(!runs("core.bare") && !runs("merge.conflictstyle") && !runs("merge.x.name"));
        let global = vec![("filter.lfs.smudge".to_owned(), "git-lfs smudge".to_owned())];
        let settings: BTreeMap<_, _> = override_all(&local, &global).into_iter().collect();
        assert_eq!(settings["filter.evil.clean"], "");
        assert_eq!(settings["filter.evil.required"], "false");
        assert_eq!(settings["filter.lfs.smudge"], "git-lfs smudge");
        assert_eq!(settings.get("filter.lfs.clean"), None);
        assert_eq!(settings["merge.evil.driver"], PLAIN_MERGE);
    }
}
