//! Any agent that speaks the Agent Client Protocol, version 1, over its standard input and output.
//!
//! The words are those of the protocol's own crate; the transport is the one of all coding CLIs. What
//! the program asks about comes as [`Event::Permission`](super::Event::Permission): here every program
//! can be answered, told something between its turns, and interrupted.
//!
//! The client offers neither files nor terminals: the program works in the workspace itself, within
//! the sandbox.

mod content;
mod dialogue;
mod habits;
mod rpc;
mod usage;

pub(super) use dialogue::Conversation;

use super::adapter::{Adapter, Capabilities, Dialogue, Exit, Input, Launch, Offer, Order};
use orchestrator_core::error::Failure;
use orchestrator_gateway::front::client_variables;

/// The adapter of programs that the settings name, such as `["opencode", "acp"]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Acp;

impl Adapter for Acp {
    fn provider(&self) -> &'static str {
        "acp"
    }

    fn program(&self) -> Option<&'static str> {
        None
    }

    fn proved_with(&self) -> Option<&'static str> {
        None
    }

    fn oldest(&self) -> Option<&'static str> {
        None
    }

    fn read_version(&self, printed: &str) -> Option<String> {
        printed.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            headless: Offer::Yes,
            streaming: Offer::Yes,
            resume: Offer::Yes,
            fork: Offer::No("the protocol has it only as a draft"),
            live_approval: Offer::Yes,
            steering: Offer::Yes,
            interrupt: Offer::Yes,
            usage: Offer::Yes,
            cost: Offer::No("few name one, and each counts it in its own way"),
            schema: Offer::No("the protocol has none; the schema is told in the prompt"),
            own_sandbox: Offer::No("it is the program's own matter"),
            mcp: Offer::Yes,
            acp: Offer::Yes,
            metered: Offer::Yes,
        }
    }

    /// The usual variables of model clients point to the gateway. A program that does not read them
    /// must be told by its arguments or its own settings; it has no key to go anywhere else.
    fn launch(&self, order: &Order) -> Result<Launch, Failure> {
        let variables = order
            .endpoint
            .iter()
            .flat_map(|endpoint| client_variables(&endpoint.url, endpoint.token.expose()));
        Ok(Launch {
            arguments: order.arguments.clone(),
            variables: variables.map(|(name, value)| (name.to_owned(), value)).collect(),
            input: Input::Dialogue,
            ..Launch::default()
        })
    }

    fn dialogue(&self, order: &Order) -> Box<dyn Dialogue> {
        Box::new(Conversation::new("the agent", order))
    }

    fn diagnose(&self, _: Exit, _: &str) -> Option<Failure> {
        None
    }
}
