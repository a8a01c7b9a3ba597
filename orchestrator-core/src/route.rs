//! Which model is asked first, and which next: rules as data, and the choice by the work itself.
//!
//! A [`Route`] is what a rule such as `cheap` or `auto` comes to on this machine: an ordered list of
//! models. `auto` orders it for each attempt by how much the work asks for, which [`Complexity::of`]
//! tells from what is known before the call, and by price. The same facts give the same order.

use crate::{agent::Role, id::ProviderName, money::MicroUsd, port::Assignment};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much a model can do, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelClass {
    /// Quick and inexpensive: small, well-described work.
    Light,
    /// For most work.
    Standard,
    /// For the hardest work.
    Strong,
}

impl ModelClass {
    /// Every class, weakest first.
    pub const ALL: [Self; 3] = [Self::Light, Self::Standard, Self::Strong];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Standard => "standard",
            Self::Strong => "strong",
        }
    }
}

impl fmt::Display for ModelClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One model at one provider, with what a choice is made by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RouteModel {
    /// The provider.
    pub provider: ProviderName,
    /// The model, by the provider's name for it.
    pub model: String,
    /// How much it can do, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ModelClass>,
    /// The most tokens of prompt and answer together, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// What a million tokens of input and a quarter of a million of output cost, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<MicroUsd>,
}

impl RouteModel {
    /// A model of which nothing else is known.
    pub fn new(provider: ProviderName, model: impl Into<String>) -> Self {
        Self { provider, model: model.into(), class: None, context: None, price: None }
    }
}

impl fmt::Display for RouteModel {
    /// `provider/model`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.provider, self.model))
    }
}

/// How the models of a route are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteOrder {
    /// As they stand.
    Fixed,
    /// For each attempt, by the work.
    ByWork,
}

/// What a rule comes to: the models that may be asked, never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Route {
    /// The rule's name.
    pub rule: String,
    /// How they are ordered.
    pub order: RouteOrder,
    /// The models. In the order in which they are asked, or weakest first when the work orders them.
    pub models: Vec<RouteModel>,
    /// How the rule came to them, in words.
    pub why: String,
}

/// The models to ask for one piece of work, first to last, and why in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The models.
    pub models: Vec<RouteModel>,
    /// Why, in words.
    pub why: String,
}

impl Route {
    /// The models in the order in which they are asked for work of `complexity`.
    ///
    /// By work, models of the class that the work asks for come first and stronger ones after them,
    /// within a class the cheaper first; then weaker ones, the strongest of them first. A model
    /// without a class has that of its place: the first is the weakest, the last the strongest.
    pub fn choose(&self, complexity: &Complexity) -> Choice {
        match self.order {
            RouteOrder::Fixed => {
                let why = format!("rule `{}`: {}", self.rule, self.why);
                Choice { models: self.models.clone(), why }
            }
            RouteOrder::ByWork => self.by_work(complexity),
        }
    }

    /// The same with its models in the order for work of `complexity`, whoever asks.
    #[must_use]
    pub fn for_work(&self, complexity: &Complexity) -> Self {
        let (Choice { models, why }, rule) = (self.choose(complexity), self.rule.clone());
        let why = why.strip_prefix(&format!("rule `{rule}`: ")).unwrap_or(&why).to_owned();
        Self { rule, order: RouteOrder::Fixed, models, why }
    }

    fn by_work(&self, complexity: &Complexity) -> Choice {
        let wanted = complexity.class();
        let class = |place: usize| self.models[place].class.unwrap_or_else(|| self.class_at(place));
        let mut places: Vec<usize> = (0..self.models.len()).collect();
        places.sort_by_key(|&place| {
            let class = class(place);
            let distance = match class.cmp(&wanted) {
                std::cmp::Ordering::Less => 10 + (wanted as u8 - class as u8),
                _ => class as u8 - wanted as u8,
            };
            let price = self.models[place].price.map_or(u64::MAX, |price| price.0);
            (distance, price, place)
        });
        let found = places.first().map(|&place| class(place));
        let by = match found {
            Some(found) if found != wanted => format!("there is none, the nearest is {found}"),
            _ => "the cheapest of them first".to_owned(),
        };
        let why = format!("rule `{}`: {complexity} asks for a {wanted} model; {by}", self.rule);
        Choice { models: places.into_iter().map(|place| self.models[place].clone()).collect(), why }
    }

    /// The class of a model that is known by its place alone.
    fn class_at(&self, place: usize) -> ModelClass {
        let last = self.models.len().saturating_sub(1);
        match place {
            0 if last > 0 => ModelClass::Light,
            _ if place == last => ModelClass::Strong,
            _ => ModelClass::Standard,
        }
    }
}

/// What is known of a piece of work before a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkFacts<'a> {
    /// The bytes of all that the model is told at first.
    pub prompt_bytes: usize,
    /// The bytes of the JSON Schema that the answer must fit; 0 without one.
    pub schema_bytes: usize,
    /// How many tools it may call.
    pub tools: usize,
    /// How many tasks the task needs.
    pub needs: usize,
    /// How many inputs the run has.
    pub inputs: usize,
    /// What the agent is for.
    pub role: &'a Role,
    /// How many earlier answers were not accepted.
    pub rejected: usize,
}

impl<'a> WorkFacts<'a> {
    /// What an attempt is told.
    pub fn of(assignment: &'a Assignment) -> Self {
        let schema = assignment.output_schema.as_ref();
        let feedback = assignment.feedback.iter().map(|each| each.message.len()).sum::<usize>();
        Self {
            prompt_bytes: assignment.prompt().len()
                + assignment.agent.instructions().len()
                + feedback,
            schema_bytes: schema.map_or(0, |schema| schema.to_string().len()),
            tools: 0,
            needs: assignment.needs.len(),
            inputs: assignment.inputs.as_object().map_or(0, serde_json::Map::len),
            role: &assignment.agent.role,
            rejected: assignment.feedback.len(),
        }
    }
}

/// How much a piece of work asks for: a sum of points, each with its reason.
///
/// | what | points |
/// |---|---|
/// | the prompt | 1 for each 4,000 bytes, at most 30 |
/// | an output schema | 5, and 1 for each 500 bytes of it, at most 10 in all |
/// | tools | 5, and 1 for each, at most 15 in all |
/// | tasks that are needed | 3 each, at most 15 |
/// | inputs of the run | 1 each, at most 5 |
/// | the role | `dev` and `security` 20, `pm` 15, `qa` 10, your own 10, `docs` 5 |
/// | answers that were not accepted | 25 each |
///
/// Below 20 the work asks for a light model, below 45 for a standard one, else for a strong one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complexity {
    parts: Vec<(&'static str, u32)>,
}

/// From how many points on the work asks for more than a light model, and for a strong one.
const STEPS: (u32, u32) = (20, 45);

impl Complexity {
    /// How much work of `facts` asks for.
    pub fn of(facts: &WorkFacts<'_>) -> Self {
        let most = |count: usize, most: u32| u32::try_from(count).unwrap_or(u32::MAX).min(most);
        let some = |count: usize, first: u32, each: usize, limit: u32| match count {
            0 => 0,
            _ => first.saturating_add(most(count / each, limit)).min(limit),
        };
        let role = match facts.role {
            Role::Dev | Role::Security => 20,
            Role::Pm => 15,
            Role::Qa | Role::Own(_) => 10,
            Role::Docs => 5,
        };
        let parts = [
            ("role", role),
            ("prompt", most(facts.prompt_bytes / 4_000, 30)),
            ("schema", some(facts.schema_bytes, 5, 500, 10)),
            ("tools", some(facts.tools, 5, 1, 15)),
            ("needs", most(facts.needs.saturating_mul(3), 15)),
            ("inputs", most(facts.inputs, 5)),
            ("answers not accepted", most(facts.rejected.saturating_mul(25), 1_000)),
        ];
        Self { parts: parts.into_iter().filter(|(_, points)| *points > 0).collect() }
    }

    /// All points.
    pub fn points(&self) -> u32 {
        self.parts.iter().map(|(_, points)| points).sum()
    }

    /// The weakest class of model that is meant for it.
    pub fn class(&self) -> ModelClass {
        match self.points() {
            points if points < STEPS.0 => ModelClass::Light,
            points if points < STEPS.1 => ModelClass::Standard,
            _ => ModelClass::Strong,
        }
    }
}

impl fmt::Display for Complexity {
    /// `complexity 25 (role 20, schema 5)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.parts.iter().map(|(what, points)| format!("{what} {points}")).collect();
        write!(f, "complexity {} ({})", self.points(), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTHING: WorkFacts<'static> = WorkFacts {
        prompt_bytes: 0,
        schema_bytes: 0,
        tools: 0,
        needs: 0,
        inputs: 0,
        role: &Role::Docs,
        rejected: 0,
    };

    fn model(name: &str, class: Option<ModelClass>, price: Option<u64>) -> RouteModel {
        let provider = ProviderName::new("p").unwrap();
        RouteModel { class, price: price.map(MicroUsd), ..RouteModel::new(provider, name) }
    }

    #[test]
    fn what_was_chosen_for_work_stays_chosen_with_its_reason() {
        let light = Complexity::of(&NOTHING);
        let strong = Complexity::of(&WorkFacts { rejected: 2, ..NOTHING });
        let models = [ModelClass::Light, ModelClass::Strong];
        let route = auto(models.iter().map(|it| model(it.as_str(), Some(*it), None)).collect());
        let fixed = route.for_work(&strong);
        assert_eq!(fixed.choose(&light), route.choose(&strong));
        assert_eq!(fixed.for_work(&light), fixed);
    }

    fn auto(models: Vec<RouteModel>) -> Route {
        Route { rule: "auto".into(), order: RouteOrder::ByWork, models, why: String::new() }
    }

    fn names(choice: &Choice) -> Vec<&str> {
        choice.models.iter().map(|model| model.model.as_str()).collect()
    }

    #[test]
    fn work_is_weighed_by_its_table() {
        let own = Role::Own("artist".into());
        for (facts, points, class) in [
            (NOTHING, 5, ModelClass::Light),
            (WorkFacts { role: &own, ..NOTHING }, 10, ModelClass::Light),
            (WorkFacts { role: &Role::Qa, inputs: 9, ..NOTHING }, 15, ModelClass::Light),
            (WorkFacts { role: &Role::Pm, inputs: 4, ..NOTHING }, 19, ModelClass::Light),
            (WorkFacts { role: &Role::Pm, inputs: 5, ..NOTHING }, 20, ModelClass::Standard),
            (WorkFacts { role: &Role::Dev, ..NOTHING }, 20, ModelClass::Standard),
            (WorkFacts { prompt_bytes: 3_999, ..NOTHING }, 5, ModelClass::Light),
            (WorkFacts { prompt_bytes: 8_000, ..NOTHING }, 7, ModelClass::Light),
            (WorkFacts { prompt_bytes: usize::MAX, ..NOTHING }, 35, ModelClass::Standard),
            (WorkFacts { schema_bytes: 1, ..NOTHING }, 10, ModelClass::Light),
            (WorkFacts { schema_bytes: 1_000, ..NOTHING }, 12, ModelClass::Light),
            (WorkFacts { schema_bytes: usize::MAX, ..NOTHING }, 15, ModelClass::Light),
            (WorkFacts { tools: 1, ..NOTHING }, 11, ModelClass::Light),
            (WorkFacts { tools: 90, ..NOTHING }, 20, ModelClass::Standard),
            (WorkFacts { needs: 2, ..NOTHING }, 11, ModelClass::Light),
            (WorkFacts { needs: usize::MAX, ..NOTHING }, 20, ModelClass::Standard),
            (WorkFacts { rejected: 1, ..NOTHING }, 30, ModelClass::Standard),
            (WorkFacts { rejected: 2, ..NOTHING }, 55, ModelClass::Strong),
            (WorkFacts { role: &Role::Security, rejected: 1, ..NOTHING }, 45, ModelClass::Strong),
        ] {
            let found = Complexity::of(&facts);
            assert_eq!((found.points(), found.class()), (points, class), "{facts:?}");
        }
        let facts = WorkFacts { role: &Role::Dev, schema_bytes: 9, ..NOTHING };
        assert_eq!(Complexity::of(&facts).to_string(), "complexity 25 (role 20, schema 5)");
    }

    #[test]
    fn the_work_and_the_price_order_the_models() {
        use ModelClass::{Light, Standard, Strong};
        let route = auto(vec![
            model("small", Some(Light), Some(1)),
            model("dear", Some(Standard), Some(9)),
            model("fair", Some(Standard), Some(5)),
            model("untold", Some(Standard), None),
            model("large", Some(Strong), Some(30)),
        ]);
        let check = |facts: WorkFacts<'_>, expected: &[&str]| {
            let choice = route.choose(&Complexity::of(&facts));
            assert_eq!(names(&choice), expected, "{}", choice.why);
        };
        check(NOTHING, &["small", "fair", "dear", "untold", "large"]);
        let dev = WorkFacts { role: &Role::Dev, ..NOTHING };
        check(dev, &["fair", "dear", "untold", "large", "small"]);
        check(WorkFacts { rejected: 1, ..dev }, &["large", "fair", "dear", "untold", "small"]);
    }

    #[test]
    fn a_list_of_ones_own_goes_from_the_weakest_to_the_strongest() {
        let check = |count: usize, facts: WorkFacts<'_>, expected: &str| {
            let models = ["a", "b", "c", "d"].map(|name| model(name, None, None));
            let choice = auto(models[..count].to_vec()).choose(&Complexity::of(&facts));
            assert_eq!(names(&choice).join(""), expected, "{}", choice.why);
        };
        let dev = WorkFacts { role: &Role::Dev, ..NOTHING };
        let hard = WorkFacts { rejected: 2, ..dev };
        for (count, light, standard, strong) in [
            (1, "a", "a", "a"),
            (2, "ab", "ba", "ba"),
            (3, "abc", "bca", "cba"),
            (4, "abcd", "bcda", "dbca"),
        ] {
            check(count, NOTHING, light);
            check(count, dev, standard);
            check(count, hard, strong);
        }
    }

    #[test]
    fn a_fixed_order_is_kept_whatever_the_work() {
        let models = vec![model("b", None, Some(9)), model("a", None, Some(1))];
        let route = Route { order: RouteOrder::Fixed, why: "as set".into(), ..auto(models) };
        let choice = route.choose(&Complexity::of(&NOTHING));
        assert_eq!((names(&choice), choice.why.as_str()), (vec!["b", "a"], "rule `auto`: as set"));
    }

    proptest! {
        #[test]
        fn every_model_is_in_the_order_once_and_more_work_asks_for_no_less(
            classes in proptest::collection::vec((0_usize..4, proptest::option::of(0_u64..9)), 1..8),
            bytes in 0_usize..200_000,
            rejected in 0_usize..4,
        ) {
            let models: Vec<RouteModel> = classes
                .iter()
                .enumerate()
                .map(|(n, (class, price))| {
                    model(&n.to_string(), ModelClass::ALL.get(*class).copied(), *price)
                })
                .collect();
            let route = auto(models);
            let facts = WorkFacts { prompt_bytes: bytes, rejected, ..NOTHING };
            let less = Complexity::of(&facts);
            let more = Complexity::of(&WorkFacts { rejected: rejected + 1, ..facts });
            prop_assert!(less.class() <= more.class());
            let choice = route.choose(&less);
            let mut found = names(&choice);
            found.sort_unstable();
            let mut all: Vec<&str> = route.models.iter().map(|m| m.model.as_str()).collect();
            all.sort_unstable();
            prop_assert_eq!(found, all);
            prop_assert_eq!(route.choose(&less), choice);
        }
    }
}
