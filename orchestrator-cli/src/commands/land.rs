//! `orchestrator land`

use super::proof;
use crate::{
    context::Context,
    exit::Exit,
    interrupt::Interrupts,
    output::{
        Console,
        paint::Tone,
        table::{Align, Cell, Table},
        text,
    },
    problem::Failure,
    runtime,
};
use clap::{Args, ValueEnum};
use orchestrator_core::time::parse_duration;
use orchestrator_service::{
    LandOrder, LandWatch,
    views::{LandItem, LandRefusal, LandStepView, LandView},
};
use std::{sync::Arc, time::Duration};

/// How many files and lines of a conflict are shown.
const SHOWN: usize = 20;

/// Bring what a run has made onto a branch, checked together with what is there
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator land latest --update-checkout
  orchestrator land r_01 --into main
  orchestrator land r_01 --into review/r_01 --mode branch --unverified")]
pub(crate) struct Land {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// The branch to land on; without it the one that the project is on
    #[arg(long, value_name = "BRANCH")]
    into: Option<String>,

    /// Whether the branch has to be there, or is made when it is not
    #[arg(long, value_enum, default_value_t = Mode::Direct)]
    mode: Mode,

    /// Land work that no check has proved too
    #[arg(long)]
    unverified: bool,

    /// Let a checkout that is on the branch go along, if it has no changes
    #[arg(long)]
    update_checkout: bool,

    /// With `--json`: write each step as a line before the document, as it is done
    #[arg(long)]
    events: bool,

    /// Wait no longer than this, such as `10m`; what waits stays in the queue. Without it until all
    /// has ended
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    wait: Option<Duration>,
}

/// What kind of branch it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// A branch that is there
    Direct,
    /// A branch that is made when it is not there
    Branch,
}

impl Land {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let mode = match self.mode {
            Mode::Direct => "direct",
            Mode::Branch => "branch",
        };
        let order = LandOrder {
            run: self.run,
            into: self.into,
            mode: Some(mode.to_owned()),
            unverified: self.unverified,
            update_checkout: self.update_checkout,
            wait: self.wait,
        };
        let watch = watch(*console, self.events);
        let view = runtime::drive(async {
            let mut interrupts = Interrupts::listen()?;
            Ok(service.land(&order, watch, interrupts.next()).await?)
        })?;
        if console.json {
            console.document(&view)?;
        } else {
            console.lines(&lines(console, &view))?;
            hint(console, &view);
        }
        Ok(match view.status {
            "landed" => Exit::Done,
            "waiting" => Exit::Waiting,
            "withdrawn" => Exit::Interrupted,
            _ => Exit::Failed,
        })
    }
}

/// Shows the steps as they are done: as data when that is asked for, else to a person who looks on.
fn watch(console: Console, events: bool) -> Option<LandWatch> {
    match (console.json, events) {
        (true, true) => Some(Arc::new(move |step| {
            // Whoever does not read any more misses the document, too, which tells so.
            let _ = console.document_line(step);
        })),
        (true, false) => None,
        (false, _) => (console.err.terminal || console.verbose > 0).then(|| -> LandWatch {
            Arc::new(move |step| step_line(step).iter().for_each(|line| console.say(line)))
        }),
    }
}

/// A step for people.
fn step_line(step: &LandStepView) -> Option<String> {
    let pieces = text::counted(step.pieces as u64, "piece");
    let at = step.commit.as_deref().map(short).unwrap_or_default();
    let what = match step.step {
        "joined" => format!("put together: {}", step.work.join(", ")),
        "checking" => format!("checking {pieces} of work at {at}"),
        "advanced" => format!("is at {at} now"),
        "settled" => {
            format!("{} {}", step.work.join(", "), step.state.unwrap_or("has ended"))
        }
        // What is between those says nothing more to people.
        _ => return None,
    };
    Some(text::harmless(&format!("{}: {what}", step.branch), false).into_owned())
}

fn tone(state: &str) -> Tone {
    match state {
        "landed" => Tone::Good,
        "conflict" | "red" => Tone::Bad,
        "waiting" | "withdrawn" => Tone::Warn,
        _ => Tone::Faint,
    }
}

fn lines(console: &Console, view: &LandView) -> Vec<String> {
    let paint = console.paint();
    let plain = |what: &str| text::harmless(what, false).into_owned();
    let head = plain(&format!("{} on {}", view.run, view.branch));
    let mut lines = vec![format!("{head}: {}", paint.tone(tone(view.status), view.status))];
    let mut table = Table::new(&[
        ("TASK", Align::Left),
        ("PROOF", Align::Left),
        ("STATE", Align::Left),
        ("COMMIT", Align::Left),
    ]);
    for item in &view.items {
        table.row(vec![
            item.task.as_str().into(),
            proved(item).into(),
            Cell::toned(tone(item.state), item.state),
            item.landed.as_deref().map_or("-".to_owned(), short).into(),
        ]);
    }
    lines.extend(table.lines(paint, console.columns()));
    lines.extend(view.refused.iter().flat_map(refusal));
    lines
}

fn proved(item: &LandItem) -> &'static str {
    match item.verified {
        Some(true) => "verified",
        Some(false) => "failed",
        None => "unverified",
    }
}

fn refusal(refused: &LandRefusal) -> Vec<String> {
    let plain = |what: &str| text::harmless(what, false).into_owned();
    let mut lines = vec![String::new()];
    match &refused.evidence {
        Some(evidence) => {
            lines.push(plain(&format!("{}: {}", refused.task, refused.message)));
            lines.extend(proof::evidence(evidence));
        }
        None => {
            let files = refused.files.iter().take(SHOWN).map(String::as_str);
            let files: Vec<&str> = files.collect();
            let more = refused.files.len() - files.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let task = &refused.task;
            lines.push(plain(&format!("{task}: conflicts in {}{more}", files.join(", "))));
            let told = refused.message.lines().take(SHOWN);
            lines.extend(told.map(|line| plain(&format!("   | {line}"))));
        }
    }
    lines
}

fn hint(console: &Console, view: &LandView) {
    let (run, branch) = (&view.run, &view.branch);
    match view.status {
        "landed" => {
            console.hint(&format!("to undo it: orchestrator rollback {run} --target {branch}"));
        }
        "conflict" | "red" => console.hint(&format!(
            "what landed before it stays; bring `orchestrator/{run}/result` together with {branch} by \
             hand, or mend {branch} and type the same again"
        )),
        "waiting" => console.hint("it waits in the queue: type the same again to go on"),
        _ => {}
    }
}

/// The start of a commit's name.
pub(super) fn short(commit: &str) -> String {
    commit.chars().take(10).collect()
}
