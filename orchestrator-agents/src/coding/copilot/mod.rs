//! GitHub Copilot CLI, by its headless stream (`--output-format json`).
//!
//! Its stream has no answers to requests: what it may do is said by its flags, and it denies the
//! rest itself. Tokens are not in the stream but in a file that it writes at its end. Where somebody is
//! to be asked while it works, it is spoken to by the Agent Client Protocol (`--acp`) instead.

mod dialogue;
mod launch;
mod tools;

use super::{
    acp::Conversation,
    adapter::{Adapter, Capabilities, Dialogue, Exit, Launch, Offer, Order},
    told::version,
};
use orchestrator_core::error::{ErrorClass, Failure};

/// What people call it.
const NAME: &str = "Copilot CLI";

/// The adapter of Copilot CLI.
#[derive(Debug, Clone, Copy, Default)]
pub struct Copilot;

impl Adapter for Copilot {
    fn provider(&self) -> &'static str {
        "copilot"
    }

    fn program(&self) -> Option<&'static str> {
        Some("copilot")
    }

    fn proved_with(&self) -> Option<&'static str> {
        Some("1.0.102")
    }

    /// Earlier ones have no `--output-format json` or no `--usage-output-file`.
    fn oldest(&self) -> Option<&'static str> {
        Some("1.0.100")
    }

    fn read_version(&self, printed: &str) -> Option<String> {
        version(printed).map(|version| version.trim_end_matches('.').to_owned())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            headless: Offer::Yes,
            streaming: Offer::Yes,
            resume: Offer::Yes,
            fork: Offer::No("it has no such command"),
            live_approval: Offer::Yes,
            steering: Offer::Yes,
            interrupt: Offer::Yes,
            usage: Offer::Yes,
            cost: Offer::No("it counts premium requests, not money"),
            schema: Offer::No("it has no such option; the schema is told in the prompt"),
            own_sandbox: Offer::No("only for commands, and experimental"),
            mcp: Offer::Yes,
            acp: Offer::Yes,
            metered: Offer::Yes,
        }
    }

    /// Where it keeps its token when the machine has no keychain.
    fn login(&self) -> &'static [&'static str] {
        &[".copilot/config.json"]
    }

    fn launch(&self, order: &Order) -> Result<Launch, Failure> {
        launch::launch(order)
    }

    /// Where it is asked and told things it is spoken to by the Agent Client Protocol.
    fn dialogue(&self, order: &Order) -> Box<dyn Dialogue> {
        match order.live {
            true => Box::new(Conversation::new(NAME, order)),
            false => Box::new(dialogue::Stream::new(order)),
        }
    }

    fn diagnose(&self, exit: Exit, stderr: &str) -> Option<Failure> {
        let told = |class, message: &str| Some(Failure::new(class, format!("{NAME} {message}")));
        match exit {
            Exit::Code(_) if stderr.contains("No authentication information found") => told(
                ErrorClass::Auth,
                "is not logged in: run `copilot login`, or give its agent a key",
            ),
            Exit::Code(_) if stderr.contains("No session, task, or name matched") => {
                told(ErrorClass::Crashed, "does not know the session any more")
            }
            Exit::Code(_) | Exit::Signal(_) | Exit::Stopped => None,
        }
    }
}
