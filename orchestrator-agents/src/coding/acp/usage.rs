//! What the programs count. The protocol leaves open since when they do.

use crate::coding::{
    event::{Counted, ModelUsage, Scope},
    told::count,
};
use orchestrator_core::usage::{TokenCount, Usage};
use serde_json::Value;

/// Since when a program counts in the answer to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Counting {
    /// What the prompt used.
    #[default]
    Prompt,
    /// All that the session used.
    Session,
    /// Only its last call: it tells nothing of the others.
    LastCall,
}

impl Counting {
    /// As the program of that name does.
    pub(super) fn of(program: &str) -> Self {
        let program = program.to_lowercase();
        match () {
            () if program.contains("copilot") => Self::Session,
            () if program.contains("opencode") => Self::LastCall,
            () => Self::Prompt,
        }
    }
}

/// What the answer to a prompt says that was used.
pub(super) fn of_answer(
    result: &Value,
    counting: Counting,
    model: Option<&str>,
) -> Option<Counted> {
    let usage = match (result.get("usage"), result.pointer("/_meta/quota/token_count")) {
        (Some(usage), _) if usage.is_object() => of_usage(usage),
        (_, Some(tokens)) => Usage {
            input: TokenCount(count(tokens, "/input_tokens")),
            output: TokenCount(count(tokens, "/output_tokens")),
            ..Usage::default()
        },
        _ => return None,
    };
    let scope = match counting {
        Counting::Prompt => Scope::Since,
        Counting::Session => Scope::Session,
        Counting::LastCall => return None,
    };
    let named = result.pointer("/_meta/quota/model_usage/0/model").and_then(Value::as_str);
    let model = named.or(model).map(str::to_owned);
    let line = ModelUsage { model, requests: None, usage, cost: None };
    (!usage.is_zero()).then(|| Counted { scope, models: vec![line] })
}

/// Some count what came from a cache as input, and some beside it: the total tells.
fn of_usage(usage: &Value) -> Usage {
    let (input, output) = (count(usage, "/inputTokens"), count(usage, "/outputTokens"));
    let (read, written) = (count(usage, "/cachedReadTokens"), count(usage, "/cachedWriteTokens"));
    let total = count(usage, "/totalTokens");
    let is_beside = total >= input + output + read + written;
    let fresh = if is_beside { input } else { input.saturating_sub(read).saturating_sub(written) };
    Usage {
        input: TokenCount(fresh),
        cache_read: TokenCount(read),
        cache_write: TokenCount(written),
        output: TokenCount(output),
        reasoning: TokenCount(count(usage, "/thoughtTokens").min(output)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_total_tells_whether_input_holds_what_came_from_a_cache() {
        let beside = json!({ "inputTokens": 2400, "outputTokens": 68, "cachedReadTokens": 400,
                             "cachedWriteTokens": 100, "totalTokens": 2968 });
        let usage = of_usage(&beside);
        assert_eq!((usage.input.0, usage.cache_read.0, usage.cache_write.0), (2400, 400, 100));
        let within = json!({ "inputTokens": 2800, "outputTokens": 68, "cachedReadTokens": 400,
                             "cachedWriteTokens": 0, "thoughtTokens": 16, "totalTokens": 2868 });
        let usage = of_usage(&within);
        assert_eq!((usage.input.0, usage.cache_read.0, usage.reasoning.0), (2400, 400, 16));
    }
}
