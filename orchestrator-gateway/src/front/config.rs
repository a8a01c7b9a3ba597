//! What a front is made of.

use super::{FrontObserver, Grants, Page, Upstream, observe::Nobody, tape::Tape};
use crate::{
    Client,
    cassette::{Player, Recorder},
    prices::PriceTable,
};
use orchestrator_core::{
    id::OwnerId,
    port::{Clock, Ledger},
};
use std::{fmt, sync::Arc, time::Duration};

/// Who may reach a front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// This machine alone.
    #[default]
    Loopback,
    /// Whoever reaches the address. What passes is not encrypted: put a proxy with TLS before it.
    Anywhere,
}

/// Bounds of a front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrontLimits {
    /// Who may reach it. Default: this machine.
    pub reach: Reach,
    /// The most bytes of a request's body. Default 32 MiB.
    pub body: usize,
    /// How long the head of a request may take, and each pause in its body. Default 30 s.
    pub request: Duration,
    /// How long a call waits for others to end when it would fit then. Default 60 s.
    pub wait: Duration,
    /// How long calls under way may go on after the word to stop, and then how long the ledger may
    /// take to settle them. Default 10 s each.
    pub drain: Duration,
    /// The most connections at once; further ones wait. Default 1,024.
    pub connections: usize,
    /// The most tokens of an answer whose request does not say. Default 128,000.
    pub output_tokens: u64,
    /// The most tokens that a request brings along which are not in its body: files and earlier
    /// answers that it names, tools that the provider runs. Default 200,000, the usual context.
    pub context_tokens: u64,
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self {
            reach: Reach::default(),
            body: 32 << 20,
            request: Duration::from_secs(30),
            wait: Duration::from_secs(60),
            drain: Duration::from_secs(10),
            connections: 1_024,
            output_tokens: 128_000,
            context_tokens: 200_000,
        }
    }
}

/// What a [`Front`](super::Front) is made of.
#[derive(Clone)]
#[non_exhaustive]
pub struct FrontConfig {
    /// The accounts. Default: none.
    pub upstreams: Vec<Upstream>,
    /// What models cost. Default: the built-in prices.
    pub prices: PriceTable,
    /// The connections to providers. Default: a pool of its own.
    pub client: Client,
    /// Where calls are reserved.
    pub ledger: Arc<dyn Ledger>,
    /// Who reserves: nobody else may use the name.
    pub owner: OwnerId,
    /// The tokens.
    pub grants: Arc<dyn Grants>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is told of calls. Default: nobody.
    pub observer: Arc<dyn FrontObserver>,
    /// What is answered at `/metrics`. Where only this machine reaches the front, no token is asked
    /// for; elsewhere a valid one is. Default: nothing.
    pub metrics: Option<Arc<dyn Page>>,
    /// Bounds.
    pub limits: FrontLimits,
    pub(super) tape: Option<Tape>,
}

impl FrontConfig {
    /// A front without accounts.
    pub fn new(
        owner: OwnerId,
        ledger: Arc<dyn Ledger>,
        grants: Arc<dyn Grants>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            upstreams: Vec::new(),
            prices: PriceTable::built_in(),
            client: Client::new(),
            ledger,
            owner,
            grants,
            clock,
            observer: Arc::new(Nobody),
            metrics: None,
            limits: FrontLimits::default(),
            tape: None,
        }
    }

    /// The same that writes every exchange into a cassette, as it passed; what was broken off before
    /// its end as far as it had come, with who broke it off.
    #[must_use]
    pub fn recording(mut self, recorder: Recorder) -> Self {
        self.tape = Some(Tape::Recorder(recorder));
        self
    }

    /// The same that passes nothing on, but answers from a cassette with the bytes that passed when
    /// it was recorded. It needs no account, asks no ledger and spends nothing; tokens and the models
    /// that they allow hold as ever.
    #[must_use]
    pub fn replaying(mut self, player: Arc<Player>) -> Self {
        self.tape = Some(Tape::Player(player));
        self
    }

    /// The same with one more account.
    #[must_use]
    pub fn with_upstream(mut self, upstream: Upstream) -> Self {
        self.upstreams.push(upstream);
        self
    }

    /// The same with other prices.
    #[must_use]
    pub fn with_prices(mut self, prices: PriceTable) -> Self {
        self.prices = prices;
        self
    }

    /// The same, with somebody who is told of calls.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn FrontObserver>) -> Self {
        self.observer = observer;
        self
    }

    /// The same, with a page of metrics.
    #[must_use]
    pub fn with_metrics(mut self, page: Arc<dyn Page>) -> Self {
        self.metrics = Some(page);
        self
    }

    /// The same within other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: FrontLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for FrontConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontConfig")
            .field("upstreams", &self.upstreams)
            .field("owner", &self.owner)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
