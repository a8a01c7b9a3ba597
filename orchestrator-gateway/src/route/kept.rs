//! Answers that are kept: what they depend on, and what of them is kept.

use super::Source;
use crate::{Completion, Delta, Gateway, Image, Message, Part, Request, Sink, Stop, ToolChoice};
use orchestrator_core::{
    id::CacheKey,
    ledger::Payer,
    money::MicroUsd,
    port::{KeptResponse, Responses},
    time::Timestamp,
    usage::{Spend, Usage},
};
use serde_json::{Value, json};
use std::time::Duration;

/// The number of the way in which keys are made: another one finds nothing of before.
const FORMAT: u32 = 1;

/// All that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(CacheKey);

impl Key {
    /// The key of `request` at the account of `payer`; `None` when there is no such account.
    ///
    /// It is made of whose request it is, where it goes, and all of it: model, system prompt,
    /// conversation, tools, bounds, schema and temperature. Nobody can tell the request from it.
    pub(super) fn of(gateway: &Gateway, payer: &Payer, request: &Request) -> Option<Self> {
        let (kind, base) = gateway.place(&payer.account)?;
        let Request {
            model,
            system,
            messages,
            tools,
            tool_choice,
            max_tokens,
            stop_sequences,
            output_schema,
            temperature,
        } = request;
        let tools: Vec<Value> = tools
            .iter()
            .map(|tool| json!([tool.name, tool.description, *tool.input_schema]))
            .collect();
        let choice = match tool_choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::Any => json!("any"),
            ToolChoice::None => json!("none"),
            ToolChoice::Tool(name) => json!({ "tool": name }),
        };
        Some(Self(CacheKey::of(&json!({
            "format": FORMAT,
            "tenant": payer.tenant.as_str(),
            "project": payer.project.as_str(),
            "kind": kind.as_str(),
            "base": base,
            "model": model,
            "system": system,
            "messages": messages,
            "tools": tools,
            "tool-choice": choice,
            "max-tokens": max_tokens,
            "stop": stop_sequences,
            "schema": output_schema.as_deref(),
            "temperature": temperature.map(|degree| degree.to_string()),
        }))))
    }

    pub(super) fn cache_key(&self) -> &CacheKey {
        &self.0
    }
}

/// What `payer` spends on an answer that no call was made for.
pub(super) fn nothing(payer: &Payer) -> Spend {
    Spend {
        provider: payer.account.clone(),
        model: payer.model.clone(),
        requests: 0,
        usage: Usage::default(),
        cost: Some(MicroUsd::ZERO),
    }
}

/// The answer that is kept under `key`. Whatever stands in the way is no more than a call that has
/// to be made.
pub(super) async fn recall(
    responses: &dyn Responses,
    key: &Key,
    payer: &Payer,
    now: Timestamp,
) -> Option<(Completion, Source)> {
    let found = match responses.response(&key.0, now).await {
        Ok(found) => found?,
        Err(error) => {
            tracing::warn!(%error, "kept answers could not be looked at");
            return None;
        }
    };
    let Some(completion) = read(&found.body, payer) else {
        tracing::warn!(key = %key.0, "a kept answer cannot be read and is not used");
        return None;
    };
    Some((completion, Source::Kept { run: found.run, at: found.at }))
}

/// Keeps `completion` for `ttl`, if it is whole.
pub(super) async fn keep(
    responses: &dyn Responses,
    key: &Key,
    payer: &Payer,
    completion: &Completion,
    now: Timestamp,
    ttl: Duration,
) {
    let Some(body) = write(completion) else { return };
    let response = KeptResponse {
        key: key.0.clone(),
        tenant: payer.tenant.clone(),
        project: payer.project.clone(),
        run: payer.run.clone(),
        provider: payer.account.clone(),
        model: payer.model.clone(),
        at: now,
        expires: now.after(ttl),
        body,
    };
    if let Err(error) = responses.keep_response(response).await {
        tracing::warn!(%error, "a model's answer could not be kept");
    }
}

/// What is kept of an answer: nothing when it was cut off, refused or filtered. Pictures are not
/// said by models, so one that is there is not understood.
fn write(completion: &Completion) -> Option<Value> {
    let whole = matches!(completion.stop, Stop::End | Stop::ToolCalls);
    let plain = |part: &Part| !matches!(part, Part::Image(Image::Bytes { .. } | Image::Url(_)));
    (whole && completion.message.parts.iter().all(plain)).then(|| {
        json!({
            "text": completion.text,
            "message": completion.message,
            "stop": completion.stop.as_str(),
            "served-model": completion.served_model,
        })
    })
}

fn read(body: &Value, payer: &Payer) -> Option<Completion> {
    let stop = match body.get("stop")?.as_str()? {
        "end" => Stop::End,
        "tool_calls" => Stop::ToolCalls,
        _ => return None,
    };
    let message: Message = serde_json::from_value(body.get("message")?.clone()).ok()?;
    Some(Completion {
        text: body.get("text")?.as_str()?.to_owned(),
        tool_calls: message.tool_calls().cloned().collect(),
        message,
        stop,
        usage: None,
        served_model: body.get("served-model")?.as_str().map(str::to_owned),
        spend: nothing(payer),
    })
}

/// Tells the pieces of a whole answer.
pub(super) fn tell(completion: &Completion, sink: &mut Sink<'_>) {
    if !completion.text.is_empty() {
        sink(Delta::Text(completion.text.clone()));
    }
    for (index, call) in completion.tool_calls.iter().enumerate() {
        let (id, name) = (call.id.clone(), call.name.clone());
        sink(Delta::ToolCallStarted { index, id, name });
        sink(Delta::ToolCallArguments { index, text: call.arguments.to_text() });
    }
}
