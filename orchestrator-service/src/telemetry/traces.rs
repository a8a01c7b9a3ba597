//! Where finished spans go, and which span belongs to what.

use super::context::{self, Sampling};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceId},
};
use opentelemetry_sdk::{
    error::OTelSdkError,
    trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor},
};
use orchestrator_core::{
    id::{AttemptNumber, RunId, TaskName},
    time::Timestamp,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// In whose trace a run is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lineage {
    pub(super) trace: TraceId,
    /// The attempt that the run is, when it is a child.
    pub(super) parent: Option<SpanId>,
    pub(super) is_sampled: bool,
}

/// The way out for spans. Handing one over never waits: what does not fit is dropped.
pub(super) struct Traces {
    out: BatchSpanProcessor,
    scope: InstrumentationScope,
    pub(super) sampling: Sampling,
    /// In what this process was started, by its `TRACEPARENT`.
    pub(super) surroundings: Option<SpanContext>,
    /// The children that are driven here; every other run begins a trace.
    children: Mutex<BTreeMap<RunId, Lineage>>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("sampling", &self.sampling).finish_non_exhaustive()
    }
}

/// A span that has ended.
pub(super) struct Ended {
    pub(super) context: SpanContext,
    pub(super) parent: Option<SpanId>,
    pub(super) parent_is_remote: bool,
    pub(super) kind: SpanKind,
    pub(super) name: String,
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) links: Vec<Link>,
    pub(super) status: Status,
}

impl Traces {
    pub(super) fn new(
        out: BatchSpanProcessor,
        sampling: Sampling,
        surroundings: Option<SpanContext>,
    ) -> Self {
        let scope = InstrumentationScope::builder("orchestrator")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Self { out, scope, sampling, surroundings, children: Mutex::default() }
    }

    /// In whose trace `run` is.
    pub(super) fn lineage(&self, run: &RunId) -> Lineage {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.get(run).copied().unwrap_or_else(|| {
            let trace = context::trace_of(run);
            Lineage { trace, parent: None, is_sampled: self.sampling.keeps(None, trace) }
        })
    }

    /// `child` is what the attempt `parent` of a run with `lineage` does.
    pub(super) fn adopt(&self, child: &RunId, lineage: Lineage, parent: SpanId) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.insert(child.clone(), Lineage { parent: Some(parent), ..lineage });
    }

    /// `run` has ended.
    pub(super) fn forget(&self, run: &RunId) {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
    }

    /// The span of a run.
    pub(super) fn run(&self, run: &RunId) -> SpanContext {
        let lineage = self.lineage(run);
        context::context(lineage.trace, context::run_span(run), lineage.is_sampled)
    }

    /// The span of an attempt.
    pub(super) fn attempt(
        &self,
        run: &RunId,
        task: &TaskName,
        number: AttemptNumber,
    ) -> SpanContext {
        let lineage = self.lineage(run);
        let span = context::attempt_span(run, task, number);
        context::context(lineage.trace, span, lineage.is_sampled)
    }

    /// Hands a span over.
    pub(super) fn end(&self, ended: Ended) {
        if !ended.context.is_sampled() {
            return;
        }
        let mut links = SpanLinks::default();
        links.links = ended.links;
        self.out.on_end(SpanData {
            span_context: ended.context,
            parent_span_id: ended.parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: ended.parent_is_remote,
            span_kind: ended.kind,
            name: ended.name.into(),
            start_time: ended.start,
            // A clock that was set back makes no negative durations.
            end_time: ended.end.max(ended.start),
            attributes: ended.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: ended.status,
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Delivers what is left, for at most `patience`.
    pub(super) fn shutdown(&self, patience: Duration) -> Farewell {
        // A collector that is gone must neither delay the end nor fail it.
        match self.out.shutdown_with_timeout(patience) {
            Err(OTelSdkError::Timeout(_)) => Farewell::Late,
            Ok(()) | Err(_) => Farewell::Said,
        }
    }
}

/// How it ended that what was left was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Everything was answered, well or not.
    Said,
    /// Something was not answered in time.
    Late,
}

/// The instant of an event.
pub(super) fn instant(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at.0)
}
