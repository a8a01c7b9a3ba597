//! The model gateway alone: other programs call models through it, with a token in place of a key.

use crate::{
    OrchestratorService, ServiceError,
    cassette::{self, Between, Stage, Unkept},
    document::Diagnostic,
    execute::Tape,
    service::Opened,
    telemetry::Books,
};
use orchestrator_core::{
    engine::SystemClock,
    event::CassetteUse,
    id::{ProviderName, RunId},
    ledger::{Payer, Rule, Scope, ScopeKind, Unit, Window},
    money::MicroUsd,
    time::Timestamp,
};
use orchestrator_gateway::{
    GatewayError, ProviderConfig, SecretString,
    cassette::Player,
    front::{Front, FrontConfig, FrontLimits, Grant, Reach, Tokens, Upstream},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

/// What a gateway is to be.
#[derive(Debug, Clone)]
pub struct GatewayRequest {
    /// Where it listens; port 0 is any that is free.
    pub listen: SocketAddr,
    /// The most that all calls through it may cost, besides the limits of the settings.
    pub budget: Option<MicroUsd>,
    /// The models that may be called, with `*` for any text; empty for all.
    pub models: Vec<String>,
    /// Whether other machines may reach it.
    pub anywhere: bool,
    /// The cassette that what passes is recorded into, or answered from.
    pub tape: Option<Tape>,
}

/// A gateway that has its address, and answers from [`ModelGateway::serve`] on.
#[derive(Debug)]
pub struct ModelGateway {
    front: Front,
    opened: Opened,
    session: RunId,
    token: SecretString,
    providers: Vec<ProviderName>,
    replays: Option<Arc<Player>>,
    note: Option<String>,
}

/// What passed through a gateway, by the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Calls that cost something or may have.
    pub calls: u64,
    /// What they cost.
    pub usd: MicroUsd,
    /// Answers that were given out of a cassette.
    pub replayed: u64,
}

impl OrchestratorService {
    /// A gateway to every provider that can be used, under the limits of the settings. One that
    /// replays needs no provider; a recording begins a file of its own each time.
    ///
    /// # Errors
    /// No provider that can be used, an address that cannot be had, an unusable store, a cassette
    /// that cannot be read or would be overwritten.
    pub async fn gateway(&self, request: &GatewayRequest) -> Result<ModelGateway, ServiceError> {
        let (this, tape) = self.taped(request.tape.as_ref())?;
        let record = match tape {
            Some(Unkept::Record(cassette)) => Some(cassette),
            Some(Unkept::Replay { .. }) | None => None,
        };
        let made = this.make_gateway(request, record.as_ref()).await;
        made.inspect_err(|_| record.iter().for_each(cassette::forget))
    }

    async fn make_gateway(
        &self,
        request: &GatewayRequest,
        record: Option<&CassetteUse>,
    ) -> Result<ModelGateway, ServiceError> {
        let keys = match self.replayed() {
            Some(_) => BTreeMap::new(),
            None => self.every_key().await?,
        };
        self.learn_secrets(!keys.is_empty()).await;
        let roster = self.roster()?;
        let wrong = |error: GatewayError| {
            let found = Diagnostic::new(error.code(), error.to_string());
            ServiceError::invalid("cannot use the providers", found)
        };
        let configs: Vec<ProviderConfig> = match self.replayed() {
            Some(_) => Vec::new(),
            None => roster.usable(&keys).collect(),
        };
        let providers: Vec<ProviderName> = configs.iter().map(|it| it.name.clone()).collect();
        // Nobody is called in a replay, so that nobody's name is needed.
        let nobody = self.replayed().and_then(|_| ProviderName::new("cassette").ok());
        let Some(first) = providers.first().or(nobody.as_ref()) else {
            return Err(match roster.why_no_model() {
                Some(found) => ServiceError::invalid("cannot pass calls on", found.clone()),
                None => ServiceError::ModelNeeded("the gateway".into()),
            });
        };
        let opened = self.store()?.clone();
        self.settle_the_dead(&opened).await?;
        let session = RunId::new(format!("gateway-{}", crate::clock::now().0))
            .map_err(|error| ServiceError::Internal(error.to_string()))?;
        let mut payer = Payer::new(first.clone(), "");
        payer.run = Some(session.clone());
        let mut rules = crate::budget::rules(self.settings()?.settings());
        let budget = request.budget.map(|usd| usd.0);
        rules.extend(budget.map(|usd| Rule::hard(ScopeKind::Run, Window::Total, Unit::Usd, usd)));
        let any = ["*".to_owned()];
        let models = if request.models.is_empty() { &any[..] } else { &request.models };
        let grant = Grant::new(payer, Timestamp(u64::MAX))
            .with_accounts(providers.iter().cloned())
            .with_models(models)
            .with_routes(roster.routes().clone())
            .with_rules(rules);
        let tokens = Tokens::new();
        let token =
            tokens.issue(grant).map_err(|error| ServiceError::Internal(error.to_string()))?;
        let mut limits = FrontLimits::default();
        limits.reach = if request.anywhere { Reach::Anywhere } else { Reach::Loopback };
        let mut config = FrontConfig::new(
            self.ledger_owner()?,
            opened.ledger(),
            Arc::new(tokens),
            Arc::new(SystemClock),
        )
        .with_prices(roster.prices().clone())
        .with_limits(limits);
        if let Some(telemetry) = self.telemetry_if_any() {
            let rules = crate::budget::rules(self.settings()?.settings());
            telemetry.attend(Books::new(opened.ledger(), rules)).await;
            config = config.with_observer(Arc::new(telemetry.clone()));
            if let Some(page) = telemetry.page() {
                config = config.with_metrics(page);
            }
        }
        for provider in &configs {
            config = config.with_upstream(Upstream::of(provider).map_err(wrong)?);
        }
        let between = self.between(&opened, &BTreeSet::new(), record, Stage::Begins)?;
        let note = between.note();
        let mut replays = None;
        match between {
            Between::Nothing => {}
            Between::Recorder { recorder, .. } => config = config.recording(recorder),
            Between::Player(player) => {
                config = config.replaying(player.clone());
                replays = Some(player);
            }
        }
        let front = Front::bind(request.listen, config).await.map_err(|error| {
            let found = Diagnostic::new(error.code(), error.to_string());
            ServiceError::invalid("cannot serve the gateway", found)
        })?;
        Ok(ModelGateway { front, opened, session, token, providers, replays, note })
    }
}

impl ModelGateway {
    /// Where it is, such as `http://127.0.0.1:4000`.
    pub fn url(&self) -> String {
        format!("http://{}", self.front.address())
    }

    /// What programs send in place of a key. It is worth nothing when the gateway has ended.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// The accounts that calls are passed to, in their order.
    pub fn providers(&self) -> &[ProviderName] {
        &self.providers
    }

    /// What there is to know about how it began, if anything: that a cassette lacks its last line.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Answers until `shutdown` resolves and all calls under way have ended, within a bound. Returns
    /// what has passed.
    ///
    /// # Errors
    /// A ledger that cannot be read afterwards.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<Passed, ServiceError> {
        self.front.serve(shutdown).await;
        let session = Scope::Run(self.session);
        let sums = self.opened.ledger().sums(&session, Timestamp(0)).await;
        let (used, _) = sums.map_err(|error| self.opened.unusable(error))?;
        let replayed = self.replays.map_or(0, |player| player.given() as u64);
        Ok(Passed { calls: used.requests, usd: MicroUsd(used.usd), replayed })
    }
}
