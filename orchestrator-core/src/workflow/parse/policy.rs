//! Reads what holds around a task's work: time limits, retries, the cache, and what comes then.

use super::{
    kind::read_with,
    workspace::{read_checks, read_land, read_workspace},
};
use crate::{
    policy::RetryPolicy,
    task::{CachePolicy, TaskKind, Then, ThenOn},
    time::parse_duration,
    workflow::{
        problem::{self as code, Problem},
        reader::{Table, table, wrong_type},
    },
    workspace::{ChecksPolicy, LandPolicy, WorkspacePolicy},
};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// How long an attempt and a task may take.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) attempt: Option<Duration>,
    pub(super) task: Option<Duration>,
}

/// What tasks take when they do not say.
#[derive(Debug, Default, Clone)]
pub(super) struct Defaults {
    pub(super) timeouts: Timeouts,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) workspace: Option<Arc<WorkspacePolicy>>,
    pub(super) checks: Option<Arc<ChecksPolicy>>,
    pub(super) land: Option<Arc<LandPolicy>>,
    /// Whether the first task manages the others.
    pub(super) managed: bool,
}

impl Defaults {
    /// Those for a task of that kind: they are meant for work. A child workflow has its own tasks
    /// with their own, and a person has no attempts.
    pub(super) fn of(&self, kind: &TaskKind) -> Self {
        match kind {
            TaskKind::Agent { .. } | TaskKind::Command { .. } => self.clone(),
            TaskKind::Workflow { .. } | TaskKind::Approval { .. } => Self::default(),
        }
    }
}

pub(super) fn read_defaults(top: &Table<'_>, problems: &mut Vec<Problem>) -> Defaults {
    let Some(value) = top.get("defaults") else {
        return Defaults::default();
    };
    let Some(defaults) = table(value, &top.pointer("defaults"), problems) else {
        return Defaults::default();
    };
    defaults.check_keys(&["timeout", "retry", "workspace", "checks", "land"], &[], problems);
    Defaults {
        timeouts: read_timeouts(&defaults, problems),
        retry: read_retry(&defaults, RetryPolicy::default(), problems),
        workspace: read_workspace(&defaults, problems),
        checks: read_checks(&defaults, problems),
        land: read_land(&defaults, problems),
        managed: false,
    }
}

/// A text is the limit of an attempt; a mapping may give both.
pub(super) fn read_timeouts(owner: &Table<'_>, problems: &mut Vec<Problem>) -> Timeouts {
    match owner.get("timeout") {
        None => Timeouts::default(),
        Some(value @ Value::Object(_)) => {
            let Some(both) = table(value, &owner.pointer("timeout"), problems) else {
                return Timeouts::default();
            };
            both.check_keys(&["attempt", "task"], &[], problems);
            Timeouts {
                attempt: both.parsed("attempt", problems, parse_duration),
                task: both.parsed("task", problems, parse_duration),
            }
        }
        Some(Value::String(_)) => {
            Timeouts { attempt: owner.parsed("timeout", problems, parse_duration), task: None }
        }
        Some(other) => {
            let expected = "a duration, or a mapping with `attempt` and `task`,";
            problems.push(wrong_type(&owner.pointer("timeout"), expected, other));
            Timeouts::default()
        }
    }
}

pub(super) fn read_retry(
    owner: &Table<'_>,
    base: RetryPolicy,
    problems: &mut Vec<Problem>,
) -> Option<RetryPolicy> {
    let value = owner.get("retry")?;
    let at = owner.pointer("retry");
    match value {
        Value::String(text) if text == "never-repeat" => {
            return Some(RetryPolicy { never_repeat: true, ..base });
        }
        Value::String(text) => {
            problems.push(
                Problem::new(
                    code::INVALID_VALUE,
                    &at,
                    format!("`{text}` is neither `never-repeat` nor a mapping"),
                )
                .suggest(Some("write `never-repeat`, or a mapping such as `{ max-attempts: 3 }`")),
            );
            return None;
        }
        _ => {}
    }
    let retry = table(value, &at, problems)?;
    let known = ["max-attempts", "base-delay", "max-delay", "factor", "never-repeat"];
    retry.check_keys(&known, &[], problems);
    Some(RetryPolicy {
        max_attempts: retry.count("max-attempts", 1..=100, problems).unwrap_or(base.max_attempts),
        base_delay: retry.parsed("base-delay", problems, parse_duration).unwrap_or(base.base_delay),
        max_delay: retry.parsed("max-delay", problems, parse_duration).unwrap_or(base.max_delay),
        factor: retry.count("factor", 1..=10, problems).unwrap_or(base.factor),
        never_repeat: retry.flag("never-repeat", problems).unwrap_or(base.never_repeat),
        declared: true,
    })
}

/// `true`, how long a result may be used, or a mapping.
pub(super) fn read_cache(task: &Table<'_>, problems: &mut Vec<Problem>) -> Option<CachePolicy> {
    match task.get("cache")? {
        Value::Bool(is_on) => is_on.then(CachePolicy::default),
        Value::String(_) => {
            let ttl = task.parsed("cache", problems, parse_duration);
            Some(CachePolicy { ttl, ..CachePolicy::default() })
        }
        value @ Value::Object(_) => {
            let cache = table(value, &task.pointer("cache"), problems)?;
            cache.check_keys(&["ttl", "key", "responses"], &[], problems);
            Some(CachePolicy {
                ttl: cache.parsed("ttl", problems, parse_duration),
                key: cache.text("key", problems).map(str::to_owned),
                responses: cache.parsed("responses", problems, parse_duration),
            })
        }
        other => {
            let expected = "true, a duration, or a mapping with `ttl`, `key` and `responses`,";
            problems.push(wrong_type(&task.pointer("cache"), expected, other));
            None
        }
    }
}

/// One workflow or several: each a name, or a mapping.
pub(super) fn read_then(owner: &Table<'_>, problems: &mut Vec<Problem>) -> Vec<Then> {
    let at = owner.pointer("then");
    match owner.get("then") {
        None => Vec::new(),
        Some(Value::Array(entries)) => {
            let at = |index: usize| crate::workflow::join(&at, index);
            let read = |(index, entry)| read_one(entry, &at(index), problems);
            entries.iter().enumerate().filter_map(read).collect()
        }
        Some(entry) => read_one(entry, &at, problems).into_iter().collect(),
    }
}

fn read_one(entry: &Value, at: &str, problems: &mut Vec<Problem>) -> Option<Then> {
    match entry {
        Value::String(name) => {
            Some(Then { on: ThenOn::default(), workflow: name.clone(), with: Map::new() })
        }
        Value::Object(_) => {
            let then = table(entry, at, problems)?;
            then.check_keys(&["on", "workflow", "with"], &[], problems);
            let ends = [
                ("success", ThenOn::Success),
                ("failure", ThenOn::Failure),
                ("always", ThenOn::Always),
            ];
            // Read before the name, so that one look finds what is wrong with each.
            let on = then.choice("on", &ends, problems).unwrap_or_default();
            let with = read_with(&then, problems);
            let workflow = then.required_text("workflow", problems)?.to_owned();
            Some(Then { on, workflow, with })
        }
        other => {
            let expected = "the name of a workflow, or a mapping with `workflow`,";
            problems.push(wrong_type(at, expected, other));
            None
        }
    }
}
