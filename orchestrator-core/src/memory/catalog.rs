//! Lists and sums over what is in memory.

use super::{MemoryStore, kept::KeptTask, stored::Stored};
use crate::{
    estimate::History,
    id::{AgentName, RunId, TaskId, TaskName, WorkflowName},
    port::{
        AttemptRow, CachedResult, CallRecord, Catalog, Cleaned, EstimatedRun, HISTORY_LINES,
        HISTORY_RUNS, Listing, OUTSIDE, Page, RunFilter, RunRow, SpendGroup, SpendRow, SpendTotal,
        StoreError, TaskFilter, TaskRow,
    },
    run::RunStatus,
    time::Timestamp,
};
use async_trait::async_trait;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// A page of `items`, each with its key; they are in the order of the keys. The cursor is the key
/// of the last item of a page, so that what is added or removed between two pages shifts nothing.
fn page_of<T, K: Ord>(
    items: impl Iterator<Item = (K, T)>,
    page: &Page,
    read: impl Fn(&str) -> Option<K>,
    write: impl Fn(&T) -> String,
) -> Result<Listing<T>, StoreError> {
    let after =
        match &page.cursor {
            None => None,
            Some(cursor) => Some(read(cursor).ok_or_else(|| {
                StoreError::Damaged(format!("`{cursor}` is not a cursor of a list"))
            })?),
        };
    let mut items: Vec<T> = items
        .skip_while(|(key, _)| after.as_ref().is_some_and(|after| key <= after))
        .map(|(_, item)| item)
        .take(page.limit.saturating_add(1))
        .collect();
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    let next = if more { items.last().map(write) } else { None };
    Ok(Listing { items, next })
}

/// The key of a run in a list, newest first.
type RunKey = Reverse<(Timestamp, RunId)>;

fn run_key(row: &RunRow) -> RunKey {
    Reverse((row.created_at, row.id.clone()))
}

fn read_run_key(cursor: &str) -> Option<RunKey> {
    let (at, id) = cursor.split_once('/')?;
    Some(Reverse((Timestamp(at.parse().ok()?), RunId::new(id).ok()?)))
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

fn admits_run(filter: &RunFilter, stored: &Stored) -> bool {
    let row = &stored.row;
    filter.tenant.as_ref().is_none_or(|tenant| *tenant == row.tenant)
        && filter.project.as_ref().is_none_or(|project| *project == row.project)
        && (filter.status.is_empty() || filter.status.contains(&row.status))
        && filter.parent.as_ref().is_none_or(|parent| row.parent.as_ref() == Some(parent))
        && filter
            .agent
            .as_ref()
            .is_none_or(|agent| stored.attempts.values().any(|attempt| attempt.agent == *agent))
        && filter.since.is_none_or(|since| row.created_at >= since)
        && filter.before.is_none_or(|before| row.created_at < before)
        && filter.search.as_ref().is_none_or(|text| {
            contains(row.id.as_str(), text)
                || contains(row.workflow.as_str(), text)
                || contains(&row.source, text)
        })
}

fn admits_task(filter: &TaskFilter, stored: &Stored, name: &TaskName, row: &KeptTask) -> bool {
    (filter.status.is_empty() || filter.status.contains(&row.status))
        && filter.agent.as_ref().is_none_or(|agent| row.agent.as_ref() == Some(agent))
        && filter.since.is_none_or(|since| stored.row.created_at >= since)
        && filter.search.as_ref().is_none_or(|text| {
            contains(name.as_str(), text) || contains(stored.row.id.as_str(), text)
        })
}

/// What the lines of one group have in common.
fn group_key(group: SpendGroup, stored: &Stored, line: &SpendRow) -> String {
    match group {
        SpendGroup::Agent => line.agent.to_string(),
        SpendGroup::Model => line.model.clone(),
        SpendGroup::Provider => line.provider.to_string(),
        SpendGroup::Task => TaskId::of(&line.run, &line.task).to_string(),
        SpendGroup::Project => stored.row.project.to_string(),
        SpendGroup::Day => line.at.to_string().chars().take(10).collect(),
        SpendGroup::Run => line.run.to_string(),
    }
}

/// The same for a call that is of no task.
fn outside_key(group: SpendGroup, call: &CallRecord) -> String {
    let payer = &call.payer;
    let outside = || OUTSIDE.to_owned();
    match group {
        SpendGroup::Agent => payer.agent.as_ref().map_or_else(outside, ToString::to_string),
        SpendGroup::Model => payer.model.clone(),
        SpendGroup::Provider => payer.account.to_string(),
        SpendGroup::Task => outside(),
        SpendGroup::Project => payer.project.to_string(),
        SpendGroup::Day => call.at.to_string().chars().take(10).collect(),
        SpendGroup::Run => payer.run.as_ref().map_or_else(outside, ToString::to_string),
    }
}

fn succeeded(stored: &Stored) -> bool {
    stored.row.status == RunStatus::Succeeded
}

#[async_trait]
impl Catalog for MemoryStore {
    async fn runs(&self, filter: &RunFilter, page: &Page) -> Result<Listing<RunRow>, StoreError> {
        let kept = self.kept();
        let found = kept
            .newest_first()
            .filter(|stored| admits_run(filter, stored))
            .map(|stored| (run_key(&stored.row), stored.row.clone()));
        page_of(found, page, read_run_key, |row| format!("{}/{}", row.created_at.0, row.id))
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(self.kept().runs.get(id).map(|stored| stored.row.clone()))
    }

    async fn run_ids(&self, prefix: &str, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let kept = self.kept();
        let ids = kept.newest_first().map(|stored| stored.row.id.clone());
        Ok(ids.filter(|id| id.as_str().starts_with(prefix)).take(limit).collect())
    }

    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: &Page,
    ) -> Result<Listing<TaskRow>, StoreError> {
        let kept = self.kept();
        let read = |cursor: &str| {
            let (run, position) = cursor.rsplit_once('/')?;
            Some((read_run_key(run)?, position.parse::<u32>().ok()?))
        };
        let write = |row: &TaskRow| {
            let at = kept.runs.get(&row.run).map(|s| s.row.created_at).unwrap_or_default().0;
            format!("{at}/{}/{}", row.run, row.position)
        };
        let one = filter.run.as_ref().map(|run| kept.runs.get(run));
        let (one, all) = match one {
            Some(one) => (one, None),
            None => (None, Some(kept.newest_first())),
        };
        let runs = one.into_iter().chain(all.into_iter().flatten());
        let found = runs.flat_map(|stored| {
            let mut rows: Vec<(&TaskName, &KeptTask)> = stored
                .tasks
                .iter()
                .filter(|(name, row)| admits_task(filter, stored, name, row))
                .collect();
            rows.sort_by_key(|(_, row)| row.position);
            let key = run_key(&stored.row);
            let run = &stored.row.id;
            rows.into_iter()
                .map(move |(name, row)| ((key.clone(), row.position), row.row(run, name)))
        });
        page_of(found, page, read, write)
    }

    async fn attempts(
        &self,
        run: &RunId,
        task: Option<&TaskName>,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let kept = self.kept();
        let rows = kept.runs.get(run).into_iter().flat_map(|stored| &stored.attempts);
        let mut rows: Vec<AttemptRow> = rows
            .filter(|((of, _), _)| task.is_none_or(|task| task == of))
            .map(|((of, number), row)| row.row(run, of, *number))
            .collect();
        rows.sort_by_key(|row| (row.started_at, row.epoch));
        Ok(rows)
    }

    async fn attempts_of(
        &self,
        agent: &AgentName,
        limit: usize,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let kept = self.kept();
        let mut rows: Vec<AttemptRow> = Vec::new();
        for (run, stored) in &kept.runs {
            let of = stored.attempts.iter().filter(|(_, row)| row.agent == *agent);
            rows.extend(of.map(|((task, number), row)| row.row(run, task, *number)));
        }
        rows.sort_by(|a, b| (b.started_at, &b.run, b.epoch).cmp(&(a.started_at, &a.run, a.epoch)));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn spending(
        &self,
        group: SpendGroup,
        run: Option<&RunId>,
        since: Option<Timestamp>,
    ) -> Result<Vec<SpendTotal>, StoreError> {
        let kept = self.kept();
        let runs = &kept.runs;
        let mut sums: BTreeMap<String, (SpendTotal, BTreeSet<&RunId>)> = BTreeMap::new();
        for stored in runs.values().filter(|s| run.is_none_or(|run| *run == s.row.id)) {
            for line in stored.spend.iter().filter(|l| since.is_none_or(|since| l.at >= since)) {
                let key = group_key(group, stored, line);
                let (total, of) = sums.entry(key.clone()).or_insert_with(|| {
                    let (usage, cost) = Default::default();
                    (SpendTotal { key, runs: 0, requests: 0, usage, cost }, BTreeSet::new())
                });
                of.insert(&line.run);
                total.runs = of.len() as u64;
                total.requests += u64::from(line.requests);
                total.usage += line.usage;
                match line.cost {
                    Some(cost) => total.cost.known += cost,
                    None => total.cost.unpriced_requests += u64::from(line.requests),
                }
            }
        }
        for call in kept.books.outside().filter(|_| run.is_none()) {
            if since.is_some_and(|since| call.at < since) {
                continue;
            }
            let key = outside_key(group, call);
            let (total, _) = sums.entry(key.clone()).or_insert_with(|| {
                let (usage, cost) = Default::default();
                (SpendTotal { key, runs: 0, requests: 0, usage, cost }, BTreeSet::new())
            });
            total.requests += call.spent.requests;
            total.usage += call.usage;
            match call.spent.usd {
                Some(cost) => total.cost.known += cost,
                None => total.cost.unpriced_requests += call.spent.requests,
            }
        }
        let mut totals: Vec<SpendTotal> = sums.into_values().map(|(total, _)| total).collect();
        if group != SpendGroup::Day {
            totals.sort_by_key(|total| Reverse(total.cost.known));
        }
        Ok(totals)
    }

    async fn history(&self, workflows: &[WorkflowName]) -> Result<History, StoreError> {
        let kept = self.kept();
        let mut history = History::default();
        for workflow in workflows {
            let mut left = HISTORY_LINES;
            let runs = kept.newest_first().filter(|stored| stored.row.workflow == *workflow);
            for stored in runs.take(HISTORY_RUNS).filter(|stored| succeeded(stored)) {
                if stored.spend.len() > left && left < HISTORY_LINES {
                    break;
                }
                history.add_run(workflow);
                history.add_lines(workflow, stored.spend.iter().rev().take(left));
                left = left.saturating_sub(stored.spend.len());
            }
        }
        let mut left = HISTORY_LINES;
        for stored in kept.newest_first() {
            if stored.spend.len() > left {
                break;
            }
            left -= stored.spend.len();
            if succeeded(stored) && !workflows.contains(&stored.row.workflow) {
                history.add_lines(&stored.row.workflow, stored.spend.iter().rev());
            }
        }
        Ok(history)
    }

    async fn estimated(
        &self,
        run: Option<&RunId>,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<EstimatedRun>, StoreError> {
        let kept = self.kept();
        let runs = kept.newest_first().filter(|stored| {
            run.is_none_or(|run| *run == stored.row.id)
                && since.is_none_or(|since| stored.row.created_at >= since)
        });
        let estimated = runs.filter_map(|stored| Some((stored, stored.estimate?))).take(limit);
        let told = estimated.map(|(stored, estimate)| {
            let (mut usage, mut cost) = Default::default();
            let mut family = vec![&stored.row];
            while let Some(row) = family.pop() {
                usage += row.usage;
                cost += row.cost;
                let rows = kept.runs.values().map(|stored| &stored.row);
                family.extend(rows.filter(|other| other.parent.as_ref() == Some(&row.id)));
            }
            let RunRow { id: run, workflow, status, .. } = stored.row.clone();
            EstimatedRun { run, workflow, status, estimate, usage, cost }
        });
        Ok(told.collect())
    }

    async fn clean(&self, before: Timestamp, dry_run: bool) -> Result<Cleaned, StoreError> {
        let mut kept = self.kept();
        let old: Vec<RunId> = kept
            .newest_first()
            .map(|stored| &stored.row)
            .filter(|row| row.status.is_final() && row.created_at < before)
            .map(|row| row.id.clone())
            .collect();
        if !dry_run {
            for id in &old {
                kept.remove(id);
            }
            kept.cached.retain(|_, result| result.expires.is_none_or(|at| at > before));
            kept.books.forget_calls(before);
        }
        Ok(Cleaned { runs: old, blobs: 0, bytes: 0 })
    }

    async fn forget_cached(
        &self,
        workflow: Option<&WorkflowName>,
        task: Option<&TaskName>,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, StoreError> {
        let goes = |result: &CachedResult| {
            workflow.is_none_or(|workflow| *workflow == result.workflow)
                && task.is_none_or(|task| *task == result.task)
                && result.at < before
        };
        let mut kept = self.kept();
        let count = kept.cached.values().filter(|result| goes(result)).count();
        if !dry_run {
            kept.cached.retain(|_, result| !goes(result));
        }
        Ok(count as u64)
    }
}
