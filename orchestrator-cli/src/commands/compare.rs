//! `orchestrator compare`

use super::run_details::tokens;
use crate::{
    context::Context,
    exit::Exit,
    output::{
        Console,
        paint::Tone,
        table::{Align, Cell, Table},
        text::{self, harmless},
    },
    problem::Failure,
    runtime,
};
use clap::Args;
use orchestrator_service::views::{
    CompareView, Likeness, RunView, TaskComparison, TaskSide, ValueChange,
};
use std::time::Duration;

/// The most tasks of the table, and the most outputs whose differences are shown.
const ROWS: usize = 30;
const DIFFS: usize = 3;

/// Show two runs side by side: definition, inputs, results, cost and time
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  orchestrator compare r_01 r_02
  orchestrator compare r_01 latest --json")]
pub(crate) struct Compare {
    /// An id, the start of one, or `latest`
    #[arg(value_name = "RUN")]
    left: String,

    /// The other one
    #[arg(value_name = "RUN")]
    right: String,
}

impl Compare {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let console = &context.console;
        let service = context.service()?;
        let view = runtime::ask(async { Ok(service.compare(&self.left, &self.right).await?) })?;
        if console.json {
            console.document(&view)?;
        } else {
            console.lines(&lines(console, &view))?;
        }
        Ok(Exit::Done)
    }
}

fn lines(console: &Console, view: &CompareView) -> Vec<String> {
    let paint = console.paint();
    let mut lines = totals(console, view);
    let mut section = |title: &str, part: Vec<String>| {
        if !part.is_empty() {
            lines.push(String::new());
            lines.push(paint.tone(Tone::Strong, title));
            lines.extend(part);
        }
    };
    section("Definition", definition(view));
    section("Inputs", view.inputs.iter().flat_map(|change| changed("", change)).collect());
    let differ: Vec<&TaskComparison> = view.items.iter().filter(|item| !item.is_same()).collect();
    let shown: Vec<&TaskComparison> = match view.items.len() > ROWS {
        true => differ.iter().copied().take(ROWS).collect(),
        false => view.items.iter().collect(),
    };
    let left_out = (view.items.len() - shown.len()) as u64 + view.left_out;
    let mut rows = tasks(console, &shown);
    if left_out > 0 {
        rows.push(format!("and {} more, all of them with --json", text::counted(left_out, "task")));
    }
    section("Tasks", rows);
    let told = differ.iter().filter(|item| !item.output.diff.is_empty()).take(DIFFS);
    for item in told {
        let diff = item.output.diff.iter().map(|line| {
            let tone = match line.chars().next() {
                Some('+') => Tone::Good,
                Some('-') => Tone::Bad,
                _ => Tone::Faint,
            };
            format!("  {}", paint.tone(tone, &harmless(line, false)))
        });
        section(&format!("Output of {}", item.name), diff.collect());
    }
    if view.same {
        lines.push(String::new());
        lines.push("no difference in what was asked for and what came of it".into());
    }
    lines
}

fn totals(console: &Console, view: &CompareView) -> Vec<String> {
    let mut table = Table::new(&[("", Align::Left), ("LEFT", Align::Left), ("RIGHT", Align::Left)]);
    let mut row = |name: &str, value: fn(&RunView) -> String| {
        table.row(vec![name.into(), value(&view.left).into(), value(&view.right).into()]);
    };
    row("run", |run| run.id.clone());
    row("workflow", |run| format!("{} {}", run.workflow, run.version));
    row("status", |run| run.status.clone());
    row("tasks", |run| format!("{} of {} ended, {} failed", run.ended, run.tasks, run.failed));
    row("time", |run| text::elapsed(Duration::from_millis(run.elapsed_ms)));
    row("tokens", |run| tokens(&run.spent).unwrap_or_else(|| "none".into()));
    row("cost", |run| run.spent.cost().to_string());
    table.lines(console.paint(), console.columns())
}

fn definition(view: &CompareView) -> Vec<String> {
    let definition = &view.definition;
    let mut lines: Vec<String> =
        definition.keys.iter().flat_map(|change| changed("", change)).collect();
    lines.extend(definition.added.iter().map(|task| format!("  + {task}")));
    lines.extend(definition.removed.iter().map(|task| format!("  - {task}")));
    for task in &definition.changed {
        lines.extend(
            task.keys.iter().flat_map(|change| changed(&format!("{}.", task.task), change)),
        );
    }
    let more = lines.len().saturating_sub(ROWS);
    if more > 0 {
        lines.truncate(ROWS);
        lines.push(format!("  and {more} lines more, all of them with --json"));
    }
    lines
}

/// A value that differs, on two lines.
fn changed(of: &str, change: &ValueChange) -> Vec<String> {
    let side = |value: &Option<String>| match value {
        Some(text) => harmless(&text.replace('\n', " "), false).into_owned(),
        None => "(not set)".into(),
    };
    vec![
        format!("  {of}{}: {}", change.key, side(&change.left)),
        format!("  {:width$}  {}", "", side(&change.right), width = of.len() + change.key.len()),
    ]
}

fn tasks(console: &Console, items: &[&TaskComparison]) -> Vec<String> {
    if items.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&[
        ("TASK", Align::Left),
        ("LEFT", Align::Left),
        ("RIGHT", Align::Left),
        ("ATTEMPTS", Align::Left),
        ("TIME", Align::Left),
        ("COST", Align::Left),
        ("OUTPUT", Align::Left),
    ]);
    for item in items {
        let both = |value: fn(&TaskSide) -> String| {
            let side = |side: &Option<TaskSide>| side.as_ref().map_or("-".into(), value);
            let (left, right) = (side(&item.left), side(&item.right));
            if left == right { left } else { format!("{left} / {right}") }
        };
        let status = |side: &Option<TaskSide>| match side {
            Some(side) => Cell::status(&side.status),
            None => "-".into(),
        };
        let tone = match item.output.verdict {
            Likeness::Neither | Likeness::Equal => Tone::Faint,
            Likeness::Different | Likeness::OnlyLeft | Likeness::OnlyRight => Tone::Warn,
        };
        table.row(vec![
            item.name.as_str().into(),
            status(&item.left),
            status(&item.right),
            both(|side| side.attempts.to_string()).into(),
            both(|side| text::elapsed(Duration::from_millis(side.elapsed_ms))).into(),
            both(|side| side.spent.cost().to_string()).into(),
            Cell::toned(tone, item.output.verdict.as_str()),
        ]);
    }
    table.lines(console.paint(), console.columns())
}
