//! Every model call of the orchestrator: provider clients, streaming, tools, prices, limits.
//!
//! A [`Gateway`] is built from [`ProviderConfig`]s and a [`PriceTable`](prices::PriceTable). Its
//! main verb, [`Gateway::complete`], makes one call, passes the pieces of the answer on as they
//! arrive, and ends with what the call used and cost, exact to the micro-dollar. Whatever goes
//! wrong comes back as a [`Failure`](orchestrator_core::error::Failure) with an error class, the
//! time from which another try makes sense, and what was spent by then.
//!
//! A conversation is the same whichever protocol carries it: [`Message`]s are made of [`Part`]s, and
//! [`Completion::message`] is what to send back, with the provider's own reasoning in it, when the
//! model has called tools and waits for their results. [`Gateway::count_tokens`] lets the provider
//! count a request; [`Request::most_input_tokens`] bounds it without asking anybody.
//!
//! A [`Router`](route::Router) stands before it where several models may answer: it asks the next one
//! when one fails, makes one call of identical requests, and keeps answers that may be used again.
//!
//! A [`Front`](front::Front) lets other programs, such as coding CLIs, call the same accounts over
//! HTTP with a token in place of a key, within a budget. It passes their bytes on as they are, and a
//! [`Meter`](meter::Meter) reads what was used from the answer as it passes.
//!
//! A [`Recorder`](cassette::Recorder) writes every exchange into a [cassette]; a
//! [`Player`](cassette::Player) answers from one, without a key, a connection or a cost.
//!
//! It is not an agent: it knows no task and no schema repair, and it runs no tool. It decides no
//! durable retry and keeps no state beyond the process. It never shows a key: see [`SecretString`].
//!
//! ```no_run
//! use orchestrator_core::{id::ProviderName, ledger::Payer, time::Timestamp};
//! use orchestrator_gateway::{
//!     Client, Delta, Gateway, ProviderConfig, ProviderKind, Request, SecretString,
//!     prices::PriceTable,
//! };
//!
//! # async fn ask(key: String, now: fn() -> Timestamp) -> Result<(), Box<dyn std::error::Error>> {
//! let name = ProviderName::new("anthropic")?;
//! let provider = ProviderConfig::new(name.clone(), ProviderKind::Anthropic)
//!     .with_key(SecretString::new(key));
//! let gateway = Gateway::new([provider], PriceTable::built_in(), Client::new())?;
//!
//! let request = Request::new("claude-sonnet-4-5", "Why is the sky blue?").with_max_tokens(500);
//! let mut letters = 0;
//! let answer = gateway
//!     .complete(&Payer::new(name, "claude-sonnet-4-5"), &request, &now, &mut |delta| {
//!         if let Delta::Text(text) = delta {
//!             letters += text.len();
//!         }
//!     })
//!     .await?;
//! assert_eq!(answer.text.len(), letters);
//! assert!(answer.spend.cost.is_some());
//! # Ok(())
//! # }
//! ```

mod balance;
pub mod budget;
pub mod cassette;
mod config;
mod error;
mod failure;
pub mod front;
mod gateway;
mod limits;
pub mod meter;
mod place;
pub mod prices;
mod provider;
pub mod route;
pub mod sse;
pub mod tokenizer;
mod transport;

pub use config::{Limits, ProviderConfig, ProviderKind, Timeouts};
pub use error::GatewayError;
pub use failure::class_of;
pub use gateway::{Completion, Gateway, KeyCheck};
pub use limits::AccountState;
pub use provider::{
    Arguments, Author, Counted, Delta, Image, Message, Opaque, Part, Request, Sink, Stop, Tool,
    ToolCall, ToolChoice, ToolResult, WireFormat,
};
pub use transport::Client;

/// What a key is held in.
pub use orchestrator_core::secret::SecretString;
