//! Claude Code, by its stream of JSON lines and its control protocol.
//!
//! A process that is not to be asked is told its prompt at its standard input, which is closed then.
//! One that asks and can be told things speaks the control protocol: its standard input stays open
//! until the last thing that it was told has its result.

mod dialogue;
mod failure;
mod launch;
mod live;
mod result;
mod tool;

use super::{Adapter, Capabilities, Dialogue, Exit, Launch, Offer, Order, told};
use orchestrator_core::error::Failure;

/// What it is called in failures.
const NAME: &str = "Claude Code";

/// Claude Code: `claude -p`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClaudeCode;

impl Adapter for ClaudeCode {
    fn provider(&self) -> &'static str {
        "claude-code"
    }

    fn program(&self) -> Option<&'static str> {
        Some("claude")
    }

    fn proved_with(&self) -> Option<&'static str> {
        Some("2.1.329")
    }

    fn oldest(&self) -> Option<&'static str> {
        Some("2.1.329")
    }

    fn read_version(&self, printed: &str) -> Option<String> {
        told::version(printed)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            headless: Offer::Yes,
            streaming: Offer::Yes,
            resume: Offer::Yes,
            fork: Offer::Yes,
            live_approval: Offer::Yes,
            steering: Offer::Yes,
            interrupt: Offer::Yes,
            usage: Offer::Yes,
            cost: Offer::Yes,
            schema: Offer::Yes,
            own_sandbox: Offer::No(
                "its own sandbox holds the commands of its shell tool only, and is left off",
            ),
            mcp: Offer::Yes,
            acp: Offer::No("not by itself; the program claude-agent-acp speaks it for it"),
            metered: Offer::Yes,
        }
    }

    /// `claude auth status` would say more, and looks for its servers where there is a login.
    fn login(&self) -> &'static [&'static str] {
        &[".claude/.credentials.json"]
    }

    fn launch(&self, order: &Order) -> Result<Launch, Failure> {
        launch::launch(order)
    }

    fn dialogue(&self, order: &Order) -> Box<dyn Dialogue> {
        Box::new(dialogue::Claude::new(order))
    }

    fn diagnose(&self, exit: Exit, stderr: &str) -> Option<Failure> {
        failure::diagnose(exit, stderr)
    }
}
