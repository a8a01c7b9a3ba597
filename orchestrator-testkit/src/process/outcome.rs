//! What a project's runs came to, and seeing them through to it.

use super::{
    Broken, Flow, Project, Ran,
    journal::{Journal, runs},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The arguments that begin a project's run.
pub(super) const EXECUTE: [&str; 4] = ["execute", "--workflow", "flow.yaml", "--json"];

/// The exit code of a command that waits for a person.
pub(super) const WAITS: i32 = 6;

/// More commands than any workflow here needs to end once nothing disturbs it.
const STEPS: usize = 24;

/// What one run came to: its workflow, its status, and of each task its status and its output.
type RunOutcome = (String, String, BTreeMap<String, (String, Value)>);

/// What all runs came to, without what differs from one execution to the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    runs: Vec<RunOutcome>,
}

impl Outcome {
    /// Looks at `project`, whose store has `journal`.
    pub(super) fn of(project: &Project, journal: &Journal) -> Result<Self, Broken> {
        let mut outcomes = Vec::new();
        for run in runs(project)? {
            let id = run["id"].as_str().unwrap_or_default();
            let listed = project.json(&["list-tasks", "--run", id, "--limit", "1000"])?;
            let mut tasks = BTreeMap::new();
            for task in listed["items"].as_array().into_iter().flatten() {
                let name = task["name"].as_str().unwrap_or_default();
                let output = output(journal, id, name);
                tasks.insert(name.to_owned(), (text(task, "status"), output));
            }
            outcomes.push((text(&run, "workflow"), text(&run, "status"), tasks));
        }
        outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
        Ok(Self { runs: outcomes })
    }

    /// Refuses another outcome than this one.
    pub(super) fn expect(&self, found: &Self) -> Result<(), Broken> {
        if self == found {
            return Ok(());
        }
        let differ = |a: &Self, b: &Self| {
            let only: Vec<_> = a.runs.iter().filter(|run| !b.runs.contains(run)).collect();
            format!("{only:?}")
        };
        Err(Broken::new(format!(
            "the runs did not end as undisturbed ones do\n  {} runs, not: {}\n  {} runs, but: {}",
            self.runs.len(),
            differ(self, found),
            found.runs.len(),
            differ(found, self)
        )))
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// What the task left in the end.
fn output(journal: &Journal, run: &str, task: &str) -> Value {
    let events = journal.runs.get(run).into_iter().flat_map(BTreeMap::values);
    let of_task = events.filter(|event| event["task"] == task);
    let succeeded = of_task.filter(|event| {
        matches!(event["type"].as_str(), Some("attempt-succeeded" | "task-succeeded"))
    });
    let mut succeeded = succeeded;
    let mut output = succeeded.next_back().map_or(Value::Null, |event| event["output"].clone());
    if let Some(approval) = output.pointer_mut("/inline").and_then(Value::as_object_mut) {
        // When somebody approved differs from one execution to the next.
        approval.remove("at");
    }
    output
}

/// The run that was executed, if it is there.
pub(super) fn root(project: &Project, flow: &Flow) -> Result<Option<Value>, Broken> {
    let mut found: Vec<Value> = runs(project)?;
    found.retain(|run| run["workflow"] == flow.name);
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => Err(Broken::new(format!("one run was executed, and there are {count}"))),
    }
}

/// Whether a run of that status is over.
pub(super) fn is_over(run: &Value) -> bool {
    matches!(run["status"].as_str(), Some("succeeded" | "failed" | "cancelled"))
}

/// Approves the next thing that the workflow needs somebody for. Returns whether there was one.
pub(super) fn approve(project: &Project, flow: &Flow, run: &str) -> Result<bool, Broken> {
    let listed = project.json(&["list-tasks", "--run", run, "--limit", "1000"])?;
    let status = |name: &str| {
        let mut items = listed["items"].as_array().into_iter().flatten();
        items.find(|task| task["name"] == name).map(|task| text(task, "status"))
    };
    let open = |name: &&&str| status(name).is_some_and(|status| status != "succeeded");
    let Some(name) = flow.approves.iter().find(open) else { return Ok(false) };
    let ran = project.run(&["approve", &format!("{run}.{name}")])?;
    // It may have been approved already by a command that was cut off.
    ran.expect(&[0, 2])?;
    Ok(true)
}

/// Executes or resumes until every run is over, with somebody who approves; says what came of it.
/// Nothing disturbs this; `each` sees every command that ended.
pub(super) fn see_through(
    project: &Project,
    flow: &Flow,
    mut each: impl FnMut(&Ran) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut resumed = 0;
    for _ in 0..STEPS {
        let found = root(project, flow)?;
        let id = found.as_ref().map(|run| text(run, "id"));
        if found.as_ref().is_some_and(is_over) {
            // What followed the run may still have a way to go.
            let open = runs(project)?.into_iter().find(|run| !is_over(run));
            let Some(open) = open else { return Ok(()) };
            let ran = project.run(&["resume", &text(&open, "id"), "--json"])?;
            each(&ran.expect(&[0, 1, 2, WAITS])?)?;
            continue;
        }
        let ran = match &id {
            None => project.run(&EXECUTE)?,
            Some(id) => project.run(&["resume", id, "--json"])?,
        };
        resumed += usize::from(id.is_some());
        let ran = ran.expect(&[flow.code, WAITS])?;
        each(&ran)?;
        if ran.code() == Some(WAITS) {
            let id = root(project, flow)?.map(|run| text(&run, "id")).unwrap_or_default();
            if !approve(project, flow, &id)? {
                return Err(ran.broken("waits for a person, and nobody is asked anything"));
            }
        }
    }
    Err(Broken::new(format!("the run has not ended after {resumed} times `resume`")))
}

/// What `flow` comes to when nothing disturbs it, and how long its first command takes.
pub(super) fn reference(
    product: &super::Product,
    flow: &Flow,
) -> Result<(Outcome, std::time::Duration), Broken> {
    let during = |broken: Broken| broken.during(format_args!("`{}`, undisturbed", flow.name));
    let project = Project::new(product, flow)?;
    let mut took = None;
    let mut see = |ran: &Ran| {
        took.get_or_insert(ran.took);
        Ok(())
    };
    see_through(&project, flow, &mut see).map_err(during)?;
    let journal = Journal::stored(&project).map_err(during)?;
    super::rules::check(&project, &journal).map_err(during)?;
    let outcome = Outcome::of(&project, &journal).map_err(during)?;
    if outcome.runs.len() != flow.runs {
        let found = format!("{} runs and not {}: {outcome:?}", outcome.runs.len(), flow.runs);
        return Err(during(Broken::new(found)));
    }
    Ok((outcome, took.unwrap_or_default()))
}
