//! What is found on the machine: keys by their usual variables, and coding programs.

pub(super) use crate::roster::Usual;
use crate::{Environment, OrchestratorService, roster::USUAL};
use std::path::PathBuf;

/// Coding programs by the name of their provider.
const PROGRAMS: [(&str, &str); 4] = [
    ("claude-code", "claude"),
    ("codex", "codex"),
    ("gemini-cli", "gemini"),
    ("copilot", "copilot"),
];

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

/// The coding programs on `PATH`.
pub(super) fn coding_programs(environment: &Environment) -> Vec<(&'static str, PathBuf)> {
    PROGRAMS
        .iter()
        .filter_map(|(name, program)| {
            Some((*name, environment.programs(program).into_iter().next()?))
        })
        .collect()
}
