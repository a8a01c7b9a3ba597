//! Workflows that start others: that they are known, fit, and come to an end.

use super::task_pointer;
use crate::{
    task::{TaskKind, Then},
    workflow::{
        Workflow,
        inputs::convert,
        problem::{self as code, Problem, did_you_mean, join},
        reader::type_name,
    },
};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The deepest nesting of child workflows: a child's child is two deep.
pub const MAX_NESTING: usize = 8;

/// How one workflow starts another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As a child: it is inside.
    Child,
    /// After its end: it is beside.
    Then,
}

/// A place where another workflow is named.
struct Use<'w> {
    at: String,
    way: Way,
    name: &'w str,
    with: &'w Map<String, Value>,
}

impl Workflow {
    /// The workflows that this one names, each with the JSON pointer of its place in the document:
    /// as children, and in `then` of the tasks and of the whole. In the order of the document, as
    /// often as they are named.
    pub fn references(&self) -> Vec<(String, &str)> {
        self.uses().into_iter().map(|named| (join(&named.at, "workflow"), named.name)).collect()
    }

    /// What is wrong between this workflow and those that it names, which `library` holds by the
    /// names used; nothing when all can be started.
    ///
    /// Every name must be known, no workflow may come back to itself through children and `then`,
    /// children are nested at most [`MAX_NESTING`] deep, and what is handed on must fit the inputs.
    /// Other problems of the workflows in the library are theirs.
    pub fn check_library(&self, library: &BTreeMap<String, Arc<Self>>) -> Vec<Problem> {
        check(self, library)
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let mut uses = Vec::new();
        push_then(&mut uses, "/then", &self.then);
        for task in &self.tasks {
            if let TaskKind::Workflow { workflow, with } = &task.kind {
                let at = task_pointer(&task.name);
                uses.push(Use { at, way: Way::Child, name: workflow, with });
            }
            if !task.then.is_empty() {
                push_then(&mut uses, &join(&task_pointer(&task.name), "then"), &task.then);
            }
        }
        uses
    }
}

fn push_then<'w>(uses: &mut Vec<Use<'w>>, at: &str, then: &'w [Then]) {
    uses.extend(then.iter().enumerate().map(|(index, then)| Use {
        at: join(at, index),
        way: Way::Then,
        name: &then.workflow,
        with: &then.with,
    }));
}

pub(super) fn check(
    workflow: &Workflow,
    library: &BTreeMap<String, Arc<Workflow>>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut search = Search { library, depths: BTreeMap::new() };
    let mut told = BTreeSet::new();
    for named in workflow.uses() {
        let at = join(&named.at, "workflow");
        let Some(child) = library.get(named.name) else {
            let message = format!("no workflow is named `{}`", named.name);
            let near = did_you_mean(named.name, library.keys().map(String::as_str));
            problems.push(Problem::new(code::UNKNOWN_WORKFLOW, &at, message).suggest(near));
            continue;
        };
        check_with(&named, child, &mut problems);
        match search.depth(named.name) {
            Err(cycle) => {
                // One circle is told once, however many lead into it.
                if told.insert(cycle.clone()) {
                    let message = format!(
                        "{} is a circle of workflows that start each other",
                        cycle.join(" → ")
                    );
                    problems.push(Problem::new(code::WORKFLOW_CYCLE, &at, message));
                }
            }
            Ok(depth) if named.way == Way::Child && depth + 1 > MAX_NESTING => {
                let message = format!(
                    "`{}` nests children {} deep; at most {MAX_NESTING} are allowed",
                    named.name,
                    depth + 1
                );
                problems.push(Problem::new(code::NESTING, &at, message));
            }
            Ok(_) => {}
        }
    }
    problems
}

/// A walk through the workflows that start each other.
struct Search<'l> {
    library: &'l BTreeMap<String, Arc<Workflow>>,
    /// How deep children are nested in each workflow that the walk is done with.
    depths: BTreeMap<&'l str, usize>,
}

/// A workflow on the way, with what it names and has not been looked at.
struct Open<'l> {
    name: &'l str,
    left: Vec<(Way, &'l str)>,
    depth: usize,
}

impl<'l> Search<'l> {
    fn open(&self, name: &str) -> Option<Open<'l>> {
        let (name, workflow) = self.library.get_key_value(name)?;
        let left = workflow.uses().into_iter().map(|named| (named.way, named.name)).collect();
        Some(Open { name, left, depth: 0 })
    }

    /// How deep children are nested in the workflow `start`; the circle that it leads into, if any.
    ///
    /// Without recursion: a library may be a chain of any length.
    fn depth(&mut self, start: &str) -> Result<usize, Vec<String>> {
        let mut stack: Vec<Open<'l>> = self.open(start).into_iter().collect();
        while let Some(mut open) = stack.pop() {
            let Some((way, name)) = open.left.last().copied() else {
                self.depths.insert(open.name, open.depth);
                continue;
            };
            if let Some(known) = self.depths.get(name) {
                open.left.pop();
                if way == Way::Child {
                    open.depth = open.depth.max(known + 1);
                }
                stack.push(open);
                continue;
            }
            let on_the_way = |open: &Open<'_>| open.name == name;
            if on_the_way(&open) || stack.iter().any(on_the_way) {
                stack.push(open);
                let circle = stack.iter().skip_while(|open| !on_the_way(open));
                let mut circle: Vec<String> = circle.map(|open| open.name.to_owned()).collect();
                circle.push(name.to_owned());
                return Err(circle);
            }
            match self.open(name) {
                Some(next) => stack.extend([open, next]),
                // Unknown there: told where that workflow itself is checked.
                None => {
                    open.left.pop();
                    stack.push(open);
                }
            }
        }
        Ok(self.depths.get(start).copied().unwrap_or(0))
    }
}

/// Checks what is handed on against the inputs of `child`.
fn check_with(named: &Use<'_>, child: &Workflow, problems: &mut Vec<Problem>) {
    let at = join(&named.at, "with");
    for (key, value) in named.with {
        let at = join(&at, key);
        let Some(input) = child.inputs.iter().find(|input| input.name == *key) else {
            let known = child.inputs.iter().map(|input| input.name.as_str());
            let message = format!("the workflow `{}` has no input `{key}`", named.name);
            problems.push(
                Problem::new(code::UNKNOWN_INPUT, &at, message).suggest(did_you_mean(key, known)),
            );
            continue;
        };
        if !holds_places(value) && convert(input.kind, value).is_none() {
            let message = format!(
                "the input `{key}` of `{}` must be {}, but {} is given",
                named.name,
                input.kind.described(),
                type_name(value)
            );
            problems.push(Problem::new(code::INPUT_TYPE, &at, message));
        }
    }
    for input in &child.inputs {
        if input.required && input.default.is_none() && !named.with.contains_key(&input.name) {
            let message =
                format!("the workflow `{}` requires the input `{}`", named.name, input.name);
            problems.push(
                Problem::new(code::MISSING_INPUT, &at, message)
                    .suggest(Some(format!("add `{}` to `with`", input.name))),
            );
        }
    }
}

/// Whether `value` is a text to be filled in, so that its type is known only then.
fn holds_places(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("{{"))
}
