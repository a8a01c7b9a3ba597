//! Agents that are programs, made of what the settings say of them.

use super::{Access, coding::CodingProgram, metered::MeteredProgram, pass::Metering};
use crate::{roster::Program, telemetry::Telemetry, work::Confiner};
use orchestrator_agents::{coding, command::Environment};
use orchestrator_core::{id::ProviderName, port::Agent, route::Route};
use std::{path::PathBuf, sync::Arc};

/// What surrounds a program.
pub(crate) struct Surroundings {
    /// What it sees of the environment.
    pub(crate) environment: Environment,
    pub(crate) telemetry: Option<Telemetry>,
    pub(crate) confiner: Confiner,
    /// Where the homes of coding CLIs are.
    pub(crate) homes: PathBuf,
    /// The user's home.
    pub(crate) user: Option<PathBuf>,
}

/// An agent that is `program`, whose models are called through `access`, by the rules `routes`.
pub(crate) fn program(
    program: &Program,
    (access, routes): (Arc<Access>, Arc<[Route]>),
    surroundings: Surroundings,
) -> Arc<dyn Agent> {
    let Surroundings { environment, telemetry, confiner, homes, user } = surroundings;
    let named = |account: &&ProviderName| {
        program.accounts.is_empty() || program.accounts.iter().any(|it| it == account.as_str())
    };
    let accounts = access.accounts().iter().filter(named).cloned().collect();
    let (models, rule) = (program.models.clone(), program.rule.clone());
    let metering = Metering { access, accounts, models, routes, rule };
    let adapter = program.coding.as_ref().and_then(|it| coding::adapter(&it.provider));
    match (program.coding.clone(), adapter) {
        (Some(coding), Some(adapter)) => {
            let program = program.clone();
            Arc::new(CodingProgram {
                adapter,
                program,
                coding,
                environment,
                metering,
                telemetry,
                confiner,
                homes,
                user,
            })
        }
        _ => {
            let command = program.command.clone();
            Arc::new(MeteredProgram { command, environment, metering, telemetry, confiner })
        }
    }
}
