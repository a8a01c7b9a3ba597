//! The writer: one thread, one connection, many requests a commit.
//!
//! The thread takes a request, then whatever else waits already, does all of it in one transaction
//! and answers each when that is durable. It does not wait for company: a lone request costs one
//! commit and two hops between threads. A request that is refused has written nothing, so the
//! others of its group go on. When a request fails within the database instead, the group is undone
//! and each is tried alone, so that only the one at fault fails.

use crate::{
    ahead::Ahead,
    error::{Fault, from_sqlite},
    open,
};
use orchestrator_core::port::StoreError;
use rusqlite::Connection;
use std::{
    fmt,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    sync::mpsc::{self, Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// The most requests that share a commit: enough to hide its cost, few enough to answer soon.
const GROUP: usize = 1_024;

/// How long the thread looks for more before it sleeps. Whoever waits for one commit before the
/// next is usually back within this time, and waking a thread takes about as long.
const LINGER: Duration = Duration::from_micros(150);

/// How long whoever is alone looks for its answer before it sleeps: a disk that is quick has it by
/// then, and waking a sleeper would take a good part of that time again.
const LOOK: Duration = Duration::from_micros(500);

/// How long requests that may wait do so for others, to share their commit: far less than what they
/// follow has taken, and enough for whoever comes next.
const SHARE: Duration = Duration::from_millis(1);

/// After how long without work the pages of the database are given back that are kept in memory: who
/// only waits for people or for time needs none.
const IDLE: Duration = Duration::from_millis(500);

/// The sending side of the thread that writes. Dropping it waits until all is written and the
/// connection is closed, which also folds the write-ahead log into the database.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    /// How many requests wait for their answer.
    waiting: AtomicUsize,
}

/// Something to be done on the connection.
trait Job: Send {
    /// Whether it may wait a little for others.
    fn may_wait(&self) -> bool;
    /// Does it within the present transaction. May be called again after that was undone.
    fn run(&mut self, conn: &Connection) -> Result<(), rusqlite::Error>;
    /// Tells whoever asked: the outcome of the last `run`, now durable.
    fn answer(self: Box<Self>);
    /// Tells whoever asked that nothing came of it.
    fn fail(self: Box<Self>, cause: &dyn Fn(&dyn fmt::Display) -> StoreError);
}

struct Request<T, A, W> {
    may_wait: bool,
    action: A,
    work: W,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, A, W> Job for Request<T, A, W>
where
    T: Send,
    A: fmt::Display + Send,
    W: Fn(&Connection) -> Result<T, Fault> + Send,
{
    fn may_wait(&self) -> bool {
        self.may_wait
    }

    fn run(&mut self, conn: &Connection) -> Result<(), rusqlite::Error> {
        self.outcome = None;
        self.outcome = Some(match (self.work)(conn) {
            Ok(value) => Ok(value),
            Err(Fault::Refused(error)) => Err(error),
            Err(Fault::Sql(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // Whoever asked may have gone; what is written stays written.
            let _ = self.reply.send(outcome);
        }
    }

    fn fail(self: Box<Self>, cause: &dyn Fn(&dyn fmt::Display) -> StoreError) {
        let _ = self.reply.send(Err(cause(&self.action)));
    }
}

impl Writer {
    /// Starts the thread on `conn`, the connection to `file`.
    pub(crate) fn start(
        conn: Connection,
        file: PathBuf,
        patience: Duration,
    ) -> std::io::Result<Self> {
        let (queue, requests) = mpsc::channel();
        let thread = thread::Builder::new().name("orchestrator-store".into()).spawn(move || {
            let ahead = Ahead::of(&file);
            serve(&mut Target { conn, file, patience, ahead }, &requests);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), waiting: AtomicUsize::new(0) })
    }

    /// Runs `work` in a transaction with what else waits, and returns its value once that is
    /// durable. `work` may run more than once, each time on a state without its own traces, and
    /// refuses before it writes. `action` says what for, if it fails.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        action: impl fmt::Display + Send + 'static,
        work: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let waiting = Waiting::on(&self.waiting);
        let answer = self.send(false, action, work)?;
        waiting.look_for(answer).await.map_err(|_| stopped())?
    }

    /// The same for what is in no hurry: it waits up to a millisecond for another request, in whose
    /// commit it then is. It is durable on return as well.
    pub(crate) async fn write_with_others<T: Send + 'static>(
        &self,
        action: impl fmt::Display + Send + 'static,
        work: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.send(true, action, work)?.await.map_err(|_| stopped())?
    }

    fn send<T: Send + 'static>(
        &self,
        may_wait: bool,
        action: impl fmt::Display + Send + 'static,
        work: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = Box::new(Request { may_wait, action, work, outcome: None, reply });
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(request).map_err(|_| stopped())?;
        Ok(answer)
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable {
        action: "write to the store".into(),
        reason: "its writer has stopped; open the store again".into(),
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

/// One that waits for its answer, as long as this is not dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn on(all: &'a AtomicUsize) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Self(all)
    }

    /// Waits for the answer, at first without sleep.
    async fn look_for<T>(&self, mut answer: oneshot::Receiver<T>) -> Result<T, RecvError> {
        let since = Instant::now();
        while self.0.load(Ordering::Relaxed) == 1 && since.elapsed() < LOOK {
            match answer.try_recv() {
                Ok(answer) => return Ok(answer),
                Err(oneshot::error::TryRecvError::Closed) => return Err(RecvError),
                Err(oneshot::error::TryRecvError::Empty) => tokio::task::yield_now().await,
            }
        }
        answer.await.map_err(|_| RecvError)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the thread writes to.
struct Target {
    conn: Connection,
    file: PathBuf,
    patience: Duration,
    ahead: Ahead,
}

/// Serves requests until no sender is left and the queue is empty.
fn serve(target: &mut Target, requests: &Receiver<Box<dyn Job>>) {
    let mut next = requests.recv();
    while let Ok(first) = next {
        let mut group = vec![first];
        group.extend(requests.try_iter().take(GROUP - 1));
        share(&mut group, requests);
        settle(target, group);
        next = soon(requests).or_else(|_| later(target, requests));
    }
}

/// Lets a group in which nobody is in a hurry wait for somebody who is.
fn share(group: &mut Vec<Box<dyn Job>>, requests: &Receiver<Box<dyn Job>>) {
    let since = Instant::now();
    while group.len() < GROUP && group.iter().all(|job| job.may_wait()) {
        let Some(left) = SHARE.checked_sub(since.elapsed()) else { return };
        let next = soon(requests).ok().or_else(|| requests.recv_timeout(left).ok());
        let Some(next) = next else { return };
        group.push(next);
        group.extend(requests.try_iter().take(GROUP - group.len()));
    }
}

/// What comes after a while.
fn later(target: &Target, requests: &Receiver<Box<dyn Job>>) -> Result<Box<dyn Job>, RecvError> {
    match requests.recv_timeout(IDLE) {
        Ok(request) => Ok(request),
        Err(RecvTimeoutError::Disconnected) => Err(RecvError),
        Err(RecvTimeoutError::Timeout) => {
            if let Err(error) = target.conn.execute_batch("PRAGMA shrink_memory") {
                tracing::debug!(%error, "the pages in memory could not be given back");
            }
            requests.recv()
        }
    }
}

/// What comes without sleep.
fn soon(requests: &Receiver<Box<dyn Job>>) -> Result<Box<dyn Job>, TryRecvError> {
    let since = Instant::now();
    loop {
        match requests.try_recv() {
            Err(TryRecvError::Empty) if since.elapsed() < LINGER => thread::yield_now(),
            other => return other,
        }
    }
}

/// Does all of `group` in one transaction and answers, or finds the one that cannot be done.
fn settle(target: &mut Target, mut group: Vec<Box<dyn Job>>) {
    let result = attempt(target, &mut group);
    let conn = &target.conn;
    if result.is_err() && !conn.is_autocommit() {
        // SQLite undoes most failed transactions by itself; what it kept open ends here.
        if let Err(error) = conn.execute_batch("ROLLBACK") {
            tracing::error!(%error, "cannot undo a failed transaction");
        }
    }
    match result {
        Ok(()) => group.into_iter().for_each(|job| job.answer()),
        Err(Failed { by_a_request: true, .. }) if group.len() > 1 => {
            group.into_iter().for_each(|alone| settle(target, vec![alone]));
        }
        Err(Failed { error, .. }) => {
            let cause = |action: &dyn fmt::Display| from_sqlite(&target.file, action, &error);
            group.into_iter().for_each(|job| job.fail(&cause));
        }
    }
}

/// A transaction that was not committed.
struct Failed {
    error: rusqlite::Error,
    /// Whether one of its requests failed, rather than its begin or its commit.
    by_a_request: bool,
}

fn attempt(target: &mut Target, group: &mut [Box<dyn Job>]) -> Result<(), Failed> {
    let conn = &target.conn;
    let outside = |error| Failed { error, by_a_request: false };
    let statement = |sql| conn.prepare_cached(sql)?.execute([]).map(drop);
    open::patient(target.patience, || statement("BEGIN IMMEDIATE")).map_err(outside)?;
    target.ahead.keep();
    for job in group.iter_mut() {
        job.run(conn).map_err(|error| Failed { error, by_a_request: true })?;
    }
    statement("COMMIT").map_err(outside)
}
