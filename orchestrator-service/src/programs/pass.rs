//! What every program has that calls models through the gateway: a token that is worth its attempt,
//! and books of what was spent with it.

use super::{Access, routed::Told};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::ProviderName,
    ledger::{Refusal, RefusalKind},
    port::{Answer, Assignment, AttemptHost, LogLine, LogStream},
    route::{Complexity, Route, WorkFacts},
    time::Timestamp,
};
use orchestrator_gateway::front::{Grant, Pass};
use std::{sync::Arc, time::Duration};

/// How long calls may take to end whose program is gone. With it an attempt that is to stop ends
/// before it is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a program may call.
#[derive(Clone)]
pub(super) struct Metering {
    pub(super) access: Arc<Access>,
    /// The accounts that it may call.
    pub(super) accounts: Vec<ProviderName>,
    /// The models that it may call.
    pub(super) models: Vec<String>,
    /// What the names of rules come to, when it calls one.
    pub(super) routes: Arc<[Route]>,
    /// The rule whose models take over for each other, by whichever name it calls them.
    pub(super) rule: Option<String>,
}

/// The way of one attempt to its models.
pub(super) struct Way {
    /// Where the gateway is.
    pub(super) url: String,
    /// Held here alone when the way is closed.
    pub(super) pass: Arc<Pass>,
    /// What was told of how calls got to their models.
    pub(super) told: Told,
}

impl Metering {
    /// Opens the way of an attempt, until it must have ended.
    pub(super) async fn open(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Way, Failure> {
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
        let pass = pass.map_err(|error| Failure::new(ErrorClass::Transient, error.to_string()))?;
        let url = self.access.url().await.map_err(|error| {
            let message = format!("cannot let a program call models: {error}");
            Failure::new(ErrorClass::Transient, message)
        })?;
        Ok(Way { url, pass: Arc::new(pass), told: Told::new() })
    }
}

impl Way {
    /// Closes it, once the program has ended: the result with what was spent.
    pub(super) async fn close(
        mut self,
        result: Result<Answer, Failure>,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let Some(pass) = Arc::into_inner(self.pass) else {
            let message = "the token of a program that has ended is still held";
            return Err(Failure::new(ErrorClass::Internal, message));
        };
        let mut passed = pass.close(PATIENCE).await;
        self.told.tell(std::mem::take(&mut passed.routed), host).await;
        for alert in &passed.alerts {
            host.log(LogLine { stream: LogStream::Note, text: alert.to_string() });
        }
        match result {
            Ok(answer) => Ok(answer.spent(passed.spend)),
            Err(failure) => Err(stopped_by(passed.refusal.as_ref(), failure).spent(passed.spend)),
        }
    }
}

/// What a failure means of a program to which a budget had refused a call.
fn stopped_by(refusal: Option<&Refusal>, failure: Failure) -> Failure {
    let Some(refusal) = refusal else { return failure };
    match failure.class {
        // It did not end by itself, or never began.
        ErrorClass::Cancelled
        | ErrorClass::TimedOut
        | ErrorClass::NoProgress
        | ErrorClass::Unsafe
        | ErrorClass::Internal => failure,
        _ => {
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
    }
}
