//! A seeded simulation of the whole engine: virtual time, scripted agents, a store and blobs that
//! fail, people who change their minds, and crashes. The same seed gives the same trace, byte for byte.
//!
//! A [`Simulation`] makes random workflows (or takes yours), starts them, lets the engine's process
//! die at random calls and another one recover, and checks every promise at every event:
//!
//! - what was acknowledged is in the log after every crash;
//! - nothing starts before what it needs has ended, told from the log alone by rules of their own;
//! - the rows in the store are those that the log gives;
//! - a turn that is recorded is never performed again;
//! - leases and epochs only grow, and nothing is written under an old one;
//! - no limit of a run, an agent or a group is exceeded, as counted beside the agents, and also when
//!   they judge;
//! - what is to be judged is so once it is recorded, and goes nowhere unless its judge accepts it;
//! - attempts are bounded, and every run ends once nobody disturbs it any more.
//!
//! ```
//! use orchestrator_testkit::sim::Simulation;
//!
//! let outcome = Simulation::new(7).run();
//! assert_eq!(outcome.violations, Vec::<String>::new());
//! // The same seed, the same story.
//! assert_eq!(outcome.trace, Simulation::new(7).run().trace);
//! ```
//!
//! Your own agents work in it under their real code when they keep to what the ports give them:
//! time from the clock that they are made with, turns by [`turn`](orchestrator_core::port::turn).
//! What they do beyond that (a socket, a thread, the system's clock) is not simulated.

mod campaign;
mod chaos;
mod clock;
mod construct;
mod generate;
mod life;
mod machine;
mod model;
mod people;
mod prove;
mod rng;
mod script;
mod trace;
mod witness;
mod world;

pub use campaign::{Figures, Times, campaign};
pub use clock::{SeededIds, VirtualClock};
pub use construct::Construct;
pub use prove::{Point, Proof, every_crash, every_fault};
pub use rng::Rng;
pub use script::Scripted;
pub use trace::Trace;

use crate::faults::Op;
use chaos::Chaos;
use generate::Generator;
use life::{Ending, Laboratory};
use orchestrator_core::{
    agent::{AgentSpec, Role},
    id::{AgentName, ProviderName},
    port::{Agent, Clock, Signal},
    time::Timestamp,
};
use serde_json::Value;
use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc, time::Duration};

/// The virtual time at which simulations begin.
pub(crate) const EPOCH: Timestamp = Timestamp(1_700_000_000_000);

/// The most crashes of one simulation.
const MOST_CRASHES: u64 = 5;

/// The most runs that a simulation starts; children and chains come on top.
const MOST_RUNS: u64 = 4;

/// Makes an agent that lives in the time of a clock.
type MakeAgent = Arc<dyn Fn(Arc<dyn Clock>) -> Arc<dyn Agent> + Send + Sync>;

/// Work for a simulation: a workflow document, those that it starts, and what people do.
#[derive(Debug, Clone)]
pub struct Job {
    /// The document, as of a workflow file.
    pub document: Value,
    /// The documents of the workflows that it starts, by the names that it uses for them.
    pub library: Vec<(String, Value)>,
    /// What somebody sends to the run, each once, as soon as the task of that name has begun.
    pub acts: Vec<(String, Signal)>,
}

impl Job {
    /// A workflow that starts no others and that people leave alone, but for answering it.
    pub fn new(document: Value) -> Self {
        Self { document, library: Vec::new(), acts: Vec::new() }
    }

    /// The same with the document of a workflow that it starts.
    #[must_use]
    pub fn starts(mut self, name: &str, document: Value) -> Self {
        self.library.push((name.to_owned(), document));
        self
    }

    /// The same with somebody who sends `signal` once `task` has begun.
    #[must_use]
    pub fn act(mut self, task: &str, signal: Signal) -> Self {
        self.acts.push((task.to_owned(), signal));
        self
    }
}

/// A simulation of one seed.
#[derive(Clone)]
pub struct Simulation {
    seed: u64,
    without: BTreeSet<Construct>,
    crashes: u64,
    faults: bool,
    jobs: Vec<Job>,
    agents: Vec<(AgentSpec, MakeAgent)>,
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation")
            .field("seed", &self.seed)
            .field("without", &self.without)
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}

/// What came of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// All that happened.
    pub trace: Trace,
    /// The promises that were broken, in words; empty when all is well.
    pub violations: Vec<String>,
    /// How each run and task ended, by a name that does not depend on ids.
    pub results: BTreeMap<String, String>,
    /// How many runs there were, children and chains included.
    pub runs: usize,
    /// How often the engine's process died.
    pub crashes: u32,
    /// How many calls passed the seams.
    pub calls: u64,
    /// How many of them were more than a look for news: the points at which it can crash.
    pub points: u64,
    /// What was called at each of these points.
    pub ops: Vec<Op>,
    /// How many turns were performed.
    pub performed: u64,
    /// How many of them were recorded.
    pub recorded: u64,
    /// How many permissions people decided.
    pub permitted: u64,
    /// How many messages agents have got.
    pub delivered: u64,
    /// How long it took in virtual time.
    pub took: Duration,
}

impl Simulation {
    /// The simulation of `seed`: random workflows, agents, faults, crashes and people.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            without: BTreeSet::new(),
            crashes: MOST_CRASHES,
            faults: true,
            jobs: Vec::new(),
            agents: Vec::new(),
        }
    }

    /// The same with one construct left out, to narrow a failing seed down.
    #[must_use]
    pub fn without(mut self, construct: Construct) -> Self {
        self.without.insert(construct);
        self
    }

    /// The same with at most so many crashes. Default 5.
    #[must_use]
    pub fn crashes(mut self, most: u64) -> Self {
        self.crashes = most;
        self
    }

    /// The same with or without a store and blobs that fail. Default: they do.
    #[must_use]
    pub fn faults(mut self, faults: bool) -> Self {
        self.faults = faults;
        self
    }

    /// The same with this work in place of random workflows, or beside what was given before.
    #[must_use]
    pub fn job(mut self, job: Job) -> Self {
        self.jobs.push(job);
        self
    }

    /// The same with one more agent; one of the same name is replaced. `make` is given the clock
    /// that the agent has to live by.
    ///
    /// Without any the agents `worker`, `second`, `judge` and `lead` are there, each a [`Scripted`].
    #[must_use]
    pub fn agent(
        mut self,
        spec: AgentSpec,
        make: impl Fn(Arc<dyn Clock>) -> Arc<dyn Agent> + Send + Sync + 'static,
    ) -> Self {
        self.agents.retain(|(known, _)| known.name != spec.name);
        self.agents.push((spec, Arc::new(make)));
        self
    }

    /// Runs it to its end.
    pub fn run(&self) -> Outcome {
        let mut rng = Rng::new(self.seed, "workflows");
        let mut jobs = self.jobs.clone();
        if jobs.is_empty() {
            for number in 0..rng.between(1, MOST_RUNS) {
                let mut generator = Generator { rng: &mut rng, without: &self.without };
                jobs.push(generator.workflow(&format!("w{number}")));
            }
        }
        let laboratory = Laboratory {
            seed: self.seed,
            without: self.without.clone(),
            jobs,
            agents: self.roster(&mut rng),
            chaos: Chaos::random(self.seed, self.crashes, self.faults),
            ending: Ending::Disturbed { calm_after: rng.pause(30_000, 400_000) },
        };
        laboratory.run()
    }

    /// The run alone, without the engine: random commands, each followed by every check. A thousand
    /// times quicker than [`Simulation::run`], and blind to what the engine does.
    pub fn run_alone(&self) -> Outcome {
        let (trace, violations) = machine::run(self.seed, &self.without);
        Outcome {
            seed: self.seed,
            trace,
            violations,
            results: BTreeMap::new(),
            runs: 1,
            crashes: 0,
            calls: 0,
            points: 0,
            ops: Vec::new(),
            performed: 0,
            recorded: 0,
            permitted: 0,
            delivered: 0,
            took: Duration::ZERO,
        }
    }

    fn roster(&self, rng: &mut Rng) -> Vec<(AgentSpec, MakeAgent)> {
        let most = rng.between(1, 4);
        if !self.agents.is_empty() {
            return self.agents.clone();
        }
        let limit = (!self.without.contains(&Construct::Limits)).then_some(most);
        scripted(limit.and_then(|most| u32::try_from(most).ok()))
    }
}

/// The scripted agents; `most` limits how many attempts `worker` makes at once, and `judge`.
fn scripted(most: Option<u32>) -> Vec<(AgentSpec, MakeAgent)> {
    let shared: Arc<std::sync::OnceLock<Arc<Scripted>>> = Arc::default();
    ["worker", "second", "judge", "lead"]
        .into_iter()
        .filter_map(|name| {
            let name = AgentName::new(name).ok()?;
            let fallible = name.as_str() == "worker";
            let provider = if fallible { "simulated-a" } else { "simulated-b" };
            let mut spec = AgentSpec::new(name, Role::Dev, ProviderName::new(provider).ok()?);
            if fallible {
                spec.max_parallel = most;
                spec.fall_back = AgentName::new("second").into_iter().collect();
            } else if spec.name.as_str() == "judge" {
                // So that a judge has to wait for its place, and what it judges for that.
                spec.max_parallel = most;
            }
            let shared = shared.clone();
            let make: MakeAgent = Arc::new(move |clock| {
                // One memory for all of them, and for every life of the engine.
                shared.get_or_init(|| Arc::new(Scripted::new(clock))).clone()
            });
            Some((spec, make))
        })
        .collect()
}
