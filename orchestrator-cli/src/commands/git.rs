//! `orchestrator git`

use super::{land::short, listing};
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
use clap::{Args, Subcommand};
use orchestrator_service::{
    CommitOrder, DiffOrder, OrchestratorService, Writer,
    views::{
        ChangedView, GitBranchesView, GitCommitView, GitDiffView, GitLogView, GitPullView,
        GitPushView, GitStatusView, WrittenView,
    },
};
use serde::Serialize;

/// Git in the project's checkout, with documents: nothing is forced, rewritten or thrown away
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator git status --json
  orchestrator git commit --all
  orchestrator git push")]
pub(crate) struct Git {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What the checkout is on, and what differs there
    #[command(after_help = "Examples:
  orchestrator git status
  orchestrator git status --json | jq .staged")]
    Status {},
    /// What differs, at most 1 MiB of it
    #[command(after_help = "Examples:
  orchestrator git diff
  orchestrator git diff --staged src")]
    Diff {
        /// What is staged, in place of what differs from that
        #[arg(long)]
        staged: bool,
        /// Only in these files and directories
        #[arg(value_name = "PATH")]
        paths: Vec<String>,
    },
    /// Commits, newest first, with the run and task that each is from
    #[command(after_help = "Examples:
  orchestrator git log --limit 5
  orchestrator git log main --json")]
    Log {
        /// What they lead to: a branch, a tag, a commit; without it where the checkout is
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Show at most so many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
    },
    /// List branches, or make one; the checkout stays where it is
    #[command(after_help = "Examples:
  orchestrator git branch
  orchestrator git branch review/login --at main")]
    Branch {
        /// The branch to make
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Where it begins; without it where the checkout is
        #[arg(long, value_name = "COMMIT", requires = "name")]
        at: Option<String>,
    },
    /// Commit what is staged, with a message of your own, an agent's, or one made from what changes
    #[command(after_help = "Examples:
  orchestrator git commit -m \"Explain the flags\"
  orchestrator git commit --all
  orchestrator git commit --by-agent dev")]
    Commit {
        /// The message; without it one in the form of Conventional Commits is made
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
        /// Ask an agent for the message, in the form of Conventional Commits: the one named, or the best
        /// with the role `dev`. When that comes to nothing it is said, and made from what changes
        #[arg(
            long,
            value_name = "NAME",
            num_args = 0..=1,
            default_missing_value = "",
            conflicts_with = "message"
        )]
        by_agent: Option<String>,
        /// Everything that differs and is not ignored
        #[arg(short, long)]
        all: bool,
        /// Let the repository's hooks run
        #[arg(long)]
        hooks: bool,
    },
    /// Push a branch to a remote that is set up, only forward
    #[command(after_help = "Examples:
  orchestrator git push
  orchestrator git push --remote origin --branch main")]
    Push {
        /// The remote; without it `origin`, or the only one
        #[arg(long, value_name = "NAME")]
        remote: Option<String>,
        /// The branch; without it the one that is checked out
        #[arg(long, value_name = "BRANCH")]
        branch: Option<String>,
        /// Let the repository's hooks run
        #[arg(long)]
        hooks: bool,
    },
    /// Bring the branch that is checked out forward to where a remote has it
    #[command(after_help = "Examples:
  orchestrator git pull
  orchestrator git pull --remote upstream")]
    Pull {
        /// The remote; without it `origin`, or the only one
        #[arg(long, value_name = "NAME")]
        remote: Option<String>,
        /// Let the repository's hooks run
        #[arg(long)]
        hooks: bool,
    },
}

impl Git {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        match self.what {
            What::Commit { message, by_agent, all, hooks } => {
                let writer = by_agent.map(|name| match name.is_empty() {
                    true => Writer::ByRole,
                    false => Writer::Named(name),
                });
                commit(context, CommitOrder { message, writer, all, hooks })
            }
            what => {
                let service = context.service()?;
                runtime::ask(what.done(console, &service))?;
                Ok(Exit::Done)
            }
        }
    }
}

/// Commits; an agent that writes the message is driven here.
fn commit(context: &Context, order: CommitOrder) -> Result<Exit, Failure> {
    let console = &context.console;
    let made = match order.writer.is_some() {
        false => {
            let service = context.service()?;
            runtime::ask(async { Ok(service.git_commit(order, std::future::pending()).await?) })?
        }
        true => {
            let service = context.driving_service()?;
            console.say("an agent is asked for the message");
            runtime::drive(async {
                let mut interrupts = Interrupts::listen()?;
                Ok(service.git_commit(order, interrupts.next()).await?)
            })?
        }
    };
    let Some(made) = made else {
        console.say("nothing was committed; what is staged stays so");
        return Ok(Exit::Interrupted);
    };
    if let Some(written) = &made.written {
        tell(console, written);
    }
    show(console, &made, committed)?;
    Ok(Exit::Done)
}

/// Says who was asked for the message, what that cost and, even to those who want it quiet, that it
/// came to nothing.
fn tell(console: &Console, written: &WrittenView) {
    let who = written.agent.as_deref().unwrap_or("an agent");
    let cost = match written.unpriced_requests {
        0 => format!("${}", written.cost_usd),
        _ => "an unknown cost".to_owned(),
    };
    match &written.refused {
        None => {
            console.say(&plain(&format!("written by `{who}` in run {}, for {cost}", written.run)))
        }
        Some(why) => console.insist(&plain(&format!(
            "warning: `{who}` wrote no message that can be used ({why}), in run {}, for {cost}; it is made \
             from what changes",
            written.run
        ))),
    }
}

impl What {
    async fn done(self, console: &Console, service: &OrchestratorService) -> Result<(), Failure> {
        match self {
            Self::Status {} => show(console, &service.git_status().await?, status),
            Self::Diff { staged, paths } => {
                let order = DiffOrder { staged, paths };
                show(console, &service.git_diff(&order).await?, diff)
            }
            Self::Log { name, limit } => {
                let found = service.git_log(name.as_deref(), usize::from(limit)).await?;
                show(console, &found, log)
            }
            Self::Branch { name: None, .. } => {
                show(console, &service.git_branches().await?, branches)
            }
            Self::Branch { name: Some(name), at } => {
                let made = service.git_create_branch(&name, at.as_deref()).await?;
                show(console, &made, branches)
            }
            // It may need more than a question does.
            Self::Commit { .. } => Ok(()),
            Self::Push { remote, branch, hooks } => {
                let pushed = service.git_push(remote.as_deref(), branch.as_deref(), hooks).await?;
                show(console, &pushed, push)
            }
            Self::Pull { remote, hooks } => {
                show(console, &service.git_pull(remote.as_deref(), hooks).await?, pull)
            }
        }
    }
}

/// The document, or what people read in its place.
fn show<T: Serialize>(
    console: &Console,
    view: &T,
    lines: fn(&Console, &T) -> Vec<String>,
) -> Result<(), Failure> {
    match console.json {
        true => console.document(view),
        false => console.lines(&lines(console, view)),
    }
}

fn plain(what: &str) -> String {
    text::harmless(what, false).into_owned()
}

fn files(title: &str, files: &[ChangedView]) -> Vec<String> {
    let line = |file: &ChangedView| {
        let from = file.from.iter().map(|from| format!(" from {from}")).collect::<String>();
        plain(&format!("  {} {}{from}", file.change, file.path))
    };
    titled(title, files.iter().map(line).collect())
}

fn titled(title: &str, lines: Vec<String>) -> Vec<String> {
    match lines.is_empty() {
        true => lines,
        false => [vec![title.to_owned()], lines].concat(),
    }
}

fn status(_: &Console, view: &GitStatusView) -> Vec<String> {
    let branch = view.branch.as_deref().unwrap_or("no branch");
    let at = view.commit.as_deref().map_or("no commit yet".into(), short);
    let upstream = view
        .upstream
        .iter()
        .map(|upstream| format!(", {} ahead of and {} behind {upstream}", view.ahead, view.behind));
    let mut lines = vec![plain(&format!("{branch} at {at}{}", upstream.collect::<String>()))];
    lines.extend(view.unfinished.iter().map(|what| format!("a {what} is not finished")));
    let names = |names: &[String]| names.iter().map(|name| plain(&format!("  {name}"))).collect();
    lines.extend(titled("conflicts", names(&view.conflicts)));
    lines.extend(files("staged", &view.staged));
    lines.extend(files("changed", &view.changed));
    lines.extend(titled("untracked", names(&view.untracked)));
    if view.cut {
        lines.push("and more".into());
    }
    if view.clean && view.untracked.is_empty() {
        lines.push("nothing differs".into());
    }
    lines
}

fn diff(console: &Console, view: &GitDiffView) -> Vec<String> {
    let paint = console.paint();
    let line = |line: &str| {
        let tone = match line.chars().next() {
            Some('+') => Tone::Good,
            Some('-') => Tone::Bad,
            Some('@') => Tone::Faint,
            _ => Tone::Plain,
        };
        paint.tone(tone, &plain(line))
    };
    let mut lines: Vec<String> = view.text.lines().map(line).collect();
    if view.cut {
        lines.push("(the rest is left out)".into());
    }
    lines
}

fn log(console: &Console, view: &GitLogView) -> Vec<String> {
    let mut table = Table::new(&[
        ("COMMIT", Align::Left),
        ("WHEN (UTC)", Align::Left),
        ("FROM", Align::Left),
        ("SUBJECT", Align::Left),
    ]);
    for entry in &view.items {
        let from = match (&entry.run, &entry.task) {
            (Some(run), Some(task)) => format!("{run}.{task}"),
            _ => entry.author.clone(),
        };
        table.row(vec![
            short(&entry.commit).into(),
            listing::minute(&entry.at).into(),
            from.into(),
            entry.subject.as_str().into(),
        ]);
    }
    table.lines(console.paint(), console.columns())
}

fn branches(console: &Console, view: &GitBranchesView) -> Vec<String> {
    if let (Some(created), Some(branch)) = (&view.created, view.items.first()) {
        return vec![plain(&format!("made {created} at {}", short(&branch.commit)))];
    }
    let mut table =
        Table::new(&[("", Align::Left), ("BRANCH", Align::Left), ("COMMIT", Align::Left)]);
    for branch in &view.items {
        table.row(vec![
            Cell::toned(Tone::Good, if branch.current { "*" } else { "" }),
            branch.name.as_str().into(),
            short(&branch.commit).into(),
        ]);
    }
    table.lines(console.paint(), console.columns())
}

fn committed(_: &Console, view: &GitCommitView) -> Vec<String> {
    let on = view.branch.iter().map(|branch| format!(" on {branch}")).collect::<String>();
    let mut lines = vec![plain(&format!("{}{on}", short(&view.commit)))];
    lines.extend(view.message.trim_end().lines().map(|line| plain(&format!("  {line}"))));
    lines.extend(files("files", &view.files));
    lines
}

fn push(_: &Console, view: &GitPushView) -> Vec<String> {
    let how = if view.was_there { "was there already" } else { "pushed" };
    let (branch, remote) = (&view.branch, &view.remote);
    vec![plain(&format!("{branch} to {remote}: {how}, at {}", short(&view.commit)))]
}

fn pull(_: &Console, view: &GitPullView) -> Vec<String> {
    let how = match view.before == view.after {
        true => format!("nothing new, at {}", short(&view.after)),
        false => format!("from {} to {}", short(&view.before), short(&view.after)),
    };
    vec![plain(&format!("{} from {}: {how}", view.branch, view.remote))]
}
