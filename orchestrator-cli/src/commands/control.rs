//! What came of wishes about runs and tasks, and who wishes.

use crate::{
    context::Context, detach::Detach, exit::Exit, interrupt::Interrupts, output::Console,
    problem::Failure, progress, runtime,
};
use clap::Args;
use orchestrator_core::money::MicroUsd;
use orchestrator_service::{Answer, OrchestratorService, Resumed, views::ControlView};

/// Who says something, and whether the run is to go on at once.
#[derive(Debug, Clone, Args)]
pub(super) struct Saying {
    /// In whose name; kept in the run's log. Without it, the user of this machine
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,

    /// Take the run up at once when no process drives it, and see it through
    #[arg(long)]
    resume: bool,
}

impl Saying {
    /// Says `answer` to what `task` asks.
    pub(super) fn say(
        self,
        context: &Context,
        task: &str,
        answer: Answer,
    ) -> Result<Exit, Failure> {
        let console = &context.console;
        let by = self.by.unwrap_or_else(user);
        if !self.resume {
            let service = context.service()?;
            let done = runtime::ask(async { Ok(service.reply(task, answer, &by).await?) })?;
            tell(console, &done)?;
            return Ok(Exit::Done);
        }
        let service = context.driving_service()?;
        runtime::drive(async {
            let done = service.reply(task, answer, &by).await?;
            if console.json {
                // Events follow: a document a line.
                console.document_line(&done)?;
            } else {
                console.lines(&lines(console, &done))?;
            }
            match &done.resume {
                Some(run) => go_on(console, &service, run, None, &Detach::default()).await,
                None => Ok(Exit::Done),
            }
        })
    }
}

/// Takes `run` up and sees it through, or tells the process that drives it to go on.
pub(super) async fn go_on(
    console: &Console,
    service: &OrchestratorService,
    run: &str,
    budget: Option<MicroUsd>,
    detach: &Detach,
) -> Result<Exit, Failure> {
    let interrupts = Interrupts::listen()?;
    match service.go_on(run, budget).await? {
        Resumed::Told(done) => {
            tell(console, &done)?;
            Ok(Exit::Done)
        }
        Resumed::Driving(execution) => {
            detach.announce(execution.run().as_str())?;
            let before = service.run(execution.run().as_str()).await?;
            let patience = detach.patience(console);
            progress::drive(console, service, interrupts, *execution, Some(&before), patience).await
        }
    }
}

/// Prints what came of a wish, and how to go on.
pub(super) fn tell(console: &Console, done: &ControlView) -> Result<(), Failure> {
    if console.json {
        return console.document(done);
    }
    console.lines(&lines(console, done))?;
    if let Some(run) = &done.resume {
        console.hint(&format!("go on with: orchestrator resume {run}"));
    }
    Ok(())
}

fn lines(console: &Console, done: &ControlView) -> Vec<String> {
    let did = match done.action {
        "pause" => "paused",
        "resume" => "resumed",
        "kill" => "stopped",
        "approve" => "approved",
        "reject" => "rejected",
        _ => "answered",
    };
    let line = |item: &orchestrator_service::views::Controlled| {
        let what = match &item.task {
            Some(task) => format!("{}.{task}", item.run),
            None => item.run.clone(),
        };
        let paint = console.paint();
        let late = if item.taken { "" } else { "; the process that drives it will see it" };
        format!("{what} {did}  (run {}){late}", paint.status(&item.status))
    };
    done.items.iter().map(line).collect()
}

/// The user of this machine.
fn user() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|name| !name.trim().is_empty());
    named("USER").or_else(|| named("LOGNAME")).unwrap_or_else(|| "unknown".into())
}
