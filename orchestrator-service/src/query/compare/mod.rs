//! Two runs side by side: what was asked for, what came of it, what it took.

mod definition;
mod diff;

use super::Standing;
use crate::{
    OrchestratorService, ServiceError,
    service::Opened,
    views::{
        CompareView, Likeness, OutputComparison, RunView, Spent, TaskComparison, TaskSide, TaskView,
    },
};
use orchestrator_core::{
    event::{Content, RunCreated},
    port::{RunRow, TaskRow},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The most tasks that are listed.
const TASKS: usize = 10_000;
/// The most outputs whose texts are compared.
const DIFFS: usize = 20;
/// The largest output whose text is looked at, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// One run with all that is compared of it.
struct Side<'a> {
    opened: &'a Opened,
    row: RunRow,
    created: Box<RunCreated>,
    standing: Standing,
    tasks: Vec<TaskRow>,
}

impl OrchestratorService {
    /// Two runs side by side; each an id, a unique start of one, or `latest`.
    ///
    /// # Errors
    /// An unknown run, an unusable store.
    pub async fn compare(&self, left: &str, right: &str) -> Result<CompareView, ServiceError> {
        let (left, right) = (self.side(left).await?, self.side(right).await?);
        let inputs = |side: &Side<'_>| match &*side.created.inputs {
            Value::Object(map) => map.clone(),
            _ => Map::new(),
        };
        let mut view = CompareView {
            schema: "orchestrator.compare/v1",
            same: false,
            definition: definition::definitions(&left.created.workflow, &right.created.workflow),
            inputs: definition::values(&inputs(&left), &inputs(&right)),
            items: Vec::new(),
            left_out: 0,
            left: RunView::new(&left.row, left.standing.status, left.standing.until),
            right: RunView::new(&right.row, right.standing.status, right.standing.until),
        };
        let pairs = pairs(&left.tasks, &right.tasks);
        view.left_out = pairs.len().saturating_sub(TASKS) as u64;
        let mut same_results = true;
        let mut budget = DIFFS;
        for (place, (one, other)) in pairs.into_iter().enumerate() {
            let item = TaskComparison {
                name: one.or(other).map(|row| row.name.to_string()).unwrap_or_default(),
                left: one.map(|row| task_side(row, &left.standing)),
                right: other.map(|row| task_side(row, &right.standing)),
                output: outputs(&left, one, &right, other, &mut budget).await?,
            };
            same_results &= item.is_same();
            if place < TASKS {
                view.items.push(item);
            }
        }
        let definition = &view.definition;
        view.same = same_results
            && view.left.status == view.right.status
            && view.inputs.is_empty()
            && definition.keys.is_empty()
            && definition.added.is_empty()
            && definition.removed.is_empty()
            && definition.changed.is_empty();
        Ok(view)
    }

    async fn side(&self, run: &str) -> Result<Side<'_>, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        let standing = self.standing(opened, &row).await?;
        let created = opened.created(&row.id).await?;
        let tasks = opened.all_tasks(&row.id).await?;
        Ok(Side { opened, row, created, standing, tasks })
    }
}

/// The tasks of both by name.
fn pairs<'a>(
    left: &'a [TaskRow],
    right: &'a [TaskRow],
) -> Vec<(Option<&'a TaskRow>, Option<&'a TaskRow>)> {
    let mut of_right: BTreeMap<&str, &TaskRow> =
        right.iter().map(|row| (row.name.as_str(), row)).collect();
    let mut pairs: Vec<_> =
        left.iter().map(|row| (Some(row), of_right.remove(row.name.as_str()))).collect();
    let new = right.iter().filter(|row| of_right.contains_key(row.name.as_str()));
    pairs.extend(new.map(|row| (None, Some(row))));
    pairs
}

fn task_side(row: &TaskRow, standing: &Standing) -> TaskSide {
    let view = TaskView::new(row, standing);
    TaskSide {
        status: view.status,
        attempts: view.attempts,
        agent: view.agent,
        elapsed_ms: view.elapsed_ms,
        spent: Spent::new(&row.usage, &row.cost),
    }
}

async fn outputs(
    left: &Side<'_>,
    one: Option<&TaskRow>,
    right: &Side<'_>,
    other: Option<&TaskRow>,
    budget: &mut usize,
) -> Result<OutputComparison, ServiceError> {
    let content = |row: Option<&TaskRow>| row.and_then(|row| row.output.clone());
    let verdict = match (content(one), content(other)) {
        (None, None) => Likeness::Neither,
        (Some(_), None) => Likeness::OnlyLeft,
        (None, Some(_)) => Likeness::OnlyRight,
        // Equal values are kept alike: inline or by the same hash.
        (Some(one), Some(other)) if one == other => Likeness::Equal,
        (Some(_), Some(_)) => Likeness::Different,
    };
    let mut output = OutputComparison { verdict, left: None, right: None, diff: Vec::new() };
    if matches!(verdict, Likeness::Neither | Likeness::Equal) || *budget == 0 {
        return Ok(output);
    }
    *budget -= 1;
    let (one, other) = (value(left.opened, one).await?, value(right.opened, other).await?);
    output.left = one.as_ref().map(definition::excerpt);
    output.right = other.as_ref().map(definition::excerpt);
    if let (Some(one), Some(other)) = (&one, &other) {
        output.diff = diff::unified(&text(one), &text(other));
    }
    Ok(output)
}

/// What the task left, unless that is too large to be looked at.
async fn value(opened: &Opened, row: Option<&TaskRow>) -> Result<Option<Value>, ServiceError> {
    match row {
        Some(TaskRow { output: Some(Content::Blob { bytes, .. }), .. }) if *bytes > LARGEST => {
            Ok(Some(Value::from(format!("({bytes} bytes)"))))
        }
        Some(row @ TaskRow { output: Some(_), .. }) => Ok(Some(opened.output(row).await?)),
        _ => Ok(None),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}
