//! The lives of an engine: each is a process that ends in a crash or when all is done.

use super::{
    Construct, EPOCH, Job, MakeAgent, Outcome, SeededIds, VirtualClock, chaos::Chaos,
    people::People, witness::Witness, world::World,
};
use crate::faults::{FaultyBlobs, FaultyStore, Power, Seam};
use orchestrator_core::{
    agent::AgentSpec,
    engine::{Engine, EngineError, RunHandle},
    id::{OwnerId, RunId},
    memory::MemoryBlobs,
    port::Agent,
    run::StartRun,
    time::Timestamp,
    workflow::{Problem, Workflow},
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often it is looked whether all is done, and whether a run was put down.
const LOOK: Duration = Duration::from_millis(500);

/// How long it may take until all is done once nobody disturbs any more.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

/// How long a crashed process is down, at most, when it is disturbed by chance, in milliseconds.
const DOWN_MS: u64 = 45_000;

/// How a simulation comes to its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// Chance and people disturb it until then.
    Disturbed { calm_after: Duration },
    /// People help from the beginning; what befalls it is said exactly.
    Exact,
}

/// All that a simulation begins with.
pub(super) struct Laboratory {
    pub(super) seed: u64,
    pub(super) without: BTreeSet<Construct>,
    pub(super) jobs: Vec<Job>,
    pub(super) agents: Vec<(AgentSpec, MakeAgent)>,
    pub(super) chaos: Chaos,
    pub(super) ending: Ending,
}

/// A run that is to be started.
struct Planned {
    source: String,
    after: Duration,
    start: StartRun,
}

/// What is the same in every life.
struct Stage {
    world: Arc<World>,
    clock: Arc<VirtualClock>,
    ids: Arc<SeededIds>,
    blobs: Arc<MemoryBlobs>,
    agents: Vec<(AgentSpec, Arc<dyn Agent>)>,
    planned: Vec<Planned>,
    calm: AtomicBool,
    calm_at: Timestamp,
    overdue: Timestamp,
}

impl Laboratory {
    /// Lets it happen.
    pub(super) fn run(self) -> Outcome {
        let clock = Arc::new(VirtualClock::new(EPOCH));
        let world = Arc::new(World::new(clock.clone(), self.chaos.clone()));
        let (calm, calm_at) = match self.ending {
            Ending::Disturbed { calm_after } => (false, EPOCH.after(calm_after)),
            Ending::Exact => (true, EPOCH),
        };
        let (mut planned, mut acts) = (Vec::new(), Vec::new());
        let mut rng = super::Rng::new(self.seed, "starts");
        for (number, job) in self.jobs.iter().enumerate() {
            let source = format!("job-{number}");
            world.note(format_args!("{source}: {}", job.document));
            for (name, document) in &job.library {
                world.note(format_args!("{source} {name}: {document}"));
            }
            let after = if number == 0 { Duration::ZERO } else { rng.pause(0, 20_000) };
            match start_of(&source, job) {
                Ok(start) => planned.push(Planned { source: source.clone(), after, start }),
                Err(problem) => world.broken(format!("{source} is not accepted: {problem}")),
            }
            acts.extend(
                job.acts
                    .iter()
                    .map(|(task, signal)| (source.clone(), task.clone(), signal.clone())),
            );
        }
        let stage = Stage {
            world: world.clone(),
            clock: clock.clone(),
            ids: Arc::new(SeededIds::new(self.seed)),
            blobs: Arc::default(),
            agents: self
                .agents
                .iter()
                .map(|(spec, make)| (spec.clone(), make(clock.clone())))
                .collect(),
            planned,
            calm: AtomicBool::new(calm),
            calm_at,
            overdue: calm_at.after(PATIENCE),
        };
        let mut people = People {
            world: world.clone(),
            rng: super::Rng::new(self.seed, "people"),
            without: self.without.clone(),
            acts,
        };
        let mut down = super::Rng::new(self.seed, "down");
        let mut lives = 0;
        while !stage.live(lives, &mut people) {
            lives += 1;
            let longest = if calm { 100 } else { DOWN_MS };
            world.advance(down.pause(0, longest));
        }
        stage.close(self.seed, lives)
    }
}

impl Stage {
    /// One process, from its start to its end; whether all is done.
    fn live(&self, life: u32, people: &mut People) -> bool {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                self.world.broken(format!("no runtime can be made: {error}"));
                return true;
            }
        };
        let seam = Seam::new(self.world.clone());
        let power = seam.power().clone();
        let lived = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                self.clock.start();
                self.world.note(format_args!("life {life} begins"));
                let engine = self.engine(life, &seam);
                let calm = || self.is_calm();
                let done = tokio::select! {
                    biased;
                    () = power.lost() => false,
                    () = self.attend(&engine, &power) => true,
                    () = people.live(calm) => true,
                    () = self.guard() => true,
                };
                self.clock.stop(Duration::ZERO);
                done
            })
        }));
        let done = lived.unwrap_or(true);
        if self.clock.is_stuck() && self.world.is_sound() {
            self.world.broken("somebody turns in a circle without waiting".into());
        }
        let done = done || self.clock.is_stuck();
        // All that lived in it is dropped here, wherever it was.
        power.cut();
        drop(runtime);
        self.world.dead();
        self.world.note(format_args!("life {life} ends{}", if done { "" } else { " in a crash" }));
        self.audit();
        done
    }

    fn is_calm(&self) -> bool {
        if !self.calm.load(Ordering::Relaxed) && self.clock.reading() >= self.calm_at {
            self.calm.store(true, Ordering::Relaxed);
            self.world.note(format_args!("calm"));
            self.world.chaos(Chaos::calm);
        }
        self.calm.load(Ordering::Relaxed)
    }

    fn engine(&self, life: u32, seam: &Seam) -> Engine {
        let store = FaultyStore::new(self.world.store.clone(), seam.clone());
        let blobs = FaultyBlobs::new(self.blobs.clone(), seam.clone());
        let mut builder = Engine::builder()
            .store(Arc::new(store))
            .blobs(Arc::new(blobs))
            .clock(self.clock.clone())
            .ids(self.ids.clone())
            .workspaces(self.world.places.clone())
            .dead_when(|_| true);
        if let Ok(owner) = OwnerId::new(format!("life-{life}")) {
            builder = builder.owner(owner);
        }
        for (spec, agent) in &self.agents {
            let (inner, world, seam) = (agent.clone(), self.world.clone(), seam.clone());
            builder = builder.agent(spec.clone(), Arc::new(Witness { inner, world, seam }));
        }
        builder.build()
    }

    /// Starts what is to be started, takes up what was put down, until all is done.
    async fn attend(&self, engine: &Engine, power: &Power) {
        loop {
            match engine.recover().await {
                Ok(taken) => taken.into_iter().for_each(|handle| self.watch(handle)),
                Err(error) => {
                    self.world.note(format_args!("the open runs cannot be listed: {error}"));
                }
            }
            let mut missing = false;
            for planned in &self.planned {
                if self.world.run_from(&planned.source).is_some() {
                    continue;
                }
                missing = true;
                if self.clock.reading() < EPOCH.after(planned.after) {
                    continue;
                }
                match engine.start(planned.start.clone()).await {
                    Ok(handle) => {
                        self.world.note(format_args!("run {} is started", handle.id()));
                        self.watch(handle);
                    }
                    Err(error) => {
                        self.world.note(format_args!("{} is not started: {error}", planned.source));
                    }
                }
            }
            let all_ended = self.world.runs().iter().all(|(_, ended)| *ended);
            if !missing && all_ended && engine.runs() == (0, 0) {
                return;
            }
            self.is_calm();
            tokio::time::sleep(LOOK).await;
            power.hold().await;
        }
    }

    /// Ends when it takes too long, or time does not go on.
    async fn guard(&self) {
        while self.clock.reading() < self.overdue && !self.clock.is_stuck() {
            tokio::time::sleep(LOOK).await;
        }
        let what = match self.clock.is_stuck() {
            true => "somebody turns in a circle without waiting",
            false => "it does not end",
        };
        let open = self.world.open().await.join("; ");
        self.world.broken(format!("{what}: {open}"));
    }

    /// Notes how the engine is done with a run. That it is at a loss is never right.
    fn watch(&self, handle: RunHandle) {
        let world = self.world.clone();
        tokio::spawn(async move {
            let run = handle.id().clone();
            match handle.wait().await {
                Ok(report) => world.note(format_args!("run {run} is left {}", report.status)),
                Err(error @ EngineError::Store(_)) => {
                    world.note(format_args!("run {run} is put down: {error}"));
                }
                Err(error) => world.broken(format!("run {run} is put down: {error}")),
            }
        });
    }

    /// Looks at everything that is stored, while nothing lives.
    fn audit(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(self.world.audit());
        }
    }

    fn close(self, seed: u64, crashes: u32) -> Outcome {
        let took = self.clock.reading().since(EPOCH);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let results =
            runtime.map(|runtime| runtime.block_on(self.world.results())).unwrap_or_default();
        let (calls, ops) = self.world.counts();
        let (performed, recorded) = self.world.turns();
        let (permitted, delivered) = self.world.told();
        let runs = self.world.runs().len();
        let (trace, violations) = self.world.finish();
        Outcome {
            seed,
            trace,
            violations,
            results,
            runs,
            crashes,
            calls,
            points: ops.len() as u64,
            ops,
            performed,
            recorded,
            permitted,
            delivered,
            took,
        }
    }
}

fn said(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What a job starts, or what is wrong with it.
fn start_of(source: &str, job: &Job) -> Result<StartRun, String> {
    let workflow = |document: &Value| -> Result<Arc<Workflow>, String> {
        Workflow::parse(document).map(Arc::new).map_err(|problems| said(&problems))
    };
    let top = workflow(&job.document)?;
    let inputs = top.bind_inputs(&Map::new()).map_err(|problems| said(&problems))?;
    let mut start = StartRun::new(top);
    start.inputs = inputs;
    start.source = source.to_owned();
    start.library = job
        .library
        .iter()
        .map(|(name, document)| Ok((name.clone(), workflow(document)?)))
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    Ok(start)
}

/// Whether `run` is one of those that a job starts; children and chains are not.
pub(super) fn is_planned(world: &World, source: &str, run: &RunId) -> bool {
    world.run_from(source).as_ref() == Some(run)
}
