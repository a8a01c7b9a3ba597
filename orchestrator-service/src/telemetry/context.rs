//! Names of spans: derived from what they are of, so that every process gives them the same.
//!
//! The trace of a run is made of its id, and its spans of the names of tasks and the numbers of
//! attempts. So whoever takes a run up goes on in its trace, a program can be told the span of its
//! attempt before that is over, and a line of the log names its span without asking anybody.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use orchestrator_core::id::{AttemptNumber, RunId, TaskName};
use sha2::{Digest, Sha256};

/// The trace of the run that nobody else has started as a child.
pub(super) fn trace_of(run: &RunId) -> TraceId {
    TraceId::from_bytes(digest(&["trace", run.as_str()]))
}

/// The span of a run.
pub(super) fn run_span(run: &RunId) -> SpanId {
    SpanId::from_bytes(digest(&["run", run.as_str()]))
}

/// The span of a task, from its attempt `first` on: a task that is done again has another.
pub(super) fn task_span(run: &RunId, task: &TaskName, first: u32) -> SpanId {
    SpanId::from_bytes(digest(&["task", run.as_str(), task.as_str(), &first.to_string()]))
}

/// The span of an attempt.
pub(super) fn attempt_span(run: &RunId, task: &TaskName, attempt: AttemptNumber) -> SpanId {
    SpanId::from_bytes(digest(&["attempt", run.as_str(), task.as_str(), &attempt.to_string()]))
}

/// The first bytes of a digest of `parts`, never all zero, which would be no name.
fn digest<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let whole = digest.finalize();
    let mut bytes = [0; N];
    for (byte, from) in bytes.iter_mut().zip(whole.iter()) {
        *byte = *from;
    }
    if bytes.iter().all(|byte| *byte == 0) {
        bytes[N - 1] = 1;
    }
    bytes
}

/// The context with these names.
pub(super) fn context(trace: TraceId, span: SpanId, is_sampled: bool) -> SpanContext {
    let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanContext::new(trace, span, flags, false, TraceState::default())
}

/// `context` as the value of `traceparent`: W3C Trace Context, section 3.2.
pub(super) fn traceparent(context: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        context.trace_id(),
        context.span_id(),
        context.trace_flags().to_u8() & 1
    )
}

/// What a `traceparent` says; `None` when it is not one.
pub(super) fn read_traceparent(text: &str) -> Option<SpanContext> {
    let text = text.trim();
    let lower = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = text.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let lengths = (version.len(), trace.len(), span.len(), flags.len());
    // A later version may say more, behind a dash; the first must not.
    let is_whole = version != "00" || parts.next().is_none();
    if lengths != (2, 32, 16, 2)
        || version == "ff"
        || !is_whole
        || ![version, trace, span, flags].into_iter().all(lower)
    {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

/// Which traces are kept: `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    root: Kept,
    asks_parent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    All,
    None,
    Ratio(f64),
}

impl Default for Sampling {
    fn default() -> Self {
        Self { root: Kept::All, asks_parent: true }
    }
}

impl Sampling {
    /// What the two variables say; what is not known is as if it were not set.
    pub fn named(name: Option<&str>, argument: Option<&str>) -> Self {
        let ratio = argument.and_then(|text| text.trim().parse::<f64>().ok());
        let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or(1.0);
        let name = name.map(str::trim).unwrap_or_default();
        let (asks_parent, root) = match name.strip_prefix("parentbased_") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        match root {
            "always_on" => Self { root: Kept::All, asks_parent },
            "always_off" => Self { root: Kept::None, asks_parent },
            "traceidratio" => Self { root: Kept::Ratio(ratio), asks_parent },
            _ => Self::default(),
        }
    }

    /// Whether a span of `trace` is kept whose parent elsewhere is `parent`.
    pub(super) fn keeps(&self, parent: Option<&SpanContext>, trace: TraceId) -> bool {
        if let (true, Some(parent)) = (self.asks_parent, parent) {
            return parent.is_sampled();
        }
        let sampler = match self.root {
            Kept::All => return true,
            Kept::None => return false,
            Kept::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
        };
        let kind = opentelemetry::trace::SpanKind::Internal;
        let decided = sampler.should_sample(None, trace, "", &kind, &[], &[]);
        decided.decision == SamplingDecision::RecordAndSample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere_and_tell_one_from_another() {
        let run = RunId::new("r_1").unwrap();
        let task = TaskName::new("build").unwrap();
        assert_eq!(trace_of(&run), trace_of(&RunId::new("r_1").unwrap()));
        assert_eq!(trace_of(&run).to_string(), "3a4c27552cad9a710a537f472ba4bf94");
        let spans = [
            run_span(&run),
            task_span(&run, &task, 1),
            task_span(&run, &task, 2),
            attempt_span(&run, &task, AttemptNumber(1)),
            attempt_span(&run, &task, AttemptNumber(2)),
        ];
        let different: std::collections::BTreeSet<String> =
            spans.iter().map(ToString::to_string).collect();
        assert_eq!(different.len(), spans.len());
    }

    #[test]
    fn a_traceparent_is_written_and_read() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = read_traceparent(text).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(traceparent(&context), text);
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert!(read_traceparent(later).is_some());
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(read_traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn samplers_have_their_usual_names() {
        let trace = trace_of(&RunId::new("r_1").unwrap());
        let parent = |is_sampled| context(trace, SpanId::from_bytes([1; 8]), is_sampled);
        let check = |name: Option<&str>, argument: Option<&str>, expected: [bool; 3]| {
            let sampling = Sampling::named(name, argument);
            let parents = [None, Some(parent(true)), Some(parent(false))];
            let kept = parents.map(|parent| sampling.keeps(parent.as_ref(), trace));
            assert_eq!(kept, expected, "{name:?} {argument:?}");
        };
        check(None, None, [true, true, false]);
        check(Some("what"), None, [true, true, false]);
        check(Some("always_on"), None, [true, true, true]);
        check(Some("always_off"), None, [false, false, false]);
        check(Some("parentbased_always_off"), None, [false, true, false]);
        check(Some("traceidratio"), Some("0"), [false, false, false]);
        check(Some("traceidratio"), Some("1.0"), [true, true, true]);
        check(Some("parentbased_traceidratio"), Some("0"), [false, true, false]);
        check(Some("traceidratio"), Some("7"), [true, true, true]);
    }
}
