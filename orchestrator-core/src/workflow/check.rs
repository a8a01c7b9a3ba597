//! What must hold between the parts of a workflow, however it was made.

use super::{
    Workflow,
    parse::task_pointer,
    problem::{self as code, Problem, did_you_mean, join},
};
use crate::{
    event::Content,
    expr,
    graph::Graph,
    task::{TaskKind, TaskSpec},
};
use std::collections::{BTreeMap, HashSet};

/// The most tasks that a workflow may declare.
pub const MAX_TASKS: usize = 1_000_000;

impl Workflow {
    /// Everything that is wrong with this workflow; nothing when it can run.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.tasks.is_empty() {
            problems.push(Problem::new(code::SIZE, "/tasks", "a workflow needs at least one task"));
        }
        if self.tasks.len() > MAX_TASKS {
            let message = format!("{} tasks are more than {MAX_TASKS}", self.tasks.len());
            problems.push(Problem::new(code::SIZE, "/tasks", message));
            return problems;
        }
        let names: HashSet<&str> = self.tasks.iter().map(|task| task.name.as_str()).collect();
        if names.len() < self.tasks.len() {
            let mut seen = HashSet::new();
            for task in self.tasks.iter().filter(|task| !seen.insert(task.name.as_str())) {
                problems.push(Problem::new(
                    code::INVALID_VALUE,
                    &task_pointer(&task.name),
                    format!("two tasks are named `{}`", task.name),
                ));
            }
        }
        for task in &self.tasks {
            self.check_needs(task, &names, &mut problems);
        }
        match Graph::of(self) {
            Err(cycle) => problems.push(Problem::new(code::CYCLE, "/tasks", cycle.to_string())),
            Ok(graph) => {
                let mut sight = Sight { workflow: self, graph: &graph, places: BTreeMap::new() };
                sight.places =
                    self.tasks.iter().enumerate().map(|(i, t)| (t.name.as_str(), i)).collect();
                for (place, task) in self.tasks.iter().enumerate() {
                    sight.check_expressions(place, task, &mut problems);
                }
            }
        }
        problems
    }

    fn check_needs(&self, task: &TaskSpec, names: &HashSet<&str>, problems: &mut Vec<Problem>) {
        let at = join(&task_pointer(&task.name), "needs");
        for (index, need) in task.needs.iter().enumerate() {
            if !names.contains(need.as_str()) {
                problems.push(
                    Problem::new(
                        code::UNKNOWN_TASK,
                        &join(&at, index),
                        format!("the task `{}` needs `{need}`, which does not exist", task.name),
                    )
                    .suggest(did_you_mean(need.as_str(), names.iter().copied())),
                );
            }
        }
        let at_output = join(&task_pointer(&task.name), "output");
        if let Some(schema) = &task.output
            && !Content::admits(schema)
        {
            let message =
                format!("the output schema is nested deeper than {} levels", Content::MAX_DEPTH);
            problems.push(Problem::new(code::OUTPUT_SCHEMA, &at_output, message));
            return;
        }
        #[cfg(feature = "engine")]
        if let Some(schema) = &task.output
            && let Err(error) = jsonschema::validator_for(schema)
        {
            problems.push(Problem::new(
                code::OUTPUT_SCHEMA,
                &at_output,
                format!("the output schema is not valid: {error}"),
            ));
        }
    }
}

/// What the expressions of a task can see.
struct Sight<'w> {
    workflow: &'w Workflow,
    graph: &'w Graph,
    places: BTreeMap<&'w str, usize>,
}

impl Sight<'_> {
    fn check_expressions(&self, place: usize, task: &TaskSpec, problems: &mut Vec<Problem>) {
        let at = task_pointer(&task.name);
        let texts: Vec<(String, &str)> = match &task.kind {
            TaskKind::Agent { prompt, .. } => vec![(join(&at, "prompt"), prompt)],
            TaskKind::Command { command } => {
                let at = join(&at, "command");
                command.iter().enumerate().map(|(i, text)| (join(&at, i), text.as_str())).collect()
            }
        };
        let uses_tasks = texts.iter().any(|(_, text)| text.contains("{{"))
            || task.when.is_some()
            || task.revise.is_some();
        if !uses_tasks {
            return;
        }
        let upstream: HashSet<usize> = self.graph.upstream(place).into_iter().collect();
        for (at, text) in &texts {
            self.check_text(at, text, &upstream, problems);
        }
        if let Some(when) = &task.when {
            self.check_condition(&join(&at, "when"), when, &upstream, problems);
        }
        if let Some(revise) = &task.revise {
            let at = join(&at, "revise");
            let mut visible = upstream.clone();
            visible.insert(place);
            self.check_condition(&join(&at, "unless"), &revise.unless, &visible, problems);
            let target = self.places.get(revise.task.as_str());
            if !target.is_some_and(|target| upstream.contains(target)) {
                problems.push(
                    Problem::new(
                        code::REVISE_TARGET,
                        &join(&at, "task"),
                        format!("`{}` does not need `{}`", task.name, revise.task),
                    )
                    .suggest(did_you_mean(
                        revise.task.as_str(),
                        upstream.iter().map(|&i| self.workflow.tasks[i].name.as_str()),
                    )),
                );
            }
        }
    }

    fn check_text(
        &self,
        at: &str,
        text: &str,
        visible: &HashSet<usize>,
        problems: &mut Vec<Problem>,
    ) {
        match expr::paths(text) {
            Err(error) => problems.push(Problem::new(code::EXPRESSION, at, error.to_string())),
            Ok(paths) => {
                for path in paths {
                    match path[..] {
                        ["inputs", name, ..] => self.check_input(at, name, problems),
                        ["tasks", name, ..] => self.check_task(at, name, visible, problems),
                        _ => problems.push(Problem::new(
                            code::EXPRESSION,
                            at,
                            format!(
                                "`{}` starts with neither `inputs.NAME` nor `tasks.NAME`",
                                path.join(".")
                            ),
                        )),
                    }
                }
            }
        }
    }

    fn check_condition(
        &self,
        at: &str,
        condition: &str,
        visible: &HashSet<usize>,
        problems: &mut Vec<Problem>,
    ) {
        match expr::variables(condition) {
            Err(error) => problems.push(Problem::new(code::EXPRESSION, at, error.to_string())),
            Ok(names) => {
                for name in names.iter().filter(|name| *name == "item" || *name == "index") {
                    problems.push(Problem::new(
                        code::EXPRESSION,
                        at,
                        format!("`{name}` has a value only in a `for-each` task"),
                    ));
                }
                for name in expr::tasks_in(condition) {
                    self.check_task(at, &name, visible, problems);
                }
            }
        }
    }

    fn check_input(&self, at: &str, name: &str, problems: &mut Vec<Problem>) {
        let mut known = self.workflow.inputs.iter().map(|input| input.name.as_str());
        if !known.clone().any(|known| known == name) {
            problems.push(
                Problem::new(code::EXPRESSION, at, format!("the workflow has no input `{name}`"))
                    .suggest(did_you_mean(name, &mut known)),
            );
        }
    }

    fn check_task(
        &self,
        at: &str,
        name: &str,
        visible: &HashSet<usize>,
        problems: &mut Vec<Problem>,
    ) {
        let message = match self.places.get(name) {
            Some(place) if visible.contains(place) => return,
            Some(_) => format!("the result of `{name}` is used here, but it is not in `needs`"),
            None => format!("no task is named `{name}`"),
        };
        problems.push(
            Problem::new(code::EXPRESSION, at, message)
                .suggest(did_you_mean(name, self.places.keys().copied().filter(|k| *k != name))),
        );
    }
}
