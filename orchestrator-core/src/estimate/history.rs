//! What similar tasks did.

use crate::{
    id::{AgentName, RunId, TaskName, WorkflowName},
    port::SpendRow,
    usage::Usage,
};
use std::collections::BTreeMap;

/// What one task, or one item of a `for-each`, used in one run: all of its attempts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The workflow.
    pub workflow: WorkflowName,
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// Who did it at last.
    pub agent: AgentName,
    /// On which model.
    pub model: String,
    /// What was used.
    pub usage: Usage,
}

/// What tasks did in runs that succeeded, newest first. Tasks that called no model are not in it: those
/// of built-in agents and programs, and those whose result was taken over, replayed or at hand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The tasks.
    pub samples: Vec<Sample>,
    /// In how many runs of each workflow was looked for them.
    pub runs: BTreeMap<WorkflowName, u32>,
}

impl History {
    /// Adds a run of `workflow` in which was looked.
    pub fn add_run(&mut self, workflow: &WorkflowName) {
        let runs = self.runs.entry(workflow.clone()).or_default();
        *runs = runs.saturating_add(1);
    }

    /// Adds the lines of spending of a run, the newest first. Lines of one task make one sample.
    pub fn add_lines<'l>(
        &mut self,
        workflow: &WorkflowName,
        lines: impl IntoIterator<Item = &'l SpendRow>,
    ) {
        let mut places: BTreeMap<&TaskName, usize> = BTreeMap::new();
        for line in lines {
            let place = *places.entry(&line.task).or_insert(self.samples.len());
            match self.samples.get_mut(place) {
                Some(sample) => sample.usage += line.usage,
                None => self.samples.push(Sample {
                    workflow: workflow.clone(),
                    run: line.run.clone(),
                    task: line.task.clone(),
                    agent: line.agent.clone(),
                    model: line.model.clone(),
                    usage: line.usage,
                }),
            }
        }
    }
}

/// The most samples of each kind that count: what is older tells less.
const NEWEST: usize = 2_000;

/// A history, by what is looked for in it.
#[derive(Debug)]
pub(super) struct Index<'h> {
    runs: &'h BTreeMap<WorkflowName, u32>,
    by_task: Nested<'h, Vec<&'h Sample>>,
    by_agent: Nested<'h, Vec<&'h Sample>>,
    /// In which runs each task did something, and for how many items; none where it has no list.
    counts: Nested<'h, BTreeMap<&'h RunId, u64>>,
}

/// Things by two names.
type Nested<'h, T> = BTreeMap<&'h str, BTreeMap<&'h str, T>>;

fn at<'i, T>(index: &'i Nested<'_, T>, first: &str, second: &str) -> Option<&'i T> {
    index.get(first).and_then(|inner| inner.get(second))
}

impl<'h> Index<'h> {
    pub(super) fn new(history: &'h History) -> Self {
        let mut this = Self {
            runs: &history.runs,
            by_task: Nested::new(),
            by_agent: Nested::new(),
            counts: Nested::new(),
        };
        for sample in &history.samples {
            let Sample { workflow, task, agent, model, run, .. } = sample;
            // What undoes a task is no sample of it.
            let is_item = task.as_item().is_some();
            if !task.is_plain() && !is_item {
                continue;
            }
            let of_task = this.by_task.entry(workflow.as_str()).or_default();
            let of_agent = this.by_agent.entry(agent.as_str()).or_default();
            let lists =
                [of_task.entry(task.base()).or_default(), of_agent.entry(model).or_default()];
            for list in lists.into_iter().filter(|list: &&mut Vec<_>| list.len() < NEWEST) {
                list.push(sample);
            }
            let counts = this.counts.entry(workflow.as_str()).or_default();
            let counts = counts.entry(task.base()).or_default();
            *counts.entry(run).or_default() += u64::from(is_item);
        }
        this
    }

    /// Of the task itself, whatever its model.
    pub(super) fn of_task(&self, workflow: &str, task: &str) -> &[&'h Sample] {
        at(&self.by_task, workflow, task).map(Vec::as_slice).unwrap_or_default()
    }

    /// Of the agent on that model, whatever it did.
    pub(super) fn of_agent(&self, agent: &str, model: &str) -> &[&'h Sample] {
        at(&self.by_agent, agent, model).map(Vec::as_slice).unwrap_or_default()
    }

    /// In how many runs of the workflow was looked, and in how many of them the task did something.
    pub(super) fn runs_with(&self, workflow: &WorkflowName, task: &str) -> (u32, u32) {
        let all = self.runs.get(workflow).copied().unwrap_or(0);
        let with = at(&self.counts, workflow.as_str(), task).map_or(0, BTreeMap::len);
        let with = u32::try_from(with).unwrap_or(u32::MAX);
        (all.max(with), with)
    }

    /// How many items the task had in each run.
    pub(super) fn item_counts(&self, workflow: &str, task: &str) -> Vec<u64> {
        let counts = at(&self.counts, workflow, task).into_iter().flat_map(BTreeMap::values);
        counts.copied().filter(|count| *count > 0).collect()
    }
}
