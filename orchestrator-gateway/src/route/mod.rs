//! From one request to the model that answers it: the next model when one fails, one call for
//! identical requests, and answers that are kept.
//!
//! A [`Router`] stands before a [`Gateway`], which makes each call as if it were the only one. What a
//! model that failed has used stays counted; the next one is reserved for anew.

mod join;
mod kept;
mod next;

pub use join::Joins;

use crate::{Completion, Delta, Gateway, Request, Sink};
use join::{Lead, Turn};
use kept::Key;
pub(crate) use next::{Failed, Next, next};
use orchestrator_core::{
    error::{ErrorClass, Failure, Remedy},
    id::RunId,
    ledger::Payer,
    port::Responses,
    route::RouteModel,
    time::Timestamp,
    usage::Spend,
};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};

/// The way of requests to models. Cheap to clone.
#[derive(Clone)]
pub struct Router {
    gateway: Arc<Gateway>,
    joins: Option<Joins>,
    responses: Option<Arc<dyn Responses>>,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

/// One request, and how it may be answered.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Who pays. Its account and model are those of the model that is asked.
    pub payer: &'a Payer,
    /// What is asked, of whichever model.
    pub request: &'a Request,
    /// The models, in the order in which they are asked.
    pub models: &'a [RouteModel],
    /// Whether an identical request that is under way may answer it.
    pub join: bool,
    /// How long its answer may be used again; `None`: neither kept nor looked for.
    pub keep: Option<Duration>,
}

/// An answer, and how it came about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Routed {
    /// The answer. What it says to have cost is nothing when no call was made for it.
    pub completion: Completion,
    /// What was spent: by models that failed first, then by the one that answered.
    pub spend: Vec<Spend>,
    /// The place of the model that answered among those that could be asked.
    pub place: usize,
    /// The models that were asked before it and failed, in order.
    pub failed: Vec<Passed>,
    /// Where the answer came from.
    pub source: Source,
}

/// A model that failed, after which the next one was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Passed {
    /// The model.
    pub model: RouteModel,
    /// What kind of failure it was.
    pub class: ErrorClass,
    /// What it was, in words.
    pub message: String,
}

/// Where an answer came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A call was made for it.
    Called,
    /// An identical request was under way, and its answer is this one's, too.
    Joined,
    /// It had been kept.
    Kept {
        /// The run that paid for it, where one did.
        run: Option<RunId>,
        /// When it was made.
        at: Timestamp,
    },
}

impl Router {
    /// A way to the models of `gateway`, that keeps nothing and joins its own requests.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, joins: Some(Joins::default()), responses: None }
    }

    /// The same where every request is a call of its own, whatever it asks for.
    #[must_use]
    pub fn without_joins(mut self) -> Self {
        self.joins = None;
        self
    }

    /// The same, joined with the requests of every router that has `joins`.
    #[must_use]
    pub fn with_joins(mut self, joins: Joins) -> Self {
        self.joins = Some(joins);
        self
    }

    /// The same with answers kept in `responses`, for requests that allow it.
    #[must_use]
    pub fn with_responses(mut self, responses: Arc<dyn Responses>) -> Self {
        self.responses = Some(responses);
        self
    }

    /// The gateway behind it.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Asks the models in their order until one answers. `now` tells the time; pieces of the answer
    /// go to `sink` as they arrive. [`Delta::Asking`] says which model is asked, and
    /// [`Delta::StartOver`] that the pieces since do not count.
    ///
    /// | a model fails with | the next one that is asked |
    /// |---|---|
    /// | `transient`, `overloaded`, `quota_exhausted`, `billing` | is the next |
    /// | `rate_limited` | is the next, unless it can be asked again within ten seconds |
    /// | `context_overflow` | is the next whose context is known to be larger |
    /// | `invalid_request`, since the server has no such model | is the next |
    /// | anything else, and a refusal by the model or a budget | is none |
    ///
    /// # Errors
    /// The failure that no other model made good, with all that was spent. When several failed, one
    /// that waiting may mend goes before others, and its words tell of all.
    pub async fn complete(
        &self,
        asking: &Asking<'_>,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Routed, Failure> {
        let (mut failed, mut spend): (Vec<(Passed, Failure)>, Vec<Spend>) = Default::default();
        let mut place = 0;
        loop {
            let Some(model) = asking.models.get(place) else {
                return Err(Failure::new(ErrorClass::InvalidRequest, "there is no model to ask"));
            };
            let (account, name) = (model.provider.clone(), model.model.clone());
            sink(Delta::Asking { provider: account.clone(), model: name.clone() });
            let payer = Payer { account, model: name.clone(), ..asking.payer.clone() };
            let request = Request { model: name, ..asking.request.clone() };
            let mut passed_on = false;
            let result = {
                let mut pass = |delta: Delta| {
                    passed_on |= delta.is_answer();
                    sink(delta);
                };
                self.one(asking, &payer, &request, now, &mut pass).await
            };
            let mut failure = match result {
                Ok((completion, source)) => {
                    if source == Source::Called {
                        spend.push(completion.spend.clone());
                    }
                    let failed = failed.into_iter().map(|(passed, _)| passed).collect();
                    return Ok(Routed { completion, spend, place, failed, source });
                }
                Err(failure) => failure,
            };
            let own = std::mem::take(&mut failure.spend);
            spend.extend(own.iter().cloned());
            match next(&Failed::from(&failure), asking.models, place, now()) {
                Next::Place(following) => {
                    if passed_on {
                        sink(Delta::StartOver);
                    }
                    for line in own {
                        sink(Delta::Spent(Box::new(line)));
                    }
                    let to = &asking.models[following];
                    let (class, message) = (failure.class, failure.message.clone());
                    sink(Delta::Warning(format!(
                        "model `{model}` failed ({class}): {message}; model `{to}` is asked instead"
                    )));
                    let model = model.clone();
                    failed.push((Passed { model, class, message }, failure));
                    place = following;
                }
                Next::None { is_last } => {
                    return Err(summed_up(model, failure, failed, is_last).spent(spend));
                }
            }
        }
    }

    async fn one(
        &self,
        asking: &Asking<'_>,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<(Completion, Source), Failure> {
        let key = match asking.join || asking.keep.is_some() {
            true => Key::of(&self.gateway, payer, request),
            false => None,
        };
        let keeps = asking.keep.zip(self.responses.as_ref());
        if let (Some(key), Some((_, responses))) = (&key, keeps)
            && let Some(found) = kept::recall(&**responses, key, payer, now()).await
        {
            kept::tell(&found.0, sink);
            return Ok(found);
        }
        let joins = self.joins.as_ref().filter(|_| asking.join);
        let (completion, source) = match key.as_ref().zip(joins) {
            Some((key, joins)) => {
                let seat = joins.take(payer, key.cache_key().clone());
                match seat.turn(sink).await {
                    Turn::Answered(completion) => (*completion, Source::Joined),
                    Turn::Lead(lead) => {
                        (self.lead(lead, payer, request, now, sink).await?, Source::Called)
                    }
                }
            }
            None => (self.gateway.complete(payer, request, now, sink).await?, Source::Called),
        };
        if let (Some(key), Some((ttl, responses)), Source::Called) = (&key, keeps, &source) {
            kept::keep(&**responses, key, payer, &completion, now(), ttl).await;
        }
        Ok((completion, source))
    }

    async fn lead(
        &self,
        lead: Lead<'_>,
        payer: &Payer,
        request: &Request,
        now: &(dyn Fn() -> Timestamp + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<Completion, Failure> {
        let completion = {
            let mut told = |delta: Delta| {
                lead.tell(&delta);
                sink(delta);
            };
            self.gateway.complete(payer, request, now, &mut told).await?
        };
        lead.done(&completion);
        Ok(completion)
    }
}

/// The failure that stands for all: of the last model when it ends the matter, else of the first
/// that waiting may mend, else of the last.
fn summed_up(
    model: &RouteModel,
    last: Failure,
    failed: Vec<(Passed, Failure)>,
    is_last: bool,
) -> Failure {
    if failed.is_empty() {
        return last;
    }
    let mut words: Vec<String> = failed
        .iter()
        .map(|(passed, _)| format!("`{}`: {}", passed.model, passed.message))
        .collect();
    words.push(format!("`{model}`: {}", last.message));
    let message = format!("none of {} models has answered: {}", words.len(), words.join("; "));
    let waits = |failure: &Failure| {
        matches!(
            failure.class.remedy(),
            Remedy::Retry | Remedy::RetrySlowly | Remedy::Wait | Remedy::Park
        )
    };
    let mut earlier = failed.into_iter().map(|(_, failure)| failure);
    let found = match is_last && !waits(&last) {
        true => earlier.find(waits).unwrap_or(last),
        false => last,
    };
    Failure { message, ..found }
}
