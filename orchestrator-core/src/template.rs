//! Templates: workflows with parameters, which may inherit from one another.
//!
//! A template is a workflow document with two more keys. `parameters` declares, like `inputs`, what
//! is filled in before the workflow exists: `{{ parameters.NAME }}` in any text, and a text that is
//! nothing else takes the value with its type. `extends` names the template that it starts from:
//! mappings are merged key by key, anything else is replaced, and null removes a key.
//!
//! What is made is bounded by [`MAX_DOCUMENT`], however often a large parameter is filled in.

use crate::{
    expr::{self, ValueSize},
    id::{InvalidId, WorkflowName},
    workflow::{
        Codes, InputSpec, MISSING_PARAMETER, PARAMETER_TYPE, Problem, SIZE, TEMPLATE_CYCLE,
        UNKNOWN_PARAMETER, UNKNOWN_TEMPLATE, bind, did_you_mean, join, read_inputs, table,
        type_name,
    },
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The largest document that a template may make, in bytes of JSON.
pub const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

const PARAMETERS: Codes = Codes {
    unknown: UNKNOWN_PARAMETER,
    missing: MISSING_PARAMETER,
    wrong_type: PARAMETER_TYPE,
    what: "parameter",
    at: "/parameters",
};

/// A template as it was read: a mapping that may have `parameters` and `extends`.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    name: WorkflowName,
    document: Map<String, Value>,
}

impl Template {
    /// Wraps a document whose `name` is a valid name. The rest is checked when it is used.
    ///
    /// # Errors
    /// What is wrong with the name, or that it is not a mapping.
    pub fn parse(document: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let name = table(document, "", &mut problems).and_then(|top| {
            let name = top.required_text("name", &mut problems)?;
            let name = top.keep("name", WorkflowName::new(name), &mut problems)?;
            Some((name, top.map.clone()))
        });
        match name {
            Some((name, document)) if problems.is_empty() => Ok(Self { name, document }),
            _ => Err(problems),
        }
    }

    /// Its name.
    pub fn name(&self) -> &WorkflowName {
        &self.name
    }

    /// Its description, when it has one of its own.
    pub fn description(&self) -> Option<&str> {
        self.document.get("description").and_then(Value::as_str)
    }

    /// Its version, when it has one of its own.
    pub fn version(&self) -> Option<&str> {
        self.document.get("version").and_then(Value::as_str)
    }

    /// The name of the template that it starts from.
    pub fn extends(&self) -> Option<&str> {
        self.document.get("extends").and_then(Value::as_str)
    }
}

/// Templates by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Library {
    templates: BTreeMap<String, Template>,
}

/// A template with all that it inherits.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    document: Map<String, Value>,
    parameters: Vec<InputSpec>,
}

impl Library {
    /// An empty library.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a template; one of the same name is replaced and returned.
    pub fn insert(&mut self, template: Template) -> Option<Template> {
        self.templates.insert(template.name.to_string(), template)
    }

    /// The template of that name as it was read.
    pub fn get(&self, name: &str) -> Option<&Template> {
        self.templates.get(name)
    }

    /// Every template, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Template> {
        self.templates.values()
    }

    /// The template of that name with all that it inherits.
    ///
    /// # Errors
    /// A template that is not known, a circle of `extends` named by its path, or parameters that
    /// are declared wrongly.
    pub fn resolve(&self, name: &str) -> Result<Resolved, Vec<Problem>> {
        let mut chain: Vec<&Template> = Vec::new();
        let mut next = Some(name);
        while let Some(name) = next {
            if let Some(start) = chain.iter().position(|seen| seen.name.as_str() == name) {
                let mut path: Vec<&str> = chain[start..].iter().map(|t| t.name.as_str()).collect();
                path.push(name);
                let message = format!("{} is a circle of `extends`", path.join(" → "));
                return Err(vec![Problem::new(TEMPLATE_CYCLE, "/extends", message)]);
            }
            let Some(template) = self.templates.get(name) else {
                let at = if chain.is_empty() { "" } else { "/extends" };
                let known = self.templates.keys().map(String::as_str);
                return Err(vec![
                    Problem::new(UNKNOWN_TEMPLATE, at, format!("no template is named `{name}`"))
                        .suggest(did_you_mean(name, known)),
                ]);
            };
            if let Some(other) = template.document.get("extends").filter(|v| !v.is_string()) {
                let message =
                    format!("`extends` is the name of a template, not {}", type_name(other));
                return Err(vec![Problem::new(crate::workflow::WRONG_TYPE, "/extends", message)]);
            }
            chain.push(template);
            next = template.extends();
        }
        let mut document = Map::new();
        for template in chain.iter().rev() {
            merge(&mut document, &template.document);
        }
        document.remove("extends");
        let mut problems = Vec::new();
        let value = Value::Object(document);
        let parameters = table(&value, "", &mut problems)
            .map(|top| read_inputs(&top, "parameters", &mut problems))
            .unwrap_or_default();
        let Value::Object(mut document) = value else {
            return Err(problems);
        };
        document.remove("parameters");
        if problems.is_empty() { Ok(Resolved { document, parameters }) } else { Err(problems) }
    }
}

impl Resolved {
    /// What it takes.
    pub fn parameters(&self) -> &[InputSpec] {
        &self.parameters
    }

    /// The document with its parameters not yet filled in.
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// The workflow document for these parameters, to be read by
    /// [`Workflow::parse`](crate::workflow::Workflow::parse).
    ///
    /// # Errors
    /// Every parameter that is unknown, missing or of the wrong type, and every text that refers
    /// to one that is not declared; or that the document would exceed [`MAX_DOCUMENT`].
    pub fn instantiate(&self, given: &Map<String, Value>) -> Result<Value, Vec<Problem>> {
        let bound = Value::Object(bind(&self.parameters, given, &PARAMETERS)?);
        let mut filling = Filling {
            parameters: &bound,
            size: ValueSize::new(MAX_DOCUMENT),
            problems: Vec::new(),
        };
        let filled = filling.mapping(&self.document, "");
        match filled {
            Some(filled) if filling.problems.is_empty() => Ok(filled),
            Some(_) => Err(filling.problems),
            None => {
                let message = format!("with its parameters it is larger than {MAX_DOCUMENT} bytes");
                Err(vec![Problem::new(SIZE, "", message)])
            }
        }
    }
}

fn merge(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (_, Value::Null) => {
                base.shift_remove(key);
            }
            (Some(Value::Object(base)), Value::Object(over)) => merge(base, over),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A document on the way to being filled in.
struct Filling<'p> {
    parameters: &'p Value,
    size: ValueSize,
    problems: Vec<Problem>,
}

impl Filling<'_> {
    /// `value` filled in; nothing when the document would get too large.
    fn value(&mut self, value: &Value, at: &str) -> Option<Value> {
        match value {
            Value::String(text) if text.contains("{{") => {
                match substitute_text(text, self.parameters, &mut self.size)? {
                    Ok(filled) => Some(filled),
                    Err(error) => {
                        let code = match error {
                            expr::ExprError::TooLong => SIZE,
                            _ => UNKNOWN_PARAMETER,
                        };
                        self.problems.push(Problem::new(code, at, error.to_string()));
                        Some(Value::Null)
                    }
                }
            }
            Value::Array(items) => {
                let filled = items.iter().enumerate();
                filled.map(|(index, item)| self.value(item, &join(at, index))).collect()
            }
            Value::Object(map) => self.mapping(map, at),
            other => {
                self.size.add(other)?;
                Some(other.clone())
            }
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, at: &str) -> Option<Value> {
        let mut filled = Map::new();
        for (key, value) in map {
            self.size.take(key.len())?;
            filled.insert(key.clone(), self.value(value, &join(at, key))?);
        }
        Some(Value::Object(filled))
    }
}

/// The text filled in; nothing when `size` does not suffice.
fn substitute_text(
    text: &str,
    parameters: &Value,
    size: &mut ValueSize,
) -> Option<Result<Value, expr::ExprError>> {
    match substituted(text, parameters) {
        // Counted before it is copied, so that nothing large is there twice.
        Ok(Substituted::Whole(value)) => size.add(value).map(|()| Ok(value.clone())),
        Ok(Substituted::Text(text)) => size.take(text.len()).map(|()| Ok(Value::String(text))),
        Err(error) => Some(Err(error)),
    }
}

/// What becomes of a text.
enum Substituted<'v> {
    /// It was one parameter and nothing else.
    Whole(&'v Value),
    Text(String),
}

fn substituted<'v>(text: &str, parameters: &'v Value) -> Result<Substituted<'v>, expr::ExprError> {
    let value = |steps: &[&str]| match steps {
        ["parameters", rest @ ..] => Some(find(rest, steps, parameters)),
        _ => None,
    };
    // A text that is one parameter and nothing else takes its value with its type.
    let trimmed = text.trim();
    if trimmed.starts_with("{{")
        && trimmed.matches("{{").count() == 1
        && trimmed.find("}}") == Some(trimmed.len() - 2)
        && let [steps] = &expr::paths(trimmed)?[..]
        && let Some(found) = value(steps)
    {
        return found.map(Substituted::Whole);
    }
    expr::fill_where(text, value).map(Substituted::Text)
}

fn find<'v>(
    rest: &[&str],
    path: &[&str],
    parameters: &'v Value,
) -> Result<&'v Value, expr::ExprError> {
    let mut at = parameters;
    for step in rest {
        at = at.get(step).ok_or_else(|| expr::ExprError::NoValue {
            path: path.join("."),
            reason: format!("no parameter `{step}` is declared"),
        })?;
    }
    Ok(at)
}

impl TryFrom<&str> for Template {
    type Error = InvalidId;

    /// A template with a name and nothing else, to be built upon.
    fn try_from(name: &str) -> Result<Self, InvalidId> {
        let name = WorkflowName::new(name)?;
        let document = Map::from_iter([("name".to_owned(), Value::String(name.to_string()))]);
        Ok(Self { name, document })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn library() -> Library {
        let mut library = Library::new();
        for document in [
            json!({
                "name": "base",
                "parameters": { "who": { "type": "string", "default": "dev" },
                                "tries": { "type": "integer", "default": 2 } },
                "tasks": {
                    "plan": { "agent": "pm", "prompt": "Plan." },
                    "do": { "agent": "{{ parameters.who }}", "needs": ["plan"],
                            "prompt": "For {{ parameters.who }}: {{ inputs.x }}",
                            "retry": { "max-attempts": "{{ parameters.tries }}" } },
                },
            }),
            json!({ "name": "child", "extends": "base",
                    "parameters": { "who": { "type": "string", "required": true, "default": null } },
                    "tasks": { "plan": null, "do": { "needs": null, "agent": "qa" } } }),
            json!({ "name": "loop-a", "extends": "loop-b" }),
            json!({ "name": "loop-b", "extends": "loop-a" }),
            json!({ "name": "orphan", "extends": "bose" }),
            json!({ "name": "typo", "tasks": { "a": { "prompt": "{{ parameters.whom }}" } } }),
        ] {
            library.insert(Template::parse(&document).unwrap());
        }
        library
    }

    #[test]
    fn parameters_are_filled_in_with_their_types() {
        let given = Map::from_iter([("tries".to_owned(), json!("4"))]);
        let made = library().resolve("base").unwrap().instantiate(&given).unwrap();
        assert_eq!(made["tasks"]["do"]["agent"], "dev");
        assert_eq!(made["tasks"]["do"]["prompt"], "For dev: {{ inputs.x }}");
        assert_eq!(made["tasks"]["do"]["retry"]["max-attempts"], 4);
        assert!(made.get("parameters").is_none());
    }

    #[test]
    fn a_child_changes_adds_and_removes() {
        let resolved = library().resolve("child").unwrap();
        let made =
            resolved.instantiate(&Map::from_iter([("who".to_owned(), json!("ann"))])).unwrap();
        assert_eq!(made["name"], "child");
        assert_eq!(
            made["tasks"],
            json!({ "do": { "agent": "qa", "prompt": "For ann: {{ inputs.x }}",
                            "retry": { "max-attempts": 2 } } })
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |outcome: Result<Value, Vec<Problem>>, code: &str, part: &str| {
            let problems = outcome.unwrap_err();
            assert_eq!(problems[0].code, code, "{problems:?}");
            assert!(problems[0].to_string().contains(part), "{}", problems[0]);
        };
        let library = library();
        let make = |name: &str, given: Value| {
            let given = given.as_object().cloned().unwrap_or_default();
            library.resolve(name).and_then(|resolved| resolved.instantiate(&given))
        };
        check(make("loop-a", json!({})), TEMPLATE_CYCLE, "loop-a → loop-b → loop-a");
        check(make("orphan", json!({})), UNKNOWN_TEMPLATE, "did you mean `base`?");
        check(make("nope", json!({})), UNKNOWN_TEMPLATE, "nope");
        check(make("base", json!({ "whi": "x" })), UNKNOWN_PARAMETER, "did you mean `who`?");
        check(make("base", json!({ "tries": "many" })), PARAMETER_TYPE, "a whole number");
        check(make("child", json!({})), MISSING_PARAMETER, "who");
        check(make("typo", json!({})), UNKNOWN_PARAMETER, "whom");
    }

    #[test]
    fn what_parameters_make_of_a_document_is_bounded() {
        let make = |text: String, count: usize| {
            let tasks: Map<String, Value> =
                (0..count).map(|n| (format!("t{n}"), json!({ "prompt": text.clone() }))).collect();
            let mut library = Library::new();
            library.insert(
                Template::parse(&json!({
                    "name": "bomb", "tasks": tasks,
                    "parameters": { "big": { "type": "string", "default": "x".repeat(1 << 20) },
                                    "list": { "type": "array", "default": vec![0; 1 << 17] } },
                }))
                .unwrap(),
            );
            library.resolve("bomb").unwrap().instantiate(&Map::new())
        };
        let check = |text: &str, times: usize, count: usize, code: &str| {
            let problems = make(text.repeat(times), count).unwrap_err();
            assert_eq!(problems[0].code, code, "{}", problems[0]);
        };
        assert!(make("{{ parameters.big }}".into(), 8).is_ok());
        check("{{ parameters.big }}", 1, 1_000, SIZE);
        check("{{ parameters.list }}", 1, 1_000, SIZE);
        check("a {{ parameters.big }}", 1, 1_000, SIZE);
        // One text has a bound of its own.
        check("{{ parameters.big }}", 100, 1, SIZE);
    }
}
