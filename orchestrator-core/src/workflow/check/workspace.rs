//! Where tasks work and what proves their results: keys that do not go together, and places that
//! lead out of where they must stay.

use super::task_pointer;
use crate::{
    task::{TaskKind, TaskSpec},
    workflow::problem::{self as code, Problem, join},
    workspace::{LandMode, LandPolicy},
};
use std::path::{Component, Path};

/// Checks what `task` declares of its workspace, its checks and its landing.
pub(super) fn check(task: &TaskSpec, problems: &mut Vec<Problem>) {
    if task.workspace.is_none() && task.checks.is_none() && task.land.is_none() {
        return;
    }
    let at = |key: &str| join(&task_pointer(&task.name), key);
    let mut misfit = |key: &str, message: &str, advice: Option<&str>| {
        problems.push(Problem::new(code::TASK_KEY, &at(key), message).suggest(advice));
    };
    if let TaskKind::Workflow { .. } | TaskKind::Approval { .. } = task.kind {
        for (key, is_there) in [
            ("workspace", task.workspace.is_some()),
            ("checks", task.checks.is_some()),
            ("land", task.land.is_some()),
        ] {
            if is_there {
                let message = format!("`{key}` goes with an `agent` or a `command`");
                misfit(key, &message, None);
            }
        }
        return;
    }
    let git = "write `workspace: worktree`";
    if task.checks.is_some() && !task.has_worktree() {
        misfit("checks", "checks prove a commit, and only a worktree of git has one", Some(git));
    }
    let lands = task.land.as_deref().is_some_and(|land| land.mode != LandMode::No);
    if lands && !task.has_worktree() {
        misfit("land", "only what a worktree of git holds can land on a branch", Some(git));
    }
    if task.has_worktree() && task.cache.as_ref().is_some_and(|cache| cache.keeps_results()) {
        misfit(
            "cache",
            "what is made in a worktree is a commit, and is made anew",
            Some("keep the answers of models with `cache: { responses: 1h }`"),
        );
    }
    if let Some(checks) = task.checks.as_deref().filter(|checks| checks.run.is_empty()) {
        let what = if checks.judge.is_some() { "a judge alone" } else { "without a command it" };
        let message = format!("{what} proves nothing: at least one check is needed");
        problems.push(Problem::new(code::INVALID_VALUE, &at("checks"), message));
    }
    check_places(task, problems);
    if let Some(land) = &task.land {
        check_land(task, land, problems);
    }
}

/// Every place that is named stays in the workspace.
fn check_places(task: &TaskSpec, problems: &mut Vec<Problem>) {
    let mut look = |keys: &[&str], what: &str, place: &str| {
        if let Some(wrong) = leads_out(place) {
            let at = keys.iter().fold(task_pointer(&task.name), |at, key| join(&at, key));
            let message = format!("{what} `{place}` {wrong}");
            problems.push(
                Problem::new(code::INVALID_VALUE, &at, message)
                    .suggest(Some("name a place below the root of the repository")),
            );
        }
    };
    if let Some(workspace) = &task.workspace {
        if let Some(directory) = &workspace.directory {
            look(&["workspace", "directory"], "the directory", directory);
        }
        workspace.copy.iter().for_each(|file| look(&["workspace", "copy"], "the file", file));
        let sparse = workspace.sparse.iter();
        sparse.for_each(|place| look(&["workspace", "sparse"], "the directory", place));
    }
    if let Some(checks) = &task.checks {
        for check in &checks.run {
            let name = &check.name;
            if let Some(directory) = &check.directory {
                look(&["checks"], &format!("the directory of the check `{name}`,"), directory);
            }
            if let Some(report) = &check.report {
                look(&["checks"], &format!("the report of the check `{name}`,"), report);
            }
        }
    }
    if let Some(land) = &task.land {
        land.touches.iter().for_each(|file| look(&["land", "touches"], "the file", file));
    }
}

/// Why `place` does not stay below where it begins, if so.
fn leads_out(place: &str) -> Option<&'static str> {
    if place.trim().is_empty() {
        return Some("is empty");
    }
    if place.contains('\0') {
        return Some("holds a zero byte");
    }
    let parts = || Path::new(place).components();
    // What Windows takes for a root is one everywhere: a workflow is the same on every system.
    if place.starts_with('\\') || place.get(1..2) == Some(":") {
        return Some("is not relative");
    }
    if parts().any(|part| matches!(part, Component::RootDir | Component::Prefix(_))) {
        return Some("is not relative");
    }
    parts().any(|part| part == Component::ParentDir).then_some("leads out with `..`")
}

fn check_land(task: &TaskSpec, land: &LandPolicy, problems: &mut Vec<Problem>) {
    let at = join(&task_pointer(&task.name), "land");
    if let Some(target) = &land.target
        && !is_branch(target)
    {
        let message = format!("`{target}` cannot be the name of a branch");
        problems.push(Problem::new(code::INVALID_VALUE, &join(&at, "target"), message));
    }
    if land.keep_apart && land.touches.is_empty() {
        problems.push(
            Problem::new(
                code::TASK_KEY,
                &join(&at, "keep-apart"),
                "`keep-apart` needs to know which files the task touches",
            )
            .suggest(Some("name them in `touches`")),
        );
    }
}

/// Whether git takes `name` for a branch: see `git help check-ref-format`.
fn is_branch(name: &str) -> bool {
    let parts = name.split('/');
    !name.starts_with('-')
        && name != "@"
        && name != "HEAD"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && !name.chars().any(|c| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c))
        && parts.clone().all(|part| !part.is_empty() && !part.starts_with('.'))
        && parts.clone().all(|part| !part.ends_with(".lock"))
}

/// Checks that the task which manages the others makes no commits: it adds tasks, and those that
/// it has added stay when its result is sent back.
pub(super) fn check_managing(tasks: &[TaskSpec], problems: &mut Vec<Problem>) {
    if let Some(first) = tasks.first().filter(|task| task.has_worktree()) {
        problems.push(
            Problem::new(
                code::TASK_KEY,
                &join(&task_pointer(&first.name), "workspace"),
                "the task that manages the others plans and changes no files",
            )
            .suggest(Some("write `workspace: project`, and `worktree` at the other tasks")),
        );
    }
}
