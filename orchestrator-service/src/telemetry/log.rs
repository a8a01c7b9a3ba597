//! The log file: a line for each event of this program, for people or for programs.

use super::{OURS, file::LogFile, spans::Place, traces::Traces};
use crate::{KnownSecrets, clock};
use orchestrator_core::{
    id::{AttemptNumber, RunId, TaskName},
    time::Timestamp,
};
use serde_json::{Map, Value};
use std::{
    fmt::{self, Write},
    path::PathBuf,
    sync::Arc,
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    layer::Context,
    registry::LookupSpan,
};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A log file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogConfig {
    /// The file.
    pub file: PathBuf,
    /// How a line is written.
    pub format: LogFormat,
    /// What is said: that level of this program's own crates, and warnings of all others.
    pub level: Level,
    /// From how many bytes on a new file is begun.
    pub rotate_size: u64,
    /// How many old files are kept.
    pub keep: u32,
}

impl LogConfig {
    /// A log of what happens, as text, with nine old files of ten megabytes.
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            format: LogFormat::default(),
            level: Level::INFO,
            rotate_size: 10_000_000,
            keep: 9,
        }
    }
}

/// Somebody who is told what does not work and does not stop anything.
#[derive(Clone, Default)]
pub struct Notice(Option<Arc<Tell>>);

type Tell = dyn Fn(&str) + Send + Sync;

impl Notice {
    /// Tells it to `tell`.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(super) fn tell(&self, what: &str) {
        if let Some(tell) = &self.0 {
            tell(what);
        }
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notice").field(&self.0.is_some()).finish()
    }
}

/// The layer that writes the file.
pub(super) fn layer<S>(
    config: &LogConfig,
    known: &KnownSecrets,
    traces: Option<Arc<Traces>>,
    notice: &Notice,
) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let file = LogFile::new(config.file.clone(), config.rotate_size, config.keep, notice.clone());
    let said = Targets::new()
        .with_default(LevelFilter::WARN.min(LevelFilter::from_level(config.level)))
        .with_target(OURS, config.level);
    // Spans say where a line belongs, at whatever level lines are written.
    let ours = |of: &Metadata<'_>| {
        of.is_span() && of.target().starts_with(OURS) && *of.level() <= Level::INFO
    };
    Lines { file, format: config.format, known: known.clone(), traces }
        .with_filter(said.or(filter_fn(ours)))
}

struct Lines {
    file: LogFile,
    format: LogFormat,
    known: KnownSecrets,
    traces: Option<Arc<Traces>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let place = ctx
            .event_span(event)
            .and_then(|span| span.extensions().get::<Place>().cloned())
            .unwrap_or_default();
        let place = said.take_place(self.traces.as_deref()).unwrap_or(place);
        let line = match self.format {
            LogFormat::Text => text(clock::now(), event.metadata(), &said, &place),
            LogFormat::Json => json(clock::now(), event.metadata(), said, &place),
        };
        self.file.write(&self.known.redactor().bytes(line.as_bytes()));
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    /// Where the event itself says that it belongs.
    fn take_place(&mut self, traces: Option<&Traces>) -> Option<Place> {
        let run = RunId::new(self.fields.get("run")?.as_str()?).ok()?;
        let mut take = |name| match self.fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            Some(other) => Some(other.to_string()),
            None => None,
        };
        let task = take("task").and_then(|task| TaskName::new(task).ok());
        let attempt = take("attempt").and_then(|number| number.parse().ok()).map(AttemptNumber);
        take("run");
        let context = match (traces, &task, attempt) {
            (Some(traces), Some(task), Some(number)) => Some(traces.attempt(&run, task, number)),
            (Some(traces), ..) => Some(traces.run(&run)),
            (None, ..) => None,
        };
        Some(Place { run: Some(run), task, attempt, context })
    }

    fn keep(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}").into());
    }
}

/// Where it was said, as pairs.
fn places(place: &Place) -> impl Iterator<Item = (&'static str, String)> {
    let context = place.context.as_ref().filter(|context| context.is_valid());
    [
        ("run", place.run.as_ref().map(ToString::to_string)),
        ("task", place.task.as_ref().map(ToString::to_string)),
        ("attempt", place.attempt.map(|number| number.to_string())),
        ("trace_id", context.map(|context| context.trace_id().to_string())),
        ("span_id", context.map(|context| context.span_id().to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

fn text(at: Timestamp, of: &Metadata<'_>, said: &Said, place: &Place) -> String {
    let mut line = format!("{at} {:>5} {}: {}", of.level(), of.target(), flat(&said.message));
    // Writing into a text does not fail.
    for (name, value) in &said.fields {
        let _ = match value {
            Value::String(text) => write!(line, " {name}={text:?}"),
            other => write!(line, " {name}={other}"),
        };
    }
    for (name, value) in places(place) {
        let _ = write!(line, " {name}={value}");
    }
    line.push('\n');
    line
}

/// `text` on one line.
fn flat(text: &str) -> String {
    text.replace('\r', "\\r").replace('\n', "\\n")
}

fn json(at: Timestamp, of: &Metadata<'_>, said: Said, place: &Place) -> String {
    let mut line = Map::new();
    line.insert("timestamp".into(), at.to_string().into());
    line.insert("level".into(), of.level().as_str().to_lowercase().into());
    line.insert("target".into(), of.target().into());
    line.insert("message".into(), said.message.into());
    for (name, value) in places(place) {
        line.insert(name.into(), value.into());
    }
    line.insert("fields".into(), said.fields.into());
    let mut line = Value::Object(line).to_string();
    line.push('\n');
    line
}
