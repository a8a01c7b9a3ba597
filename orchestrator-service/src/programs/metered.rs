//! One program as an agent, metered.

use super::{gateway_variables, pass::Metering};
use crate::{
    credentials::{Guarded, KnownSecrets},
    telemetry::Telemetry,
    work::Confiner,
};
use async_trait::async_trait;
use orchestrator_agents::command::{Environment, ProgramAgent};
use orchestrator_core::{
    error::Failure,
    port::{Agent, Answer, Assignment, AttemptHost, Progress},
};
use std::{pin::pin, sync::Arc};

/// Runs a program with a token that is worth one attempt, and no key.
pub(crate) struct MeteredProgram {
    pub(crate) command: Vec<String>,
    /// What it sees of the environment besides.
    pub(crate) environment: Environment,
    pub(super) metering: Metering,
    /// What tells it where it belongs.
    pub(crate) telemetry: Option<Telemetry>,
    /// What confines it where it has a workspace.
    pub(crate) confiner: Confiner,
}

#[async_trait]
impl Agent for MeteredProgram {
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let mut way = self.metering.open(assignment, host).await?;
        let (url, pass, told) = (&way.url, &way.pass, &mut way.told);
        let mut environment = self.environment.clone();
        let token = pass.token();
        let own = [
            ("ORCHESTRATOR_GATEWAY_URL", url.clone()),
            ("ORCHESTRATOR_GATEWAY_TOKEN", token.expose().to_owned()),
        ];
        for (name, value) in gateway_variables(url, token.expose()).into_iter().chain(own) {
            environment = environment.with(name, value);
        }
        for (name, value) in self.telemetry.iter().flat_map(|it| it.variables(assignment)) {
            environment = environment.with(name, value);
        }
        let secret = KnownSecrets::default();
        secret.learn([token.clone()]);
        let confiner = Arc::new(self.confiner.of_program(&self.command, url));
        let program = ProgramAgent::new(self.command.clone(), environment).confined_by(confiner);
        let program = Guarded::new(Arc::new(program), secret);
        let result = {
            let mut work = pin!(program.perform(assignment, host));
            loop {
                tokio::select! {
                    biased;
                    result = &mut work => break result,
                    () = pass.changed() => {
                        let ((usage, cost), doing) = (pass.so_far(), self.doing());
                        host.progress(Progress { doing, usage, cost });
                        told.tell(pass.routed(), host).await;
                    }
                }
            }
        };
        way.close(result, host).await
    }
}

impl MeteredProgram {
    fn doing(&self) -> String {
        format!("running {}", self.command.first().map_or("", String::as_str))
    }
}
