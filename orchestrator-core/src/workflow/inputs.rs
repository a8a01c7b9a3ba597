//! The inputs of a run: typed, completed with defaults, every problem reported.

use super::{
    InputSpec, InputType, Workflow,
    problem::{self as code, Problem, did_you_mean, join},
    reader::type_name,
};
use serde_json::{Map, Value};

/// The codes that a kind of inputs is reported under.
pub(crate) struct Codes {
    pub(crate) unknown: &'static str,
    pub(crate) missing: &'static str,
    pub(crate) wrong_type: &'static str,
    pub(crate) what: &'static str,
    pub(crate) at: &'static str,
}

const INPUTS: Codes = Codes {
    unknown: code::UNKNOWN_INPUT,
    missing: code::MISSING_INPUT,
    wrong_type: code::INPUT_TYPE,
    what: "input",
    at: "/inputs",
};

impl Workflow {
    /// The inputs of a run: `given` made to fit the declared types, with defaults for the rest.
    ///
    /// Text is converted where another type is declared, since a command line has only text:
    /// `5`, `true`, or JSON for lists and mappings.
    ///
    /// # Errors
    /// Every input that is unknown, missing or of the wrong type.
    pub fn bind_inputs(&self, given: &Map<String, Value>) -> Result<Value, Vec<Problem>> {
        bind(&self.inputs, given, &INPUTS).map(Value::Object)
    }
}

pub(crate) fn bind(
    specs: &[InputSpec],
    given: &Map<String, Value>,
    codes: &Codes,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut problems = Vec::new();
    for name in given.keys() {
        if !specs.iter().any(|spec| spec.name == *name) {
            let known = specs.iter().map(|spec| spec.name.as_str());
            problems.push(
                Problem::new(
                    codes.unknown,
                    &join(codes.at, name),
                    format!("the {} `{name}` is not known here", codes.what),
                )
                .suggest(did_you_mean(name, known)),
            );
        }
    }
    let mut bound = Map::new();
    for spec in specs {
        let value = match given.get(&spec.name) {
            Some(value) => match convert(spec.kind, value) {
                Some(value) => value,
                None => {
                    problems.push(Problem::new(
                        codes.wrong_type,
                        &join(codes.at, &spec.name),
                        format!(
                            "the {} `{}` must be {}, but {} is given",
                            codes.what,
                            spec.name,
                            spec.kind.described(),
                            type_name(value)
                        ),
                    ));
                    continue;
                }
            },
            None => match &spec.default {
                Some(default) => default.clone(),
                None if spec.required => {
                    problems.push(
                        Problem::new(
                            codes.missing,
                            &join(codes.at, &spec.name),
                            format!("the {} `{}` is required", codes.what, spec.name),
                        )
                        .suggest(Some(format!("give it as `--input {}=...`", spec.name))),
                    );
                    continue;
                }
                None => Value::Null,
            },
        };
        bound.insert(spec.name.clone(), value);
    }
    if problems.is_empty() { Ok(bound) } else { Err(problems) }
}

/// `value` as one of that type, read from a text where it must be.
pub(super) fn convert(kind: InputType, value: &Value) -> Option<Value> {
    if kind.admits(value) {
        return Some(value.clone());
    }
    let text = value.as_str()?.trim();
    let parsed: Value = serde_json::from_str(text).ok()?;
    kind.admits(&parsed).then_some(parsed)
}
