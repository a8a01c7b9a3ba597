//! Which model a conversation goes to, and what is recorded of that.

use orchestrator_core::{
    id::ProviderName,
    port::Assignment,
    route::{Choice, Complexity, Route, RouteModel, WorkFacts},
};
use orchestrator_gateway::route::{Routed, Source};
use serde_json::{Value, json};

/// The models that an attempt may ask.
#[derive(Debug)]
pub(super) struct Models {
    /// In the order in which they are asked; never empty.
    all: Vec<RouteModel>,
    /// From which on: one that failed is not asked again in the same conversation.
    from: usize,
    /// The rule that named them, and why they stand in that order.
    rule: Option<(String, String)>,
}

impl Models {
    /// Those of the agent of `assignment`; `None` when it names none.
    pub(super) fn of(assignment: &Assignment) -> Option<Self> {
        let agent = &assignment.agent;
        if let Some(route) = agent.route.as_deref().filter(|route| !route.models.is_empty()) {
            return Some(Self::by(route, assignment));
        }
        let model = RouteModel::new(agent.provider.clone(), agent.model.clone()?);
        Some(Self { all: vec![model], from: 0, rule: None })
    }

    fn by(route: &Route, assignment: &Assignment) -> Self {
        let complexity = Complexity::of(&WorkFacts::of(assignment));
        let Choice { models, why } = route.choose(&complexity);
        Self { all: models, from: 0, rule: Some((route.rule.clone(), why)) }
    }

    /// Those that are left, the next one first.
    pub(super) fn left(&self) -> &[RouteModel] {
        &self.all[self.from..]
    }

    /// The one that is asked next.
    pub(super) fn first(&self) -> &RouteModel {
        &self.all[self.from]
    }

    /// Why that one, where a rule says so.
    pub(super) fn why(&self) -> Option<String> {
        self.rule.as_ref().map(|(_, why)| format!("model `{}` by {why}", self.first()))
    }

    /// The conversation goes on with the model at `place` of those that were left.
    pub(super) fn go_on(&mut self, place: usize) {
        self.from = self.from.saturating_add(place).min(self.all.len() - 1);
    }

    /// What is recorded of an answer: `None` when it is what everybody would expect.
    pub(super) fn record(&self, routed: &Routed) -> Option<Value> {
        if self.rule.is_none() && routed.failed.is_empty() && routed.source == Source::Called {
            return None;
        }
        let model = self.left().get(routed.place).unwrap_or_else(|| self.first());
        let failed: Vec<Value> = routed
            .failed
            .iter()
            .map(|failed| {
                let RouteModel { provider, model, .. } = &failed.model;
                json!({ "provider": provider, "model": model, "class": failed.class.as_str(),
                        "message": failed.message })
            })
            .collect();
        let mut record = json!({ "provider": model.provider, "model": model.model });
        if let Some((rule, why)) = &self.rule {
            record["rule"] = rule.as_str().into();
            record["why"] = why.as_str().into();
        }
        if !failed.is_empty() {
            record["failed"] = failed.into();
        }
        match &routed.source {
            Source::Joined => record["source"] = "joined".into(),
            Source::Kept { run, at } => {
                record["source"] = "kept".into();
                record["kept"] = json!({ "run": run, "at": at.to_string() });
            }
            _ => record["source"] = "called".into(),
        }
        Some(record)
    }

    /// Goes on with the model that `record` names.
    pub(super) fn recorded(&mut self, record: &Value) {
        let name = |part: &str| record.get(part).and_then(Value::as_str);
        let (Some(provider), Some(model)) = (name("provider"), name("model")) else { return };
        let is_it = |each: &RouteModel| each.provider.as_str() == provider && each.model == model;
        if let Some(place) = self.left().iter().position(is_it) {
            self.go_on(place);
        }
    }
}

/// The account that is asked when none is known.
pub(super) fn asked(
    watched: Option<(ProviderName, String)>,
    first: &RouteModel,
) -> (ProviderName, String) {
    watched.unwrap_or_else(|| (first.provider.clone(), first.model.clone()))
}

/// What is said of an answer that cost nothing.
pub(super) fn saved(source: &Source) -> Option<String> {
    match source {
        Source::Joined => Some(
            "an identical request was under way: its answer is used, and nothing was spent".into(),
        ),
        Source::Kept { run, at } => {
            let by = run.as_ref().map(|run| format!(" in run `{run}`")).unwrap_or_default();
            Some(format!("the answer was given{by} at {at} and kept: nothing was spent"))
        }
        _ => None,
    }
}
