//! Looking: status, differences, history, branches.

use super::{GitTools, ToolError};
use crate::git::{Diff, GitError, bytes};
use orchestrator_core::{
    id::CommitId,
    workspace::{Change, ChangedFile},
};
use serde::Serialize;

/// What the checkout is on, and what differs there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// The branch; none when the head is detached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit; none before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The branch that it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// How many commits it has that the upstream has not.
    pub ahead: u64,
    /// How many commits the upstream has that it has not.
    pub behind: u64,
    /// What was begun and not finished, such as `merge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// What the next commit changes.
    pub staged: Vec<ChangedFile>,
    /// What differs from what is staged.
    pub changed: Vec<ChangedFile>,
    /// What git does not keep and does not ignore: files, and directories with a slash at the end.
    pub untracked: Vec<String>,
    /// Files with conflicts.
    pub conflicts: Vec<String>,
    /// Whether a list leaves something out.
    pub is_cut: bool,
}

impl Status {
    /// Whether nothing that git keeps differs.
    pub fn is_clean(&self) -> bool {
        self.staged.is_empty() && self.changed.is_empty() && self.conflicts.is_empty()
    }
}

/// A commit, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogEntry {
    /// The commit.
    pub commit: CommitId,
    /// Who made it.
    pub author: String,
    /// When, in seconds since 1970.
    pub time: i64,
    /// The first line of its message.
    pub subject: String,
    /// The run that it is from, when the message says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The task that it is from, when the message says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Branch {
    /// Its name, without `refs/heads/`.
    pub name: String,
    /// Where it is.
    pub commit: CommitId,
    /// Whether it is checked out here.
    pub is_current: bool,
}

impl GitTools {
    /// What the checkout is on, and what differs there.
    ///
    /// # Errors
    /// What git says.
    pub async fn status(&self) -> Result<Status, ToolError> {
        let arguments = ["status", "--porcelain=v2", "-z", "--branch", "--untracked-files=normal"];
        let output = self.run(self.call().await?.args(arguments)).await?;
        let mut status =
            read(&output).ok_or_else(|| GitError::Unreadable { command: "status".into() })?;
        status.unfinished = self.repository.operation().map(|operation| operation.to_string());
        Ok(status)
    }

    /// What differs in the checkout, as text: what is staged, or what differs from that. At most
    /// `most` bytes, cut at the end of a line. With `paths`, only in those.
    ///
    /// # Errors
    /// What git says.
    pub async fn diff(&self, staged: bool, paths: &[String], most: u64) -> Result<Diff, ToolError> {
        let arguments = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "-M"];
        let mut call = self.call().await?.args(arguments);
        if staged {
            call = call.args(["--cached"]);
        }
        let call = call.args(["--src-prefix=a/", "--dst-prefix=b/", "--"]).args(paths);
        let output = self.repository.git().call(call.most(most)).await?;
        if !output.is_cut && output.code != Some(0) {
            return Err(GitError::of("diff", &output.stderr).into());
        }
        let mut text = output.stdout;
        if output.is_cut {
            let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            text.truncate(end);
        }
        Ok(Diff { text: String::from_utf8_lossy(&text).into_owned(), is_cut: output.is_cut })
    }

    /// The commits that lead to `name`, or to where the checkout is, newest first.
    ///
    /// # Errors
    /// [`GitError::Unknown`] when the name leads to no commit.
    pub async fn log(&self, name: Option<&str>, most: usize) -> Result<Vec<LogEntry>, ToolError> {
        let to = self.repository.resolve(name.unwrap_or("HEAD")).await?;
        let commits = self.repository.commits(None, &to, most.min(Self::LISTED)).await?;
        let entry = |commit: crate::git::CommitInfo| LogEntry {
            author: commit.author.name.clone(),
            time: commit.time,
            subject: commit.subject().to_owned(),
            run: commit.trailer("Orchestrator-Run").map(str::to_owned),
            task: commit.trailer("Orchestrator-Task").map(str::to_owned),
            commit: commit.id,
        };
        Ok(commits.into_iter().map(entry).collect())
    }

    /// The branches, by name, at most [`GitTools::LISTED`].
    ///
    /// # Errors
    /// What git says.
    pub async fn branches(&self) -> Result<Vec<Branch>, ToolError> {
        let current = self.repository.head().await?.branch;
        let found = self.repository.refs("refs/heads/").await?;
        let branch = |(name, commit): (String, CommitId)| {
            let name = name.strip_prefix("refs/heads/")?.to_owned();
            Some(Branch { is_current: current.as_deref() == Some(&*name), name, commit })
        };
        Ok(found.into_iter().filter_map(branch).take(Self::LISTED).collect())
    }

    /// Makes a branch at the commit `at`, or where the checkout is. The checkout stays as it is.
    ///
    /// # Errors
    /// [`ToolError::BranchExists`]; [`GitError::BadName`]; [`GitError::Unknown`].
    pub async fn create_branch(&self, name: &str, at: Option<&str>) -> Result<Branch, ToolError> {
        let commit = self.repository.resolve(at.unwrap_or("HEAD")).await?;
        let full = format!("refs/heads/{name}");
        let made = self.repository.update_ref(&full, Some(&commit), None, "branch: created").await;
        match made {
            Ok(()) => Ok(Branch { name: name.to_owned(), commit, is_current: false }),
            Err(GitError::Moved { .. }) => Err(ToolError::BranchExists(name.to_owned())),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads `git status --porcelain=v2 -z --branch`.
fn read(output: &[u8]) -> Option<Status> {
    let mut status = Status::default();
    let mut parts = bytes::parts(output).map(String::from_utf8_lossy);
    while let Some(line) = parts.next() {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "#" => header(&mut status, rest),
            "?" => push(&mut status.untracked, rest.to_owned(), &mut status.is_cut),
            // Before the path stand the states, four modes and three objects.
            "u" => {
                let path = rest.splitn(10, ' ').nth(9)?.to_owned();
                push(&mut status.conflicts, path, &mut status.is_cut);
            }
            "1" => {
                let fields: Vec<&str> = rest.splitn(8, ' ').collect();
                entry(&mut status, fields.first()?, (*fields.get(7)?).to_owned(), None)?;
            }
            "2" => {
                let fields: Vec<&str> = rest.splitn(9, ' ').collect();
                let from = parts.next()?.into_owned();
                entry(&mut status, fields.first()?, (*fields.get(8)?).to_owned(), Some(from))?;
            }
            _ => {}
        }
    }
    Some(status)
}

fn header(status: &mut Status, line: &str) {
    match line.split_once(' ') {
        Some(("branch.oid", id)) => status.commit = CommitId::new(id).ok(),
        Some(("branch.head", name)) if name != "(detached)" => status.branch = Some(name.into()),
        Some(("branch.upstream", name)) => status.upstream = Some(name.into()),
        Some(("branch.ab", counts)) => {
            let mut counts = counts.split(' ').map(|count| count.trim_start_matches(['+', '-']));
            let mut next = || counts.next().and_then(|count| count.parse().ok()).unwrap_or(0);
            (status.ahead, status.behind) = (next(), next());
        }
        Some(_) | None => {}
    }
}

/// Adds a file by its two states: staged, and in the checkout.
fn entry(status: &mut Status, states: &str, path: String, from: Option<String>) -> Option<()> {
    let mut states = states.chars();
    let (staged, changed) = (states.next()?, states.next()?);
    let file = |change| {
        let from = from.clone().filter(|_| change == Change::Renamed);
        ChangedFile { path: path.clone(), change, from }
    };
    if let Some(change) = change(staged) {
        push(&mut status.staged, file(change), &mut status.is_cut);
    }
    if let Some(change) = change(changed) {
        push(&mut status.changed, file(change), &mut status.is_cut);
    }
    Some(())
}

fn change(state: char) -> Option<Change> {
    match state {
        'M' => Some(Change::Modified),
        'A' | 'C' => Some(Change::Added),
        'D' => Some(Change::Deleted),
        'R' => Some(Change::Renamed),
        'T' => Some(Change::TypeChanged),
        _ => None,
    }
}

fn push<T>(list: &mut Vec<T>, item: T, is_cut: &mut bool) {
    if list.len() < GitTools::LISTED {
        list.push(item);
    } else {
        *is_cut = true;
    }
}
