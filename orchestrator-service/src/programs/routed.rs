//! How the calls of a program got to their models: told, and recorded.

use orchestrator_core::{
    port::{AttemptHost, Call, LogLine, LogStream, Step},
    route::RouteModel,
};
use orchestrator_gateway::front::Routing;
use serde_json::{Value, json};

/// What was told and recorded of how calls got to their models: as of an agent that calls a model
/// itself.
#[derive(Debug)]
pub(super) struct Told {
    calls: u32,
    has_why: bool,
    /// Whether each call is a turn: not where the program tells of its turns itself.
    records: bool,
}

impl Told {
    pub(super) fn new() -> Self {
        Self { calls: 0, has_why: false, records: true }
    }

    /// The same for a program that tells of its turns itself.
    pub(super) fn only_noting(mut self) -> Self {
        self.records = false;
        self
    }

    /// Puts what changed into the attempt's log, and which model answered into the run's. What cannot
    /// be recorded any more, since the attempt is to stop, is left out.
    pub(super) async fn tell(&mut self, routed: Vec<Routing>, host: &dyn AttemptHost) {
        let note = |text: String| host.log(LogLine { stream: LogStream::Note, text });
        for routing in routed {
            if let Some(why) = &routing.why
                && !std::mem::replace(&mut self.has_why, true)
            {
                let first = routing.failed.first().map_or(&routing.model, |failed| &failed.model);
                note(format!("model `{first}` by {why}"));
            }
            routing.notes().into_iter().for_each(note);
            if !routing.is_answered || !self.records {
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
