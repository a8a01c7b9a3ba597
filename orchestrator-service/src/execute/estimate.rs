//! What can be said about the cost of a run before it starts.

use crate::{ServiceError, clock::now, document::Diagnostic, roster::Roster, views::Estimate};
use orchestrator_core::{
    agent::AgentSpec,
    money::MicroUsd,
    route::WorkFacts,
    task::{TaskKind, TaskSpec},
    usage::{TokenCount, Usage},
};
use serde_json::Value;
use std::borrow::Cow;

/// How many bytes of text make about one token.
const BYTES_A_TOKEN: u64 = 4;

/// What calls no model.
pub(super) const NOTHING: Estimate = Estimate {
    input_tokens: 0,
    input_is_counted: true,
    max_output_tokens: Some(0),
    least_usd: Some(MicroUsd::ZERO),
    most_usd: Some(MicroUsd::ZERO),
};

/// What nothing can be said about.
pub(super) const UNKNOWN: Estimate = Estimate {
    input_tokens: 0,
    input_is_counted: false,
    max_output_tokens: None,
    least_usd: None,
    most_usd: None,
};

/// What one attempt of a model would cost, as far as the text that is known now tells.
///
/// # Errors
/// A tokenizer of the settings that cannot be used.
pub(super) fn of(
    roster: &Roster,
    spec: &AgentSpec,
    task: &TaskSpec,
    inputs: &Value,
) -> Result<Estimate, ServiceError> {
    let TaskKind::Agent { prompt, .. } = &task.kind else { return Ok(NOTHING) };
    // Other tasks' outputs are not there yet: a prompt that quotes them has no greatest length. The
    // inputs of a child are not there either.
    let quotes = prompt.contains("tasks.");
    let unknown_inputs = inputs.is_null() && prompt.contains("inputs.");
    let bounded = task.needs.is_empty() && !quotes && !unknown_inputs;
    let mut known = vec![Cow::Borrowed(prompt.as_str()), spec.instructions().into()];
    known.extend(texts(prompt, inputs));
    known.extend(task.output.as_ref().map(|schema| schema.to_string().into()));
    let counted = counted(roster, spec, &known)?;
    let bytes: usize = known.iter().map(|text| text.len()).sum();
    let tokens = counted.unwrap_or_else(|| (bytes as u64).div_ceil(BYTES_A_TOKEN));
    let longest = spec.max_tokens.map(u64::from);
    let usage = Usage { input: TokenCount(tokens), ..Usage::default() };
    let rates = roster.price(spec).and_then(|price| price.rates_for(&usage, now()));
    let cost = |output: u64| {
        let rates = rates?;
        let pico =
            MicroUsd::pico_for(tokens, rates.input) + MicroUsd::pico_for(output, rates.output);
        Some(MicroUsd::from_pico(pico))
    };
    Ok(Estimate {
        input_tokens: tokens,
        input_is_counted: counted.is_some(),
        max_output_tokens: longest,
        least_usd: cost(0),
        most_usd: if bounded { longest.and_then(cost) } else { None },
    })
}

/// The tokens of `texts` by the tokenizer of the model of `spec`; `None` without one.
fn counted(
    roster: &Roster,
    spec: &AgentSpec,
    texts: &[Cow<'_, str>],
) -> Result<Option<u64>, ServiceError> {
    let Some(model) = &spec.model else { return Ok(None) };
    let tokenizer = roster.tokenizers().get(model).map_err(|error| {
        let diagnostic = Diagnostic::new(error.code(), error.to_string());
        ServiceError::invalid(format!("cannot count the prompts for model `{model}`"), diagnostic)
    })?;
    Ok(tokenizer.and_then(|tokenizer| texts.iter().map(|text| tokenizer.count(text)).sum()))
}

/// What is known of a task before it starts: the outputs that its prompt quotes are not there yet, and
/// nothing was rejected.
pub(super) fn facts<'a>(
    spec: &'a AgentSpec,
    task: &TaskSpec,
    prompt: &str,
    inputs: &Value,
) -> WorkFacts<'a> {
    WorkFacts {
        prompt_bytes: prompt.len()
            + spec.instructions().len()
            + texts(prompt, inputs).iter().map(|text| text.len()).sum::<usize>(),
        schema_bytes: task.output.as_ref().map_or(0, |schema| schema.to_string().len()),
        tools: 0,
        needs: task.needs.len(),
        inputs: inputs.as_object().map_or(0, serde_json::Map::len),
        role: &spec.role,
        rejected: 0,
    }
}

/// The inputs that `prompt` quotes.
fn texts<'i>(prompt: &str, inputs: &'i Value) -> Vec<Cow<'i, str>> {
    let inputs = inputs.as_object().into_iter().flatten();
    let quoted = inputs.filter(|(name, _)| prompt.contains(&format!("inputs.{name}")));
    quoted
        .map(|(_, value)| match value {
            Value::String(text) => text.as_str().into(),
            other => other.to_string().into(),
        })
        .collect()
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
        input_is_counted: total.input_is_counted && task.input_is_counted,
        max_output_tokens: match (total.max_output_tokens, longest) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            _ => None,
        },
        least_usd: both(total.least_usd, least),
        most_usd: both(total.most_usd, most),
    }
}
