//! Every model call of the orchestrator: provider clients, streaming, prices, limits.
//!
//! A [`Gateway`] is built from [`ProviderConfig`]s and a [`PriceTable`](prices::PriceTable). Its
//! one verb, [`Gateway::complete`], makes one call, passes the pieces of the answer on as they
//! arrive, and ends with what the call used and cost, exact to the micro-dollar. Whatever goes
//! wrong comes back as a [`Failure`](orchestrator_core::error::Failure) with an error class, the
//! time from which another try makes sense, and what was spent by then.
//!
//! A [`Front`](front::Front) lets other programs, such as coding CLIs, call the same accounts over
//! HTTP with a token in place of a key, within a budget. It passes their bytes on as they are, and a
//! [`Meter`](meter::Meter) reads what was used from the answer as it passes.
//!
//! It is not an agent: it knows no task, no schema repair and no tool. It decides no durable retry
//! and keeps no state beyond the process. It never shows a key: see [`SecretString`].
//!
//! ```no_run
//! use orchestrator_core::{id::ProviderName, time::Timestamp};
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
//!     .complete(&name, &request, &now, &mut |delta| {
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

mod config;
mod error;
mod failure;
pub mod front;
mod gateway;
mod limits;
pub mod meter;
pub mod prices;
mod provider;
mod secret;
pub mod sse;
mod transport;

pub use config::{Limits, ProviderConfig, ProviderKind, Timeouts};
pub use error::GatewayError;
pub use gateway::{Completion, Gateway};
pub use provider::{Author, Delta, Message, Request, Sink, Stop};
pub use secret::SecretString;
pub use transport::Client;
