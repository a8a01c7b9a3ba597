//! The end of a drive: the run's report as data, then how it went, what it cost, what to type next.

use crate::{
    exit::Exit,
    output::{
        Console, forecast,
        paint::{Paint, Tone},
        terminal, text,
    },
    problem::Failure,
};
use orchestrator_service::{
    OrchestratorService,
    views::{AskedView, ResultView},
};
use std::time::Duration;

/// The most lines of a report that are put before a person at once.
const READABLE: usize = 100;

/// Tells how the drive ended, and says how to exit.
///
/// # Errors
/// A report that cannot be read, or output that cannot be written.
pub(super) async fn close(
    console: &Console,
    service: &OrchestratorService,
    result: &ResultView,
) -> Result<Exit, Failure> {
    let class = result.failure.as_ref().map(|failure| failure.class.as_str());
    let over_budget = result.asks.iter().any(|asked| asked.ask.kind == "budget");
    let exit = match result.asks.is_empty() {
        true => Exit::of_run(&result.status, class),
        false if over_budget => Exit::Budget,
        false => Exit::Waiting,
    };
    let told = tell(console, service, result).await;
    match told {
        // The work is done, whether or not somebody reads about it.
        Ok(()) | Err(Failure::Gone) => Ok(exit),
        Err(failure) => Err(failure),
    }
}

async fn tell(
    console: &Console,
    service: &OrchestratorService,
    result: &ResultView,
) -> Result<(), Failure> {
    if console.json {
        return console.document_line(result);
    }
    tell_report(console, service, result).await?;
    let paint = Paint::on(console.err);
    for task in result.items.iter().filter(|task| task.status == "failed") {
        if let Some(error) = &task.error {
            let name = paint.tone(Tone::Bad, &task.name);
            let message = text::harmless(&error.message, true);
            let line = format!("{name} failed ({}): {message}", error.class);
            // Of a failed run the reason is no mere talk.
            if result.status == "failed" {
                console.insist(&line);
            } else {
                console.say(&line);
            }
        }
    }
    let dot = paint.glyph("·", "-");
    let replayed = if result.replayed { " as recorded; nothing was spent" } else { "" };
    console.say(&format!(
        "{} in {} {dot} {} {dot} {} tokens {dot} {}{replayed}",
        paint.status(&result.status),
        text::elapsed(Duration::from_millis(result.elapsed_ms)),
        text::counted(result.items.len() as u64, "task"),
        text::thousands(result.spent.tokens()),
        result.spent.cost(),
    ));
    proved(result).into_iter().for_each(|line| console.say(&line));
    if let Some(outcome) = &result.forecast {
        console.say(&format!("expected: {}", forecast::outcome(outcome)));
    }
    // Without an answer nothing goes on, so this is more than talk.
    questions(&result.asks).iter().for_each(|line| console.insist(line));
    if matches!(result.status.as_str(), "interrupted" | "paused" | "waiting") {
        console.hint(&format!("go on with: orchestrator resume {}", result.run));
    } else {
        console.hint(&format!("more: orchestrator run-details {}", result.run));
    }
    Ok(())
}

/// What was proved and where it is now.
fn proved(result: &ResultView) -> Vec<String> {
    let count = |of| result.items.iter().filter(|task| task.verified == Some(of)).count();
    let mut lines = Vec::new();
    let (verified, unverified) = (count(true), count(false));
    if verified + unverified > 0 {
        lines.push(format!("checks: {verified} verified, {unverified} unverified"));
    }
    lines.extend(result.landed.iter().map(|landed| {
        format!(
            "landed on {} ({}): {}",
            landed.branch,
            landed.commit.chars().take(10).collect::<String>(),
            text::harmless(&landed.tasks.join(", "), false)
        )
    }));
    lines
}

/// How many questions are shown: the items of one list may ask a hundred thousand.
pub(crate) const QUESTIONS: usize = 20;

/// Says how many questions of so many are not shown, and where they are.
pub(crate) fn unshown(questions: usize) -> Option<String> {
    let more = questions.checked_sub(QUESTIONS).filter(|more| *more > 0)?;
    let more = text::thousands(more as u64);
    Some(format!("{more} more wait for a person: orchestrator list-tasks --status waiting"))
}

/// Whether what is asked goes on by itself, when a budget is renewed.
pub(super) fn is_renewed(asked: &AskedView) -> bool {
    asked.ask.kind == "budget" && asked.ask.expires.is_some()
}

/// What people are asked, and how they answer.
pub(super) fn questions(asks: &[AskedView]) -> Vec<String> {
    let mut lines = Vec::new();
    for asked in asks.iter().take(QUESTIONS) {
        let AskedView { id: of, run, ask, .. } = asked;
        // One of several things is named by its number.
        let several = asks.iter().filter(|other| other.id == *of).count() > 1;
        let which = ask.question.filter(|_| several).map(|number| format!(" --question {number}"));
        let id = format!("{of}{}", which.unwrap_or_default());
        let until = ask.expires.as_ref().map(|at| format!(" (until {at})")).unwrap_or_default();
        let message = text::harmless(&ask.message, true);
        let whom = if is_renewed(asked) { "the budget" } else { "a person" };
        lines.push(format!("{of} waits for {whom}{until}: {message}"));
        lines.push(match ask.kind {
            "budget" if is_renewed(asked) => format!(
                "  orchestrator approve {id}   with a higher limit, or orchestrator reject {id}"
            ),
            "question" => format!("  orchestrator answer {id} TEXT"),
            "budget" => format!(
                "  orchestrator resume {run} --budget USD   with more, or orchestrator reject {id}"
            ),
            "outcome" => format!(
                "  orchestrator approve {id}   to do it again, orchestrator answer {id} RESULT, or \
                 orchestrator reject {id}"
            ),
            _ => format!("  orchestrator approve {id}   or: orchestrator reject {id}"),
        });
    }
    lines.extend(unshown(asks.len()));
    lines
}

/// Prints what the run has to say: what its last tasks left, else the last report on the way.
async fn tell_report(
    console: &Console,
    service: &OrchestratorService,
    result: &ResultView,
) -> Result<(), Failure> {
    let more = match &result.report {
        Some(report) => format!(
            "orchestrator task-details {}.{} --artifact {}",
            result.run, report.task, report.name
        ),
        None => format!("orchestrator run-details {} --report", result.run),
    };
    if matches!(result.status.as_str(), "interrupted" | "paused" | "waiting") {
        return Ok(());
    }
    if let Some(text) = service.report(&result.run).await? {
        return show(console, text.as_bytes(), &more);
    }
    if let Some(report) = &result.report {
        let task = format!("{}.{}", result.run, report.task);
        let bytes = service.artifact(&task, None, &report.name).await?;
        return show(console, &bytes, &more);
    }
    Ok(())
}

/// Prints a report: whole for a program or a file, its beginning for a person.
fn show(console: &Console, bytes: &[u8], more: &str) -> Result<(), Failure> {
    if !console.out.terminal {
        console.bytes(bytes)?;
        // What follows on the stream begins on a line of its own.
        return if bytes.ends_with(b"\n") { Ok(()) } else { console.bytes(b"\n") };
    }
    let whole = String::from_utf8_lossy(bytes);
    let whole = text::harmless(&whole, true);
    let lines: Vec<&str> = whole.lines().collect();
    let room = READABLE.max(terminal::size().1);
    let shown = lines.len().min(room);
    let paint = console.paint();
    let heading = |line: &&str| {
        let tone = if line.starts_with('#') { Tone::Strong } else { Tone::Plain };
        paint.tone(tone, line)
    };
    console.lines(&lines[..shown].iter().map(heading).collect::<Vec<_>>())?;
    if shown < lines.len() {
        console.hint(&format!("{} more lines: {more}", lines.len() - shown));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_service::views::AskView;

    #[test]
    fn the_first_questions_are_shown_and_the_rest_are_counted() {
        let check = |count: usize, lines: usize, last: &str| {
            let ask = AskView {
                kind: "approval",
                message: "fine?".into(),
                expires: None,
                question: None,
                action: None,
            };
            let asked = |n: usize| AskedView {
                id: format!("r_1.ask:{n}"),
                run: "r_1".into(),
                task: format!("ask:{n}"),
                ask: ask.clone(),
            };
            let told = questions(&(0..count).map(asked).collect::<Vec<_>>());
            assert_eq!(told.len(), lines, "{count} questions");
            assert!(told.last().is_none_or(|line| line.contains(last)), "{told:?}");
        };
        check(0, 0, "");
        check(QUESTIONS, 2 * QUESTIONS, "orchestrator approve");
        check(QUESTIONS + 1, 2 * QUESTIONS + 1, "1 more wait for a person");
        check(100_000, 2 * QUESTIONS + 1, "99,980 more wait for a person");
    }
}
