//! The DAG of a workflow: who needs whom, in which order, and what takes longest.

use crate::{
    id::TaskName,
    workflow::{Mode, Workflow},
};
use petgraph::{
    Direction,
    algo::{tarjan_scc, toposort},
    graph::{DiGraph, NodeIndex},
};
use std::collections::HashMap;

/// Tasks that need each other in a circle: each needs the next, the last needs the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", path(.0))]
pub struct Cycle(pub Vec<TaskName>);

fn path(tasks: &[TaskName]) -> String {
    let mut names: Vec<&str> = tasks.iter().map(TaskName::as_str).collect();
    names.extend(tasks.first().map(TaskName::as_str));
    format!("{} is a circle of needs", names.join(" → "))
}

/// The tasks of a workflow by their places in it, from 0, with their needs.
///
/// The needs of the workflow's [`Mode`] are included; names that no task has are left out, since
/// [`Workflow::check`] reports them.
#[derive(Debug, Clone)]
pub struct Graph {
    /// An edge leads from a task to one that needs it. Node weights are places.
    graph: DiGraph<(), ()>,
    order: Vec<usize>,
}

impl Graph {
    /// The graph of `workflow`.
    ///
    /// # Errors
    /// The [`Cycle`] when tasks need each other.
    pub fn of(workflow: &Workflow) -> Result<Self, Cycle> {
        let places: HashMap<&str, usize> =
            workflow.tasks.iter().enumerate().map(|(i, t)| (t.name.as_str(), i)).collect();
        let mut graph = DiGraph::with_capacity(workflow.tasks.len(), workflow.tasks.len());
        for _ in &workflow.tasks {
            graph.add_node(());
        }
        let mut needs: Vec<usize> = Vec::new();
        for (place, task) in workflow.tasks.iter().enumerate() {
            let implied = match workflow.mode {
                Mode::Parallel => None,
                Mode::Sequential => place.checked_sub(1),
                Mode::Hierarchical => (place > 0).then_some(0),
            };
            let declared = task.needs.iter().filter_map(|name| places.get(name.as_str()).copied());
            needs.clear();
            needs.extend(implied.into_iter().chain(declared));
            add_needs(&mut graph, place, &mut needs);
        }
        match toposort(&graph, None) {
            Ok(order) => {
                Ok(Self { graph, order: order.into_iter().map(NodeIndex::index).collect() })
            }
            Err(_) => Err(Cycle(
                find_cycle(&graph).into_iter().map(|i| workflow.tasks[i].name.clone()).collect(),
            )),
        }
    }

    /// Adds one task for each list of `needs`, which are places of tasks that there are already or
    /// that are added with it.
    ///
    /// # Errors
    /// The places of added tasks that need each other in a circle; nothing is added then.
    pub fn grow(&mut self, needs: &[Vec<usize>]) -> Result<(), Vec<usize>> {
        let first = self.len();
        let order = order_of(first, needs)?;
        for _ in needs {
            self.graph.add_node(());
        }
        for (index, needs) in needs.iter().enumerate() {
            add_needs(&mut self.graph, first + index, &mut needs.clone());
        }
        self.order.extend(order);
        Ok(())
    }

    /// Adds `count` tasks that need nothing and that nothing needs.
    pub fn grow_alone(&mut self, count: usize) {
        let first = self.len();
        self.graph.reserve_nodes(count);
        self.order.reserve(count);
        for place in first..first + count {
            self.graph.add_node(());
            self.order.push(place);
        }
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `task` needs directly.
    pub fn needs(&self, task: usize) -> impl Iterator<Item = usize> + '_ {
        self.neighbours(task, Direction::Incoming)
    }

    /// What needs `task` directly.
    pub fn dependents(&self, task: usize) -> impl Iterator<Item = usize> + '_ {
        self.neighbours(task, Direction::Outgoing)
    }

    fn neighbours(&self, task: usize, way: Direction) -> impl Iterator<Item = usize> + '_ {
        self.graph.neighbors_directed(NodeIndex::new(task), way).map(NodeIndex::index)
    }

    /// Every task after all that it needs.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Everything that needs `task`, directly or not, in no order; `task` itself is left out.
    pub fn downstream(&self, task: usize) -> Vec<usize> {
        self.reach(task, Direction::Outgoing)
    }

    /// Everything that `task` needs, directly or not, in no order; `task` itself is left out.
    pub fn upstream(&self, task: usize) -> Vec<usize> {
        self.reach(task, Direction::Incoming)
    }

    fn reach(&self, task: usize, way: Direction) -> Vec<usize> {
        let mut seen = vec![false; self.len()];
        let mut found = Vec::new();
        let mut open = vec![task];
        while let Some(task) = open.pop() {
            for next in self.neighbours(task, way) {
                if !std::mem::replace(&mut seen[next], true) {
                    found.push(next);
                    open.push(next);
                }
            }
        }
        found
    }

    /// The tasks in layers: each as early as its needs allow, a layer in the order of the file.
    pub fn layers(&self) -> Vec<Vec<usize>> {
        let mut depth = vec![0; self.len()];
        for &task in &self.order {
            depth[task] = self.needs(task).map(|need| depth[need] + 1).max().unwrap_or(0);
        }
        let mut layers = vec![Vec::new(); depth.iter().max().map_or(0, |deepest| deepest + 1)];
        for (task, depth) in depth.into_iter().enumerate() {
            layers[depth].push(task);
        }
        layers
    }

    /// The chain of needs with the largest sum of `weight`, first task first.
    pub fn critical_path(&self, weight: impl Fn(usize) -> u64) -> Vec<usize> {
        let mut longest: Vec<(u64, Option<usize>)> = vec![(0, None); self.len()];
        for &task in &self.order {
            let before = self.needs(task).map(|need| (longest[need].0, need)).max();
            let (sum, through) = before.map_or((0, None), |(sum, need)| (sum, Some(need)));
            longest[task] = (sum.saturating_add(weight(task)), through);
        }
        let mut path = Vec::new();
        let mut at = (0..self.len()).max_by_key(|&task| longest[task].0);
        while let Some(task) = at {
            path.push(task);
            at = longest[task].1;
        }
        path.reverse();
        path
    }
}

/// Makes the task at `place` need each of `needs`, once.
fn add_needs(graph: &mut DiGraph<(), ()>, place: usize, needs: &mut Vec<usize>) {
    needs.sort_unstable();
    needs.dedup();
    for need in needs {
        graph.add_edge(NodeIndex::new(*need), NodeIndex::new(place), ());
    }
}

/// The places of added tasks, the first of which is `first`, each after all that it needs.
fn order_of(first: usize, needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut unmet: Vec<usize> = Vec::with_capacity(needs.len());
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (index, needs) in needs.iter().enumerate() {
        let mut inside: Vec<usize> =
            needs.iter().filter_map(|need| need.checked_sub(first)).collect();
        inside.sort_unstable();
        inside.dedup();
        unmet.push(inside.len());
        for need in inside {
            dependents[need].push(index);
        }
    }
    let mut free: Vec<usize> = (0..needs.len()).rev().filter(|&i| unmet[i] == 0).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(index) = free.pop() {
        order.push(first + index);
        for &dependent in &dependents[index] {
            unmet[dependent] -= 1;
            if unmet[dependent] == 0 {
                free.push(dependent);
            }
        }
    }
    if order.len() == needs.len() {
        return Ok(order);
    }
    Err((0..needs.len()).filter(|&i| unmet[i] > 0).map(|i| first + i).collect())
}

/// One cycle of `graph`, each node needing the next.
fn find_cycle(graph: &DiGraph<(), ()>) -> Vec<usize> {
    let loops = graph.node_indices().find(|&node| graph.contains_edge(node, node));
    if let Some(node) = loops {
        return vec![node.index()];
    }
    let Some(circle) = tarjan_scc(graph).into_iter().find(|component| component.len() > 1) else {
        return Vec::new();
    };
    let inside: std::collections::HashSet<NodeIndex> = circle.iter().copied().collect();
    // Every node of a strongly connected component has a need within it, so this walk must come
    // back to a node that it has passed.
    let mut walk = vec![circle.iter().copied().min().unwrap_or_default()];
    let mut place: HashMap<NodeIndex, usize> = HashMap::from([(walk[0], 0)]);
    loop {
        let at = walk[walk.len() - 1];
        let mut needs: Vec<NodeIndex> = graph
            .neighbors_directed(at, Direction::Incoming)
            .filter(|need| inside.contains(need))
            .collect();
        needs.sort();
        let Some(&need) = needs.first() else {
            return Vec::new();
        };
        if let Some(&start) = place.get(&need) {
            return walk[start..].iter().map(|node| node.index()).collect();
        }
        place.insert(need, walk.len());
        walk.push(need);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn workflow(tasks: &[(&str, &[&str])]) -> Workflow {
        tasks.iter().fold(Workflow::new("w").unwrap(), |workflow, (name, needs)| {
            workflow.task(name, "dev", "x", needs).unwrap()
        })
    }

    #[test]
    fn a_cycle_is_named_by_its_path() {
        let check = |tasks: &[(&str, &[&str])], expected: &str| {
            assert_eq!(Graph::of(&workflow(tasks)).unwrap_err().to_string(), expected);
        };
        check(&[("a", &["a"])], "a → a is a circle of needs");
        check(
            &[("x", &[]), ("a", &["c", "x"]), ("b", &["a"]), ("c", &["b"]), ("d", &["c"])],
            "a → c → b → a is a circle of needs",
        );
    }

    #[test]
    fn modes_imply_needs() {
        let mut sample = workflow(&[("a", &[]), ("b", &[]), ("c", &["a"])]);
        let layers = |sample: &Workflow| Graph::of(sample).unwrap().layers();
        assert_eq!(layers(&sample), [vec![0, 1], vec![2]]);
        sample.mode = Mode::Sequential;
        assert_eq!(layers(&sample), [vec![0], vec![1], vec![2]]);
        sample.mode = Mode::Hierarchical;
        assert_eq!(layers(&sample), [vec![0], vec![1, 2]]);
    }

    #[test]
    fn the_critical_path_is_the_heaviest_chain() {
        let graph = Graph::of(&workflow(&[
            ("a", &[]),
            ("slow", &["a"]),
            ("b", &["a"]),
            ("c", &["b"]),
            ("end", &["c", "slow"]),
        ]))
        .unwrap();
        assert_eq!(graph.critical_path(|task| if task == 1 { 10 } else { 1 }), [0, 1, 4]);
        assert_eq!(graph.critical_path(|_| 1), [0, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn the_order_respects_every_need(edges in prop::collection::vec((0usize..30, 0usize..30), 0..120)) {
            let names: Vec<String> = (0..30).map(|i| format!("t{i}")).collect();
            let mut sample = Workflow::new("w").unwrap();
            for (i, name) in names.iter().enumerate() {
                let needs: Vec<&str> = edges
                    .iter()
                    .filter(|(a, b)| a.max(b) == &i && a != b)
                    .map(|(a, b)| names[*a.min(b)].as_str())
                    .collect();
                sample = sample.task(name, "dev", "x", &needs).unwrap();
            }
            let graph = Graph::of(&sample).unwrap();
            let mut place = vec![0; graph.len()];
            graph.order().iter().enumerate().for_each(|(i, &task)| place[task] = i);
            for task in 0..graph.len() {
                prop_assert!(graph.needs(task).all(|need| place[need] < place[task]));
                prop_assert!(graph.needs(task).all(|need| graph.upstream(task).contains(&need)));
            }
        }
    }
}
