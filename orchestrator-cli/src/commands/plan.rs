//! `orchestrator execute --dry-run`: what a run would do.

use super::sheet::Sheet;
use crate::{
    output::{
        Console, forecast,
        table::{Align, Table},
        text,
    },
    problem::Failure,
};
use orchestrator_service::views::{Estimate, PlanView, PlannedTask};

/// How many assumptions are shown.
const ASSUMED: usize = 10;

/// Prints a plan for people.
///
/// # Errors
/// Output that cannot be written.
pub(super) fn print(console: &Console, plan: &PlanView) -> Result<(), Failure> {
    let mut sheet = Sheet::new(console);
    sheet.field("workflow", format!("{} {}", plan.workflow, plan.version));
    sheet.field("from", plan.source.clone());
    sheet.field("mode", format!("{}, at most {} at once", plan.mode, plan.max_parallel));
    sheet.field("layers", plan.layers.to_string());
    sheet.field("budget", plan.budget_usd.map(|usd| format!("${usd}")));
    if let Some(expected) = &plan.forecast {
        sheet.field("expected", forecast::cost(expected.cost_usd));
        sheet.field("tokens", forecast::tokens(expected.tokens));
        sheet.field("confidence", forecast::confidence(expected));
    }
    sheet.field("certain", cost(&plan.estimate, plan.calls_models));
    if plan.inputs.as_object().is_some_and(|inputs| !inputs.is_empty()) {
        sheet.section("Inputs");
        sheet.value(&plan.inputs);
    }
    sheet.section("Tasks");
    sheet.lines(table(&plan.items).lines(console.paint(), console.columns()));
    let all = plan.workflows.iter().map(|other| &other.items).chain([&plan.items]).flatten();
    let placed: Vec<String> = all.filter_map(placed).collect();
    if !placed.is_empty() {
        sheet.section("Workspaces");
        sheet.lines(placed);
    }
    let all = plan.workflows.iter().map(|other| &other.items).chain([&plan.items]).flatten();
    let ruled: Vec<&PlannedTask> = all.filter(|task| task.why.is_some()).collect();
    if !ruled.is_empty() {
        sheet.section("Models");
        sheet.lines(ruled.into_iter().flat_map(models).collect::<Vec<_>>());
    }
    for other in &plan.workflows {
        let version = format!("{} {}", other.workflow, other.version);
        let called =
            if other.key == other.workflow { version } else { format!("{}: {version}", other.key) };
        sheet.section(&format!("Workflow {called}"));
        sheet.lines(table(&other.items).lines(console.paint(), console.columns()));
    }
    let assumed = plan.forecast.iter().flat_map(|expected| &expected.assumptions);
    let assumed: Vec<&String> = assumed.collect();
    if !assumed.is_empty() {
        sheet.section("Assumed");
        sheet.lines(
            assumed.iter().take(ASSUMED).map(|line| text::harmless(line, false).into_owned()),
        );
        if let Some(more @ 1..) = assumed.len().checked_sub(ASSUMED) {
            sheet.lines([format!("and {more} more: --json tells all")]);
        }
    }
    sheet.print(console)?;
    console.hint("nothing was started or spent");
    Ok(())
}

/// Where a task works, what proves its result, and where that lands.
fn placed(task: &PlannedTask) -> Option<String> {
    let kind = task.workspace.as_ref()?;
    let checks = match task.checks.is_empty() {
        true => "no checks: it ends unverified".to_owned(),
        false => format!("checked by {}", task.checks.join(", ")),
    };
    let lands = task.lands.as_ref().map(|branch| format!("; lands on {branch}"));
    let line = format!("{}  {kind}; {checks}{}", task.name, lands.unwrap_or_default());
    Some(text::harmless(&line, false).into_owned())
}

/// Which models a rule names for a task, and why.
fn models(task: &PlannedTask) -> Vec<String> {
    let why = task.why.as_deref().unwrap_or_default();
    vec![
        format!("{}  {}", task.name, text::harmless(&task.models.join(", "), false)),
        format!("   {}", text::harmless(why, false)),
    ]
}

/// Planned tasks as a table.
fn table(items: &[PlannedTask]) -> Table {
    let mut table = Table::new(&[
        ("LAYER", Align::Right),
        ("TASK", Align::Left),
        ("AGENT", Align::Left),
        ("RUNS ON", Align::Left),
        ("LEAST", Align::Right),
        ("EXPECTED", Align::Left),
        ("NEEDS", Align::Left),
    ]);
    for task in items {
        let runs_on = match (&task.model, &task.workflow) {
            (Some(model), _) => format!("{} {model}", task.provider),
            (None, Some(workflow)) => format!("workflow {workflow}"),
            (None, None) => task.provider.clone(),
        };
        let least = task.estimate.least_usd.map_or("unknown".into(), |usd| format!("${usd}"));
        let each = if task.for_each.is_some() { " (each)" } else { "" };
        table.row(vec![
            (task.layer + 1).to_string().into(),
            format!("{}{each}", task.name).into(),
            task.agents.first().map_or("-", String::as_str).into(),
            runs_on.into(),
            least.into(),
            expected(task).into(),
            task.needs.join(", ").into(),
        ]);
    }
    table
}

/// What a task is expected to cost, or to use where no price is known.
fn expected(task: &PlannedTask) -> String {
    match &task.forecast {
        None => String::new(),
        Some(told) if told.cost_usd.is_some() => forecast::cost(told.cost_usd),
        Some(told) => format!("{} tokens", forecast::tokens(told.tokens)),
    }
}

/// What is certain about the cost, in a line.
fn cost(estimate: &Estimate, calls_models: bool) -> String {
    if !calls_models {
        return "$0: no model is called".into();
    }
    let least = estimate.least_usd.map_or_else(
        || "unknown: no price is known for a model".into(),
        |usd| format!("at least ${usd}"),
    );
    let most = estimate.most_usd.map_or_else(
        || ", without a bound that is known beforehand".into(),
        |usd| format!(", at most ${usd} for one attempt of each task"),
    );
    let tokens = text::thousands(estimate.input_tokens);
    let how = if estimate.input_is_counted { "counted" } else { "at four bytes each" };
    format!("{least}{most} (from {tokens} input tokens that are known now, {how})")
}
