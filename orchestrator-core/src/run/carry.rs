//! What one run has done, as the beginning of another.

use super::{
    Made, Run,
    state::{Items, List},
};
use crate::{
    event::{Content, Event},
    graph::Graph,
    id::TaskName,
    task::TaskStatus,
    workflow::Workflow,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

impl Run {
    /// The events with which a new run of `into` begins in which holds what this run has done, for
    /// [`StartRun::seed`](super::StartRun::seed).
    ///
    /// A task is carried over when it has succeeded and was not undone, `keep` says so, it is
    /// defined in `into` as it is here, and everything that it needs is carried over too. Of a
    /// `for-each` task that has not succeeded the items are that have, when `keep` names it and
    /// them. Tasks that were added while it ran come along with the task that added them.
    pub fn carry(&self, into: &Workflow, keep: &dyn Fn(&TaskName) -> bool) -> Vec<Event> {
        let Ok(graph) = Graph::of(into) else { return Vec::new() };
        let mut carrying =
            Carrying { run: self, keep, carried: BTreeSet::new(), events: Vec::new() };
        let here: BTreeMap<&str, usize> = (self.created.workflow.tasks.iter().enumerate())
            .map(|(place, spec)| (spec.name.as_str(), place))
            .collect();
        let added = self.added_tasks(into);
        for &to in graph.order() {
            let spec = &into.tasks[to];
            let Some(&place) = here.get(spec.name.as_str()) else { continue };
            let needs: BTreeSet<&TaskName> =
                graph.needs(to).map(|need| &into.tasks[need].name).collect();
            let before: BTreeSet<&TaskName> = self
                .graph
                .needs(place)
                .map(|need| &self.created.workflow.tasks[need].name)
                .collect();
            if *spec != self.created.workflow.tasks[place] || needs != before {
                continue;
            }
            // The one that added tasks begins with them, or is done again and adds others.
            if place == 0 && !self.made_added().is_empty() {
                let Some(event) = added.clone().filter(|_| carrying.is_done(place)) else {
                    continue;
                };
                carrying.events.push(event);
            }
            carrying.task(place);
        }
        if added.is_some() && carrying.carried.contains(&0) {
            for place in self.made_added() {
                carrying.task(place);
            }
        }
        carrying.events
    }

    fn made_added(&self) -> Vec<usize> {
        let first = self.created.workflow.tasks.len();
        let added = |(index, made): (usize, &Made)| {
            matches!(made, Made::Added { .. }).then_some(first + index)
        };
        self.made.iter().enumerate().filter_map(added).collect()
    }

    /// The event that adds what was added here; none when nothing was, or when `into` has tasks of
    /// those names.
    fn added_tasks(&self, into: &Workflow) -> Option<Event> {
        let names: BTreeSet<&TaskName> = into.tasks.iter().map(|spec| &spec.name).collect();
        let (mut tasks, mut bindings) = (Vec::new(), Vec::new());
        for made in &self.made {
            if let Made::Added { spec, binding } = made {
                if names.contains(&spec.name)
                    || !spec.needs.iter().all(|n| self.places.contains_key(n))
                {
                    return None;
                }
                tasks.push((**spec).clone());
                bindings.push(binding.clone());
            }
        }
        // What an added task needs must be there as well.
        let known = |need: &TaskName| names.contains(need) || tasks.iter().any(|t| t.name == *need);
        let sound = tasks.iter().all(|task| task.needs.iter().all(known));
        let by = self.created.workflow.tasks.first()?.name.clone();
        (sound && !tasks.is_empty()).then(|| Event::TasksAdded {
            by,
            tasks,
            bindings,
            agents: self.more_agents.clone(),
        })
    }
}

struct Carrying<'a> {
    run: &'a Run,
    keep: &'a dyn Fn(&TaskName) -> bool,
    /// Places of tasks that are carried over whole.
    carried: BTreeSet<usize>,
    events: Vec<Event>,
}

impl Carrying<'_> {
    /// Carries the task at `place` over, or the items of it that can be.
    fn task(&mut self, place: usize) {
        let run = self.run;
        if !(self.keep)(&run.name(place))
            || !run.graph.needs(place).all(|need| self.carried.contains(&need))
        {
            return;
        }
        match run.tasks[place].items() {
            None if self.is_done(place) => {
                self.carried.insert(place);
                self.events.push(self.event(place));
            }
            None => {}
            Some(items) => self.group(place, items),
        }
    }

    fn group(&mut self, place: usize, items: &Items) {
        let run = self.run;
        let kept: Vec<usize> = (items.first..items.first + items.count as usize)
            .filter(|&item| self.is_done(item))
            .collect();
        let whole = self.is_done(place) && kept.len() == items.count as usize;
        if kept.is_empty() && !whole {
            return;
        }
        let list = match &items.list {
            List::Here(values) => Content::Inline(Value::Array(values.to_vec())),
            List::Blob(content) => content.clone(),
        };
        let task = run.name(place);
        self.events.push(Event::TaskExpanded { task, count: items.count, items: list });
        for item in kept {
            self.events.push(self.event(item));
        }
        if whole {
            self.carried.insert(place);
            self.events.push(self.event(place));
        }
    }

    /// Whether the task at `place` has a result that is to be kept.
    fn is_done(&self, place: usize) -> bool {
        let run = self.run;
        run.tasks[place].status == TaskStatus::Succeeded
            && !run.is_undoing(place)
            && (self.keep)(&run.name(place))
    }

    fn event(&self, place: usize) -> Event {
        let state = &self.run.tasks[place];
        let from = state.more(|more| more.carried.clone());
        Event::TaskCarried {
            task: self.run.name(place),
            from: from.unwrap_or_else(|| self.run.id().clone()),
            agent: state.last_agent.clone(),
            attempts: state.attempts,
            output: state.output.clone(),
            artifacts: state.more.as_deref().map(|more| more.artifacts.clone()).unwrap_or_default(),
            facts: state.work().and_then(|work| work.facts.clone()).map(Box::new),
        }
    }
}

impl Run {
    /// Whether what the task at `place` did is, was or is to be undone: however far that came, the
    /// result cannot be relied on.
    fn is_undoing(&self, place: usize) -> bool {
        let name = self.name(place);
        let undone = |name: &TaskName| self.places.contains_key(name.undo().as_str());
        undone(&name)
            || self.tasks[place].items().is_some_and(|items| {
                (items.first..items.first + items.count as usize)
                    .any(|item| undone(&self.name(item)))
            })
    }
}
