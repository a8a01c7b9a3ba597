//! `orchestrator init`

use crate::{context::Context, exit::Exit, problem::Failure};
use clap::Args;
use orchestrator_service::InitOptions;

/// Set a project up: find keys and programs, write a commented configuration
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator init
  orchestrator init --path ../other --force")]
pub(crate) struct Init {
    /// Replace a configuration that is there
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let done = context.service()?.init(&InitOptions { force: self.force })?;
        if console.json {
            console.document(&done)?;
            return Ok(Exit::Done);
        }
        console
            .lines(&done.written.iter().map(|file| format!("wrote {file}")).collect::<Vec<_>>())?;
        for found in &done.found {
            console.say(&format!("found {found}"));
        }
        for next in &done.next {
            console.hint(&format!("next: {next}"));
        }
        Ok(Exit::Done)
    }
}
