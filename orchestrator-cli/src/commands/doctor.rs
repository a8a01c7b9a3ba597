//! `orchestrator doctor`

use crate::{context::Context, exit::Exit, output::paint::Tone, problem::Failure, runtime};
use clap::Args;
use orchestrator_service::{Inquiry, views::CheckState};

/// Check what work here depends on; each failure comes with the command that mends it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator doctor
  orchestrator doctor --online
  orchestrator doctor --json | jq '.items[] | select(.state == \"failed\")'")]
pub(crate) struct Doctor {
    /// Also ask each provider whether it takes its key: one request that costs nothing; without
    /// this, nothing leaves the machine
    #[arg(long)]
    online: bool,
}

impl Doctor {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let inquiry = if self.online { Inquiry::Online } else { Inquiry::Local };
        let found = runtime::ask(async { Ok(service.doctor(inquiry).await) })?;
        let exit = if found.ok { Exit::Done } else { Exit::Failed };
        if console.json {
            console.document(&found)?;
            return Ok(exit);
        }
        let paint = console.paint();
        let width = found.items.iter().map(|check| check.name.len()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for check in &found.items {
            let (glyph, tone) = match check.state {
                CheckState::Ok => (paint.glyph("✔", "ok  "), Tone::Good),
                CheckState::Note => (paint.glyph("•", "note"), Tone::Warn),
                CheckState::Failed => (paint.glyph("✘", "FAIL"), Tone::Bad),
            };
            let code = check.code.map(|code| format!(" [{code}]")).unwrap_or_default();
            let glyph = paint.tone(tone, glyph);
            lines.push(format!("{glyph} {:width$}  {}{code}", check.name, check.found));
            if let Some(mend) = &check.mend {
                let arrow = paint.glyph("→", "->");
                lines.push(format!(
                    "  {:width$}  {}",
                    "",
                    paint.tone(Tone::Strong, &format!("{arrow} {mend}"))
                ));
            }
        }
        console.lines(&lines)?;
        Ok(exit)
    }
}
