//! Queues of branches in memory.

use crate::{
    id::{CommitId, Epoch, LandingId, ProjectId, RunId, TenantId},
    port::{LandingFilter, Landings, LandingsError, Listing, Page, StoreError},
    time::Timestamp,
    workspace::{LandingRow, LandingState, LandingTarget},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Keeps queues as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryLandings {
    kept: Mutex<Kept>,
}

#[derive(Debug, Clone, Default)]
struct Kept {
    /// In the order in which they came.
    rows: Vec<Entry>,
    epochs: BTreeMap<LandingTarget, Epoch>,
    /// How many have been settled.
    settled: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    row: LandingRow,
    /// Its place among those that are settled.
    settled: Option<u64>,
}

impl Kept {
    fn find(&mut self, id: &LandingId) -> Result<&mut Entry, LandingsError> {
        let found = self.rows.iter_mut().find(|entry| entry.row.id == *id);
        found.ok_or_else(|| LandingsError::Unknown(id.clone()))
    }

    /// What is for `target`, with that id.
    fn find_for(
        &mut self,
        target: &LandingTarget,
        id: &LandingId,
    ) -> Result<&mut Entry, LandingsError> {
        let found = self.find(id)?;
        if found.row.target == *target {
            Ok(found)
        } else {
            Err(LandingsError::Unknown(id.clone()))
        }
    }

    fn check(&self, target: &LandingTarget, named: Epoch) -> Result<(), LandingsError> {
        let actual = self.epochs.get(target).copied().unwrap_or_default();
        if actual == named {
            return Ok(());
        }
        Err(LandingsError::Fenced { target: target.clone(), named, actual })
    }

    /// Gives a place to what is settled and has none.
    fn place(&mut self) {
        for entry in &mut self.rows {
            if entry.row.state.is_open() {
                entry.settled = None;
            } else if entry.settled.is_none() {
                self.settled += 1;
                entry.settled = Some(self.settled);
            }
        }
    }
}

impl MemoryLandings {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change as a whole, or not at all.
    fn change<T>(
        &self,
        work: impl FnOnce(&mut Kept) -> Result<T, LandingsError>,
    ) -> Result<T, LandingsError> {
        let mut kept = self.kept();
        let mut changed = kept.clone();
        let value = work(&mut changed)?;
        changed.place();
        *kept = changed;
        Ok(value)
    }
}

#[async_trait]
impl Landings for MemoryLandings {
    async fn enqueue(&self, row: LandingRow) -> Result<LandingRow, LandingsError> {
        self.change(|kept| {
            let there = kept.rows.iter().find(|entry| entry.row.is_same(&row));
            if let Some(there) = there.or(kept.rows.iter().find(|entry| entry.row.id == row.id)) {
                return Ok(there.row.clone());
            }
            kept.rows.push(Entry { row: row.clone(), settled: None });
            Ok(row)
        })
    }

    async fn landing(&self, id: &LandingId) -> Result<Option<LandingRow>, LandingsError> {
        Ok(self.kept().find(id).ok().map(|entry| entry.row.clone()))
    }

    async fn waiting(&self, target: &LandingTarget) -> Result<Vec<LandingRow>, LandingsError> {
        let kept = self.kept();
        let open = kept.rows.iter().map(|entry| &entry.row);
        let open = open.filter(|row| row.target == *target && row.state.is_open());
        let mut open: Vec<LandingRow> = open.cloned().collect();
        open.sort_by_key(LandingRow::urgency);
        Ok(open)
    }

    async fn targets(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
    ) -> Result<Vec<LandingTarget>, LandingsError> {
        let kept = self.kept();
        let open = kept.rows.iter().map(|entry| &entry.row).filter(|row| row.state.is_open());
        let open = open.map(|row| &row.target);
        let open = open.filter(|target| target.tenant == *tenant && target.project == *project);
        Ok(open.collect::<BTreeSet<_>>().into_iter().cloned().collect())
    }

    async fn settled(
        &self,
        filter: &LandingFilter,
        page: &Page,
    ) -> Result<Listing<LandingRow>, LandingsError> {
        let from = match &page.cursor {
            None => u64::MAX,
            Some(text) => text.parse().map_err(|_| {
                StoreError::Damaged(
                    "this is not a cursor of this list; begin again without a cursor".into(),
                )
            })?,
        };
        let kept = self.kept();
        let mut found: Vec<(u64, &LandingRow)> = kept
            .rows
            .iter()
            .filter_map(|entry| Some((entry.settled?, &entry.row)))
            .filter(|(place, row)| *place < from && shows(filter, row))
            .collect();
        found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = found.last().filter(|_| more).map(|(place, _)| place.to_string());
        Ok(Listing { items: found.into_iter().map(|(_, row)| row.clone()).collect(), next })
    }

    async fn again(&self, id: &LandingId, at: Timestamp) -> Result<LandingRow, LandingsError> {
        self.change(|kept| {
            let entry = kept.find(id)?;
            entry.row.again(at);
            Ok(entry.row.clone())
        })
    }

    async fn withdraw(&self, id: &LandingId, at: Timestamp) -> Result<LandingRow, LandingsError> {
        self.change(|kept| {
            let entry = kept.find(id)?;
            entry.row.withdraw(at);
            Ok(entry.row.clone())
        })
    }

    async fn requested(
        &self,
        id: &LandingId,
        url: &str,
        number: Option<u64>,
    ) -> Result<LandingRow, LandingsError> {
        self.change(|kept| {
            let entry = kept.find(id)?;
            match entry.row.requested(url, number) {
                true => Ok(entry.row.clone()),
                false => Err(settled(&entry.row, "requested")),
            }
        })
    }

    async fn take(&self, target: &LandingTarget) -> Result<Epoch, LandingsError> {
        self.change(|kept| {
            let entries = kept.rows.iter_mut().filter(|entry| entry.row.target == *target);
            entries.for_each(|entry| entry.row.put_back());
            let epoch = kept.epochs.entry(target.clone()).or_default();
            *epoch = epoch.next();
            Ok(*epoch)
        })
    }

    async fn test(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        batch: &str,
        work: &[(LandingId, CommitId)],
    ) -> Result<(), LandingsError> {
        self.change(|kept| {
            kept.check(target, epoch)?;
            for (id, candidate) in work {
                let entry = kept.find_for(target, id)?;
                if !entry.row.test(batch, candidate) {
                    return Err(settled(&entry.row, "testing"));
                }
            }
            Ok(())
        })
    }

    async fn settle(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        work: &[(LandingId, LandingState)],
        at: Timestamp,
    ) -> Result<(), LandingsError> {
        self.change(|kept| {
            kept.check(target, epoch)?;
            for (id, state) in work {
                let entry = kept.find_for(target, id)?;
                if !entry.row.settle(state, at) {
                    return Err(settled(&entry.row, state.as_str()));
                }
                kept.place();
            }
            Ok(())
        })
    }

    async fn landed(
        &self,
        target: &LandingTarget,
        run: &RunId,
    ) -> Result<Vec<LandingRow>, LandingsError> {
        let kept = self.kept();
        let mut found: Vec<&Entry> = kept
            .rows
            .iter()
            .filter(|entry| entry.row.target == *target && entry.row.run == *run)
            .filter(|entry| entry.row.is_to_undo())
            .collect();
        found.sort_by_key(|entry| entry.settled);
        Ok(found.into_iter().map(|entry| entry.row.clone()).collect())
    }

    async fn reverted(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        work: &[(LandingId, CommitId)],
    ) -> Result<(), LandingsError> {
        self.change(|kept| {
            kept.check(target, epoch)?;
            for (id, commit) in work {
                kept.find_for(target, id)?.row.reverted = Some(commit.clone());
            }
            Ok(())
        })
    }

    async fn forget_landings(
        &self,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, LandingsError> {
        let mut kept = self.kept();
        let goes = |entry: &Entry| entry.row.settled_at.is_some_and(|at| at < before);
        let count = kept.rows.iter().filter(|entry| goes(entry)).count();
        if !dry_run {
            kept.rows.retain(|entry| !goes(entry));
        }
        Ok(count as u64)
    }
}

fn settled(row: &LandingRow, wanted: &'static str) -> LandingsError {
    LandingsError::Settled { id: row.id.clone(), state: row.state.as_str(), wanted }
}

fn shows(filter: &LandingFilter, row: &LandingRow) -> bool {
    filter.tenant.as_ref().is_none_or(|tenant| *tenant == row.target.tenant)
        && filter.project.as_ref().is_none_or(|project| *project == row.target.project)
        && filter.branch.as_ref().is_none_or(|branch| *branch == row.target.branch)
        && filter.run.as_ref().is_none_or(|run| *run == row.run)
}
