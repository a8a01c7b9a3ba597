//! From what is known of a task and of its like to how it may turn out.

use super::{
    Assumption, Basis, Confidence, Draws, History, Items, Often, Range, Sample, Sureness,
    TaskProfile,
    draws::{DRAWS, LARGEST, SHARED, log_normal, seed, shuffled},
    fit::{Belief, ln},
    history::Index,
    prior,
};
use crate::usage::Usage;

/// How far the middle of an agent's other work lies from a task's, as a variance of logarithms.
const AWAY_AGENT: f64 = 0.64;
/// The same of other tasks of the agent in the same workflow.
const AWAY_WORKFLOW: f64 = 0.49;
/// The same of the task itself on another model.
const AWAY_MODEL: f64 = 0.16;

/// The number of items of a list of which nothing is known: an assumption, with a wide interval.
const ITEMS: Belief = Belief { centre: 1.609_437_912_434_100_3, spread: 0.5, noise: 0.25 };

/// Of how many runs of the very task an estimate is fairly sure, and of how many quite.
const SOME: u32 = 3;
const MANY: u32 = 10;

/// How many times the low end of its interval the high end of a sure estimate may be.
const NARROW: f64 = 4.0;

/// How one task may turn out.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskForecast {
    /// The ways.
    pub draws: Draws,
    /// How far they can be relied on.
    pub sureness: Sureness,
    /// What was assumed.
    pub assumptions: Vec<Assumption>,
}

/// Estimates tasks from one history.
#[derive(Debug)]
pub struct Estimator<'h> {
    index: Index<'h>,
}

impl<'h> Estimator<'h> {
    /// One that knows this history.
    pub fn new(history: &'h History) -> Self {
        Self { index: Index::new(history) }
    }

    /// How a task that calls a model may turn out, all of its items and attempts together.
    pub fn task(&self, profile: &TaskProfile) -> TaskForecast {
        let (workflow, task) = (profile.workflow.as_str(), profile.task.base());
        let kin = Kin::of(&self.index, profile);
        let (input, output) = prior::beliefs(profile);
        let input =
            kin.teach(input, |usage| (usage.input + usage.cache_read + usage.cache_write).0);
        let output = kin.teach(output, |usage| usage.output.0);

        let mut assumptions = Vec::new();
        let times = self.times(profile.often(), &mut assumptions);
        let draw =
            |what: &str, belief: Belief| each_item(seed(&[workflow, task, what]), belief, &times);
        let one = Draws {
            input: draw("input", input),
            output: draw("output", output),
            usd: None,
            attempts: vec![1.0; DRAWS],
        };
        let mut draws = one.times(&times);
        draws.usd = profile.rates.map(|rates| {
            let (read, write) = kin.cached();
            let input = (1.0 - read - write) * rates.input.0 as f64
                + read * rates.cache_read.0 as f64
                + write * rates.cache_write.0 as f64;
            let output = rates.output.0 as f64;
            // Rates are for a million tokens.
            let both = draws.input.iter().zip(&draws.output);
            both.map(|(i, o)| ((i * input + o * output) / 1e6).min(LARGEST)).collect()
        });
        if draws.usd.is_none() {
            let (task, model) = (profile.task.to_string(), profile.model.clone());
            assumptions.push(Assumption::NoPrice { task, model });
        }
        let sureness = kin.sureness(profile, &draws, &assumptions);
        TaskForecast { draws, sureness, assumptions }
    }

    /// The same as often as something is done that calls no model by itself: a program, or a child run.
    pub fn repeated(&self, draws: &Draws, often: Often<'_>) -> (Draws, Vec<Assumption>) {
        let mut assumptions = Vec::new();
        let times = self.times(often, &mut assumptions);
        (draws.times(&times), assumptions)
    }

    /// How often it is done, in each of the ways.
    fn times(&self, often: Often<'_>, assumptions: &mut Vec<Assumption>) -> Vec<f64> {
        let (workflow, task) = (often.workflow.as_str(), often.task.base());
        let mut times = match often.items {
            Items::Once => vec![1.0; DRAWS],
            Items::Exactly(items) => vec![f64::from(items); DRAWS],
            Items::Unknown => {
                let counts = self.index.item_counts(workflow, task);
                let logs: Vec<f64> = counts.iter().map(|count| ln(*count)).collect();
                let belief = ITEMS.learn(&logs, 0.0);
                let variance = vec![belief.variance(); DRAWS];
                let seed = seed(&[workflow, task, "items"]);
                let drawn = log_normal(seed, belief.centre, &variance);
                let drawn: Vec<f64> =
                    drawn.into_iter().map(|items| items.round().max(1.0)).collect();
                let items = Draws { attempts: drawn.clone(), ..Draws::default() };
                assumptions.push(Assumption::Items {
                    task: often.task.to_string(),
                    items: items.estimate(Sureness::CERTAIN).attempts,
                    runs: u32::try_from(counts.len()).unwrap_or(u32::MAX),
                });
                drawn
            }
        };
        if often.conditional {
            let (runs, with) = self.index.runs_with(often.workflow, task);
            if with == 0 {
                // Of a task without any sample nobody knows whether it did not run or calls no model.
                assumptions.push(Assumption::Runs { task: often.task.to_string() });
            } else {
                let chance = f64::from(with + 1) / f64::from(runs + 1);
                let place = shuffled(seed(&[workflow, task, "when"]));
                let skips = times.iter_mut().zip(place).filter(|(_, place)| *place >= chance);
                skips.for_each(|(times, _)| *times = 0.0);
            }
        }
        times
    }
}

/// What one item uses where there are so many of them: items differ among themselves, so that the mean
/// of many is surer than one.
fn each_item(seed: u64, belief: Belief, times: &[f64]) -> Vec<f64> {
    // More than any counts can have: their logarithms end at 44.
    let variance = belief.variance().min(500.0);
    let relative = variance.exp_m1();
    // The log-normal that has the mean and the variance of the mean of so many (L. Fenton, "The sum of
    // log-normal probability distributions", 1960), half of whose variance they share.
    let of_mean: Vec<f64> = times
        .iter()
        .map(|items| (relative * (SHARED + (1.0 - SHARED) / items.max(1.0))).ln_1p())
        .collect();
    let mut drawn = log_normal(seed, belief.centre, &of_mean);
    for (value, of_mean) in drawn.iter_mut().zip(of_mean) {
        *value *= ((variance - of_mean) / 2.0).exp();
    }
    drawn
}

/// What is like a task, from the loosely to the closely related.
struct Kin<'h> {
    agent: Vec<&'h Sample>,
    workflow: Vec<&'h Sample>,
    other_model: Vec<&'h Sample>,
    same: Vec<&'h Sample>,
}

impl<'h> Kin<'h> {
    fn of(index: &Index<'h>, profile: &TaskProfile) -> Self {
        let task = profile.task.base();
        let own = index.of_task(profile.workflow.as_str(), task);
        let (same, other_model) =
            own.iter().copied().partition(|sample| sample.model == profile.model);
        let others = index.of_agent(profile.agent.as_str(), &profile.model);
        let others = others
            .iter()
            .copied()
            .filter(|sample| sample.workflow != profile.workflow || sample.task.base() != task);
        let (workflow, agent) = others.partition(|sample| sample.workflow == profile.workflow);
        Self { agent, workflow, other_model, same }
    }

    /// What is believed once all of them were seen.
    fn teach(&self, belief: Belief, of: impl Fn(&Usage) -> u64) -> Belief {
        let logs = |samples: &[&Sample]| -> Vec<f64> {
            samples.iter().map(|sample| ln(of(&sample.usage))).collect()
        };
        belief
            .learn(&logs(&self.agent), AWAY_AGENT)
            .learn(&logs(&self.workflow), AWAY_WORKFLOW)
            .learn(&logs(&self.other_model), AWAY_MODEL)
            .learn(&logs(&self.same), 0.0)
    }

    /// Which parts of the input were read from a cache and written to one, in the closest there are.
    fn cached(&self) -> (f64, f64) {
        let kinds = [&self.same, &self.other_model, &self.workflow, &self.agent];
        let Some(closest) = kinds.into_iter().find(|samples| !samples.is_empty()) else {
            return (0.0, 0.0);
        };
        let all: Usage = closest.iter().map(|sample| sample.usage).sum();
        let input = (all.input + all.cache_read + all.cache_write).0.max(1) as f64;
        let part = |tokens: u64| (tokens as f64 / input).min(1.0);
        let read = part(all.cache_read.0);
        (read, part(all.cache_write.0).min(1.0 - read))
    }

    fn sureness(
        &self,
        profile: &TaskProfile,
        draws: &Draws,
        assumptions: &[Assumption],
    ) -> Sureness {
        let count = |samples: &[&Sample]| u32::try_from(samples.len()).unwrap_or(u32::MAX);
        let related = count(&self.other_model).saturating_add(count(&self.workflow));
        let (basis, samples) = match (count(&self.same), related, count(&self.agent)) {
            (0, 0, 0) => (Basis::Prior, 0),
            (0, 0, agent) => (Basis::SameAgent, agent),
            (0, related, _) => (Basis::SameWorkflow, related),
            (same, _, _) => (Basis::SameTask, same),
        };
        let guessed = assumptions.iter().any(|assumption| match assumption {
            Assumption::Items { runs, .. } => *runs < SOME,
            _ => false,
        });
        let Range { low, high, .. } = draws.estimate(Sureness::CERTAIN).tokens;
        let narrow = high as f64 <= NARROW * low as f64;
        // Items of one run are not as many runs.
        let runs = match profile.items {
            Items::Once => samples,
            Items::Exactly(_) | Items::Unknown => {
                let mut runs: Vec<_> = self.same.iter().map(|sample| &sample.run).collect();
                runs.sort();
                runs.dedup();
                u32::try_from(runs.len()).unwrap_or(u32::MAX)
            }
        };
        let confidence = match basis {
            Basis::SameTask if guessed => Confidence::Low,
            Basis::SameTask if runs >= MANY && narrow => Confidence::High,
            Basis::SameTask if runs >= SOME => Confidence::Medium,
            Basis::SameTask | Basis::SameWorkflow | Basis::SameAgent | Basis::Prior => {
                Confidence::Low
            }
        };
        Sureness { confidence, basis, samples }
    }
}
