//! What the front tells of its calls.

use crate::budget::Alert;
use orchestrator_core::{
    ledger::{Amounts, Payer, Refusal},
    port::HoldId,
    usage::Spend,
};

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
