//! What differs between two commits or trees.

use super::{GitError, Repository};
use orchestrator_core::{
    id::CommitId,
    workspace::{Change, ChangedFile},
};

/// A difference as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// In unified form; lossy where the content of files is not UTF-8. Names that are not are in
    /// quotes, so that it can be applied. Binary files are only named.
    pub text: String,
    /// Whether it leaves something out.
    pub is_cut: bool,
}

impl Repository {
    /// What differs between two commits or trees, at most `most` bytes of it, cut at the end of a
    /// line. Renames are found. With `paths`, only in those: paths as they are, not patterns.
    ///
    /// # Errors
    /// What git says.
    pub async fn diff(
        &self,
        from: &CommitId,
        to: &CommitId,
        paths: &[String],
        most: u64,
    ) -> Result<Diff, GitError> {
        let arguments = ["diff-tree", "-r", "-p", "-M", "--no-ext-diff", "--no-textconv"];
        let more = ["--no-color", "--full-index", "--src-prefix=a/", "--dst-prefix=b/"];
        let ends = [from.as_ref(), to.as_ref(), "--"];
        let mut call = self.call().await?.args(arguments).args(more).args(ends).args(paths);
        if self.has_odd_names(from, to).await? {
            // As git writes them in quotes they are right, though not nice.
            call.settings.push(("core.quotePath".into(), "true".into()));
        }
        let output = self.git().call(call.most(most)).await?;
        if !output.is_cut && output.code != Some(0) {
            return Err(GitError::of("diff-tree", &output.stderr));
        }
        let mut bytes = output.stdout;
        if output.is_cut {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(end);
        }
        Ok(Diff { text: String::from_utf8_lossy(&bytes).into_owned(), is_cut: output.is_cut })
    }

    /// Whether names of what differs are not UTF-8, and so would not be the same as text.
    async fn has_odd_names(&self, from: &CommitId, to: &CommitId) -> Result<bool, GitError> {
        let arguments = ["diff-tree", "-r", "-z", "--name-only", from.as_ref(), to.as_ref(), "--"];
        Ok(std::str::from_utf8(&self.run(arguments).await?).is_err())
    }

    /// The files that differ between two commits or trees, in the order of their paths. Renames are
    /// found.
    ///
    /// # Errors
    /// What git says.
    pub async fn changed_files(
        &self,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<Vec<ChangedFile>, GitError> {
        let arguments = ["diff-tree", "-r", "-z", "-M", "--raw", "--no-abbrev"];
        let output =
            self.run(arguments.into_iter().chain([from.as_ref(), to.as_ref(), "--"])).await?;
        let mut files =
            read(&output).ok_or_else(|| GitError::Unreadable { command: "diff-tree".into() })?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// How many lines differ in each file between two commits or trees. Renames are found.
    ///
    /// # Errors
    /// What git says.
    pub async fn line_counts(
        &self,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<Vec<LineCount>, GitError> {
        let arguments =
            ["diff-tree", "-r", "-z", "-M", "--numstat", "--no-ext-diff", "--no-textconv"];
        let output =
            self.run(arguments.into_iter().chain([from.as_ref(), to.as_ref(), "--"])).await?;
        read_counts(&output).ok_or_else(|| GitError::Unreadable { command: "diff-tree".into() })
    }
}

/// How many lines a file has gained and lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineCount {
    /// Its path in the repository, lossy where it is not UTF-8.
    pub path: String,
    /// New lines; none of a binary file.
    pub added: Option<u64>,
    /// Lines that are gone; none of a binary file.
    pub removed: Option<u64>,
}

/// Reads the form of `--numstat -z`: `ADDED TAB REMOVED TAB PATH`, and of a rename no path there but
/// both of them after it.
fn read_counts(output: &[u8]) -> Option<Vec<LineCount>> {
    let mut parts = output.split(|byte| *byte == 0);
    let mut counts = Vec::new();
    while let Some(head) = parts.next().filter(|head| !head.is_empty()) {
        let head = String::from_utf8_lossy(head).into_owned();
        let mut fields = head.splitn(3, '\t');
        let (added, removed) = (fields.next()?.parse().ok(), fields.next()?.parse().ok());
        let mut path = fields.next()?.to_owned();
        if path.is_empty() {
            parts.next()?;
            path = String::from_utf8_lossy(parts.next()?).into_owned();
        }
        counts.push(LineCount { path, added, removed });
    }
    Some(counts)
}

/// Reads the raw form: `:MODE MODE ID ID STATUS` and one path, two for renames.
fn read(output: &[u8]) -> Option<Vec<ChangedFile>> {
    let lossy = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    let mut parts = super::bytes::parts(output);
    let mut files = Vec::new();
    while let Some(head) = parts.next() {
        let head = std::str::from_utf8(head).ok()?.strip_prefix(':')?;
        let fields: Vec<&str> = head.split(' ').collect();
        let [before, after, _, _, status] = fields[..] else { return None };
        let path = lossy(parts.next()?);
        let change = match status.as_bytes().first()? {
            b'A' => Change::Added,
            b'D' => Change::Deleted,
            b'T' => Change::TypeChanged,
            b'M' if before != after => Change::TypeChanged,
            b'M' => Change::Modified,
            b'R' => {
                let (from, path) = (Some(path), lossy(parts.next()?));
                files.push(ChangedFile { path, change: Change::Renamed, from });
                continue;
            }
            _ => return None,
        };
        files.push(ChangedFile { path, change, from: None });
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_counts_are_read_of_changes_renames_and_binary_files() {
        let output = b"3\t1\ta\tb.txt\0-\t-\tpicture.png\x000\t2\t\0old.rs\0new.rs\0";
        let count = |path: &str, added, removed| LineCount { path: path.into(), added, removed };
        let expected = [
            count("a\tb.txt", Some(3), Some(1)),
            count("picture.png", None, None),
            count("new.rs", Some(0), Some(2)),
        ];
        assert_eq!(read_counts(output).unwrap(), expected);
        assert_eq!(read_counts(b"").unwrap(), []);
        assert_eq!(read_counts(b"nothing\0"), None);
    }
}
