//! The same calls against any gateway that speaks Chat Completions and has a budget for a key: how
//! far it overspends, how much of the budget it loses, and how fast it is.
//!
//! The upstream bills as in the rest of the proof; the gateway is to be set up with it as the only
//! provider, at the prices of [`plan::ACCOUNTS`]' `chat` account. Without another gateway our own front
//! is measured.

use super::{
    plan::{self, ACCOUNTS, Fate, World},
    upstream::{self, Bills},
    worker,
};
use anyhow::{Context as _, Result};
use orchestrator_core::{
    engine::SystemClock,
    id::{OwnerId, ProviderName, RunId},
    ledger::{Payer, Rule, ScopeKind, Unit, Window},
    money::MicroUsd,
    time::Timestamp,
};
use orchestrator_gateway::{
    Client, Delta, Gateway, ProviderConfig, ProviderKind, Request, SecretString,
    front::{Api, Front, FrontConfig, Grant, Tokens, Upstream},
};
use orchestrator_store::LocalStore;
use serde::Serialize;
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinSet, time};

/// Which of the accounts the calls are made through: the one that speaks Chat Completions.
const CHAT: usize = 1;

/// Calls that are made one by one in the end, at most, to use up what is left.
const MOST_AFTERWARDS: u64 = 2_000;

/// How much load, and on what.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) seed: u64,
    pub(crate) calls: u64,
    /// Calls at the same time.
    pub(crate) at_once: usize,
    /// What the gateway is told may be spent.
    pub(crate) budget: MicroUsd,
    /// Where the upstream listens; port 0 for any.
    pub(crate) upstream: SocketAddr,
    pub(crate) target: Target,
}

/// What the calls go to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Our own front, in this process, with its ledger on disk.
    Front,
    /// Another gateway.
    Other {
        /// Its base URL, such as `http://127.0.0.1:4000/v1`; none for the upstream itself, to see what
        /// is overspent where nothing holds.
        url: Option<String>,
        key: String,
        /// Its name for the model; that of the plan if it has none.
        model: Option<String>,
    },
}

/// What was seen.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Loaded {
    calls: u64,
    at_once: usize,
    budget_usd: u64,
    /// What the upstream billed, and how much of that was more than the budget, in millionths.
    pub(crate) billed_usd: u64,
    pub(crate) overspend_usd: u64,
    pub(crate) answered: u64,
    /// Calls that ended without an answer although they had reached the upstream.
    failed: u64,
    /// Calls that never reached it.
    pub(crate) refused: u64,
    /// Calls that were given up.
    dropped: u64,
    /// Calls that the gateway sent more than once.
    repeated: u64,
    /// Calls that passed when all others had ended, and what was then left of the budget.
    afterwards: u64,
    pub(crate) left_usd: u64,
    calls_per_second: f64,
    /// Of the calls that the upstream answered at once, in ms.
    median_ms: f64,
    p99_ms: f64,
}

impl Loaded {
    pub(crate) fn line(&self) -> String {
        let usd = |micro: u64| MicroUsd(micro);
        format!(
            "{} calls, {} at once, under ${}: billed ${}, overspend ${}; {} answered, {} failed, {} \
             refused, {} given up, {} sent more than once; {} more passed afterwards, ${} left; {:.0} \
             calls/s, median {:.2} ms, p99 {:.2} ms",
            self.calls,
            self.at_once,
            usd(self.budget_usd),
            usd(self.billed_usd),
            usd(self.overspend_usd),
            self.answered,
            self.failed,
            self.refused,
            self.dropped,
            self.repeated,
            self.afterwards,
            usd(self.left_usd),
            self.calls_per_second,
            self.median_ms,
            self.p99_ms,
        )
    }
}

/// Puts the load on.
///
/// # Errors
/// When it cannot be made at all: no store, no socket.
pub(crate) fn load(load: &Load) -> Result<Loaded> {
    Runtime::new().context("cannot start a runtime")?.block_on(run(load))
}

async fn run(load: &Load) -> Result<Loaded> {
    let world = World::new(load.seed, load.calls + 4 * MOST_AFTERWARDS).through(CHAT);
    let world = Arc::new(world);
    let upstream = upstream::start(world.clone(), load.upstream).await?;
    let directory = tempfile::tempdir().context("cannot make a directory for the store")?;
    let (url, key, model) = match &load.target {
        Target::Front => {
            let (url, key) = front(load, upstream.at, directory.path()).await?;
            (url, key, None)
        }
        Target::Other { url, key, model } => {
            let itself = || format!("http://{}/v1", upstream.at);
            (url.clone().unwrap_or_else(itself), key.clone(), model.clone())
        }
    };
    let caller = Caller { world: world.clone(), bills: upstream.bills.clone(), url, key, model };
    let (next, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Loaded::default())));
    let (began, mut lanes) = (Instant::now(), JoinSet::new());
    for _ in 0..load.at_once {
        let (caller, next, seen, calls) = (caller.clone(), next.clone(), seen.clone(), load.calls);
        lanes.spawn(async move {
            let (mut gateway, mut took) = (caller.gateway()?, Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return anyhow::Ok(took);
                }
                let ms = caller.call(&mut gateway, number, &seen).await?;
                took.extend(ms);
            }
        });
    }
    let mut took = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        took.extend(lane??);
    }
    let seconds = began.elapsed().as_secs_f64();
    took.sort_by(f64::total_cmp);
    let mut loaded = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    loaded.afterwards = afterwards(&caller, load.calls).await?;
    let part = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    let bills = upstream.bills.lock();
    let billed = bills.usd();
    Ok(Loaded {
        calls: load.calls,
        at_once: load.at_once,
        budget_usd: load.budget.0,
        billed_usd: billed,
        overspend_usd: billed.saturating_sub(load.budget.0),
        left_usd: load.budget.0.saturating_sub(billed),
        repeated: bills.calls.values().filter(|bill| bill.times > 1).count() as u64,
        calls_per_second: load.calls as f64 / seconds,
        median_ms: part(50),
        p99_ms: part(99),
        ..loaded
    })
}

/// Uses up what is left, call by call; how many passed before one did not.
async fn afterwards(caller: &Caller, first: u64) -> Result<u64> {
    // Ends of dropped calls may be under way.
    time::sleep(Duration::from_secs(1)).await;
    let (mut gateway, seen) = (caller.gateway()?, Mutex::new(Loaded::default()));
    let numbers = (first..caller.world.calls).filter(|n| caller.world.fate(*n) == Fate::Whole);
    for number in numbers.take(MOST_AFTERWARDS as usize) {
        caller.call(&mut gateway, number, &seen).await?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.refused > 0 {
            return Ok(seen.answered + seen.dropped);
        }
    }
    Ok(MOST_AFTERWARDS)
}

/// Whoever calls.
#[derive(Debug, Clone)]
struct Caller {
    world: Arc<World>,
    bills: Bills,
    url: String,
    key: String,
    model: Option<String>,
}

impl Caller {
    /// A client without any budget of its own.
    fn gateway(&self) -> Result<Gateway> {
        let config =
            ProviderConfig::new(ProviderName::new(ACCOUNTS[CHAT].0)?, ProviderKind::OpenAiChat)
                .with_base_url(&self.url)
                .with_key(SecretString::new(self.key.clone()));
        Ok(Gateway::new([config], plan::prices(), Client::new())?)
    }

    /// Makes a call of the plan; how long it took, if its answer came at once.
    async fn call(
        &self,
        gateway: &mut Gateway,
        number: u64,
        seen: &Mutex<Loaded>,
    ) -> Result<Option<f64>> {
        let call = self.world.call(number);
        let model = self.model.as_deref().unwrap_or(&call.payer.model);
        let prompt = format!("c-{number} {}", "x".repeat(call.bytes));
        let request = Request::new(model, prompt).with_max_tokens(call.max_tokens.unwrap_or(700));
        let now = || self.world.now();
        let (began, result) = loop {
            let (began, mut sent) = (Instant::now(), false);
            let mut sink = |delta: Delta| sent |= delta == Delta::Sent;
            let asked = gateway.complete(&call.payer, &request, &now, &mut sink);
            match time::timeout(call.patience, asked).await {
                // The client's own breaker, of which the gateway knows nothing.
                Ok(Err(failure)) if !sent && worker::is_breaker(&failure) => {
                    *gateway = self.gateway()?;
                }
                result => break (began, result),
            }
        };
        let took = began.elapsed().as_secs_f64() * 1_000.0;
        let reached = self.bills.lock().calls.contains_key(&number);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match &result {
            Err(_) => &mut seen.dropped,
            Ok(Ok(_)) => &mut seen.answered,
            Ok(Err(_)) if reached => &mut seen.failed,
            Ok(Err(_)) => &mut seen.refused,
        };
        *count += 1;
        let at_once = matches!(result, Ok(Ok(_))) && self.world.fate(number) == Fate::Whole;
        Ok(at_once.then_some(took))
    }
}

/// Our own front before the upstream; its URL and a token worth the budget.
async fn front(load: &Load, upstream: SocketAddr, directory: &Path) -> Result<(String, String)> {
    let account = ProviderName::new(ACCOUNTS[CHAT].0)?;
    let mut payer = Payer::new(account.clone(), "");
    payer.run = Some(RunId::new("r_load")?);
    let budget = Rule::hard(ScopeKind::Run, Window::Total, Unit::Usd, load.budget.0);
    let grant = Grant::new(payer, Timestamp(u64::MAX))
        .with_accounts([account.clone()])
        .with_models(["*"])
        .with_rules([budget]);
    let tokens = Arc::new(Tokens::new());
    let token = tokens.issue(grant)?;
    let ledger = Arc::new(LocalStore::open(directory).context("cannot open the store")?);
    let upstream = Upstream::new(account, Api::OpenAi, &format!("http://{upstream}/v1"))?
        .with_key(SecretString::new("key"))?;
    let config = FrontConfig::new(OwnerId::new("load")?, ledger, tokens, Arc::new(SystemClock))
        .with_prices(plan::prices())
        .with_upstream(upstream);
    let front = Front::bind(([127, 0, 0, 1], 0).into(), config).await?;
    let url = format!("http://{}/openai/v1", front.address());
    tokio::spawn(front.serve(std::future::pending()));
    Ok((url, token.expose().to_owned()))
}
