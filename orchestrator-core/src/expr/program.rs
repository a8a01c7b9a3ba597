//! Reading CEL: bounded before it is parsed, and looked through for what it refers to.

use super::{ExprError, MAX_CONDITION, MAX_LOOPS, cut, evaluate::literal_list};
use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr, LiteralValue, operators},
};
use std::collections::BTreeSet;

/// The stack that reading and evaluating the largest expression may take, in bytes: some 130 KB
/// for each level of nesting and 80 KB for each operator, both measured without optimisation.
pub(super) const STACK: usize = 64 * 1024 * 1024;

/// The deepest nesting of an expression.
pub(super) const MAX_DEPTH: usize = 32;

/// The most operators and steps of paths in an expression.
pub(super) const MAX_OPERATORS: usize = 200;

/// The free variables of `expression`, with the fields that it selects of them: `a.b["c"] > 0` is
/// `[["a", "b", "c"]]`. What loops bind is not among them.
///
/// # Errors
/// [`ExprError::Syntax`].
pub fn references(expression: &str) -> Result<Vec<Vec<String>>, ExprError> {
    if literal_list(expression).is_some() {
        return Ok(Vec::new());
    }
    stacker::maybe_grow(STACK, STACK, || {
        let program = compile(expression)?;
        Ok(paths_of(program.expression())
            .into_iter()
            .map(|path| path.into_iter().map(str::to_owned).collect())
            .collect())
    })
}

/// The free variables of `expression`, each once, by name.
///
/// # Errors
/// [`ExprError::Syntax`].
pub fn variables(expression: &str) -> Result<Vec<String>, ExprError> {
    let names: BTreeSet<String> =
        references(expression)?.into_iter().filter_map(|path| path.into_iter().next()).collect();
    Ok(names.into_iter().collect())
}

/// Whether an expression is one that refers to nothing and loops over nothing.
pub(super) fn is_constant(expression: &str) -> bool {
    stacker::maybe_grow(STACK, STACK, || {
        compile(expression).is_ok_and(|program| {
            paths_of(program.expression()).is_empty() && loops(program.expression()) == 0
        })
    })
}

/// The tasks that `expression` refers to as `tasks.NAME` or `tasks["NAME"]`, by its text alone:
/// never fewer than it uses, though a text in quotes may look like one.
pub fn tasks_in(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (place, _) in expression.match_indices("tasks") {
        let before = expression[..place].bytes().next_back();
        if before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')) {
            continue;
        }
        let rest = expression[place + "tasks".len()..].trim_start();
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

/// Reads an expression within the bounds. To be called with [`STACK`] to spare.
pub(super) fn compile(expression: &str) -> Result<cel::Program, ExprError> {
    let syntax = |reason: String| ExprError::Syntax { condition: cut(expression), reason };
    if expression.len() > MAX_CONDITION {
        return Err(syntax(format!("it is longer than {MAX_CONDITION} bytes")));
    }
    bounded(expression).map_err(|reason| syntax(reason.to_owned()))?;
    let program = cel::Program::compile(expression).map_err(|errors| syntax(errors.to_string()))?;
    if loops(program.expression()) > MAX_LOOPS {
        return Err(syntax(format!("its loops are nested deeper than {MAX_LOOPS} levels")));
    }
    Ok(program)
}

/// Bounds what the parser and the evaluation recurse over, so that neither can exhaust the stack.
///
/// Texts in quotes count too: to tell them apart is the parser's work, and whoever could make the
/// two disagree would be past this check.
fn bounded(expression: &str) -> Result<(), &'static str> {
    let (mut depth, mut operators) = (0usize, 0usize);
    for byte in expression.bytes() {
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

/// The parts of an expression that are evaluated as often as itself; the body of a loop is not
/// among them.
pub(super) fn parts(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(looped) => vec![&looped.iter_range, &looped.accu_init],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Struct(made) => {
            made.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect()
        }
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// How deep loops are nested in each other's bodies.
fn loops(expr: &IdedExpr) -> usize {
    let outside = parts(expr).into_iter().map(loops).max().unwrap_or(0);
    match &expr.expr {
        // Over nothing, it only names a value.
        Expr::Comprehension(looped) => {
            let body = [&looped.loop_cond, &looped.loop_step, &looped.result].map(loops);
            outside.max(1 + body.into_iter().max().unwrap_or(0))
        }
        _ => outside,
    }
}

/// The paths that `expr` refers to, without those of variables that loops bind.
pub(super) fn paths_of(expr: &IdedExpr) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    collect(expr, &mut Vec::new(), &mut found);
    found.sort();
    found.dedup();
    found
}

fn collect<'e>(expr: &'e IdedExpr, bound: &mut Vec<&'e str>, found: &mut Vec<Vec<&'e str>>) {
    if let Some(path) = path_of(expr) {
        if !bound.contains(&path[0]) {
            found.push(path);
        }
        return;
    }
    for part in parts(expr) {
        // `optional.of(x)` calls a function of that name.
        if !matches!(&part.expr, Expr::Ident(name) if name == "optional") {
            collect(part, bound, found);
        }
    }
    if let Expr::Comprehension(looped) = &expr.expr {
        let before = bound.len();
        bound.extend([looped.iter_var.as_str(), looped.accu_var.as_str()]);
        bound.extend(looped.iter_var2.as_deref());
        for inside in [&looped.loop_cond, &looped.loop_step, &looped.result] {
            collect(inside, bound, found);
        }
        bound.truncate(before);
    }
}

/// The steps of `expr` when it is a name with fields selected of it.
pub(super) fn path_of(expr: &IdedExpr) -> Option<Vec<&str>> {
    match &expr.expr {
        Expr::Ident(name) => Some(vec![name]),
        Expr::Select(select) => {
            let mut path = path_of(&select.operand)?;
            path.push(&select.field);
            Some(path)
        }
        Expr::Call(call)
            if matches!(
                call.func_name.as_str(),
                operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT
            ) =>
        {
            let [of, index] = &call.args[..] else { return None };
            let Expr::Literal(LiteralValue::String(field)) = &index.expr else { return None };
            let mut path = path_of(of)?;
            path.push(field.inner());
            Some(path)
        }
        _ => None,
    }
}
