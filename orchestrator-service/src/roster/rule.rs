//! What a rule such as `cheap` comes to: which models, in which order.

use super::{Roster, provider::Provider, trust::is_local};
use crate::{config::Config, document::Diagnostic};
use orchestrator_core::{
    id::ProviderName,
    money::MicroUsd,
    route::{ModelClass, Route, RouteModel, RouteOrder},
    workflow::did_you_mean,
};
use orchestrator_gateway::{ProviderKind, front::Api, prices::ModelFacts};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// The rules that there are without any settings.
pub(crate) const BUILT_IN: [&str; 5] = [AUTO, "cheap", "code", "fast", "strong"];

/// The rule that orders models by the work.
const AUTO: &str = "auto";

/// The most models of a rule that nobody has written down, and that does not order them by the work.
const MOST: usize = 4;

/// What an agent's `model` is.
pub(super) enum Named {
    /// The name of a model.
    Model,
    /// A rule.
    Rule(Route),
    /// A rule that cannot be used.
    Wrong(Box<Diagnostic>),
}

/// A model that may be chosen.
struct Candidate<'a> {
    model: RouteModel,
    facts: Option<&'a ModelFacts>,
    /// Its place in the order of preference.
    place: usize,
}

/// What a built-in rule finds, in its order.
struct Found<'a> {
    order: RouteOrder,
    why: &'static str,
    all: Vec<Candidate<'a>>,
}

impl Found<'_> {
    fn into_route(self, rule: &str) -> Route {
        let models = self.all.into_iter().map(|each| each.model).collect();
        Route { rule: rule.to_owned(), order: self.order, models, why: self.why.into() }
    }
}

/// The form of requests that a provider takes: its API, and whether it has OpenAI's newer one.
fn form(provider: &Provider) -> Option<(Api, bool)> {
    let config = provider.config.as_ref().ok()?;
    Some((Api::of(config.kind), config.has_responses()))
}

impl Roster {
    /// What `model` of agent `agent` is, which asks for a model of `only` where it names a provider.
    ///
    /// A rule of the settings goes before a built-in one of the same name, and both before a model of
    /// that name. What a rule of the settings lists are models, never rules.
    pub(super) fn named(
        &self,
        agent: &str,
        model: &str,
        only: Option<&str>,
        config: &Config,
    ) -> Named {
        let rules = &config.settings().models;
        let found = match rules.get(model) {
            Some(rule) => self.listed(model, &rule.r#use, config),
            None if BUILT_IN.contains(&model) => {
                let mut found = self.found(model, only, config);
                if found.order == RouteOrder::Fixed {
                    found.all.truncate(MOST);
                }
                Ok(found.into_route(model))
            }
            None => return self.not_a_rule(agent, model, only, config),
        };
        let mut route = match found {
            Ok(route) => route,
            Err(wrong) => return Named::Wrong(wrong),
        };
        route.models.retain(|each| only.is_none_or(|only| each.provider.as_str() == only));
        if !route.models.is_empty() {
            return Named::Rule(route);
        }
        let at = only.map(|only| format!(" at provider `{only}`")).unwrap_or_default();
        let message = format!("the rule `{model}` of agent `{agent}` finds no model{at}");
        let hint = match rules.contains_key(model) {
            true => format!("remove `provider` from [agents.{agent}], or list a model of it"),
            false => format!(
                "say which models it means: [models.{model}] with use = [\"PROVIDER/MODEL\"]"
            ),
        };
        Named::Wrong(Box::new(wrong(config, agent, "ORC-0567", message).suggest(Some(hint))))
    }

    /// A rule as the settings list it.
    fn listed(
        &self,
        rule: &str,
        list: &[String],
        config: &Config,
    ) -> Result<Route, Box<Diagnostic>> {
        let refuse = |message: String, hint: Option<String>| {
            let found = match config.origin(&["models", rule, "use"]) {
                Some(origin) => origin.diagnostic("ORC-0568", message),
                None => Diagnostic::new("ORC-0568", message),
            };
            Box::new(found.suggest(hint))
        };
        if list.is_empty() {
            let hint = "list at least one model as `PROVIDER/MODEL`".to_owned();
            return Err(refuse(format!("the rule `{rule}` lists no model"), Some(hint)));
        }
        let mut models = Vec::with_capacity(list.len());
        for entry in list {
            let parts = entry.split_once('/').filter(|(_, model)| !model.trim().is_empty());
            let Some((provider, model)) = parts else {
                let message = format!("the rule `{rule}` lists `{entry}`, which names no provider");
                let names = self.names();
                let near = names.first().map_or("PROVIDER", String::as_str);
                return Err(refuse(message, Some(format!("write it as `{near}/{entry}`"))));
            };
            let Some(found) = self.provider(provider) else {
                let message =
                    format!("the rule `{rule}` lists `{entry}`, but there is no such provider");
                let names = self.names();
                let near = did_you_mean(provider, names.iter().map(String::as_str));
                let hint = near.unwrap_or_else(|| format!("add [providers.{provider}]"));
                return Err(refuse(message, Some(hint)));
            };
            if let Err(broken) = &found.config {
                return Err(broken.clone());
            }
            if let Some(candidate) = self.candidate(provider, model) {
                models.push(candidate.model);
            }
        }
        let order = match rule {
            AUTO => RouteOrder::ByWork,
            _ => RouteOrder::Fixed,
        };
        if order == RouteOrder::ByWork {
            // Their places say how much they can do: whoever lists them knows better.
            models.iter_mut().for_each(|model| model.class = None);
        }
        let why = format!("the first that `models.{rule}.use` lists");
        Ok(Route { rule: rule.to_owned(), order, models, why })
    }

    /// What every rule comes to for programs. What they ask is passed on as it is, so that a model
    /// counts for them only where its provider speaks the form of the request: of a built-in rule the
    /// first of each form are here. A rule that cannot be used has no model, and says why.
    pub(super) fn for_programs(&self, config: &Config) -> Vec<Route> {
        let own = &config.settings().models;
        let built_in = BUILT_IN.into_iter().filter(|rule| !own.contains_key(*rule));
        let listed = own.iter().map(|(rule, list)| {
            self.listed(rule, &list.r#use, config).unwrap_or_else(|wrong| Route {
                rule: rule.clone(),
                order: RouteOrder::Fixed,
                models: Vec::new(),
                why: wrong.to_string(),
            })
        });
        let found = built_in.map(|rule| {
            let Found { order, why, mut all } = self.found(rule, None, config);
            if order == RouteOrder::Fixed {
                let mut taken = BTreeMap::new();
                all.retain(|each| {
                    let form = self.provider(each.model.provider.as_str()).and_then(form);
                    let count: &mut usize = taken.entry(form).or_default();
                    *count += 1;
                    *count <= MOST
                });
            }
            Found { order, why, all }.into_route(rule)
        });
        listed.chain(found).collect()
    }

    /// A built-in rule, by what is known of the models that can be asked.
    fn found(&self, rule: &str, only: Option<&str>, config: &Config) -> Found<'_> {
        let mut all = self.candidates(only, config);
        let price = |each: &Candidate<'_>| each.model.price.map_or(u64::MAX, |price| price.0);
        let class =
            |each: &Candidate<'_>| each.facts.map_or(ModelClass::Light, |facts| facts.class);
        let is = |each: &Candidate<'_>, what: fn(&ModelFacts) -> bool| each.facts.is_some_and(what);
        let (order, why) = match rule {
            "cheap" => {
                all.retain(|each| each.model.price.is_some());
                all.sort_by_key(|each| (price(each), each.place));
                (RouteOrder::Fixed, "the cheapest of those whose price is known")
            }
            "fast" => {
                all.retain(|each| is(each, |facts| facts.fast));
                all.sort_by_key(|each| (class(each), price(each), each.place));
                (RouteOrder::Fixed, "the lightest of those that are known to be fast")
            }
            "code" => {
                all.retain(|each| is(each, |facts| facts.code));
                all.sort_by_key(|each| (Reverse(class(each)), each.place));
                (RouteOrder::Fixed, "the strongest of those that are known for programming")
            }
            "strong" => {
                all.retain(|each| each.facts.is_some());
                all.sort_by_key(|each| (Reverse(class(each)), each.place));
                (RouteOrder::Fixed, "the strongest of those that are known")
            }
            _ => {
                all.retain(|each| each.facts.is_some());
                all.sort_by_key(|each| (class(each), price(each), each.place));
                (RouteOrder::ByWork, "those that are known, by the work")
            }
        };
        Found { order, why, all }
    }

    /// The models that can be asked: those that are offered at the usual place of each provider, and
    /// those that the settings name for it.
    fn candidates(&self, only: Option<&str>, config: &Config) -> Vec<Candidate<'_>> {
        let of = only.map_or_else(|| self.names(), |only| BTreeSet::from([only.to_owned()]));
        let mut all = Vec::new();
        for name in &of {
            let provider = self.provider(name).filter(|provider| provider.config.is_ok());
            let Some(provider) = provider else { continue };
            let mut names: BTreeSet<&str> = self.settled(name, config).collect();
            if let Some(kind) = usual_place(provider) {
                names.extend(self.models.offered(kind).map(|facts| facts.model.as_str()));
            }
            all.extend(names.into_iter().filter_map(|model| self.candidate(name, model)));
        }
        all
    }

    /// The models of provider `name` that the settings name.
    fn settled<'a>(&self, name: &'a str, config: &'a Config) -> impl Iterator<Item = &'a str> {
        let settings = config.settings();
        let usual = self.usual_provider();
        let of_agents = settings.agents.values().filter_map(move |agent| {
            let provider = agent.provider.as_deref().or(usual.as_deref());
            let model = agent.model.as_deref()?;
            let is_rule = BUILT_IN.contains(&model) || settings.models.contains_key(model);
            (provider == Some(name) && !is_rule).then_some(model)
        });
        let of_rules =
            settings.models.values().flat_map(|rule| &rule.r#use).filter_map(move |entry| {
                entry
                    .split_once('/')
                    .filter(|(provider, _)| *provider == name)
                    .map(|(_, model)| model)
            });
        let of_prices = settings.prices.iter().filter_map(move |(model, price)| {
            (price.provider.as_deref() == Some(name)).then_some(model.as_str())
        });
        of_agents.chain(of_rules).chain(of_prices)
    }

    fn candidate(&self, provider: &str, model: &str) -> Option<Candidate<'_>> {
        let name = ProviderName::new(provider).ok()?;
        let facts = self.models.find(model);
        let own = self.prices.find(&name, model);
        let on_this_machine = self.provider(provider).is_some_and(is_on_this_machine);
        let price = match own {
            Some(entry) if !on_this_machine || entry.source.as_deref() == Some("settings") => {
                let quarter = MicroUsd(entry.rates.output.0 / 4);
                Some(entry.rates.input + quarter)
            }
            _ => on_this_machine.then_some(MicroUsd::ZERO),
        };
        let (class, context) = (facts.map(|facts| facts.class), facts.map(|facts| facts.context));
        let model = RouteModel { class, context, price, ..RouteModel::new(name, model) };
        Some(Candidate { place: self.models.place(&model.model), facts, model })
    }

    /// Whether the name of a model is rather a rule that was misspelt: only at the usual place of a
    /// provider, where names are known, since another server may call its models as it likes.
    fn not_a_rule(&self, agent: &str, model: &str, only: Option<&str>, config: &Config) -> Named {
        let usual = self.usual_provider();
        let provider = only.or(usual.as_deref()).and_then(|name| self.provider(name));
        let known = |provider: &ProviderName| self.prices.find(provider, model).is_some();
        let could_be_known = provider.is_some_and(|provider| {
            usual_place(provider).is_some()
                && !provider.config.as_ref().is_ok_and(|config| known(&config.name))
        });
        let own = config.settings().models.keys().map(String::as_str);
        let near = did_you_mean(model, own.chain(BUILT_IN));
        match near.filter(|_| could_be_known && self.models.find(model).is_none()) {
            Some(near) => {
                let message = format!(
                    "agent `{agent}` has the model `{model}`, which is neither a rule nor a model \
                     that is known"
                );
                let found = wrong(config, agent, "ORC-0566", message);
                let hint = format!(
                    "{near} A model of that name is reached with [models.\"{model}\"] and use = \
                     [\"PROVIDER/{model}\"]"
                );
                Named::Wrong(Box::new(found.suggest(Some(hint))))
            }
            None => Named::Model,
        }
    }
}

fn wrong(config: &Config, agent: &str, code: &'static str, message: String) -> Diagnostic {
    match config.origin(&["agents", agent, "model"]) {
        Some(origin) => origin.diagnostic(code, message),
        None => Diagnostic::new(code, message),
    }
}

/// The kind of a provider at its usual place, whose models are known; another server has its own.
fn usual_place(provider: &Provider) -> Option<ProviderKind> {
    let config = provider.config.as_ref().ok()?;
    config.base_url.is_none().then_some(config.kind)
}

/// Whether its models run on this machine, where they are free unless the user puts a price on them.
fn is_on_this_machine(provider: &Provider) -> bool {
    provider.config.as_ref().is_ok_and(|config| {
        let url = config.base_url.as_deref().unwrap_or(config.kind.default_base_url());
        config.kind == ProviderKind::Ollama && is_local(url)
    })
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
