//! Evaluating CEL over the values of a run.

use super::{
    ExprError, MAX_ITEMS, MAX_SEEN, MAX_STEPS,
    cel_value::{Needed, named, to_cel, to_json},
    cut,
    meter::{ENV, PURSE, Purse, metered},
    program::{STACK, compile, is_constant, path_of, paths_of},
    text::lookup,
};
use cel::common::{
    types::{CelBool, CelList},
    value::Val,
};
use serde_json::Value;
use std::fmt::{self, Write as _};

/// Whether `condition` is true in `scope`.
///
/// # Errors
/// [`ExprError::Syntax`]; [`ExprError::Undecided`] when it fails or is not true or false;
/// [`ExprError::TooManySteps`] or [`ExprError::TooMuchSeen`] past the bounds.
pub fn decide(condition: &str, scope: &Value) -> Result<bool, ExprError> {
    decide_within(MAX_STEPS, condition, scope)
}

/// The same with a bound of its own.
pub(super) fn decide_within(steps: u64, condition: &str, scope: &Value) -> Result<bool, ExprError> {
    stacker::maybe_grow(STACK, STACK, || {
        let program = compile(condition)?;
        evaluate(steps, condition, &program, scope, |value| {
            value.downcast_ref::<CelBool>().map(|flag| *flag.inner()).ok_or_else(|| {
                undecided(condition, &format_args!("it gives {}, not true or false", named(value)))
            })
        })
    })
}

/// The list that `expression` gives in `scope`.
///
/// # Errors
/// [`ExprError::Syntax`]; [`ExprError::Undecided`] when it fails; [`ExprError::NotAList`];
/// [`ExprError::TooManyItems`] above [`MAX_ITEMS`], before any of them is copied;
/// [`ExprError::TooManySteps`] or [`ExprError::TooMuchSeen`] past the bounds.
pub fn list(expression: &str, scope: &Value) -> Result<Vec<Value>, ExprError> {
    list_within(MAX_STEPS, expression, scope)
}

/// The same with a bound of its own.
pub(super) fn list_within(
    steps: u64,
    expression: &str,
    scope: &Value,
) -> Result<Vec<Value>, ExprError> {
    if let Some(items) = literal_list(expression) {
        return short_enough(expression, items.len()).map(|()| items);
    }
    stacker::maybe_grow(STACK, STACK, || {
        let program = compile(expression)?;
        // The usual case, a list as some task left it, needs no evaluation.
        if let Some(path) = path_of(program.expression())
            && let Ok(Value::Array(items)) = lookup(&path, scope)
        {
            return short_enough(expression, items.len()).map(|()| items.clone());
        }
        evaluate(steps, expression, &program, scope, |value| {
            let Some(list) = value.downcast_ref::<CelList>() else {
                return Err(ExprError::NotAList {
                    condition: cut(expression),
                    found: named(value),
                });
            };
            short_enough(expression, list.inner().len())?;
            let items = list.inner().iter().map(|item| to_json(item.as_ref()));
            items.collect::<Result<_, _>>().map_err(|found| {
                undecided(expression, &format_args!("an item is {found}, which JSON cannot hold"))
            })
        })
    })
}

/// The list that `expression` gives whatever the run: nothing when it depends on that, or when it
/// loops, since that is too much to do for every look at a workflow.
///
/// # Errors
/// As [`list`].
pub fn constant_list(expression: &str) -> Option<Result<Vec<Value>, ExprError>> {
    let is_constant = literal_list(expression).is_some() || is_constant(expression);
    is_constant.then(|| list(expression, &Value::Null))
}

/// The items of an expression that is a list in JSON.
pub(super) fn literal_list(expression: &str) -> Option<Vec<Value>> {
    if !expression.trim_start().starts_with('[') {
        return None;
    }
    serde_json::from_str(expression).ok()
}

fn short_enough(expression: &str, count: usize) -> Result<(), ExprError> {
    if count > MAX_ITEMS {
        return Err(ExprError::TooManyItems { condition: cut(expression), count });
    }
    Ok(())
}

fn evaluate<T>(
    steps: u64,
    expression: &str,
    program: &cel::Program,
    scope: &Value,
    take: impl FnOnce(&dyn Val) -> Result<T, ExprError>,
) -> Result<T, ExprError> {
    let mut needed = Needed::default();
    for path in paths_of(program.expression()) {
        needed.add(&path);
    }
    let purse = Purse::of(steps);
    let mut context = cel::Context::with_env(ENV.clone());
    context.add_variable_as_val(PURSE, Box::new(purse.clone()));
    let mut left = MAX_SEEN;
    for (name, needed) in needed.variables() {
        if let Some(value) = scope.get(name) {
            let value = to_cel(value, needed, &mut left)
                .ok_or_else(|| ExprError::TooMuchSeen { condition: cut(expression) })?;
            context.add_variable_as_val(name, value);
        }
    }
    let metered = metered(program.expression());
    let outcome = cel::Value::resolve_val(&metered, &context);
    if purse.is_empty() {
        return Err(ExprError::TooManySteps { condition: cut(expression) });
    }
    match outcome {
        Ok(value) => take(value.as_ref()),
        Err(error) => Err(undecided(expression, &error)),
    }
}

fn undecided(expression: &str, reason: &dyn fmt::Display) -> ExprError {
    ExprError::Undecided { condition: cut(expression), reason: short(reason) }
}

/// The longest reason in a message, in bytes: the evaluator prints the values that it failed on.
const MAX_REASON: usize = 300;

fn short(reason: &dyn fmt::Display) -> String {
    struct Short(String);
    impl fmt::Write for Short {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for letter in text.chars() {
                if self.0.len() >= MAX_REASON {
                    return Err(fmt::Error);
                }
                self.0.push(letter);
            }
            Ok(())
        }
    }
    let mut short = Short(String::new());
    if write!(short, "{reason}").is_err() {
        short.0.push('…');
    }
    short.0
}
