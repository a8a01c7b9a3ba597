//! `orchestrator worktrees`

use super::{confirm, listing};
use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        table::{Align, Table},
        text,
    },
    problem::Failure,
    runtime,
};
use clap::{Args, Subcommand};
use orchestrator_core::time::parse_duration;
use orchestrator_service::views::{PlaceView, WorktreesCleanView};
use std::time::Duration;

/// The places in which attempts work or worked: see them, remove them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator worktrees list
  orchestrator worktrees clean --older-than 7d")]
pub(crate) struct Worktrees {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every place with its task, size and state: `in use`, `kept` to be looked at, or `orphan`, whose
    /// process is gone; and how much lies prepared for the next
    #[command(after_help = "Examples:
  orchestrator worktrees list
  orchestrator worktrees list --json | jq -r '.items[].directory'")]
    List {},
    /// Remove places in which nobody works, and what lies prepared for the next; what is in places
    /// becomes a checkpoint before, and branches stay
    #[command(after_help = "Examples:
  orchestrator worktrees clean --dry-run
  orchestrator worktrees clean --older-than 7d --yes")]
    Clean {
        /// Only those that are as they are for longer than this, such as `12h` or `7d`
        #[arg(long, value_name = "D", value_parser = parse_duration)]
        older_than: Option<Duration>,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

impl Worktrees {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let What::Clean { older_than, dry_run, yes } = self.what else {
            let view = runtime::ask(async { Ok(service.worktrees().await?) })?;
            if console.json {
                console.document(&view)?;
                return Ok(Exit::Done);
            }
            if !view.items.is_empty() {
                console.table(&table(&view.items))?;
            }
            listing::tail(console, "worktrees", view.items.is_empty(), None);
            if !view.prepared.is_empty() {
                let size = view.prepared.iter().map(|prepared| prepared.bytes).sum();
                console.hint(&format!(
                    "{} prepared for the next ({})",
                    view.prepared.len(),
                    text::bytes(size)
                ));
            }
            return Ok(Exit::Done);
        };
        let age = older_than.unwrap_or_default();
        let clean =
            |dry_run| runtime::ask(async { Ok(service.clean_worktrees(age, dry_run).await?) });
        if !dry_run && !yes && confirm::can_ask(console) {
            let would = clean(true)?;
            let is_any = !would.removed.is_empty() || !would.prepared.is_empty();
            if is_any && !confirm::ask(&format!("remove {}?", said(&would))) {
                return Ok(Exit::Cancelled);
            }
        }
        let done = clean(dry_run)?;
        tell(console, &done)?;
        Ok(if done.failed.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

fn tell(console: &Console, done: &WorktreesCleanView) -> Result<(), Failure> {
    if console.json {
        return console.document(done);
    }
    let verb = if done.dry_run { "would remove" } else { "removed" };
    let mut lines: Vec<String> = done
        .removed
        .iter()
        .map(|place| format!("{verb} {}", text::harmless(&place.directory, false)))
        .collect();
    let prepared = done.prepared.iter();
    lines.extend(
        prepared.map(|ready| format!("{verb} {}", text::harmless(&ready.directory, false))),
    );
    lines.push(format!("{verb} {}", said(done)));
    console.lines(&lines)?;
    for failed in &done.failed {
        console.insist(&format!("could not remove {}: {}", failed.directory, failed.reason));
    }
    Ok(())
}

/// `2 worktrees (1.5 MiB)`.
fn said(done: &WorktreesCleanView) -> String {
    let count = text::counted(done.removed.len() as u64, "worktree");
    let prepared = match done.prepared.len() {
        0 => String::new(),
        some => format!(", {some} prepared"),
    };
    format!("{count}{prepared} ({})", text::bytes(done.bytes))
}

fn table(places: &[PlaceView]) -> Table {
    let mut table = Table::new(&[
        ("RUN", Align::Left),
        ("TASK", Align::Left),
        ("ATTEMPT", Align::Right),
        ("KIND", Align::Left),
        ("STATE", Align::Left),
        ("SIZE", Align::Right),
        ("BRANCH", Align::Left),
        ("DIRECTORY", Align::Left),
    ]);
    for place in places {
        table.row(vec![
            place.run.as_str().into(),
            place.task.as_str().into(),
            place.attempt.to_string().into(),
            place.kind.as_str().into(),
            place.state.into(),
            text::bytes(place.bytes).into(),
            place.branch.clone().unwrap_or_default().into(),
            place.directory.as_str().into(),
        ]);
    }
    table
}
