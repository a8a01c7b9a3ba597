//! HTTP as the providers need it: one pool of connections, bounded waits, bytes as they arrive.

mod client;
mod exchange;
mod pass;

pub use client::Client;
pub(crate) use client::is_loopback;
pub(crate) use exchange::{Body, Incoming, look, send};
pub(crate) use pass::{Outgoing, PassError, pass};
