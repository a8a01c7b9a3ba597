//! Telemetry: traces, metrics and a log, each only where settings ask for it.
//!
//! Nothing leaves the process unless an endpoint is set, and prompts and answers never do. See
//! `docs/telemetry.md` for what is told.

mod book;
mod context;
mod export;
mod file;
mod log;
mod measured;
mod metrics;
mod observe;
mod prometheus;
mod settings;
mod spans;
mod standings;
mod traces;

pub use context::Sampling;
pub use file::LogFile;
pub use log::{LogConfig, LogFormat, Notice};
pub use observe::Telemetry;
pub(crate) use standings::Books;

use crate::{KnownSecrets, ServiceError};
use export::Lost;
use metrics::Instruments;
use observe::{Counted, Scraped};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::{
    Resource,
    metrics::{ManualReader, PeriodicReader, SdkMeterProvider},
    trace::{BatchSpanProcessor, SpanProcessor as _},
};
use spans::Spans;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use traces::{Farewell, Traces};
use tracing::{Dispatch, Level, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{Targets, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt,
};

/// The prefix of the names of this program's crates.
const OURS: &str = "orchestrator";

/// How long the last traces and metrics together may take to be delivered at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is told to whom.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// How much the log for people says: 0 nothing, 1 what happens, 2 details, 3 everything.
    pub verbosity: u8,
    /// Where traces go: the whole address at an OTLP/HTTP collector.
    pub traces: Option<String>,
    /// Where metrics go: as for traces.
    pub metrics: Option<String>,
    /// Which traces are kept.
    pub sampling: Sampling,
    /// The value of `TRACEPARENT` that the process was started with.
    pub surroundings: Option<String>,
    /// Where metrics can be asked for while runs are driven, in the text format of Prometheus.
    pub listen: Option<SocketAddr>,
    /// Whether other machines may ask there.
    pub anywhere: bool,
    /// The file that metrics are written to in that format.
    pub file: Option<PathBuf>,
    /// Whether somebody else asks for metrics: the gateway's front, or the embedding program.
    pub asked: bool,
    /// The log file.
    pub log: Option<LogConfig>,
    /// Who is told, once each, of what does not work and does not stop anything.
    pub notice: Notice,
}

impl TelemetryConfig {
    /// Whether anything is to be told to anybody.
    pub fn is_on(&self) -> bool {
        self.verbosity > 0 || self.observes()
    }

    fn counts(&self) -> bool {
        self.metrics.is_some() || self.listen.is_some() || self.file.is_some() || self.asked
    }

    fn observes(&self) -> bool {
        self.traces.is_some() || self.counts() || self.log.is_some()
    }
}

/// Keeps telemetry going; dropping it delivers what is left, for at most two seconds.
#[derive(Debug, Default)]
pub struct Guard {
    telemetry: Option<Telemetry>,
    runtime: Option<Runtime>,
    lost: Lost,
}

impl Guard {
    /// What observes runs, to be handed to the service with
    /// [`OrchestratorService::observed_by`](crate::OrchestratorService::observed_by).
    pub fn telemetry(&self) -> Option<Telemetry> {
        self.telemetry.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(telemetry) = self.telemetry.take() {
            let until = Instant::now() + FAREWELL;
            let aside = telemetry.clone();
            // Both at once, so that one that hangs does not take the other's time.
            let counted = thread::spawn(move || aside.close_metrics(FAREWELL));
            let mut is_late = telemetry.close_traces(FAREWELL) == Farewell::Late;
            while !counted.is_finished() && Instant::now() < until {
                thread::park_timeout(Duration::from_millis(5));
            }
            is_late |= !counted.is_finished();
            if is_late && self.runtime.is_some() {
                let patience = FAREWELL.as_secs();
                self.lost.tell(&format!("the collector did not answer within {patience} seconds"));
            }
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Sets telemetry up for the whole process, with the log for people going to `writer`. Secrets in
/// `known` are hidden in the log file; `writer` hides its own.
///
/// # Errors
/// An endpoint that cannot be used, or telemetry that is set up already.
pub fn init<W>(
    config: &TelemetryConfig,
    known: &KnownSecrets,
    writer: W,
) -> Result<Guard, ServiceError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (dispatch, guard) = build(config, known, writer)?;
    tracing::dispatcher::set_global_default(dispatch)
        .map_err(|error| ServiceError::Telemetry(error.to_string()))?;
    Ok(guard)
}

/// The same, to be set up by the caller for a part of the process.
///
/// # Errors
/// An endpoint that cannot be used.
pub fn build<W>(
    config: &TelemetryConfig,
    known: &KnownSecrets,
    writer: W,
) -> Result<(Dispatch, Guard), ServiceError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (ours, others) = match config.verbosity {
        0 => (LevelFilter::OFF, LevelFilter::OFF),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let people = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .with_filter(Targets::new().with_default(others).with_target(OURS, ours));
    let (guard, traces, counted) = observers(config)?;
    let log = config.log.as_ref().map(|log| log::layer(log, known, traces.clone(), &config.notice));
    // The log file names runs and traces by what is kept here.
    let spans = config.observes().then(|| {
        let metrics = counted.as_ref().map(|counted| counted.instruments.clone());
        Spans { traces, metrics }.with_filter(filter_fn(|of| {
            of.is_span() && of.target().starts_with(OURS) && *of.level() <= Level::INFO
        }))
    });
    let subscriber = tracing_subscriber::registry().with(spans).with(log).with(people);
    Ok((Dispatch::new(subscriber), guard))
}

type Observers = (Guard, Option<Arc<Traces>>, Option<Arc<Counted>>);

/// What observes runs, as far as it is asked for.
fn observers(config: &TelemetryConfig) -> Result<Observers, ServiceError> {
    if !config.observes() {
        return Ok((Guard::default(), None, None));
    }
    let is_sent = config.traces.is_some() || config.metrics.is_some();
    let runtime = if is_sent { Some(export::runtime()?) } else { None };
    let lost = Lost::new(config.notice.clone());
    let resource = resource();
    let mut traces = None;
    if let (Some(endpoint), Some(runtime)) = (&config.traces, &runtime) {
        let exporter = export::spans(endpoint, runtime.handle(), &lost)?;
        let mut out = BatchSpanProcessor::builder(exporter).build();
        out.set_resource(&resource);
        let around = config.surroundings.as_deref().and_then(context::read_traceparent);
        traces = Some(Arc::new(Traces::new(out, config.sampling.clone(), around)));
    }
    let mut counted = None;
    if config.counts() {
        let mut provider = SdkMeterProvider::builder().with_resource(resource);
        if let (Some(endpoint), Some(runtime)) = (&config.metrics, &runtime) {
            let exporter = export::metrics(endpoint, runtime.handle(), &lost)?;
            provider = provider.with_reader(PeriodicReader::builder(exporter).build());
        }
        let is_scraped = config.listen.is_some() || config.file.is_some() || config.asked;
        let scraped = is_scraped.then(|| Scraped::new(ManualReader::builder().build()));
        if let Some(scraped) = &scraped {
            provider = provider.with_reader(scraped.clone());
        }
        let provider = provider.build();
        let snapshot = Arc::default();
        let instruments = Arc::new(Instruments::new(&provider.meter(OURS), &snapshot));
        counted = Some(Arc::new(Counted { instruments, provider, scraped, snapshot }));
    }
    let telemetry = Telemetry::new(config, traces.clone(), counted.clone());
    let guard = Guard { telemetry: Some(telemetry), runtime, lost };
    Ok((guard, traces, counted))
}

/// What telemetry is of: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win.
fn resource() -> Resource {
    let found = Resource::builder();
    let name = opentelemetry::Key::from_static_str("service.name");
    let named = Resource::builder().build().get(&name).map(|name| name.to_string());
    let found = match named {
        Some(named) if !named.starts_with("unknown_service") => found,
        _ => found.with_service_name(OURS),
    };
    found
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}
