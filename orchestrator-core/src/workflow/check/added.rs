//! Tasks that a managing task adds to its run: validated like a file.

use super::{
    Sight, check_names, check_needs, check_output, expression, library, sense, task_pointer,
    workspace,
};
use crate::{
    graph::Graph,
    task::TaskSpec,
    workflow::{
        Mode, Workflow,
        problem::{self as code, Problem},
    },
};
use std::{collections::BTreeMap, sync::Arc};

/// The most tasks that may be added at once.
pub const MAX_ADDED: usize = 10_000;

impl Workflow {
    /// Everything that is wrong with `added` as more tasks of a run of this workflow; nothing when
    /// they can be added.
    ///
    /// `existing` tells whether the run has a task of that name; the new ones may need and see
    /// those. `library` holds the definitions that the run has pinned: no other can be started.
    pub fn check_added(
        &self,
        existing: &dyn Fn(&str) -> bool,
        library: &BTreeMap<String, Arc<Self>>,
        added: &[TaskSpec],
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        if added.len() > MAX_ADDED {
            let message = format!("{} tasks at once are more than {MAX_ADDED}", added.len());
            problems.push(Problem::new(code::SIZE, "/tasks", message));
            return problems;
        }
        let names = check_names(added, &mut problems);
        for task in added {
            if existing(task.name.as_str()) {
                let message = format!("the run already has a task `{}`", task.name);
                let at = task_pointer(&task.name);
                problems.push(Problem::new(code::INVALID_VALUE, &at, message));
            }
            check_needs(task, &names, existing, &mut problems);
            check_output(task, &mut problems);
            sense::check(task, &mut problems);
            workspace::check(task, &mut problems);
        }
        // The graph of the new tasks alone: an old one cannot need a new one.
        let alone = Self {
            name: self.name.clone(),
            version: self.version.clone(),
            description: None,
            inputs: self.inputs.clone(),
            mode: Mode::Parallel,
            budget: None,
            max_parallel: None,
            timeout: None,
            then: Vec::new(),
            tasks: added.to_vec(),
        };
        match Graph::of(&alone) {
            Err(cycle) => problems.push(Problem::new(code::CYCLE, "/tasks", cycle.to_string())),
            Ok(graph) => {
                let sight = Sight::new(&self.inputs, added, &graph, existing);
                for (place, task) in added.iter().enumerate() {
                    expression::check_task(&sight, place, task, &mut problems);
                }
            }
        }
        problems.extend(library::check(&alone, library));
        problems
    }
}
