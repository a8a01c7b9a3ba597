//! What similar tasks did.

use crate::{
    id::{AgentName, RunId, TaskName, WorkflowName},
    port::SpendRow,
    usage::Usage,
};
use std::collections::{BTreeMap, BTreeSet};

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
const NEWEST: usize = 200;

/// A history, by what is looked for in it.
#[derive(Debug)]
pub(super) struct Index<'h> {
    runs: &'h BTreeMap<WorkflowName, u32>,
    by_task: Nested<'h>,
    by_agent: Nested<'h>,
}

/// Samples by two names.
type Nested<'h> = BTreeMap<&'h str, BTreeMap<&'h str, Vec<&'h Sample>>>;

fn at<'i, 'h>(index: &'i Nested<'h>, first: &str, second: &str) -> &'i [&'h Sample] {
    index.get(first).and_then(|inner| inner.get(second)).map(Vec::as_slice).unwrap_or_default()
}

impl<'h> Index<'h> {
    pub(super) fn new(history: &'h History) -> Self {
        let (mut by_task, mut by_agent) = (Nested::new(), Nested::new());
        for sample in &history.samples {
            let name = &sample.task;
            // What undoes a task is no sample of it.
            if !name.is_plain() && name.as_item().is_none() {
                continue;
            }
            let task = by_task.entry(sample.workflow.as_str()).or_default();
            let agent = by_agent.entry(sample.agent.as_str()).or_default();
            for kept in
                [task.entry(name.base()).or_default(), agent.entry(&sample.model).or_default()]
            {
                if kept.len() < NEWEST {
                    kept.push(sample);
                }
            }
        }
        Self { runs: &history.runs, by_task, by_agent }
    }

    /// Of the task itself, whatever its model.
    pub(super) fn of_task(&self, workflow: &str, task: &str) -> &[&'h Sample] {
        at(&self.by_task, workflow, task)
    }

    /// Of the agent on that model, whatever it did.
    pub(super) fn of_agent(&self, agent: &str, model: &str) -> &[&'h Sample] {
        at(&self.by_agent, agent, model)
    }

    /// In how many runs of the workflow was looked, and in how many of them the task did something.
    pub(super) fn runs_with(&self, workflow: &WorkflowName, task: &str) -> (u32, u32) {
        let all = self.runs.get(workflow).copied().unwrap_or(0);
        let found = self.of_task(workflow.as_str(), task);
        let with: BTreeSet<_> = found.iter().map(|sample| &sample.run).collect();
        let with = u32::try_from(with.len()).unwrap_or(u32::MAX);
        (all.max(with), with)
    }

    /// How many items the task had in each run.
    pub(super) fn item_counts(&self, workflow: &str, task: &str) -> Vec<u64> {
        let mut counts: BTreeMap<&RunId, u64> = BTreeMap::new();
        for sample in self.of_task(workflow, task) {
            *counts.entry(&sample.run).or_default() += u64::from(sample.task.as_item().is_some());
        }
        counts.into_values().filter(|count| *count > 0).collect()
    }
}
