//! `orchestrator import`

use crate::{
    context::Context,
    exit::Exit,
    output::{Console, text},
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::{ImportOptions, views::ImportView};
use std::path::PathBuf;

/// Bring in a run that was exported, or a workflow file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator import run.json
  orchestrator import run.json --new-id
  orchestrator import ../other/release.yaml")]
pub(crate) struct Import {
    /// What `export` wrote, or a workflow as YAML or JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Give runs ids of their own here, so that a run can be imported beside itself
    #[arg(long)]
    new_id: bool,

    /// Replace a workflow of the project that has the same name
    #[arg(short, long)]
    yes: bool,
}

impl Import {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let options = ImportOptions { new_id: self.new_id, replace: self.yes };
        let view = runtime::ask(async { Ok(service.import(&self.file, options).await?) })?;
        if console.json {
            console.document(&view)?;
        } else {
            print(console, &view)?;
        }
        Ok(Exit::Done)
    }
}

fn print(console: &Console, view: &ImportView) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for run in &view.items {
        let status = console.paint().status(&run.status);
        let tasks = text::counted(run.tasks, "task");
        let events = text::counted(run.events, "event");
        lines.push(format!("{} {} {status} ({tasks}, {events})", run.run, run.workflow));
    }
    if let Some(file) = &view.file {
        let done = if view.replaced { "replaced" } else { "wrote" };
        lines.push(format!("{} ({done} {file})", view.name));
    }
    console.lines(&lines)?;
    match view.items.first() {
        Some(run) if run.status == "interrupted" => {
            console.hint(&format!("go on with: orchestrator resume {}", run.run));
        }
        Some(run) => {
            console.hint(&format!("look at it with: orchestrator run-details {}", run.run))
        }
        None => {
            console.hint(&format!("run it with: orchestrator execute --workflow {}", view.name))
        }
    }
    Ok(())
}
