//! What a request would do, and what can be said about its cost.

use super::{ExecuteRequest, prepare::Prepared};
use crate::{
    OrchestratorService, ServiceError,
    clock::now,
    roster::{Member, Roster},
    views::{Estimate, PlanView, PlannedTask},
};
use orchestrator_core::{
    graph::Graph,
    money::MicroUsd,
    task::{TaskKind, TaskSpec},
    usage::{TokenCount, Usage},
};
use serde_json::Value;

/// How many bytes of text make about one token.
const BYTES_A_TOKEN: u64 = 4;

impl OrchestratorService {
    /// Says what a request would do, without doing it: nothing is spent, started or written.
    ///
    /// # Errors
    /// All that [`OrchestratorService::execute`] would refuse, but for an unusable store.
    pub async fn plan(&self, request: &ExecuteRequest) -> Result<PlanView, ServiceError> {
        let Prepared { start, bound } = self.prepare(request)?;
        let roster = self.roster()?;
        let workflow = &start.workflow;
        let graph = Graph::of(workflow)
            .map_err(|cycle| ServiceError::Internal(format!("a checked workflow has {cycle}")))?;
        let layers = graph.layers();
        let (mut items, mut total, mut calls_models) = (Vec::new(), ZERO, false);
        for (layer, places) in layers.iter().enumerate() {
            for &place in places {
                let task = &workflow.tasks[place];
                let agents = &bound.agents[place];
                let Some(first) = agents.first() else { continue };
                let member = roster.get(first.as_str())?;
                let estimate = estimate(roster, member, task, &start.inputs);
                calls_models |= member.calls_model();
                total = sum(&total, &estimate, task.when.is_some());
                let mut needs: Vec<usize> = graph.needs(place).collect();
                needs.sort_unstable();
                items.push(PlannedTask {
                    name: task.name.to_string(),
                    layer,
                    needs: needs.into_iter().map(|n| workflow.tasks[n].name.to_string()).collect(),
                    agents: agents.iter().map(ToString::to_string).collect(),
                    provider: member.spec.provider.to_string(),
                    model: member.spec.model.clone(),
                    when: task.when.clone(),
                    estimate,
                });
            }
        }
        Ok(PlanView {
            schema: "orchestrator.plan/v1",
            workflow: workflow.name.to_string(),
            version: workflow.version.clone(),
            source: start.source.clone(),
            mode: workflow.mode.as_str().to_owned(),
            max_parallel: start.max_parallel,
            budget_usd: start.budget,
            inputs: start.inputs.clone(),
            items,
            layers: layers.len(),
            calls_models,
            estimate: total,
        })
    }
}

const ZERO: Estimate = Estimate {
    input_tokens: 0,
    max_output_tokens: Some(0),
    least_usd: Some(MicroUsd::ZERO),
    most_usd: Some(MicroUsd::ZERO),
};

/// What one attempt would cost, as far as the text that is known now tells.
fn estimate(roster: &Roster, member: &Member, task: &TaskSpec, inputs: &Value) -> Estimate {
    let TaskKind::Agent { prompt, .. } = &task.kind else { return ZERO };
    if !member.calls_model() {
        return ZERO;
    }
    // Other tasks' outputs are not there yet: a prompt that quotes them has no greatest length.
    let bounded = task.needs.is_empty() && !prompt.contains("tasks.");
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

/// Both together; a task that may be left out costs nothing at least.
fn sum(total: &Estimate, task: &Estimate, may_be_left_out: bool) -> Estimate {
    let both = |a: Option<MicroUsd>, b: Option<MicroUsd>| Some(a? + b?);
    let least = if may_be_left_out { Some(MicroUsd::ZERO) } else { task.least_usd };
    Estimate {
        input_tokens: total.input_tokens.saturating_add(task.input_tokens),
        max_output_tokens: match (total.max_output_tokens, task.max_output_tokens) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            _ => None,
        },
        least_usd: both(total.least_usd, least),
        most_usd: both(total.most_usd, task.most_usd),
    }
}
