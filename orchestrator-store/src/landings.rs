//! The port of queues of branches, in the store on this machine.

use crate::{local::LocalStore, read, write};
use async_trait::async_trait;
use orchestrator_core::{
    id::{CommitId, Epoch, LandingId, ProjectId, RunId, TenantId},
    port::{LandingFilter, Landings, LandingsError, Listing, Page},
    time::Timestamp,
    workspace::{LandingRow, LandingState, LandingTarget},
};
use rusqlite::Connection;

#[async_trait]
impl Landings for LocalStore {
    async fn enqueue(&self, row: LandingRow) -> Result<LandingRow, LandingsError> {
        let action = format!("put `{}` into the queue of `{}`", row.id, row.target);
        self.writer().write(action, move |conn| write::enqueue(conn, &row)).await?
    }

    async fn landing(&self, id: &LandingId) -> Result<Option<LandingRow>, LandingsError> {
        let id = id.clone();
        let work = move |conn: &Connection| read::landing(conn, &id);
        Ok(self.readers().read("read work in a queue", work).await?)
    }

    async fn waiting(&self, target: &LandingTarget) -> Result<Vec<LandingRow>, LandingsError> {
        let (action, target) = (format!("read the queue of `{target}`"), target.clone());
        Ok(self.readers().read(action, move |conn| read::waiting(conn, &target)).await?)
    }

    async fn targets(
        &self,
        tenant: &TenantId,
        project: &ProjectId,
    ) -> Result<Vec<LandingTarget>, LandingsError> {
        let (tenant, project) = (tenant.clone(), project.clone());
        let work = move |conn: &Connection| read::targets(conn, &tenant, &project);
        Ok(self.readers().read("list the queues", work).await?)
    }

    async fn settled(
        &self,
        filter: &LandingFilter,
        page: &Page,
    ) -> Result<Listing<LandingRow>, LandingsError> {
        let (filter, page) = (filter.clone(), page.clone());
        let work = move |conn: &Connection| read::settled(conn, &filter, &page);
        Ok(self.readers().read("list what was settled", work).await?)
    }

    async fn again(&self, id: &LandingId, at: Timestamp) -> Result<LandingRow, LandingsError> {
        let (action, id) = (format!("put `{id}` into its queue again"), id.clone());
        self.writer().write(action, move |conn| write::again(conn, &id, at)).await?
    }

    async fn withdraw(&self, id: &LandingId, at: Timestamp) -> Result<LandingRow, LandingsError> {
        let (action, id) = (format!("withdraw `{id}` from its queue"), id.clone());
        self.writer().write(action, move |conn| write::withdraw(conn, &id, at)).await?
    }

    async fn requested(
        &self,
        id: &LandingId,
        url: &str,
        number: Option<u64>,
    ) -> Result<LandingRow, LandingsError> {
        let (action, id) = (format!("note the pull request of `{id}`"), id.clone());
        let url = url.to_owned();
        self.writer().write(action, move |conn| write::requested(conn, &id, &url, number)).await?
    }

    async fn take(&self, target: &LandingTarget) -> Result<Epoch, LandingsError> {
        let (action, target) = (format!("take the queue of `{target}`"), target.clone());
        self.writer().write(action, move |conn| write::take(conn, &target)).await?
    }

    async fn test(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        batch: &str,
        work: &[(LandingId, CommitId)],
    ) -> Result<(), LandingsError> {
        let (action, target) = (format!("test work for `{target}`"), target.clone());
        let (batch, work) = (batch.to_owned(), work.to_vec());
        let test = move |conn: &Connection| write::test(conn, &target, epoch, &batch, &work);
        self.writer().write(action, test).await?
    }

    async fn settle(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        work: &[(LandingId, LandingState)],
        at: Timestamp,
    ) -> Result<(), LandingsError> {
        let (action, target) = (format!("settle work for `{target}`"), target.clone());
        let work = work.to_vec();
        let settle = move |conn: &Connection| write::settle(conn, &target, epoch, &work, at);
        self.writer().write(action, settle).await?
    }

    async fn landed(
        &self,
        target: &LandingTarget,
        run: &RunId,
    ) -> Result<Vec<LandingRow>, LandingsError> {
        let (action, target) = (format!("read what run `{run}` landed"), target.clone());
        let run = run.clone();
        Ok(self.readers().read(action, move |conn| read::landed(conn, &target, &run)).await?)
    }

    async fn reverted(
        &self,
        target: &LandingTarget,
        epoch: Epoch,
        work: &[(LandingId, CommitId)],
    ) -> Result<(), LandingsError> {
        let (action, target) = (format!("record what was undone on `{target}`"), target.clone());
        let work = work.to_vec();
        let undone = move |conn: &Connection| write::reverted(conn, &target, epoch, &work);
        self.writer().write(action, undone).await?
    }

    async fn forget_landings(
        &self,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<u64, LandingsError> {
        if dry_run {
            let count = move |conn: &Connection| read::count_landings(conn, before);
            return Ok(self.readers().read("count settled work", count).await?);
        }
        let work = move |conn: &Connection| write::forget_landings(conn, before);
        Ok(self.writer().write("forget settled work", work).await?)
    }
}
