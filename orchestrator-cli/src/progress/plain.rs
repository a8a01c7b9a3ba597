//! A line for each change, where lines cannot be redrawn.

use super::board::{Board, skipped};
use crate::output::text;
use orchestrator_core::{
    event::{Ask, Event, Recorded, Reply, Verdict},
    id::RunId,
    workspace::Verdict as Proof,
};

/// What there is to say about `recorded`, an event of `run` that `board` has taken already.
pub(super) fn line(board: &Board, run: &RunId, recorded: &Recorded, verbose: bool) -> Vec<String> {
    if board.run == run.as_str() {
        return said(board, recorded, verbose);
    }
    // Another run that this one has started: its lines begin with its id.
    let Some(other) = board.other(run) else { return Vec::new() };
    if let Event::RunEnded { status } = &recorded.event {
        return vec![format!("run {run}: {status}")];
    }
    let lines = said(other, recorded, verbose).into_iter();
    lines
        .map(|line| if line.starts_with("run ") { line } else { format!("{run}: {line}") })
        .collect()
}

fn said(board: &Board, recorded: &Recorded, verbose: bool) -> Vec<String> {
    let one = |line: String| vec![line];
    let run = &board.run;
    match &recorded.event {
        Event::RunCreated(created) => one(format!(
            "run {run}: {} with {}",
            created.workflow.name,
            text::counted(created.workflow.tasks.len() as u64, "task")
        )),
        Event::AttemptStarted { task, child: Some(child), .. } => {
            one(format!("{task}: started as run {child}"))
        }
        Event::AttemptStarted { task, attempt, agent, .. } if attempt.0 > 1 => {
            one(format!("{task}: attempt {attempt} started by {agent}"))
        }
        Event::AttemptStarted { task, agent, .. } => one(format!("{task}: started by {agent}")),
        Event::AttemptLogged { task, lines, .. } if verbose => lines
            .iter()
            .map(|line| format!("{task}| {}", text::harmless(&line.text, false)))
            .collect(),
        Event::SessionKnown { task, session, .. } if verbose => {
            one(format!("{task}: works in session {}", text::first_line(session)))
        }
        Event::TurnRecorded { task, turn, .. } if verbose => one(format!(
            "{task}: turn {}: {} {}",
            turn.number,
            turn.kind,
            text::first_line(&turn.name)
        )),
        Event::JournalCut { task, from, .. } if verbose => {
            one(format!("{task}: goes another way from turn {from} on"))
        }
        Event::AttemptSucceeded { task, cached: Some(hit), .. } => {
            one(format!("{task}: succeeded with the result of {}.{}", hit.run, hit.task))
        }
        Event::AttemptSucceeded { task, .. } => {
            let Some(row) = board.row(task.as_str()) else {
                // An item that has ended is only counted.
                return one(format!("{task}: succeeded"));
            };
            let mut line =
                format!("{task}: succeeded in {}", text::elapsed(row.elapsed(recorded.at)));
            if !row.usage().is_zero() {
                let tokens = text::thousands(row.usage().total().0);
                line += &format!(", {tokens} tokens, {}", row.cost());
            }
            one(line)
        }
        Event::AttemptFailed { task, attempt, failure, next, ask } => {
            let why = format!("({}) {}", failure.class, text::first_line(&failure.message));
            match (next, ask) {
                (Some(next), _) => {
                    let wait = text::elapsed(next.at.since(recorded.at));
                    one(format!("{task}: attempt {attempt} failed, next in {wait}: {why}"))
                }
                (None, Some(ask)) => {
                    vec![format!("{task}: attempt {attempt} failed: {why}"), asked(task, ask)]
                }
                (None, None) => one(format!("{task}: failed: {why}")),
            }
        }
        Event::WorkspaceOpened { task, opened, .. } if verbose => {
            one(format!("{task}: works in {}", opened.directory.display()))
        }
        Event::WorkRecorded { task, work, .. } => {
            one(format!("{task}: {} changed", text::counted(u64::from(work.files), "file")))
        }
        Event::EvidenceRecorded { task, evidence, .. } => one(match evidence.verdict {
            Proof::Verified => format!("{task}: verified"),
            Proof::Failed => format!("{task}: not verified: a check failed"),
            Proof::Tampered => format!("{task}: not verified: what proves it was weakened"),
            Proof::NotAccepted => format!("{task}: not verified: the judge does not accept it"),
        }),
        Event::WorkLanded { task, landed, .. } => {
            one(format!("{task}: landed on {}", text::first_line(&landed.target)))
        }
        Event::PullRequestOpened { task, request, .. } => {
            one(format!("{task}: a pull request is open: {}", text::first_line(&request.url)))
        }
        Event::LandingRefused { task, refusal, .. } => {
            let target = text::first_line(&refusal.target);
            one(format!("{task}: does not go together with what is on {target}"))
        }
        Event::TaskExpanded { task, count, .. } => {
            one(format!("{task}: {}", text::counted(u64::from(*count), "item")))
        }
        Event::TasksAdded { by, tasks, .. } => {
            let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
            one(format!("{by}: added {}", names.join(", ")))
        }
        Event::TaskDelayed { task, until } => {
            let wait = text::elapsed(until.since(recorded.at));
            one(format!("{task}: waits for {wait}"))
        }
        Event::PersonAsked { task, ask } => one(asked(task, ask)),
        Event::PersonAnswered { task, reply, allows } if !allows.is_empty() => {
            let rules: Vec<&str> = allows.iter().map(|rule| rule.as_str()).collect();
            let rules = text::first_line(&rules.join(", "));
            one(format!("{task}: {}, for the rest of the run: {rules}", answered(reply)))
        }
        Event::PersonAnswered { task, reply, .. } => one(format!("{task}: {}", answered(reply))),
        Event::MessageSent { task, message } => {
            let what = if message.interrupts { "interrupted" } else { "told" };
            let said = message.text.as_deref().map(text::first_line).unwrap_or_default();
            let said = if said.is_empty() { said } else { format!(": {said}") };
            one(format!("{task}: message {}: its agent is {what}{said}", message.number))
        }
        Event::MessageDelivered { task, number, .. } => {
            one(format!("{task}: its agent has message {number}"))
        }
        Event::TaskSucceeded { task, .. } => one(format!("{task}: succeeded")),
        Event::TaskCarried { task, from, .. } => one(format!("{task}: done already in run {from}")),
        Event::StopRequested { task, failure } => {
            one(format!("{task}: stopping: {}", text::first_line(&failure.message)))
        }
        Event::TaskFailed { task, failure } => one(format!(
            "{task}: failed: ({}) {}",
            failure.class,
            text::first_line(&failure.message)
        )),
        Event::TaskSkipped { task, reason } => one(format!("{task}: skipped: {}", skipped(reason))),
        Event::TaskCancelled { task } => one(format!("{task}: cancelled")),
        Event::RevisionRequested { by, number, feedback, reopened, target } => {
            let target = target.as_ref().or(reopened.first());
            let target = target.map_or("its work", |task| task.as_str());
            let feedback = text::first_line(&feedback.message);
            one(format!("{by}: sent {target} back (revision {number}): {feedback}"))
        }
        Event::SignalTaken { refused: Some(reason), .. } => {
            one(format!("run {run}: a message had no effect: {}", text::first_line(reason)))
        }
        Event::PauseRequested { now } => {
            let what = if *now { "what runs stops at its next turn" } else { "what runs finishes" };
            one(format!("run {run}: paused; {what}"))
        }
        Event::RunResumed {} => one(format!("run {run}: goes on")),
        Event::BudgetSet { usd: Some(usd) } => {
            one(format!("run {run}: may cost ${usd} from now on"))
        }
        Event::BudgetSet { usd: None } => one(format!("run {run}: a budget above it has changed")),
        Event::RunTimedOut {} => one(format!("run {run}: has taken longer than it may")),
        Event::CompensationBegan { task } => {
            one(format!("run {run}: {task} failed; what was done is undone"))
        }
        Event::UndoPlanned { tasks } => {
            let names: Vec<&str> = tasks.iter().map(|task| task.as_str()).collect();
            one(format!("run {run}: undoing {}", names.join(", ")))
        }
        Event::ChainStarted { run: next, failure: None } => {
            one(format!("run {run}: started run {next}"))
        }
        Event::ChainStarted { failure: Some(failure), .. } => one(format!(
            "run {run}: could not start what follows: ({}) {}",
            failure.class,
            text::first_line(&failure.message)
        )),
        Event::CancelRequested { reason } => {
            one(format!("run {run}: cancelling: {}", text::first_line(reason)))
        }
        Event::RunRecovered { .. } => one(format!("run {run}: taken up again")),
        // How a run ended is said at the very end, with what it cost.
        _ => Vec::new(),
    }
}

fn asked(task: &orchestrator_core::id::TaskName, ask: &Ask) -> String {
    let until = ask.expires.map(|at| format!(" until {at}")).unwrap_or_default();
    let number = ask.question.map(|number| format!(" (question {number})")).unwrap_or_default();
    format!("{task}: waits for a person{until}{number}: {}", text::first_line(&ask.message))
}

fn answered(reply: &Reply) -> String {
    let by = text::first_line(&reply.by);
    match &reply.verdict {
        Verdict::Approved => format!("approved by {by}"),
        Verdict::Rejected(reason) if reason.is_empty() => format!("rejected by {by}"),
        Verdict::Rejected(reason) => format!("rejected by {by}: {}", text::first_line(reason)),
        Verdict::Answered(said) => format!("answered by {by}: {}", text::first_line(said)),
        Verdict::Expired => "nobody answered in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{
        approval, board, created, failed, recorded, run, skipped, started, succeeded, task,
    };
    use super::*;

    #[test]
    fn each_change_is_a_line() {
        let check = |before: Vec<Event>, event: Event, expected: &str| {
            let seq = before.len() as u64;
            let mut board = board(before);
            let event = recorded(seq, event);
            board.record(&run(), &event);
            assert_eq!(line(&board, &run(), &event, false), [expected]);
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
        check(begun(), approval("land"), "land: waits for a person: Land it?");
        let reply = Reply::new(Verdict::Rejected("too late".into()), "ann");
        let said = Event::PersonAnswered { task: task("land"), reply, allows: Vec::new() };
        check(vec![created(&["land"]), approval("land")], said, "land: rejected by ann: too late");
        check(begun(), Event::PauseRequested { now: false }, "run r_1: paused; what runs finishes");
        check(begun(), Event::RunResumed {}, "run r_1: goes on");
    }

    #[test]
    fn lines_of_another_run_name_it() {
        let child = RunId::new("r_2").expect("an id");
        let mut board = board(vec![created(&["build"])]);
        let event = recorded(1, started("inner", 1));
        board.record(&child, &event);
        assert_eq!(line(&board, &child, &event, false), ["r_2: inner: started by dev"]);
    }
}
