//! `orchestrator execute`

use super::{confirm, plan};
use crate::{
    context::Context,
    detach::{self, Detach},
    exit::Exit,
    interrupt::Interrupts,
    output::{Console, forecast},
    problem::Failure,
    progress, runtime,
};
use clap::{Args, ValueEnum};
use orchestrator_core::{money::MicroUsd, workflow};
use orchestrator_service::{Concern, ExecuteRequest, OrchestratorService, Quote, Tape, What};
use std::path::PathBuf;

/// Run work: a template, a workflow of your own, or just a prompt
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator execute --task-type audit
  orchestrator execute --task-type audit --dry-run
  orchestrator execute \"add a --json flag to ls\" --agent dev=dev-cheap --budget 0.50
  orchestrator execute --workflow release.yaml --input version=1.4.0 --json
  orchestrator execute --workflow nightly.yaml --detach
  orchestrator execute --workflow nightly.yaml --record nightly.cassette
  orchestrator execute --workflow nightly.yaml --replay nightly.cassette --json")]
pub(crate) struct Execute {
    /// What is to be done: the input called `prompt`
    #[arg(value_name = "PROMPT")]
    prompt: Option<String>,

    /// The template to use, as in `list-templates`
    #[arg(long, value_name = "T", conflicts_with = "workflow")]
    task_type: Option<String>,

    /// A workflow: a file, or the name of one of the project's
    #[arg(long, value_name = "FILE_OR_NAME")]
    workflow: Option<String>,

    /// An input of the workflow; may be given several times
    #[arg(long = "input", value_name = "K=V", value_parser = pair)]
    inputs: Vec<(String, String)>,

    /// How the tasks relate, in place of what the workflow says
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,

    /// Who takes a role, or the place of another agent; may be given several times
    #[arg(long = "agent", value_name = "ROLE=NAME", value_parser = pair)]
    agents: Vec<(String, String)>,

    /// The most that the run may cost, with the runs that it starts
    #[arg(long, value_name = "USD", allow_negative_numbers = true)]
    budget: Option<MicroUsd>,

    /// The most attempts at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_parallel: Option<u32>,

    /// Write every exchange with models into this file, which must not exist
    #[arg(long, value_name = "CASSETTE", conflicts_with = "replay")]
    record: Option<PathBuf>,

    /// Call no model: answer from what was recorded into this file; no key is needed, nothing is spent
    #[arg(long, value_name = "CASSETTE")]
    replay: Option<PathBuf>,

    /// Let worktrees begin with what is not committed: changed, staged and new files. They stay as they
    /// are
    #[arg(long)]
    include_uncommitted: bool,

    #[command(flatten)]
    sandbox: Confining,

    /// Show the plan and an estimate; start and spend nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before spending much (`confirm.usd`, `confirm.tasks`)
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    detach: Detach,
}

/// How programs are confined, for this call alone.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Confining {
    /// How programs of tasks with a workspace and checks are confined, in place of `sandbox.mode`;
    /// `off`: not at all
    #[arg(
        long,
        value_name = "MODE",
        value_parser = ["auto", "landlock", "bubblewrap", "docker", "podman", "dagger", "off"]
    )]
    sandbox: Option<String>,
}

impl Confining {
    /// The same as a setting.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let mode = self.sandbox.iter();
        mode.map(|mode| ("sandbox.mode".to_owned(), mode.clone())).collect()
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// Each task also needs the one before it in the file
    Sequential,
    /// A task starts as soon as all that it needs has ended
    Parallel,
    /// The first task manages: every other also needs it
    Hierarchical,
}

impl From<Mode> for workflow::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Sequential => Self::Sequential,
            Mode::Parallel => Self::Parallel,
            Mode::Hierarchical => Self::Hierarchical,
        }
    }
}

/// Reads `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write a name, `=` and a value, such as `depth=3`".into()),
    }
}

impl Execute {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.driving_service_with(self.sandbox.settings())?;
        // A replay spends nothing that could be asked about.
        let yes = self.yes || self.replay.is_some();
        let (dry_run, detach) = (self.dry_run, self.detach.clone());
        let request = self.request();
        if dry_run {
            let plan = runtime::ask(async { Ok(service.plan(&request).await?) })?;
            if console.json {
                console.document(&plan)?;
            } else {
                plan::print(console, &plan)?;
            }
            return Ok(Exit::Done);
        }
        if detach.detach {
            // All that can be refused is refused here, where somebody sees it.
            let quote = runtime::ask(async { Ok(service.quote(&request).await?) })?;
            if !agreed(console, &service, &quote, yes)? {
                return Ok(Exit::Cancelled);
            }
            return detach::start(console, &service);
        }
        detach.begin();
        runtime::drive(async {
            let quote = service.quote(&request).await?;
            if !agreed(console, &service, &quote, yes)? {
                return Ok(Exit::Cancelled);
            }
            let interrupts = Interrupts::listen()?;
            let execution = service.start(quote).await?;
            detach.announce(execution.run().as_str())?;
            let patience = detach.patience(console);
            progress::drive(console, &service, interrupts, execution, None, patience).await
        })
    }

    fn request(self) -> ExecuteRequest {
        ExecuteRequest {
            what: match (self.task_type, self.workflow) {
                (Some(template), _) => What::Template(template),
                (None, Some(workflow)) => What::Workflow(workflow),
                (None, None) => What::Prompt,
            },
            prompt: self.prompt,
            inputs: self.inputs,
            mode: self.mode.map(Into::into),
            agents: self.agents,
            budget: self.budget,
            max_parallel: self.max_parallel,
            tape: self.record.map(Tape::Record).or(self.replay.map(Tape::Replay)),
            include_uncommitted: self.include_uncommitted,
        }
    }
}

/// Says what a run is expected to cost and what is wrong with that. Whether it may start: without
/// anything to ask about, without anybody to be asked, or when the person at the terminal agrees.
fn agreed(
    console: &Console,
    service: &OrchestratorService,
    quote: &Quote,
    yes: bool,
) -> Result<bool, Failure> {
    let Some(plan) = quote.plan() else { return Ok(true) };
    if console.json {
        return Ok(true);
    }
    if let Some(expected) = &plan.forecast {
        console.say(&forecast::line(expected));
    }
    let concerns = service.concerns(plan)?;
    for concern in &concerns {
        console.say(&format!("`{}`: {concern}", plan.workflow));
    }
    if yes || !concerns.iter().any(Concern::asks) || !confirm::can_ask(console) {
        return Ok(true);
    }
    let agreed = confirm::ask("Go on?");
    if !agreed {
        console.say("nothing was started or spent");
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_pairs() {
        for (text, expected) in [
            ("a=b", Some(("a", "b"))),
            ("a=b=c", Some(("a", "b=c"))),
            ("a=", Some(("a", ""))),
            ("=b", None),
            ("a", None),
        ] {
            let expected = expected.map(|(k, v): (&str, &str)| (k.to_owned(), v.to_owned()));
            assert_eq!(pair(text).ok(), expected, "{text}");
        }
    }
}
