//! What observes runs and the gateway's front.

use super::{
    Books, Notice, TelemetryConfig,
    book::{Book, Sinks, When},
    context,
    measured::Measured,
    metrics::Instruments,
    prometheus,
    standings::Snapshot,
    traces::{Farewell, Traces},
};
use crate::config::write_atomically;
use async_trait::async_trait;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality,
        data::ResourceMetrics, reader::MetricReader,
    },
};
use orchestrator_core::{
    event::Recorded,
    id::RunId,
    port::{Assignment, Observer, Rows, Store},
};
use orchestrator_gateway::front::{FrontEvent, FrontObserver, Page, PageServer, Reach, SettledAs};
use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{task::JoinHandle, time::sleep};

/// How often what is looked up is looked up, and the file is written.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Observes the runs of a process: a cheap handle, clones share one.
///
/// It never waits, and nothing that goes wrong in it reaches a run.
#[derive(Debug, Clone)]
pub struct Telemetry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    traces: Option<Arc<Traces>>,
    counted: Option<Arc<Counted>>,
    runs: Mutex<BTreeMap<RunId, Book>>,
    listen: Option<SocketAddr>,
    reach: Reach,
    file: Option<PathBuf>,
    notice: Notice,
    /// Whether it was told that the file cannot be written.
    failed: Mutex<bool>,
    /// What is looked up while runs are driven, and what does so.
    books: Mutex<Option<Books>>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// The instruments, and who reads them.
pub(super) struct Counted {
    pub(super) instruments: Arc<Instruments>,
    pub(super) provider: SdkMeterProvider,
    pub(super) scraped: Option<Scraped>,
    pub(super) snapshot: Arc<Mutex<Snapshot>>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("scraped", &self.scraped).finish_non_exhaustive()
    }
}

/// A reader that is asked: the SDK keeps one end, the page has the other.
#[derive(Debug, Clone)]
pub(super) struct Scraped(Arc<ManualReader>);

impl Scraped {
    pub(super) fn new(reader: ManualReader) -> Self {
        Self(Arc::new(reader))
    }
}

impl MetricReader for Scraped {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

impl Telemetry {
    pub(super) fn new(
        config: &TelemetryConfig,
        traces: Option<Arc<Traces>>,
        counted: Option<Arc<Counted>>,
    ) -> Self {
        let inner = Inner {
            traces,
            counted,
            runs: Mutex::default(),
            listen: config.listen,
            reach: if config.anywhere { Reach::Anywhere } else { Reach::Loopback },
            file: config.file.clone(),
            notice: config.notice.clone(),
            failed: Mutex::default(),
            books: Mutex::default(),
            task: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn sinks(&self) -> Sinks<'_> {
        let metrics = self.inner.counted.as_ref().map(|counted| &*counted.instruments);
        Sinks { traces: self.inner.traces.as_deref(), metrics }
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<RunId, Book>> {
        self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, run: &RunId, events: &[Recorded], when: When) {
        let sinks = self.sinks();
        let Some(first) = events.first() else { return };
        let mut runs = self.runs();
        if !runs.contains_key(run) {
            if let Some(metrics) = sinks.metrics {
                metrics.runs_are(1);
            }
            runs.insert(run.clone(), Book::new(run, first.at));
        }
        let Some(book) = runs.get_mut(run) else { return };
        let has_ended = events.iter().fold(false, |_, event| book.take(event, when, sinks));
        if has_ended {
            runs.remove(run);
            if let Some(metrics) = sinks.metrics {
                metrics.runs_are(-1);
            }
            if let Some(traces) = sinks.traces {
                traces.forget(run);
            }
        }
    }

    /// Takes in what the log of a run holds that is about to be taken up. Returns its children that
    /// were under way.
    pub(crate) fn remember(&self, run: &RunId, events: &[Recorded]) -> Vec<RunId> {
        self.take(run, events, When::Before);
        let runs = self.runs();
        runs.get(run).map(|book| book.children().cloned().collect()).unwrap_or_default()
    }

    /// Whether that run's story is known.
    pub(crate) fn knows(&self, run: &RunId) -> bool {
        self.runs().contains_key(run)
    }

    /// The variables that tell a program of an attempt in which span it works: `TRACEPARENT`.
    pub(crate) fn variables(&self, of: &Assignment) -> Vec<(String, String)> {
        let Some(traces) = &self.inner.traces else { return Vec::new() };
        let context = traces.attempt(&of.run, &of.task, of.attempt);
        vec![("TRACEPARENT".to_owned(), context::traceparent(&context))]
    }

    /// `store`, with the time of its commits taken where metrics are.
    pub(crate) fn measured(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match &self.inner.counted {
            Some(counted) => {
                Arc::new(Measured::new(store, self.clone(), counted.instruments.clone()))
            }
            None => store,
        }
    }

    /// These rows of `run` are durable: they say what holds tasks up.
    pub(super) fn written(&self, run: &RunId, rows: &Rows) {
        let Some(metrics) = self.sinks().metrics else { return };
        if let Some(book) = self.runs().get_mut(run) {
            for row in &rows.tasks {
                book.hold(&row.name, row.held_up.as_ref(), metrics);
            }
        }
    }

    /// Begins to look `books` up and to answer whoever asks for metrics, for as long as the runtime
    /// around it lives. An address or a file that cannot be had is told, and nothing else stops.
    pub(crate) async fn attend(&self, books: Books) {
        if self.inner.counted.is_none() {
            return;
        }
        *self.inner.books.lock().unwrap_or_else(PoisonError::into_inner) = Some(books);
        let mut task = self.inner.task.lock().await;
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            let (this, server) = (self.clone(), self.server().await);
            *task = Some(tokio::spawn(async move { this.keep_on(server).await }));
        }
    }

    /// Whoever answers those who ask for metrics, where that is wanted and can be.
    async fn server(&self) -> Option<PageServer> {
        let (address, page) = (self.inner.listen?, self.page()?);
        match PageServer::bind(address, self.inner.reach, "/metrics", page).await {
            Ok(server) => Some(server),
            Err(error) => {
                self.inner.notice.tell(&format!("metrics are not served: {error}"));
                None
            }
        }
    }

    async fn keep_on(&self, server: Option<PageServer>) {
        let answering = async {
            if let Some(server) = server {
                server.serve(std::future::pending()).await;
            }
        };
        let writing = async {
            loop {
                self.look_up().await;
                self.write();
                sleep(LOOK_AGAIN).await;
            }
        };
        tokio::join!(answering, writing);
    }

    /// Looks everything up once more: what follows is the last that is read.
    pub(crate) async fn settle(&self) {
        self.look_up().await;
        self.write();
    }

    async fn look_up(&self) {
        let books = self.inner.books.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some(books), Some(counted)) = (books, &self.inner.counted) {
            books.look(&counted.snapshot).await;
        }
    }

    /// Writes the file, if there is one. Whoever reads it sees all of it or what it was before.
    fn write(&self) {
        // One at a time: the text is written aside first.
        let mut has_failed = self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(file), Some(text)) = (&self.inner.file, self.text()) else { return };
        if let Err(error) = write_atomically(file, text.as_bytes())
            && !std::mem::replace(&mut *has_failed, true)
        {
            let file = file.display();
            self.inner.notice.tell(&format!("metrics are not written to `{file}`: {error}"));
        }
    }

    fn text(&self) -> Option<String> {
        let scraped = self.inner.counted.as_ref()?.scraped.as_ref()?;
        let mut metrics = ResourceMetrics::default();
        match scraped.collect(&mut metrics) {
            Ok(()) => Some(prometheus::text(&metrics)),
            Err(error) => {
                tracing::debug!(%error, "metrics cannot be read");
                None
            }
        }
    }

    /// The page of metrics in the text format of Prometheus; `None` when nobody asked for it when
    /// telemetry was set up.
    pub fn page(&self) -> Option<Arc<dyn Page>> {
        self.inner.counted.as_ref()?.scraped.as_ref()?;
        Some(Arc::new(self.clone()))
    }

    pub(super) fn close_traces(&self, patience: Duration) -> Farewell {
        self.inner.traces.as_ref().map_or(Farewell::Said, |traces| traces.shutdown(patience))
    }

    pub(super) fn close_metrics(&self, patience: Duration) {
        if let Some(counted) = &self.inner.counted {
            let _ = counted.provider.shutdown_with_timeout(patience);
        }
    }
}

impl Observer for Telemetry {
    fn recorded(&self, run: &RunId, events: &[Recorded]) {
        self.take(run, events, When::Now);
    }
}

impl FrontObserver for Telemetry {
    fn told(&self, event: FrontEvent) {
        let Some(metrics) = self.sinks().metrics else { return };
        match event {
            FrontEvent::Refused { status, code, .. } => {
                metrics.requested("refused", Some(status), Some(code));
            }
            FrontEvent::Passed { status, .. } => metrics.requested("passed", Some(status), None),
            FrontEvent::Settled { status, spend, end, .. } => {
                let outcome = match end {
                    SettledAs::Metered => "metered",
                    SettledAs::Assumed => "assumed",
                    SettledAs::Released => "released",
                };
                metrics.requested(outcome, status, None);
                if end != SettledAs::Released {
                    metrics.spent(&[spend]);
                }
            }
            // It is counted when it has ended.
            _ => {}
        }
    }
}

#[async_trait]
impl Page for Telemetry {
    fn media_type(&self) -> &'static str {
        prometheus::MEDIA_TYPE
    }

    async fn text(&self) -> String {
        self.look_up().await;
        Telemetry::text(self).unwrap_or_default()
    }
}
