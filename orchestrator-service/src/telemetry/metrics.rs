//! What is counted: one set of instruments, whoever reads them.
//!
//! No attribute names a run, a task or a prompt: each has few values, and the SDK puts what goes
//! beyond 2,000 sets of one instrument into one that is marked `otel.metric.overflow`.

use super::standings::Snapshot;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, UpDownCounter},
};
use orchestrator_core::{id::AgentName, time::Timestamp, usage::Spend};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Bounds for tokens: OpenTelemetry semantic conventions for generative AI, metrics.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Bounds for calls, in seconds: as above.
const CALLS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bounds for attempts, in seconds: from a program that ends at once to an hour.
const ATTEMPTS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0];
/// Bounds for commits, in seconds.
const COMMITS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// The instruments.
pub(super) struct Instruments {
    tokens: Histogram<u64>,
    calls: Histogram<f64>,
    first_chunks: Histogram<f64>,
    invocations: Histogram<f64>,
    runs_started: Counter<u64>,
    runs_ended: Counter<u64>,
    runs_active: UpDownCounter<i64>,
    attempts_started: Counter<u64>,
    attempts_ended: Counter<u64>,
    attempts_active: UpDownCounter<i64>,
    tasks_ended: Counter<u64>,
    retries: Counter<u64>,
    waiting: UpDownCounter<i64>,
    cost: Counter<f64>,
    unpriced: Counter<u64>,
    requests: Counter<u64>,
    commits: Histogram<f64>,
}

impl fmt::Debug for Instruments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instruments").finish_non_exhaustive()
    }
}

/// One model call, as its span has it.
#[derive(Debug, Default)]
pub(super) struct CallSeen {
    pub(super) attributes: Vec<KeyValue>,
    pub(super) took: Duration,
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) first_chunk: Option<f64>,
    pub(super) error: Option<String>,
}

impl Instruments {
    /// The instruments of `meter`, and gauges of what `snapshot` holds when they are read.
    pub(super) fn new(meter: &Meter, snapshot: &Arc<Mutex<Snapshot>>) -> Self {
        let counter = |name: &'static str, unit: &'static str, about: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(about).build()
        };
        let level = |name: &'static str, unit: &'static str, about: &'static str| {
            meter.i64_up_down_counter(name).with_unit(unit).with_description(about).build()
        };
        let seconds = |name: &'static str, bounds: &[f64], about: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(about)
                .with_boundaries(bounds.to_vec())
                .build()
        };
        gauges(meter, snapshot);
        Self {
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Input and output tokens of model calls.")
                .with_boundaries(TOKENS.to_vec())
                .build(),
            calls: seconds(
                "gen_ai.client.operation.duration",
                &CALLS,
                "How long model calls took.",
            ),
            first_chunks: seconds(
                "gen_ai.client.operation.time_to_first_chunk",
                &CALLS,
                "How long model calls took until the first piece of the answer.",
            ),
            invocations: seconds(
                "gen_ai.invoke_agent.duration",
                &ATTEMPTS,
                "How long attempts took.",
            ),
            runs_started: counter("orchestrator.runs.started", "{run}", "Runs that were started."),
            runs_ended: counter("orchestrator.runs.ended", "{run}", "Runs that ended, by status."),
            runs_active: level("orchestrator.runs.active", "{run}", "Runs under way here."),
            attempts_started: counter(
                "orchestrator.attempts.started",
                "{attempt}",
                "Attempts that were started.",
            ),
            attempts_ended: counter(
                "orchestrator.attempts.ended",
                "{attempt}",
                "Attempts that ended, by outcome and class of failure.",
            ),
            attempts_active: level(
                "orchestrator.attempts.active",
                "{attempt}",
                "Attempts under way here.",
            ),
            tasks_ended: counter(
                "orchestrator.tasks.ended",
                "{task}",
                "Tasks that ended, by status.",
            ),
            retries: counter(
                "orchestrator.retries",
                "{attempt}",
                "Further attempts, by why they were made.",
            ),
            waiting: level("orchestrator.tasks.waiting", "{task}", "Tasks that wait, by what for."),
            cost: meter
                .f64_counter("orchestrator.cost.usd")
                .with_description("What model calls cost, in USD.")
                .build(),
            unpriced: counter(
                "orchestrator.requests.unpriced",
                "{request}",
                "Model calls whose cost is not known.",
            ),
            requests: counter(
                "orchestrator.gateway.requests",
                "{request}",
                "Requests to the gateway's front, by outcome and code.",
            ),
            commits: seconds(
                "orchestrator.store.commit.duration",
                &COMMITS,
                "How long it took until events were durable.",
            ),
        }
    }

    /// A model call has ended.
    pub(super) fn called(&self, call: CallSeen) {
        let CallSeen { mut attributes, took, input, output, first_chunk, error } = call;
        for (kind, count) in [("input", input), ("output", output)] {
            if let Some(count) = count {
                attributes.push(KeyValue::new("gen_ai.token.type", kind));
                self.tokens.record(count, &attributes);
                attributes.pop();
            }
        }
        if let Some(seconds) = first_chunk {
            self.first_chunks.record(seconds, &attributes);
        }
        attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
        self.calls.record(took.as_secs_f64(), &attributes);
    }

    pub(super) fn run_started(&self) {
        self.runs_started.add(1, &[]);
    }

    pub(super) fn run_ended(&self, status: &'static str) {
        self.runs_ended.add(1, &[KeyValue::new("orchestrator.status", status)]);
    }

    pub(super) fn runs_are(&self, more: i64) {
        self.runs_active.add(more, &[]);
    }

    pub(super) fn attempt_started(&self, agent: &AgentName) {
        self.attempts_started.add(1, &[named(agent)]);
    }

    pub(super) fn attempts_are(&self, agent: &AgentName, more: i64) {
        self.attempts_active.add(more, &[named(agent)]);
    }

    pub(super) fn attempt_ended(
        &self,
        agent: &AgentName,
        outcome: &'static str,
        error: Option<&'static str>,
        took: Duration,
    ) {
        let mut of = vec![named(agent), KeyValue::new("orchestrator.outcome", outcome)];
        of.extend(error.map(|class| KeyValue::new("error.type", class)));
        self.attempts_ended.add(1, &of);
        let mut of = vec![named(agent), KeyValue::new("gen_ai.operation.name", "invoke_agent")];
        of.extend(error.map(|class| KeyValue::new("error.type", class)));
        self.invocations.record(took.as_secs_f64(), &of);
    }

    pub(super) fn task_ended(&self, status: &'static str) {
        self.tasks_ended.add(1, &[KeyValue::new("orchestrator.status", status)]);
    }

    pub(super) fn tried_again(&self, agent: &AgentName, why: &'static str) {
        self.retries.add(1, &[named(agent), KeyValue::new("orchestrator.reason", why)]);
    }

    pub(super) fn waits(&self, reason: &'static str, more: i64) {
        self.waiting.add(more, &[KeyValue::new("orchestrator.reason", reason)]);
    }

    /// These lines are in the books now.
    pub(super) fn spent(&self, lines: &[Spend]) {
        for line in lines {
            let of = [
                KeyValue::new("orchestrator.account", line.provider.to_string()),
                KeyValue::new("gen_ai.request.model", line.model.clone()),
            ];
            match line.cost {
                Some(cost) => self.cost.add(dollars(cost.0), &of),
                None => self.unpriced.add(u64::from(line.requests), &of),
            }
        }
    }

    /// A request to the front has been answered.
    pub(super) fn requested(
        &self,
        outcome: &'static str,
        status: Option<u16>,
        code: Option<&'static str>,
    ) {
        let mut of = vec![KeyValue::new("orchestrator.outcome", outcome)];
        of.extend(
            status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))),
        );
        of.extend(code.map(|code| KeyValue::new("error.type", code)));
        self.requests.add(1, &of);
    }

    pub(super) fn committed(&self, took: Duration, is_done: bool) {
        let outcome = if is_done { "done" } else { "failed" };
        self.commits.record(took.as_secs_f64(), &[KeyValue::new("orchestrator.outcome", outcome)]);
    }
}

fn named(agent: &AgentName) -> KeyValue {
    KeyValue::new("gen_ai.agent.name", agent.to_string())
}

/// Micro-dollars as dollars.
#[expect(
    clippy::cast_precision_loss,
    reason = "a measurement: 2^53 micro-dollars are 9 billion USD"
)]
pub(super) fn dollars(micro: u64) -> f64 {
    micro as f64 / 1e6
}

/// Between two instants of events.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_millis(to.0.saturating_sub(from.0))
}

/// A value with its attributes.
type Found = (f64, Vec<KeyValue>);

/// Registers what is looked up when it is read.
fn gauges(meter: &Meter, snapshot: &Arc<Mutex<Snapshot>>) {
    let looked = |read: fn(&Snapshot) -> Vec<Found>| {
        let snapshot = snapshot.clone();
        move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
            let snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
            for (value, attributes) in read(&snapshot) {
                observer.observe(value, &attributes);
            }
        }
    };
    let _ = meter
        .f64_observable_gauge("orchestrator.ledger.usd")
        .with_description("What calls have spent, or hold, by where the ledger has them, in USD.")
        .with_callback(looked(|s| s.ledger.iter().map(|l| (l.usd, l.attributes())).collect()))
        .build();
    let _ = meter
        .f64_observable_gauge("orchestrator.ledger.calls")
        .with_unit("{call}")
        .with_description("Calls in the ledger, by where it has them.")
        .with_callback(looked(|s| s.ledger.iter().map(|l| (l.calls, l.attributes())).collect()))
        .build();
    let _ = meter
        .f64_observable_gauge("orchestrator.budget.limit")
        .with_description("Limits of the settings, in the unit of the attribute.")
        .with_callback(looked(|s| s.limits.iter().map(|l| (l.most, l.attributes())).collect()))
        .build();
    let _ = meter
        .f64_observable_gauge("orchestrator.budget.used")
        .with_description("What counts against a limit in its window: spent and held.")
        .with_callback(looked(|s| s.limits.iter().map(|l| (l.used, l.attributes())).collect()))
        .build();
    let _ = meter
        .u64_observable_gauge("process.memory.usage")
        .with_unit("By")
        .with_description("Memory of this process that is in use.")
        .with_callback(|observer| {
            if let Some(bytes) = super::standings::memory() {
                observer.observe(bytes, &[]);
            }
        })
        .build();
}
