//! What the front tells of its calls.

use crate::{budget::Alert, route::Passed};
use orchestrator_core::{
    ledger::{Amounts, Payer, Refusal},
    port::HoldId,
    route::RouteModel,
    usage::Spend,
};
use serde::{Deserialize, Serialize};

/// How a call ended in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettledAs {
    /// With the usage that its answer states.
    Metered,
    /// Without: all that it held counts.
    Assumed,
    /// At no cost: it was not sent, or the provider refused it.
    Released,
}

/// Something that happened to a request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FrontEvent {
    /// A call holds what it may cost, and is sent.
    Admitted {
        /// Its reservation.
        call: HoldId,
        /// Who pays.
        payer: Payer,
        /// What it holds.
        worst: Amounts,
    },
    /// A request was not passed on.
    Refused {
        /// Whose token it had; `None` without a valid one.
        payer: Option<Payer>,
        /// The path, without its query.
        path: String,
        /// The status that it was answered with.
        status: u16,
        /// The stable code, `ORC-NNNN`.
        code: &'static str,
        /// Why, as the client was told.
        reason: String,
        /// The limit that refused it, if one did.
        limit: Option<Box<Refusal>>,
    },
    /// A request that costs nothing was passed on.
    Passed {
        /// Whose token it had.
        payer: Payer,
        /// The path, without its query.
        path: String,
        /// The status of the provider's answer.
        status: u16,
    },
    /// A call has ended.
    Settled {
        /// Its reservation.
        call: HoldId,
        /// Who pays.
        payer: Payer,
        /// The status of the provider's answer, if there was one.
        status: Option<u16>,
        /// The line for the books; of an assumed call what was held, with the tokens that were told.
        spend: Spend,
        /// How it ended.
        end: SettledAs,
    },
    /// A rule chose the model of a call, or another model than the first was asked. Told when it is
    /// known who answers, before anything of the answer passes.
    Routed {
        /// Who pays. The account and the model are those that were asked last.
        payer: Payer,
        /// The path, without its query.
        path: String,
        /// How it went.
        routing: Box<Routing>,
    },
    /// The ledger has the end of a call.
    Booked {
        /// Its reservation.
        call: HoldId,
        /// Who pays.
        payer: Payer,
        /// Parts of limits that were reached by it.
        alerts: Vec<Alert>,
    },
}

/// How a request got to its model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Routing {
    /// The model that answers; the last that was asked when none does.
    pub model: RouteModel,
    /// The rule that the request named, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How the rule came to its models, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The models that failed, in the order in which they were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Passed>,
    /// Whether `model` answers.
    pub is_answered: bool,
}

impl Routing {
    /// What changed, in words: a line for each model that failed.
    pub fn notes(&self) -> Vec<String> {
        let next = self.failed.iter().skip(1).map(|failed| &failed.model);
        let next = next.chain(self.is_answered.then_some(&self.model)).map(Some);
        let lines = self.failed.iter().zip(next.chain([None]));
        let note = |(failed, next): (&Passed, Option<&RouteModel>)| {
            let then = next.map(|next| format!("; model `{next}` is asked instead"));
            let Passed { model, class, message } = failed;
            format!("model `{model}` failed ({class}): {message}{}", then.unwrap_or_default())
        };
        lines.map(note).collect()
    }
}

/// Whoever wants to know. Called while requests are under way: it must not wait for anything.
pub trait FrontObserver: Send + Sync {
    /// Takes notice of an event.
    fn told(&self, event: FrontEvent);
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nobody;

impl FrontObserver for Nobody {
    fn told(&self, _: FrontEvent) {}
}
