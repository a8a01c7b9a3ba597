//! `orchestrator rollback`

use super::{confirm, land::short};
use crate::{
    context::Context,
    exit::Exit,
    output::{Console, paint::Tone, text},
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::views::{RollbackPlan, RollbackView};

/// Undo what a run landed on a branch, by commits that revert it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator rollback latest
  orchestrator rollback r_01 --target main --update-checkout --yes")]
pub(crate) struct Rollback {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// The branch; without it the one that the run landed on besides its result branch, or else that
    #[arg(long, value_name = "BRANCH")]
    target: Option<String>,

    /// Let a checkout that is on the branch go along, if it has no changes
    #[arg(long)]
    update_checkout: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Rollback {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let target = self.target.as_deref();
        if !self.yes && confirm::can_ask(console) {
            let plan = runtime::ask(async { Ok(service.rollback_plan(&self.run, target).await?) })?;
            if !confirm::ask(&question(&plan)) {
                return Ok(Exit::Cancelled);
            }
        }
        let done = runtime::drive(async {
            Ok(service.rollback(&self.run, target, self.update_checkout).await?)
        })?;
        match console.json {
            true => console.document(&done)?,
            false => console.lines(&lines(console, &done))?,
        }
        Ok(Exit::Done)
    }
}

fn question(plan: &RollbackPlan) -> String {
    let work = plan.work.iter().map(|(task, commit)| format!("  {} {task}\n", short(commit)));
    let count = text::counted(plan.work.len() as u64, "commit");
    let (run, branch) = (&plan.run, &plan.branch);
    format!("{}revert {count} of {run} on {branch}?", work.collect::<String>())
}

fn lines(console: &Console, done: &RollbackView) -> Vec<String> {
    let paint = console.paint();
    let plain = |what: &str| text::harmless(what, false).into_owned();
    let mut lines = vec![plain(&format!(
        "{} on {}: {} undone",
        done.run,
        done.branch,
        text::counted(done.reverts.len() as u64, "commit")
    ))];
    lines.extend(done.reverts.iter().map(|revert| {
        let by = match &revert.by {
            Some(by) => format!("reverted by {}", short(by)),
            None => "gone already".to_owned(),
        };
        plain(&format!("  {}  {}  {by}", revert.task, short(&revert.commit)))
    }));
    lines.push(match done.restored {
        true => paint.tone(
            Tone::Good,
            &format!("the files are just what they were before the run: tree {}", done.tree),
        ),
        false => format!(
            "the files are not those of before, since others landed too: tree {}",
            done.tree
        ),
    });
    lines
}
