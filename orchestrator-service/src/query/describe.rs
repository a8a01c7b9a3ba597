//! Events in words.

use orchestrator_core::{
    event::{Ask, Event, Reply, SkipReason, Verdict},
    id::AttemptNumber,
    usage::Spend,
    workspace::Verdict as Verified,
};

/// Which try the event is about, if it is about one.
pub(super) fn attempt_of(event: &Event) -> Option<AttemptNumber> {
    match event {
        Event::AttemptStarted { attempt, .. }
        | Event::SessionKnown { attempt, .. }
        | Event::TurnRecorded { attempt, .. }
        | Event::JournalCut { attempt, .. }
        | Event::AttemptLogged { attempt, .. }
        | Event::AttemptSucceeded { attempt, .. }
        | Event::AttemptFailed { attempt, .. }
        | Event::WorkspaceOpened { attempt, .. }
        | Event::CheckpointMade { attempt, .. }
        | Event::WorkRecorded { attempt, .. }
        | Event::EvidenceRecorded { attempt, .. }
        | Event::WorkLanded { attempt, .. }
        | Event::PullRequestOpened { attempt, .. }
        | Event::LandingRefused { attempt, .. } => Some(*attempt),
        _ => None,
    }
}

/// An event in one line for people.
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::RunCreated(created) => format!(
            "run of {} {} with {} tasks",
            created.workflow.name,
            created.workflow.version,
            created.workflow.tasks.len()
        ),
        Event::AttemptStarted { attempt, child: Some(child), .. } => {
            format!("attempt {attempt} is run {child}")
        }
        Event::AttemptStarted { attempt, agent, .. } => format!("attempt {attempt} by {agent}"),
        Event::SessionKnown { session, .. } => format!("works in session {session}"),
        Event::TurnRecorded { turn, .. } => {
            let spent: u64 = turn.spend.iter().map(|spend: &Spend| spend.usage.total().0).sum();
            let spent = if spent > 0 { format!(", {spent} tokens") } else { String::new() };
            format!("turn {}: {} {}{spent}", turn.number, turn.kind, turn.name)
        }
        Event::JournalCut { from, .. } => {
            format!("goes another way: turns from {from} on do not count any more")
        }
        Event::AttemptLogged { lines, .. } => format!("{} lines", lines.len()),
        Event::AttemptSucceeded { cached: Some(hit), .. } => {
            format!("succeeded with the result that {}.{} made at {}", hit.run, hit.task, hit.at)
        }
        Event::AttemptSucceeded { .. } => "succeeded".to_owned(),
        Event::AttemptFailed { failure, next: Some(next), .. } => {
            format!("failed ({}): {}; again at {}", failure.class, failure.message, next.at)
        }
        Event::AttemptFailed { failure, ask: Some(ask), .. } => {
            format!("failed ({}): {}; {}", failure.class, failure.message, asked(ask))
        }
        Event::AttemptFailed { failure, .. } | Event::TaskFailed { failure, .. } => {
            format!("failed ({}): {}", failure.class, failure.message)
        }
        Event::WorkspaceOpened { opened, .. } => match &opened.branch {
            Some(branch) => format!("works on branch {branch} in {}", opened.directory.display()),
            None => format!("works in {}", opened.directory.display()),
        },
        Event::CheckpointMade { checkpoint, .. } => {
            format!("state recorded as {} ({} files changed)", checkpoint.commit, checkpoint.files)
        }
        Event::WorkRecorded { work, .. } => {
            format!("work recorded as {} ({} files changed)", work.commit, work.files)
        }
        Event::EvidenceRecorded { evidence, .. } => match evidence.verdict {
            Verified::Verified => format!("verified: {}", evidence.commit),
            Verified::Failed => format!("not verified: a check of {} failed", evidence.commit),
            Verified::Tampered => {
                format!("not verified: {} weakens what proves it", evidence.commit)
            }
            Verified::NotAccepted => {
                format!("not verified: the judge does not accept {}", evidence.commit)
            }
        },
        Event::WorkLanded { landed, .. } => {
            format!("landed on {} as {}", landed.target, landed.commit)
        }
        Event::PullRequestOpened { request, .. } => {
            format!("a pull request for {} is open: {}", request.target, request.url)
        }
        Event::LandingRefused { refusal, .. } if refusal.files.is_empty() => {
            format!("not landed: the checks fail together with what is on {}", refusal.target)
        }
        Event::LandingRefused { refusal, .. } => {
            format!("not landed: conflicts with {} in {}", refusal.target, refusal.files.join(", "))
        }
        Event::TaskExpanded { count, .. } => format!("{count} items"),
        Event::TasksAdded { tasks, .. } => {
            let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
            format!("added {}", names.join(", "))
        }
        Event::TaskDelayed { until, .. } => format!("waits until {until}"),
        Event::PersonAsked { ask, .. } => asked(ask),
        Event::PersonAnswered { reply, allows, .. } if !allows.is_empty() => {
            let rules: Vec<&str> = allows.iter().map(|rule| rule.as_str()).collect();
            format!("{}, for the rest of the run: {}", answered(reply), rules.join(", "))
        }
        Event::PersonAnswered { reply, .. } => answered(reply),
        Event::MessageSent { message, .. } => {
            let what = if message.interrupts { "interrupted" } else { "told" };
            match &message.text {
                Some(text) => format!("message {}: {what}: {text}", message.number),
                None => format!("message {}: {what}", message.number),
            }
        }
        Event::MessageDelivered { number, .. } => format!("message {number} is with the agent"),
        Event::TaskSucceeded { .. } => "succeeded".to_owned(),
        Event::TaskCarried { from, .. } => format!("done already in run {from}"),
        Event::StopRequested { failure, .. } => format!("asked to stop: {}", failure.message),
        Event::TaskSkipped { reason, .. } => format!("skipped: {}", skipped(reason)),
        Event::TaskCancelled { .. } => "cancelled".to_owned(),
        Event::RevisionRequested { number, feedback, .. } => {
            format!("revision {number} asked for by {}: {}", feedback.from, feedback.message)
        }
        Event::SignalTaken { number, refused: Some(reason) } => {
            format!("message {number} had no effect: {reason}")
        }
        Event::SignalTaken { number, refused: None } => format!("message {number} taken"),
        Event::PauseRequested { now: true } => "paused; what runs stops at its next turn".into(),
        Event::PauseRequested { now: false } => "paused; what runs may finish".into(),
        Event::RunResumed {} => "goes on".to_owned(),
        Event::BudgetSet { usd: Some(usd) } => format!("may cost ${usd} from now on"),
        Event::BudgetSet { usd: None } => "a budget above it has changed".to_owned(),
        Event::RunTimedOut {} => "the run has taken longer than it may".to_owned(),
        Event::CompensationBegan { task } => format!("{task} failed: what was done is undone"),
        Event::UndoPlanned { tasks } => {
            let names: Vec<&str> = tasks.iter().map(|task| task.as_str()).collect();
            format!("to be undone: {}", names.join(", "))
        }
        Event::ChainPlanned { run, .. } => format!("run {run} is started next"),
        Event::ChainStarted { run, failure: None } => format!("run {run} is there"),
        Event::ChainStarted { run, failure: Some(failure) } => {
            format!("run {run} could not be started ({}): {}", failure.class, failure.message)
        }
        Event::CancelRequested { reason } => format!("asked to stop: {reason}"),
        Event::RunRecovered { .. } => "taken up again".to_owned(),
        Event::RunEnded { status } => format!("run {status}"),
        other => other.kind().replace('-', " "),
    }
}

fn asked(ask: &Ask) -> String {
    let until = ask.expires.map(|at| format!(" (until {at})")).unwrap_or_default();
    let number = ask.question.map(|number| format!(" (question {number})")).unwrap_or_default();
    format!("asks a person{until}{number}: {}", ask.message)
}

fn answered(reply: &Reply) -> String {
    let by = &reply.by;
    match &reply.verdict {
        Verdict::Approved => format!("approved by {by}"),
        Verdict::Rejected(reason) if reason.is_empty() => format!("rejected by {by}"),
        Verdict::Rejected(reason) => format!("rejected by {by}: {reason}"),
        Verdict::Answered(text) => format!("answered by {by}: {text}"),
        Verdict::Expired => "nobody answered in time".to_owned(),
    }
}

fn skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::Needs { task } => format!("{task} did not succeed"),
        SkipReason::When => "its condition is false".to_owned(),
        SkipReason::Compensating => "what was done is undone".to_owned(),
        SkipReason::TimedOut => "the run took too long".to_owned(),
    }
}
