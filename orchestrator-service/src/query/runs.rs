//! Runs: lists, details, what is going on.

use super::RunQuery;
use crate::{
    OrchestratorService, ServiceError,
    clock::now,
    owner::Holder,
    service::Opened,
    views::{List, RunDetails, RunView, StatusView, TaskView},
};
use orchestrator_core::{
    id::{AgentName, Sequence},
    port::{Lease, Page, RunFilter, RunRow},
    run::RunStatus,
    task::TaskStatus,
    time::Timestamp,
    workflow::did_you_mean,
};
use serde_json::Value;

/// The status of a run whose log is open and which nobody drives.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// The status of a run that waits for people alone, whether or not somebody drives it.
pub(crate) const WAITING: &str = "waiting";

/// The items of a page when no number is given.
pub(super) const PAGE: usize = 50;
/// The most items of a page.
pub(super) const LARGEST_PAGE: usize = 1_000;

/// How many ended runs the status shows.
const RECENT: usize = 5;

/// How a run is shown: what its row says, and whether somebody drives it.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The status of its row, or [`INTERRUPTED`].
    pub(crate) status: &'static str,
    /// Until when the time of what is open counts.
    pub(crate) until: Timestamp,
    /// Who drives it.
    driver: Option<String>,
}

impl Standing {
    /// That of a run which was driven here and has ended at `until`.
    pub(crate) fn ended(row: &RunRow, until: Timestamp) -> Self {
        Self { status: row.status.as_str(), until, driver: None }
    }

    /// Whether somebody drives it.
    pub(crate) fn is_driven(&self) -> bool {
        self.driver.is_some()
    }

    /// The status of a part of the run whose row says `stored`: nothing runs in a run that nobody
    /// drives.
    pub(crate) fn of_part(&self, stored: &'static str) -> &'static str {
        let is_cut_off = self.status == INTERRUPTED && stored == TaskStatus::Running.as_str();
        if is_cut_off { INTERRUPTED } else { stored }
    }
}

/// Where an open run stands with its driver.
pub(crate) enum Driver {
    /// This process or another living one drives it.
    Alive(Lease),
    /// Nobody drives it.
    Nobody(Option<Lease>),
}

impl OrchestratorService {
    /// A page of runs.
    ///
    /// # Errors
    /// An unknown status or agent name, a bad cursor, an unusable store.
    pub async fn runs(&self, query: &RunQuery) -> Result<List<RunView>, ServiceError> {
        let mut list = List { schema: "orchestrator.runs/v1", items: Vec::new(), next: None };
        let filter = RunFilter {
            status: stored_statuses(&query.status)?,
            agent: query.agent.as_deref().map(agent_name).transpose()?,
            since: query.since,
            search: query.search.clone(),
            ..RunFilter::default()
        };
        let Some(opened) = self.store_if_any()? else { return Ok(list) };
        let limit = page_limit(query.limit);
        list.next.clone_from(&query.cursor);
        // `interrupted` is not stored: pages are read on until enough of what fits was found.
        loop {
            let page = Page { limit: limit - list.items.len(), cursor: list.next.take() };
            let part = opened
                .catalog()
                .runs(&filter, &page)
                .await
                .map_err(|e| cursor(opened, &page, e))?;
            list.next = part.next;
            for row in &part.items {
                let view = self.view(opened, row).await?;
                if query.status.is_empty() || query.status.contains(&view.status) {
                    list.items.push(view);
                }
            }
            if list.items.len() >= limit || list.next.is_none() {
                return Ok(list);
            }
        }
    }

    /// Everything about one run: an id, a unique start of one, or `latest`.
    ///
    /// # Errors
    /// An unknown run.
    pub async fn run(&self, run: &str) -> Result<RunDetails, ServiceError> {
        let (opened, row) = self.find_run(run).await?;
        self.details(opened, &row).await
    }

    /// What runs now, and what ended last.
    ///
    /// # Errors
    /// An unusable store.
    pub async fn status(&self) -> Result<StatusView, ServiceError> {
        let mut status = StatusView {
            schema: "orchestrator.status/v1",
            project: self.project().display().to_string(),
            open: Vec::new(),
            recent: Vec::new(),
        };
        let Some(opened) = self.store_if_any()? else { return Ok(status) };
        let (open, over): (Vec<_>, Vec<_>) =
            RunStatus::ALL.into_iter().partition(|status| !status.is_final());
        let read = async |statuses: Vec<RunStatus>, limit: usize| {
            let filter = RunFilter { status: statuses, ..RunFilter::default() };
            let page = Page { limit, cursor: None };
            let runs = opened.catalog().runs(&filter, &page).await;
            runs.map(|runs| runs.items).map_err(|e| opened.failed(e))
        };
        for row in read(open, LARGEST_PAGE).await? {
            status.open.push(self.details(opened, &row).await?);
        }
        for row in read(over, RECENT).await? {
            status.recent.push(self.view(opened, &row).await?);
        }
        Ok(status)
    }

    async fn details(&self, opened: &Opened, row: &RunRow) -> Result<RunDetails, ServiceError> {
        let created = opened.created(&row.id).await?;
        let standing = self.standing(opened, row).await?;
        let tasks = opened.all_tasks(&row.id).await?;
        Ok(RunDetails {
            schema: "orchestrator.run/v1",
            run: RunView::new(row, standing.status, standing.until),
            inputs: Value::clone(&created.inputs),
            mode: created.workflow.mode.as_str().to_owned(),
            max_parallel: created.max_parallel,
            items: tasks.iter().map(|task| TaskView::new(task, &standing)).collect(),
            driver: standing.driver,
            forecast: opened.forecast(&row.id).await?,
            landed: opened.landed(&row.id, &opened.specs(&created).await?).await?,
        })
    }

    pub(crate) async fn view(
        &self,
        opened: &Opened,
        row: &RunRow,
    ) -> Result<RunView, ServiceError> {
        let standing = self.standing(opened, row).await?;
        Ok(RunView::new(row, standing.status, standing.until))
    }

    /// How the run is shown at this moment.
    pub(crate) async fn standing(
        &self,
        opened: &Opened,
        row: &RunRow,
    ) -> Result<Standing, ServiceError> {
        let status = row.status.as_str();
        if row.status.is_final() {
            let until = row.ended_at.unwrap_or_else(now);
            return Ok(Standing { status, until, driver: None });
        }
        match self.driver(opened, row).await? {
            Driver::Alive(lease) => {
                Ok(Standing { status, until: now(), driver: Some(lease.owner.to_string()) })
            }
            Driver::Nobody(_) => {
                let last = Sequence(row.seq.0.saturating_sub(1));
                let last = opened.log().events(&row.id, last, 1).await;
                let last = last.map_err(|e| opened.failed(e))?;
                let until = last.last().map_or(row.created_at, |recorded| recorded.at);
                self.standing_idle(opened, row, until).await
            }
        }
    }

    /// How an open run is shown that nobody drives: paused, waiting for people, or else interrupted.
    pub(crate) async fn standing_idle(
        &self,
        opened: &Opened,
        row: &RunRow,
        until: Timestamp,
    ) -> Result<Standing, ServiceError> {
        let status = match row.status {
            RunStatus::Paused => RunStatus::Paused.as_str(),
            RunStatus::Running | RunStatus::Waiting
                if !self.asked(opened, std::slice::from_ref(row)).await?.is_empty() =>
            {
                WAITING
            }
            RunStatus::Running | RunStatus::Waiting | RunStatus::Cancelling => INTERRUPTED,
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => row.status.as_str(),
        };
        Ok(Standing { status, until, driver: None })
    }

    /// Who drives an open run.
    pub(crate) async fn driver(
        &self,
        opened: &Opened,
        row: &RunRow,
    ) -> Result<Driver, ServiceError> {
        let lease = opened.log().lease(&row.id).await.map_err(|e| opened.failed(e))?;
        Ok(match lease {
            None => Driver::Nobody(None),
            Some(lease) => match self.owner().look(&lease.owner) {
                Holder::Me | Holder::Alive(_) => Driver::Alive(lease),
                Holder::Dead => Driver::Nobody(Some(lease)),
                Holder::Elsewhere if lease.expires <= now() => Driver::Nobody(Some(lease)),
                Holder::Elsewhere => Driver::Alive(lease),
            },
        })
    }
}

/// A bad cursor is the caller's mistake, not damage.
pub(super) fn cursor(
    opened: &Opened,
    page: &Page,
    error: orchestrator_core::port::StoreError,
) -> ServiceError {
    match (&page.cursor, error) {
        (Some(cursor), orchestrator_core::port::StoreError::Damaged(_)) => ServiceError::Argument {
            what: "the cursor",
            given: cursor.chars().take(40).collect(),
            expected: "give the `next` of an earlier page".into(),
        },
        (_, error) => opened.failed(error),
    }
}

pub(super) fn page_limit(limit: usize) -> usize {
    if limit == 0 { PAGE } else { limit.min(LARGEST_PAGE) }
}

pub(super) fn agent_name(name: &str) -> Result<AgentName, ServiceError> {
    AgentName::new(name)
        .map_err(|_| ServiceError::NoSuchAgent { name: name.to_owned(), suggestion: None })
}

pub(super) fn unknown_status(given: &str, known: &[&str]) -> ServiceError {
    let hint = did_you_mean(given, known.iter().copied());
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    ServiceError::Argument {
        what: "the status",
        given: given.chars().take(40).collect(),
        expected: format!("it is one of {}{hint}", known.join(", ")),
    }
}

/// The stored statuses that runs shown under `wanted` can have.
fn stored_statuses(wanted: &[String]) -> Result<Vec<RunStatus>, ServiceError> {
    let mut stored = Vec::new();
    for name in wanted {
        match RunStatus::from_name(name) {
            Some(status) => {
                stored.push(status);
                // A run whose child waits for a person is shown as one that waits.
                if status == RunStatus::Waiting {
                    stored.push(RunStatus::Running);
                }
            }
            None if name == INTERRUPTED => {
                stored.extend(RunStatus::ALL.into_iter().filter(|status| !status.is_final()));
            }
            None => {
                let known = RunStatus::ALL.iter().map(|status| status.as_str());
                let known: Vec<&str> = known.chain([INTERRUPTED]).collect();
                return Err(unknown_status(name, &known));
            }
        }
    }
    stored.sort_unstable();
    stored.dedup();
    Ok(stored)
}
