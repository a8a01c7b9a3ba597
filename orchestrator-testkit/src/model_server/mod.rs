//! A scripted model server on loopback: Anthropic Messages, OpenAI Chat Completions and Responses,
//! and Gemini.
//!
//! It answers what the test has scripted, streaming or not as the request asks, records every
//! request, and can misbehave in the ways that real servers do: refuse, break off in the middle,
//! fall silent, damage an event, send events that nobody knows, or deliver one byte at a time.
//! It runs on threads of its own, so that it serves async tests, blocking tests and child
//! processes alike, and it stops when it is dropped.
//!
//! ```
//! use orchestrator_core::usage::{TokenCount, Usage};
//! use orchestrator_testkit::model_server::{ModelServer, Reply};
//!
//! let server = ModelServer::start()?;
//! // Whenever the last user message holds "review":
//! server.when("review", Reply::text("Looks good to me."));
//! // Else, once each and in this order:
//! server.next(Reply::error(529, "overloaded_error", "Overloaded"));
//! let usage = Usage { input: TokenCount(1_200), output: TokenCount(34), ..Usage::default() };
//! server.next(Reply::text("Done.").usage(usage));
//! // Point a provider's base URL here; every protocol is served.
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! assert!(server.requests().is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A request that matches no rule, with nothing left in the queue and no
//! [`otherwise`](ModelServer::otherwise), is answered with status 400 and says so.

mod chat;
mod gemini;
mod http;
mod messages;
mod reply;
mod request;
mod responses;
mod script;
mod server;

pub use reply::{Ending, Reply};
pub use request::{Api, ModelRequest};
pub use server::ModelServer;
