//! Lists and sums over what is in memory.

use super::{MemoryStore, store::Stored};
use crate::{
    id::{AgentName, RunId, TaskId, TaskName},
    port::{
        AttemptRow, Catalog, Cleaned, Listing, Page, RunFilter, RunRow, SpendGroup, SpendRow,
        SpendTotal, StoreError, TaskFilter, TaskRow,
    },
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

fn admits_task(filter: &TaskFilter, stored: &Stored, row: &TaskRow) -> bool {
    filter.run.as_ref().is_none_or(|run| *run == row.run)
        && (filter.status.is_empty() || filter.status.contains(&row.status))
        && filter.agent.as_ref().is_none_or(|agent| row.agent.as_ref() == Some(agent))
        && filter.since.is_none_or(|since| stored.row.created_at >= since)
        && filter.search.as_ref().is_none_or(|text| {
            contains(row.name.as_str(), text) || contains(row.run.as_str(), text)
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

fn newest_first<'s>(runs: &'s BTreeMap<RunId, Stored>) -> Vec<&'s Stored> {
    let mut all: Vec<&'s Stored> = runs.values().collect();
    all.sort_by_key(|stored| Reverse((stored.row.created_at, stored.row.id.clone())));
    all
}

#[async_trait]
impl Catalog for MemoryStore {
    async fn runs(&self, filter: &RunFilter, page: &Page) -> Result<Listing<RunRow>, StoreError> {
        let runs = self.runs();
        let found = newest_first(&runs)
            .into_iter()
            .filter(|stored| admits_run(filter, stored))
            .map(|stored| (run_key(&stored.row), stored.row.clone()));
        page_of(found, page, read_run_key, |row| format!("{}/{}", row.created_at.0, row.id))
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(self.runs().get(id).map(|stored| stored.row.clone()))
    }

    async fn run_ids(&self, prefix: &str, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let runs = self.runs();
        let ids = newest_first(&runs).into_iter().map(|stored| stored.row.id.clone());
        Ok(ids.filter(|id| id.as_str().starts_with(prefix)).take(limit).collect())
    }

    async fn tasks(
        &self,
        filter: &TaskFilter,
        page: &Page,
    ) -> Result<Listing<TaskRow>, StoreError> {
        let runs = self.runs();
        let mut found = Vec::new();
        for stored in newest_first(&runs) {
            let mut rows: Vec<&TaskRow> =
                stored.tasks.values().filter(|row| admits_task(filter, stored, row)).collect();
            rows.sort_by_key(|row| row.position);
            let key = run_key(&stored.row);
            found.extend(rows.into_iter().map(|row| ((key.clone(), row.position), row.clone())));
        }
        let created: BTreeMap<RunId, Timestamp> =
            runs.values().map(|s| (s.row.id.clone(), s.row.created_at)).collect();
        let read = |cursor: &str| {
            let (run, position) = cursor.rsplit_once('/')?;
            Some((read_run_key(run)?, position.parse().ok()?))
        };
        page_of(found.into_iter(), page, read, |row| {
            let at = created.get(&row.run).copied().unwrap_or_default().0;
            format!("{at}/{}/{}", row.run, row.position)
        })
    }

    async fn attempts(
        &self,
        run: &RunId,
        task: Option<&TaskName>,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let runs = self.runs();
        let rows = runs.get(run).into_iter().flat_map(|stored| stored.attempts.values());
        let mut rows: Vec<AttemptRow> =
            rows.filter(|row| task.is_none_or(|task| *task == row.task)).cloned().collect();
        rows.sort_by_key(|row| (row.started_at, row.epoch));
        Ok(rows)
    }

    async fn attempts_of(
        &self,
        agent: &AgentName,
        limit: usize,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let runs = self.runs();
        let mut rows: Vec<AttemptRow> = runs
            .values()
            .flat_map(|stored| stored.attempts.values())
            .filter(|row| row.agent == *agent)
            .cloned()
            .collect();
        rows.sort_by_key(|row| Reverse((row.started_at, row.run.clone(), row.epoch)));
        rows.truncate(limit);
        Ok(rows)
    }

    async fn spending(
        &self,
        group: SpendGroup,
        run: Option<&RunId>,
        since: Option<Timestamp>,
    ) -> Result<Vec<SpendTotal>, StoreError> {
        let runs = self.runs();
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
        let mut totals: Vec<SpendTotal> = sums.into_values().map(|(total, _)| total).collect();
        if group != SpendGroup::Day {
            totals.sort_by_key(|total| Reverse(total.cost.known));
        }
        Ok(totals)
    }

    async fn clean(&self, before: Timestamp, dry_run: bool) -> Result<Cleaned, StoreError> {
        let mut runs = self.runs();
        let old: Vec<RunId> = newest_first(&runs)
            .into_iter()
            .map(|stored| &stored.row)
            .filter(|row| row.status.is_final() && row.created_at < before)
            .map(|row| row.id.clone())
            .collect();
        if !dry_run {
            for id in &old {
                runs.remove(id);
            }
        }
        Ok(Cleaned { runs: old, blobs: 0, bytes: 0 })
    }
}
