//! Names of branches and refs.

use super::GitError;
use orchestrator_core::id::{AttemptNumber, RunId, TaskName};

/// Where the branches of attempts are.
pub const ATTEMPTS: &str = "refs/heads/orchestrator/";
/// Where checkpoints are.
pub const CHECKPOINTS: &str = "refs/orchestrator/";

const RULE: &str = "it must begin with `refs/` and keep the rules of `git check-ref-format`";

/// The branch of an attempt, without `refs/heads/`: `orchestrator/RUN/TASK/ATTEMPT`.
pub fn attempt_branch(run: &RunId, task: &TaskName, attempt: AttemptNumber) -> String {
    let task = match safe(task.as_ref()) {
        // A branch cannot be beside what is below it, and `result` is one.
        task if task == "result" => "result.task".into(),
        task => task,
    };
    format!("orchestrator/{}/{task}/{}", safe(run.as_ref()), attempt.0)
}

/// The ref of an attempt's checkpoints: `refs/orchestrator/RUN/TASK/ATTEMPT`.
pub fn checkpoint_ref(run: &RunId, task: &TaskName, attempt: AttemptNumber) -> String {
    format!("refs/{}", attempt_branch(run, task, attempt))
}

/// The branch that the results of a run come to, without `refs/heads/`: `orchestrator/RUN/result`.
pub fn result_branch(run: &RunId) -> String {
    format!("orchestrator/{}/result", safe(run.as_ref()))
}

/// An id as a part of a ref: `:` becomes `.`, and what git does not allow there `-`.
fn safe(id: &str) -> String {
    let mut name = id.replace(':', ".").replace("@{", "@-");
    while name.contains("..") {
        name = name.replace("..", ".-");
    }
    if name.starts_with('.') {
        name.replace_range(..1, "-");
    }
    for end in [".", ".lock"] {
        if name.ends_with(end) {
            name.push('-');
        }
    }
    name
}

/// Refuses what git would not take for a ref, or might take for something else.
pub(super) fn check(name: &str) -> Result<(), GitError> {
    let is_bad_byte = |b: u8| b <= b' ' || b == 0x7f || b"~^:?*[\\".contains(&b);
    let is_good_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with(".lock")
            && !part.ends_with('.')
    };
    let is_good = name.starts_with("refs/")
        && name.len() <= 1_000
        && !name.bytes().any(is_bad_byte)
        && !name.contains("..")
        && !name.contains("@{")
        && name.split('/').all(is_good_part);
    if is_good {
        return Ok(());
    }
    Err(GitError::BadName { name: name.into(), what: "the name of a ref", rule: RULE })
}

/// Refuses to make a branch that no other program could be told of. One that is there can be used.
pub(super) fn check_new(name: &str) -> Result<(), GitError> {
    match name.strip_prefix("refs/heads/") {
        Some(branch) if branch.starts_with('-') || branch == "HEAD" => Err(GitError::BadName {
            name: branch.into(),
            what: "a branch",
            rule: "it may not begin with `-`, nor be `HEAD`",
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_makes_a_good_ref() {
        for run in ["r_1", "a..b", ".x", "x.lock", "a:b", "a.", "@", "a@b", "...", "-x"] {
            let run = RunId::new(run).unwrap();
            let task = TaskName::new("build:3").unwrap();
            check(&checkpoint_ref(&run, &task, AttemptNumber(2))).unwrap();
            check(&format!("refs/heads/{}", result_branch(&run))).unwrap();
        }
        let run = RunId::new("r_1").unwrap();
        let branch = attempt_branch(&run, &TaskName::new("build:3").unwrap(), AttemptNumber(2));
        assert_eq!(branch, "orchestrator/r_1/build.3/2");
    }

    #[test]
    fn names_that_are_options_or_hold_lines_are_refused() {
        for name in ["--help", "refs/a b", "refs/a\nb", "refs/../x", "refs/x.lock", "refs//x", "x"]
        {
            assert!(matches!(check(name), Err(GitError::BadName { .. })), "{name}");
        }
        check("refs/heads/-x").unwrap();
        for name in ["refs/heads/-x", "refs/heads/HEAD"] {
            assert!(matches!(check_new(name), Err(GitError::BadName { .. })), "{name}");
        }
        check_new("refs/heads/x/-y").unwrap();
    }
}
