//! The events of a project's runs: those that were printed, and those that the store has.

use super::{Broken, Project, Ran};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Events by run and number.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal {
    pub(super) runs: BTreeMap<String, BTreeMap<u64, Value>>,
}

impl Journal {
    /// The events that `ran` printed: whoever read them may rely on them.
    pub(super) fn printed(ran: &Ran) -> Result<Self, Broken> {
        let mut journal = Self::default();
        for line in ran.lines() {
            let value: Value = serde_json::from_str(line)
                .map_err(|error| ran.broken(&format!("printed `{line}`: {error}")))?;
            if value["schema"].as_str().is_some_and(|name| name.starts_with("orchestrator.event/"))
            {
                let run = value["run"].as_str().unwrap_or_default().to_owned();
                journal.add(&run, &value);
            }
        }
        Ok(journal)
    }

    /// Everything that the store of `project` has, once it was found to be sound.
    pub(super) fn stored(project: &Project) -> Result<Self, Broken> {
        expect_sound(project)?;
        let mut journal = Self::default();
        for run in runs(project)? {
            let id = run["id"].as_str().unwrap_or_default();
            let ran = project.run(&["export", id, "--format", "json"])?.expect(&[0])?;
            let document: Value = serde_json::from_str(&ran.stdout)
                .map_err(|error| ran.broken(&format!("printed no JSON: {error}")))?;
            // The first version of the document has the events of the one run beside it.
            let one = [Value::Object(Map::from_iter([
                ("run".to_owned(), Value::from(id)),
                ("events".to_owned(), document["events"].clone()),
            ]))];
            let logs = document["logs"].as_array().map_or(&one[..], Vec::as_slice);
            for log in logs {
                for event in log["events"].as_array().into_iter().flatten() {
                    journal.add(log["run"].as_str().unwrap_or_default(), event);
                }
            }
        }
        for (run, events) in &journal.runs {
            let (first, last) = (events.keys().next(), events.keys().last());
            if first != Some(&1) || last != Some(&(events.len() as u64)) {
                return Err(Broken::new(format!("the log of `{run}` has a gap")));
            }
        }
        Ok(journal)
    }

    /// Adds an event in one of its printed forms: with a record around it, or flat, where a field
    /// of its own that is called `run` makes way for the record's.
    fn add(&mut self, run: &str, printed: &Value) {
        let Some(seq) = printed["seq"].as_u64() else { return };
        let (mut event, is_flat) = match printed.get("event") {
            Some(event) => (event.clone(), false),
            None => (printed.clone(), true),
        };
        if let Some(fields) = event.as_object_mut() {
            if is_flat {
                for around in ["schema", "run", "seq", "at", "version"] {
                    fields.remove(around);
                }
                if let Some(next) = fields.remove("next-run") {
                    fields.insert("run".into(), next);
                }
            } else if fields["type"] == "run-created" {
                fields.remove("run");
            }
        }
        self.runs.entry(run.to_owned()).or_default().insert(seq, event);
    }

    /// How many events there are.
    pub(super) fn len(&self) -> usize {
        self.runs.values().map(BTreeMap::len).sum()
    }

    /// Refuses to find one of `earlier`'s events missing or changed here.
    pub(super) fn expect_all_of(&self, earlier: &Self, which: &str) -> Result<(), Broken> {
        for (run, events) in &earlier.runs {
            for (seq, event) in events {
                let found = self.runs.get(run).and_then(|events| events.get(seq));
                if found != Some(event) {
                    let short =
                        |event: &Value| -> String { event.to_string().chars().take(300).collect() };
                    return Err(Broken::new(format!(
                        "event {seq} of `{run}` {which}: {}; the store has {}",
                        short(event),
                        found.map_or("none".into(), short)
                    )));
                }
            }
        }
        Ok(())
    }

    /// Takes the events of `other` in.
    pub(super) fn extend(&mut self, other: Self) {
        for (run, events) in other.runs {
            self.runs.entry(run).or_default().extend(events);
        }
    }
}

/// All runs of the project.
pub(super) fn runs(project: &Project) -> Result<Vec<Value>, Broken> {
    let listed = project.json(&["list-runs", "--limit", "1000"])?;
    Ok(listed["items"].as_array().cloned().unwrap_or_default())
}

/// Refuses a store that the program itself finds fault with.
fn expect_sound(project: &Project) -> Result<(), Broken> {
    let ran = project.run(&["doctor", "--json"])?;
    ran.expect_no_panic()?;
    let report: Value = serde_json::from_str(&ran.stdout)
        .map_err(|error| ran.broken(&format!("printed no JSON: {error}")))?;
    let store = report["items"].as_array().into_iter().flatten().find(|i| i["name"] == "store");
    match store {
        Some(item) if item["state"] == "ok" => Ok(()),
        Some(item) => Err(ran.broken(&format!("finds the store unsound: {}", item["found"]))),
        None => Err(ran.broken("says nothing of the store")),
    }
}
