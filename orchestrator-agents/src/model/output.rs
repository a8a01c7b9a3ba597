//! JSON in a model's answer: where it is, and whether it fits.

use jsonschema::Validator;
use serde_json::Value;
use std::sync::Arc;

/// The most violations that are told at once.
const MAX_VIOLATIONS: usize = 20;

/// The most places in an answer where JSON is looked for.
const MAX_PLACES: usize = 64;

/// A schema, ready to check answers.
pub(crate) struct OutputSchema {
    validator: Validator,
}

impl OutputSchema {
    /// Compiles `schema`. References to other documents are not resolved.
    ///
    /// # Errors
    /// Why it is not a JSON Schema.
    pub(crate) fn new(schema: Arc<Value>) -> Result<Self, String> {
        match jsonschema::validator_for(&schema) {
            Ok(validator) => Ok(Self { validator }),
            Err(error) => Err(format!(
                "the task's `output` is not a JSON Schema: {error} at `{}`",
                error.instance_path()
            )),
        }
    }

    /// The JSON in `text` that fits.
    ///
    /// # Errors
    /// What is wrong with the likeliest candidate.
    pub(crate) fn read(&self, text: &str) -> Result<Value, Vec<String>> {
        let mut first: Option<Vec<String>> = None;
        for candidate in candidates(text) {
            let violations = self.violations(&candidate);
            if violations.is_empty() {
                return Ok(candidate);
            }
            first.get_or_insert(violations);
        }
        Err(first.unwrap_or_else(|| vec![unreadable(text)]))
    }

    fn violations(&self, value: &Value) -> Vec<String> {
        let mut errors = self.validator.iter_errors(value);
        let mut violations: Vec<String> = errors
            .by_ref()
            .take(MAX_VIOLATIONS)
            .map(|error| {
                let path = error.instance_path().as_str();
                let path = if path.is_empty() { "/" } else { path };
                format!("at `{path}`: {}", super::prompt::brief(&error.to_string()))
            })
            .collect();
        let more = errors.count();
        if more > 0 {
            violations.push(format!("and {more} more"));
        }
        violations
    }
}

/// Why no JSON was found.
fn unreadable(text: &str) -> String {
    let start = text.find(['{', '[']).unwrap_or_default();
    match serde_json::from_str::<Value>(text[start..].trim()) {
        Err(error) if start > 0 || text.starts_with(['{', '[']) => {
            format!("it is not valid JSON: {error}")
        }
        _ => "it holds no JSON".to_owned(),
    }
}

/// Whatever in `text` reads as JSON, the likeliest first: all of it, the fenced blocks from the
/// last to the first (models put their result at the end), then any object or array in between.
fn candidates(text: &str) -> impl Iterator<Item = Value> {
    let whole = serde_json::from_str(text.trim()).ok();
    let fenced =
        fenced_blocks(text).rev().filter_map(|block| serde_json::from_str(block.trim()).ok());
    let whole_is_json = whole.is_some();
    let fenced: Vec<Value> = if whole_is_json { Vec::new() } else { fenced.collect() };
    let bare = if whole_is_json { Vec::new() } else { embedded(text) };
    whole.into_iter().chain(fenced).chain(bare)
}

/// The insides of blocks between fences of three backticks.
fn fenced_blocks(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    let parts: Vec<&str> = text.split("```").collect();
    let blocks: Vec<&str> = parts
        .iter()
        .skip(1)
        .step_by(2)
        // The first line of a block names its language.
        .map(|block| block.split_once('\n').map_or(*block, |(_, rest)| rest))
        .collect();
    blocks.into_iter()
}

/// Objects and arrays that stand in `text`, outermost only, largest first.
fn embedded(text: &str) -> Vec<Value> {
    let mut found: Vec<(usize, Value)> = Vec::new();
    let mut from = 0;
    for _ in 0..MAX_PLACES {
        let Some(at) = text[from..].find(['{', '[']).map(|offset| from + offset) else {
            break;
        };
        let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                found.push((stream.byte_offset(), value));
                from = at + stream.byte_offset();
            }
            _ => from = at + 1,
        }
    }
    found.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    found.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> OutputSchema {
        OutputSchema::new(Arc::new(json!({
            "type": "object",
            "required": ["approved"],
            "properties": { "approved": { "type": "boolean" } },
        })))
        .unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn json_is_found_wherever_it_stands() {
        let check = |text: &str| {
            assert_eq!(schema().read(text), Ok(json!({ "approved": true })), "{text}");
        };
        check(r#"{"approved":true}"#);
        check(" \n{\"approved\" : true}\n");
        check("```json\n{\"approved\":true}\n```");
        check("```\n{\"approved\":true}\n```");
        check("Here you are:\n\n```json\n{\"approved\":true}\n```\nAnything else?");
        check("First ```json\n{\"approved\":1}\n``` no:\n```json\n{\"approved\":true}\n```");
        check("I think {\"approved\": true} is right.");
        check("See [1] and {x}: {\"approved\": true}.");
        check("{\"a\":1} then {\"approved\":true}");
        check("```json\n{\"approved\":true}");
    }

    #[test]
    fn violations_are_exact() {
        let check = |text: &str, expected: &[&str]| {
            let violations = schema().read(text).unwrap_err();
            assert_eq!(violations.len(), expected.len(), "{violations:?}");
            for (violation, part) in violations.iter().zip(expected) {
                assert!(violation.contains(part), "{violation} should hold {part}");
            }
        };
        check(r#"{"approved":"yes"}"#, &["at `/approved`: \"yes\" is not of type \"boolean\""]);
        check("{}", &["at `/`: \"approved\" is a required property"]);
        check("[]", &["at `/`"]);
        check("I approve.", &["it holds no JSON"]);
        check("", &["it holds no JSON"]);
        check(r#"{"approved":tru"#, &["it is not valid JSON"]);
        check(r#"Sure: {"approved":tru"#, &["it is not valid JSON"]);
    }

    #[test]
    fn many_violations_are_counted_and_large_values_cut() {
        let schema = OutputSchema::new(Arc::new(json!({ "items": { "type": "string" } })));
        let Ok(schema) = schema else { panic!("a good schema") };
        let violations = schema.read(&json!([["x".repeat(3_000)]]).to_string()).unwrap_err();
        assert!(violations[0].len() < 700, "{}", violations[0].len());
        let violations = schema.read(&json!(vec![1; 30]).to_string()).unwrap_err();
        assert_eq!(violations.len(), 21);
        assert_eq!(violations[20], "and 10 more");
    }

    #[test]
    fn a_bad_schema_is_told() {
        let check = |schema: Value| {
            let Err(error) = OutputSchema::new(Arc::new(schema)) else { panic!("accepted") };
            assert!(error.contains("not a JSON Schema"), "{error}");
        };
        check(json!({ "type": "objekt" }));
        check(json!({ "$ref": "https://example.com/elsewhere.json" }));
    }
}
