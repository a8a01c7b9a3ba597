//! What a run is started with.

use crate::{
    estimate::RunEstimate,
    event::{CassetteUse, Event, Origin},
    id::{ProjectId, RunId, TaskName, TenantId},
    money::MicroUsd,
    workflow::Workflow,
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What a run is started with.
#[derive(Debug, Clone)]
pub struct StartRun {
    /// The definition.
    pub workflow: Arc<Workflow>,
    /// The inputs: an object, as [`Workflow::bind_inputs`] gives it.
    pub inputs: Value,
    /// Where the definition came from.
    pub source: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its project.
    pub project: ProjectId,
    /// The project's directory.
    pub directory: PathBuf,
    /// The most that it may cost.
    pub budget: Option<MicroUsd>,
    /// The most attempts at once; at least 1.
    pub max_parallel: u32,
    /// The run that starts it as a child and waits for it.
    pub parent: Option<RunId>,
    /// From which run it comes in another way.
    pub origin: Option<Origin>,
    /// Every workflow that it may start, directly or not, by the name that is used for it.
    pub library: BTreeMap<String, Arc<Workflow>>,
    /// What was done in another run and holds here: events as [`Run::carry`](super::Run) gives them.
    pub seed: Vec<Event>,
    /// Child runs whose results the children of these tasks take over.
    pub takes_over: BTreeMap<TaskName, RunId>,
    /// The cassette that its calls of models are recorded into or answered from.
    pub cassette: Option<CassetteUse>,
    /// What it is expected to use and cost, to be compared with what it will.
    pub estimate: Option<RunEstimate>,
    /// Whether its worktrees begin with what the project has not committed.
    pub uncommitted: bool,
}

impl StartRun {
    /// A run of `workflow` without inputs, in the current directory, four attempts at once.
    pub fn new(workflow: Arc<Workflow>) -> Self {
        Self {
            max_parallel: workflow.max_parallel.unwrap_or(4),
            budget: workflow.budget,
            workflow,
            inputs: Value::Object(Map::new()),
            source: "code".into(),
            tenant: TenantId::default(),
            project: ProjectId::default(),
            directory: PathBuf::from("."),
            parent: None,
            origin: None,
            library: BTreeMap::new(),
            seed: Vec::new(),
            takes_over: BTreeMap::new(),
            cassette: None,
            estimate: None,
            uncommitted: false,
        }
    }
}
