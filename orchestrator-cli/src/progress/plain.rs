//! A line for each change, where lines cannot be redrawn.

use super::board::{Board, skipped};
use crate::output::text;
use orchestrator_core::event::{Event, Recorded};

/// What there is to say about `recorded`, which `board` has taken already.
pub(super) fn line(board: &Board, recorded: &Recorded, verbose: bool) -> Vec<String> {
    let one = |line: String| vec![line];
    match &recorded.event {
        Event::RunCreated(created) => one(format!(
            "run {}: {} with {}",
            board.run,
            created.workflow.name,
            text::counted(created.workflow.tasks.len() as u64, "task")
        )),
        Event::AttemptStarted { task, attempt, agent, .. } if attempt.0 > 1 => {
            one(format!("{task}: attempt {attempt} started by {agent}"))
        }
        Event::AttemptStarted { task, agent, .. } => one(format!("{task}: started by {agent}")),
        Event::AttemptLogged { task, lines, .. } if verbose => lines
            .iter()
            .map(|line| format!("{task}| {}", text::harmless(&line.text, false)))
            .collect(),
        Event::AttemptSucceeded { task, .. } => {
            let Some(row) = board.row(task.as_str()) else {
                return Vec::new();
            };
            let mut line =
                format!("{task}: succeeded in {}", text::elapsed(row.elapsed(recorded.at)));
            if !row.usage().is_zero() {
                let tokens = text::thousands(row.usage().total().0);
                line += &format!(", {tokens} tokens, {}", row.cost());
            }
            one(line)
        }
        Event::AttemptFailed { task, attempt, failure, next } => {
            let why = format!("({}) {}", failure.class, text::first_line(&failure.message));
            match next {
                Some(next) => {
                    let wait = text::elapsed(next.at.since(recorded.at));
                    one(format!("{task}: attempt {attempt} failed, next in {wait}: {why}"))
                }
                None => one(format!("{task}: failed: {why}")),
            }
        }
        Event::TaskFailed { task, failure } => one(format!(
            "{task}: failed: ({}) {}",
            failure.class,
            text::first_line(&failure.message)
        )),
        Event::TaskSkipped { task, reason } => one(format!("{task}: skipped: {}", skipped(reason))),
        Event::TaskCancelled { task } => one(format!("{task}: cancelled")),
        Event::RevisionRequested { by, number, feedback, reopened } => {
            let target = reopened.first().map_or("its work", |task| task.as_str());
            let feedback = text::first_line(&feedback.message);
            one(format!("{by}: sent {target} back (revision {number}): {feedback}"))
        }
        Event::CancelRequested { reason } => {
            one(format!("run {}: cancelling: {}", board.run, text::first_line(reason)))
        }
        Event::RunRecovered { .. } => one(format!("run {}: taken up again", board.run)),
        // How a run ended is said at the very end, with what it cost.
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{board, created, failed, recorded, skipped, started, succeeded};
    use super::*;

    #[test]
    fn each_change_is_a_line() {
        let check = |before: Vec<Event>, event: Event, expected: &str| {
            let seq = before.len() as u64;
            let mut board = board(before);
            let event = recorded(seq, event);
            board.record(&event);
            assert_eq!(line(&board, &event, false), [expected]);
        };
        let begun = || vec![created(&["build", "land"])];
        let running = || vec![created(&["build", "land"]), started("build", 1)];
        check(Vec::new(), created(&["a", "b"]), "run r_1: demo with 2 tasks");
        check(begun(), started("build", 1), "build: started by dev");
        check(begun(), started("build", 2), "build: attempt 2 started by dev");
        check(running(), succeeded("build"), "build: succeeded in 1.0s, 1,000 tokens, $0.25");
        check(
            running(),
            failed("build", Some(5_000)),
            "build: attempt 1 failed, next in 2.0s: (transient) the line broke\u{fffd}[2J",
        );
        check(
            running(),
            failed("build", None),
            "build: failed: (transient) the line broke\u{fffd}[2J",
        );
        check(begun(), skipped("land", "build"), "land: skipped: `build` did not succeed");
    }
}
