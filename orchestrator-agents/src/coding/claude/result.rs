//! The last line of a piece of work.

use super::super::{Counted, Event, Finish, ModelUsage, Scope, told};
use super::tool;
use orchestrator_core::{money::MicroUsd, usage::TokenCount, usage::Usage};
use serde_json::Value;

/// Whether a result tells of work that was done. A call of a model that failed comes as
/// `subtype` `success` with `is_error`.
pub(super) fn is_well(result: &Value) -> bool {
    result.get("is_error").and_then(Value::as_bool) == Some(false)
        && told::text(result, "/subtype") == Some("success")
}

/// Whether a result tells of work that was broken off, as an interruption does.
pub(super) fn is_broken_off(result: &Value) -> bool {
    told::text(result, "/terminal_reason").is_some_and(|reason| reason.starts_with("aborted"))
}

/// What it left.
pub(super) fn finish(result: &Value) -> Finish {
    let denials = result.get("permission_denials").and_then(Value::as_array);
    let denied = denials.into_iter().flatten().map(|denial| {
        let name = told::text(denial, "/tool_name").unwrap_or("a tool");
        tool::action(name, denial.get("tool_input").unwrap_or(&Value::Null)).headline()
    });
    Finish {
        text: told::text(result, "/result").map(str::to_owned),
        structured: result.get("structured_output").filter(|value| !value.is_null()).cloned(),
        denied: denied.collect(),
    }
}

/// What the session and those that it was forked from have used so far. `usage` of a result, and
/// that of messages, are not it: one counts a turn alone, the other is told before the answer is there.
pub(super) fn used(result: &Value) -> Option<Event> {
    let models = result.get("modelUsage").and_then(Value::as_object)?;
    if models.is_empty() {
        return None;
    }
    let models = models.iter().map(|(name, counted)| {
        let tokens = |pointer: &str| TokenCount(told::count(counted, pointer));
        ModelUsage {
            model: Some(name.clone()),
            requests: None,
            usage: Usage {
                input: tokens("/inputTokens"),
                cache_read: tokens("/cacheReadInputTokens"),
                cache_write: tokens("/cacheCreationInputTokens"),
                output: tokens("/outputTokens"),
                reasoning: tokens("/thinkingTokens"),
            },
            cost: cost(counted),
        }
    });
    Some(Event::Used(Counted { scope: Scope::Lineage, models: models.collect() }))
}

/// What it says that a model cost; nothing where it does not know the model's price and guesses.
fn cost(counted: &Value) -> Option<MicroUsd> {
    if told::text(counted, "/costBasis") == Some("unknown") {
        return None;
    }
    let usd = counted.get("costUSD").and_then(Value::as_f64)?;
    // To the billionth first, so that what a sum of floats is too much does not round up.
    let billionths = (usd * 1e9).round();
    // A cast of a float saturates.
    (billionths >= 0.0).then(|| MicroUsd((billionths as u64).div_ceil(1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn money_is_rounded_up_to_the_millionth() {
        let check = |usd: Value, basis: &str, expected: Option<u64>| {
            let counted = json!({ "costUSD": usd, "costBasis": basis });
            assert_eq!(cost(&counted), expected.map(MicroUsd), "{counted}");
        };
        check(json!(0.0043575), "list", Some(4_358));
        check(json!(0.00045000000000000004), "list", Some(450));
        check(json!(0), "list", Some(0));
        check(json!(1e300), "list", Some(u64::MAX.div_ceil(1_000)));
        check(json!(-1), "list", None);
        check(json!("1"), "list", None);
        check(json!(0.00577), "unknown", None);
    }
}
