//! One coding CLI as an agent, with its way to its models.

use super::{
    own_login::{self, OwnLogin},
    pass::Metering,
};
use crate::{
    credentials::{Guarded, KnownSecrets},
    roster::{Coding, Mode, Program},
    telemetry::Telemetry,
    work::Confiner,
};
use async_trait::async_trait;
use orchestrator_agents::{
    coding::{Adapter, CodingAgent, Endpoint},
    command::Environment,
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    port::{Agent, Answer, Assignment, AttemptHost, LogLine, LogStream},
};
use std::{path::PathBuf, sync::Arc};

/// Runs a coding CLI: with a token that is worth one attempt, or with the user's login.
pub(crate) struct CodingProgram {
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) program: Program,
    pub(crate) coding: Coding,
    /// What it sees of the environment besides.
    pub(crate) environment: Environment,
    pub(super) metering: Metering,
    /// What tells it where it belongs.
    pub(crate) telemetry: Option<Telemetry>,
    /// What confines it where it has a workspace.
    pub(crate) confiner: Confiner,
    /// Where the homes of all tasks are.
    pub(crate) homes: PathBuf,
    /// The user's home, for a login.
    pub(crate) user: Option<PathBuf>,
}

#[async_trait]
impl Agent for CodingProgram {
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        match self.coding.mode {
            Mode::Metered => self.metered(assignment, host).await,
            Mode::OwnLogin => self.with_own_login(assignment, host).await,
        }
    }

    fn steerable(&self) -> bool {
        self.coding.live && self.adapter.capabilities().steering.is_offered()
    }
}

impl CodingProgram {
    /// The agent of one attempt, whose program reaches the gateway at `url`, where there is one.
    fn agent(&self, assignment: &Assignment, url: Option<&str>) -> CodingAgent {
        let mut environment = self.environment.clone();
        for (name, value) in self.telemetry.iter().flat_map(|it| it.variables(assignment)) {
            environment = environment.with(name, value);
        }
        let Coding { arguments, limits, live, reach, installed, .. } = self.coding.clone();
        let command = self.program.command.clone();
        let confiner = self.confiner.of_program(&command, url.unwrap_or_default());
        let (adapter, homes) = (self.adapter.clone(), self.homes.clone());
        let agent = CodingAgent::new(adapter, command, environment, homes)
            .limits(limits)
            .reach(reach)
            .arguments(arguments)
            .confined_by(Arc::new(confiner), installed);
        if live { agent.live() } else { agent }
    }

    async fn metered(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let mut way = self.metering.open(assignment, host).await?;
        way.told = way.told.only_noting();
        let token = way.pass.token().clone();
        let books = Arc::downgrade(&way.pass);
        let agent = self
            .agent(assignment, Some(&way.url))
            .through(Endpoint {
                url: way.url.clone(),
                token: token.clone(),
                formats: self
                    .metering
                    .access
                    .formats(&self.metering.accounts, assignment.agent.model.as_deref()),
            })
            .booked(move || books.upgrade().map(|pass| pass.so_far()).unwrap_or_default());
        let secret = KnownSecrets::default();
        secret.learn([token]);
        let result = Guarded::new(Arc::new(agent), secret).perform(assignment, host).await;
        way.close(result, host).await
    }

    async fn with_own_login(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let access = &self.metering.access;
        if access.is_taped() {
            let name = &assignment.agent.name;
            let message = format!(
                "agent `{name}` calls its models by itself, of which nothing can be recorded or \
                 replayed; set agents.{name}.mode to `metered`"
            );
            return Err(Failure::new(ErrorClass::InvalidRequest, message));
        }
        self.reaches_models(assignment)?;
        let meter = OwnLogin::new(access, assignment, &self.adapter);
        meter.judge().await?;
        let text = own_login::SAID.to_owned();
        host.log(LogLine { stream: LogStream::Note, text });
        let mut agent = self.agent(assignment, None).metered_by(Arc::new(meter));
        if let Some(home) = &self.user {
            agent = agent.logged_in_as(home.clone());
        }
        agent.perform(assignment, host).await
    }

    /// Refuses what could only fail: a login without a way out of the sandbox.
    fn reaches_models(&self, assignment: &Assignment) -> Result<(), Failure> {
        if assignment.workspace.is_none() || self.confiner.lets_out(assignment)? {
            return Ok(());
        }
        let name = &assignment.agent.name;
        let message = format!(
            "ORC-0573: agent `{name}` works with its own login, and its sandbox lets it talk to \
             nobody; set agents.{name}.network to `all`, or to `hosts` with the hosts of its provider \
             in sandbox.hosts"
        );
        Err(Failure::new(ErrorClass::InvalidRequest, message))
    }
}
