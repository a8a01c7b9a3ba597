//! One program as an agent, metered.

use super::{Access, gateway_variables};
use crate::{
    credentials::{Guarded, KnownSecrets},
    telemetry::Telemetry,
    work::Confiner,
};
use async_trait::async_trait;
use orchestrator_agents::command::{Environment, ProgramAgent};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    ledger::{Refusal, RefusalKind},
    port::{Agent, Answer, Assignment, AttemptHost, Call, LogLine, LogStream, Progress, Step},
    route::{Complexity, Route, RouteModel, WorkFacts},
    time::Timestamp,
};
use orchestrator_gateway::front::{Grant, Pass, Routing};
use serde_json::{Value, json};
use std::{pin::pin, sync::Arc, time::Duration};

/// How long calls may take to end whose program is gone. With it an attempt that is to stop ends
/// before it is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs a program with a token that is worth one attempt, and no key.
pub(crate) struct MeteredProgram {
    pub(crate) command: Vec<String>,
    /// What it sees of the environment besides.
    pub(crate) environment: Environment,
    pub(crate) access: Arc<Access>,
    /// The accounts that it may call.
    pub(crate) accounts: Vec<ProviderName>,
    /// The models that it may call.
    pub(crate) models: Vec<String>,
    /// What the names of rules come to, when it calls one.
    pub(crate) routes: Arc<[Route]>,
    /// The rule whose models take over for each other, by whichever name it calls them.
    pub(crate) rule: Option<String>,
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
        let pass = self.open(assignment, host)?;
        let url = self.access.url().await.map_err(|error| {
            let message = format!("cannot let a program call models: {error}");
            Failure::new(ErrorClass::Transient, message)
        })?;
        let mut environment = self.environment.clone();
        let token = pass.token();
        let own = [
            ("ORCHESTRATOR_GATEWAY_URL", url.clone()),
            ("ORCHESTRATOR_GATEWAY_TOKEN", token.expose().to_owned()),
        ];
        for (name, value) in gateway_variables(&url, token.expose()).into_iter().chain(own) {
            environment = environment.with(name, value);
        }
        for (name, value) in self.telemetry.iter().flat_map(|it| it.variables(assignment)) {
            environment = environment.with(name, value);
        }
        let secret = KnownSecrets::default();
        secret.learn([token.clone()]);
        let confiner = Arc::new(self.confiner.of_program(&self.command, &url));
        let program = ProgramAgent::new(self.command.clone(), environment).confined_by(confiner);
        let program = Guarded::new(Arc::new(program), secret);
        let mut routes = Told::default();
        let result = {
            let mut work = pin!(program.perform(assignment, host));
            loop {
                tokio::select! {
                    biased;
                    result = &mut work => break result,
                    () = pass.changed() => {
                        let ((usage, cost), doing) = (pass.so_far(), self.doing());
                        host.progress(Progress { doing, usage, cost });
                        routes.tell(pass.routed(), host).await;
                    }
                }
            }
        };
        let mut passed = pass.close(PATIENCE).await;
        routes.tell(std::mem::take(&mut passed.routed), host).await;
        for alert in &passed.alerts {
            host.log(LogLine { stream: LogStream::Note, text: alert.to_string() });
        }
        match result {
            Ok(answer) => Ok(answer.spent(passed.spend)),
            Err(failure) => Err(stopped_by(passed.refusal.as_ref(), failure).spent(passed.spend)),
        }
    }
}

impl MeteredProgram {
    fn doing(&self) -> String {
        format!("running {}", self.command.first().map_or("", String::as_str))
    }

    /// A token for the attempt, until it must have ended.
    fn open(&self, assignment: &Assignment, host: &dyn AttemptHost) -> Result<Pass, Failure> {
        let mut payer = assignment.payer("");
        if let Some(first) = self.accounts.first() {
            payer.account = first.clone();
        }
        let until = assignment.timeout.map(|limit| host.now().after(limit));
        let complexity = Complexity::of(&WorkFacts::of(assignment));
        let routes: Vec<Route> =
            self.routes.iter().map(|route| route.for_work(&complexity)).collect();
        let grant = Grant::new(payer, until.unwrap_or(Timestamp(u64::MAX)))
            .with_accounts(self.accounts.iter().cloned())
            .with_models(&self.models)
            .with_routes(routes)
            .with_rules(self.access.rules());
        let grant = match &self.rule {
            Some(rule) => grant.with_chain(rule),
            None => grant,
        };
        let pass = self.access.attempts().open(grant);
        pass.map_err(|error| Failure::new(ErrorClass::Transient, error.to_string()))
    }
}

/// What was told and recorded of how calls got to their models: as of an agent that calls a model
/// itself.
#[derive(Debug, Default)]
struct Told {
    calls: u32,
    has_why: bool,
}

impl Told {
    /// Puts what changed into the attempt's log, and which model answered into the run's. What cannot
    /// be recorded any more, since the attempt is to stop, is left out.
    async fn tell(&mut self, routed: Vec<Routing>, host: &dyn AttemptHost) {
        let note = |text: String| host.log(LogLine { stream: LogStream::Note, text });
        for routing in routed {
            if let Some(why) = &routing.why
                && !std::mem::replace(&mut self.has_why, true)
            {
                let first = routing.failed.first().map_or(&routing.model, |failed| &failed.model);
                note(format!("model `{first}` by {why}"));
            }
            routing.notes().into_iter().for_each(note);
            if !routing.is_answered {
                continue;
            }
            self.calls += 1;
            // No two calls are the same turn: what they ask is not known here.
            let input = json!({ "call": self.calls, "at": host.now().0 });
            let call = Call::new("model", &routing.model.model, input.to_string());
            if let Ok(Step::Perform(turn)) = host.begin(&call).await {
                let asked = json!({ "asked": asked(&routing) });
                let _ = host.finish(turn, &call, asked, Vec::new()).await;
            }
        }
    }
}

/// How a model was chosen, as it is recorded of every agent.
fn asked(routing: &Routing) -> Value {
    let RouteModel { provider, model, .. } = &routing.model;
    let mut asked = json!({ "provider": provider, "model": model, "source": "called" });
    if let (Some(rule), Some(why)) = (&routing.rule, &routing.why) {
        asked["rule"] = rule.as_str().into();
        asked["why"] = why.as_str().into();
    }
    if !routing.failed.is_empty() {
        let failed = routing.failed.iter().map(|failed| {
            let RouteModel { provider, model, .. } = &failed.model;
            json!({ "provider": provider, "model": model, "class": failed.class.as_str(),
                    "message": failed.message })
        });
        asked["failed"] = failed.collect();
    }
    asked
}

/// What a failure means of a program to which a budget had refused a call.
fn stopped_by(refusal: Option<&Refusal>, failure: Failure) -> Failure {
    let Some(refusal) = refusal else { return failure };
    match failure.class {
        ErrorClass::ToolFailed | ErrorClass::BadOutput | ErrorClass::Crashed => {
            let advice = match refusal.kind {
                RefusalKind::UnknownPrice => "; set one under [prices] in the settings",
                _ => "",
            };
            let message = format!(
                "the budget did not allow a call of its program: {refusal}{advice}; then {failure}"
            );
            let mut stopped = Failure::new(ErrorClass::OverBudget, message);
            stopped.retry_at = refusal.renews.filter(|_| refusal.kind == RefusalKind::Over);
            stopped
        }
        // It did not end by itself, or never began.
        _ => failure,
    }
}
