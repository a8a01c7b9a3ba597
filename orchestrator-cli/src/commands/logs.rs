//! `orchestrator logs`

use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        paint::{Paint, Tone},
        text,
    },
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::{LogQuery, OrchestratorService, views::LogEntry};
use std::time::Duration;

/// How often a followed log is looked at again. Another process may write it, so nobody tells us.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What a run, a task or an agent said and did
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator logs latest
  orchestrator logs r_01.build --follow
  orchestrator logs builtin-security --json")]
pub(crate) struct Logs {
    /// A run, a task (`RUN.TASK`, or a name in the latest run) or an agent
    #[arg(value_name = "RUN|TASK|AGENT")]
    of: String,

    /// Go on until what it shows has ended
    #[arg(short, long)]
    follow: bool,
}

impl Logs {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let service = context.service()?;
        runtime::ask(self.show(&context.console, &service))?;
        Ok(Exit::Done)
    }

    async fn show(self, console: &Console, service: &OrchestratorService) -> Result<(), Failure> {
        let mut query = LogQuery { of: self.of, cursor: None, limit: 0 };
        let mut whole: Option<orchestrator_service::views::LogPage> = None;
        loop {
            let page = service.logs(&query).await?;
            let (empty, ended, next) = (page.items.is_empty(), page.ended, page.next.clone());
            if !console.json {
                let lines: Vec<String> =
                    page.items.iter().map(|entry| line(console, entry)).collect();
                console.lines(&lines)?;
            } else if self.follow {
                // A page a line: what is there can be read while more is waited for.
                if !empty || ended {
                    console.document_line(&page)?;
                }
            } else if let Some(whole) = &mut whole {
                whole.items.extend(page.items);
                (whole.next, whole.ended) = (page.next, page.ended);
            } else {
                whole = Some(page);
            }
            if ended || (empty && !self.follow) || next.is_none() {
                break;
            }
            if empty {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            query.cursor = next;
        }
        whole.map_or(Ok(()), |whole| console.document(&whole))
    }
}

/// `09:30:00.250 build  text`: the time of day in UTC, the task, and what was said.
fn line(console: &Console, entry: &LogEntry) -> String {
    let paint: Paint = console.paint();
    let time = entry.at.get(11..23).unwrap_or(&entry.at);
    let tone = match entry.stream.as_str() {
        "stderr" => Tone::Warn,
        "event" | "note" => Tone::Faint,
        _ => Tone::Plain,
    };
    // What programs and models wrote must not steer the terminal; a file gets it as it is.
    let said = if console.out.terminal {
        text::harmless(&entry.text, false)
    } else {
        entry.text.as_str().into()
    };
    let who = entry.task.as_deref().unwrap_or("run");
    format!(
        "{} {}  {}",
        paint.tone(Tone::Faint, time),
        paint.tone(Tone::Live, who),
        paint.tone(tone, &said)
    )
}
