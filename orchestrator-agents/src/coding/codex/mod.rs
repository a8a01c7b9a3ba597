//! Codex, by the events of `codex exec` and by its app-server.
//!
//! A process that is not to be asked is `codex exec --json`: it is told its prompt at its standard
//! input, which is closed then. One that asks and can be told things is `codex app-server`: requests
//! and notifications in JSON, until its standard input is closed.

mod config;
mod exec;
mod failure;
mod item;
mod launch;
mod server;
mod shell;

use super::{Adapter, Capabilities, Dialogue, Exit, Launch, Offer, Order, Told, told};
use orchestrator_core::error::Failure;

/// What it is called in failures.
const NAME: &str = "Codex";

/// Codex: `codex exec` and `codex app-server`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Codex;

impl Adapter for Codex {
    fn provider(&self) -> &'static str {
        "codex"
    }

    fn program(&self) -> Option<&'static str> {
        Some("codex")
    }

    fn proved_with(&self) -> Option<&'static str> {
        Some("0.169.0")
    }

    fn oldest(&self) -> Option<&'static str> {
        Some("0.169.0")
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
            cost: Offer::No("it tells tokens, and no prices"),
            schema: Offer::Yes,
            own_sandbox: Offer::Yes,
            mcp: Offer::Yes,
            acp: Offer::No("not by itself; the program codex-acp speaks it for it"),
            metered: Offer::Yes,
        }
    }

    fn login(&self) -> &'static [&'static str] {
        &[".codex/auth.json"]
    }

    fn login_arguments(&self) -> Option<&'static [&'static str]> {
        Some(&["login", "status"])
    }

    /// It says so at its standard error.
    fn read_login(&self, told: &Told) -> Option<bool> {
        match told.stderr.contains("Not logged in") {
            true => Some(false),
            false => told.is_well.then_some(true),
        }
    }

    fn launch(&self, order: &Order) -> Result<Launch, Failure> {
        launch::launch(order)
    }

    fn dialogue(&self, order: &Order) -> Box<dyn Dialogue> {
        match order.live {
            true => Box::new(server::Server::new(order)),
            false => Box::new(exec::Exec::new(order)),
        }
    }

    fn diagnose(&self, exit: Exit, stderr: &str) -> Option<Failure> {
        failure::diagnose(exit, stderr)
    }
}
