//! `orchestrator restore`

use crate::{context::Context, exit::Exit, problem::Failure, runtime};
use clap::Args;
use orchestrator_service::{RestoreRequest, RestoreTo};
use std::path::PathBuf;

/// Give back a recorded state of a task's files; your checkout and branches stay as they are
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator restore build --to ../as-it-was
  orchestrator restore build --checkpoint 3 --branch try-again
  orchestrator restore r_01.build --checkpoint 4f2a9c1 --in-place")]
pub(crate) struct Restore {
    /// `RUN.TASK`, or the name of a task in the latest run
    #[arg(value_name = "TASK")]
    task: String,

    /// Which state: a turn, or at least seven digits of a commit; without it what the task made, or
    /// else its last checkpoint
    #[arg(long, value_name = "COMMIT|TURN")]
    checkpoint: Option<String>,

    /// Of this attempt; without it the last one of the task
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,

    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// As files in this directory, which is made or is empty
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,

    /// As a new branch
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,

    /// In the place where the attempt worked; what is there now becomes a checkpoint before
    #[arg(long)]
    in_place: bool,
}

impl Restore {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let to = match (self.target.to, self.target.branch) {
            (Some(directory), _) => RestoreTo::Directory(directory),
            (None, Some(branch)) => RestoreTo::Branch(branch),
            (None, None) => RestoreTo::InPlace,
        };
        let (task, attempt, checkpoint) = (self.task, self.attempt, self.checkpoint);
        let request = RestoreRequest { task, attempt, checkpoint, to };
        let view = runtime::ask(async { Ok(service.restore(&request).await?) })?;
        if console.json {
            console.document(&view)?;
            return Ok(Exit::Done);
        }
        let what = view.commit.get(..12).unwrap_or(&view.commit);
        let place = match (&view.directory, &view.branch) {
            (Some(directory), _) => directory.clone(),
            (None, Some(branch)) => format!("branch {branch}"),
            (None, None) => String::new(),
        };
        console.lines(&[format!("restored {what} of {}.{} in {place}", view.run, view.task)])?;
        if let Some(before) = &view.before {
            let before = before.get(..12).unwrap_or(before);
            console.hint(&format!("what was there is checkpoint {before}"));
        }
        Ok(Exit::Done)
    }
}
