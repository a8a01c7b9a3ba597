//! Gemini CLI, by its headless stream (`--output-format stream-json`).
//!
//! Its stream has no answers to requests: what it may do is said before it starts, in a policy of
//! its own, and what the policy leaves out is not offered to the model. Where somebody is to be asked
//! while it works, it is spoken to by the Agent Client Protocol (`--acp`) instead.

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
const NAME: &str = "Gemini CLI";

/// The adapter of Gemini CLI.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gemini;

impl Adapter for Gemini {
    fn provider(&self) -> &'static str {
        "gemini-cli"
    }

    fn program(&self) -> Option<&'static str> {
        Some("gemini")
    }

    fn proved_with(&self) -> Option<&'static str> {
        Some("0.61.0")
    }

    /// Earlier ones have no `--policy` or no `--session-id`.
    fn oldest(&self) -> Option<&'static str> {
        Some("0.61.0")
    }

    fn read_version(&self, printed: &str) -> Option<String> {
        version(printed)
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
            cost: Offer::No("its stream names none"),
            schema: Offer::No("it has no such option; the schema is told in the prompt"),
            own_sandbox: Offer::No("it needs a container engine"),
            mcp: Offer::Yes,
            acp: Offer::Yes,
            metered: Offer::Yes,
        }
    }

    /// The login with Google. That of a key is a variable.
    fn login(&self) -> &'static [&'static str] {
        &[".gemini/oauth_creds.json", ".gemini/google_accounts.json"]
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
            Exit::Code(41) => told(
                ErrorClass::Auth,
                "has no way to authenticate: give its agent a key, or let it use your login",
            ),
            Exit::Code(42) if stderr.contains("session") => {
                told(ErrorClass::Crashed, "does not know the session any more")
            }
            Exit::Code(42) => told(ErrorClass::InvalidRequest, "refused what it was asked"),
            Exit::Code(53) => told(ErrorClass::NoProgress, "has reached its limit of turns"),
            Exit::Code(55) => told(ErrorClass::Unsafe, "does not trust the directory"),
            Exit::Code(code) => {
                let status = status_of(code)?;
                Some(super::told::by_status(NAME, status, stderr.lines().next().unwrap_or("")))
            }
            Exit::Signal(_) | Exit::Stopped => None,
        }
    }
}

/// The HTTP status behind an exit code, which holds its lowest eight bits.
fn status_of(code: i32) -> Option<u16> {
    const STATUSES: [u16; 9] = [400, 401, 403, 404, 429, 500, 502, 503, 504];
    STATUSES.into_iter().find(|status| i32::from(status & 255) == code)
}
