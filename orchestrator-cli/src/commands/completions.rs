//! `orchestrator completions`

use crate::{arguments, context::Context, exit::Exit, problem::Failure};
use clap::Args;
use clap_complete::Shell;

/// Print what a shell needs to complete commands and options
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator completions bash > ~/.local/share/bash-completion/completions/orchestrator
  orchestrator completions zsh > \"${fpath[1]}/_orchestrator\"
  orchestrator completions fish > ~/.config/fish/completions/orchestrator.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut arguments::definition(),
            "orchestrator",
            &mut script,
        );
        context.console.bytes(&script)?;
        Ok(Exit::Done)
    }
}
