//! What the expressions of a task can see.

use super::at::At;
use crate::{
    graph::Graph,
    task::TaskSpec,
    workflow::{
        InputSpec,
        problem::{self as code, Problem, did_you_mean},
    },
};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashSet},
};

/// The inputs and tasks that expressions may name.
pub(super) struct Sight<'w> {
    inputs: &'w [InputSpec],
    tasks: &'w [TaskSpec],
    pub(super) graph: &'w Graph,
    /// Filled when a task is named.
    places: OnceCell<BTreeMap<&'w str, usize>>,
    /// Whether a task of that name exists besides `tasks`; all may see it.
    pub(super) elsewhere: &'w dyn Fn(&str) -> bool,
}

/// The tasks that one expression may name.
enum Tasks {
    None,
    All,
    /// What the task at that place needs, directly or not, and itself where the flag says so.
    Upstream(usize, bool),
}

/// What one expression sees.
pub(super) struct View<'s, 'w> {
    sight: &'s Sight<'w>,
    tasks: Tasks,
    /// Filled when a task is named that is not needed directly.
    upstream: OnceCell<HashSet<usize>>,
    has_item: bool,
    has_run: bool,
    has_status: bool,
}

impl<'w> Sight<'w> {
    pub(super) fn new(
        inputs: &'w [InputSpec],
        tasks: &'w [TaskSpec],
        graph: &'w Graph,
        elsewhere: &'w dyn Fn(&str) -> bool,
    ) -> Self {
        Self { inputs, tasks, graph, places: OnceCell::new(), elsewhere }
    }

    fn places(&self) -> &BTreeMap<&'w str, usize> {
        let named = |(place, task): (usize, &'w TaskSpec)| (task.name.as_str(), place);
        self.places.get_or_init(|| self.tasks.iter().enumerate().map(named).collect())
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places().get(name).copied()
    }

    pub(super) fn name(&self, place: usize) -> &'w str {
        self.tasks[place].name.as_str()
    }

    pub(super) fn task(&self, place: usize) -> &'w TaskSpec {
        &self.tasks[place]
    }

    fn view(&self, tasks: Tasks) -> View<'_, 'w> {
        View {
            sight: self,
            tasks,
            upstream: OnceCell::new(),
            has_item: false,
            has_run: true,
            has_status: false,
        }
    }

    /// The inputs alone.
    pub(super) fn of_inputs(&self) -> View<'_, 'w> {
        View { has_run: false, ..self.view(Tasks::None) }
    }

    /// What is known before the task at `place` starts.
    pub(super) fn before(&self, place: usize) -> View<'_, 'w> {
        self.view(Tasks::Upstream(place, false))
    }

    /// What is known after the task at `place` has ended.
    pub(super) fn after(&self, place: usize) -> View<'_, 'w> {
        self.view(Tasks::Upstream(place, true))
    }

    /// What is known after all.
    pub(super) fn at_the_end(&self) -> View<'_, 'w> {
        self.view(Tasks::All)
    }
}

/// The types of CEL, which are names, too.
const TYPES: [&str; 11] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"];

impl View<'_, '_> {
    /// The same with `item` and `index`, if so.
    #[must_use]
    pub(super) fn with_item(self, has_item: bool) -> Self {
        Self { has_item, ..self }
    }

    /// The same with `run.status`.
    #[must_use]
    pub(super) fn with_status(self) -> Self {
        Self { has_status: true, ..self }
    }

    /// Whether the task at `place` is seen.
    pub(super) fn sees(&self, place: usize) -> bool {
        match self.tasks {
            Tasks::None => false,
            Tasks::All => true,
            Tasks::Upstream(of, with_itself) => {
                let graph = self.sight.graph;
                (with_itself && of == place)
                    || graph.needs(of).any(|need| need == place)
                    || self
                        .upstream
                        .get_or_init(|| graph.upstream(of).into_iter().collect())
                        .contains(&place)
            }
        }
    }

    /// What is wrong with a path in an expression, if anything.
    pub(super) fn check_path(&self, at: &At<'_>, path: &[&str]) -> Option<Problem> {
        let problem = |message: String| Problem::new(code::EXPRESSION, &at.pointer(), message);
        match path {
            ["inputs", name, ..] => self.check_input(at, name),
            ["inputs"] => None,
            ["tasks", name, ..] => self.check_task(at, name),
            ["tasks"] => Some(
                problem("`tasks` is used without the name of a task".into())
                    .suggest(Some("write `tasks.NAME` or `tasks[\"NAME\"]`")),
            ),
            [name @ ("item" | "index"), ..] => (!self.has_item)
                .then(|| problem(format!("`{name}` has a value only in a `for-each` task"))),
            ["run"] | ["run", "id"] if self.has_run => None,
            ["run", "status"] if self.has_status => None,
            ["run", "status"] => {
                Some(problem("`run.status` has a value only in `with` of a `then`".into()))
            }
            ["run", name, ..] if self.has_run => Some(
                problem(format!("`run` has no `{name}`"))
                    .suggest(Some("it has `run.id` and, in `with` of a `then`, `run.status`")),
            ),
            [name] if TYPES.contains(name) => None,
            [name, ..] => {
                let known = self.known();
                Some(
                    problem(format!(
                        "`{}` starts with none of {}",
                        path.join("."),
                        known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                    ))
                    .suggest(did_you_mean(name, self.known())),
                )
            }
            [] => None,
        }
    }

    /// What paths may start with.
    fn known(&self) -> impl Iterator<Item = &'static str> + use<> {
        let tasks = !matches!(self.tasks, Tasks::None);
        [
            (true, "inputs"),
            (tasks, "tasks"),
            (self.has_run, "run"),
            (self.has_item, "item"),
            (self.has_item, "index"),
        ]
        .into_iter()
        .filter_map(|(is_known, name)| is_known.then_some(name))
    }

    fn check_input(&self, at: &At<'_>, name: &str) -> Option<Problem> {
        let mut known = self.sight.inputs.iter().map(|input| input.name.as_str());
        if known.clone().any(|known| known == name) {
            return None;
        }
        let message = format!("the workflow has no input `{name}`");
        Some(
            Problem::new(code::EXPRESSION, &at.pointer(), message)
                .suggest(did_you_mean(name, &mut known)),
        )
    }

    fn check_task(&self, at: &At<'_>, name: &str) -> Option<Problem> {
        let message = match self.sight.place(name) {
            Some(place) if self.sees(place) => return None,
            Some(_) if matches!(self.tasks, Tasks::None) => {
                format!("the result of `{name}` is used here, where only inputs are known")
            }
            Some(_) => format!("the result of `{name}` is used here, but it is not in `needs`"),
            None if (self.sight.elsewhere)(name) => return None,
            None => format!("no task is named `{name}`"),
        };
        let others = self.sight.places().keys().copied().filter(|known| *known != name);
        Some(
            Problem::new(code::EXPRESSION, &at.pointer(), message)
                .suggest(did_you_mean(name, others)),
        )
    }

    /// How to write a name with `-` that `expression` has after a dot, where CEL reads a minus.
    pub(super) fn dashed(&self, expression: &str) -> Option<String> {
        let inputs = self.sight.inputs.iter().map(|input| ("inputs", input.name.as_str()));
        let tasks = self.sight.places().keys().map(|name| ("tasks", *name));
        inputs.chain(tasks).find_map(|(root, name)| {
            (name.contains('-') && expression.contains(&format!("{root}.{name}"))).then(|| {
                format!("write `{root}[\"{name}\"]`: CEL reads the `-` of `{root}.{name}` as minus")
            })
        })
    }
}
