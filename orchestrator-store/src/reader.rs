//! Readers: a few connections beside the writer, opened when they are first needed.

use crate::{
    error::{Fault, from_sqlite},
    open,
};
use orchestrator_core::port::StoreError;
use rusqlite::Connection;
use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

/// The most reads at once.
const CONNECTIONS: usize = 4;

/// A pool of connections that can only read.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    patience: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(file: PathBuf, patience: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        Self { shared: Arc::new(Shared { file, patience, idle: Mutex::default() }), permits }
    }

    /// How long a lock of another process is waited for.
    pub(crate) fn patience(&self) -> Duration {
        self.shared.patience
    }

    /// Runs `work` on a thread that may block, within one transaction: all that it reads is of
    /// one moment. `action` says what for, if it fails.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        action: impl fmt::Display + Send + 'static,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = |why: &dyn fmt::Display| StoreError::Unavailable {
            action: "read the store".into(),
            reason: format!("the thread that reads has stopped: {why}"),
        };
        let shared = Arc::clone(&self.shared);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|closed| stopped(&closed))?;
        let read = tokio::task::spawn_blocking(move || {
            let result = shared.read(action, work);
            // The permit goes along: a caller that gives up does not free the connection's place.
            drop(permit);
            result
        });
        read.await.unwrap_or_else(|failed| Err(stopped(&failed)))
    }
}

impl Shared {
    fn read<T>(
        &self,
        action: impl fmt::Display,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => open::reader(&self.file, self.patience)?,
        };
        let result = within(&conn, work);
        let result = result.map_err(|fault| match fault {
            Fault::Refused(error) => error,
            Fault::Sql(error) => from_sqlite(&self.file, action, &error),
        });
        if conn.is_autocommit() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < CONNECTIONS {
                idle.push(conn);
            }
        }
        result
    }
}

fn within<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = conn.unchecked_transaction()?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}
