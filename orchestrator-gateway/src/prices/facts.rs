//! What is known of models beside their prices.

use super::table::without_date;
use crate::ProviderKind;
use orchestrator_core::route::ModelClass;
use serde::Deserialize;
use std::sync::Arc;

/// The table that the crate was built with.
const BUILT_IN: &str = include_str!("models.toml");

/// What is known of one model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelFacts {
    /// The model, as it is named in requests.
    pub model: String,
    /// Other names of it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The protocols at whose usual place it is offered; none for an earlier model.
    #[serde(default)]
    pub kinds: Vec<ProviderKind>,
    /// How much it can do, within its vendor's own line.
    pub class: ModelClass,
    /// Whether speed is what it is for.
    #[serde(default)]
    pub fast: bool,
    /// Whether programming is what it is for.
    #[serde(default)]
    pub code: bool,
    /// The most tokens of prompt and answer together.
    pub context: u64,
    /// Where this was read.
    pub source: String,
    /// The day for which that page states it, `YYYY-MM-DD`.
    pub as_of: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<ModelFacts>,
}

/// What is known of models, the preferred first. Cheap to clone.
///
/// ```
/// use orchestrator_gateway::{ProviderKind, prices::ModelTable};
///
/// let models = ModelTable::built_in();
/// assert_eq!(models.find("claude-haiku-4-5-20251001").unwrap().context, 200_000);
/// assert!(models.offered(ProviderKind::Gemini).next().is_some());
/// assert!(models.offered(ProviderKind::Ollama).next().is_none());
/// ```
#[derive(Debug, Clone, Default)]
pub struct ModelTable {
    models: Arc<[ModelFacts]>,
}

impl ModelTable {
    /// The built-in table, each entry with the page that it was taken from and the day for which that
    /// page states it. They were taken from stored copies, not from live pages.
    pub fn built_in() -> Self {
        let models =
            toml::from_str::<File>(BUILT_IN).map(|file| file.model).unwrap_or_else(|error| {
                // A test reads every entry, so this is unreachable; with no facts rules find no model by
                // themselves, and say so.
                tracing::error!(%error, "the built-in table of models is damaged");
                Vec::new()
            });
        Self { models: models.into() }
    }

    /// All entries, the preferred first.
    pub fn entries(&self) -> &[ModelFacts] {
        &self.models
    }

    /// What is known of `model`, by its name or its name without a date, wherever it is offered.
    pub fn find(&self, model: &str) -> Option<&ModelFacts> {
        let named = |name: &str| {
            let is_it = |facts: &&ModelFacts| {
                facts.model == name || facts.aliases.iter().any(|alias| alias == name)
            };
            self.models.iter().find(is_it)
        };
        named(model).or_else(|| without_date(model).and_then(named))
    }

    /// The place of `model` in the order of preference; after all others when nothing is known.
    pub fn place(&self, model: &str) -> usize {
        let found = self.find(model);
        let place = found.and_then(|found| self.models.iter().position(|each| each == found));
        place.unwrap_or(self.models.len())
    }

    /// The models that are offered at the usual place of `kind`, the preferred first.
    pub fn offered(&self, kind: ProviderKind) -> impl Iterator<Item = &ModelFacts> {
        self.models.iter().filter(move |facts| facts.kinds.contains(&kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::PriceTable;
    use orchestrator_core::id::ProviderName;

    #[test]
    fn every_entry_has_a_source_a_date_one_name_and_a_price() {
        let file: File = toml::from_str(BUILT_IN).unwrap();
        let (prices, anybody) = (PriceTable::built_in(), ProviderName::new("p").unwrap());
        let mut names = std::collections::BTreeSet::new();
        for facts in &file.model {
            assert!(facts.source.starts_with("https://"), "{facts:?}");
            assert_eq!(without_date(&format!("x-{}", facts.as_of)), Some("x"), "{facts:?}");
            assert!(facts.context >= 100_000, "{facts:?}");
            assert!(prices.find(&anybody, &facts.model).is_some(), "{} has no price", facts.model);
            for name in facts.aliases.iter().chain([&facts.model]) {
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
    }

    #[test]
    fn every_vendor_offers_something_and_large_ones_something_of_each_class() {
        let table = ModelTable::built_in();
        for kind in ProviderKind::ALL {
            let classes: Vec<ModelClass> = table.offered(kind).map(|facts| facts.class).collect();
            let expected = match kind {
                ProviderKind::Anthropic
                | ProviderKind::OpenAiResponses
                | ProviderKind::OpenAiChat => &ModelClass::ALL[..],
                ProviderKind::DeepSeek => &ModelClass::ALL[..2],
                ProviderKind::Gemini => &[ModelClass::Standard],
                ProviderKind::Ollama => &[],
            };
            for class in expected {
                assert!(classes.contains(class), "{kind} offers nothing {class}");
            }
            assert_eq!(classes.is_empty(), kind == ProviderKind::Ollama, "{kind}");
        }
    }

    #[test]
    fn a_model_is_found_by_any_of_its_names() {
        let table = ModelTable::built_in();
        let found = |model: &str| table.find(model).map(|facts| facts.model.as_str());
        assert_eq!(found("claude-haiku-4-5@20251001"), Some("claude-haiku-4-5"));
        assert_eq!(found("deepseek-v4-flash"), Some("deepseek-flash"));
        assert_eq!(found("home-made-7b"), None);
        assert_eq!(table.place("claude-fable-5-1"), 0);
        assert_eq!(table.place("home-made-7b"), table.entries().len());
    }
}
