//! The tasks of a run, whether its definition has them or they came later.

use super::{Lane, LaneKey, Made, Run, state::TaskState};
use crate::{
    agent::AgentSpec,
    expr,
    id::{AgentName, CommitId, ProviderName, TaskName},
    port::LostAttempt,
    schedule::ReadyQueue,
    task::{TaskKind, TaskSpec, WORKFLOW_AGENT},
    workspace::LandMode,
};
use serde_json::Map;

impl Run {
    /// What the task at `place` asks for; of an item, what its `for-each` task does.
    ///
    /// # Panics
    /// When there is no such place.
    pub fn spec(&self, place: usize) -> &TaskSpec {
        match self.made(place) {
            None => &self.created.workflow.tasks[place],
            Some(Made::Item { group, .. }) => self.spec(*group),
            Some(Made::Added { spec, .. } | Made::Undo { spec, .. }) => spec,
        }
    }

    /// The name of the task at `place`.
    ///
    /// # Panics
    /// When there is no such place.
    pub fn name(&self, place: usize) -> TaskName {
        match self.made(place) {
            Some(Made::Item { group, index }) => self.spec(*group).name.item(*index),
            _ => self.spec(place).name.clone(),
        }
    }

    /// Whether there is a task at `place`, of that name.
    pub(super) fn is_named(&self, place: usize, name: &str) -> bool {
        if place >= self.tasks.len() {
            return false;
        }
        match self.made(place) {
            // Their names are not kept, and making one takes as long as looking it up.
            Some(Made::Item { .. }) => false,
            _ => self.spec(place).name.as_str() == name,
        }
    }

    /// How the task at `place` came, unless the definition has it.
    pub(super) fn made(&self, place: usize) -> Option<&Made> {
        self.made.get(place.checked_sub(self.created.workflow.tasks.len())?)
    }

    /// The `for-each` task that the task at `place` is an item of.
    pub(super) fn group_of(&self, place: usize) -> Option<usize> {
        match self.made(place)? {
            Made::Item { group, .. } => Some(*group),
            Made::Added { .. } | Made::Undo { .. } => None,
        }
    }

    pub(super) fn is_undo(&self, place: usize) -> bool {
        matches!(self.made(place), Some(Made::Undo { .. }))
    }

    /// Who may do the task at `place`, best first.
    pub fn agents_for(&self, place: usize) -> &[AgentName] {
        let of = |place: usize| self.created.bindings.get(place);
        match self.made(place) {
            None => of(place).map_or(&[], |binding| &binding.agents),
            Some(Made::Item { group, .. }) => self.agents_for(*group),
            Some(Made::Added { binding, .. }) => &binding.agents,
            Some(Made::Undo { of, .. }) => self.undoers_of(*of),
        }
    }

    /// Who may judge what the task at `place` makes, best first.
    pub fn judges_for(&self, place: usize) -> &[AgentName] {
        match self.made(place) {
            None => self.created.bindings.get(place).map_or(&[], |binding| &binding.judges),
            Some(Made::Item { group, .. }) => self.judges_for(*group),
            Some(Made::Added { binding, .. }) => &binding.judges,
            Some(Made::Undo { .. }) => &[],
        }
    }

    /// What tasks of another run had landed on its result branch that were carried over into this
    /// one.
    pub fn carried_commits(&self) -> Vec<CommitId> {
        let carried = self.tasks.iter().enumerate().filter_map(|(place, state)| {
            state.more(|more| more.carried.as_ref())?;
            let landed = state.work()?.facts.as_ref()?.landed.as_ref()?;
            let land = self.spec(place).landing()?;
            let to_result = land.mode == LandMode::Branch && land.target.is_none();
            to_result.then(|| landed.commit.clone())
        });
        carried.collect()
    }

    fn undoers_of(&self, place: usize) -> &[AgentName] {
        match self.made(place) {
            None => self.created.bindings.get(place).map_or(&[], |binding| &binding.undo),
            Some(Made::Item { group, .. }) => self.undoers_of(*group),
            Some(Made::Added { binding, .. }) => &binding.undo,
            Some(Made::Undo { .. }) => &[],
        }
    }

    /// The agent of that name, as it was when the run began.
    pub fn agent_spec(&self, name: &AgentName) -> Option<&AgentSpec> {
        self.created.agents.iter().chain(&self.more_agents).find(|spec| spec.name == *name)
    }

    /// The attempts under way in which an agent works, none of them a child run. What was spent on
    /// work that is recorded is counted.
    pub fn attempts_under_way(&self) -> Vec<LostAttempt> {
        let own = |state: &TaskState| {
            let current = state.current.as_deref().filter(|current| current.child.is_none())?;
            if state.is_done() {
                return None;
            }
            Some((current.attempt, current.agent.clone()))
        };
        let all = self.tasks.iter().enumerate();
        let under_way = all.filter_map(|(place, state)| Some((place, own(state)?)));
        under_way
            .map(|(place, (attempt, agent))| LostAttempt {
                task: self.name(place),
                attempt,
                provider: self.provider_of(&agent),
                agent,
            })
            .collect()
    }

    /// What the agent of that name runs on; itself where that is not known.
    pub(super) fn provider_of(&self, name: &AgentName) -> ProviderName {
        match self.agent_spec(name) {
            Some(spec) => spec.provider.clone(),
            None => ProviderName::of(name),
        }
    }

    /// Who is to do the task at `place` now.
    pub(super) fn agent_of(&self, place: usize) -> AgentName {
        if matches!(self.spec(place).kind, TaskKind::Workflow { .. }) {
            return AgentName::fixed(WORKFLOW_AGENT);
        }
        let agents = self.agents_for(place);
        match agents.get(self.tasks[place].agent.min(agents.len().saturating_sub(1))) {
            Some(agent) => agent.clone(),
            None => AgentName::fixed(WORKFLOW_AGENT),
        }
    }

    /// The concurrency group of the task at `place`, filled in.
    pub(super) fn concurrency_group(
        &self,
        place: usize,
    ) -> Result<Option<Box<str>>, expr::ExprError> {
        match &self.spec(place).concurrency_group {
            None => Ok(None),
            Some(group) if !group.contains("{{") => Ok(Some(group.clone())),
            Some(group) => {
                let scope = expr::scope((*self.created.inputs).clone(), Map::new());
                expr::fill(group, &scope).map(|text| Some(text.into()))
            }
        }
    }

    /// The lane of that key.
    pub(super) fn lane(&mut self, key: LaneKey) -> usize {
        if let Some(lane) = self.lane_of.get(&key) {
            return *lane;
        }
        let (agent, group, _) = key.clone();
        self.lanes.push(Lane { agent, group, queue: ReadyQueue::default(), held: None });
        self.lane_of.insert(key, self.lanes.len() - 1);
        self.lanes.len() - 1
    }

    /// Adds a task that the definition does not have.
    pub(super) fn make(&mut self, made: Made, state: TaskState) -> usize {
        let place = self.tasks.len();
        if let Made::Added { spec, .. } | Made::Undo { spec, .. } = &made {
            self.places.insert(spec.name.clone(), place);
        }
        self.made.push(made);
        self.tasks.push(state);
        self.open += 1;
        self.changed.note(place);
        place
    }
}
