//! What is found on the machine: keys by their usual variables, and coding programs.

pub(super) use crate::roster::Usual;
use crate::{Environment, OrchestratorService, roster::USUAL};
use orchestrator_agents::coding::{self, Adapter};
use std::{path::PathBuf, sync::Arc};

/// The kinds of provider whose usual variable is set, in the environment or in `.env`.
pub(super) fn keys(service: &OrchestratorService) -> Vec<&'static Usual> {
    let settings = service.settings().ok();
    let set = |name: &str| match settings {
        Some(settings) => settings.variable(name).is_some(),
        // Settings that cannot be read must not keep a project from being set up anew.
        None => service.environment().get(name).is_some(),
    };
    USUAL.iter().filter(|usual| set(usual.variable)).collect()
}

/// The coding CLIs on `PATH`, each with its adapter.
pub(super) fn coding_programs(environment: &Environment) -> Vec<(Arc<dyn Adapter>, PathBuf)> {
    let found = |adapter: Arc<dyn Adapter>| {
        let path = environment.programs(adapter.program()?).into_iter().next()?;
        Some((adapter, path))
    };
    coding::adapters().into_iter().filter_map(found).collect()
}
