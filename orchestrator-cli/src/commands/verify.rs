//! `orchestrator verify`

use crate::{
    context::Context,
    exit::Exit,
    output::{Console, paint::Tone, text},
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::views::VerifyView;
use std::path::PathBuf;

/// Whether a receipt is what was signed, and whether what it names is what is here; needs no network
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator export latest --format receipt --output receipt.json
  orchestrator verify receipt.json
  orchestrator verify receipt.json --key ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
  orchestrator verify --show-key > my.key

Exit codes: 0 it is good, 1 something is wrong with it, 2 it cannot be read.")]
pub(crate) struct Verify {
    /// A file that `orchestrator export RUN --format receipt` wrote
    #[arg(value_name = "RECEIPT", required_unless_present = "show_key")]
    receipt: Option<PathBuf>,

    /// The public key that must have signed it: `ed25519:` and 64 hexadecimal digits, or a file that
    /// holds that
    #[arg(long, value_name = "FILE_OR_HEX")]
    key: Option<String>,

    /// Print the public key of your own receipts, for others to verify them with
    #[arg(long, conflicts_with_all = ["receipt", "key"])]
    show_key: bool,
}

impl Verify {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let Some(file) = self.receipt else {
            let view = service.receipt_key()?;
            if console.json {
                console.document(&view)?;
            } else {
                console.data(&view.key)?;
            }
            return Ok(Exit::Done);
        };
        let key = self.key.as_deref();
        let view = runtime::ask(async { Ok(service.verify_receipt(&file, key).await?) })?;
        if console.json {
            console.document(&view)?;
        } else {
            print(console, &view)?;
        }
        Ok(if view.good { Exit::Done } else { Exit::Failed })
    }
}

fn print(console: &Console, view: &VerifyView) -> Result<(), Failure> {
    let paint = console.paint();
    let line = |tone: Tone, mark: &str, what: &str| {
        format!("{}  {}", paint.tone(tone, mark), text::harmless(what, false))
    };
    let mut lines = vec![match view.good {
        true => paint.tone(Tone::Good, &format!("good: the receipt of run {}", view.run)),
        false => paint.tone(Tone::Bad, "not good: nothing in this receipt is to be believed"),
    }];
    let whose = match view.signed_by {
        "trusted" => "the key that you trust",
        "own" => "your own key",
        _ => "a key that is not known here",
    };
    lines.push(format!("signed by {whose}, {}", text::harmless(&view.key, false)));
    let (yes, no) = (paint.glyph("✔", "+"), paint.glyph("✘", "x"));
    lines.extend(view.verified.iter().map(|what| line(Tone::Good, yes, what)));
    lines.extend(view.problems.iter().map(|what| line(Tone::Bad, no, what)));
    lines.extend(
        view.unchecked.iter().map(|what| line(Tone::Warn, "?", &format!("not checked: {what}"))),
    );
    for task in &view.tasks {
        let proved = if task.verified { "verified" } else { "unverified" };
        lines.push(format!("{}  {}, {proved}", text::harmless(&task.task, false), task.status));
    }
    console.lines(&lines)
}
