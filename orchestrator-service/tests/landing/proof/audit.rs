//! What must be true in the end.

use super::{
    Figures, Plan,
    tasks::{self, BRANCH, Kind, RUN},
    worker::{Ended, ended, lander},
};
use anyhow::Result;
use orchestrator_core::{
    id::{ProjectId, RunId, TenantId},
    port::{LandingFilter, Landings as _, Page},
    workspace::{LandingState, LandingTarget},
};
use orchestrator_store::LocalStore;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use tokio::runtime::Runtime;

/// Looks at the repository and the store, and undoes the run.
pub(crate) fn audit(
    plan: &Plan,
    seed: u64,
    room: &Path,
    figures: &mut Figures,
    failures: &mut Vec<String>,
) -> Result<()> {
    let mut fail = |what: String| failures.push(format!("seed {seed}: {what}"));
    let history = tasks::git(room, &["rev-list", "--reverse", &format!("main..{BRANCH}")], b"")?;
    let history: Vec<&str> = history.lines().collect();
    // Every state that the branch ever had, and every commit of it.
    let reflog = tasks::git(room, &["reflog", "show", "--format=%H", BRANCH], b"")?;
    let states: BTreeSet<&str> = reflog.lines().collect();
    figures.moves += states.len();
    for commit in
        history.iter().copied().chain(states.iter().copied().filter(|s| !history.contains(s)))
    {
        figures.commits += 1;
        if !tasks::is_green(room, commit)? {
            figures.red += 1;
            fail(format!("commit {commit} of the branch is red"));
        }
    }
    let mut landed_as: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for commit in &history {
        let format = "--format=%(trailers:key=Orchestrator-Task,valueonly)%P";
        let said = tasks::git(room, &["log", "-1", format, commit], b"")?;
        let mut words = said.split_whitespace();
        let task = words.next().unwrap_or_default().to_owned();
        if words.count() != 1 {
            fail(format!("commit {commit} is not one task's on one parent: {said}"));
        }
        landed_as.entry(task).or_default().push(commit);
    }
    for number in 0..plan.tasks {
        figures.tasks += 1;
        let name = tasks::name(number);
        let Ok(bytes) = fs::read(ended(room, number)) else {
            figures.lost += 1;
            fail(format!("task {name} did not end"));
            continue;
        };
        let how: Ended = serde_json::from_slice(&bytes)?;
        figures.mended += usize::from(how.attempts > 1);
        let on_branch = landed_as.remove(&name).unwrap_or_default();
        if on_branch.len() > 1 {
            figures.twice += 1;
            fail(format!("task {name} landed {} times", on_branch.len()));
        }
        match &how.landed {
            None => {
                figures.asked += 1;
                if !on_branch.is_empty() {
                    fail(format!("task {name} is to be asked about, and has landed"));
                }
            }
            Some((commit, before)) if on_branch.first() == Some(&commit.as_str()) => {
                figures.landed += 1;
                let parent = tasks::git(room, &["rev-parse", &format!("{commit}^")], b"")?;
                if parent.trim() != before {
                    fail(format!("task {name}: {before} was not what was before {commit}"));
                }
                if !has_its_content(room, number)? {
                    figures.lost += 1;
                    fail(format!("what task {name} made is not on the branch"));
                }
            }
            Some(told) => {
                figures.lost += 1;
                fail(format!("task {name} is told as landed by {told:?}, and is {on_branch:?}"));
            }
        }
        if Kind::of(number) == Kind::Broken && how.landed.is_some() {
            fail(format!("task {name} is wrong and has landed"));
        }
    }
    if !landed_as.is_empty() {
        fail(format!("nobody asked for {landed_as:?}"));
    }
    tasks::git(room, &["fsck", "--connectivity-only", "--no-dangling"], b"")?;
    Runtime::new()?.block_on(rows(room, &history, figures, &mut fail))
}

/// Whether what a task that landed made is there.
fn has_its_content(room: &Path, number: usize) -> Result<bool> {
    let name = tasks::name(number);
    let show = |path: &str| tasks::git(room, &["show", &format!("{BRANCH}:{path}")], b"");
    Ok(match Kind::of(number) {
        Kind::Line(n) => show("list.txt")?.lines().any(|line| {
            line.starts_with(&format!("line {n}:")) && line.split(' ').any(|word| word == name)
        }),
        Kind::Rename(n) => show("lib.sh")?.contains(&format!("g{n}()")),
        Kind::Alone | Kind::Call(_) | Kind::Broken => show(&format!("calls/{name}.sh")).is_ok(),
    })
}

/// What the queue says, and what a rollback leaves.
async fn rows(
    room: &Path,
    history: &[&str],
    figures: &mut Figures,
    fail: &mut impl FnMut(String),
) -> Result<()> {
    let (run, branch) = (RunId::new(RUN)?, BRANCH.to_owned());
    let target =
        LandingTarget { tenant: TenantId::default(), project: ProjectId::default(), branch };
    {
        let store = LocalStore::open(&room.join("state"))?;
        let open = store.waiting(&target).await?;
        if !open.is_empty() {
            fail(format!("{} pieces of work are in the queue still", open.len()));
        }
        let landed = store.landed(&target, &run).await?;
        let told = landed.iter().filter_map(|row| row.landed());
        let told: Vec<String> = told.map(|landed| landed.commit.to_string()).collect();
        if told != history {
            fail(format!("the queue tells of {told:?}, and the branch has {history:?}"));
        }
        let page = Page { limit: 10_000, cursor: None };
        for row in store.settled(&LandingFilter::default(), &page).await?.items {
            if matches!(row.state, LandingState::Withdrawn {}) {
                fail(format!("{} was withdrawn by nobody", row.id));
            }
        }
    }
    let undone = lander(room).await?.rollback(&target, &run).await?;
    let reverts = undone.reverts.iter().filter(|revert| revert.by.is_some()).count();
    if undone.is_restored && reverts == history.len() {
        figures.restored += 1;
    } else {
        fail(format!("{reverts} of {} were undone: {undone:?}", history.len()));
    }
    Ok(())
}
