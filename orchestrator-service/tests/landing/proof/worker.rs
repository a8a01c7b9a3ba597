//! A worker: a process that brings its tasks onto the branch.

use super::tasks::{self, BRANCH, CHECK, RUN};
use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use orchestrator_core::{
    engine::SystemClock,
    error::{ErrorClass, Failure},
    id::{AttemptNumber, CommitId, RunId, TaskName},
    port::{Checked, LandRequest, WorkspaceOrder},
    task::Priority,
    workspace::{ChecksPolicy, LandPolicy, Landing, WorkspacePolicy},
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::landing_work::{self, Ran, Unstopped, checked};
use orchestrator_workspace::{
    git::{Git, Repository, attempt_branch},
    landing::{Lander, LanderParts, LandingSettings, LandingStep, LandingWatch, Prove},
    process::Environment,
};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{runtime::Runtime, task::JoinSet};

/// The variable that makes this program a worker: its [`Orders`].
pub(crate) const ORDERS: &str = "ORCHESTRATOR_PROOF_LANDING";

/// How often a task is tried before a person is asked.
const ATTEMPTS: u32 = 12;

/// What a worker is told by who starts it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) room: PathBuf,
    pub(crate) tasks: Vec<usize>,
    /// After which step it dies, and after how many of that kind.
    pub(crate) dies: Option<(String, usize)>,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) attempts: u32,
    /// The commit on the branch, and what was there before; none when a person is asked.
    pub(crate) landed: Option<(String, String)>,
}

/// Where the end of a task is written.
pub(crate) fn ended(room: &Path, number: usize) -> PathBuf {
    room.join("ended").join(tasks::name(number))
}

/// The kind of a step.
pub(crate) fn kind(step: &LandingStep) -> &'static str {
    match step {
        LandingStep::Taken => "taken",
        LandingStep::Joined { .. } => "joined",
        LandingStep::Checking { .. } => "checking",
        LandingStep::Advancing { .. } => "advancing",
        LandingStep::Advanced { .. } => "advanced",
        LandingStep::Settled { .. } => "settled",
        _ => "other",
    }
}

/// Does the work of a worker, if this process is to be one.
pub(crate) fn serve() -> Result<bool> {
    let Ok(orders) = std::env::var(ORDERS) else { return Ok(false) };
    let orders: Orders = serde_json::from_str(&orders)?;
    Runtime::new()?.block_on(work(orders))?;
    Ok(true)
}

/// Ends this process, as nobody can prevent.
struct Dies {
    after: String,
    count: usize,
    seen: AtomicUsize,
}

impl LandingWatch for Dies {
    fn step(&self, _: &str, step: &LandingStep) {
        if kind(step) == self.after && self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.count {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}

/// Runs the check as it is.
struct Shell {
    room: PathBuf,
    repository: Repository,
}

#[async_trait]
impl Prove for Shell {
    async fn prove(
        &self,
        commit: &CommitId,
        base: &CommitId,
        checks: &ChecksPolicy,
    ) -> Result<Checked, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(ErrorClass::Transient, format!("cannot run the check: {error}"))
        };
        let (room, wanted) = (self.room.clone(), commit.to_string());
        let green = tokio::task::spawn_blocking(move || tasks::is_green(&room, &wanted)).await;
        let green = green.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        let one = Ran {
            command: vec![CHECK.into()],
            code: Some(i32::from(!green)),
            printed: if green { b"green\n".to_vec() } else { b"red\n".to_vec() },
        };
        let tree = self.repository.tree(commit).await.map_err(|error| failed(&error))?;
        Ok(checked((commit, tree), base, &checks.run, &vec![one; checks.run.len()]))
    }
}

/// A lander on the store and the repository of a room.
pub(crate) async fn lander(room: &Path) -> Result<Lander> {
    let environment = Environment::from_vars(std::env::vars_os(), &[]);
    let git = Git::find(environment.with("HOME", room.join("home"))).await?;
    let repository = Repository::discover(&git, &tasks::project(room)).await?;
    let store = Arc::new(LocalStore::open(&room.join("state"))?);
    let blobs = Arc::new(store.blobs());
    Ok(Lander::new(LanderParts {
        repository: repository.clone(),
        landings: store,
        blobs,
        clock: Arc::new(SystemClock),
        prove: Arc::new(Shell { room: room.to_owned(), repository }),
        locks: room.join("state/landing"),
        settings: LandingSettings::default(),
    }))
}

async fn work(orders: Orders) -> Result<()> {
    let mut lander = lander(&orders.room).await?;
    if let Some((after, count)) = orders.dies.clone() {
        lander = lander.with_watch(Arc::new(Dies { after, count, seen: AtomicUsize::new(0) }));
    }
    let lander = Arc::new(lander);
    let mut tasks = JoinSet::new();
    for number in orders.tasks.iter().copied() {
        if !ended(&orders.room, number).exists() {
            tasks.spawn(task(Arc::clone(&lander), orders.room.clone(), number));
        }
    }
    while let Some(one) = tasks.join_next().await {
        one??;
    }
    Ok(())
}

/// Does a task until it has landed or a person is to be asked.
async fn task(lander: Arc<Lander>, room: PathBuf, number: usize) -> Result<()> {
    let run = RunId::new(RUN)?;
    let name = TaskName::new(tasks::name(number))?;
    // Where the last process was.
    let branch =
        |attempt| format!("refs/heads/{}", attempt_branch(&run, &name, AttemptNumber(attempt)));
    let is_there =
        |attempt| tasks::git(&room, &["rev-parse", "-q", "--verify", &branch(attempt)], b"");
    let mut attempt = (1..=ATTEMPTS).rev().find(|attempt| is_there(*attempt).is_ok()).unwrap_or(1);
    let mut failures = 0;
    while attempt <= ATTEMPTS {
        let commit = match is_there(attempt) {
            Ok(found) => found.trim().to_owned(),
            Err(_) => {
                let base = if attempt == 1 { "main" } else { BRANCH };
                let base = tasks::git(&room, &["rev-parse", base], b"")?;
                let made = tasks::work(&room, number, base.trim())?;
                tasks::git(&room, &["update-ref", &branch(attempt), &made, ""], b"")?;
                made
            }
        };
        let base = tasks::git(&room, &["rev-parse", &format!("{commit}^")], b"")?;
        let mut order = WorkspaceOrder::new(
            run.clone(),
            name.clone(),
            tasks::project(&room),
            Arc::new(WorkspacePolicy::default()),
        );
        order.attempt = AttemptNumber(attempt);
        let request = request(&commit, base.trim(), number)?;
        match lander.land(&order, &request, &Unstopped).await {
            Ok(Landing::Landed(landed)) => {
                let landed = Some((landed.commit.to_string(), landed.before.to_string()));
                return end(&room, number, &Ended { attempts: attempt, landed });
            }
            Ok(Landing::Conflict(_) | Landing::Red { .. }) => attempt += 1,
            Ok(Landing::Requested(request)) => bail!("task {number} is in {}", request.url),
            Err(failure) if failure.class == ErrorClass::Transient && failures < 5 => failures += 1,
            Err(failure) => bail!("task {number}: {failure}"),
        }
    }
    end(&room, number, &Ended { attempts: ATTEMPTS, landed: None })
}

fn request(commit: &str, base: &str, number: usize) -> Result<LandRequest> {
    let (commit, base) = (CommitId::new(commit)?, CommitId::new(base)?);
    let mut request = landing_work::request(commit, base, LandPolicy::default(), CHECK);
    request.priority = Priority::ALL[number % Priority::ALL.len()];
    Ok(request)
}

/// Writes how a task ended, whole or not at all.
fn end(room: &Path, number: usize, how: &Ended) -> Result<()> {
    let place = ended(room, number);
    let part = place.with_extension("part");
    fs::write(&part, serde_json::to_vec(how)?)?;
    fs::rename(&part, &place).context("cannot say how a task ended")
}
