//! Metering: an evaluation pays for what it loops over and for what it makes, and ends when it has
//! nothing left.
//!
//! The evaluator has no bound of its own, and no reading of an expression tells what it costs: that
//! depends on the values, and a chain of `map(x, [x, x])` doubles with each link. So the parsed
//! expression is rewritten before it is evaluated: whatever is about to be copied, compared or
//! looped over goes through a function that takes its size from a purse.

use super::{cel_value::weigh, program::parts};
use cel::{
    Env, ExecutionError, IdedExpr,
    common::{
        ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators},
        functions::Function,
        types::{CelDouble, CelInt, CelList, CelMap, CelMapKey, DYN_TYPE, INT_TYPE, Type},
        value::{CowVal, StaticVal, Val},
    },
};
use std::{
    any::Any,
    mem,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The variable that holds the purse. No expression can name it: `@` is not CEL.
pub(super) const PURSE: &str = "@purse";

/// Takes the size of a value from the purse and gives the value.
const PAY: &str = "@pay";

/// Takes the size of what is looped over and the cost of the loop's body for each element. Gives a
/// list: of a mapping its keys in their order, so that the same expression always gives the same.
const EACH: &str = "@each";

/// Takes the size of a key from the purse. Refuses a number that is not whole: the evaluator would
/// copy the whole list into its error.
const KEY: &str = "@key";

static PURSE_TYPE: Type = Type::new_unspecified_type("purse");

/// What an evaluation has left.
#[derive(Debug, Clone)]
pub(super) struct Purse(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    left: AtomicU64,
    is_empty: AtomicBool,
}

impl Purse {
    pub(super) fn of(steps: u64) -> Self {
        Self(Arc::new(Inside { left: AtomicU64::new(steps), is_empty: AtomicBool::new(false) }))
    }

    /// Whether something could not be paid. What was evaluated then is worth nothing, even when it
    /// did not fail: `error || true` is true.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty.load(Ordering::Relaxed)
    }

    fn pay(&self, take: impl FnOnce(u64) -> Option<u64>) -> Result<(), ExecutionError> {
        let left = if self.is_empty() { None } else { take(self.0.left.load(Ordering::Relaxed)) };
        let Some(left) = left else {
            self.0.is_empty.store(true, Ordering::Relaxed);
            return Err(ExecutionError::function_error(PAY, "too many steps"));
        };
        self.0.left.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl Val for Purse {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        &PURSE_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Purse {}

/// The standard functions of CEL, and those that meter.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    let mut is_whole = true;
    let functions: [(&str, Function); 3] = [(PAY, pay), (EACH, each), (KEY, key)];
    for (name, function) in functions {
        let takes = vec![DYN_TYPE, DYN_TYPE, INT_TYPE];
        is_whole &= env.add_overload(name, name, takes, function).is_ok();
    }
    // Without them every metered expression fails, which is safe.
    debug_assert!(is_whole, "the names are taken");
    Arc::new(env)
});

/// The purse, the value and the cost out of the arguments.
fn open<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<(Purse, CowVal<'b, 'v>, u64), ExecutionError> {
    let count = args.len();
    let [purse, value, cost] = <[CowVal<'_, '_>; 3]>::try_from(args)
        .map_err(|_| ExecutionError::invalid_argument_count(3, count))?;
    let cost = cost.downcast_ref::<CelInt>().and_then(|cost| u64::try_from(*cost.inner()).ok());
    match (purse.downcast_ref::<Purse>(), cost) {
        (Some(purse), Some(cost)) => Ok((purse.clone(), value, cost)),
        _ => Err(ExecutionError::function_error(PAY, "it is called by the engine alone")),
    }
}

fn pay<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (purse, value, cost) = open(args)?;
    purse.pay(|left| weigh(value.as_ref(), left.checked_sub(cost)?))?;
    Ok(value)
}

fn each<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (purse, value, cost) = open(args)?;
    purse.pay(|left| {
        // Weighed before it is counted, which takes as long for a text.
        let left = weigh(value.as_ref(), left)?;
        let count = value.as_sizer().map_or(0, |sized| *sized.size().inner());
        left.checked_sub(u64::try_from(count).ok()?.checked_mul(cost)?)
    })?;
    let Some(map) = value.downcast_ref::<CelMap>() else {
        return Ok(value);
    };
    #[expect(clippy::disallowed_methods, reason = "they are put in order right after")]
    let mut keys: Vec<&CelMapKey<'v>> = map.inner().keys().collect();
    keys.sort_by(|a, b| rank(a).cmp(&rank(b)));
    let keys: Vec<Box<dyn Val + 'v>> =
        keys.into_iter().map(|key| key.inner().clone_as_boxed()).collect();
    Ok(CowVal::owned(CelList::from(keys)))
}

fn key<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = pay(args)?;
    match value.downcast_ref::<CelDouble>() {
        Some(number) if number.inner().fract() != 0.0 => {
            Err(ExecutionError::function_error("_[_]", "an index must be a whole number"))
        }
        _ => Ok(value),
    }
}

/// An order of all keys.
fn rank<'k>(key: &'k CelMapKey<'_>) -> (u8, i128, &'k str) {
    match key {
        CelMapKey::Bool(flag) => (0, i128::from(*flag.inner()), ""),
        CelMapKey::Int(whole) => (1, i128::from(*whole.inner()), ""),
        CelMapKey::UInt(whole) => (1, i128::from(*whole.inner()), ""),
        CelMapKey::String(text) => (2, 0, text.inner()),
    }
}

/// `expr` with everything in it that can cost much paid for.
pub(super) fn metered(expr: &IdedExpr) -> IdedExpr {
    let mut expr = expr.clone();
    meter(&mut expr);
    expr
}

fn meter(expr: &mut IdedExpr) {
    match &mut expr.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Select(select) => meter(&mut select.operand),
        Expr::Call(call) => meter_call(call),
        Expr::List(list) => list.elements.iter_mut().for_each(meter_and_pay),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                meter_entry(&mut entry.expr);
            }
        }
        Expr::Struct(made) => {
            for entry in &mut made.entries {
                meter_entry(&mut entry.expr);
            }
        }
        Expr::Comprehension(looped) => {
            let cost = nodes(&looped.loop_cond) + nodes(&looped.loop_step);
            let parts = [
                &mut looped.iter_range,
                &mut looped.accu_init,
                &mut looped.loop_cond,
                &mut looped.loop_step,
                &mut looped.result,
            ];
            parts.into_iter().for_each(meter);
            wrap(&mut looped.iter_range, EACH, cost);
        }
    }
}

fn meter_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => meter_and_pay(&mut field.value),
        EntryExpr::MapEntry(entry) => {
            meter_and_pay(&mut entry.key);
            meter_and_pay(&mut entry.value);
        }
    }
}

fn meter_call(call: &mut CallExpr) {
    call.args.iter_mut().for_each(meter);
    if let Some(target) = &mut call.target {
        meter(target);
    }
    // These look at a value without going through it.
    let is_free = matches!(
        call.func_name.as_str(),
        operators::CONDITIONAL
            | operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::NOT_STRICTLY_FALSE
            | operators::INDEX
    );
    // The evaluator appends to what a loop has gathered in place, when it finds it in this form.
    let is_gathering = call.func_name == operators::ADD
        && matches!(call.args.first().map(|arg| &arg.expr), Some(Expr::Ident(name)) if name.starts_with('@'));
    if let (operators::INDEX, [_, index]) = (call.func_name.as_str(), &mut call.args[..])
        && !matches!(index.expr, Expr::Literal(LiteralValue::String(_) | LiteralValue::Int(_)))
    {
        wrap(index, KEY, 1);
    }
    if is_free || is_gathering {
        return;
    }
    call.args.iter_mut().for_each(pay_for);
    if let Some(target) = &mut call.target {
        // `optional.of(x)` calls a function of that name.
        if !matches!(&target.expr, Expr::Ident(name) if name == "optional") {
            pay_for(target);
        }
    }
}

fn meter_and_pay(expr: &mut IdedExpr) {
    meter(expr);
    pay_for(expr);
}

fn pay_for(expr: &mut IdedExpr) {
    if !matches!(expr.expr, Expr::Literal(_)) {
        wrap(expr, PAY, 1);
    }
}

fn wrap(expr: &mut IdedExpr, function: &str, cost: i64) {
    let id = expr.id;
    let ided = |expr| IdedExpr { id, expr };
    let value = mem::take(expr);
    *expr = ided(Expr::Call(CallExpr {
        func_name: function.to_owned(),
        target: None,
        args: vec![
            ided(Expr::Ident(PURSE.to_owned())),
            value,
            ided(Expr::Literal(LiteralValue::Int(cost.into()))),
        ],
    }));
}

/// How many nodes one pass over `expr` evaluates at most; bodies of inner loops pay on their own.
fn nodes(expr: &IdedExpr) -> i64 {
    1 + parts(expr).into_iter().map(nodes).sum::<i64>()
}
