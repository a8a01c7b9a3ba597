//! A conversation with a model, and what it has cost.
//!
//! Every answer is a turn of the attempt's journal: one that was received before a crash is taken
//! from there, and is not asked for, or paid for, again.

use super::{books, watch::Watch};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::TurnNumber,
    ledger::Payer,
    port::{AttemptHost, Call, Step},
    usage::{Cost, Spend},
};
use orchestrator_gateway::{Completion, Delta, Gateway, Message, Request, Stop};
use serde_json::{Value, json};
use tracing::Instrument;

/// What the model has said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) stop: Stop,
}

impl Said {
    fn to_record(&self) -> Value {
        json!({ "text": self.text, "stop": self.stop.as_str() })
    }

    fn recorded(value: &Value) -> Result<Self, Failure> {
        let part = |name: &str| value.get(name).and_then(Value::as_str);
        let (Some(text), Some(stop)) = (part("text"), part("stop")) else {
            let message = "the recorded answer of the model cannot be read";
            return Err(Failure::new(ErrorClass::Internal, message));
        };
        let known = [Stop::End, Stop::ToolCalls, Stop::MaxTokens, Stop::Refused, Stop::BadToolCall];
        let stop = known.into_iter().find(|known| known.as_str() == stop);
        let stop = stop.unwrap_or_else(|| Stop::Other(part("stop").unwrap_or_default().into()));
        Ok(Self { text: text.to_owned(), stop })
    }
}

/// One conversation. It keeps the books of all its calls, the failed ones included.
pub(super) struct Conversation<'a> {
    gateway: &'a Gateway,
    payer: Payer,
    request: Request,
    host: &'a dyn AttemptHost,
    spend: Vec<Spend>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        gateway: &'a Gateway,
        payer: Payer,
        request: Request,
        host: &'a dyn AttemptHost,
    ) -> Self {
        Self { gateway, payer, request, host, spend: Vec::new() }
    }

    pub(super) fn model(&self) -> &str {
        &self.request.model
    }

    /// The next answer: the one that the journal holds, or else what one call gives.
    pub(super) async fn ask(&mut self) -> Result<Said, Failure> {
        let call = Call::new("model", self.model(), self.told().to_string());
        let turn = match self.host.begin(&call).await? {
            Step::Recorded(value) => return Said::recorded(&value),
            Step::Perform(turn) => turn,
        };
        let span = tracing::info_span!(
            "turn",
            orchestrator.turn.number = turn.0,
            orchestrator.turn.kind = call.kind,
            error.type = tracing::field::Empty,
        );
        let made = self.perform(turn, &call).instrument(span.clone()).await;
        if let Err(failure) = &made {
            span.record("error.type", failure.class.as_str());
        }
        made
    }

    /// Makes the call, and has it recorded.
    async fn perform(&mut self, turn: TurnNumber, call: &Call) -> Result<Said, Failure> {
        let completion = self.call().await?;
        let said = Said { text: completion.text, stop: completion.stop };
        let spend = vec![completion.spend.clone()];
        if !self.host.finish(turn, call, said.to_record(), spend).await? {
            books::add(&mut self.spend, completion.spend);
        }
        Ok(said)
    }

    /// All that the model is told: what tells one call from another.
    fn told(&self) -> Value {
        let messages = self.request.messages.iter();
        let messages: Vec<Value> = messages
            .map(|message| json!([format!("{:?}", message.author), message.text()]))
            .collect();
        json!({
            "provider": self.payer.account.as_str(),
            "model": self.request.model,
            "system": self.request.system,
            "messages": messages,
            "max-tokens": self.request.max_tokens,
            "schema": self.request.output_schema.as_deref(),
        })
    }

    /// Makes one call. It is dropped, and its connection closed, as soon as the host cancels.
    async fn call(&mut self) -> Result<Completion, Failure> {
        let host = self.host;
        let used = self.spend.iter().map(|line| line.usage).sum();
        let mut watch = Watch::new(host, (used, Cost::from_iter(&self.spend)));
        let result = {
            let now = || host.now();
            let mut sink = |delta: Delta| watch.take(delta);
            tokio::select! {
                biased;
                () = host.cancelled() => None,
                result = self.gateway.complete(&self.payer, &self.request, &now, &mut sink) => {
                    Some(result)
                }
            }
        };
        watch.finish();
        match result {
            Some(Ok(completion)) => Ok(completion),
            Some(Err(mut failure)) => {
                for line in failure.spend.drain(..) {
                    books::add(&mut self.spend, line);
                }
                Err(failure)
            }
            None => {
                if watch.sent > 0 {
                    let line = self.gateway.dropped(&self.payer.account, self.model(), watch.usage);
                    books::add(&mut self.spend, line);
                }
                let message = format!("the call of model `{}` was cancelled", self.model());
                Err(Failure::new(ErrorClass::Cancelled, message))
            }
        }
    }

    /// Goes on: the model has said `answer`, and is told `text`.
    pub(super) fn reply(&mut self, answer: &str, text: String) {
        // No protocol takes an empty turn.
        let said = if answer.trim().is_empty() { "(no answer)" } else { answer };
        self.request.messages.push(Message::assistant(said));
        self.request.messages.push(Message::user(text));
    }

    /// What calls have used and cost that the journal does not count.
    pub(super) fn into_spend(self) -> Vec<Spend> {
        self.spend
    }
}
