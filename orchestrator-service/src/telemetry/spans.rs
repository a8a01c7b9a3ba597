//! From the spans of this program's code to spans of traces, and to where a line of the log is.
//!
//! Runs, tasks and attempts are told by the log of the run; here is what no event tells: turns,
//! model calls and requests to the front. Only fields with known names get out, so that no text
//! can by accident.

use super::{
    context,
    metrics::{CallSeen, Instruments},
    traces::{Ended, Traces},
};
use opentelemetry::{
    Array, KeyValue, StringValue, Value,
    trace::{SpanContext, SpanKind, Status},
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use orchestrator_core::id::{AttemptNumber, RunId, TaskName};
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Instant, SystemTime},
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// The beginnings of the names of fields that may be attributes.
const PASSED: [&str; 6] = ["gen_ai.", "server.", "http.", "url.", "error.", "orchestrator."];

/// Where a piece of work belongs.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) run: Option<RunId>,
    pub(super) task: Option<TaskName>,
    pub(super) attempt: Option<AttemptNumber>,
    /// The span that it is in, where traces are made.
    pub(super) context: Option<SpanContext>,
}

/// A span that has not ended.
struct Open {
    context: SpanContext,
    parent: Option<SpanContext>,
    start: SystemTime,
    began: Instant,
    fields: Fields,
}

/// Follows the spans of this program's code.
pub(super) struct Spans {
    pub(super) traces: Option<Arc<Traces>>,
    pub(super) metrics: Option<Arc<Instruments>>,
}

#[derive(Default)]
struct Fields {
    attributes: BTreeMap<&'static str, Value>,
    words: BTreeMap<&'static str, String>,
}

impl Fields {
    fn keep(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if PASSED.iter().any(|passed| name.starts_with(passed)) {
            let value = match (name, value) {
                ("server.address", Value::String(host)) => {
                    let (host, port) = parted(host.as_str());
                    let port = port.map(|port| ("server.port", Value::I64(port.into())));
                    self.attributes.extend(port);
                    Value::String(host.to_owned().into())
                }
                ("gen_ai.response.finish_reasons", Value::String(one)) => {
                    Value::Array(Array::String(vec![one]))
                }
                (_, value) => value,
            };
            self.attributes.insert(name, value);
        } else {
            self.words.insert(name, value.to_string());
        }
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.words.get(name).map(String::as_str)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.attributes.get(name).map(ToString::to_string)
    }

    fn count(&self, name: &str) -> Option<u64> {
        match self.attributes.get(name)? {
            Value::I64(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// The name and the port of a host.
fn parted(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, Value::F64(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Value::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Value::I64(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, Value::String(StringValue::from(value.to_owned())));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, Value::String(StringValue::from(format!("{value:?}"))));
    }
}

impl Spans {
    /// The place of a span whose parent is at `within`.
    fn place(&self, name: &str, fields: &Fields, within: Place) -> Place {
        let mut place = within;
        match name {
            "run" => {
                place = Place::default();
                place.run = fields.word("run").and_then(|run| RunId::new(run).ok());
                if let (Some(traces), Some(run)) = (&self.traces, &place.run) {
                    place.context = Some(traces.run(run));
                }
            }
            "attempt" => {
                place.task = fields.word("task").and_then(|task| TaskName::new(task).ok());
                let number = fields.word("attempt").and_then(|number| number.parse().ok());
                place.attempt = number.map(AttemptNumber);
                if let (Some(traces), Some(run), Some(task), Some(number)) =
                    (&self.traces, &place.run, &place.task, place.attempt)
                {
                    place.context = Some(traces.attempt(run, task, number));
                }
            }
            _ => {}
        }
        place
    }

    /// A span that begins in `within`, unless somebody elsewhere is its parent.
    fn open(&self, traces: &Traces, fields: Fields, within: Option<SpanContext>) -> Open {
        let ids = RandomIdGenerator::default();
        let elsewhere = fields.word("traceparent").and_then(context::read_traceparent);
        let (trace, is_sampled) = match elsewhere.as_ref().or(within.as_ref()) {
            Some(parent) if parent.is_remote() => {
                let trace = parent.trace_id();
                (trace, traces.sampling.keeps(Some(parent), trace))
            }
            Some(parent) => (parent.trace_id(), parent.is_sampled()),
            None => {
                let trace = ids.new_trace_id();
                (trace, traces.sampling.keeps(None, trace))
            }
        };
        Open {
            context: context::context(trace, ids.new_span_id(), is_sampled),
            parent: elsewhere.or(within),
            start: SystemTime::now(),
            began: Instant::now(),
            fields,
        }
    }

    fn close(&self, name: &str, open: Open) {
        let Open { context, parent, start, began, fields } = open;
        let took = began.elapsed();
        let error = fields.text("error.type");
        if let (Some(metrics), "chat") = (&self.metrics, name) {
            let of = [
                "gen_ai.operation.name",
                "gen_ai.provider.name",
                "gen_ai.request.model",
                "gen_ai.response.model",
                "server.address",
            ];
            let attributes = of.iter().filter_map(|name| {
                Some(KeyValue::new(*name, fields.attributes.get(*name)?.clone()))
            });
            metrics.called(CallSeen {
                attributes: attributes.collect(),
                took,
                input: fields.count("gen_ai.usage.input_tokens"),
                output: fields.count("gen_ai.usage.output_tokens"),
                first_chunk: match fields.attributes.get("gen_ai.response.time_to_first_chunk") {
                    Some(Value::F64(seconds)) => Some(*seconds),
                    _ => None,
                },
                error: error.clone(),
            });
        }
        let Some(traces) = &self.traces else { return };
        let shown = match (name, fields.text("gen_ai.request.model")) {
            ("chat", Some(model)) => format!("chat {model}"),
            _ => fields.word("otel.name").unwrap_or(name).to_owned(),
        };
        traces.end(Ended {
            context,
            parent: parent.as_ref().map(SpanContext::span_id),
            parent_is_remote: parent.as_ref().is_some_and(SpanContext::is_remote),
            kind: match fields.word("otel.kind") {
                Some("client") => SpanKind::Client,
                Some("server") => SpanKind::Server,
                _ => SpanKind::Internal,
            },
            name: shown,
            start,
            end: start + took,
            status: if error.is_some() { Status::error("") } else { Status::Unset },
            attributes: fields.attributes.into_iter().map(|(k, v)| KeyValue::new(k, v)).collect(),
            links: Vec::new(),
        });
    }
}

/// Whether a span of that name is one of a trace by itself. The others are told by events.
fn is_told(name: &str) -> bool {
    !matches!(name, "run" | "attempt")
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = span.parent();
        let within = parent.and_then(|parent| parent.extensions().get::<Place>().cloned());
        let name = span.name();
        let mut place = self.place(name, &fields, within.unwrap_or_default());
        let mut extensions = span.extensions_mut();
        if is_told(name) {
            let open = match &self.traces {
                Some(traces) => self.open(traces, fields, place.context.take()),
                None => Open {
                    context: SpanContext::empty_context(),
                    parent: None,
                    start: SystemTime::now(),
                    began: Instant::now(),
                    fields,
                },
            };
            place.context = self.traces.as_ref().map(|_| open.context.clone());
            extensions.insert(open);
        }
        extensions.insert(place);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(&id) else { return };
        let open = span.extensions_mut().remove::<Open>();
        if let Some(open) = open {
            self.close(span.name(), open);
        }
    }
}
