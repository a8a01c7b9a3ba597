//! Expressions over what a run knows: `{{ path }}` in texts, and conditions in CEL.
//!
//! Both see the same: `inputs.NAME` and, for each task that has ended, `tasks.NAME.output`,
//! `.status`, `.attempts`, `.cost` (USD as a number), `.verified` and `.error`.

use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc};

/// The longest condition, in bytes.
pub const MAX_CONDITION: usize = 4 * 1024;

/// The longest text that filling in may yield, in bytes.
pub const MAX_TEXT: usize = 4 * 1024 * 1024;

/// An expression that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExprError {
    /// `{{` without `}}`.
    #[error("`{{{{` is not closed by `}}}}`")]
    Unclosed,
    /// What stands between the braces is not a path.
    #[error("`{{{{ {0} }}}}` is not a path such as `inputs.prompt` or `tasks.plan.output`")]
    NotAPath(String),
    /// The path leads nowhere.
    #[error("`{path}` has no value: {reason}")]
    NoValue {
        /// The path.
        path: String,
        /// At which step it ended.
        reason: String,
    },
    /// The filled-in text is too long.
    #[error("the filled-in text is longer than {MAX_TEXT} bytes")]
    TooLong,
    /// The condition is not CEL.
    #[error("the condition `{condition}` cannot be read: {reason}")]
    Syntax {
        /// The condition.
        condition: String,
        /// What the parser said.
        reason: String,
    },
    /// The condition could not be decided.
    #[error("the condition `{condition}` cannot be decided: {reason}")]
    Undecided {
        /// The condition.
        condition: String,
        /// What stood in the way.
        reason: String,
    },
}

/// A piece of a text with places to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Path(Vec<&'t str>),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, ExprError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        pieces.push(Piece::Text(&rest[..open]));
        let inside = &rest[open + 2..];
        let close = inside.find("}}").ok_or(ExprError::Unclosed)?;
        let path = inside[..close].trim();
        let steps: Vec<&str> = path.split('.').map(str::trim).collect();
        let is_step = |step: &&str| {
            !step.is_empty()
                && step.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        if !steps.iter().all(is_step) {
            return Err(ExprError::NotAPath(path.chars().take(80).collect()));
        }
        pieces.push(Piece::Path(steps));
        rest = &inside[close + 2..];
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// The paths that `text` refers to, each as its steps.
///
/// # Errors
/// [`ExprError::Unclosed`] or [`ExprError::NotAPath`].
pub fn paths(text: &str) -> Result<Vec<Vec<&str>>, ExprError> {
    Ok(pieces(text)?
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Path(steps) => Some(steps),
            Piece::Text(_) => None,
        })
        .collect())
}

/// `text` with every `{{ path }}` replaced by its value in `scope`: text as it is, other values as
/// compact JSON. What is filled in is not looked at again.
///
/// # Errors
/// Any [`ExprError`] but those of conditions.
pub fn fill(text: &str, scope: &Value) -> Result<String, ExprError> {
    fill_where(text, |steps| Some(lookup(steps, scope)))
}

/// The same, but paths for which `value` gives `None` are left as they stand.
pub(crate) fn fill_where<'v>(
    text: &str,
    value: impl Fn(&[&str]) -> Option<Result<&'v Value, ExprError>>,
) -> Result<String, ExprError> {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Path(steps) => match value(&steps) {
                None => filled.push_str(&format!("{{{{ {} }}}}", steps.join("."))),
                Some(found) => match found? {
                    Value::String(text) => filled.push_str(text),
                    Value::Null => {}
                    other => filled.push_str(&other.to_string()),
                },
            },
        }
        if filled.len() > MAX_TEXT {
            return Err(ExprError::TooLong);
        }
    }
    Ok(filled)
}

fn lookup<'v>(steps: &[&str], scope: &'v Value) -> Result<&'v Value, ExprError> {
    let mut at = scope;
    for step in steps {
        let next = match at {
            Value::Object(map) => map.get(*step),
            Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        at = next.ok_or_else(|| ExprError::NoValue {
            path: steps.join("."),
            reason: format!("there is no `{step}`"),
        })?;
    }
    Ok(at)
}

/// Whether `condition` is true in `scope`.
///
/// # Errors
/// [`ExprError::Syntax`], or [`ExprError::Undecided`] when it fails or is not true or false.
pub fn decide(condition: &str, scope: &Value) -> Result<bool, ExprError> {
    stacker::maybe_grow(STACK, STACK, || evaluate(condition, scope))
}

fn evaluate(condition: &str, scope: &Value) -> Result<bool, ExprError> {
    let program = compile(condition)?;
    let undecided = |reason: String| ExprError::Undecided { condition: cut(condition), reason };
    let mut context = cel::Context::default();
    if let Value::Object(map) = scope {
        for (name, value) in map {
            context.add_variable_from_value(name.as_str(), to_cel(value));
        }
    }
    match program.execute(&context) {
        Ok(cel::Value::Bool(decision)) => Ok(decision),
        Ok(other) => Err(undecided(format!("it gives {:?}, not true or false", other.type_of()))),
        Err(error) => Err(undecided(error.to_string())),
    }
}

/// The variables that `condition` refers to.
///
/// # Errors
/// [`ExprError::Syntax`].
pub fn variables(condition: &str) -> Result<Vec<String>, ExprError> {
    stacker::maybe_grow(STACK, STACK, || {
        let program = compile(condition)?;
        let mut names: Vec<String> =
            program.references().variables().iter().map(ToString::to_string).collect();
        names.sort();
        Ok(names)
    })
}

/// The tasks that `condition` refers to as `tasks.NAME` or `tasks["NAME"]`.
pub fn tasks_in(condition: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, _) in condition.match_indices("tasks") {
        let before = condition[..place].bytes().next_back();
        if before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) {
            continue;
        }
        let rest = condition[place + "tasks".len()..].trim_start();
        let name = if let Some(rest) = rest.strip_prefix('.') {
            rest.trim_start()
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .next()
                .unwrap_or_default()
        } else if let Some(rest) = rest.strip_prefix('[') {
            let rest = rest.trim_start();
            match rest.chars().next() {
                Some(quote @ ('"' | '\'')) => rest[1..].split(quote).next().unwrap_or_default(),
                _ => continue,
            }
        } else {
            continue;
        };
        if !name.is_empty() && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}

fn cut(condition: &str) -> String {
    condition.chars().take(120).collect()
}

fn compile(condition: &str) -> Result<cel::Program, ExprError> {
    let syntax = |reason: String| ExprError::Syntax { condition: cut(condition), reason };
    if condition.len() > MAX_CONDITION {
        return Err(syntax(format!("it is longer than {MAX_CONDITION} bytes")));
    }
    bounded(condition).map_err(|reason| syntax(reason.to_owned()))?;
    cel::Program::compile(condition).map_err(|errors| syntax(errors.to_string()))
}

/// The stack that reading and deciding the largest condition may take, in bytes: some 130 KB for
/// each level of nesting and 22 KB for each operator, both measured without optimisation.
const STACK: usize = 16 * 1024 * 1024;

/// The deepest nesting of a condition.
const MAX_DEPTH: usize = 32;

/// The most operators and steps of paths in a condition.
const MAX_OPERATORS: usize = 200;

/// Bounds what the parser and the evaluation recurse over, so that neither can exhaust the stack.
///
/// Texts in quotes count too: to tell them apart is the parser's work, and whoever could make the
/// two disagree would be past this check.
fn bounded(condition: &str) -> Result<(), &'static str> {
    let (mut depth, mut operators) = (0usize, 0usize);
    for byte in condition.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                operators += 1;
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'?' | b'&' | b'|' | b'<' | b'>'
            | b'=' | b',' => operators += 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err("it is nested deeper than 32 levels");
        }
        if operators > MAX_OPERATORS {
            return Err("it has more than 200 operators");
        }
    }
    Ok(())
}

/// JSON as CEL sees it: whole numbers are `int`, so that `x > 3` compares like with like.
fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(flag) => cel::Value::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => cel::Value::Int(whole),
            None => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => cel::Value::String(Arc::new(text.clone())),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(map) => cel::Value::Map(
            map.iter()
                .map(|(key, value)| (key.clone(), to_cel(value)))
                .collect::<HashMap<String, cel::Value>>()
                .into(),
        ),
    }
}

/// A scope of `inputs` and `tasks`.
pub fn scope(inputs: Value, tasks: Map<String, Value>) -> Value {
    let mut scope = Map::new();
    scope.insert("inputs".into(), inputs);
    scope.insert("tasks".into(), Value::Object(tasks));
    Value::Object(scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> Value {
        json!({
            "inputs": { "prompt": "a {{ inputs.n }} user", "n": 5, "list": ["x", "y"] },
            "tasks": { "review": { "output": { "approved": false }, "cost": 0.25 } }
        })
    }

    #[test]
    fn paths_are_filled_in_once() {
        let check = |text: &str, expected: &str| {
            assert_eq!(fill(text, &sample()).unwrap(), expected, "{text}");
        };
        check("plain", "plain");
        check("n={{inputs.n}}, {{ inputs.list.1 }}", "n=5, y");
        check("{{ tasks.review.output }}", "{\"approved\":false}");
        check("say {{ inputs.prompt }}", "say a {{ inputs.n }} user");
    }

    #[test]
    fn bad_texts_are_errors() {
        for text in ["{{ inputs.n", "{{ }}", "{{ a b }}", "{{ inputs.nope }}", "{{ tasks.x.y }}"] {
            assert!(fill(text, &sample()).is_err(), "{text}");
        }
    }

    #[test]
    fn conditions_are_decided() {
        let check = |condition: &str, expected: bool| {
            assert_eq!(decide(condition, &sample()), Ok(expected), "{condition}");
        };
        check("tasks.review.output.approved", false);
        check("inputs.n > 3 && tasks.review.cost < 1.0", true);
        check("inputs.prompt.contains('user')", true);
        check("inputs.list.exists(x, x == 'y')", true);
    }

    #[test]
    fn bad_conditions_are_errors() {
        let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
        let long = format!("true{}", " || true".repeat(2_000));
        for condition in ["", "1 +", "inputs.nope", "nobody", "1 + 1", &deep, &long] {
            assert!(decide(condition, &sample()).is_err(), "{condition:.20}");
        }
    }

    #[test]
    fn what_would_exhaust_the_stack_is_refused() {
        for (part, last) in
            [("1+", "1 > 0"), ("true||", "true"), ("[1]+", "[] == []"), ("!", "true")]
        {
            for (count, is_fine) in [(MAX_OPERATORS / 4, true), (1_000, false)] {
                let condition = format!("{}{last}", part.repeat(count));
                assert_eq!(decide(&condition, &sample()).is_ok(), is_fine, "{condition:.20}");
            }
        }
        let nested = format!("{}true{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
        assert_eq!(decide(&nested, &sample()), Ok(true));
        assert!(decide(&format!("inputs{}", ".x".repeat(2_000)), &sample()).is_err());
        // A quote hides nothing: one that is not closed would not hide it from the parser either.
        assert!(decide(&format!("'{}", "(".repeat(2_000)), &sample()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_condition_panics(condition in "[a-z0-9(){}\\[\\]'\"`.,:?|&!=<>+*/% \\\\-]{0,40}") {
            let _ = decide(&condition, &sample());
            let _ = variables(&condition);
        }

        #[test]
        fn no_text_panics(text in "[a-z{}. \\-0-9é]{0,60}") {
            let _ = fill(&text, &sample());
        }
    }

    #[test]
    fn tasks_in_a_condition_are_found() {
        let condition = "tasks.a.output && tasks['b-c'].status == 'x' && my.tasks.no && tasks.a.x";
        assert_eq!(tasks_in(condition), ["a", "b-c"]);
    }
}
