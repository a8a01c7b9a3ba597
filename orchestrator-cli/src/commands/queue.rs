//! `orchestrator queue`

use super::{land::short, listing, proof};
use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        paint::Tone,
        table::{Align, Cell, Table},
        text,
    },
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::views::{LandingDetails, QueueItem, QueueView, SettledItem};

/// Show what waits to land on each branch, and what was settled lately
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator queue
  orchestrator queue --run latest --json
  orchestrator queue --show l_0123456789abcdef01234567")]
pub(crate) struct Queue {
    /// Only what this run has made
    #[arg(long, value_name = "RUN")]
    run: Option<String>,

    /// Show all of one piece of work, with what its checks printed on the branch: an id of `--json`
    #[arg(long, value_name = "ID", conflicts_with = "run")]
    show: Option<String>,

    /// Show at most so many that are settled
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
}

impl Queue {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        if let Some(id) = &self.show {
            let view = runtime::ask(async { Ok(service.landing_details(id).await?) })?;
            match console.json {
                true => console.document(&view)?,
                false => console.lines(&details(&view))?,
            }
            return Ok(Exit::Done);
        }
        let limit = usize::from(self.limit);
        let view = runtime::ask(async { Ok(service.queue(self.run.as_deref(), limit).await?) })?;
        if console.json {
            console.document(&view)?;
            return Ok(Exit::Done);
        }
        console.lines(&lines(console, &view))?;
        if view.items.is_empty() {
            console.hint("nothing waits");
        }
        Ok(Exit::Done)
    }
}

/// All of one piece of work.
fn details(view: &LandingDetails) -> Vec<String> {
    let plain = |what: &str| text::harmless(what, false).into_owned();
    let of = format!("{}.{} on {}", view.run, view.task, view.branch);
    let mut lines = vec![plain(&format!("{of}: {}", view.state))];
    lines.push(format!("commit  {}", view.commit));
    lines.extend(view.landed.iter().map(|commit| format!("landed  as {commit}")));
    lines.extend(
        view.request.iter().map(|request| plain(&format!("pull request  {}", request.url))),
    );
    if !view.files.is_empty() {
        lines.push(plain(&format!("conflicts in {}", view.files.join(", "))));
    }
    let told = view.message.iter().flat_map(|message| message.lines());
    lines.extend(told.map(|line| plain(&format!("   | {line}"))));
    lines.extend(view.evidence.iter().flat_map(proof::evidence));
    for printed in &view.outputs {
        let cut = if printed.cut { ", the last of it" } else { "" };
        lines.push(plain(&format!("{} printed{cut} ({}):", printed.name, printed.blob)));
        lines.extend(printed.text.lines().map(|line| plain(&format!("   | {line}"))));
    }
    lines
}

fn lines(console: &Console, view: &QueueView) -> Vec<String> {
    let paint = console.paint();
    let mut lines = Vec::new();
    let mut section = |title: &str, part: Vec<String>| {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(paint.tone(Tone::Strong, &text::harmless(title, false)));
        lines.extend(part);
    };
    for queue in &view.items {
        section(&queue.branch, open(console, &queue.open));
    }
    if !view.settled.is_empty() {
        section("Settled lately", settled(console, &view.settled));
    }
    lines
}

fn open(console: &Console, items: &[QueueItem]) -> Vec<String> {
    let mut table = Table::new(&[
        ("RUN", Align::Left),
        ("TASK", Align::Left),
        ("STATE", Align::Left),
        ("PRIORITY", Align::Left),
        ("SINCE (UTC)", Align::Left),
        ("FILES", Align::Right),
        ("OVERLAPS WITH", Align::Left),
    ]);
    for item in items {
        let overlaps = item.overlaps.iter().map(|other| {
            let files = text::counted(other.files.len() as u64, "file");
            format!("{}.{} ({files})", other.run, other.task)
        });
        let overlaps: Vec<String> = overlaps.collect();
        let tone = if item.state == "testing" { Tone::Warn } else { Tone::Plain };
        let state = match &item.request {
            Some(request) => format!("in {}", request.url),
            None => item.state.to_owned(),
        };
        table.row(vec![
            item.run.as_str().into(),
            item.task.as_str().into(),
            Cell::toned(tone, state),
            item.priority.into(),
            listing::minute(&item.since).into(),
            item.files.len().to_string().into(),
            if overlaps.is_empty() { "-".into() } else { overlaps.join(", ").into() },
        ]);
    }
    table.lines(console.paint(), console.columns())
}

fn settled(console: &Console, items: &[SettledItem]) -> Vec<String> {
    let mut table = Table::new(&[
        ("BRANCH", Align::Left),
        ("RUN", Align::Left),
        ("TASK", Align::Left),
        ("STATE", Align::Left),
        ("WHEN (UTC)", Align::Left),
        ("COMMIT", Align::Left),
    ]);
    for item in items {
        let (tone, state) = match (item.reverted.is_some(), item.state) {
            (true, _) => (Tone::Warn, "rolled back"),
            (false, "landed") => (Tone::Good, "landed"),
            (false, "withdrawn") => (Tone::Faint, "withdrawn"),
            (false, state) => (Tone::Bad, state),
        };
        table.row(vec![
            item.branch.as_str().into(),
            item.run.as_str().into(),
            item.task.as_str().into(),
            Cell::toned(tone, state),
            item.settled_at.as_deref().map_or("-".to_owned(), listing::minute).into(),
            item.landed.as_deref().map_or("-".to_owned(), short).into(),
        ]);
    }
    table.lines(console.paint(), console.columns())
}
