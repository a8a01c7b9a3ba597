//! The ledger in the same database as the log: each reservation is one transaction of the writer.

mod book;
mod call;

use crate::{error::Fault, local::LocalStore};
use async_trait::async_trait;
use book::{chain, standings};
use orchestrator_core::{
    id::{OwnerId, RunId},
    ledger::{Payer, Rule, Scope, Standing, Sums},
    port::{CallRecord, CallState, HoldId, Ledger, LedgerError, Reserve, Settlement},
    time::Timestamp,
};
use rusqlite::Connection;
use std::{collections::BTreeMap, sync::Arc};

pub(crate) use book::forget_run;
pub(crate) use call::forget;

#[async_trait]
impl Ledger for LocalStore {
    async fn reserve(&self, request: Arc<Reserve>) -> Result<Vec<Standing>, LedgerError> {
        let action = format!("reserve `{}` in the ledger", request.hold);
        self.writer().write(action, move |conn| call::reserve(conn, &request)).await?
    }

    async fn settle(&self, hold: &HoldId, end: Settlement) -> Result<(), LedgerError> {
        let (action, hold) = (format!("settle `{hold}` in the ledger"), hold.clone());
        // What is held until then holds others up a little longer, and nobody spends too much.
        self.writer().write_with_others(action, move |conn| call::settle(conn, &hold, end)).await?
    }

    async fn renew(&self, owner: &OwnerId, expires: Timestamp) -> Result<(), LedgerError> {
        let (action, owner) =
            (format!("renew the lease of `{owner}` in the ledger"), owner.clone());
        let work = move |conn: &Connection| call::renew(conn, &owner, expires);
        Ok(self.writer().write(action, work).await?)
    }

    async fn expire(&self, dead: Option<&OwnerId>, now: Timestamp) -> Result<u64, LedgerError> {
        let dead = dead.cloned();
        let work = move |conn: &Connection| call::expire(conn, dead.as_ref(), now);
        Ok(self.writer().write("expire reservations in the ledger", work).await?)
    }

    async fn owners(&self) -> Result<Vec<OwnerId>, LedgerError> {
        let work = |conn: &Connection| call::owners(conn);
        Ok(self.readers().read("list the owners of reservations", work).await?)
    }

    async fn restart_window(&self, scope: &Scope, at: Timestamp) -> Result<(), LedgerError> {
        let key = scope.key();
        let action = format!("restart the window of {scope} in the ledger");
        let work = move |conn: &Connection| book::restart_window(conn, &key, at);
        Ok(self.writer().write(action, work).await?)
    }

    async fn standings(
        &self,
        payer: &Payer,
        rules: &[Rule],
        now: Timestamp,
    ) -> Result<Vec<Standing>, LedgerError> {
        let (payer, rules) = (payer.clone(), rules.to_vec());
        let work = move |conn: &Connection| {
            let runs = chain(conn, payer.run.as_ref())?;
            standings(conn, &payer, &runs, &rules, now)
        };
        Ok(self.readers().read("read the ledger", work).await?)
    }

    async fn sums(&self, scope: &Scope, since: Timestamp) -> Result<(Sums, Sums), LedgerError> {
        let (key, from) = (scope.key(), scope.period(since));
        let work = move |conn: &Connection| -> Result<_, Fault> { book::sums(conn, &key, from) };
        Ok(self.readers().read("read the ledger", work).await?)
    }

    async fn tally(
        &self,
        run: Option<&RunId>,
    ) -> Result<BTreeMap<CallState, (u64, Sums)>, LedgerError> {
        let run = run.cloned();
        let work = move |conn: &Connection| call::tally(conn, run.as_ref());
        Ok(self.readers().read("count the calls of the ledger", work).await?)
    }

    async fn calls(
        &self,
        run: Option<&RunId>,
        after: Option<&HoldId>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, LedgerError> {
        let (run, after) = (run.cloned(), after.cloned());
        let work = move |conn: &Connection| call::list(conn, run.as_ref(), after.as_ref(), limit);
        Ok(self.readers().read("list the calls of the ledger", work).await?)
    }
}
