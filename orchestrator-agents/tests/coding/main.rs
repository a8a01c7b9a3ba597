//! What coding CLIs print, as it was recorded, and what the adapters make of it.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod acp;
mod any;
mod asked;
mod claude;
mod codex;
mod copilot;
mod gemini;
mod real;
mod told;
