//! Making a place ready.

use super::{
    Mark, Registry, Stage,
    commands::{Nobody, Runner},
    copy,
    ports::Ports,
    submodules,
};
use crate::{
    GitWorkspaces,
    git::{Checkout, GitError, Repository, attempt_branch, result_branch},
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::CommitId,
    port::{AttemptHost, LogLine, LogStream, Start, WorkspaceOrder},
    workspace::{Opened, WorkspaceKind, WorkspacePolicy},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

/// What a place of git begins with.
struct Beginning {
    base: CommitId,
    /// The files: a commit or a tree.
    files: CommitId,
    branch: String,
}

impl GitWorkspaces {
    pub(crate) async fn open_place(
        &self,
        order: &WorkspaceOrder,
        host: &dyn AttemptHost,
    ) -> Result<Opened, Failure> {
        let wanted = below(&order.policy)?;
        if order.directory.to_str().is_none() || self.registry.root().to_str().is_none() {
            let message = "the path of the project is not UTF-8: give the directory another name";
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        }
        if order.policy.kind == WorkspaceKind::Project {
            return self.open_project(order, &wanted).await;
        }
        let resumed = match &order.start {
            Start::Resume(opened) => {
                let name = self.registry.name_of(&opened.directory);
                name.or_else(|| self.registry.name_of_moved(&opened.directory))
            }
            Start::Tip | Start::Mend { .. } | Start::Onto { .. } => None,
        };
        let name =
            resumed.unwrap_or_else(|| Registry::name(&order.run, &order.task, order.attempt));
        let _opening = self.pool.opening();
        let _turn = self.turn(&name).await;
        let held = self.claims().remove(&name);
        let was_held = held.is_some();
        let mut claim = match held {
            Some(claim) => claim,
            None => self.claim(&name).await?,
        };
        let mark = self.registry.read(&name)?;
        let is_ready = |mark: &&Mark| {
            matches!(mark.stage, Stage::Ready | Stage::Kept)
                && mark.kind == order.policy.kind
                && self.registry.directory(&name).is_dir()
        };
        let mark = match mark.as_ref().filter(is_ready) {
            Some(ready) => {
                if !was_held {
                    self.mend(order, &name, ready).await?;
                }
                ready.clone()
            }
            None => self.make(order, &name, &wanted, mark, host).await?,
        };
        claim.ports = None;
        claim.ports =
            Ports::take(&self.ports, &self.port_range, order.policy.ports, &name, &mark.ports)?;
        let opened = self.opened(&name, &mark, claim.ports.as_ref());
        let numbers = claim.ports.as_ref().map(|ports| ports.numbers.clone()).unwrap_or_default();
        let was_opening = mark.stage == Stage::Opening;
        let mark = Mark { ports: numbers, stage: Stage::Ready, ..mark };
        if was_opening {
            let top = self.registry.directory(&name);
            let places = (&*top, &*opened.directory);
            self.runner().run(&order.policy.setup, places, &opened.environment, host).await?;
        }
        self.registry.write(&name, &mark)?;
        self.claims().insert(name, claim);
        Ok(opened)
    }

    /// Sees to it that the agent's git works in a place that was left for a while.
    async fn mend(&self, order: &WorkspaceOrder, name: &str, mark: &Mark) -> Result<(), Failure> {
        let (Some(branch), Some(base)) = (&mark.branch, &mark.base) else { return Ok(()) };
        let repository = self.repository(&order.directory).await?;
        let (top, spare) = (self.registry.directory(name), self.registry.beside(name, "spare"));
        if repository.mend_worktree(&top, (branch, base), &spare).await? {
            self.lend_index(&repository, &top, &self.registry.beside(name, "index")).await?;
        }
        Ok(())
    }

    fn runner(&self) -> Runner<'_> {
        Runner {
            sandbox: &*self.sandbox,
            confinement: &self.confinement,
            environment: &self.environment,
        }
    }

    /// The project itself, which is nobody's to write.
    async fn open_project(&self, order: &WorkspaceOrder, wanted: &Path) -> Result<Opened, Failure> {
        let directory = order.directory.join(wanted);
        if !directory.is_dir() {
            return Err(GitError::NoDirectory { path: directory }.into());
        }
        Ok(Opened {
            kind: WorkspaceKind::Project,
            directory,
            base: None,
            branch: None,
            environment: BTreeMap::new(),
            sandbox: self.sandbox.name().to_owned(),
        })
    }

    fn opened(&self, name: &str, mark: &Mark, ports: Option<&Ports>) -> Opened {
        let mut environment = BTreeMap::new();
        if let Some(ports) = ports {
            ports.tell(&mut environment);
        }
        match mark.kind {
            WorkspaceKind::Worktree if !mark.hooks => {
                let setting =
                    [("COUNT", "1"), ("KEY_0", "core.hooksPath"), ("VALUE_0", "/dev/null")];
                let variable =
                    |(name, value): (&str, &str)| (format!("GIT_CONFIG_{name}"), value.into());
                environment.extend(setting.map(variable));
            }
            WorkspaceKind::Worktree => {}
            // A repository around it, such as the project's, is not found from there.
            WorkspaceKind::None | WorkspaceKind::Copy | WorkspaceKind::Project => {
                let root = self.registry.root().display().to_string();
                environment.insert("GIT_CEILING_DIRECTORIES".into(), root);
            }
        }
        Opened {
            kind: mark.kind,
            directory: self.registry.directory(name).join(&mark.below),
            base: mark.base.clone(),
            branch: mark.branch.clone(),
            environment,
            sandbox: self.sandbox.name().to_owned(),
        }
    }

    /// Makes a place anew. What is left of one that never became ready is removed before.
    async fn make(
        &self,
        order: &WorkspaceOrder,
        name: &str,
        wanted: &Path,
        before: Option<Mark>,
        host: &dyn AttemptHost,
    ) -> Result<Mark, Failure> {
        let top = self.registry.directory(name);
        if before.is_some() {
            self.discard(name, &order.directory).await?;
        } else if top.exists() {
            let message = format!("`{}` is in the way: it is not ours to remove", top.display());
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        }
        let mut mark = Mark {
            version: 1,
            run: order.run.clone(),
            task: order.task.clone(),
            attempt: order.attempt,
            kind: order.policy.kind,
            project: order.directory.clone(),
            root: Some(self.registry.root().to_owned()),
            stage: Stage::Opening,
            base: None,
            branch: None,
            below: wanted.to_owned(),
            hooks: order.policy.hooks,
            is_sparse: !order.policy.sparse.is_empty(),
            ports: Vec::new(),
            submodules: Vec::new(),
            last: None,
        };
        match order.policy.kind {
            WorkspaceKind::Worktree => self.make_worktree(order, name, &mut mark).await?,
            WorkspaceKind::Copy => {
                self.registry.write(name, &mark)?;
                let (from, to, state) = (order.directory.clone(), top.clone(), self.state.clone());
                blocking(move || copy::project(&from, &to, &state)).await??;
            }
            WorkspaceKind::None | WorkspaceKind::Project => {
                self.registry.write(name, &mark)?;
                fs::create_dir(&top).map_err(|e| GitError::file("make", &top, e))?;
            }
        }
        let work = top.join(&mark.below);
        if !work.is_dir() {
            if mark.kind != WorkspaceKind::None {
                let message =
                    format!("there is no directory `{}` in the workspace", mark.below.display());
                return Err(Failure::new(ErrorClass::InvalidRequest, message));
            }
            fs::create_dir_all(&work).map_err(|e| GitError::file("make", &work, e))?;
        }
        let real = fs::canonicalize(&work).map_err(|e| GitError::file("find", &work, e))?;
        let real_top = fs::canonicalize(&top).map_err(|e| GitError::file("find", &top, e))?;
        if !real.starts_with(&real_top) {
            let message = format!("`{}` leads out of the workspace", mark.below.display());
            return Err(Failure::new(ErrorClass::Unsafe, message));
        }
        if mark.kind != WorkspaceKind::Copy {
            self.copy_files(order, name, &mark, host).await?;
        }
        Ok(mark)
    }

    async fn make_worktree(
        &self,
        order: &WorkspaceOrder,
        name: &str,
        mark: &mut Mark,
    ) -> Result<(), Failure> {
        let repository = self.repository(&order.directory).await?;
        let Beginning { base, files, branch } = self.beginning(&repository, order).await?;
        mark.base = Some(base.clone());
        mark.branch = Some(branch.clone());
        mark.below = repository.prefix().join(&mark.below);
        self.registry.write(name, mark)?;
        let top = self.registry.directory(name);
        let index = self.registry.beside(name, "index");
        let full = format!("refs/heads/{branch}");
        let there = repository.find_ref(&full).await?;
        if there.as_ref().is_some_and(|there| *there != base)
            && !matches!(order.start, Start::Resume(_))
        {
            repository
                .update_ref(&full, Some(&base), there.as_ref(), "orchestrator: begin anew")
                .await?;
        }
        repository.add_worktree(&top, &branch, &base).await?;
        let is_whole = order.policy.sparse.is_empty();
        if is_whole {
            self.pool.take(&repository, &files, &top, &index).await?;
        }
        let sparse = &order.policy.sparse;
        let wanted = Checkout { commit: &files, directory: &top, index: &index, sparse };
        repository.checkout(&wanted).await?;
        let beside = |number: usize| self.registry.beside(name, &format!("sub{number}"));
        mark.submodules = submodules::check_out(&repository, &files, &top, beside).await?;
        self.lend_index(&repository, &top, &index).await?;
        self.registry.write(name, mark)?;
        if is_whole && self.fills {
            // Those that come next need not wait; that it fails costs them that.
            let pool = self.pool.clone();
            tokio::spawn(async move {
                if let Err(error) = pool.refill(&repository, &base).await {
                    tracing::debug!(%error, "no directory is prepared");
                }
            });
        }
        Ok(())
    }

    /// Gives the agent's git an index, so that it need not read every file.
    async fn lend_index(
        &self,
        repository: &Repository,
        top: &Path,
        index: &Path,
    ) -> Result<(), GitError> {
        let link = top.join(".git");
        let text = fs::read(&link).map_err(|e| GitError::file("read", &link, e))?;
        let dir = text.strip_prefix(b"gitdir: ").unwrap_or_default();
        let dir = top.join(crate::git::bytes::path(dir.strip_suffix(b"\n").unwrap_or(dir)));
        let is_ours = dir.parent() == Some(&*repository.common_dir().join("worktrees"));
        if is_ours {
            let lent = dir.join("index");
            fs::copy(index, &lent).map_err(|e| GitError::file("copy", &lent, e))?;
        }
        Ok(())
    }

    async fn beginning(
        &self,
        repository: &Repository,
        order: &WorkspaceOrder,
    ) -> Result<Beginning, Failure> {
        let branch = attempt_branch(&order.run, &order.task, order.attempt);
        Ok(match &order.start {
            Start::Tip => {
                let base = self.tip(repository, order).await?;
                Beginning { files: base.clone(), base, branch }
            }
            Start::Mend { base, commit } => {
                Beginning { base: base.clone(), files: commit.clone(), branch }
            }
            Start::Onto { tip, commit } => {
                let info = repository.commit(commit).await?;
                let files = match info.parents.first() {
                    Some(parent) => {
                        repository.merge_trees(parent, tip, commit).await?.tree().clone()
                    }
                    None => info.tree,
                };
                Beginning { base: tip.clone(), files, branch }
            }
            Start::Resume(opened) => {
                // Its place is gone: from the last state that was recorded.
                let base = match &opened.base {
                    Some(base) => base.clone(),
                    None => self.tip(repository, order).await?,
                };
                let branch = opened.branch.clone().unwrap_or(branch);
                let last = repository.find_ref(&format!("refs/{branch}")).await?;
                Beginning { files: last.unwrap_or_else(|| base.clone()), base, branch }
            }
        })
    }

    /// The tip of the run's result branch, which is made when it is not there.
    async fn tip(
        &self,
        repository: &Repository,
        order: &WorkspaceOrder,
    ) -> Result<CommitId, Failure> {
        let name = format!("refs/heads/{}", result_branch(&order.run));
        if let Some(tip) = repository.find_ref(&name).await? {
            return Ok(tip);
        }
        let base = match self.includes_uncommitted {
            true => self.commit_uncommitted(repository, order).await?,
            false => repository.head_commit().await?,
        };
        match repository.update_ref(&name, Some(&base), None, "orchestrator: begin").await {
            Ok(()) => Ok(base),
            // Another attempt of the run was first.
            Err(GitError::Moved { .. }) => repository.find_ref(&name).await?.ok_or_else(|| {
                Failure::new(ErrorClass::Transient, format!("`{name}` comes and goes; try again"))
            }),
            Err(error) => Err(error.into()),
        }
    }

    async fn copy_files(
        &self,
        order: &WorkspaceOrder,
        name: &str,
        mark: &Mark,
        host: &dyn AttemptHost,
    ) -> Result<(), Failure> {
        let repository = match mark.kind {
            WorkspaceKind::Worktree => Some(self.repository(&order.directory).await?),
            WorkspaceKind::None | WorkspaceKind::Copy | WorkspaceKind::Project => None,
        };
        let prefix = repository.as_ref().map(|r| r.prefix().to_owned()).unwrap_or_default();
        let to = self.registry.directory(name).join(&prefix);
        let (from, state) = (order.directory.clone(), self.state.clone());
        let patterns = order.policy.copy.clone();
        let copied = blocking(move || copy::files(&from, &to, &patterns, &state)).await??;
        for text in copied.notes {
            host.log(LogLine { stream: LogStream::Note, text });
        }
        // What git does not keep in the project it does not keep of the place either.
        let mut exclude = Vec::new();
        if let Some(repository) = &repository {
            let own = repository.common_dir().join("info/exclude");
            exclude = fs::read(own).unwrap_or_default();
            exclude.push(b'\n');
        }
        for file in copied.files {
            exclude.push(b'/');
            for byte in crate::git::bytes::of(&prefix.join(file)) {
                if b"\\*?[]!# ".contains(byte) {
                    exclude.push(b'\\');
                }
                exclude.push(*byte);
            }
            exclude.push(b'\n');
        }
        let path = self.registry.beside(name, "exclude");
        fs::write(&path, exclude).map_err(|e| GitError::file("write", &path, e))?;
        Ok(())
    }

    pub(crate) async fn close_place(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        keep: bool,
    ) -> Result<(), Failure> {
        let Some(name) = self.registry.name_of(&opened.directory) else { return Ok(()) };
        let _turn = self.turn(&name).await;
        let Some(mark) = self.registry.read(&name)? else {
            self.claims().remove(&name);
            return Ok(());
        };
        let claim = self.claims().remove(&name);
        let _claim = match claim {
            Some(claim) => claim,
            None => self.claim(&name).await?,
        };
        let locked = self.lock_of(&name, &mark).await;
        if let Some(reason) = &locked {
            tracing::warn!(name, reason, "a worktree that is locked stays");
        }
        if keep || locked.is_some() {
            self.registry.write(&name, &Mark { stage: Stage::Kept, ..mark })?;
            return Ok(());
        }
        if mark.stage != Stage::Closing && opened.directory.is_dir() {
            let top = self.registry.directory(&name);
            let places = (&*top, &*opened.directory);
            let cleaned = self
                .runner()
                .run(&order.policy.cleanup, places, &opened.environment, &Nobody)
                .await;
            if let Err(failure) = cleaned {
                tracing::warn!(message = failure.message, "cleaning up after an attempt failed");
            }
        }
        let mark = Mark { stage: Stage::Closing, ..mark };
        self.registry.write(&name, &mark)?;
        self.keep_files(&name, &mark, opened).await;
        self.discard(&name, &order.directory).await
    }
}

/// Where in the project the work is done: never outside.
fn below(policy: &WorkspacePolicy) -> Result<PathBuf, Failure> {
    let outside = |text: &String| {
        !Path::new(text)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    if let Some(text) = policy.directory.iter().chain(&policy.sparse).find(|text| outside(text)) {
        let message =
            format!("{text:?} is not a directory below the project: write it without `..`");
        return Err(Failure::new(ErrorClass::InvalidRequest, message));
    }
    let plain = |part: &Component<'_>| matches!(part, Component::Normal(_));
    let directory = Path::new(policy.directory.as_deref().unwrap_or_default());
    Ok(directory.components().filter(plain).collect())
}

/// Runs what waits for the disk where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::new(ErrorClass::Internal, "the work on files did not end"))
}
