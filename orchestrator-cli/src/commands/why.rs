//! `orchestrator why`

use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        paint::Tone,
        text::{cut, harmless},
    },
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::views::{TaskWhy, WhyLink, WhyView};

/// The longest line where nobody says how wide the screen is.
const WIDE: usize = 400;

/// Say why a task waits, or why it ended as it did, with the chain behind it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator why review
  orchestrator why r_01.build:3 --json
  orchestrator why latest")]
pub(crate) struct Why {
    /// `RUN.TASK`, the name of a task in the latest run, or a run: then all that is open in it
    #[arg(value_name = "TASK", default_value = "latest")]
    task: String,
}

impl Why {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let why = runtime::ask(async { Ok(service.why(&self.task).await?) })?;
        if console.json {
            console.document(&why)?;
        } else {
            console.lines(&Screen::of(console).lines(&why))?;
        }
        Ok(Exit::Done)
    }
}

/// What fits on a screen.
struct Screen<'a> {
    console: &'a Console,
    columns: usize,
}

impl<'a> Screen<'a> {
    fn of(console: &'a Console) -> Self {
        Self { console, columns: console.columns().unwrap_or(WIDE) }
    }

    fn lines(&self, why: &WhyView) -> Vec<String> {
        let paint = self.console.paint();
        let mut lines = Vec::new();
        if why.task.is_none() {
            let status = paint.status(&why.status);
            lines.push(format!("run {} ({}): {status}", why.run, why.workflow));
            if why.items.is_empty() {
                lines.push("  nothing of it waits".into());
            }
        }
        for item in &why.items {
            let name = if why.task.is_some() { &item.id } else { &item.name };
            self.task(name, item, &mut lines, why.task.is_some());
        }
        if why.left_out > 0 {
            lines.push(format!("  and {} tasks more", why.left_out));
        }
        if let Some(driver) = &why.driver {
            let expires = why.lease_expires.as_deref().unwrap_or("it ends");
            let driven = format!("driven by {driver}, which holds the run until {expires}");
            lines.push(paint.tone(Tone::Faint, &driven));
        }
        if !why.actions.is_empty() {
            lines.push(String::new());
            lines.push(paint.tone(Tone::Strong, "What you can do"));
            lines.extend(why.actions.iter().map(|action| format!("  {action}")));
        }
        lines
    }

    fn task(&self, name: &str, item: &TaskWhy, lines: &mut Vec<String>, chain: bool) {
        let paint = self.console.paint();
        let status = paint.status(&item.status);
        let text = self.fit(&item.text, name.len() + item.status.len() + 4);
        lines.push(format!("{} {status}: {text}", paint.tone(Tone::Strong, name)));
        let links: Vec<&WhyLink> = match chain {
            true => item.chain.iter().collect(),
            // Of many tasks the root is told alone; that of a skipped one is among them.
            false if item.status == "skipped" => Vec::new(),
            false => item.chain.last().into_iter().collect(),
        };
        let mut run = item.id.rsplit_once('.').map_or("", |(run, _)| run);
        for (place, link) in links.into_iter().enumerate() {
            if chain && item.omitted > 0 && place == (item.chain.len() / 2) {
                lines.push(format!("  {} … {} tasks", self.arrow(), item.omitted));
            }
            if link.run != run {
                run = &link.run;
                lines.push(format!("  {} in run {run}", self.arrow()));
            }
            let text = self.fit(&link.text, link.task.len() + link.status.len() + 8);
            let status = paint.status(&link.status);
            lines.push(format!("  {} {} {status}: {text}", self.arrow(), link.task));
        }
        if let Some(said) = &item.said {
            let said = self.fit(&said.text, 14);
            lines.push(paint.tone(Tone::Faint, &format!("    it said last: {said}")));
        }
    }

    fn arrow(&self) -> &'static str {
        self.console.paint().glyph("↳", "->")
    }

    /// One line of what somebody else may have written, beside `taken` columns.
    fn fit(&self, text: &str, taken: usize) -> String {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = harmless(&text, false);
        let room = self.columns.saturating_sub(taken).max(40);
        cut(&line, room, self.console.paint().unicode).into_owned()
    }
}
