//! The driver of one run: commands in, events made durable, effects performed.

use super::{
    EngineError, Shared,
    attempt::Ended,
    children::Ward,
    desk::Desk,
    gate::Counted,
    registry::{Place, Revived},
    report::RunReport,
    schema::Schema,
    seat::{Seat, Summons},
    watched::Watched,
};
use crate::{
    agent::AgentSpec,
    command::{AttemptKey, Command},
    effect::Question,
    error::{ErrorClass, Failure},
    id::{AgentName, Epoch, RunId, TaskName},
    port::{Agent, CachedResult, Signal, StoreError},
    run::{Run, RunStatus},
    schedule::HeldUp,
    time::Timestamp,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{AbortHandle, JoinSet},
};
use tracing::Instrument;

/// How often what running attempts say is made durable.
pub(super) const BEAT: Duration = Duration::from_millis(200);

/// How often it is published what holds tasks up.
pub(super) const PUBLISH: Duration = Duration::from_secs(1);

/// How long a run stays in memory that only waits: what ends soon finds it there.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The same while more runs than [`CROWD`] are in memory: thousands that come to wait in one second
/// are not all kept for it.
pub(super) const LINGER_IN_CROWD: Duration = Duration::from_millis(50);

/// How many runs may be in memory before those that only wait have to make room.
pub(super) const CROWD: usize = 256;

/// The most commands that are made durable together.
pub(super) const BATCH: usize = 1_024;

/// How many questions are found out at once: each may hold large values, and the items of one list
/// may ask a hundred thousand in one moment.
pub(super) const RIDDLES: usize = 64;

/// What reaches a driver. Small, since an inbox has room for thirty-two of them from the start.
#[derive(Debug)]
pub(super) enum Input {
    /// An attempt ended.
    Ended(Box<Ended>),
    /// A command that somebody wants to know to be durable.
    Durable(Box<Command>, oneshot::Sender<Result<(), Failure>>),
    /// A judge is wanted for an attempt whose agent is done.
    Summons(Box<Summons>),
    /// The judge of an attempt has answered, or failed so.
    Judged(Box<(AttemptKey, Result<(), ErrorClass>)>),
    /// A command from elsewhere.
    Command(Box<Command>),
    /// What was done aside is done; these commands follow from it.
    Done(Box<Result<Vec<Command>, StoreError>>),
    /// A question was found out; these commands follow from it.
    Solved(Box<Result<Vec<Command>, StoreError>>),
    /// A child exists, or cannot: signals to it need not be withheld.
    BroughtUp(RunId),
    /// What was made cannot be kept, or the lease is lost: the run has to be put down.
    Unkept(Box<StoreError>),
    /// Something is in the run's inbox.
    Mail,
    /// Something that was held up may start.
    Wake,
}

/// A command on its way.
pub(super) struct Order {
    pub(super) command: Command,
    pub(super) told: Option<oneshot::Sender<Result<(), Failure>>>,
    pub(super) cached: Option<Box<CachedResult>>,
}

impl From<Command> for Order {
    fn from(command: Command) -> Self {
        Self { command, told: None, cached: None }
    }
}

/// An attempt that the driver supervises. Dropping it stops the attempt at once.
pub(super) struct Supervised {
    pub(super) desk: Arc<Desk>,
    pub(super) task: AbortHandle,
    pub(super) counted: Counted,
    /// Whose place it has.
    pub(super) seat: Seat,
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) struct Driver {
    pub(super) shared: Arc<Shared>,
    pub(super) run: Run,
    pub(super) epoch: Epoch,
    pub(super) inbox: mpsc::UnboundedSender<Input>,
    pub(super) incoming: mpsc::UnboundedReceiver<Input>,
    pub(super) status: watch::Sender<RunStatus>,
    pub(super) attempts: BTreeMap<AttemptKey, Supervised>,
    /// The judges that wait for a place.
    pub(super) summons: Vec<Summons>,
    /// The agents of the run, as they were when it began.
    pub(super) agents: BTreeMap<AgentName, (Arc<AgentSpec>, Arc<dyn Agent>)>,
    /// The compiled output schemas of `for-each` tasks, by their places.
    pub(super) schemas: BTreeMap<usize, Arc<Schema>>,
    /// What follows from effects that were performed on the spot.
    pub(super) orders: Vec<Order>,
    /// What is done aside, and how much of it has not said what follows.
    pub(super) aside: JoinSet<()>,
    pub(super) pending: usize,
    /// What is still to be found out, and how much of it is being found out.
    pub(super) riddles: VecDeque<(usize, Question)>,
    pub(super) solving: usize,
    /// The children whose ends are waited for.
    pub(super) wards: Vec<Ward>,
    /// Signals to children that are being brought up, until they are.
    pub(super) withheld: BTreeMap<RunId, Vec<Signal>>,
    /// When children that are driven elsewhere are looked at again.
    pub(super) look_at: Option<Timestamp>,
    /// Whether the run's inbox has to be read.
    pub(super) mail: bool,
    pub(super) woken: bool,
    pub(super) beat_at: Timestamp,
    pub(super) publish_at: Option<Timestamp>,
    /// Whether the last append was not durable at once.
    pub(super) waits_for_commits: bool,
    /// What holds tasks up, as it was published last.
    pub(super) published: Vec<(TaskName, HeldUp)>,
    pub(super) idle_since: Timestamp,
}

/// Why the driver woke up.
enum Woken {
    Inputs,
    Clock,
    Interrupted,
}

/// How driving ended.
enum Finish {
    /// The run is over.
    Ended,
    /// The engine goes down.
    PutDown,
    /// It only waits; somebody else will take it up.
    Parked,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        run: Run,
        epoch: Epoch,
        place: Place,
        wards: Box<[Ward]>,
    ) -> Self {
        let now = shared.clock.now();
        let Place { inbox, incoming, status } = place;
        Self {
            beat_at: now.after(BEAT),
            idle_since: now,
            look_at: (!wards.is_empty()).then(|| now.after(super::LOOK_AGAIN)),
            wards: wards.into(),
            shared,
            run,
            epoch,
            inbox,
            incoming,
            status,
            attempts: BTreeMap::new(),
            summons: Vec::new(),
            agents: BTreeMap::new(),
            schemas: BTreeMap::new(),
            orders: Vec::new(),
            aside: JoinSet::new(),
            pending: 0,
            riddles: VecDeque::new(),
            solving: 0,
            withheld: BTreeMap::new(),
            mail: false,
            woken: false,
            publish_at: None,
            waits_for_commits: false,
            published: Vec::new(),
        }
    }

    /// Takes a parked run up from its log and drives it on.
    pub(super) async fn revive(shared: Arc<Shared>, run: RunId, revived: Revived) {
        let Revived { epoch, place, wards } = revived;
        let loaded = {
            // Many may come due in one instant: they are not all in memory at once.
            let _turn = shared.revivals.acquire().await;
            super::children::patiently(&shared, || async {
                match shared.load(&run).await {
                    Err(EngineError::Store(error)) => Err(error),
                    loaded => Ok(loaded),
                }
            })
            .await
        };
        match loaded.map_err(EngineError::from).flatten() {
            Ok(loaded) => {
                let mut driver = Self::new(shared, loaded, epoch, place, wards);
                driver.mail = true;
                driver.orders.push(Command::Tick.into());
                driver.drive().await;
            }
            Err(error) => {
                tracing::error!(%run, %error, "a parked run could not be taken up");
                shared.forget(&run);
                shared.runs.remove(&run, || Err(error));
            }
        }
    }

    /// Drives the run until it ends, is parked, or has to be put down.
    pub(super) async fn drive(self) {
        let span = tracing::info_span!("run", run = %self.run.id(), workflow = %self.run.created().workflow.name);
        match span.is_disabled() {
            true => self.see_through().await,
            false => self.see_through().instrument(span).await,
        }
    }

    async fn see_through(mut self) {
        let mut watched = Watched::new(&self.shared, self.run.id());
        let finish = self.work().await;
        if matches!(finish, Ok(Finish::Parked)) {
            watched.relieve();
            return;
        }
        // Nothing of it goes on while others hear of its end.
        self.attempts.clear();
        self.aside.abort_all();
        let lost = matches!(&finish, Err(EngineError::Store(StoreError::Fenced { .. })));
        // The last event of a run gives the lease back. One that cannot be given back lapses.
        let given = lost || self.run.status().is_final() && finish.is_ok();
        if !given && let Err(error) = self.shared.store.release(self.run.id(), self.epoch).await {
            tracing::warn!(%error, "the lease could not be given back");
        }
        if finish.is_err() {
            self.abandon_accounts();
        }
        self.publish_status();
        // The parent first, so that there is no moment at which neither of them is at work.
        if self.run.status().is_final() && finish.is_ok() {
            self.shared.tell_parent(&self.run).await;
        } else if let Some(parent) = &self.run.created().parent {
            let input = match &finish {
                // Somebody else drives it now, or the engine goes down: it looks again, by and by.
                Ok(_) => Input::Wake,
                Err(_) if lost => Input::Wake,
                // A child that cannot go on would be waited for without an end.
                Err(EngineError::Store(error)) => Input::Unkept(Box::new(error.clone())),
                Err(error) => Input::Unkept(Box::new(StoreError::Damaged(error.to_string()))),
            };
            self.shared.deliver(parent, input);
        }
        watched.relieve();
        self.shared.forget(self.run.id());
        let outcome = || match finish {
            Ok(_) => Ok(RunReport::of(&self.run, !self.run.status().is_final())),
            Err(error) => Err(error),
        };
        self.shared.runs.remove(self.run.id(), outcome);
    }

    async fn work(&mut self) -> Result<Finish, EngineError> {
        let mut interrupted = self.shared.interrupted.subscribe();
        let mut inputs = Vec::new();
        loop {
            if *interrupted.borrow_and_update() {
                if self.run.status().is_final() {
                    return Ok(Finish::Ended);
                }
                self.put_down().await?;
                return Ok(Finish::PutDown);
            }
            self.perform();
            if !self.orders.is_empty() {
                let orders = std::mem::take(&mut self.orders);
                self.carry_out(orders).await?;
                continue;
            }
            if self.mail {
                self.mail = false;
                self.read_mail().await?;
                continue;
            }
            if self.woken {
                self.woken = false;
                self.shared.passed(self.run.id());
            }
            if self.run.status().is_final() && self.pending == 0 {
                return Ok(Finish::Ended);
            }
            self.publish_status();
            let now = self.shared.clock.now();
            if self.park(now) {
                return Ok(Finish::Parked);
            }
            let woken = {
                let wake = self.wake(now);
                let clock = async {
                    match wake {
                        Some(at) => self.shared.clock.until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    _ = interrupted.wait_for(|stop| *stop) => Woken::Interrupted,
                    _ = self.incoming.recv_many(&mut inputs, BATCH) => Woken::Inputs,
                    () = clock => Woken::Clock,
                }
            };
            match woken {
                Woken::Interrupted => {}
                Woken::Inputs => {
                    self.gather(&mut inputs).await;
                    self.take(&mut inputs)?;
                }
                Woken::Clock => self.orders.push(Command::Tick.into()),
            }
            self.beat().await?;
        }
    }
    /// Lets whoever else is at its end right now come too, so that one commit serves all of them,
    /// where commits take their time.
    async fn gather(&mut self, inputs: &mut Vec<Input>) {
        if self.waits_for_commits && self.attempts.len() > inputs.len() {
            tokio::task::yield_now().await;
            while inputs.len() < BATCH
                && let Ok(input) = self.incoming.try_recv()
            {
                inputs.push(input);
            }
        }
    }
}
