//! `orchestrator clean`

use super::confirm;
use crate::{context::Context, exit::Exit, output::text, problem::Failure, runtime};
use clap::Args;
use orchestrator_core::time::parse_duration;
use orchestrator_service::views::CleanView;
use std::time::Duration;

/// How old a run is that is removed when nothing else is said.
const USUAL_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Remove old runs that have ended, and what only they used
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator clean --dry-run
  orchestrator clean --older-than 90d --yes
  orchestrator clean --cache --older-than 1h")]
pub(crate) struct Clean {
    /// Only runs that were created longer ago than this, such as `12h` or `90d`; without it `30d`
    #[arg(long, value_name = "D", value_parser = parse_duration)]
    older_than: Option<Duration>,

    /// Forget results that are kept to be used again, in place of removing runs; all of them when
    /// `--older-than` is not given
    #[arg(long)]
    cache: bool,

    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Clean {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        if self.cache {
            let age = self.older_than.unwrap_or_default();
            let done = runtime::ask(async { Ok(service.forget_cached(age, self.dry_run).await?) })?;
            if console.json {
                console.document(&done)?;
            } else {
                let verb = if done.dry_run { "would forget" } else { "forgot" };
                console.data(&format!("{verb} {}", text::counted(done.cached, "cached result")))?;
            }
            return Ok(Exit::Done);
        }
        let age = self.older_than.unwrap_or(USUAL_AGE);
        let clean = |dry_run| runtime::ask(async { Ok(service.clean(age, dry_run).await?) });
        if !self.dry_run && !self.yes && confirm::can_ask(console) {
            let would = clean(true)?;
            if (!would.runs.is_empty() || would.worktrees + would.prepared > 0)
                && !confirm::ask(&format!("remove {}?", said(&would)))
            {
                return Ok(Exit::Cancelled);
            }
        }
        let done = clean(self.dry_run)?;
        if console.json {
            console.document(&done)?;
        } else {
            let verb = if done.dry_run { "would remove" } else { "removed" };
            console.data(&format!("{verb} {}", said(&done)))?;
        }
        Ok(Exit::Done)
    }
}

/// `2 runs, 14 blobs, 1 worktree (3.1 MiB)`.
fn said(clean: &CleanView) -> String {
    let (runs, blobs) = (clean.runs.len() as u64, clean.blobs);
    let size = text::bytes(clean.bytes);
    let worktrees = match clean.worktrees {
        0 => String::new(),
        some => format!(", {}", text::counted(some, "worktree")),
    };
    let prepared = match clean.prepared {
        0 => String::new(),
        some => format!(", {some} prepared"),
    };
    let left = match clean.left_over {
        0 => String::new(),
        some => format!(", {some} left over by processes that died"),
    };
    let worktrees = format!("{worktrees}{prepared}{left}");
    format!("{}, {}{worktrees} ({size})", text::counted(runs, "run"), text::counted(blobs, "blob"))
}
