//! Which models may answer a request: those of the rule that it names, or the one that it names
//! itself.

use super::{
    Grant, Routing,
    handle::Shared,
    header, member,
    refuse::Refused,
    route::{Route, RouteKind},
    upstream::Upstream,
};
use crate::{balance::Conversation, meter::Format, route::Passed};
use bytes::Bytes;
use http::HeaderMap;
use orchestrator_core::{
    agent::Role,
    id::ProviderName,
    ledger::Payer,
    route::{Choice, Complexity, Route as Rule, RouteModel, RouteOrder, WorkFacts},
};
use serde::de::IgnoredAny;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// How many models that a rule names and that cannot be asked a refusal tells of.
const MOST_TOLD: usize = 6;

/// How many attempts are remembered.
const ATTEMPTS: usize = 4_096;

/// Models that may answer a request, the first to be asked first; never empty.
pub(super) struct Plan {
    pub(super) candidates: Vec<Candidate>,
    /// The rule, and why it comes to these, where the request named one.
    pub(super) rule: Option<(String, String)>,
    /// What its attempt is remembered by, where another model may take over.
    attempt: Option<Conversation>,
}

/// A model, with the accounts that it can be called at.
pub(super) struct Candidate {
    pub(super) model: RouteModel,
    pub(super) upstreams: Vec<Arc<Upstream>>,
}

impl Plan {
    /// The models, in their order.
    pub(super) fn models(&self) -> Vec<RouteModel> {
        self.candidates.iter().map(|candidate| candidate.model.clone()).collect()
    }

    /// What the client is told whom `model` answers, if any does, after those of `failed`: nothing when
    /// it is what was asked for.
    pub(super) fn told(&self, model: Option<&RouteModel>, failed: &[Passed]) -> HeaderMap {
        let rule = self.rule.as_ref().map(|(rule, _)| rule.as_str());
        match rule.is_none() && failed.is_empty() {
            true => HeaderMap::new(),
            false => header::told(rule, model, failed),
        }
    }
}

impl Plan {
    /// How a request got to its model, `answered` if one answers, after those of `failed`. `None` when
    /// that is simply what was asked for.
    pub(super) fn routing(
        &self,
        answered: Option<&RouteModel>,
        failed: &[Passed],
    ) -> Option<Routing> {
        let alone = usize::from(answered.is_none());
        if self.rule.is_none() && failed.len() <= alone {
            return None;
        }
        let model = answered.or(failed.last().map(|failed| &failed.model))?.clone();
        let (rule, why) = self.rule.clone().unzip();
        let is_answered = answered.is_some();
        Some(Routing { model, rule, why, failed: failed.to_vec(), is_answered })
    }
}

impl Shared {
    /// The models that may answer a request for `model`.
    ///
    /// # Errors
    /// A model that the token may not use; a rule of which no model can be asked here.
    pub(super) fn plan(
        &self,
        route: &Route,
        grant: &Grant,
        model: &str,
        body: &[u8],
    ) -> Result<Plan, Refused> {
        let attempt = || {
            let model = format!("{} {model}", route.api);
            Conversation::of_attempt(&Payer { model, ..grant.payer.clone() })
        };
        if let Some(rule) = grant.route(model) {
            let Choice { models, why } = rule.choose(&complexity(rule, body));
            let candidates = self.candidates(route, grant, rule, &models)?;
            let attempt = attempt();
            let candidates = self.went_on.left(attempt, candidates);
            return Ok(Plan { candidates, rule: Some((rule.rule.clone(), why)), attempt });
        }
        let chain = grant.chain.as_deref().and_then(|chain| grant.route(chain));
        if let Some(rule) = chain
            && let Some(at) = rule.models.iter().position(|each| each.model == model)
            && grant.allows(model)
            && let Ok(candidates) = self.candidates(route, grant, rule, &rule.models[at..])
            // It was asked for: another takes its place only when it fails.
            && candidates[0].model.model == model
        {
            let attempt = attempt();
            let candidates = self.went_on.left(attempt, candidates);
            return Ok(Plan { candidates, rule: None, attempt });
        }
        let upstreams = self.upstreams(route.api, grant)?;
        let provider = upstreams.first().map(|it| it.name.parent().unwrap_or(it.name.clone()));
        let provider = provider.unwrap_or_else(|| grant.payer.account.clone());
        let model = RouteModel::new(provider, model);
        let candidates = vec![Candidate { model, upstreams }];
        Ok(Plan { candidates, rule: None, attempt: None })
    }

    /// Those of `models` that can be asked by this path and token.
    fn candidates(
        &self,
        route: &Route,
        grant: &Grant,
        rule: &Rule,
        models: &[RouteModel],
    ) -> Result<Vec<Candidate>, Refused> {
        let format = format(route);
        let (mut found, mut left_out) = (Vec::new(), Vec::new());
        for model in models {
            let of_it =
                || self.upstreams.iter().filter(|upstream| upstream.name.serves(&model.provider));
            let upstreams: Vec<_> = of_it()
                .filter(|upstream| upstream.speaks(route.api, format))
                .filter(|upstream| grant.accounts.iter().any(|it| upstream.name.serves(it)))
                .cloned()
                .collect();
            let why = match () {
                () if of_it().next().is_none() => "its provider cannot be used",
                () if !of_it().any(|upstream| upstream.speaks(route.api, format)) => {
                    "its provider speaks another form"
                }
                () if upstreams.is_empty() => "this token may not use its provider",
                () if !grant.allows_by(&rule.rule, &model.model) => "this token may not use it",
                () => {
                    found.push(Candidate { model: model.clone(), upstreams });
                    continue;
                }
            };
            left_out.push(format!("`{model}` ({why})"));
        }
        if !found.is_empty() {
            return Ok(found);
        }
        let more = left_out.len().saturating_sub(MOST_TOLD);
        left_out.truncate(MOST_TOLD);
        let left_out = match (left_out.is_empty(), more) {
            (true, _) => format!("it comes to none here ({})", rule.why),
            (false, 0) => format!("left out are {}", left_out.join(", ")),
            (false, more) => format!("left out are {} and {more} more", left_out.join(", ")),
        };
        let rule = &rule.rule;
        Err(Refused::NoModel(format!(
            "the rule `{rule}` has no model for /{}: what passes there is not translated, so only \
             models of providers that speak its form count; {left_out}; list such a model under \
             [models.{rule}]",
            route.api
        )))
    }

    /// The rules of `grant` that have a model for `route`, in their order.
    pub(super) fn rules<'g>(&self, route: &Route, grant: &'g Grant) -> Vec<&'g str> {
        let rules = grant.routes.iter();
        let has_model = |rule: &&Rule| self.candidates(route, grant, rule, &rule.models).is_ok();
        rules.filter(has_model).map(|rule| rule.rule.as_str()).collect()
    }

    /// The conversation goes on with `model`, which answered after others had failed.
    pub(super) fn goes_on(&self, plan: &Plan, model: &RouteModel) {
        if let Some(attempt) = plan.attempt {
            self.went_on.keep(attempt, model);
        }
    }
}

/// The form of what a path asks for.
fn format(route: &Route) -> Option<Format> {
    match route.kind {
        RouteKind::Call(format, _) => Some(format),
        RouteKind::Ask(_) | RouteKind::List(_) => None,
    }
}

/// How much a request asks for, by its length and its tools: nothing else is known of it.
fn complexity(rule: &Rule, body: &[u8]) -> Complexity {
    let role = Role::Own(String::new());
    let (prompt_bytes, tools) = match rule.order {
        RouteOrder::ByWork => (body.len(), tools(body)),
        RouteOrder::Fixed => (0, 0),
    };
    Complexity::of(&WorkFacts {
        prompt_bytes,
        schema_bytes: 0,
        tools,
        needs: 0,
        inputs: 0,
        role: &role,
        rejected: 0,
    })
}

/// How many tools a request brings along.
fn tools(body: &[u8]) -> usize {
    let place = member::place(body, "tools");
    let list = place.and_then(|place| serde_json::from_slice::<Vec<IgnoredAny>>(&body[place]).ok());
    list.map_or(0, |list| list.len())
}

/// The request for `asked` as one for `model`: its path and its body, of which nothing else changes.
/// `None` when the name does not stand where it should.
pub(super) fn rewritten(
    route: &Route,
    body: &Bytes,
    asked: &str,
    model: &str,
) -> Option<(Route, Bytes)> {
    let mut route = route.clone();
    let in_path = match &mut route.kind {
        RouteKind::Call(_, named) | RouteKind::Ask(named) | RouteKind::List(named) => named,
    };
    let is_named = in_path.is_some();
    if let Some(named) = in_path {
        let rest = route.path.strip_prefix("models/")?.strip_prefix(named.as_str())?;
        route.path = format!("models/{model}{rest}");
        model.clone_into(named);
    }
    let Some(place) = member::place(body, "model") else {
        return is_named.then(|| (route, body.clone()));
    };
    let said: Option<String> = serde_json::from_slice(&body[place.clone()]).ok();
    let value = match said.as_deref().map(|said| said.strip_suffix(asked)) {
        Some(Some(before @ ("" | "models/"))) => format!("{before}{model}"),
        // What counts stands in the path.
        _ if is_named => return Some((route, body.clone())),
        _ => return None,
    };
    let value = serde_json::to_string(&value).ok()?;
    Some((route, member::replaced(body, place, &value)?))
}

/// With which models attempts go on, since those before them had failed.
#[derive(Debug, Default)]
pub(super) struct WentOn {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<Conversation, (ProviderName, String)>,
    /// The oldest first.
    order: VecDeque<Conversation>,
}

impl WentOn {
    /// Those of `candidates` that have not failed in this attempt.
    fn left(
        &self,
        attempt: Option<Conversation>,
        mut candidates: Vec<Candidate>,
    ) -> Vec<Candidate> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = attempt.and_then(|attempt| inner.kept.get(&attempt));
        let at = kept.and_then(|(provider, model)| {
            let is_it =
                |each: &Candidate| each.model.provider == *provider && each.model.model == *model;
            candidates.iter().position(is_it)
        });
        candidates.drain(..at.unwrap_or(0));
        candidates
    }

    fn keep(&self, attempt: Conversation, model: &RouteModel) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let model = (model.provider.clone(), model.model.clone());
        if inner.kept.insert(attempt, model).is_none() {
            inner.order.push_back(attempt);
        }
        if inner.order.len() > ATTEMPTS
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.kept.remove(&oldest);
        }
    }
}

/// The answer to a question for the rule `name` in a list of models.
pub(super) fn as_model(name: &str) -> serde_json::Value {
    serde_json::json!({ "id": name, "object": "model", "created": 0, "owned_by": "orchestrator" })
}

/// A list of models in OpenAI's form with `rules` at its end; `None` when it is none.
pub(super) fn listed(list: &[u8], rules: &[&str]) -> Option<Bytes> {
    serde_json::from_slice::<IgnoredAny>(list).ok()?;
    let place = member::place(list, "data")?;
    let data: Vec<serde_json::Value> = serde_json::from_slice(&list[place.clone()]).ok()?;
    let is_there = |rule: &&&str| data.iter().any(|model| model["id"] == **rule);
    let more: Vec<String> = rules
        .iter()
        .filter(|rule| !is_there(rule))
        .map(|rule| as_model(rule).to_string())
        .collect();
    let comma = if data.is_empty() || more.is_empty() { "" } else { "," };
    let end = place.end - 1;
    member::replaced(list, end..end, &format!("{comma}{}", more.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::route::{Routed, route};
    use http::Method;

    fn at(path: &str) -> Route {
        match route(&Method::POST, path) {
            Routed::Known(route) => route,
            Routed::Unknown(_) => panic!("{path}"),
        }
    }

    #[test]
    fn only_the_name_of_the_model_changes() {
        let check = |path: &str, body: &str, expected: Option<(&str, &str)>| {
            let body = Bytes::copy_from_slice(body.as_bytes());
            let found = rewritten(&at(path), &body, "cheap", "m-1");
            let found =
                found.map(|(route, body)| (route.path, String::from_utf8(body.to_vec()).unwrap()));
            let expected = expected.map(|(path, body)| (path.to_owned(), body.to_owned()));
            assert_eq!(found, expected, "{path}");
        };
        let chat = "/openai/v1/chat/completions";
        let found = Some(("chat/completions", r#"{ "n":1.0, "model" : "m-1","x":[ ]}"#));
        check(chat, r#"{ "n":1.0, "model" : "ch\u0065ap","x":[ ]}"#, found);
        check(chat, r#"{"model":"other"}"#, None);
        check(chat, "{}", None);
        let gemini = "/gemini/v1beta/models/cheap:generateContent";
        check(gemini, r#"{"a": 1}"#, Some(("models/m-1:generateContent", r#"{"a": 1}"#)));
        let named = Some(("models/m-1:generateContent", r#"{"model":"models/m-1"}"#));
        check(gemini, r#"{"model":"models/cheap"}"#, named);
        let other = Some(("models/m-1:generateContent", r#"{"model":"models/else"}"#));
        check(gemini, r#"{"model":"models/else"}"#, other);
    }

    #[test]
    fn rules_stand_at_the_end_of_a_list_once() {
        let check = |list: &str, expected: Option<&str>| {
            let found = listed(list.as_bytes(), &["cheap", "m"]);
            let found = found.map(|list| String::from_utf8(list.to_vec()).unwrap());
            let expected = expected.map(|text| {
                let rule = |name: &str| as_model(name).to_string();
                text.replace("CHEAP", &rule("cheap")).replace("M", &rule("m"))
            });
            assert_eq!(found, expected, "{list}");
        };
        check(r#"{"data":[ ],"object":"list"}"#, Some(r#"{"data":[ CHEAP,M],"object":"list"}"#));
        check(r#"{ "data": [{"id":"m"}] }"#, Some(r#"{ "data": [{"id":"m"},CHEAP] }"#));
        check(r#"{"data":7}"#, None);
        check(r#"{"data":[}"#, None);
        check("<html>", None);
    }
}
