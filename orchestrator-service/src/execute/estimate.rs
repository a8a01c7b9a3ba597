//! What can be said about the cost of a run before it starts.

use crate::{
    clock::now,
    roster::{Member, Roster},
    views::Estimate,
};
use orchestrator_core::{
    money::MicroUsd,
    task::{TaskKind, TaskSpec},
    usage::{TokenCount, Usage},
};
use serde_json::Value;

/// How many bytes of text make about one token.
const BYTES_A_TOKEN: u64 = 4;

/// What calls no model.
pub(super) const NOTHING: Estimate = Estimate {
    input_tokens: 0,
    max_output_tokens: Some(0),
    least_usd: Some(MicroUsd::ZERO),
    most_usd: Some(MicroUsd::ZERO),
};

/// What nothing can be said about.
pub(super) const UNKNOWN: Estimate =
    Estimate { input_tokens: 0, max_output_tokens: None, least_usd: None, most_usd: None };

/// What one attempt would cost, as far as the text that is known now tells.
pub(super) fn of(roster: &Roster, member: &Member, task: &TaskSpec, inputs: &Value) -> Estimate {
    let TaskKind::Agent { prompt, .. } = &task.kind else { return NOTHING };
    if member.program.is_some() {
        // What a program does is its own affair, within the budget.
        return UNKNOWN;
    }
    if !member.calls_model() {
        return NOTHING;
    }
    // Other tasks' outputs are not there yet: a prompt that quotes them has no greatest length. The
    // inputs of a child are not there either.
    let quotes = prompt.contains("tasks.");
    let unknown_inputs = inputs.is_null() && prompt.contains("inputs.");
    let bounded = task.needs.is_empty() && !quotes && !unknown_inputs;
    let known: u64 = [prompt.len(), member.spec.instructions().len(), texts(prompt, inputs)]
        .into_iter()
        .chain(task.output.as_ref().map(|schema| schema.to_string().len()))
        .map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX))
        .fold(0, u64::saturating_add);
    let tokens = known.div_ceil(BYTES_A_TOKEN);
    let longest = member.spec.max_tokens.map(u64::from);
    let usage = Usage { input: TokenCount(tokens), ..Usage::default() };
    let rates = roster.price(&member.spec).and_then(|price| price.rates_for(&usage, now()));
    let cost = |output: u64| {
        let rates = rates?;
        let pico =
            MicroUsd::pico_for(tokens, rates.input) + MicroUsd::pico_for(output, rates.output);
        Some(MicroUsd::from_pico(pico))
    };
    Estimate {
        input_tokens: tokens,
        max_output_tokens: longest,
        least_usd: cost(0),
        most_usd: if bounded { longest.and_then(cost) } else { None },
    }
}

/// The length of the inputs that `prompt` quotes.
fn texts(prompt: &str, inputs: &Value) -> usize {
    let Some(inputs) = inputs.as_object() else { return 0 };
    let quoted = inputs.iter().filter(|(name, _)| prompt.contains(&format!("inputs.{name}")));
    quoted.map(|(_, value)| value.as_str().map_or_else(|| value.to_string().len(), str::len)).sum()
}

/// Both together. What may be left out costs nothing at least; what may be done many times has no
/// greatest cost, unless it costs nothing.
pub(super) fn sum(total: &Estimate, task: &Estimate, maybe_not: bool, many: bool) -> Estimate {
    let both = |a: Option<MicroUsd>, b: Option<MicroUsd>| Some(a? + b?);
    let least = if maybe_not { Some(MicroUsd::ZERO) } else { task.least_usd };
    let most = task.most_usd.filter(|most| !many || *most == MicroUsd::ZERO);
    let longest = task.max_output_tokens.filter(|longest| !many || *longest == 0);
    Estimate {
        input_tokens: total.input_tokens.saturating_add(task.input_tokens),
        max_output_tokens: match (total.max_output_tokens, longest) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            _ => None,
        },
        least_usd: both(total.least_usd, least),
        most_usd: both(total.most_usd, most),
    }
}
