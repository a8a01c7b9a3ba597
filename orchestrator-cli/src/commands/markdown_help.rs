//! `orchestrator markdown-help`: the source of `docs/cli.md`.

use crate::{arguments, context::Context, exit::Exit, problem::Failure, reference};
use clap::Args;

/// Print the reference of the command line as Markdown
#[derive(Debug, Args)]
pub(crate) struct MarkdownHelp {}

impl MarkdownHelp {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.console.data(&reference::markdown(arguments::definition()))?;
        Ok(Exit::Done)
    }
}
