//! The port of kept answers, in the store on this machine.

use crate::{local::LocalStore, read, record::to_json, write};
use async_trait::async_trait;
use orchestrator_core::{
    id::CacheKey,
    port::{KeptResponse, MAX_RESPONSE, Responses, StoreError},
    time::Timestamp,
};
use rusqlite::Connection;

#[async_trait]
impl Responses for LocalStore {
    async fn response(
        &self,
        key: &CacheKey,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>, StoreError> {
        let key = key.clone();
        let look = move |conn: &Connection| read::response(conn, &key, now);
        self.readers().read("look for an answer", look).await
    }

    async fn keep_response(&self, response: KeptResponse) -> Result<(), StoreError> {
        let bytes = response.body.to_string().len();
        if bytes > MAX_RESPONSE {
            return Ok(());
        }
        let body = to_json(&response, "a model's answer")?;
        let work = move |conn: &Connection| write::keep_response(conn, &response, bytes, &body);
        self.writer().write("keep an answer", work).await
    }

    async fn forget_responses(&self, before: Timestamp, dry_run: bool) -> Result<u64, StoreError> {
        if dry_run {
            let count = move |conn: &Connection| read::count_responses(conn, before);
            return self.readers().read("count answers", count).await;
        }
        let work = move |conn: &Connection| write::forget_responses(conn, before);
        self.writer().write("forget answers", work).await
    }
}
