//! Providers: what is asked of a model, what it answers, and one adapter for each protocol.

mod anthropic;
mod endpoint;
mod message;
mod openai_chat;
mod read;

pub(crate) use anthropic::Anthropic;
pub(crate) use endpoint::Endpoint;
pub use message::{Author, Delta, Message, Request, Stop};
pub(crate) use message::{CallFailure, Response, Used};
pub(crate) use openai_chat::OpenAiChat;

use async_trait::async_trait;
use orchestrator_core::{error::Failure, time::Timestamp};

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

    /// Asks for the list of models, which costs nothing, and gives the status of the answer.
    async fn look(&self) -> Result<u16, Failure>;
}
