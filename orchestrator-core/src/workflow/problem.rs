//! What can be wrong with a definition, told all at once and with its place.

use serde::Serialize;
use std::fmt;

/// One thing that is wrong with a workflow, a template or the inputs of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// Its stable code, one of [`PROBLEM_CODES`].
    pub code: &'static str,
    /// Where it is: a JSON pointer (RFC 6901) into the document, such as `/tasks/build/needs/0`.
    pub pointer: String,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl Problem {
    /// A problem at `pointer`.
    pub fn new(code: &'static str, pointer: &str, message: impl Into<String>) -> Self {
        Self { code, pointer: pointer.to_owned(), message: message.into(), suggestion: None }
    }

    /// The same with what to write instead.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "/" } else { &self.pointer };
        write!(f, "{} at {place}: {}", self.code, self.message)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, " ({suggestion})")?;
        }
        Ok(())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $code;)*

        /// Every code of a [`Problem`] with its title.
        pub const PROBLEM_CODES: &[(&str, &str)] = &[$(($code, $title)),*];
    };
}

codes! {
    /// A value of the wrong type.
    WRONG_TYPE = "ORC-0201", "a value has the wrong type";
    /// A key that is not known.
    UNKNOWN_KEY = "ORC-0202", "a key is not known";
    /// A key that must be there.
    MISSING_KEY = "ORC-0203", "a key is missing";
    /// A value that breaks a rule.
    INVALID_VALUE = "ORC-0204", "a value breaks a rule";
    /// A task is needed that does not exist.
    UNKNOWN_TASK = "ORC-0205", "a task that is named does not exist";
    /// Tasks need each other in a circle.
    CYCLE = "ORC-0206", "tasks need each other in a circle";
    /// A task asks for nothing, or for several things.
    TASK_KIND = "ORC-0207", "a task must ask for exactly one thing";
    /// Part of the language, but not of this version.
    NOT_OFFERED = "ORC-0208", "a construct is not offered by this version";
    /// An expression that cannot be read or refers to what it cannot see.
    EXPRESSION = "ORC-0209", "an expression cannot be used";
    /// A revision of a task that does not come before.
    REVISE_TARGET = "ORC-0210", "a revision names a task that does not come before it";
    /// No tasks, or too many.
    SIZE = "ORC-0211", "a workflow is empty or too large";
    /// An output schema that is not one.
    OUTPUT_SCHEMA = "ORC-0212", "an output schema is not valid";
    /// A workflow comes back to itself through children and `then`.
    WORKFLOW_CYCLE = "ORC-0213", "a workflow starts itself";
    /// A key that does not go with what the task asks for.
    TASK_KEY = "ORC-0214", "a key does not go with this kind of task";
    /// A child workflow, or one that `then` starts, that is not known.
    UNKNOWN_WORKFLOW = "ORC-0215", "a workflow that is named does not exist";
    /// Children of children, too deep.
    NESTING = "ORC-0216", "child workflows are nested too deeply";
    /// A template extends one that is not known.
    UNKNOWN_TEMPLATE = "ORC-0220", "a template is not known";
    /// Templates extend each other in a circle.
    TEMPLATE_CYCLE = "ORC-0221", "templates extend each other in a circle";
    /// A parameter that the template does not take.
    UNKNOWN_PARAMETER = "ORC-0222", "a template parameter is not known";
    /// A required parameter that was not given.
    MISSING_PARAMETER = "ORC-0223", "a template parameter is missing";
    /// A parameter of the wrong type.
    PARAMETER_TYPE = "ORC-0224", "a template parameter has the wrong type";
    /// An input that the workflow does not take.
    UNKNOWN_INPUT = "ORC-0301", "an input is not known";
    /// A required input that was not given.
    MISSING_INPUT = "ORC-0302", "an input is missing";
    /// An input of the wrong type.
    INPUT_TYPE = "ORC-0303", "an input has the wrong type";
}

/// The candidate that `wanted` was most likely meant to be, as `did you mean ...?`.
pub fn did_you_mean<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let wanted = wanted.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            // A slip of one key in four is a typo; a shared beginning is a half-remembered name.
            let slips = strsim::damerau_levenshtein(&wanted, &lower);
            let likeness = strsim::jaro_winkler(&wanted, &lower);
            let typo = slips <= (wanted.chars().count() / 4).max(1);
            (typo || likeness >= 0.85).then_some((likeness, candidate))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// `pointer` extended by one key or index, escaped as RFC 6901 asks.
pub(crate) fn join(pointer: &str, key: impl fmt::Display) -> String {
    let key = key.to_string().replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{key}")
}
