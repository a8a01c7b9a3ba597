//! The parent's hands: it starts workers, hands out calls, and kills.

use super::{
    Plan,
    plan::World,
    worker::{ORDERS, Orders, Report, Say},
};
use anyhow::{Context as _, Result};
use orchestrator_core::{
    id::OwnerId,
    port::{CallState, HoldId, Ledger as _},
};
use orchestrator_store::LocalStore;
use orchestrator_testkit::sim::Rng;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{Write as _, stderr},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time,
};

/// The whole proof takes less than that, or something hangs.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How many processes are stopped at most to find one that holds something.
const MOST_STOPS: u32 = 200;

/// What the workers did.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    pub(crate) reports: Vec<Report>,
    /// Processes that were started, and those that were killed.
    pub(crate) started: u64,
    pub(crate) kills: u64,
    /// Kills of processes that held something.
    pub(crate) kills_with_holds: u64,
    /// Reservations of dead processes that were ended by their successor, and by the parent.
    pub(crate) ended_by: [u64; 2],
    /// Dead processes that were left to their leases.
    pub(crate) left: u64,
    pub(crate) failures: Vec<String>,
}

#[derive(Debug)]
struct Desk {
    next: AtomicU64,
    calls: u64,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    reports: Vec<Report>,
    ended: u64,
}

impl Desk {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one lane of a worker until there is nothing left to do, or the worker is dead.
    async fn serve(&self, stream: TcpStream) -> Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        while let Some(line) = lines.next_line().await? {
            match serde_json::from_str(&line)? {
                Say::Ready(ended) => self.said().ended += ended,
                Say::Ended(report) => self.said().reports.push(report),
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let next = (number < self.calls).then_some(number);
            writer.write_all(format!("{}\n", serde_json::to_string(&next)?).as_bytes()).await?;
        }
        Ok(())
    }
}

/// A place for one process after the other.
struct Seat {
    owner: OwnerId,
    child: Child,
    is_done: bool,
}

impl Seat {
    /// Sends a signal; `false` when the process has ended.
    fn signal(&self, signal: Signal) -> Result<bool> {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(match id {
            Some(id) => kill_process(id, signal).map(|()| true)?,
            None => false,
        })
    }
}

struct Foreman<'a> {
    plan: &'a Plan,
    world: &'a World,
    directory: &'a Path,
    upstream: SocketAddr,
    control: SocketAddr,
    rng: Rng,
    crew: Crew,
}

/// Has every call made, by workers that are killed now and then.
pub(crate) async fn work(
    plan: &Plan,
    world: &World,
    store: &LocalStore,
    directory: &Path,
    upstream: SocketAddr,
) -> Result<Crew> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot open a port")?;
    let control = listener.local_addr()?;
    let (next, said) = (AtomicU64::new(0), Mutex::default());
    let desk = Arc::new(Desk { next, calls: plan.calls, said });
    let served = desk.clone();
    let desks = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let desk = served.clone();
            tokio::spawn(async move {
                // A lane ends with its process.
                let _ = desk.serve(stream).await;
            });
        }
    });
    let (rng, crew) = (Rng::new(plan.seed, "crew"), Crew::default());
    let mut foreman = Foreman { plan, world, directory, upstream, control, rng, crew };
    let mut seats = Vec::new();
    for _ in 0..plan.processes {
        seats.push(foreman.start(None)?);
    }
    foreman.drive(&desk, store, &mut seats).await?;
    desks.abort();
    let mut crew = foreman.crew;
    let said = std::mem::take(&mut *desk.said());
    (crew.reports, crew.ended_by[0]) = (said.reports, said.ended);
    Ok(crew)
}

impl Foreman<'_> {
    /// Starts a worker, which is to end what `dead` held.
    fn start(&mut self, dead: Option<&OwnerId>) -> Result<Seat> {
        self.crew.started += 1;
        let owner = OwnerId::new(format!("worker-{}", self.crew.started))?;
        let orders = Orders {
            seed: self.plan.seed,
            calls: self.plan.calls,
            began: self.world.began,
            store: self.directory.to_owned(),
            upstream: self.upstream,
            control: self.control,
            owner: owner.to_string(),
            lanes: usize::try_from(self.rng.between(8, 16)).unwrap_or(8),
            dead: dead.map(ToString::to_string),
        };
        let child = Command::new(std::env::current_exe()?)
            .args(&self.plan.worker)
            .env(ORDERS, serde_json::to_string(&orders)?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a worker")?;
        Ok(Seat { owner, child, is_done: false })
    }

    /// Kills until every call was handed out, then waits for the workers.
    async fn drive(&mut self, desk: &Desk, store: &LocalStore, seats: &mut [Seat]) -> Result<()> {
        let (begin, mut told) = (Instant::now(), 0);
        let mut kill_at = self.rng.between(20, 70);
        while seats.iter().any(|seat| !seat.is_done) {
            let handed = desk.next.load(Ordering::Relaxed);
            if handed >= kill_at && handed < self.plan.calls {
                let pick = self.victim(store, seats).await?;
                seats[pick] = self.replace(store, &mut seats[pick]).await?;
                kill_at = desk.next.load(Ordering::Relaxed) + self.rng.between(20, 70);
            }
            for seat in seats.iter_mut().filter(|seat| !seat.is_done) {
                if let Some(status) = seat.child.try_wait()? {
                    seat.is_done = true;
                    if !status.success() {
                        let what = format!("{} ended with {status}", seat.owner);
                        self.crew.failures.push(what);
                    }
                }
            }
            if self.plan.talks && handed / 1_000 > told {
                told = handed / 1_000;
                let (kills, seconds) = (self.crew.kills, begin.elapsed().as_secs());
                // Progress that nobody reads is no failure.
                let _ = writeln!(stderr(), "{handed} calls, {kills} kills, {seconds} s");
            }
            if begin.elapsed() > LONGEST {
                self.crew.failures.push("the workers did not end".to_owned());
                return Ok(());
            }
            time::sleep(Duration::from_millis(3)).await;
        }
        Ok(())
    }

    /// Whose turn it is to die: mostly one that is caught holding something, and stands still.
    async fn victim(&mut self, store: &LocalStore, seats: &[Seat]) -> Result<usize> {
        let any = |rng: &mut Rng| usize::try_from(rng.below(seats.len() as u64)).unwrap_or(0);
        if self.rng.chance(250) {
            return Ok(any(&mut self.rng));
        }
        for _ in 0..MOST_STOPS {
            let pick = any(&mut self.rng);
            if !seats[pick].signal(Signal::STOP)? {
                continue;
            }
            if holds(store, &seats[pick].owner).await? {
                return Ok(pick);
            }
            seats[pick].signal(Signal::CONT)?;
            time::sleep(Duration::from_millis(2)).await;
        }
        Ok(any(&mut self.rng))
    }

    /// Kills a worker and starts its successor. What the dead one held is ended by either, or is left
    /// to its lease.
    async fn replace(&mut self, store: &LocalStore, seat: &mut Seat) -> Result<Seat> {
        seat.child.start_kill()?;
        seat.child.wait().await?;
        self.crew.kills += 1;
        self.crew.kills_with_holds += u64::from(holds(store, &seat.owner).await?);
        match self.crew.kills % 5 {
            0 | 1 => self.start(Some(&seat.owner)),
            2 | 3 => {
                self.crew.ended_by[1] += store.expire(Some(&seat.owner), self.world.now()).await?;
                self.start(None)
            }
            _ => {
                self.crew.left += 1;
                self.start(None)
            }
        }
    }
}

/// Whether the ledger has something held by `owner`.
async fn holds(store: &LocalStore, owner: &OwnerId) -> Result<bool> {
    let first = HoldId { owner: owner.clone(), number: 0 };
    let calls = store.calls(None, Some(&first), 1_000).await?;
    let mut own = calls.iter().filter(|call| call.hold.owner == *owner);
    Ok(own.any(|call| call.state == CallState::Held))
}
