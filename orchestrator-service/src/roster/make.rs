//! The working agents behind the names.

use super::{BUILTIN, Roster};
use crate::{
    Environment, ServiceError,
    document::Diagnostic,
    programs::{self, Access, Surroundings},
    telemetry::Telemetry,
    work::Confiner,
};
use orchestrator_agents::{
    builtin::BuiltinAgent,
    command::{CommandAgent, Environment as Passed},
    model::ModelAgent,
};
use orchestrator_core::{agent::AgentSpec, id::AgentName, port::Agent, task::COMMAND_AGENT};
use orchestrator_gateway::{
    Client, Gateway, ProviderConfig, SecretString, prices::PriceTable, route::Router,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// An agent that can be given work, with its specification.
type Working = (AgentSpec, Arc<dyn Agent>);

impl Roster {
    /// Working agents for `names`, each with its specification. What nobody needs is not set up;
    /// `router` makes the way to models, and `access` that of programs. Programs see what passes of the
    /// environment, and what `telemetry` tells them;
    /// `confiner` confines them where they have a workspace, and coding CLIs have homes in `homes`.
    ///
    /// # Errors
    /// A name that nobody has, an agent that cannot work, a provider that cannot be used.
    pub(crate) fn make<'a>(
        &self,
        names: impl IntoIterator<Item = &'a AgentName>,
        (environment, telemetry, confiner): (&Environment, Option<&Telemetry>, &Confiner),
        homes: &Path,
        router: impl FnOnce() -> Result<Router, ServiceError>,
        access: impl Fn() -> Result<Arc<Access>, ServiceError>,
    ) -> Result<Vec<Working>, ServiceError> {
        let mut made: Vec<Working> = Vec::new();
        let (mut analysts, mut models) = (None, None);
        let mut router = Some(router);
        for name in names {
            let member = self.get(name.as_str())?;
            if let Some(diagnostic) = &member.unusable {
                let what = format!("cannot use agent `{name}`");
                return Err(ServiceError::invalid(what, diagnostic.clone()));
            }
            let passed = || {
                let variables = environment.variables.iter();
                let offered = variables.map(|(name, value)| (name.into(), value.into()));
                Passed::from_vars(offered, &[])
            };
            let agent: Arc<dyn Agent> = match (member.spec.provider.as_str(), &member.program) {
                (_, Some(program)) => {
                    let surroundings = Surroundings {
                        environment: passed(),
                        telemetry: telemetry.cloned(),
                        confiner: confiner.clone(),
                        homes: homes.to_owned(),
                        user: environment.get("HOME").map(PathBuf::from),
                    };
                    programs::program(program, (access()?, self.routes.clone()), surroundings)
                }
                (BUILTIN, None) => {
                    analysts.get_or_insert_with(|| Arc::new(BuiltinAgent::default())).clone()
                }
                (COMMAND_AGENT, None) => {
                    let confiner = Arc::new(confiner.clone());
                    let programs = CommandAgent::new(passed()).confined_by(confiner);
                    match telemetry.cloned() {
                        Some(told) => Arc::new(programs.telling(move |of| told.variables(of))),
                        None => Arc::new(programs),
                    }
                }
                (_, None) => {
                    if let Some(router) = router.take() {
                        models = Some(Arc::new(ModelAgent::routed(router()?)));
                    }
                    let made = models.clone();
                    made.ok_or_else(|| ServiceError::Internal("no way to models".into()))?
                }
            };
            made.push((member.spec.clone(), agent));
        }
        Ok(made)
    }

    /// Whether one of `agents` is a program that may call any model.
    pub(crate) fn runs_programs(&self, agents: &BTreeSet<AgentName>) -> bool {
        let found = agents.iter().filter_map(|name| self.get(name.as_str()).ok());
        found.into_iter().any(|member| member.program.is_some())
    }

    /// The provider accounts that can be used. `keys` are those that the credential store holds; a
    /// provider whose key is there and not among them is left out.
    pub(crate) fn usable(
        &self,
        keys: &BTreeMap<String, SecretString>,
    ) -> impl Iterator<Item = ProviderConfig> {
        self.providers.iter().filter_map(|(name, provider)| {
            let config = provider.config.clone().ok()?;
            match &provider.secret {
                Some(_) => Some(config.with_key(keys.get(name)?.clone())),
                None => Some(config),
            }
        })
    }

    /// What models cost.
    pub(crate) fn prices(&self) -> &PriceTable {
        &self.prices
    }

    /// The way to `providers`, such as those that can be used.
    pub(crate) fn gateway(
        &self,
        providers: impl IntoIterator<Item = ProviderConfig>,
    ) -> Result<Gateway, ServiceError> {
        let gateway =
            Gateway::new(providers, self.prices.clone(), Client::new()).map_err(|error| {
                let diagnostic = Diagnostic::new(error.code(), error.to_string());
                ServiceError::invalid("cannot use the providers", diagnostic)
            })?;
        Ok(gateway.with_tokenizers(self.tokenizers().clone()))
    }
}
