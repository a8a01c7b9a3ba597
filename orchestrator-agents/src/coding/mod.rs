//! Coding CLIs as agents: one contract for all of them, tested against the real programs.
//!
//! An [`Adapter`] knows one program: how it is started ([`Adapter::launch`]), and what it says
//! ([`Adapter::dialogue`]). It starts nothing and waits for nothing: what a program prints goes in
//! as lines, and what follows comes out as [`Step`]s. All that is the same for every program is in
//! one place, outside the adapters: its process and all that came of it, its limits, its home, its
//! turns in the journal, its usage, and whether it has done what it says.

pub mod acp;
pub mod adapter;
mod base;
pub mod claude;
pub mod codex;
pub mod copilot;
pub mod event;
pub mod gemini;
mod told;

pub use acp::Acp;
pub use adapter::{
    Adapter, Capabilities, Dialogue, Endpoint, Exit, Format, Input, Launch, Offer, Order, Reach,
    Start, Step, Verdict,
};
pub use base::{CodingAgent, Limits, Meter, Metered, Told, Untold, ask, home_name, is_older};
pub use claude::ClaudeCode;
pub use codex::Codex;
pub use copilot::Copilot;
pub use event::{
    Action, ActionKind, Counted, Decision, Ended, Event, Finish, ModelUsage, Outcome, RequestId,
    Retry, Scope, ToolResult,
};
pub use gemini::Gemini;

use std::sync::Arc;

/// The adapters that there are, in the order of their providers' names. What is not among them is
/// offered by nobody yet.
pub fn adapters() -> Vec<Arc<dyn Adapter>> {
    vec![Arc::new(Acp), Arc::new(ClaudeCode), Arc::new(Codex), Arc::new(Copilot), Arc::new(Gemini)]
}

/// The adapter of `provider`, such as `claude-code`.
pub fn adapter(provider: &str) -> Option<Arc<dyn Adapter>> {
    adapters().into_iter().find(|adapter| adapter.provider() == provider)
}
