//! One call under way: what it holds, what its answer says, and how both end.

use super::{FrontEvent, FrontObserver, SettledAs, admit::Hold, upstream::Upstream};
use crate::{
    limits::Leave,
    meter::{Meter, Reading},
    prices::PriceTable,
};
use orchestrator_core::{
    error::ErrorClass,
    ledger::{Amounts, Payer},
    money::MicroUsd,
    port::Settlement,
    time::Timestamp,
    usage::{Spend, Usage},
};
use std::{sync::Arc, time::Instant};
use tracing::Span;

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent, or it was refused at no cost.
    Free,
    /// It was sent: it may cost something.
    Sent,
}

/// A call that holds its worst cost. Dropping it settles it: by the answer's own usage where that
/// is final, and otherwise by all that it holds.
pub(super) struct Call {
    hold: Hold,
    leave: Leave,
    stage: Stage,
    meter: Meter,
    status: Option<u16>,
    /// When it was sent, until the first piece of its answer is here.
    waits_since: Option<Instant>,
    of: Context,
}

/// What is known of a call before it is made.
pub(super) struct Context {
    pub(super) payer: Payer,
    pub(super) worst: Amounts,
    pub(super) started: Timestamp,
    /// Whether the price table does not hold for what was asked.
    pub(super) is_priced_otherwise: bool,
    pub(super) upstream: Arc<Upstream>,
    pub(super) prices: PriceTable,
    pub(super) observer: Arc<dyn FrontObserver>,
    pub(super) span: Span,
}

impl Call {
    pub(super) fn new((leave, hold): (Leave, Hold), meter: Meter, of: Context) -> Self {
        of.observer.told(FrontEvent::Admitted {
            call: hold.id().clone(),
            payer: of.payer.clone(),
            worst: of.worst,
        });
        let (status, waits_since) = (None, None);
        Self { hold, leave, stage: Stage::Free, meter, status, waits_since, of }
    }

    pub(super) fn span(&self) -> &Span {
        &self.of.span
    }

    /// It is sent now.
    pub(super) fn sent(&mut self) {
        self.stage = Stage::Sent;
        self.waits_since = Some(Instant::now());
    }

    /// Nothing was sent after all.
    pub(super) fn not_sent(&mut self) {
        self.stage = Stage::Free;
        self.leave.not_made();
    }

    /// The provider does not answer, or no further.
    pub(super) fn broke(&mut self, now: Timestamp) {
        self.leave.failed(now);
    }

    /// The provider has answered to the end.
    pub(super) fn ended(&mut self) {
        self.leave.went_well();
    }

    /// The provider has refused, by that class; what it tells of a time is the account's to know.
    pub(super) fn refused(
        &mut self,
        class: ErrorClass,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.leave.used_nothing();
        self.of.upstream.state.refused(&self.of.payer.model, class, retry_at, now);
        match class {
            ErrorClass::Transient | ErrorClass::Overloaded => self.leave.failed(now),
            _ => self.leave.went_well(),
        }
    }

    /// The head of the answer is here. What is no success costs nothing.
    pub(super) fn answered(&mut self, status: http::StatusCode) {
        self.status = Some(status.as_u16());
        if !status.is_success() {
            self.of.span.record("error.type", status.as_str());
            self.stage = Stage::Free;
        }
    }

    /// The answer is not one that can be read.
    pub(super) fn is_blind(&mut self, meter: Meter) {
        self.meter = meter;
    }

    /// Takes the next bytes of the answer.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if let Some(since) = self.waits_since.take() {
            let waited = since.elapsed().as_secs_f64();
            self.of.span.record("gen_ai.response.time_to_first_chunk", waited);
        }
        self.meter.feed(bytes);
    }

    /// What the answer has said of its usage, if it has said all.
    pub(super) fn usage(&self) -> Option<Usage> {
        let reading = self.meter.reading();
        reading.is_final.then_some(reading.usage)
    }

    fn cost(&self, reading: &Reading) -> Option<MicroUsd> {
        let of = &self.of;
        let entry = of.upstream.price(&of.prices, &of.payer.model);
        match entry {
            _ if of.is_priced_otherwise => None,
            Some(entry) => entry.cost_with(&reading.usage, reading.hour_writes, of.started),
            None => of.upstream.is_local().then_some(MicroUsd::ZERO),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let reading = self.meter.reading();
        let (end, settlement, cost) = match self.stage {
            Stage::Free => (SettledAs::Released, Settlement::Released, Some(MicroUsd::ZERO)),
            Stage::Sent if reading.is_final => {
                // What has no price counts as what was held, never as nothing.
                let usd = self.cost(reading).or(self.of.worst.usd);
                let spent = Amounts::call(usd, reading.usage.total().0);
                let usage = reading.usage;
                (SettledAs::Metered, Settlement::Metered { spent, usage }, usd)
            }
            Stage::Sent => (SettledAs::Assumed, Settlement::Assumed, self.of.worst.usd),
        };
        let span = &self.of.span;
        if let Some(status) = self.status {
            span.record("http.response.status_code", status);
        }
        if let Some(model) = &reading.served_model {
            span.record("gen_ai.response.model", model.as_str());
        }
        if reading.is_final {
            let used = reading.usage;
            self.leave.used(&used);
            span.record(
                "gen_ai.usage.input_tokens",
                (used.input + used.cache_read + used.cache_write).0,
            );
            span.record("gen_ai.usage.output_tokens", used.output.0);
        }
        let payer = self.of.payer.clone();
        let spend = Spend {
            provider: payer.account.clone(),
            model: payer.model.clone(),
            requests: u32::from(self.stage == Stage::Sent),
            usage: reading.usage,
            cost,
        };
        let (call, status) = (self.hold.id().clone(), self.status);
        self.hold.ends_as(settlement);
        self.of.observer.told(FrontEvent::Settled { call, payer, status, spend, end });
    }
}
