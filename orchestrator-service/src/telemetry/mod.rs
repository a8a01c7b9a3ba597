//! Telemetry: a log for people and, only where an endpoint is set, traces over OTLP.
//!
//! Spans are `run`, within it `attempt`, within that the model calls. Nothing leaves the process
//! unless an endpoint is configured, and prompts and answers never do.

mod export;

use crate::ServiceError;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::time::Duration;
use tokio::runtime::Runtime;
use tracing::{Dispatch, Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, fmt::MakeWriter, layer::SubscriberExt};

/// The prefix of the names of this program's crates.
const OURS: &str = "orchestrator";

/// How long the last traces may take to be delivered at the end.
const FAREWELL: Duration = Duration::from_secs(3);

/// What is told to whom.
#[derive(Debug, Clone, Default)]
pub struct TelemetryConfig {
    /// How much the log says: 0 nothing, 1 what happens, 2 details, 3 everything.
    pub verbosity: u8,
    /// Where traces go: the base address of an OTLP/HTTP collector.
    pub otlp_endpoint: Option<String>,
}

/// Keeps telemetry going; dropping it delivers what is left, for at most a few seconds.
#[derive(Debug, Default)]
pub struct Guard {
    traces: Option<(SdkTracerProvider, Runtime)>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((provider, runtime)) = self.traces.take() {
            // A collector that is gone must neither delay the end nor fail it.
            let _ = provider.shutdown_with_timeout(FAREWELL);
            runtime.shutdown_background();
        }
    }
}

/// Sets telemetry up for the whole process, with the log going to `writer`.
///
/// # Errors
/// An endpoint that cannot be used, or telemetry that is set up already.
pub fn init<W>(config: &TelemetryConfig, writer: W) -> Result<Guard, ServiceError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (dispatch, guard) = build(config, writer)?;
    tracing::dispatcher::set_global_default(dispatch)
        .map_err(|error| ServiceError::Telemetry(error.to_string()))?;
    Ok(guard)
}

/// The same, to be set up by the caller for a part of the process.
///
/// # Errors
/// An endpoint that cannot be used.
pub fn build<W>(config: &TelemetryConfig, writer: W) -> Result<(Dispatch, Guard), ServiceError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (ours, others) = match config.verbosity {
        0 => (LevelFilter::OFF, LevelFilter::OFF),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::INFO),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let log = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .with_filter(Targets::new().with_default(others).with_target(OURS, ours));
    let mut guard = Guard::default();
    let traces = match config.otlp_endpoint.as_deref() {
        None => None,
        Some(endpoint) => {
            let (exporter, runtime) = export::exporter(endpoint)?;
            let resource = Resource::builder().with_service_name("orchestrator").build();
            let provider = SdkTracerProvider::builder()
                .with_resource(resource)
                .with_batch_exporter(exporter)
                .build();
            let tracer = provider.tracer("orchestrator");
            guard.traces = Some((provider, runtime));
            let ours = Targets::new().with_target(OURS, Level::INFO);
            Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours))
        }
    };
    let subscriber = tracing_subscriber::registry().with(log).with(traces);
    Ok((Dispatch::new(subscriber), guard))
}
