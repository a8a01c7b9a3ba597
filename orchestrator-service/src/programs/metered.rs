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
    port::{Agent, Answer, Assignment, AttemptHost, LogLine, LogStream, Progress},
    time::Timestamp,
};
use orchestrator_gateway::front::{Grant, Pass};
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
        let result = {
            let mut work = pin!(program.perform(assignment, host));
            loop {
                tokio::select! {
                    biased;
                    result = &mut work => break result,
                    () = pass.changed() => {
                        let ((usage, cost), doing) = (pass.so_far(), self.doing());
                        host.progress(Progress { doing, usage, cost });
                    }
                }
            }
        };
        let passed = pass.close(PATIENCE).await;
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
        let grant = Grant::new(payer, until.unwrap_or(Timestamp(u64::MAX)))
            .with_accounts(self.accounts.iter().cloned())
            .with_models(&self.models)
            .with_rules(self.access.rules());
        let pass = self.access.attempts().open(grant);
        pass.map_err(|error| Failure::new(ErrorClass::Transient, error.to_string()))
    }
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
