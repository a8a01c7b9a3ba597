//! Expressions over what a run knows: `{{ path }}` in texts, and CEL in conditions and lists.
//!
//! Both see the same: `inputs.NAME`; for each task that has ended, `tasks.NAME.output`, `.status`,
//! `.attempts`, `.cost` (USD as a number), `.verified` and `.error`; `run.id`; in what `then` hands
//! on, `run.status`; and in a `for-each` task `item` and `index`.
//!
//! Nothing here grows without bound. How long and deep an expression is, is bounded before it is
//! read; what it may look at, before that is converted; and while it is evaluated, every loop and
//! every value that it makes is paid for out of [`MAX_STEPS`].

mod cel_value;
mod evaluate;
mod meter;
mod program;
#[cfg(test)]
mod tests;
mod text;

pub use evaluate::{constant_list, decide, list};
pub use program::{references, tasks_in, variables};
pub use text::{fill, fill_value, paths, refers};

pub(crate) use text::{ValueSize, fill_where};

use serde_json::{Map, Value, json};

/// The longest expression in CEL, in bytes. A literal list of a `for-each` may be longer.
pub const MAX_CONDITION: usize = 4 * 1024;

/// The deepest nesting of loops (`map`, `filter`, `all`, `exists`, `exists_one`) in an expression.
pub const MAX_LOOPS: usize = 2;

/// The most steps that one evaluation may take; a step is an element that is looped over, a value
/// that is made, or 16 bytes of a text that is copied or compared.
pub const MAX_STEPS: u64 = 5_000_000;

/// The most values that an expression may look at, a text counting one for every 16 bytes of it.
pub const MAX_SEEN: u64 = 2_000_000;

/// The most items of a `for-each`.
pub const MAX_ITEMS: usize = 100_000;

/// The longest text that filling in may yield, in bytes.
pub const MAX_TEXT: usize = 4 * 1024 * 1024;

/// The largest value that filling in may yield, in bytes of JSON.
pub const MAX_VALUE: usize = 16 * 1024 * 1024;

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
    /// The filled-in value is too large.
    #[error("the filled-in value is larger than {MAX_VALUE} bytes")]
    TooLarge,
    /// The expression is not CEL.
    #[error("the expression `{condition}` cannot be read: {reason}")]
    Syntax {
        /// The expression.
        condition: String,
        /// What the parser said.
        reason: String,
    },
    /// The expression could not be decided.
    #[error("the expression `{condition}` cannot be decided: {reason}")]
    Undecided {
        /// The expression.
        condition: String,
        /// What stood in the way.
        reason: String,
    },
    /// The expression takes too many steps.
    #[error(
        "the expression `{condition}` takes more than {MAX_STEPS} steps; \
         loop over less, or let a task prepare what it needs"
    )]
    TooManySteps {
        /// The expression.
        condition: String,
    },
    /// What the expression looks at is too large.
    #[error(
        "the expression `{condition}` looks at more than {MAX_SEEN} values; \
         name the part that it needs, or let a task prepare it"
    )]
    TooMuchSeen {
        /// The expression.
        condition: String,
    },
    /// A list was asked for.
    #[error("the expression `{condition}` gives {found}, not a list")]
    NotAList {
        /// The expression.
        condition: String,
        /// What it gives.
        found: &'static str,
    },
    /// The list is too long.
    #[error("the list `{condition}` has {count} items; a `for-each` takes at most {MAX_ITEMS}")]
    TooManyItems {
        /// The expression.
        condition: String,
        /// How many items it has.
        count: usize,
    },
}

/// An expression, cut so that a message can hold it.
fn cut(expression: &str) -> String {
    expression.chars().take(120).collect()
}

/// A scope of `inputs` and `tasks`.
pub fn scope(inputs: Value, tasks: Map<String, Value>) -> Value {
    let mut scope = Map::new();
    scope.insert("inputs".into(), inputs);
    scope.insert("tasks".into(), Value::Object(tasks));
    Value::Object(scope)
}

/// The same scope with what an item of a `for-each` sees besides: `item`, and `index` from 0.
#[must_use]
pub fn with_item(scope: Value, item: Value, index: u32) -> Value {
    with(scope, [("item", item), ("index", index.into())])
}

/// The same scope with `run.id` and, where the run or a task has ended, `run.status`.
#[must_use]
pub fn with_run(scope: Value, id: &str, status: Option<&str>) -> Value {
    let mut run = json!({ "id": id });
    if let (Some(status), Value::Object(run)) = (status, &mut run) {
        run.insert("status".into(), status.into());
    }
    with(scope, [("run", run)])
}

fn with<const N: usize>(mut scope: Value, entries: [(&str, Value); N]) -> Value {
    if let Value::Object(scope) = &mut scope {
        scope.extend(entries.map(|(name, value)| (name.to_owned(), value)));
    }
    scope
}
