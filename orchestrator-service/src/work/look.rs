//! What tasks and runs have changed, and the states that were recorded on the way.

use crate::{
    OrchestratorService, ServiceError,
    service::{LATEST, Opened as OpenedStore},
    views::{ChangedView, CheckpointView, CheckpointsView, DiffView, FileDiffView},
};
use orchestrator_core::{
    event::Event,
    id::{AttemptNumber, CommitId, RunId, Sequence, TaskName, TurnNumber},
    port::RunRow,
    time::Timestamp,
    workspace::Opened,
};
use orchestrator_workspace::{
    GitWorkspaces,
    git::{Repository, result_branch},
};
use std::collections::{BTreeMap, BTreeSet};

/// The most bytes of a difference that are shown.
const DIFF: u64 = 64 * 1024 * 1024;
/// The least digits that name a commit: fewer may be a turn.
const DIGITS: usize = 7;

/// What a difference is asked of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiffQuery {
    /// A task (`RUN.TASK`, or a name in the latest run) or a run.
    pub of: String,
    /// Of a task: which try; the last that has a place without it.
    pub attempt: Option<u32>,
    /// Of a task: only up to this checkpoint, by commit or turn.
    pub checkpoint: Option<String>,
    /// Of a task: the files as they are now in the place of the attempt.
    pub now: bool,
    /// Only which files differ.
    pub only_files: bool,
}

/// What one attempt did in its place, as the log has it.
#[derive(Debug)]
pub(super) struct Attempted {
    pub(super) number: AttemptNumber,
    pub(super) opened: Opened,
    pub(super) made: Option<(CommitId, CommitId)>,
    pub(super) checkpoints: Vec<State>,
}

/// A recorded state.
#[derive(Debug, Clone)]
pub(super) struct State {
    attempt: AttemptNumber,
    turn: Option<TurnNumber>,
    pub(super) commit: CommitId,
    at: Timestamp,
    files: u32,
    left_out: Vec<String>,
}

impl Attempted {
    /// The commit that `given` means: a turn, or the beginning of a commit. Without it what was made, or
    /// else the last checkpoint.
    pub(super) fn state(&self, given: Option<&str>) -> Option<CommitId> {
        let Some(given) = given else {
            let made = self.made.as_ref().map(|(commit, _)| commit);
            return made.or(self.checkpoints.last().map(|state| &state.commit)).cloned();
        };
        if given.len() < DIGITS {
            let turn = TurnNumber(given.parse().ok()?);
            let mut states = self.checkpoints.iter().rev();
            return states.find(|state| state.turn == Some(turn)).map(|state| state.commit.clone());
        }
        let made = self.made.iter().map(|(commit, _)| commit);
        let all: BTreeSet<&CommitId> = self
            .checkpoints
            .iter()
            .map(|state| &state.commit)
            .chain(made)
            .filter(|commit| commit.as_str().starts_with(given))
            .collect();
        match all.len() {
            1 => all.into_iter().next().cloned(),
            _ => None,
        }
    }
}

impl OpenedStore {
    /// The attempts of a task that had a place, first to last.
    pub(super) async fn attempted(
        &self,
        run: &RunId,
        name: &TaskName,
    ) -> Result<Vec<Attempted>, ServiceError> {
        let mut all: BTreeMap<AttemptNumber, Attempted> = BTreeMap::new();
        // An attempt that goes on with what an earlier one recorded has no place of its own.
        let of = |number: AttemptNumber, all: &BTreeMap<AttemptNumber, Attempted>| {
            all.range(..=number).next_back().map(|(number, _)| *number)
        };
        for recorded in self.events(run, Sequence(0)).await? {
            match recorded.event {
                Event::WorkspaceOpened { task, attempt, opened } if task == *name => {
                    let (made, checkpoints) = (None, Vec::new());
                    let attempted =
                        Attempted { number: attempt, opened: *opened, made, checkpoints };
                    all.insert(attempt, attempted);
                }
                Event::CheckpointMade { task, attempt, checkpoint } if task == *name => {
                    let Some(number) = of(attempt, &all) else { continue };
                    let Some(attempted) = all.get_mut(&number) else { continue };
                    let left_out = checkpoint.left_out.iter();
                    attempted.checkpoints.push(State {
                        attempt,
                        turn: checkpoint.turn,
                        commit: checkpoint.commit,
                        at: recorded.at,
                        files: checkpoint.files,
                        left_out: left_out.map(|path| path.display().to_string()).collect(),
                    });
                }
                Event::WorkRecorded { task, attempt, work, .. } if task == *name => {
                    let Some(number) = of(attempt, &all) else { continue };
                    if let Some(attempted) = all.get_mut(&number) {
                        attempted.made = Some((work.commit, work.base));
                    }
                }
                _ => {}
            }
        }
        Ok(all.into_values().collect())
    }
}

impl OrchestratorService {
    /// What a task or a run has changed.
    ///
    /// Of a task that is its recorded work, or else its last checkpoint, from the commit that the
    /// attempt began from; of a run what it has landed on its result branch.
    ///
    /// # Errors
    /// An unknown run or task; [`ServiceError::NoWork`] when it has changed nothing that is recorded;
    /// [`ServiceError::NoSuchCheckpoint`]; what git says.
    pub async fn diff(&self, query: &DiffQuery) -> Result<DiffView, ServiceError> {
        // Keys that the settings name are known once those are read.
        self.settings()?;
        self.learn_secrets(false).await;
        let is_of_task = query.attempt.is_some() || query.checkpoint.is_some() || query.now;
        match self.run_of(&query.of, is_of_task).await? {
            Some(run) => self.diff_of_run(&run, query).await,
            None => self.diff_of_task(query).await,
        }
    }

    /// The run that `of` means, and none when it means a task.
    async fn run_of(&self, of: &str, is_task: bool) -> Result<Option<RunRow>, ServiceError> {
        if is_task || of.contains('.') {
            return Ok(None);
        }
        let no_run = match self.find_run(of).await {
            Ok((_, run)) => return Ok(Some(run)),
            Err(error @ ServiceError::NoSuchRun(_)) => error,
            Err(error) => return Err(error),
        };
        let (opened, latest) = self.find_run(LATEST).await?;
        match opened.has_task(&latest.id, of).await? {
            true => Ok(None),
            // Names of tasks are what people type, so the nearest of them is told.
            false if TaskName::new(of).is_ok() && !of.starts_with("r_") => Ok(None),
            false => Err(no_run),
        }
    }

    async fn diff_of_run(&self, run: &RunRow, query: &DiffQuery) -> Result<DiffView, ServiceError> {
        let (opened, run) = self.find_run(run.id.as_str()).await?;
        let own = result_branch(&run.id);
        let mut branches: BTreeMap<String, (CommitId, CommitId)> = BTreeMap::new();
        for recorded in opened.events(&run.id, Sequence(0)).await? {
            if let Event::WorkLanded { landed, .. } = recorded.event {
                let first = branches.get(&landed.target).map(|(first, _)| first.clone());
                let first = first.unwrap_or(landed.before);
                branches.insert(landed.target, (first, landed.commit));
            }
        }
        let own_branch = branches.remove_entry(&own);
        let Some((branch, (from, last))) = own_branch.or_else(|| branches.pop_first()) else {
            return Err(ServiceError::NoWork {
                what: format!("run `{}`", run.id),
                reason: "nothing has landed on a branch".into(),
            });
        };
        let repository = self.repository().await?;
        let tip = match branch == own {
            // What was rolled back, or added by a person, counts as well.
            true => repository.find_ref(&format!("refs/heads/{branch}")).await?,
            false => None,
        };
        let mut view = DiffView {
            schema: "orchestrator.diff/v1",
            run: run.id.to_string(),
            task: None,
            attempt: None,
            branch: Some(branch),
            from: from.to_string(),
            to: tip.unwrap_or(last).to_string(),
            now: false,
            files: Vec::new(),
            diff: None,
            is_cut: false,
        };
        self.fill(&repository, &mut view, query.only_files).await?;
        Ok(view)
    }

    async fn diff_of_task(&self, query: &DiffQuery) -> Result<DiffView, ServiceError> {
        let (opened, run, row) = self.find_task(&query.of, None).await?;
        let id = format!("{}.{}", run.id, row.name);
        let nothing = |reason: &str| ServiceError::NoWork {
            what: format!("task `{id}`"),
            reason: reason.to_owned(),
        };
        let all = opened.attempted(&run.id, &row.name).await?;
        let mut attempted = pick(all, query.attempt, &id)?;
        let Some(base) = attempted.opened.base.clone() else {
            return Err(nothing("its place has no git"));
        };
        let repository = self.repository().await?;
        if query.checkpoint.is_some() {
            self.add_unlogged(&run.id, &row.name, &mut attempted).await?;
        }
        let (from, to) = if query.now {
            let places = self.places_or(&id).await?;
            let (order, place) = find(&places, &run.id, &row.name, &attempted)?;
            let now = places.files_now(&order, &place).await.map_err(ServiceError::Place)?;
            (base, now)
        } else {
            let to = attempted.state(query.checkpoint.as_deref());
            let Some(to) = to else {
                return Err(match &query.checkpoint {
                    Some(given) => no_checkpoint(&id, given),
                    None => nothing("it has neither made something nor changed a file so far"),
                });
            };
            let made = attempted.made.as_ref().filter(|(commit, _)| *commit == to);
            (made.map_or(base, |(_, base)| base.clone()), to)
        };
        let mut view = DiffView {
            schema: "orchestrator.diff/v1",
            run: run.id.to_string(),
            task: Some(row.name.to_string()),
            attempt: Some(attempted.number.0),
            branch: None,
            from: from.to_string(),
            to: to.to_string(),
            now: query.now,
            files: Vec::new(),
            diff: None,
            is_cut: false,
        };
        self.fill(&repository, &mut view, query.only_files).await?;
        Ok(view)
    }

    /// Fills in what differs between `from` and `to`.
    async fn fill(
        &self,
        repository: &Repository,
        view: &mut DiffView,
        only_files: bool,
    ) -> Result<(), ServiceError> {
        let commit = |text: &str| {
            CommitId::new(text).map_err(|error| ServiceError::Internal(error.to_string()))
        };
        let (from, to) = (commit(&view.from)?, commit(&view.to)?);
        let files = repository.changed_files(&from, &to).await?;
        let counts = repository.line_counts(&from, &to).await?;
        let counts: BTreeMap<&str, _> = counts
            .iter()
            .map(|count| (count.path.as_str(), (count.added, count.removed)))
            .collect();
        view.files = files
            .iter()
            .map(|file| {
                let (added, removed) = counts.get(file.path.as_str()).copied().unwrap_or_default();
                FileDiffView { file: ChangedView::from(file), added, removed }
            })
            .collect();
        if !only_files {
            let diff = repository.diff(&from, &to, &[], DIFF).await?;
            view.diff = Some(self.known().hide(&diff.text).into_owned());
            view.is_cut = diff.is_cut;
        }
        Ok(())
    }

    /// The recorded states of a task's places: those of the log, and those that were made after it,
    /// before something was restored or cleaned away.
    ///
    /// # Errors
    /// An unknown run or task; [`ServiceError::NoWork`] when it had no place with git.
    pub async fn checkpoints(
        &self,
        task: &str,
        run: Option<&str>,
    ) -> Result<CheckpointsView, ServiceError> {
        let (opened, run, row) = self.find_task(task, run).await?;
        let all = opened.attempted(&run.id, &row.name).await?;
        if all.iter().all(|attempted| attempted.opened.base.is_none()) {
            return Err(no_place(&format!("{}.{}", run.id, row.name)));
        }
        let mut states: Vec<State> = Vec::new();
        for mut attempted in all {
            self.add_unlogged(&run.id, &row.name, &mut attempted).await?;
            states.extend(attempted.checkpoints);
        }
        let mut seen = BTreeSet::new();
        states.retain(|state| seen.insert(state.commit.clone()));
        Ok(CheckpointsView {
            schema: "orchestrator.checkpoints/v1",
            run: run.id.to_string(),
            task: row.name.to_string(),
            items: states
                .into_iter()
                .map(|state| CheckpointView {
                    attempt: state.attempt.0,
                    turn: state.turn.map(|turn| turn.0),
                    commit: state.commit.to_string(),
                    at: state.at.to_string(),
                    files: state.files,
                    left_out: state.left_out,
                })
                .collect(),
        })
    }

    /// Adds the checkpoints that are on the hidden ref of an attempt and not in the log.
    pub(super) async fn add_unlogged(
        &self,
        run: &RunId,
        task: &TaskName,
        attempted: &mut Attempted,
    ) -> Result<(), ServiceError> {
        let Some(places) = self.kept_places().await? else { return Ok(()) };
        let repository = self.repository().await?;
        let (project, number) = (self.project(), attempted.number);
        let found = places.checkpoints(project, run, task, number).await;
        let mut found = found.map_err(ServiceError::Place)?;
        found.reverse();
        for recorded in found {
            if attempted.checkpoints.iter().any(|state| state.commit == recorded.commit) {
                continue;
            }
            let files = match &recorded.before {
                Some(before) => repository.changed_files(before, &recorded.commit).await?.len(),
                None => 0,
            };
            let seconds = u64::try_from(recorded.time).unwrap_or_default();
            attempted.checkpoints.push(State {
                attempt: recorded.attempt,
                turn: recorded.turn,
                commit: recorded.commit,
                at: Timestamp(seconds.saturating_mul(1_000)),
                files: u32::try_from(files).unwrap_or(u32::MAX),
                left_out: Vec::new(),
            });
        }
        Ok(())
    }

    /// The places of this project, where it must have some.
    pub(super) async fn places_or(&self, task: &str) -> Result<GitWorkspaces, ServiceError> {
        self.kept_places().await?.ok_or_else(|| no_place(task))
    }
}

/// The attempt that is meant: the last that had a place without a number.
pub(super) fn pick(
    mut all: Vec<Attempted>,
    number: Option<u32>,
    task: &str,
) -> Result<Attempted, ServiceError> {
    let Some(number) = number else { return all.pop().ok_or_else(|| no_place(task)) };
    let had: Vec<String> = all.iter().map(|attempted| attempted.number.to_string()).collect();
    all.into_iter().find(|attempted| attempted.number.0 == number).ok_or_else(|| {
        let reason = match had.is_empty() {
            true => "none of its attempts had a place".to_owned(),
            false => format!("of its attempts, {} had a place", had.join(", ")),
        };
        ServiceError::NoWork { what: format!("attempt {number} of task `{task}`"), reason }
    })
}

/// The place in which an attempt worked, which may have been that of an earlier one.
pub(super) fn find(
    places: &GitWorkspaces,
    run: &RunId,
    task: &TaskName,
    attempted: &Attempted,
) -> Result<(orchestrator_core::port::WorkspaceOrder, Opened), ServiceError> {
    let parts = attempted.opened.directory.components();
    let first = format!("{run}+{task}+");
    let number = parts
        .filter_map(|part| part.as_os_str().to_str()?.strip_prefix(&first)?.parse().ok())
        .next();
    let number = number.map_or(attempted.number, AttemptNumber);
    places.find(run, task, number).map_err(ServiceError::Place)
}

pub(super) fn no_checkpoint(task: &str, given: &str) -> ServiceError {
    ServiceError::NoSuchCheckpoint {
        task: task.to_owned(),
        given: given.chars().take(64).collect(),
    }
}

fn no_place(task: &str) -> ServiceError {
    ServiceError::NoWork {
        what: format!("task `{task}`"),
        reason: "none of its attempts had a place with git".into(),
    }
}
