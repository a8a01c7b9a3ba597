//! The templates that come with the program.

use crate::document::{Document, Format};

/// A template that comes with the program.
struct BuiltIn {
    name: &'static str,
    text: &'static str,
    /// What it is where a model is at hand, when that differs.
    with_model: Option<&'static str>,
}

macro_rules! template {
    ($name:literal) => {
        BuiltIn {
            name: $name,
            text: include_str!(concat!("../../templates/", $name, ".yaml")),
            with_model: None,
        }
    };
    ($name:literal, with model) => {
        BuiltIn {
            with_model: Some(include_str!(concat!("../../templates/", $name, ".model.yaml"))),
            ..template!($name)
        }
    };
}

/// Those that are listed, in the order of the list, then those that others build upon and those that
/// commands run.
const ALL: [BuiltIn; 9] = [
    template!("audit"),
    template!("security-audit", with model),
    template!("documentation", with model),
    template!("quick-implementation"),
    template!("full-development"),
    template!("code-review"),
    template!("security-audit-analysis"),
    template!("documentation-analysis"),
    template!("commit-message"),
];

/// How many of them are listed.
const LISTED: usize = 6;

/// The names that are listed, in their order.
pub(super) fn listed() -> impl Iterator<Item = &'static str> {
    ALL.iter().take(LISTED).map(|template| template.name)
}

/// The documents of all templates.
///
/// One that does not parse is left out with a record in the log; a test reads each.
pub(super) fn documents(model_at_hand: bool) -> impl Iterator<Item = Document> {
    ALL.iter().filter_map(move |template| {
        let text = template.with_model.filter(|_| model_at_hand).unwrap_or(template.text);
        Document::parse(text, None, Format::Yaml)
            .inspect_err(|error| tracing::error!(name = template.name, %error, "a built-in template is damaged"))
            .ok()
    })
}
