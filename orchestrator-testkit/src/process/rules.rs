//! What must hold of a log and of what tasks say they did, however often a run was cut off.

use super::{
    Broken, Project,
    journal::Journal,
    ledger::{Ledger, Mark},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Checks the log against itself and against the ledger. Returns how many effects there were.
pub(super) fn check(project: &Project, journal: &Journal) -> Result<usize, Broken> {
    let ledger = Ledger::read(project)?;
    let mut started = BTreeSet::new();
    for (run, events) in &journal.runs {
        attempts(run, events, &mut started)?;
    }
    effects(&ledger, &started)?;
    for (run, events) in &journal.runs {
        order(run, events, &ledger)?;
    }
    Ok(ledger.lines.len())
}

/// An attempt: run, task, number.
type Attempt = (String, String, u64);

/// No task is begun again that had ended, unless it was reopened; attempts only count up.
fn attempts(
    run: &str,
    events: &BTreeMap<u64, Value>,
    started: &mut BTreeSet<Attempt>,
) -> Result<(), Broken> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut ended: BTreeSet<String> = BTreeSet::new();
    for (seq, event) in events {
        let task = event["task"].as_str().unwrap_or_default().to_owned();
        let broken = |what: &str| Broken::new(format!("event {seq} of `{run}`: `{task}` {what}"));
        match event["type"].as_str() {
            Some("attempt-started") => {
                let attempt = event["attempt"].as_u64().unwrap_or_default();
                if ended.contains(&task) {
                    return Err(broken("is begun again, though it had ended"));
                }
                if last.insert(task.clone(), attempt).is_some_and(|before| before >= attempt) {
                    return Err(broken("has an attempt that it had before"));
                }
                started.insert((run.to_owned(), task, attempt));
            }
            Some("attempt-succeeded" | "task-succeeded" | "task-skipped" | "task-cancelled") => {
                ended.insert(task);
            }
            Some("revision-requested") => {
                let reopened = event["reopened"].as_array().into_iter().flatten();
                for name in reopened.filter_map(Value::as_str) {
                    let item = format!("{name}:");
                    ended.retain(|task| task != name && !task.starts_with(&item));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Nothing is done before the log has it, nothing twice, and no try when a later one has begun.
fn effects(ledger: &Ledger, started: &BTreeSet<Attempt>) -> Result<(), Broken> {
    let mut seen = BTreeSet::new();
    let mut newest: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (mark, effect) in &ledger.lines {
        let broken = |what: &str| Broken::new(format!("{effect:?} ({mark:?}) {what}"));
        let attempt = (effect.run.clone(), effect.task.clone(), effect.attempt);
        if !started.contains(&attempt) {
            return Err(broken("was done, and the log has no such attempt"));
        }
        if !seen.insert((*mark, effect)) {
            return Err(broken("was done twice"));
        }
        let newest = newest.entry((&effect.run, &effect.task)).or_default();
        if effect.attempt < *newest {
            return Err(broken("was still at work when a later attempt had begun"));
        }
        *newest = effect.attempt;
    }
    Ok(())
}

/// What a task needs was done before the task began.
fn order(run: &str, events: &BTreeMap<u64, Value>, ledger: &Ledger) -> Result<(), Broken> {
    let tasks = events.get(&1).and_then(|created| created["workflow"]["tasks"].as_array());
    for task in tasks.into_iter().flatten() {
        let name = task["name"].as_str().unwrap_or_default();
        let Some(begin) = ledger.first(Mark::Start, run, name) else { continue };
        for need in task["needs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let end = ledger.first(Mark::End, run, need);
            let has_begun = ledger.first(Mark::Start, run, need).is_some();
            if has_begun && end.is_none_or(|end| end > begin) {
                return Err(Broken::new(format!(
                    "`{name}` of `{run}` began before `{need}`, which it needs, had ended"
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ledger::Effect;
    use serde_json::json;

    fn log(events: &[Value]) -> BTreeMap<u64, Value> {
        (1..).zip(events.iter().cloned()).collect()
    }

    fn started(attempt: u64) -> Value {
        json!({"type": "attempt-started", "task": "a", "attempt": attempt})
    }

    fn line(mark: Mark, task: &str, attempt: u64) -> (Mark, Effect) {
        (mark, Effect { run: "r".into(), task: task.into(), attempt })
    }

    #[test]
    fn a_log_that_begins_again_what_had_ended_is_found() {
        let succeeded = json!({"type": "attempt-succeeded", "task": "a", "attempt": 1});
        let revision = json!({"type": "revision-requested", "by": "b", "reopened": ["a", "b"]});
        let check = |events: &[Value], says: Option<&str>| {
            let found = attempts("r", &log(events), &mut BTreeSet::new());
            match (found, says) {
                (Ok(()), None) => {}
                (Err(broken), Some(says)) => assert!(broken.to_string().contains(says), "{broken}"),
                (found, says) => panic!("{found:?}, not {says:?}"),
            }
        };
        check(&[started(1), succeeded.clone()], None);
        check(&[started(1), started(2)], None);
        check(&[started(1), succeeded.clone(), revision, started(2)], None);
        check(&[started(1), succeeded, started(2)], Some("though it had ended"));
        check(&[started(1), started(1)], Some("had before"));
    }

    #[test]
    fn effects_that_the_log_does_not_explain_are_found() {
        let known: BTreeSet<_> =
            [("r".to_owned(), "a".to_owned(), 1), ("r".into(), "a".into(), 2)].into();
        let check = |lines: &[(Mark, Effect)], says: Option<&str>| match (
            effects(&Ledger { lines: lines.into() }, &known),
            says,
        ) {
            (Ok(()), None) => {}
            (Err(broken), Some(says)) => assert!(broken.to_string().contains(says), "{broken}"),
            (found, says) => panic!("{found:?}, not {says:?}"),
        };
        let (start, end) = (Mark::Start, Mark::End);
        check(&[line(start, "a", 1), line(start, "a", 2), line(end, "a", 2)], None);
        check(&[line(start, "a", 3)], Some("no such attempt"));
        check(&[line(start, "a", 1), line(start, "a", 1)], Some("twice"));
        check(
            &[line(start, "a", 1), line(start, "a", 2), line(end, "a", 1)],
            Some("still at work"),
        );
    }

    #[test]
    fn a_task_that_begins_before_its_need_has_ended_is_found() {
        let events =
            log(&[json!({"workflow": {"tasks": [{"name": "a"}, {"name": "b", "needs": ["a"]}]}})]);
        let (start, end) = (Mark::Start, Mark::End);
        let check = |lines: &[(Mark, Effect)], holds: bool| {
            assert_eq!(
                order("r", &events, &Ledger { lines: lines.into() }).is_ok(),
                holds,
                "{lines:?}"
            );
        };
        check(&[line(start, "a", 1), line(end, "a", 1), line(start, "b", 1)], true);
        check(&[line(start, "a", 1), line(start, "b", 1), line(end, "a", 1)], false);
        check(&[line(start, "a", 1), line(start, "b", 1)], false);
        check(&[line(start, "b", 1)], true);
    }
}
