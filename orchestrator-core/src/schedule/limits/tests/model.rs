//! Random runs over random limits, checked against a plain count at every step.

use super::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Projects, agents and providers are few, so that they meet.
const AGENTS: [(&str, &str); 4] = [("a", "v"), ("b", "v"), ("c", "w"), ("d", "u")];
const PROJECTS: [&str; 2] = ["x", "y"];
const GROUPS: [Option<&str>; 5] = [None, None, None, Some("g"), Some("h")];

/// A task: the numbers of its run, its agent and its group; and when it got ready.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Task {
    ready: i128,
    run: usize,
    agent: usize,
    group: usize,
}

impl Task {
    fn name(&self) -> TaskName {
        id(&format!("t{}", self.ready))
    }
    fn run(&self) -> RunId {
        id(&format!("r{}", self.run))
    }
    fn project(&self) -> ProjectId {
        id(PROJECTS[self.run % PROJECTS.len()])
    }
    fn claim(&self) -> Option<GroupClaim> {
        let group = GROUPS[self.group]?.to_owned();
        Some(GroupClaim { project: self.project(), group, run: self.run(), task: self.name() })
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A task gets ready.
    Ready { run: usize, agent: usize, group: usize },
    /// The first of the runs that were woken asks again.
    Wake,
    /// An attempt under way ends.
    End { which: prop::sample::Index, outcome: Outcome },
    /// A task that waits is cancelled; its run says so to nobody.
    Withdraw(prop::sample::Index),
    /// The store answers what it was asked.
    Store,
    /// Time goes by, in milliseconds.
    Time(u64),
    /// A run is gone.
    Forget(usize),
    /// Somebody elsewhere takes a group, or gives it back.
    Elsewhere(usize),
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Succeeded,
    Failed(ErrorClass),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Succeeded),
        3 => Just(Outcome::Failed(ErrorClass::Transient)),
        1 => Just(Outcome::Failed(ErrorClass::Crashed)),
        1 => Just(Outcome::Failed(ErrorClass::Auth)),
    ];
    prop_oneof![
        6 => (0..6usize, 0..AGENTS.len(), 0..GROUPS.len())
            .prop_map(|(run, agent, group)| Step::Ready { run, agent, group }),
        6 => Just(Step::Wake),
        4 => (any::<prop::sample::Index>(), outcome)
            .prop_map(|(which, outcome)| Step::End { which, outcome }),
        1 => any::<prop::sample::Index>().prop_map(Step::Withdraw),
        4 => Just(Step::Store),
        1 => (0..60_000u64).prop_map(Step::Time),
        1 => (0..6usize).prop_map(Step::Forget),
        1 => (3..GROUPS.len()).prop_map(Step::Elsewhere),
    ]
}

fn policy() -> impl Strategy<Value = LimitPolicy> {
    let most = || proptest::option::of(1u32..4);
    (most(), most(), most(), most(), most()).prop_map(|(global, per_project, v, a, c)| {
        let agents = [("a", a), ("c", c)];
        LimitPolicy {
            global,
            per_project,
            providers: v.map(|most| (id("v"), most)).into_iter().collect(),
            agents: agents.into_iter().filter_map(|(name, most)| Some((id(name), most?))).collect(),
        }
    })
}

struct World {
    policy: LimitPolicy,
    limits: Limits,
    now: Timestamp,
    pending: BTreeSet<Task>,
    under_way: Vec<Task>,
    wakes: VecDeque<RunId>,
    /// Who has a group, as the store knows it; none for somebody elsewhere.
    store: BTreeMap<(ProjectId, String), Option<GroupClaim>>,
    ready: i128,
}

impl World {
    fn new(policy: LimitPolicy) -> Self {
        let breaker = BreakerPolicy { failures: 2, ..BreakerPolicy::default() };
        let limits = Limits::new(policy.clone(), breaker);
        let (pending, under_way, wakes) = (BTreeSet::new(), Vec::new(), VecDeque::new());
        let store = BTreeMap::new();
        Self { policy, limits, now: T0, pending, under_way, wakes, store, ready: 0 }
    }

    fn admit(limits: &mut Limits, task: &Task, now: Timestamp) -> Result<(), HeldUp> {
        let (agent, provider) = AGENTS[task.agent];
        limits.admit(
            &Want {
                project: &task.project(),
                run: &task.run(),
                task: &task.name(),
                agent: &id(agent),
                provider: &id(provider),
                group: GROUPS[task.group],
                urgency: task.ready,
            },
            now,
        )
    }

    /// A run asks for all that it has ready, with another agent where a provider refuses.
    fn ask(&mut self, run: &RunId) {
        for task in self.pending.clone().into_iter().filter(|task| task.run() == *run) {
            let other = Task { agent: (task.agent + 2) % AGENTS.len(), ..task.clone() };
            let mut admitted = Self::admit(&mut self.limits, &task, self.now).map(|()| &task);
            if let Err(HeldUp::Breaker { .. }) = admitted {
                admitted = Self::admit(&mut self.limits, &other, self.now).map(|()| &other);
            }
            if let Ok(admitted) = admitted {
                self.pending.remove(&task);
                self.under_way.push(admitted.clone());
            }
        }
    }

    fn wake(&mut self) -> bool {
        let Some(run) = self.wakes.pop_front() else {
            return false;
        };
        self.ask(&run);
        let woken = self.limits.pass(&run);
        self.wakes.extend(woken);
        true
    }

    fn end(&mut self, at: usize, outcome: Outcome) {
        let task = self.under_way.remove(at);
        let (agent, provider) = AGENTS[task.agent];
        let provider = id(provider);
        let woken = match outcome {
            Outcome::Succeeded => self.limits.succeeded(&provider),
            Outcome::Failed(class) => self.limits.failed(&provider, class, self.now),
        };
        self.wakes.extend(woken);
        let woken = self.limits.end(&task.project(), &task.run(), &id(agent), &provider);
        self.wakes.extend(woken);
        if let Some(claim) = task.claim() {
            self.unhold(&claim);
            self.limits.release_group(&claim);
        }
    }

    fn unhold(&mut self, claim: &GroupClaim) {
        let key = (claim.project.clone(), claim.group.clone());
        if self.store.get(&key) == Some(&Some(claim.clone())) {
            self.store.remove(&key);
        }
    }

    /// Does what the store is to do; whether there was anything.
    fn store(&mut self) -> bool {
        let idle = self.limits.idle_groups();
        idle.iter().for_each(|claim| self.unhold(claim));
        let wanted = self.limits.wanted_groups();
        for claim in &wanted {
            let key = (claim.project.clone(), claim.group.clone());
            let holder = self.store.entry(key).or_insert_with(|| Some(claim.clone()));
            let hold = match holder {
                Some(holder) if holder == claim => GroupHold::Held,
                Some(GroupClaim { run, task, .. }) => {
                    GroupHold::Busy { run: run.clone(), task: task.clone() }
                }
                None => GroupHold::Busy { run: id("elsewhere"), task: id("t") },
            };
            self.wakes.extend(self.limits.grant_group(claim, hold));
        }
        !idle.is_empty() || !wanted.is_empty()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Ready { run, agent, group } => {
                self.ready += 1;
                let task = Task { ready: self.ready, run, agent, group };
                let run = task.run();
                self.pending.insert(task);
                self.ask(&run);
            }
            Step::Wake => drop(self.wake()),
            Step::End { which, outcome } if !self.under_way.is_empty() => {
                self.end(which.index(self.under_way.len()), outcome);
            }
            Step::Withdraw(which) if !self.pending.is_empty() => {
                let task = self.pending.iter().nth(which.index(self.pending.len())).cloned();
                self.pending.remove(&task.unwrap());
            }
            Step::End { .. } | Step::Withdraw(_) => {}
            Step::Store => drop(self.store()),
            Step::Time(ms) => {
                self.now = Timestamp(self.now.0 + ms);
                self.wakes.extend(self.limits.probe(self.now));
            }
            Step::Forget(run) => {
                let gone = |task: &Task| task.run == run;
                self.pending.retain(|task| !gone(task));
                for task in
                    self.under_way.iter().filter(|task| gone(task)).cloned().collect::<Vec<_>>()
                {
                    task.claim().iter().for_each(|claim| self.unhold(claim));
                }
                self.under_way.retain(|task| !gone(task));
                self.wakes.extend(self.limits.forget(&id(&format!("r{run}"))));
            }
            Step::Elsewhere(group) => {
                let key = (id("x"), GROUPS[group].unwrap().to_owned());
                match self.store.get(&key) {
                    Some(None) => drop(self.store.remove(&key)),
                    Some(Some(_)) => {}
                    None => drop(self.store.insert(key, None)),
                }
            }
        }
    }

    /// No limit is exceeded and no group is had twice.
    fn check(&self) -> Result<(), TestCaseError> {
        let count = |counts: &dyn Fn(&Task) -> bool| {
            self.under_way.iter().filter(|task| counts(task)).count()
        };
        let within = |most: Option<&u32>, found: usize| {
            prop_assert!(most.is_none_or(|most| found <= *most as usize), "{found} of {most:?}");
            Ok(())
        };
        within(self.policy.global.as_ref(), count(&|_| true))?;
        for project in PROJECTS {
            let found = count(&|task| task.project().as_str() == project);
            within(self.policy.per_project.as_ref(), found)?;
        }
        for (agent, provider) in AGENTS {
            let found = count(&|task| AGENTS[task.agent].0 == agent);
            within(self.policy.agents.get(agent), found)?;
            let found = count(&|task| AGENTS[task.agent].1 == provider);
            within(self.policy.providers.get(provider), found)?;
        }
        for task in &self.under_way {
            if let Some(claim) = task.claim() {
                let holder = self.store.get(&(claim.project.clone(), claim.group.clone()));
                prop_assert_eq!(holder, Some(&Some(claim)));
            }
        }
        prop_assert_eq!(
            self.limits.kinds.next(self.limits.now),
            None,
            "nobody waits for a free place"
        );
        Ok(())
    }

    /// When nothing is on its way, nobody who waits could start.
    fn nobody_was_forgotten(&mut self) -> Result<(), TestCaseError> {
        let mut rounds = 0;
        while self.store() || self.wake() {
            rounds += 1;
            prop_assert!(rounds < 1_000, "runs wake each other for ever");
        }
        self.check()?;
        for task in &self.pending {
            let mut limits = self.limits.clone();
            let admitted = Self::admit(&mut limits, task, self.now);
            prop_assert!(admitted.is_err(), "{task:?} could start, but was not woken");
        }
        Ok(())
    }

    /// Lets everything end; each task must get its turn.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        self.store.retain(|_, holder| holder.is_some());
        for _ in 0..10_000 {
            self.nobody_was_forgotten()?;
            if !self.under_way.is_empty() {
                self.end(0, Outcome::Succeeded);
                continue;
            }
            if self.pending.is_empty() {
                return Ok(());
            }
            for (_, provider) in AGENTS {
                let woken = self.limits.resume_account(&id(provider));
                self.wakes.extend(woken);
            }
            self.limits.retry_groups();
            if let Some(at) = self.limits.next_probe() {
                self.now = self.now.max(at);
                self.wakes.extend(self.limits.probe(self.now));
            }
        }
        prop_assert!(false, "these never got their turn: {:?}", self.pending);
        Ok(())
    }
}

proptest! {
    #[test]
    fn limits_hold_and_everybody_gets_a_turn(
        policy in policy(),
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new(policy);
        for (at, step) in steps.into_iter().enumerate() {
            world.take(step);
            world.check()?;
            if at % 7 == 0 {
                world.nobody_was_forgotten()?;
            }
        }
        world.drain()?;
        (0..6).for_each(|run| world.take(Step::Forget(run)));
        prop_assert!(world.limits.runs.is_empty(), "{:?} are left", world.limits.runs);
        prop_assert_eq!(world.limits.kinds.used(), 0);
    }
}
