//! Providers: what is asked of a model, what it answers, and one adapter for each protocol.

mod answer;
mod anthropic;
mod assembly;
mod caller;
mod endpoint;
mod gemini;
mod message;
mod openai_chat;
mod openai_responses;
mod quirks;
mod read;
mod request;

pub(crate) use answer::{Billing, CallFailure, Response, Used};
pub use answer::{Counted, Delta, Stop};
pub(crate) use anthropic::Anthropic;
pub(crate) use endpoint::Endpoint;
pub(crate) use gemini::Gemini;
pub use message::{
    Arguments, Author, Image, Message, Opaque, Part, ToolCall, ToolResult, WireFormat,
};
pub(crate) use openai_chat::{OpenAiChat, tokens as openai_tokens};
pub(crate) use openai_responses::OpenAiResponses;
pub(crate) use request::DEFAULT_MAX_TOKENS;
pub use request::{Request, Tool, ToolChoice};

use async_trait::async_trait;
use orchestrator_core::{error::Failure, time::Timestamp, usage::TokenCount};

/// Where pieces of an answer go as they arrive.
pub type Sink<'a> = dyn FnMut(Delta) + Send + 'a;

/// One protocol, bound to one endpoint.
#[async_trait]
pub(crate) trait Provider: Send + Sync + std::fmt::Debug {
    /// Makes one call. Dropping the future drops the request.
    async fn complete(
        &self,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Response, CallFailure>;

    /// Counts the tokens of `request`, by a public encoding or by asking the provider; `None` where
    /// neither is offered.
    async fn count(
        &self,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Option<TokenCount>, Failure>;

    /// Asks for the list of models, which costs nothing, and gives the status of the answer.
    async fn look(&self) -> Result<u16, Failure>;
}
