//! From the events of runs to spans and counts. What is told of a run is what its log says, so a
//! process that takes a run up knows as much as the one that began it.

use super::{
    context,
    metrics::{Instruments, between},
    traces::{Ended, Lineage, Traces, instant},
};
use opentelemetry::{
    KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, Status},
};
use orchestrator_core::{
    error::ErrorClass,
    event::{Event, Recorded, RunCreated},
    id::{AgentName, AttemptNumber, RunId, TaskName},
    run::RunStatus,
    schedule::HeldUp,
    time::Timestamp,
};
use std::collections::BTreeMap;

/// Whether events happen now, or are read again to know what came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Now,
    Before,
}

/// Where what is found goes.
#[derive(Clone, Copy)]
pub(super) struct Sinks<'a> {
    pub(super) traces: Option<&'a Traces>,
    pub(super) metrics: Option<&'a Instruments>,
}

/// What is known of a run that is under way.
#[derive(Debug)]
pub(super) struct Book {
    run: RunId,
    began: Timestamp,
    workflow: String,
    version: String,
    /// What agents run on: the account, and the model if there is one.
    agents: BTreeMap<AgentName, (String, Option<String>)>,
    links: Vec<Link>,
    tasks: BTreeMap<TaskName, TaskBook>,
    /// Why the next attempt of a task is made.
    causes: BTreeMap<TaskName, Cause>,
    /// The attempt that ended last.
    latest: Option<(TaskName, Option<SpanContext>)>,
    /// What tasks wait for.
    waits: BTreeMap<TaskName, &'static str>,
    /// Why the first of its tasks failed.
    failed: Option<ErrorClass>,
}

#[derive(Debug)]
struct TaskBook {
    span: SpanId,
    began: Timestamp,
    attempts: u32,
    current: Option<AttemptBook>,
}

#[derive(Debug)]
struct AttemptBook {
    number: AttemptNumber,
    began: Timestamp,
    agent: AgentName,
    child: Option<RunId>,
    links: Vec<Link>,
}

#[derive(Debug)]
struct Cause {
    /// The attempt that it follows from, when there are traces.
    span: Option<SpanContext>,
    before: Before,
}

/// What went before an attempt.
#[derive(Debug)]
enum Before {
    /// This agent failed.
    Failed(AgentName),
    /// The run was put down, or paused at once.
    PutDown,
    /// Its result was sent back.
    SentBack,
}

/// How something ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Well(&'static str),
    /// Neither well nor badly.
    Aside(&'static str),
    Badly(&'static str, ErrorClass),
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Well(word) | Self::Aside(word) | Self::Badly(word, _) => word,
        }
    }

    fn error(self) -> Option<&'static str> {
        match self {
            Self::Well(_) | Self::Aside(_) => None,
            Self::Badly(_, class) => Some(class.as_str()),
        }
    }

    /// The status of a span. Its description stays empty: a message may repeat what a model said.
    fn status(self) -> Status {
        match self {
            Self::Well(_) => Status::Ok,
            Self::Aside(_) => Status::Unset,
            Self::Badly(..) => Status::error(""),
        }
    }
}

impl Book {
    /// A book of a run of which nothing is known but that it is under way since `at`.
    pub(super) fn new(run: &RunId, at: Timestamp) -> Self {
        Self {
            run: run.clone(),
            began: at,
            workflow: String::new(),
            version: String::new(),
            agents: BTreeMap::new(),
            links: Vec::new(),
            tasks: BTreeMap::new(),
            causes: BTreeMap::new(),
            latest: None,
            waits: BTreeMap::new(),
            failed: None,
        }
    }

    /// The children that are under way.
    pub(super) fn children(&self) -> impl Iterator<Item = &RunId> {
        self.tasks.values().filter_map(|task| task.current.as_ref()?.child.as_ref())
    }

    /// Takes an event in. True when the run has ended with it.
    pub(super) fn take(&mut self, recorded: &Recorded, when: When, sinks: Sinks<'_>) -> bool {
        let (at, told) = (recorded.at, Told { when, sinks });
        match &recorded.event {
            Event::RunCreated(created) => self.create(created, at, told),
            Event::AttemptStarted { task, attempt, agent, child, .. } => {
                self.start(task, *attempt, agent, child.as_ref(), at, told);
            }
            Event::AttemptSucceeded { task, spend, cached, .. } => {
                told.count(|metrics| metrics.spent(spend));
                let end = End::Well(if cached.is_some() { "cached" } else { "succeeded" });
                self.end_attempt(task, end, at, told);
                self.end_task(task, End::Well("succeeded"), at, told);
            }
            Event::AttemptFailed { task, failure, next, ask, .. } => {
                told.count(|metrics| metrics.spent(&failure.spend));
                let is_put_down = failure.class == ErrorClass::Cancelled && next.is_some();
                let end = match is_put_down {
                    true => End::Aside("put-down"),
                    false => End::Badly("failed", failure.class),
                };
                let ended = self.end_attempt(task, end, at, told);
                if next.is_none() && ask.is_none() {
                    let end = match failure.class {
                        ErrorClass::Cancelled => End::Badly("cancelled", failure.class),
                        _ => end,
                    };
                    self.end_task(task, end, at, told);
                } else {
                    if let Some((span, agent)) = ended {
                        let before = match is_put_down {
                            true => Before::PutDown,
                            false => Before::Failed(agent),
                        };
                        let cause = Cause { span, before };
                        self.causes.insert(task.clone(), cause);
                    }
                    let reason = match ask {
                        Some(_) => Some("person"),
                        None if is_put_down => None,
                        None => Some("retry"),
                    };
                    self.wait(task, reason, told);
                }
            }
            Event::TurnRecorded { turn, .. } => told.count(|metrics| metrics.spent(&turn.spend)),
            Event::WorkRecorded { spend, .. } | Event::EvidenceRecorded { spend, .. } => {
                told.count(|metrics| metrics.spent(spend));
            }
            Event::TaskExpanded { task, .. } => {
                self.open(task, 1, at);
            }
            Event::TaskDelayed { task, .. } => self.wait(task, Some("delay"), told),
            Event::PersonAsked { task, .. } => {
                self.open(task, 1, at);
                self.wait(task, Some("person"), told);
            }
            Event::PersonAnswered { task, .. } => self.wait(task, None, told),
            Event::TaskSucceeded { task, .. } => {
                self.end_task(task, End::Well("succeeded"), at, told);
            }
            Event::TaskCarried { task, .. } => {
                self.end_task(task, End::Well("carried"), at, told);
            }
            Event::TaskSkipped { task, .. } => {
                self.end_task(task, End::Well("skipped"), at, told);
            }
            Event::TaskCancelled { task } => {
                let end = End::Badly("cancelled", ErrorClass::Cancelled);
                self.end_attempt(task, end, at, told);
                self.end_task(task, end, at, told);
            }
            Event::TaskFailed { task, failure } => {
                told.count(|metrics| metrics.spent(&failure.spend));
                let end = End::Badly("failed", failure.class);
                self.end_attempt(task, end, at, told);
                self.end_task(task, end, at, told);
            }
            Event::RevisionRequested { by, reopened, target, .. } => {
                if let Some(task) = target.as_ref().or(reopened.first())
                    && let Some((latest, span)) = &self.latest
                    && latest == by
                {
                    let cause = Cause { span: span.clone(), before: Before::SentBack };
                    self.causes.insert(task.clone(), cause);
                }
            }
            Event::RunEnded { status } => {
                self.end(*status, at, told);
                return true;
            }
            // What else happens neither begins nor ends anything.
            _ => {}
        }
        false
    }

    fn create(&mut self, created: &RunCreated, at: Timestamp, told: Told<'_>) {
        self.began = at;
        self.workflow = created.workflow.name.to_string();
        self.version = created.workflow.version.to_string();
        let agents = created.agents.iter();
        self.agents = agents
            .map(|spec| (spec.name.clone(), (spec.provider.to_string(), spec.model.clone())))
            .collect();
        told.count(Instruments::run_started);
        if told.when == When::Now {
            tracing::info!(run = %self.run, workflow = self.workflow, "a run was started");
        }
        let Some(traces) = told.sinks.traces else { return };
        if let Some(origin) = created.origin.as_ref().and_then(|origin| origin.run()) {
            self.links.push(link(traces.run(origin), "origin"));
        }
        if let (When::Now, None, Some(around)) = (told.when, &created.parent, &traces.surroundings)
        {
            self.links.push(link(around.clone(), "started-by"));
        }
    }

    /// The task's book, opened when it is not.
    fn open(&mut self, task: &TaskName, first: u32, at: Timestamp) -> &mut TaskBook {
        let span = context::task_span(&self.run, task, first);
        let new = TaskBook { span, began: at, attempts: 0, current: None };
        self.tasks.entry(task.clone()).or_insert(new)
    }

    fn start(
        &mut self,
        task: &TaskName,
        number: AttemptNumber,
        agent: &AgentName,
        child: Option<&RunId>,
        at: Timestamp,
        told: Told<'_>,
    ) {
        self.wait(task, None, told);
        let mut links = Vec::new();
        if let Some(cause) = self.causes.remove(task) {
            let why = match &cause.before {
                Before::Failed(before) if before != agent => "fall-back",
                Before::Failed(_) => "retry",
                Before::SentBack => "revision",
                Before::PutDown => "resumed",
            };
            told.count(|metrics| metrics.tried_again(agent, why));
            links.extend(cause.span.map(|span| link(span, why)));
        }
        if told.when == When::Now {
            tracing::debug!(run = %self.run, %task, attempt = %number, %agent, "an attempt was started");
        }
        told.count(|metrics| metrics.attempt_started(agent));
        told.level(|metrics| metrics.attempts_are(agent, 1));
        if let (Some(traces), Some(child)) = (told.sinks.traces, child) {
            let lineage = traces.lineage(&self.run);
            traces.adopt(child, lineage, context::attempt_span(&self.run, task, number));
        }
        let book = self.open(task, number.0, at);
        book.attempts += 1;
        let (agent, child) = (agent.clone(), child.cloned());
        book.current = Some(AttemptBook { number, began: at, agent, child, links });
    }

    /// Ends the attempt of `task` that is under way, if there is one: its span and its agent.
    fn end_attempt(
        &mut self,
        task: &TaskName,
        end: End,
        at: Timestamp,
        told: Told<'_>,
    ) -> Option<(Option<SpanContext>, AgentName)> {
        let book = self.tasks.get_mut(task)?;
        let (parent, attempt) = (book.span, book.current.take()?);
        let took = between(attempt.began, at);
        let agent = &attempt.agent;
        if told.when == When::Now {
            // Without its message, which may repeat what a program or a model said.
            let (run, number, outcome) = (&self.run, attempt.number, end.word());
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            match end.error() {
                None => {
                    tracing::debug!(%run, %task, attempt = %number, %agent, outcome, ms, "an attempt ended");
                }
                Some(class) => {
                    tracing::warn!(%run, %task, attempt = %number, %agent, outcome, class, ms, "an attempt failed");
                }
            }
        }
        told.count(|metrics| metrics.attempt_ended(agent, end.word(), end.error(), took));
        told.level(|metrics| metrics.attempts_are(&attempt.agent, -1));
        let Some(traces) = told.sinks.traces else {
            self.latest = Some((task.clone(), None));
            return Some((None, attempt.agent));
        };
        let context = traces.attempt(&self.run, task, attempt.number);
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "invoke_agent"),
            KeyValue::new("gen_ai.agent.name", attempt.agent.to_string()),
            KeyValue::new("orchestrator.run.id", self.run.to_string()),
            KeyValue::new("orchestrator.task.name", task.to_string()),
            KeyValue::new("orchestrator.attempt.number", i64::from(attempt.number.0)),
            KeyValue::new("orchestrator.outcome", end.word()),
        ];
        if let Some((account, model)) = self.agents.get(&attempt.agent) {
            attributes.push(KeyValue::new("orchestrator.account", account.clone()));
            let model = model.clone().map(|model| KeyValue::new("gen_ai.request.model", model));
            attributes.extend(model);
        }
        attributes.extend(end.error().map(|class| KeyValue::new("error.type", class)));
        told.trace(Ended {
            context: context.clone(),
            parent: Some(parent),
            parent_is_remote: false,
            kind: SpanKind::Internal,
            name: format!("invoke_agent {}", attempt.agent),
            start: instant(attempt.began),
            end: instant(at),
            attributes,
            links: attempt.links,
            status: end.status(),
        });
        self.latest = Some((task.clone(), Some(context.clone())));
        Some((Some(context), attempt.agent))
    }

    fn end_task(&mut self, task: &TaskName, end: End, at: Timestamp, told: Told<'_>) {
        self.wait(task, None, told);
        if told.when == When::Now {
            tracing::info!(run = %self.run, %task, status = end.word(), "a task ended");
        }
        told.count(|metrics| metrics.task_ended(end.word()));
        self.causes.remove(task);
        if let End::Badly(_, class) = end {
            self.failed.get_or_insert(class);
        }
        let (Some(book), Some(traces)) = (self.tasks.remove(task), told.sinks.traces) else {
            return;
        };
        // An item of a list belongs to the list while that is open.
        let group = task.as_str().rsplit_once(':').and_then(|(group, _)| TaskName::new(group).ok());
        let group = group.and_then(|group| self.tasks.get(&group)).map(|group| group.span);
        let lineage = traces.lineage(&self.run);
        let mut attributes = vec![
            KeyValue::new("orchestrator.run.id", self.run.to_string()),
            KeyValue::new("orchestrator.task.name", task.to_string()),
            KeyValue::new("orchestrator.task.attempts", i64::from(book.attempts)),
            KeyValue::new("orchestrator.status", end.word()),
        ];
        attributes.extend(end.error().map(|class| KeyValue::new("error.type", class)));
        told.trace(Ended {
            context: context::context(lineage.trace, book.span, lineage.is_sampled),
            parent: Some(group.unwrap_or_else(|| context::run_span(&self.run))),
            parent_is_remote: false,
            kind: SpanKind::Internal,
            name: "task".into(),
            start: instant(book.began),
            end: instant(at),
            attributes,
            links: Vec::new(),
            status: end.status(),
        });
    }

    fn end(&mut self, status: RunStatus, at: Timestamp, told: Told<'_>) {
        for task in self.waits.keys().cloned().collect::<Vec<_>>() {
            self.wait(&task, None, told);
        }
        if told.when == When::Now {
            tracing::info!(run = %self.run, status = status.as_str(), "a run ended");
        }
        told.count(|metrics| metrics.run_ended(status.as_str()));
        let Some(traces) = told.sinks.traces else { return };
        let end = match status {
            RunStatus::Failed => Status::error(""),
            RunStatus::Succeeded => Status::Ok,
            _ => Status::Unset,
        };
        let Lineage { trace, parent, is_sampled } = traces.lineage(&self.run);
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "invoke_workflow"),
            KeyValue::new("gen_ai.agent.name", self.workflow.clone()),
            KeyValue::new("orchestrator.run.id", self.run.to_string()),
            KeyValue::new("orchestrator.workflow.name", self.workflow.clone()),
            KeyValue::new("orchestrator.workflow.version", self.version.clone()),
            KeyValue::new("orchestrator.status", status.as_str()),
        ];
        let why = match status {
            RunStatus::Failed => Some(self.failed.unwrap_or(ErrorClass::Internal)),
            RunStatus::Cancelled => Some(ErrorClass::Cancelled),
            _ => None,
        };
        attributes.extend(why.map(|class| KeyValue::new("error.type", class.as_str())));
        told.trace(Ended {
            context: context::context(trace, context::run_span(&self.run), is_sampled),
            parent,
            parent_is_remote: false,
            kind: SpanKind::Internal,
            name: format!("invoke_workflow {}", self.workflow),
            start: instant(self.began),
            end: instant(at),
            attributes,
            links: std::mem::take(&mut self.links),
            status: end,
        });
    }

    /// The row of `task` says that something holds it up, or nothing.
    pub(super) fn hold(&mut self, task: &TaskName, by: Option<&HeldUp>, metrics: &Instruments) {
        let told = Told { when: When::Now, sinks: Sinks { traces: None, metrics: Some(metrics) } };
        let known = self.waits.get(task).copied();
        match by.map(held_by) {
            Some(reason) if known.is_none_or(|known| HELD.contains(&known)) => {
                self.wait(task, Some(reason), told);
            }
            None if known.is_some_and(|known| HELD.contains(&known)) => {
                self.wait(task, None, told);
            }
            // It waits for something that events tell.
            Some(_) | None => {}
        }
    }

    /// `task` waits for `reason`, or for nothing any more.
    fn wait(&mut self, task: &TaskName, reason: Option<&'static str>, told: Told<'_>) {
        let before = match reason {
            Some(reason) => self.waits.insert(task.clone(), reason),
            None => self.waits.remove(task),
        };
        for (reason, more) in [(before, -1), (reason, 1)] {
            if let Some(reason) = reason {
                told.level(|metrics| metrics.waits(reason, more));
            }
        }
    }
}

/// What can hold a task up that could start.
const HELD: [&str; 6] = ["parallel", "limit", "group", "breaker", "apart", "other"];

fn held_by(by: &HeldUp) -> &'static str {
    match by {
        HeldUp::Parallel { .. } => "parallel",
        HeldUp::Limit { .. } => "limit",
        HeldUp::Group { .. } => "group",
        HeldUp::Breaker { .. } => "breaker",
        HeldUp::Apart { .. } => "apart",
        _ => "other",
    }
}

/// To whom what is found goes, if it happens now.
#[derive(Clone, Copy)]
struct Told<'a> {
    when: When,
    sinks: Sinks<'a>,
}

impl Told<'_> {
    fn count(self, count: impl FnOnce(&Instruments)) {
        if let (When::Now, Some(metrics)) = (self.when, self.sinks.metrics) {
            count(metrics);
        }
    }

    /// What is so now, whoever brought it about.
    fn level(self, set: impl FnOnce(&Instruments)) {
        if let Some(metrics) = self.sinks.metrics {
            set(metrics);
        }
    }

    fn trace(self, ended: Ended) {
        if let (When::Now, Some(traces)) = (self.when, self.sinks.traces) {
            traces.end(ended);
        }
    }
}

fn link(context: SpanContext, why: &'static str) -> Link {
    Link::new(context, vec![KeyValue::new("orchestrator.link", why)], 0)
}
