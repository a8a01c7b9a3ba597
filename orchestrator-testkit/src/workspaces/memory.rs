//! The workspaces themselves.

use super::script::{Files, Heard, Script};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{CommitId, TurnNumber},
    port::{
        AttemptHost, Call, Checked, Clock, LandRequest, LogLine, LogStream, Start, WorkspaceOrder,
        Workspaces,
    },
    workspace::{
        Change, ChangedFile, CheckCommand, CheckOutcome, CheckRecord, Checkpoint, ChecksPolicy,
        Conflict, Evidence, Finding, FindingKind, LandMode, Landed, Landing, Opened,
        PullRequestRef, Snapshot, Verdict, WorkspaceKind,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Workspaces in memory; they outlive the engines that use them, as a disk does.
pub struct MemoryWorkspaces {
    clock: Arc<dyn Clock>,
    script: Script,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    commits: BTreeMap<CommitId, Commit>,
    branches: BTreeMap<String, CommitId>,
    /// The places of attempts, with what is in them.
    places: BTreeMap<PathBuf, Place>,
    heard: Vec<Heard>,
}

#[derive(Debug, Clone)]
struct Commit {
    parent: Option<CommitId>,
    files: Files,
}

#[derive(Debug, Clone)]
struct Place {
    opened: Opened,
    files: Files,
    /// The state that was recorded last.
    recorded: Files,
}

impl std::fmt::Debug for MemoryWorkspaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryWorkspaces").finish_non_exhaustive()
    }
}

impl State {
    fn commit(&mut self, parent: Option<CommitId>, files: Files) -> CommitId {
        let content = format!("{parent:?} {files:?}");
        let digest = Call::new("commit", "", content).input;
        let id = CommitId::new(&digest["sha256:".len()..][..40])
            .unwrap_or_else(|_| unreachable!("hexadecimal digits"));
        self.commits.insert(id.clone(), Commit { parent, files });
        id
    }

    fn files(&self, commit: &CommitId) -> Result<Files, Failure> {
        let found = self.commits.get(commit).map(|commit| commit.files.clone());
        found.ok_or_else(|| Failure::new(ErrorClass::Internal, format!("no commit {commit}")))
    }

    /// The branch where the work of a run is gathered; it begins where the project is, or with what
    /// was carried over.
    fn result(&mut self, order: &WorkspaceOrder) -> CommitId {
        let name = format!("orchestrator/{}/result", order.run);
        if let Some(tip) = self.branches.get(&name) {
            return tip.clone();
        }
        let after = |commit: &CommitId| {
            order.carried.iter().filter(|other| self.is_before(other, commit)).count()
        };
        let carried = order.carried.iter().max_by_key(|commit| after(commit)).cloned();
        let tip = carried.or_else(|| self.branches.get("main").cloned());
        let tip = tip.unwrap_or_else(|| self.commit(None, Files::new()));
        self.branches.insert(name, tip.clone());
        tip
    }

    fn is_before(&self, one: &CommitId, other: &CommitId) -> bool {
        let mut at = Some(other);
        while let Some(commit) = at {
            if commit == one {
                return true;
            }
            at = self.commits.get(commit).and_then(|commit| commit.parent.as_ref());
        }
        false
    }
}

/// What `theirs` and `ours` come to, both made from `base`; or the files that do not go together.
fn merged(base: &Files, ours: &Files, theirs: &Files) -> Result<Files, Vec<String>> {
    let paths: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    let (mut files, mut conflicts) = (Files::new(), Vec::new());
    for path in paths {
        let (before, our, their) = (base.get(path), ours.get(path), theirs.get(path));
        let kept = if our == their || their == before {
            our
        } else if our == before {
            their
        } else {
            conflicts.push(path.clone());
            our
        };
        if let Some(text) = kept {
            files.insert(path.clone(), text.clone());
        }
    }
    if conflicts.is_empty() { Ok(files) } else { Err(conflicts) }
}

fn changed(before: &Files, after: &Files) -> Vec<ChangedFile> {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = paths.into_iter().filter_map(|path| {
        let change = match (before.get(path), after.get(path)) {
            (None, _) => Change::Added,
            (_, None) => Change::Deleted,
            (old, new) if old != new => Change::Modified,
            _ => return None,
        };
        Some(ChangedFile { path: path.clone(), change, from: None })
    });
    changed.collect()
}

impl MemoryWorkspaces {
    /// Workspaces over a project whose branch `main` holds `files`.
    pub fn new(clock: Arc<dyn Clock>, files: &[(&str, &str)], script: Script) -> Self {
        let this = Self { clock, script, state: Mutex::default() };
        {
            let mut state = this.state();
            let files = files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
            let main = state.commit(None, files);
            state.branches.insert("main".into(), main);
        }
        this
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file in the place of an attempt, as its agent does.
    pub fn write(&self, directory: &Path, path: &str, text: &str) {
        if let Some(place) = self.state().places.get_mut(directory) {
            place.files.insert(path.into(), text.into());
        }
    }

    /// A file in the place of an attempt.
    pub fn read(&self, directory: &Path, path: &str) -> Option<String> {
        self.state().places.get(directory)?.files.get(path).cloned()
    }

    /// The places that are there.
    pub fn places(&self) -> Vec<PathBuf> {
        self.state().places.keys().cloned().collect()
    }

    /// The files on a branch.
    pub fn branch(&self, name: &str) -> Option<Files> {
        let state = self.state();
        state.commits.get(state.branches.get(name)?).map(|commit| commit.files.clone())
    }

    /// The files of a commit.
    pub fn commit(&self, commit: &CommitId) -> Option<Files> {
        self.state().commits.get(commit).map(|commit| commit.files.clone())
    }

    /// Somebody else commits a file to a branch.
    pub fn push(&self, branch: &str, path: &str, text: &str) {
        let mut state = self.state();
        let Some(tip) = state.branches.get(branch).cloned() else { return };
        let mut files = state.commits[&tip].files.clone();
        files.insert(path.into(), text.into());
        let commit = state.commit(Some(tip), files);
        state.branches.insert(branch.into(), commit);
    }

    /// All that was asked so far, in order.
    pub fn heard(&self) -> Vec<Heard> {
        self.state().heard.clone()
    }

    /// Notes a call, lets it take its time, and says whether it fails.
    async fn hear(&self, heard: Heard) -> Result<(), Failure> {
        let fault = (self.script.fault)(&heard);
        self.state().heard.push(heard);
        if !self.script.delay.is_zero() {
            self.clock.until(self.clock.now().after(self.script.delay)).await;
        }
        fault.map_or(Ok(()), Err)
    }

    fn evidence(
        &self,
        commit: &CommitId,
        base: &CommitId,
        files: &Files,
        checks: &ChecksPolicy,
    ) -> Evidence {
        let verdict = match checks.run.is_empty() {
            true => Verdict::Failed,
            false => (self.script.verdict)(files),
        };
        let outcome = match verdict {
            Verdict::Failed => CheckOutcome::Failed,
            Verdict::Verified | Verdict::Tampered | Verdict::NotAccepted => CheckOutcome::Passed,
        };
        let record = |check: &orchestrator_core::workspace::CheckSpec| CheckRecord {
            name: check.name.clone(),
            command: match &check.command {
                CheckCommand::Shell(line) => vec!["sh".into(), "-c".into(), line.clone()],
                CheckCommand::Program(words) => words.clone(),
            },
            outcome,
            exit_code: Some(i32::from(outcome == CheckOutcome::Failed)),
            duration_ms: 1,
            runs: 1,
            tests: None,
            new_failures: Vec::new(),
            old_failures: Vec::new(),
            flaky: Vec::new(),
            coverage: None,
            excerpt: format!("it is {outcome:?}"),
            output: None,
        };
        let weakened = Finding {
            kind: FindingKind::TestWeakened,
            path: "tests/it.rs".into(),
            message: "a test was weakened".into(),
            blocks: true,
        };
        Evidence {
            commit: commit.clone(),
            base: base.clone(),
            tree: commit.clone(),
            sandbox: "off".into(),
            environment: BTreeMap::new(),
            checks: checks.run.iter().map(record).collect(),
            findings: (verdict == Verdict::Tampered).then_some(weakened).into_iter().collect(),
            judgement: None,
            verdict,
        }
    }
}

#[async_trait]
impl Workspaces for MemoryWorkspaces {
    async fn open(
        &self,
        order: &WorkspaceOrder,
        host: &dyn AttemptHost,
    ) -> Result<Opened, Failure> {
        let (task, attempt) = (order.task.clone(), order.attempt.0);
        let start = order.start.clone();
        self.hear(Heard::Opened { task, attempt, start }).await?;
        let text = format!("opened for attempt {attempt}");
        host.log(LogLine { stream: LogStream::Note, text });
        let mut state = self.state();
        if let Start::Resume(opened) = &order.start
            && state.places.contains_key(&opened.directory)
        {
            return Ok(opened.clone());
        }
        let name = order.task.as_str().replace(':', ".");
        let directory = PathBuf::from(format!("/worktrees/{}/{name}/{attempt}", order.run));
        let is_worktree = order.policy.kind == WorkspaceKind::Worktree;
        let tip = state.result(order);
        let (base, files) = match &order.start {
            Start::Tip | Start::Resume(_) => (tip.clone(), state.files(&tip)?),
            Start::Mend { base, commit } => (base.clone(), state.files(commit)?),
            Start::Onto { tip, commit } => {
                let made = state.commits.get(commit).and_then(|commit| commit.parent.clone());
                let before =
                    made.map(|parent| state.files(&parent)).transpose()?.unwrap_or_default();
                let (ours, theirs) = (state.files(tip)?, state.files(commit)?);
                let files = merged(&before, &ours, &theirs).unwrap_or_else(|conflicts| {
                    let mut files = ours.clone();
                    for path in conflicts {
                        let side = |files: &Files| files.get(&path).cloned().unwrap_or_default();
                        let both = format!(
                            "<<<<<<<\n{}\n=======\n{}\n>>>>>>>",
                            side(&ours),
                            side(&theirs)
                        );
                        files.insert(path.clone(), both);
                    }
                    files
                });
                (tip.clone(), files)
            }
        };
        let opened = Opened {
            kind: order.policy.kind,
            directory: directory.clone(),
            base: is_worktree.then_some(base),
            branch: is_worktree.then(|| format!("orchestrator/{}/{name}/{attempt}", order.run)),
            environment: BTreeMap::new(),
            sandbox: "off".into(),
        };
        let place = Place { opened: opened.clone(), recorded: files.clone(), files };
        state.places.insert(directory, place);
        Ok(opened)
    }

    async fn measure(&self, order: &WorkspaceOrder, _opened: &Opened) -> Result<(), Failure> {
        self.hear(Heard::Measured { task: order.task.clone() }).await
    }

    async fn checkpoint(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        turn: Option<TurnNumber>,
    ) -> Result<Option<Checkpoint>, Failure> {
        self.hear(Heard::Checkpoint { task: order.task.clone(), turn }).await?;
        let mut state = self.state();
        let Some(place) = state.places.get_mut(&opened.directory) else { return Ok(None) };
        let files = changed(&place.recorded, &place.files).len();
        if files == 0 || opened.base.is_none() {
            return Ok(None);
        }
        place.recorded = place.files.clone();
        let files_now = place.files.clone();
        let commit = state.commit(opened.base.clone(), files_now);
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        Ok(Some(Checkpoint { commit, turn, files, left_out: Vec::new() }))
    }

    async fn snapshot(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        _message: &str,
    ) -> Result<Option<Snapshot>, Failure> {
        let (task, attempt) = (order.task.clone(), order.attempt.0);
        self.hear(Heard::Snapshot { task, attempt }).await?;
        let mut state = self.state();
        let Some(base) = opened.base.clone() else { return Ok(None) };
        let Some(place) = state.places.get(&opened.directory).cloned() else {
            return Err(Failure::new(ErrorClass::Internal, "the place is gone"));
        };
        let before = state.files(&base)?;
        let files = changed(&before, &place.files);
        let commit = match files.is_empty() {
            true => base.clone(),
            false => state.commit(Some(base.clone()), place.files.clone()),
        };
        if let Some(branch) = &place.opened.branch {
            state.branches.insert(branch.clone(), commit.clone());
        }
        let lines: Vec<String> = files
            .iter()
            .map(|file| {
                let text = place.files.get(&file.path).cloned().unwrap_or_default();
                format!("{:?} {}: {text}\n", file.change, file.path)
            })
            .collect();
        let (diff, is_cut) = (lines.concat(), false);
        Ok(Some(Snapshot { commit, base, files, diff, is_cut, left_out: Vec::new() }))
    }

    async fn check(
        &self,
        order: &WorkspaceOrder,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
        host: &dyn AttemptHost,
    ) -> Result<Checked, Failure> {
        let (task, of) = (order.task.clone(), commit.clone());
        self.hear(Heard::Checked { task, commit: of }).await?;
        host.log(LogLine { stream: LogStream::Note, text: format!("checks {commit}") });
        let files = self.state().files(commit)?;
        let evidence = self.evidence(commit, base, &files, checks);
        let outputs = evidence.checks.iter().map(|check| check.excerpt.clone().into_bytes());
        Ok(Checked { outputs: outputs.collect(), evidence })
    }

    async fn land(
        &self,
        order: &WorkspaceOrder,
        request: &LandRequest,
        _host: &dyn AttemptHost,
    ) -> Result<Landing, Failure> {
        let (task, commit) = (order.task.clone(), request.commit.clone());
        self.hear(Heard::Landed { task, commit, verified: request.verified }).await?;
        let mut state = self.state();
        let result = state.result(order);
        let target = match (&request.policy.target, request.policy.mode) {
            (Some(target), _) => target.clone(),
            (None, LandMode::Branch) => format!("orchestrator/{}/result", order.run),
            (None, LandMode::Direct | LandMode::PullRequest | LandMode::No) => "main".to_owned(),
        };
        if request.policy.mode == LandMode::PullRequest {
            let commit = request.commit.clone();
            let url = format!("https://forge.example/{}/{}", order.run, order.task);
            return Ok(Landing::Requested(PullRequestRef { target, commit, url, number: Some(7) }));
        }
        let tip = state.branches.get(&target).cloned().unwrap_or(result);
        let mine = state.files(&request.commit)?;
        // The same commit lands once, however often it is asked for.
        if state.is_before(&request.commit, &tip) {
            return Ok(landed(target, tip, request.base.clone()));
        }
        let (base, theirs) = (state.files(&request.base)?, state.files(&tip)?);
        let files = match merged(&base, &theirs, &mine) {
            Ok(files) => files,
            Err(files) => {
                let message = "both have changed it".to_owned();
                return Ok(Landing::Conflict(Conflict { target, tip, files, message }));
            }
        };
        if files == theirs {
            return Ok(landed(target, tip.clone(), tip));
        }
        let commit = match tip == request.base {
            true => request.commit.clone(),
            false => state.commit(Some(tip.clone()), files.clone()),
        };
        if !request.checks.run.is_empty() {
            let evidence = self.evidence(&commit, &tip, &files, &request.checks);
            if evidence.verdict != Verdict::Verified {
                return Ok(Landing::Red { target, tip, evidence: Box::new(evidence) });
            }
        }
        state.branches.insert(target.clone(), commit.clone());
        Ok(landed(target, commit, tip))
    }

    async fn close(
        &self,
        order: &WorkspaceOrder,
        opened: &Opened,
        keep: bool,
    ) -> Result<(), Failure> {
        self.hear(Heard::Closed { task: order.task.clone(), keep }).await?;
        if !keep {
            self.state().places.remove(&opened.directory);
        }
        Ok(())
    }
}

fn landed(target: String, commit: CommitId, before: CommitId) -> Landing {
    let (evidence, outputs) = (None, Vec::new());
    Landing::Landed(Landed { target, commit, before, evidence, outputs })
}
