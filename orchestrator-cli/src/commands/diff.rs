//! `orchestrator diff`

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
use orchestrator_service::{DiffQuery, views::FileDiffView};

/// What a task or a run has changed, as a patch
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator diff build
  orchestrator diff latest --stat
  orchestrator diff r_01.build --checkpoint 3
  orchestrator diff build --now
  orchestrator diff latest | git apply --check")]
pub(crate) struct Diff {
    /// `RUN.TASK` or a task of the latest run: what it made; a run: what has landed on its result
    /// branch
    #[arg(value_name = "TASK|RUN")]
    of: String,

    /// Only the files that differ, with how many lines
    #[arg(long)]
    stat: bool,

    /// Of this attempt; without it the last one of the task
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,

    /// Only up to this checkpoint: a turn, or at least seven digits of a commit
    #[arg(long, value_name = "C")]
    checkpoint: Option<String>,

    /// The files as they are now where the attempt works or worked
    #[arg(long, conflicts_with = "checkpoint")]
    now: bool,
}

impl Diff {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let query = DiffQuery {
            of: self.of,
            attempt: self.attempt,
            checkpoint: self.checkpoint,
            now: self.now,
            only_files: self.stat,
        };
        let view = runtime::ask(async { Ok(service.diff(&query).await?) })?;
        if console.json {
            console.document(&view)?;
        } else if self.stat {
            console.lines(&stat(&view.files))?;
        } else if let Some(diff) = &view.diff {
            patch(console, diff)?;
        }
        if view.files.is_empty() {
            console.hint("nothing differs");
        }
        if view.is_cut && !console.json {
            console.insist(&format!(
                "warning: cut, it is too large: `git diff {} {}` shows all",
                view.from, view.to
            ));
        }
        Ok(Exit::Done)
    }
}

/// As it is for programs, and for a person without what could steer a terminal.
fn patch(console: &Console, diff: &str) -> Result<(), Failure> {
    if !console.out.terminal && !console.out.color {
        return console.bytes(diff.as_bytes());
    }
    let paint = console.paint();
    let lines: Vec<String> = diff.lines().map(|line| painted(paint, line)).collect();
    console.lines(&lines)
}

fn painted(paint: Paint, line: &str) -> String {
    let tone = match line.as_bytes().first() {
        _ if line.starts_with("+++ ") || line.starts_with("--- ") => Tone::Strong,
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        Some(b'@') => Tone::Live,
        Some(b' ') | None => Tone::Plain,
        Some(_) => Tone::Strong,
    };
    paint.tone(tone, &text::harmless(line, false))
}

fn stat(files: &[FileDiffView]) -> Vec<String> {
    let mut lines: Vec<String> = files
        .iter()
        .map(|file| {
            let lines = match (file.added, file.removed) {
                (Some(added), Some(removed)) => format!("+{added} -{removed}"),
                _ => "binary".to_owned(),
            };
            let from = file.file.from.iter().map(|from| format!(" (from {from})"));
            let from: String = from.collect();
            let line = format!("{:<12}  {lines:<14}  {}{from}", file.file.change, file.file.path);
            text::harmless(&line, false).into_owned()
        })
        .collect();
    let sum = |lines: fn(&FileDiffView) -> Option<u64>| files.iter().filter_map(lines).sum::<u64>();
    if !files.is_empty() {
        let count = text::counted(files.len() as u64, "file");
        lines.push(format!("{count}, +{} -{}", sum(|file| file.added), sum(|file| file.removed)));
    }
    lines
}
