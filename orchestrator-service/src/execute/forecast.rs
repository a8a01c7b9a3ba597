//! What a run is likely to use and cost: from the project's history, and else from assumptions.

use crate::{
    roster::{Member, Roster},
    templates::prior,
    views::ForecastView,
};
use orchestrator_core::{
    estimate::{
        Assumption, Confidence, Draws, Estimator, Items, Often, Rates, RunEstimate, Sureness,
        TaskProfile,
    },
    expr,
    graph::Graph,
    task::{TaskKind, TaskSpec},
    usage::{TokenCount, Usage},
    workflow::{Mode, Workflow},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Of how many earlier runs the length of a list must be known, for an estimate that rests on it.
const KNOWN_LIST: u32 = 3;

/// What one workflow or one task is likely to use.
#[derive(Debug, Clone)]
pub(super) struct Forecast {
    draws: Draws,
    sureness: Sureness,
    assumptions: Vec<Assumption>,
}

impl Forecast {
    /// What uses nothing, in so many attempts.
    pub(super) fn nothing(attempts: u32) -> Self {
        Self {
            draws: Draws::nothing(attempts),
            sureness: Sureness::CERTAIN,
            assumptions: Vec::new(),
        }
    }

    fn assuming(assumption: Assumption) -> Self {
        Self { assumptions: vec![assumption], ..Self::nothing(0) }
    }

    /// Adds what is done as well.
    pub(super) fn add(&mut self, other: &Self) {
        self.draws.add(&other.draws);
        self.sureness = self.sureness.and(other.sureness);
        self.assume(&other.assumptions);
    }

    fn assume(&mut self, assumptions: &[Assumption]) {
        for assumption in assumptions {
            if !self.assumptions.contains(assumption) {
                self.assumptions.push(assumption.clone());
            }
        }
    }

    pub(super) fn estimate(&self) -> RunEstimate {
        let mut sureness = self.sureness;
        // What needs no estimate rests on nothing.
        sureness.samples = if sureness.samples == u32::MAX { 0 } else { sureness.samples };
        self.draws.estimate(sureness)
    }

    pub(super) fn view(&self) -> ForecastView {
        ForecastView::new(&self.estimate(), &self.assumptions)
    }
}

/// Makes forecasts for the tasks of one workflow.
pub(super) struct Forecaster<'a> {
    pub(super) estimator: &'a Estimator<'a>,
    pub(super) roster: &'a Roster,
    pub(super) workflow: &'a Workflow,
    /// How often each task may be sent back.
    revisions: BTreeMap<usize, u32>,
    /// The inputs; null when they are not known yet.
    inputs: &'a Value,
}

impl<'a> Forecaster<'a> {
    pub(super) fn new(
        estimator: &'a Estimator<'a>,
        roster: &'a Roster,
        workflow: &'a Workflow,
        graph: &Graph,
        inputs: &'a Value,
    ) -> Self {
        Self { estimator, roster, workflow, revisions: revisions(workflow, graph), inputs }
    }

    /// What belongs to no single task.
    pub(super) fn whole(&self) -> Forecast {
        let mut whole = Forecast::nothing(0);
        if let (Mode::Hierarchical, Some(manager)) =
            (self.workflow.mode, self.workflow.tasks.first())
        {
            whole.assume(&[Assumption::Adds { task: manager.name.to_string() }]);
        }
        let chains = self.workflow.tasks.iter().flat_map(|task| &task.then);
        for then in chains.chain(&self.workflow.then) {
            whole.assume(&[Assumption::Follows { workflow: then.workflow.clone() }]);
        }
        whole
    }

    /// What the task at `place` is likely to use, done by `agent`, where `known` tokens of its prompt are
    /// known. `child` tells what another workflow is likely to use.
    pub(super) fn task(
        &self,
        place: usize,
        agent: Option<&Member>,
        known: u64,
        child: impl Fn(&str) -> Option<Forecast>,
    ) -> Forecast {
        let task = &self.workflow.tasks[place];
        match (&task.kind, agent) {
            (TaskKind::Agent { .. }, Some(member)) if member.calls_model() => {
                let profile = self.profile(place, member, known);
                let told = self.estimator.task(&profile);
                let (draws, sureness) = (told.draws, told.sureness);
                Forecast { draws, sureness, assumptions: told.assumptions }
            }
            (TaskKind::Agent { .. } | TaskKind::Command { .. }, _) => {
                let once = Forecast::nothing(1);
                if task.for_each.is_some() { self.repeated(task, once) } else { once }
            }
            (TaskKind::Workflow { workflow, .. }, _) => match child(workflow) {
                Some(forecast) => self.repeated(task, forecast),
                None => Forecast::assuming(Assumption::NotKnown { workflow: workflow.clone() }),
            },
            (TaskKind::Approval { .. }, _) => Forecast::nothing(0),
        }
    }

    /// The same as often as the list of `task` says.
    fn repeated(&self, task: &TaskSpec, forecast: Forecast) -> Forecast {
        // Without a model there is nothing to be missed when it does not run.
        let is_child = matches!(task.kind, TaskKind::Workflow { .. });
        let conditional = is_child && is_conditional(task);
        let (workflow, items) = (&self.workflow.name, self.items(task));
        let often = Often { workflow, task: &task.name, items, conditional };
        let (draws, assumptions) = self.estimator.repeated(&forecast.draws, often);
        let mut all = Forecast { draws, sureness: forecast.sureness, assumptions };
        let guessed = |assumption: &Assumption| match assumption {
            Assumption::Items { runs, .. } => *runs < KNOWN_LIST,
            _ => false,
        };
        if is_child && all.assumptions.iter().any(guessed) {
            all.sureness.confidence = Confidence::Low;
        }
        all.assume(&forecast.assumptions);
        all
    }

    fn profile(&self, place: usize, member: &Member, known: u64) -> TaskProfile {
        let (task, spec) = (&self.workflow.tasks[place], &member.spec);
        let usage = Usage { input: TokenCount(known), ..Usage::default() };
        let price = self.roster.price(spec);
        let rates = price.and_then(|price| price.rates_for(&usage, crate::clock::now()));
        TaskProfile {
            rates: rates.map(|rates| Rates {
                input: rates.input,
                cache_read: rates.cache_read.unwrap_or(rates.input),
                cache_write: rates.cache_write.unwrap_or(rates.input),
                output: rates.output,
            }),
            prompt: TokenCount(known),
            max_output: spec.max_tokens.map(|most| TokenCount(u64::from(most))),
            has_schema: task.output.is_some(),
            conditional: is_conditional(task),
            items: self.items(task),
            revisions: self.revisions.get(&place).copied().unwrap_or(0),
            retries: task.retry.max_attempts.saturating_sub(1),
            prior: prior(self.workflow, task),
            ..TaskProfile::new(
                self.workflow.name.clone(),
                task.name.clone(),
                spec.name.clone(),
                spec.role.clone(),
                spec.model.as_deref().unwrap_or_default(),
            )
        }
    }

    /// How often `task` is done: a list that depends on nothing but the inputs is known.
    fn items(&self, task: &TaskSpec) -> Items {
        let Some(list) = &task.for_each else { return Items::Once };
        let count =
            |items: Vec<Value>| Items::Exactly(u32::try_from(items.len()).unwrap_or(u32::MAX));
        if let Some(items) = expr::constant_list(list) {
            return items.map_or(Items::Unknown, count);
        }
        let known = !self.inputs.is_null()
            && expr::variables(list).is_ok_and(|names| names.iter().all(|name| name == "inputs"));
        if !known {
            return Items::Unknown;
        }
        let scope = expr::scope(self.inputs.clone(), Map::new());
        expr::list(list, &scope).map_or(Items::Unknown, count)
    }
}

/// Whether a task may not run, or not call anybody: a condition may be false, a result at hand.
fn is_conditional(task: &TaskSpec) -> bool {
    task.when.is_some() || task.cache.is_some()
}

/// How often a judgement may send each task back.
fn revisions(workflow: &Workflow, graph: &Graph) -> BTreeMap<usize, u32> {
    let mut revisions: BTreeMap<usize, u32> = BTreeMap::new();
    for (judge, task) in workflow.tasks.iter().enumerate() {
        let Some(revise) = &task.revise else { continue };
        let target = workflow.tasks.iter().position(|other| other.name == revise.task);
        let Some(target) = target else { continue };
        let before = graph.upstream(judge);
        let between = graph.downstream(target).into_iter().filter(|place| before.contains(place));
        let all: std::collections::BTreeSet<usize> = between.chain([target, judge]).collect();
        for place in all {
            let most = revisions.entry(place).or_default();
            *most = most.saturating_add(revise.max);
        }
    }
    revisions
}
