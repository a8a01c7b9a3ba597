//! A worker: a process with a store, a budget and gateways of its own.

use super::plan::{self, World};
use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{OwnerId, ProviderName},
    port::{CallRecord, CallState, Clock, HoldId, Ledger as _},
    time::Timestamp,
};
use orchestrator_gateway::{
    Client, Delta, Gateway, ProviderConfig, ProviderKind, Request, SecretString, budget::Budget,
};
use orchestrator_store::LocalStore;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
    time,
};

/// The variable that makes this program a worker: its [`Orders`].
pub(crate) const ORDERS: &str = "ORCHESTRATOR_PROOF_WORKER";

/// How long the ends of dropped calls may take to reach the ledger.
const LAST_ENDS: Duration = Duration::from_secs(30);

/// What a worker is told by who starts it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) seed: u64,
    pub(crate) calls: u64,
    pub(crate) began: u64,
    pub(crate) store: PathBuf,
    pub(crate) upstream: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) owner: String,
    /// How many calls it makes at a time.
    pub(crate) lanes: usize,
    /// An owner that is known to be dead, whose reservations it is to end.
    pub(crate) dead: Option<String>,
}

/// How a call ended, as its worker saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) number: u64,
    pub(crate) ended: Ended,
    /// Whether it waited for what others held.
    pub(crate) waited: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    /// With an answer; what it cost, when that is known.
    Answered(Option<u64>),
    /// With an error of the upstream.
    Failed,
    /// By a limit, in its words.
    Refused(String),
    /// Given up, after it was sent or before.
    Dropped { sent: bool },
}

/// What is said on a lane's connection to the parent, a line each way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Say {
    /// The worker is ready, having ended so many reservations of a dead one.
    Ready(u64),
    /// A call has ended.
    Ended(Report),
}

/// Does the work of a worker when this process was started as one; `false` when it was not.
///
/// # Errors
/// When the work cannot be done; the parent reports that as a failure.
pub(crate) fn serve() -> Result<bool> {
    let Ok(orders) = std::env::var(ORDERS) else { return Ok(false) };
    let orders: Orders = serde_json::from_str(&orders).context("cannot read the orders")?;
    Runtime::new()?.block_on(work(orders))?;
    Ok(true)
}

/// The time as the parent tells it, too.
#[derive(Debug)]
struct Hasty(Arc<World>);

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn until(&self, at: Timestamp) {
        while self.now() < at {
            time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn work(orders: Orders) -> Result<()> {
    let world = Arc::new(World::begun(orders.seed, orders.calls, orders.began));
    let store = Arc::new(LocalStore::open(&orders.store).context("cannot open the store")?);
    let mut ended = 0;
    if let Some(dead) = &orders.dead {
        ended = store.expire(Some(&OwnerId::new(dead)?), world.now()).await?;
    }
    let owner = OwnerId::new(&orders.owner)?;
    let clock = Arc::new(Hasty(world.clone()));
    let budget = Budget::new(store.clone(), world.rules(), owner.clone(), clock);
    let client = Client::new();
    let mut lanes = JoinSet::new();
    for lane in 0..orders.lanes {
        let lane = Lane {
            world: world.clone(),
            budget: budget.clone(),
            client: client.clone(),
            upstream: orders.upstream,
            first: if lane == 0 { ended } else { 0 },
        };
        lanes.spawn(lane.run(orders.control));
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    nothing_is_held(&store, &owner).await
}

/// What a live process holds ends with its calls, also those that were dropped.
async fn nothing_is_held(store: &LocalStore, owner: &OwnerId) -> Result<()> {
    let begin = Instant::now();
    while let Some(call) = held_by(store, owner).await? {
        if begin.elapsed() > LAST_ENDS {
            bail!("{} is held for ever", call.hold);
        }
        time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A call that the owner still holds.
async fn held_by(store: &LocalStore, owner: &OwnerId) -> Result<Option<CallRecord>> {
    let mut after = HoldId { owner: owner.clone(), number: 0 };
    loop {
        let page = store.calls(None, Some(&after), 500).await?;
        let own = page.iter().take_while(|call| call.hold.owner == *owner);
        if let Some(held) = own.clone().find(|call| call.state == CallState::Held) {
            return Ok(Some(held.clone()));
        }
        let Some(last) = own.last() else { return Ok(None) };
        after = last.hold.clone();
    }
}

/// One call after the other.
struct Lane {
    world: Arc<World>,
    budget: Budget,
    client: Client,
    upstream: SocketAddr,
    first: u64,
}

impl Lane {
    async fn run(self, control: SocketAddr) -> Result<()> {
        let stream = TcpStream::connect(control).await.context("cannot reach the parent")?;
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let mut gateway = self.gateway()?;
        let mut say = Say::Ready(self.first);
        loop {
            let line = format!("{}\n", serde_json::to_string(&say)?);
            writer.write_all(line.as_bytes()).await?;
            let next = lines.next_line().await?.context("the parent hung up")?;
            let Some(number) = serde_json::from_str::<Option<u64>>(&next)? else { return Ok(()) };
            say = Say::Ended(self.call(&mut gateway, number).await?);
        }
    }

    fn gateway(&self) -> Result<Gateway> {
        let mut configs = Vec::new();
        for (name, ..) in plan::ACCOUNTS {
            let kind = match name {
                "messages" => ProviderKind::Anthropic,
                _ => ProviderKind::OpenAiChat,
            };
            let config = ProviderConfig::new(ProviderName::new(name)?, kind)
                .with_base_url(format!("http://{}", self.upstream))
                .with_key(SecretString::new("key"));
            configs.push(config);
        }
        let gateway = Gateway::new(configs, plan::prices(), self.client.clone())?;
        Ok(gateway.with_budget(self.budget.clone()))
    }

    async fn call(&self, gateway: &mut Gateway, number: u64) -> Result<Report> {
        let call = self.world.call(number);
        let prompt = format!("c-{number} {}", "x".repeat(call.bytes));
        let mut request = Request::new(&call.payer.model, prompt);
        if let Some(most) = call.max_tokens {
            request = request.with_max_tokens(most);
        }
        let (mut waited, mut sent) = (false, false);
        let now = || self.world.now();
        loop {
            let mut sink = |delta| match delta {
                Delta::Sent => sent = true,
                Delta::Waiting(_) => waited = true,
                _ => {}
            };
            let asked = gateway.complete(&call.payer, &request, &now, &mut sink);
            let ended = match time::timeout(call.patience, asked).await {
                Err(_) => Ended::Dropped { sent },
                Ok(Ok(answer)) => Ended::Answered(answer.spend.cost.map(|usd| usd.0)),
                Ok(Err(failure)) if failure.class == ErrorClass::OverBudget => {
                    ensure!(!sent, "call {number} was sent and then refused: {failure}");
                    Ended::Refused(failure.message)
                }
                Ok(Err(failure)) if !sent && is_breaker(&failure) => {
                    // So many errors would keep an account shut for most of the proof.
                    *gateway = self.gateway()?;
                    continue;
                }
                Ok(Err(failure)) => {
                    ensure!(sent, "call {number} failed before it was sent: {failure}");
                    Ended::Failed
                }
            };
            return Ok(Report { number, ended, waited });
        }
    }
}

/// Whether a breaker refused the call, before anything was reserved.
pub(crate) fn is_breaker(failure: &Failure) -> bool {
    failure.class == ErrorClass::Transient && failure.retry_at.is_some()
}
