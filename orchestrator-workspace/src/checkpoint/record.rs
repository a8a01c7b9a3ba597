//! Recording the files of a place.

use crate::{
    GitWorkspaces,
    git::{
        GitError, Identity, NewCommit, RefChange, Repository, Scan, Scanned, attempt_branch,
        checkpoint_ref,
    },
    worktree::{Last, Mark, blocking, size_up_to},
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{CommitId, TurnNumber},
    port::WorkspaceOrder,
    workspace::{Checkpoint, Opened, Snapshot, WorkspaceKind},
};
use std::{fmt::Write as _, path::PathBuf};

/// How many bytes of a difference are kept.
const DIFF: u64 = 1024 * 1024;
/// How many names of what was left out are kept.
const LISTED: usize = 1_000;

impl GitWorkspaces {
    pub(crate) async fn record_checkpoint(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        turn: Option<TurnNumber>,
    ) -> Result<Option<Checkpoint>, Failure> {
        self.check_quota(order, opened).await?;
        let Some(name) = self.name_of_git(opened) else { return Ok(None) };
        let _turn = self.turn(&name).await;
        let mark = self.mark(&name)?;
        self.record(order, opened, &name, &mark, turn).await
    }

    /// Records what is there now, if it is not what was recorded last.
    pub(crate) async fn record(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        name: &str,
        mark: &Mark,
        turn: Option<TurnNumber>,
    ) -> Result<Option<Checkpoint>, Failure> {
        let repository = self.repository(&order.directory).await?;
        let base = base_of(opened)?;
        let ref_name = ref_of(order);
        let (scanned, there) = tokio::join!(
            self.scan(&repository, order, name, mark, base),
            repository.find_ref(&ref_name)
        );
        let (scanned, there) = (scanned?, there?);
        // What is written beside the place may be older than the ref, after a crash; where an attempt
        // goes on in the place of another it is of that one, and the ref is not there yet.
        let last = match (&there, &mark.last) {
            (Some(there), Some(last)) if *there == last.commit => last.clone(),
            (None, Some(last)) => last.clone(),
            (Some(there), _) => Last { commit: there.clone(), tree: repository.tree(there).await? },
            (None, None) => Last { commit: base.clone(), tree: repository.tree(base).await? },
        };
        if scanned.tree == last.tree {
            return Ok(None);
        }
        let subject = match turn {
            Some(turn) => format!("orchestrator: turn {} of {}", turn.0, order.task),
            None => format!("orchestrator: state of {}", order.task),
        };
        let message = with_trailers(&subject, order, turn, Some(base));
        let identity = Identity::default();
        let parents = std::slice::from_ref(&last.commit);
        let commit =
            NewCommit { tree: &scanned.tree, parents, message: &message, author: Some(&identity) };
        let (commit, files) = tokio::join!(
            repository.commit_tree(commit),
            repository.changed_files(&last.tree, &scanned.tree)
        );
        let (commit, files) = (commit?, files?);
        repository
            .update_ref(&ref_name, Some(&commit), there.as_ref(), "orchestrator: checkpoint")
            .await?;
        let last = Last { commit: commit.clone(), tree: scanned.tree };
        self.registry.write(name, &Mark { last: Some(last), ..mark.clone() })?;
        let files = u32::try_from(files.len()).unwrap_or(u32::MAX);
        Ok(Some(Checkpoint { commit, turn, files, left_out: scanned.left_out }))
    }

    pub(crate) async fn record_snapshot(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        message: &str,
    ) -> Result<Option<Snapshot>, Failure> {
        self.check_quota(order, opened).await?;
        let Some(name) = self.name_of_git(opened) else { return Ok(None) };
        let _turn = self.turn(&name).await;
        let mark = self.mark(&name)?;
        let repository = self.repository(&order.directory).await?;
        let base = base_of(opened)?.clone();
        let scanned = self.scan(&repository, order, &name, &mark, &base).await?;
        let mut snapshot = Snapshot {
            commit: base.clone(),
            base: base.clone(),
            files: Vec::new(),
            diff: String::new(),
            is_cut: false,
            left_out: scanned.left_out,
        };
        if scanned.tree != repository.tree(&base).await? {
            let message = with_trailers(message, order, None, None);
            let parents = std::slice::from_ref(&base);
            let commit =
                NewCommit { tree: &scanned.tree, parents, message: &message, author: None };
            snapshot.commit = repository.commit_tree(commit).await?;
            let (files, diff) = tokio::join!(
                repository.changed_files(&base, &scanned.tree),
                repository.diff(&base, &scanned.tree, &[], DIFF)
            );
            let diff = diff?;
            (snapshot.files, snapshot.diff, snapshot.is_cut) = (files?, diff.text, diff.is_cut);
        }
        self.show_on_branch(&repository, order, opened, &snapshot).await?;
        Ok(Some(snapshot))
    }

    /// Makes the attempt's branch lead to what it made. What the agent had committed there itself
    /// stays on a hidden ref.
    async fn show_on_branch(
        &self,
        repository: &Repository,
        order: &WorkspaceOrder,
        opened: &Opened,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        let own = || attempt_branch(&order.run, &order.task, order.attempt);
        let branch = opened.branch.clone().unwrap_or_else(own);
        let name = format!("refs/heads/{branch}");
        let there = repository.find_ref(&name).await?;
        if there.as_ref() == Some(&snapshot.commit) {
            return Ok(());
        }
        let mut changes =
            vec![RefChange { name, new: Some(snapshot.commit.clone()), old: there.clone() }];
        if let Some(own) = there.filter(|there| *there != snapshot.base) {
            let name = format!("refs/{branch}.history");
            let old = repository.find_ref(&name).await?;
            changes.push(RefChange { name, new: Some(own), old });
        }
        repository.update_refs(&changes, "orchestrator: what the attempt made").await?;
        Ok(())
    }

    /// The tree of a place with its submodules.
    pub(super) async fn scan(
        &self,
        repository: &Repository,
        order: &WorkspaceOrder,
        name: &str,
        mark: &Mark,
        base: &CommitId,
    ) -> Result<Scanned, Failure> {
        let top = self.registry.directory(name);
        let index = self.registry.beside(name, "index");
        let exclude = self.registry.beside(name, "exclude");
        let excludes: Vec<PathBuf> =
            Some(exclude).into_iter().filter(|file| file.is_file()).collect();
        let mut left_out = Vec::new();
        // Those within others come later in the list, and have to be recorded before.
        for (number, submodule) in mark.submodules.iter().enumerate().rev() {
            let directory = top.join(&submodule.path);
            let own_index = self.registry.beside(name, &format!("sub{number}"));
            if !directory.is_dir() || !own_index.is_file() {
                continue;
            }
            let own =
                Repository::at(repository.git(), submodule.git_dir.clone(), directory.clone());
            let scan = Scan {
                directory: &directory,
                index: &own_index,
                base: &submodule.commit,
                excludes: &[],
                max_size: self.max_size,
                max_files: self.max_files,
            };
            let scanned = own.tree_of(&scan).await?;
            left_out.extend(scanned.left_out.iter().map(|path| submodule.path.join(path)));
            let commit = match scanned.tree == own.tree(&submodule.commit).await? {
                true => submodule.commit.clone(),
                false => {
                    self.commit_submodule(&own, order, &submodule.commit, &scanned.tree).await?
                }
            };
            let (above, index) =
                match submodule.parent.and_then(|at| mark.submodules.get(at).zip(Some(at))) {
                    Some((above, at)) => {
                        (top.join(&above.path), self.registry.beside(name, &format!("sub{at}")))
                    }
                    None => (top.clone(), index.clone()),
                };
            repository.record_submodule(&above, &index, &submodule.link, &commit).await?;
        }
        let scan = Scan {
            directory: &top,
            index: &index,
            base,
            excludes: &excludes,
            max_size: self.max_size,
            max_files: self.max_files,
        };
        let mut scanned = repository.tree_of(&scan).await?;
        scanned.left_out.extend(left_out);
        scanned.left_out.truncate(LISTED);
        Ok(scanned)
    }

    /// One commit for one tree, so that looking twice finds the same.
    async fn commit_submodule(
        &self,
        own: &Repository,
        order: &WorkspaceOrder,
        base: &CommitId,
        tree: &CommitId,
    ) -> Result<CommitId, Failure> {
        let name = ref_of(order);
        let there = own.find_ref(&name).await?;
        if let Some(there) = &there
            && own.tree(there).await? == *tree
        {
            return Ok(there.clone());
        }
        let message = with_trailers("orchestrator: files of a submodule", order, None, None);
        let identity = Identity::default();
        // On the one before too, so that no state of it is lost.
        let mut parents = vec![base.clone()];
        parents.extend(there.clone());
        let commit =
            NewCommit { tree, parents: &parents, message: &message, author: Some(&identity) };
        let commit = own.commit_tree(commit).await?;
        own.update_ref(&name, Some(&commit), there.as_ref(), "orchestrator: checkpoint").await?;
        Ok(commit)
    }

    /// A commit of the project's head and of what it has not committed; the head itself when that is
    /// all. Nothing of the user's is changed: not even the index is refreshed.
    pub(crate) async fn commit_uncommitted(
        &self,
        repository: &Repository,
        order: &WorkspaceOrder,
    ) -> Result<CommitId, Failure> {
        if let Some(operation) = repository.operation() {
            return Err(
                GitError::Unfinished { operation, path: repository.top().to_owned() }.into()
            );
        }
        let head = repository.head_commit().await?;
        self.registry.prepare()?;
        let root = self.registry.root();
        let own = tempfile::Builder::new().prefix(".uncommitted").tempdir_in(root);
        let own = own.map_err(|e| GitError::file("write in", root, e))?;
        let index = own.path().join("index");
        let theirs = repository.git_dir().join("index");
        if theirs.is_file() {
            std::fs::copy(&theirs, &index).map_err(|e| GitError::file("copy", &theirs, e))?;
        }
        let exclude = own.path().join("exclude");
        let state = self
            .state
            .strip_prefix(repository.top())
            .ok()
            .map(|state| format!("/{}\n", state.display()));
        std::fs::write(&exclude, state.unwrap_or_default())
            .map_err(|e| GitError::file("write", &exclude, e))?;
        let excludes = [repository.common_dir().join("info/exclude"), exclude];
        let excludes: Vec<PathBuf> = excludes.into_iter().filter(|file| file.is_file()).collect();
        let scan = Scan {
            directory: repository.top(),
            index: &index,
            base: &head,
            excludes: &excludes,
            max_size: self.max_size,
            max_files: self.max_files,
        };
        let scanned = repository.tree_of(&scan).await?;
        if scanned.tree == repository.tree(&head).await? {
            return Ok(head);
        }
        let message = with_trailers("orchestrator: what was not committed", order, None, None);
        let parents = [head];
        let commit =
            NewCommit { tree: &scanned.tree, parents: &parents, message: &message, author: None };
        Ok(repository.commit_tree(commit).await?)
    }

    async fn check_quota(&self, order: &WorkspaceOrder, opened: &Opened) -> Result<(), Failure> {
        self.within_quota(order, opened, &[]).await
    }

    /// Looks whether a place, together with directories `besides` that belong to it, takes more of the
    /// disk than its policy allows. What is beyond that is not measured.
    ///
    /// # Errors
    /// `tool_failed` when it does.
    pub async fn within_quota(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        besides: &[PathBuf],
    ) -> Result<(), Failure> {
        let Some(quota) = order.policy.quota else { return Ok(()) };
        let Some(name) = self.registry.name_of(&opened.directory) else { return Ok(()) };
        let directories = [&[self.registry.directory(&name)], besides].concat();
        let size = blocking(move || {
            directories.iter().fold(0, |size: u64, directory| {
                size.saturating_add(size_up_to(directory, quota.saturating_sub(size)))
            })
        });
        let size = size.await?;
        if size <= quota {
            return Ok(());
        }
        let message = format!(
            "the workspace takes at least {size} bytes on the disk and may take {quota}: remove what \
             is not needed, or raise its `quota`"
        );
        Err(Failure::new(ErrorClass::ToolFailed, message))
    }

    pub(super) fn name_of_git(&self, opened: &Opened) -> Option<String> {
        (opened.kind == WorkspaceKind::Worktree)
            .then(|| self.registry.name_of(&opened.directory))?
    }

    pub(super) fn mark(&self, name: &str) -> Result<Mark, Failure> {
        self.registry.read(name)?.ok_or_else(|| {
            let message = format!("the workspace `{name}` is not there any more");
            Failure::new(ErrorClass::InvalidRequest, message)
        })
    }
}

pub(super) fn ref_of(order: &WorkspaceOrder) -> String {
    checkpoint_ref(&order.run, &order.task, order.attempt)
}

pub(super) fn base_of(opened: &Opened) -> Result<&CommitId, Failure> {
    opened.base.as_ref().ok_or_else(|| {
        Failure::new(ErrorClass::InvalidRequest, "the workspace was opened without a base commit")
    })
}

/// A message and what it belongs to.
fn with_trailers(
    message: &str,
    order: &WorkspaceOrder,
    turn: Option<TurnNumber>,
    base: Option<&CommitId>,
) -> String {
    let mut text = format!("{}\n\n", message.trim_end());
    // Writing to a string does not fail.
    let _ = writeln!(text, "Orchestrator-Run: {}", order.run);
    let _ = writeln!(text, "Orchestrator-Task: {}", order.task);
    let _ = writeln!(text, "Orchestrator-Attempt: {}", order.attempt.0);
    if let Some(turn) = turn {
        let _ = writeln!(text, "Orchestrator-Turn: {}", turn.0);
    }
    if let Some(base) = base {
        let _ = writeln!(text, "Orchestrator-Base: {base}");
    }
    text
}
