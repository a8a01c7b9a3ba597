//! The program is killed, again and again, at drawn times.

use super::{
    Broken, Failure, Flow, Product, Project, failed,
    journal::Journal,
    orphans,
    outcome::{self, EXECUTE, Outcome, WAITS},
    project::say,
    rules,
};
use fastrand::Rng;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How often a run is killed at most.
const MOST_KILLS: u32 = 6;

/// How much is proved.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program.
    pub product: Product,
    /// The workflows; each round draws one.
    pub flows: Vec<&'static Flow>,
    /// How many rounds; each is one run, killed several times and seen through.
    pub rounds: u64,
    /// The seed of the first round; those of the others follow it.
    pub seed: u64,
    /// Whether progress is said on standard error.
    pub talks: bool,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Runs that were seen through.
    pub rounds: u64,
    /// Commands that were killed before they ended.
    pub kills: u64,
    /// Of these, by `execute`, `resume` and `approve`.
    pub killed: BTreeMap<&'static str, u64>,
    /// Events that were printed before a kill and found again after it.
    pub acknowledged: u64,
    /// Events of all logs in the end, each checked after every kill.
    pub events: u64,
    /// Beginnings and ends of steps that tasks recorded by themselves.
    pub effects: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Proves the rules over all rounds; failures are gathered, so that one bad seed hides no other.
///
/// # Errors
/// When a workflow does not even run undisturbed.
pub fn prove(plan: &Plan) -> Result<(Figures, Vec<Failure>), Broken> {
    let begin = Instant::now();
    let (mut figures, mut failures) = (Figures::default(), Vec::new());
    let mut references = BTreeMap::new();
    for round in 0..plan.rounds {
        let seed = plan.seed.wrapping_add(round);
        let mut rng = Rng::with_seed(seed);
        let flow = *rng.choice(&plan.flows).ok_or_else(|| Broken::new("no workflow is named"))?;
        if !references.contains_key(flow.name) {
            references.insert(flow.name, outcome::reference(&plan.product, flow)?);
        }
        let (expected, took) = &references[flow.name];
        let project = Project::new(&plan.product, flow)?;
        let mut victim = Victim {
            flow,
            project,
            rng,
            took: *took,
            acknowledged: Journal::default(),
            stored: Journal::default(),
            figures: &mut figures,
        };
        if let Err(broken) = victim.round(expected) {
            let only: Vec<_> = plan.flows.iter().map(|flow| flow.name).collect();
            let failure = Failure {
                broken: broken.during(format_args!("seed {seed}, `{}`", flow.name)),
                again: format!("kill --rounds 1 --seed {seed} --flows {}", only.join(",")),
            };
            say(plan.talks, format_args!("FAILED {}\n  again: {}", failure.broken, failure.again));
            failures.push(failure);
        }
        if (round + 1) % 50 == 0 {
            let kills = figures.kills;
            say(plan.talks, format_args!("{} rounds, {kills} kills", round + 1));
        }
    }
    figures.seconds = begin.elapsed().as_secs_f64();
    Ok((figures, failures))
}

/// A run that does not get any peace.
struct Victim<'a> {
    flow: &'static Flow,
    project: Project,
    rng: Rng,
    /// How long it takes when left alone.
    took: Duration,
    /// What was printed so far.
    acknowledged: Journal,
    /// What the store had when it was last looked at.
    stored: Journal,
    figures: &'a mut Figures,
}

impl Victim<'_> {
    fn round(&mut self, expected: &Outcome) -> Result<(), Broken> {
        // Steps that never end by themselves show what survives the death of who started them.
        let hangs = self.rng.u32(..4) == 0;
        if hangs {
            self.project.hang(true)?;
        }
        for _ in 0..self.rng.u32(1..=MOST_KILLS) {
            if self.is_over()? {
                break;
            }
            self.disturb(hangs)?;
        }
        if hangs {
            self.project.hang(false)?;
        }
        let mut last = Vec::new();
        outcome::see_through(&self.project, self.flow, |ran| {
            last.push(ran.clone());
            Ok(())
        })?;
        for ran in last {
            self.acknowledged.extend(Journal::printed(&ran)?);
        }
        self.look()?;
        orphans::expect_none(&self.project, "after the end of the run")?;
        self.figures.effects += rules::check(&self.project, &self.stored)? as u64;
        expected.expect(&Outcome::of(&self.project, &self.stored)?)?;
        self.figures.rounds += 1;
        self.figures.events += self.stored.len() as u64;
        Ok(())
    }

    fn is_over(&self) -> Result<bool, Broken> {
        Ok(outcome::root(&self.project, self.flow)?.as_ref().is_some_and(outcome::is_over))
    }

    /// Starts or goes on with the run, kills it, and looks at what is left.
    fn disturb(&mut self, hangs: bool) -> Result<(), Broken> {
        let root = outcome::root(&self.project, self.flow)?;
        let id = root.as_ref().and_then(|run| run["id"].as_str());
        let (verb, arguments): (_, Vec<&str>) = match id {
            None => ("execute", EXECUTE.into()),
            Some(id) => ("resume", vec!["resume", id, "--json"]),
        };
        let whole = self.took.max(Duration::from_millis(40));
        let part = |of: Duration, by: f64| of.mul_f64(by);
        let time = match self.rng.u32(..4) {
            // The first moments: the store is opened, the run is made or taken up.
            0 => part(Duration::from_millis(30), self.rng.f64()),
            _ if hangs => part(Duration::from_millis(120), self.rng.f64()),
            _ if id.is_none() => part(whole, self.rng.f64() * 0.9),
            // There is less left to do.
            _ => part(whole, self.rng.f64() * 0.6),
        };
        let ran = self.project.start(&arguments)?.within(time)?;
        let printed = Journal::printed(&ran)?;
        self.figures.acknowledged += printed.len() as u64;
        self.acknowledged.extend(printed);
        if ran.was_killed() {
            self.figures.kills += 1;
            *self.figures.killed.entry(verb).or_default() += 1;
        } else {
            ran.clone().expect(&[self.flow.code, WAITS])?;
        }
        if self.rng.bool() {
            // Otherwise the next command comes while what the last one left is still dying.
            orphans::expect_none(&self.project, "after a kill")?;
        }
        self.look()?;
        if ran.code() == Some(WAITS) {
            self.disturb_approval()?;
        }
        Ok(())
    }

    /// Approves what is waited for; the command that does may be killed as well.
    fn disturb_approval(&mut self) -> Result<(), Broken> {
        let root = outcome::root(&self.project, self.flow)?;
        let id = root.as_ref().and_then(|run| run["id"].as_str()).unwrap_or_default();
        if self.rng.bool() {
            let task = self.flow.approves.first().copied().unwrap_or_default();
            let time = Duration::from_millis(20).mul_f64(self.rng.f64());
            let ran = self.project.start(&["approve", &format!("{id}.{task}")])?.within(time)?;
            self.figures.kills += u64::from(ran.was_killed());
            *self.figures.killed.entry("approve").or_default() += u64::from(ran.was_killed());
            return self.look();
        }
        outcome::approve(&self.project, self.flow, id).map(drop)
    }

    /// The store is sound, has all that it had, and all that was printed.
    fn look(&mut self) -> Result<(), Broken> {
        let stored = Journal::stored(&self.project)?;
        stored.expect_all_of(&self.stored, "was in the store before")?;
        stored.expect_all_of(&self.acknowledged, "was printed")?;
        self.stored = stored;
        Ok(())
    }
}

impl Figures {
    /// All of it in a line.
    pub fn line(&self) -> String {
        let killed: Vec<_> = self.killed.iter().map(|(verb, n)| format!("{n} of {verb}")).collect();
        format!(
            "kill: {} runs ended as undisturbed ones after {} kills ({}); {} printed events found \
             again, {} events and {} effects checked, in {:.1} s",
            self.rounds,
            self.kills,
            killed.join(", "),
            self.acknowledged,
            self.events,
            self.effects,
            self.seconds
        )
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// Never in practice: every field has a JSON form.
    pub fn json(&self) -> Result<serde_json::Value, Broken> {
        serde_json::to_value(self).map_err(failed("write the figures"))
    }
}
