//! The HTTP front: other programs call models through here, with a token in place of a key.
//!
//! A [`Front`] listens, on this machine alone unless told otherwise. Whoever calls it has a token
//! that stands for a [`Grant`]: who pays, which accounts and models may be called, until when. The
//! front reserves the most that a call can cost, passes the request on with the real key in the
//! token's place, passes the answer back as it arrives, and settles what the answer says was used.
//! All else is passed byte for byte. What it refuses has the form of the provider's own errors.
//!
//! | Path | Passed to an account that speaks | Costs |
//! |---|---|---|
//! | `POST /anthropic/v1/messages` | Anthropic Messages | yes |
//! | `POST /anthropic/v1/messages/count_tokens` | Anthropic Messages | no |
//! | `POST /openai/v1/chat/completions` | OpenAI | yes |
//! | `POST /openai/v1/responses` | OpenAI | yes |
//! | `GET /openai/v1/models`, `/openai/v1/models/{model}` | OpenAI | no |
//! | `POST /gemini/v1beta/models/{model}:generateContent`, `:streamGenerateContent`; `/v1` too | Gemini | yes |
//! | `POST /gemini/v1beta/models/{model}:countTokens`; `/v1` too | Gemini | no |
//!
//! A request may name a [rule](Grant::routes) in place of a model. Then the first model of the rule
//! answers whose provider speaks the path's form, since nothing is translated; the model's name is put
//! in the place of the rule's, all else stays. When a model fails before anything of its answer has
//! passed, the next is asked. Headers `x-orchestrator-rule`, `x-orchestrator-model` and
//! `x-orchestrator-failed` of the answer tell of it, as does [`FrontEvent::Routed`].
//!
//! ```no_run
//! use orchestrator_core::{
//!     engine::SystemClock, id::{OwnerId, ProviderName}, ledger::Payer, memory::MemoryStore,
//!     port::Clock, time::Timestamp,
//! };
//! use orchestrator_gateway::{SecretString, front::{Api, Front, FrontConfig, Grant, Tokens, Upstream}};
//! use std::sync::Arc;
//!
//! # async fn serve(key: String) -> Result<(), Box<dyn std::error::Error>> {
//! let account = ProviderName::new("anthropic")?;
//! let tokens = Arc::new(Tokens::new());
//! let in_an_hour = Timestamp(SystemClock.now().0 + 3_600_000);
//! let grant = Grant::new(Payer::new(account.clone(), ""), in_an_hour)
//!     .with_accounts([account.clone()])
//!     .with_models(["claude-*"]);
//! let token = tokens.issue(grant)?;
//!
//! let ledger = Arc::new(MemoryStore::default());
//! let owner = OwnerId::new("this-process")?;
//! let config = FrontConfig::new(owner, ledger, tokens, Arc::new(SystemClock)).with_upstream(
//!     Upstream::new(account, Api::Anthropic, "https://api.anthropic.com")?
//!         .with_key(SecretString::new(key))?,
//! );
//! let front = Front::bind(([127, 0, 0, 1], 0).into(), config).await?;
//! // ANTHROPIC_BASE_URL=http://{front.address()}/anthropic ANTHROPIC_API_KEY={token.expose()}
//! println!("{} {}", front.address(), token.expose().len());
//! front.serve(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

mod admit;
mod answer;
mod asked;
mod attempts;
mod bound;
mod call;
mod calling;
mod config;
mod credential;
mod grant;
mod handle;
mod header;
mod member;
mod observe;
mod page;
mod refuse;
mod route;
mod rule;
mod serve;
mod tape;
mod token;
mod upstream;
mod variables;
mod weight;

pub use attempts::{Attempts, Pass, Passed};
pub use config::{FrontConfig, FrontLimits, Reach};
pub use grant::{Grant, Grants};
pub use observe::{FrontEvent, FrontObserver, Routing, SettledAs};
pub use page::{Page, PageServer};
pub use route::Api;
pub use serve::{Front, FrontError};
pub use token::{TOKEN_PREFIX, TokenError, TokenHash, Tokens};
pub use upstream::Upstream;
pub use variables::client_variables;
