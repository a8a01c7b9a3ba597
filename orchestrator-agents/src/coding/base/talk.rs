//! What is said between us and one process, and what we make of it.

use super::{
    conduct::{Books, Ran, Setting, record},
    journal::{self, Entry},
    lines::{Line, Lines},
};
use crate::{
    coding::{
        Action, Counted, Decision, Dialogue, Event, Exit, Finish, Order, RequestId, Step, Verdict,
    },
    model::books,
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::MessageNumber,
    port::{LogStream, Permit, Steer},
    time::format_duration,
    usage::{Cost, Spend},
};
use orchestrator_workspace::process::Capture;
use serde_json::Value;
use std::{collections::BTreeMap, future::poll_fn, pin::Pin, task::Poll, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// How many tools may be under way whose beginning is remembered.
const TOOLS: usize = 1_000;
/// A time that never comes.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// What a program has printed.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) transcript: Capture,
    pub(super) stderr: Capture,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self {
            transcript: Capture::new(LogStream::Stdout),
            stderr: Capture::new(LogStream::Stderr),
        }
    }
}

/// Why a process is stopped.
#[derive(Debug)]
pub(super) enum Why {
    /// The attempt is to stop.
    Cancelled,
    /// What it does cannot be recorded.
    Unrecorded,
    /// It said nothing at all for so long.
    NoEvent(Duration),
    /// It said nothing more for so long.
    Idle(Duration),
    /// It took so long in all.
    TimedOut(Duration),
    /// Its work was over, and it did not end.
    Lingers,
    /// Going on would not help, or is not allowed.
    GivenUp(Failure),
}

impl Why {
    pub(super) fn is_lingering(&self) -> bool {
        matches!(self, Self::Lingers)
    }

    pub(super) fn into_failure(self, program: &str) -> Failure {
        let late = |what: String| {
            Failure::new(ErrorClass::TimedOut, format!("`{program}` was stopped: {what}"))
        };
        match self {
            Self::Cancelled | Self::Unrecorded => {
                Failure::new(ErrorClass::Cancelled, format!("`{program}` was stopped"))
            }
            Self::NoEvent(limit) => late(format!(
                "it said nothing that could be understood within {}; `limits.first-event` of the \
                 agent says how long it may take",
                format_duration(limit)
            )),
            Self::Idle(limit) => late(format!(
                "it said nothing more for {}; `limits.idle` of the agent says how long it may be quiet",
                format_duration(limit)
            )),
            Self::TimedOut(limit) => {
                late(format!("it took longer than its limit of {}", format_duration(limit)))
            }
            Self::Lingers => Failure::new(
                ErrorClass::Crashed,
                format!("`{program}` did not end after its work was over"),
            ),
            Self::GivenUp(failure) => failure,
        }
    }
}

/// What is asked of somebody for the program, and waits.
type Asked<'a> = (RequestId, Pin<Box<dyn Future<Output = Result<Permit, Failure>> + Send + 'a>>);

/// One process, as it is talked to.
pub(super) struct Talk<'a, 'b> {
    at: &'a Setting<'a>,
    order: &'a Order,
    books: &'a mut Books<'b>,
    dialogue: Box<dyn Dialogue>,
    lines: Lines,
    input: Option<mpsc::UnboundedSender<Vec<u8>>>,
    entries: Option<mpsc::Sender<Entry>>,
    /// Tools that have begun.
    tools: BTreeMap<String, (Action, Value)>,
    asked: Vec<Asked<'a>>,
    unsaid: Vec<(MessageNumber, String)>,
    why: Option<Why>,
    started: Instant,
    /// When it said something last.
    last: Instant,
    /// Whether it said anything that could be understood.
    understood: bool,
    /// Whether the turn that it is in is open in the journal.
    working: bool,
    ended: bool,
    did: bool,
    said: Option<String>,
    session: Option<String>,
    /// How long it waited last before it called its model again.
    wait: Option<Duration>,
    events: u64,
}

impl<'a, 'b> Talk<'a, 'b> {
    pub(super) fn new(
        at: &'a Setting<'a>,
        order: &'a Order,
        books: &'a mut Books<'b>,
        input: Option<mpsc::UnboundedSender<Vec<u8>>>,
        entries: mpsc::Sender<Entry>,
    ) -> Self {
        let now = Instant::now();
        Self {
            at,
            order,
            books,
            dialogue: at.agent.adapter.dialogue(order),
            lines: Lines::default(),
            input,
            entries: Some(entries),
            tools: BTreeMap::new(),
            asked: Vec::new(),
            unsaid: Vec::new(),
            why: None,
            started: now,
            last: now,
            understood: false,
            working: false,
            ended: false,
            did: false,
            said: None,
            session: None,
            wait: None,
            events: 0,
        }
    }

    pub(super) async fn start(&mut self) {
        let steps = self.dialogue.start();
        self.follow(steps).await;
    }

    /// A piece of what it prints.
    pub(super) async fn heard(&mut self, bytes: &[u8]) {
        self.last = Instant::now();
        self.books.kept.transcript.keep(bytes).await;
        for line in self.lines.take(bytes) {
            self.line(line).await;
        }
        if !self.unsaid.is_empty() {
            for (number, text) in std::mem::take(&mut self.unsaid) {
                self.say(number, text).await;
            }
        }
    }

    async fn line(&mut self, line: Line) {
        if line.left_out > 0 {
            let text = format!(
                "a line of the program is too long: {} bytes of it were not read",
                line.left_out
            );
            self.books.voice.note(text);
        }
        let steps = self.dialogue.line(&line.text);
        let is_garbage = |step: &Step| matches!(step, Step::Said(Event::Garbage { .. }));
        self.understood |= !steps.iter().any(is_garbage);
        self.follow(steps).await;
    }

    async fn follow(&mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Said(event) => self.event(event).await,
                Step::Write(text) => {
                    if let Some(input) = &self.input {
                        let mut bytes = text.into_bytes();
                        bytes.push(b'\n');
                        let _ = input.send(bytes);
                    }
                }
                Step::Close => self.input = None,
                Step::GiveUp(failure) => {
                    self.why.get_or_insert(Why::GivenUp(failure));
                }
            }
        }
    }

    async fn event(&mut self, event: Event) {
        self.events += 1;
        match event {
            Event::Session { id, model, version } => {
                self.judge_version(version.as_deref());
                let named = [version.map(|it| format!("version {it}")), model];
                let named: Vec<_> = named.into_iter().flatten().collect();
                if !named.is_empty() && self.session.is_none() {
                    self.books.voice.note(format!("session {id} ({})", named.join(", ")));
                }
                if self.session.as_ref() != Some(&id) {
                    self.books.counters.works_in(&id);
                    self.session = Some(id.clone());
                    self.record(Entry::Session(id)).await;
                }
                self.works().await;
            }
            Event::Delta(_) => {
                self.works().await;
                self.books.voice.doing("answering");
            }
            Event::Thought(_) => {
                self.works().await;
                self.books.voice.doing("thinking");
            }
            Event::Message { text, model } => {
                self.did = true;
                self.books.voice.message(&text);
                let model = model.as_deref().or(self.order.model.as_deref());
                let entry = journal::said(&text, model);
                self.working = false;
                self.record(entry).await;
                self.said = Some(text);
            }
            Event::ToolStarted { id, action, input } => {
                self.did = true;
                self.works().await;
                self.books.voice.tool(&action);
                if self.tools.len() < TOOLS {
                    self.tools.insert(id, (action, input));
                }
            }
            Event::ToolEnded { id, result } => {
                self.did = true;
                let begun = self.tools.remove(&id);
                let (action, input) = begun.unzip();
                self.books.voice.tool_ended(action.as_ref(), &result);
                let input = input.unwrap_or(Value::Null);
                self.working = true;
                self.record(journal::used(action.as_ref(), &input, &result)).await;
            }
            Event::Permission { id, action, input: _ } => self.ask(id, action),
            Event::Withdrawn { id } => self.asked.retain(|(asked, _)| *asked != id),
            Event::Retrying(retry) => {
                self.wait = retry.wait.or(self.wait);
                self.books.voice.retrying(&retry);
            }
            Event::Used(counted) => self.used(counted).await,
            Event::Notice(text) => self.books.voice.note(text),
            Event::Unknown { kind } => self.books.voice.unknown(&kind),
            Event::Garbage { line } => self.books.voice.garbage(&line),
            Event::Ended(_) => self.ended = true,
        }
    }

    /// Stops a program that is older than what its adapter knows.
    fn judge_version(&mut self, version: Option<&str>) {
        let adapter = &self.at.agent.adapter;
        if let (Some(version), Some(oldest)) = (version, adapter.oldest())
            && is_older(version, oldest)
        {
            let message = format!(
                "`{}` is version {version}, and {oldest} or later is needed; install a later one",
                adapter.program().unwrap_or(adapter.provider())
            );
            let failure = Failure::new(ErrorClass::Incompatible, message);
            self.why.get_or_insert(Why::GivenUp(failure));
        }
    }

    /// A turn is under way.
    async fn works(&mut self) {
        self.ended = false;
        if !std::mem::replace(&mut self.working, true) {
            self.record(Entry::Working).await;
        }
    }

    async fn record(&mut self, entry: Entry) {
        record(self.entries.as_ref(), entry).await;
    }

    fn ask(&mut self, id: RequestId, action: Action) {
        let host = self.at.host;
        let what = action.headline();
        self.books.voice.doing(format!("waiting for leave: {what}"));
        self.asked.push((id, Box::pin(async move { host.permit(&action, None).await })));
    }

    /// Resolves when somebody was answered.
    pub(super) async fn permitted(&mut self) -> (RequestId, Result<Permit, Failure>) {
        poll_fn(|context| {
            for place in 0..self.asked.len() {
                if let Poll::Ready(permit) = self.asked[place].1.as_mut().poll(context) {
                    let (request, _) = self.asked.remove(place);
                    return Poll::Ready((request, permit));
                }
            }
            Poll::Pending
        })
        .await
    }

    pub(super) async fn answer(&mut self, request: RequestId, permit: Result<Permit, Failure>) {
        // It was waited for, which is not the program's time.
        self.last = Instant::now();
        let decision = match permit {
            Ok(Permit::Allowed) => Decision::Allow,
            Ok(Permit::Denied { why }) => Decision::Deny(why),
            Err(failure) => {
                self.why.get_or_insert(Why::GivenUp(failure));
                return;
            }
        };
        self.books.voice.doing("working");
        let steps = self.dialogue.answer(&request, &decision);
        self.follow(steps).await;
    }

    /// Nobody need answer any more.
    pub(super) fn withdraw(&mut self) {
        self.asked.clear();
    }

    /// Whether it can be told something.
    pub(super) fn takes_messages(&self) -> bool {
        self.order.live
    }

    pub(super) async fn steer(&mut self, steer: Steer) {
        match steer {
            Steer::Say { number, text } => self.say(number, text).await,
            Steer::Interrupt { number, text } => {
                if let Some(steps) = self.dialogue.interrupt() {
                    self.follow(steps).await;
                }
                let text = text.unwrap_or_else(|| "Go on as you think best.".to_owned());
                self.say(number, text).await;
            }
        }
    }

    async fn say(&mut self, number: MessageNumber, text: String) {
        match self.dialogue.say(&text) {
            Some(steps) => {
                self.follow(steps).await;
                self.record(Entry::Delivered(number)).await;
            }
            None => self.unsaid.push((number, text)),
        }
    }

    async fn used(&mut self, counted: Counted) {
        let agent = self.at.agent;
        let provider = &self.at.assignment.agent.provider;
        for used in self.books.counters.since(counted) {
            let line = match &agent.meter {
                Some(meter) => {
                    let metered = meter.used(&used).await;
                    if let Some(failure) = metered.stop {
                        self.why.get_or_insert(Why::GivenUp(failure));
                    }
                    metered.spend
                }
                None => Spend {
                    provider: provider.clone(),
                    model: used.model.or_else(|| self.order.model.clone()).unwrap_or_default(),
                    requests: used.requests.unwrap_or(1),
                    usage: used.usage,
                    cost: used.cost,
                },
            };
            self.books.voice.used(line.usage, Cost::from_iter([&line]));
            // What goes through the gateway is in its books.
            if self.order.endpoint.is_none() {
                books::add(&mut self.books.spend, line);
            }
        }
        self.books.counters.keep();
    }

    /// Until when it may go on as it does, and what it is then.
    pub(super) fn deadline(&self) -> (Instant, Why) {
        let limits = &self.at.agent.limits;
        let mut nearest = (self.started + NEVER, Why::Lingers);
        let mut bound = |until: Instant, why: Why| {
            if until < nearest.0 {
                nearest = (until, why);
            }
        };
        if let Some(limit) = self.at.assignment.timeout {
            bound(self.at.begun + limit.min(NEVER), Why::TimedOut(limit));
        }
        let is_over = self.ended && self.input.is_none();
        match (is_over, self.understood) {
            (true, _) => bound(self.last + limits.linger, Why::Lingers),
            (false, false) => {
                bound(self.started + limits.first_event, Why::NoEvent(limits.first_event));
            }
            (false, true) if self.asked.is_empty() => {
                bound(self.last + limits.idle, Why::Idle(limits.idle));
            }
            (false, true) => {}
        }
        nearest
    }

    pub(super) fn grace(&self) -> Duration {
        self.at.agent.limits.grace
    }

    /// Whether it must not go on. What is over already may end by itself.
    pub(super) fn is_to_stop(&self) -> bool {
        self.why.is_some() && !self.ended
    }

    pub(super) fn take_why(&mut self) -> Option<Why> {
        self.why.take()
    }

    pub(super) fn held_open(&self) {
        self.books.voice.note("the program has ended, but something holds its output open");
    }

    pub(super) fn take_stderr(&mut self) -> Capture {
        std::mem::replace(&mut self.books.kept.stderr, Capture::new(LogStream::Stderr))
    }

    pub(super) fn give_stderr(&mut self, stderr: Capture) {
        self.books.kept.stderr = stderr;
    }

    pub(super) fn stderr(&self) -> &Capture {
        &self.books.kept.stderr
    }

    /// Its output has ended.
    pub(super) async fn finish(&mut self) {
        if let Some(line) = self.lines.end() {
            self.line(line).await;
        }
        self.input = None;
        self.entries = None;
    }

    /// What the file said that it left.
    pub(super) async fn report(&mut self, file: &[u8]) {
        let steps = self.dialogue.report(file);
        self.follow(steps).await;
    }

    pub(super) fn verdict(&mut self, exit: Exit) -> Verdict {
        self.dialogue.verdict(exit)
    }

    /// Whether all that it printed was unreadable.
    pub(super) fn is_unreadable(&self) -> bool {
        let unreadable = self.books.voice.unreadable();
        unreadable > 0 && !self.understood
    }

    /// How long it waited last before it called its model again.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.wait
    }

    pub(super) fn into_ran(self, result: Result<Finish, Failure>) -> Ran {
        tracing::debug!(events = self.events, session = ?self.session, "a program has ended");
        Ran { result, session: self.session, did: self.did, last: self.said, unsaid: self.unsaid }
    }
}

/// Whether `version` comes before `other`, by their first three numbers. What holds no number comes
/// before nothing.
pub fn is_older(version: &str, other: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        let parts = text.split(|letter: char| !letter.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).take(3).collect()
    };
    let version = numbers(version);
    !version.is_empty() && version < numbers(other)
}

#[cfg(test)]
mod tests {
    use super::is_older;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_older("2.1.99", "2.1.329") && is_older("1.9", "2.1.329"));
        assert!(!is_older("2.1.329", "2.1.329") && !is_older("10.0.0-beta", "2.1.329"));
        assert!(!is_older("unknown", "2.1.329"));
    }
}
