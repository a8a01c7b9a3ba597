//! What came of wishes about runs and tasks, and who wishes.

use crate::{
    context::Context, detach::Detach, exit::Exit, interrupt::Interrupts, output::Console,
    problem::Failure, progress, runtime,
};
use clap::Args;
use orchestrator_core::money::MicroUsd;
use orchestrator_service::{
    Answer, OrchestratorService, Resumed, Saying as Said, Which, views::ControlView,
};

/// Who says something, and whether the run is to go on at once.
#[derive(Debug, Clone, Args)]
pub(super) struct Saying {
    /// In whose name; kept in the run's log. Without it, the user of this machine
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,

    /// Take the run up at once when no process drives it, and see it through
    #[arg(long)]
    resume: bool,

    /// Which of several things that the task asks, by its number
    #[arg(long, value_name = "NUMBER")]
    question: Option<u32>,

    /// Everything that the task asks
    #[arg(long, conflicts_with = "question")]
    all: bool,
}

impl Saying {
    /// Says `answer` to what `task` asks; `for_good`: for the rest of the run.
    pub(super) fn say(
        self,
        context: &Context,
        task: &str,
        answer: Answer,
        for_good: bool,
    ) -> Result<Exit, Failure> {
        let console = &context.console;
        let which = match self.question {
            Some(number) => Which::Question(number),
            None if self.all => Which::All,
            None => Which::Only,
        };
        let by = self.by.unwrap_or_else(user);
        let saying = Said { answer, for_good, by };
        if !self.resume {
            let service = context.service()?;
            let done = runtime::ask(async { Ok(service.reply_to(task, which, saying).await?) })?;
            tell(console, &done)?;
            return Ok(Exit::Done);
        }
        let service = context.driving_service()?;
        runtime::drive(async {
            let done = service.reply_to(task, which, saying).await?;
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
        "send" => "told",
        "interrupt" => "interrupted",
        _ => "answered",
    };
    let line = |item: &orchestrator_service::views::Controlled| {
        let what = match &item.task {
            Some(task) => match item.question {
                Some(question) => format!("question {question} of {}.{task}", item.run),
                None => format!("{}.{task}", item.run),
            },
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
