//! A conversation with a model, and what it has cost.
//!
//! Every answer is a turn of the attempt's journal: one that was received before a crash is taken
//! from there, and is not asked for, or paid for, again.

use super::{
    books,
    route::{self, Models},
    watch::Watch,
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::TurnNumber,
    ledger::Payer,
    port::{Assignment, AttemptHost, Call, LogLine, LogStream, Step},
    usage::{Cost, Spend},
};
use orchestrator_gateway::{
    Delta, Message, Request, Stop,
    route::{Asking, Routed, Router},
};
use serde_json::{Value, json};
use std::time::Duration;
use tracing::Instrument;

/// Where the record of an answer says which model gave it.
const ASKED: &str = "asked";

/// What the model has said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) stop: Stop,
}

impl Said {
    fn to_record(&self, asked: Option<Value>) -> Value {
        let mut record = json!({ "text": self.text, "stop": self.stop.as_str() });
        if let Some(asked) = asked {
            record[ASKED] = asked;
        }
        record
    }

    fn recorded(value: &Value) -> Result<Self, Failure> {
        let part = |name: &str| value.get(name).and_then(Value::as_str);
        let (Some(text), Some(stop)) = (part("text"), part("stop")) else {
            let message = "the recorded answer of the model cannot be read";
            return Err(Failure::new(ErrorClass::Internal, message));
        };
        Ok(Self { text: text.to_owned(), stop: Stop::named(stop) })
    }
}

/// One conversation. It keeps the books of all its calls, the failed ones included.
pub(super) struct Conversation<'a> {
    router: &'a Router,
    models: Models,
    payer: Payer,
    request: Request,
    join: bool,
    keep: Option<Duration>,
    host: &'a dyn AttemptHost,
    spend: Vec<Spend>,
    /// Whether it was said why this model is asked.
    told_why: bool,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        router: &'a Router,
        models: Models,
        assignment: &Assignment,
        request: Request,
        host: &'a dyn AttemptHost,
    ) -> Self {
        let payer = assignment.payer(&request.model);
        let (join, keep) = (assignment.agent.join, assignment.keep_responses);
        let (spend, told_why) = (Vec::new(), false);
        let mut new = Self { router, models, payer, request, join, keep, host, spend, told_why };
        new.turn_to_first();
        new
    }

    /// Sees to it that the request and who pays for it name the model that is asked next.
    fn turn_to_first(&mut self) {
        let model = self.models.first();
        self.payer.account = model.provider.clone();
        self.payer.model.clone_from(&model.model);
        self.request.model.clone_from(&model.model);
    }

    fn note(&self, text: String) {
        self.host.log(LogLine { stream: LogStream::Note, text });
    }

    pub(super) fn model(&self) -> &str {
        &self.request.model
    }

    /// The next answer: the one that the journal holds, or else what one call gives.
    pub(super) async fn ask(&mut self) -> Result<Said, Failure> {
        let call = Call::new("model", self.model(), self.told().to_string());
        let turn = match self.host.begin(&call).await? {
            Step::Recorded(value) => {
                if let Some(asked) = value.get(ASKED) {
                    self.models.recorded(asked);
                    self.turn_to_first();
                }
                return Said::recorded(&value);
            }
            Step::Perform(turn) => turn,
        };
        if !std::mem::replace(&mut self.told_why, true)
            && let Some(why) = self.models.why()
        {
            self.note(why);
        }
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
        let routed = self.call().await?;
        if let Some(saved) = route::saved(&routed.source) {
            self.note(saved);
        }
        let asked = self.models.record(&routed);
        self.models.go_on(routed.place);
        self.turn_to_first();
        let said = Said { text: routed.completion.text, stop: routed.completion.stop };
        if !self.host.finish(turn, call, said.to_record(asked), routed.spend.clone()).await? {
            routed.spend.into_iter().for_each(|line| books::add(&mut self.spend, line));
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

    /// Makes one call, or several when models fail. It is dropped, and its connection closed, as soon as the host cancels.
    async fn call(&mut self) -> Result<Routed, Failure> {
        let host = self.host;
        let used = self.spend.iter().map(|line| line.usage).sum();
        let mut watch = Watch::new(host, (used, Cost::from_iter(&self.spend)));
        let result = {
            let now = || host.now();
            let mut sink = |delta: Delta| watch.take(delta);
            let asking = Asking {
                payer: &self.payer,
                request: &self.request,
                models: self.models.left(),
                join: self.join,
                keep: self.keep,
            };
            tokio::select! {
                biased;
                () = host.cancelled() => None,
                result = self.router.complete(&asking, &now, &mut sink) => Some(result),
            }
        };
        watch.finish();
        match result {
            Some(Ok(routed)) => Ok(routed),
            Some(Err(mut failure)) => {
                for line in failure.spend.drain(..) {
                    books::add(&mut self.spend, line);
                }
                Err(failure)
            }
            None => {
                let (sent, usage) = (watch.sent, watch.usage);
                let (provider, model) = route::asked(watch.asking.take(), self.models.first());
                let provider = watch.account.take().unwrap_or(provider);
                for line in watch.spent.drain(..) {
                    books::add(&mut self.spend, line);
                }
                if sent > 0 {
                    let line = self.router.gateway().dropped(&provider, &model, usage);
                    books::add(&mut self.spend, line);
                }
                let message = format!("the call of model `{model}` was cancelled");
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
