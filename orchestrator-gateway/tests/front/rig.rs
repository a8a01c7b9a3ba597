//! A front before one upstream, with an account of each API.

use crate::{
    client::{Answer, Open},
    upstream::Upstream,
};
use async_trait::async_trait;
use orchestrator_core::{
    id::{OwnerId, ProviderName, RunId},
    ledger::{Payer, Rule, Scope, ScopeKind, Sums, Unit, Window},
    memory::MemoryStore,
    port::{CallRecord, Clock, Ledger},
    time::Timestamp,
};
use orchestrator_gateway::{
    SecretString, Timeouts,
    front::{
        Api, Attempts, Front, FrontConfig, FrontEvent, FrontLimits, FrontObserver, Grant, Tokens,
        Upstream as Account,
    },
    prices::PriceTable,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) const KEY: &str = "key-that-must-never-be-seen";

/// 2026-01-31T09:30:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_769_851_800_000);

/// A dollar a million for input and writes, a tenth to read a cache, five for output: a token in is
/// a micro-dollar. Model `n` costs twice that, and `l` three times.
const PRICES: &str = "[[model]]\nmodel='m'\ninput=1\ncache-read=0.1\ncache-write=1\noutput=5\n\
    [[model]]\nmodel='n'\ninput=2\ncache-read=0.2\ncache-write=2\noutput=10\n\
    [[model]]\nmodel='l'\ninput=3\ncache-read=0.3\ncache-write=3\noutput=15\n";

struct Frozen;

#[async_trait]
impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        NOW
    }
    async fn until(&self, _: Timestamp) {
        std::future::pending().await
    }
}

#[derive(Default)]
struct Events(Mutex<Vec<FrontEvent>>);

impl FrontObserver for Events {
    fn told(&self, event: FrontEvent) {
        self.0.lock().unwrap().push(event);
    }
}

/// Both are told.
struct Both(Arc<Events>, Arc<Attempts>);

impl FrontObserver for Both {
    fn told(&self, event: FrontEvent) {
        self.0.told(event.clone());
        self.1.told(event);
    }
}

pub(crate) struct Rig {
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) upstream: Upstream,
    pub(crate) address: SocketAddr,
    pub(crate) tokens: Arc<Tokens>,
    ledger: Arc<MemoryStore>,
    events: Arc<Events>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// What is left when a front has stopped.
pub(crate) struct Books {
    pub(crate) calls: Vec<CallRecord>,
    pub(crate) used: Sums,
    pub(crate) held: Sums,
    pub(crate) events: Vec<FrontEvent>,
}

pub(crate) fn name(text: &str) -> ProviderName {
    ProviderName::new(text).unwrap()
}

/// A grant of model `m` at every account, for run `r_1`.
pub(crate) fn grant() -> Grant {
    let mut payer = Payer::new(name("none"), "");
    payer.run = Some(RunId::new("r_1").unwrap());
    Grant::new(payer, Timestamp(NOW.0 + 1))
        .with_accounts(["anthropic", "openai", "gemini"].map(name))
        .with_models(["m"])
}

/// At most so many micro-dollars for a run.
pub(crate) fn budget(micro_usd: u64) -> Vec<Rule> {
    vec![Rule::hard(ScopeKind::Run, Window::Total, Unit::Usd, micro_usd)]
}

impl Rig {
    /// What counts against the limit of the Anthropic account that is alone in `rules`, so many hours
    /// from now.
    pub(crate) async fn spent(&self, rules: &[Rule], hours: u64) -> u64 {
        let at = Timestamp(NOW.0 + hours * 3_600_000);
        let payer = Payer::new(name("anthropic"), "");
        self.ledger.standings(&payer, rules, at).await.unwrap()[0].spent()
    }

    pub(crate) async fn new() -> Self {
        Self::with(FrontLimits::default(), Timeouts::default()).await
    }

    pub(crate) async fn with(limits: FrontLimits, timeouts: Timeouts) -> Self {
        let upstream = Upstream::start().await;
        Self::before(upstream, limits, timeouts).await
    }

    pub(crate) async fn before(
        upstream: Upstream,
        limits: FrontLimits,
        timeouts: Timeouts,
    ) -> Self {
        let place = format!("http://{}", upstream.address);
        let accounts =
            [("anthropic", Api::Anthropic), ("openai", Api::OpenAi), ("gemini", Api::Gemini)];
        let accounts = accounts.map(|(account, api)| {
            let account = Account::new(name(account), api, &place).unwrap();
            account.with_timeouts(timeouts).with_key(SecretString::new(KEY)).unwrap()
        });
        Self::of(upstream, limits, accounts).await
    }

    /// A front of these accounts, which are all at `upstream`.
    pub(crate) async fn of(
        upstream: Upstream,
        limits: FrontLimits,
        accounts: impl IntoIterator<Item = Account>,
    ) -> Self {
        let (ledger, tokens) = (Arc::new(MemoryStore::default()), Arc::new(Tokens::new()));
        let events = Arc::new(Events::default());
        let attempts = Attempts::new(tokens.clone());
        let owner = OwnerId::new("test").unwrap();
        let prices = PriceTable::empty().with_overrides(PRICES).unwrap();
        let mut config = FrontConfig::new(owner, ledger.clone(), tokens.clone(), Arc::new(Frozen))
            .with_prices(prices)
            .with_observer(Arc::new(Both(events.clone(), attempts.clone())))
            .with_limits(limits);
        for account in accounts {
            config = config.with_upstream(account);
        }
        let front = Front::bind(([127, 0, 0, 1], 0).into(), config).await.unwrap();
        let address = front.address();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(front.serve(async move {
            let _ = stopped.await;
        }));
        Self { attempts, upstream, address, tokens, ledger, events, stop, serving }
    }

    pub(crate) fn token(&self, grant: Grant) -> String {
        self.tokens.issue(grant).unwrap().expose().to_owned()
    }

    /// Begins a request with a token for [`grant`].
    pub(crate) async fn open(&self, path: &str, body: &str) -> Open {
        let token = self.token(grant());
        self.open_with(&token, path, body).await
    }

    pub(crate) async fn open_with(&self, token: &str, path: &str, body: &str) -> Open {
        let line = format!("POST {path}");
        Open::send(self.address, &line, &[("x-api-key", token)], body.as_bytes()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.open(path, body).await.finish().await
    }

    pub(crate) async fn post_with(&self, token: &str, path: &str, body: &str) -> Answer {
        self.open_with(token, path, body).await.finish().await
    }

    /// Tells the front to stop.
    pub(crate) async fn stop(self) -> Books {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        let calls = self.ledger.calls(None, None, 1_000).await.unwrap();
        let scope = Scope::Run(RunId::new("r_1").unwrap());
        let (used, held) = self.ledger.sums(&scope, Timestamp(0)).await.unwrap();
        let events = std::mem::take(&mut *self.events.0.lock().unwrap());
        Books { calls, used, held, events }
    }

    /// Waits until everything that has ended is in the ledger.
    pub(crate) async fn settled(&self) {
        let scope = Scope::Run(RunId::new("r_1").unwrap());
        let settled = async {
            while !self.ledger.sums(&scope, Timestamp(0)).await.unwrap().1.is_zero() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), settled).await.unwrap();
    }
}
