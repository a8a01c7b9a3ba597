//! The run alone, without an engine: random commands to [`Run`], each followed by every check.
//!
//! It is a thousand times quicker than a simulation of the engine and finds what the decisions get
//! wrong by themselves.

use super::{
    Construct, EPOCH, Rng, Trace,
    generate::Generator,
    model::LogModel,
    script::spent,
    world::{plain, standing},
};
use orchestrator_core::{
    agent::{AgentSpec, Role},
    command::{Added, AttemptKey, Command, Evaluated, Moment},
    effect::{Effect, Question},
    error::{ErrorClass, Failure},
    event::{Content, Recorded, Reply, Turn, Verdict},
    id::{
        AgentName, AttemptNumber, BlobId, CommitId, Epoch, MessageNumber, ProviderName,
        QuestionNumber, RunId, TaskName, TurnNumber,
    },
    permission::Action,
    port::{AttemptRow, Rows, Signal, TaskRow},
    run::{Run, RunStatus, StartRun},
    schedule::{Gate, HeldUp, LimitScope, Want},
    task::{Binding, TaskKind, TaskSpec},
    time::Timestamp,
    workflow::Workflow,
    workspace::{EvidenceRef, Landed, PullRequestRef, Refusal, Verdict as Proof, WorkRecord},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// The most commands until people say yes to everything, and then until the run must have ended.
const COMMANDS: u64 = 160;
const CALM: u64 = 3_000;

/// A gate that is sometimes closed.
struct Moody<'r> {
    rng: &'r mut Rng,
    closed: u64,
}

impl Gate for Moody<'_> {
    fn admit(&mut self, want: &Want<'_>) -> Result<(), HeldUp> {
        if self.rng.chance(self.closed) {
            let name = want.agent.to_string();
            return Err(HeldUp::Limit { scope: LimitScope::Agent, name, most: 1 });
        }
        Ok(())
    }
}

/// What the outside of a run holds.
struct Machine {
    rng: Rng,
    now: Timestamp,
    run: Run,
    log: Vec<Recorded>,
    tasks: BTreeMap<TaskName, TaskRow>,
    attempts: BTreeMap<(TaskName, AttemptNumber), AttemptRow>,
    model: LogModel,
    trace: Trace,
    violations: Vec<String>,
    /// Attempts at work, with the turn that each is at and the question that it has asked.
    at_work: BTreeMap<AttemptKey, (u32, bool)>,
    /// The number of the last question.
    asked: u32,
    stopped: BTreeSet<AttemptKey>,
    old: Vec<AttemptKey>,
    children: BTreeSet<RunId>,
    questions: Vec<(TaskName, Question)>,
    chains: BTreeSet<RunId>,
    lease: Epoch,
    signal: u64,
    calm: bool,
}

/// What came of one seed.
pub(super) fn run(seed: u64, without: &BTreeSet<Construct>) -> (Trace, Vec<String>) {
    let mut rng = Rng::new(seed, "machine");
    let generated = Generator { rng: &mut rng, without }.workflow("simulated");
    let mut trace = Trace::default();
    trace.line(EPOCH, format_args!("{}", generated.document));
    let workflow = read(&generated.document);
    let mut start = StartRun::new(workflow.clone());
    for (name, document) in &generated.library {
        start.library.insert(name.clone(), read(document));
    }
    let moment = Moment { now: EPOCH, draw: rng.draw() };
    let bindings = workflow.tasks.iter().map(bind).collect();
    let mut gate = Moody { rng: &mut rng, closed: 0 };
    let id = RunId::of(EPOCH, seed);
    let (mut run, events) = match Run::create(id, start, bindings, agents(), moment, &mut gate) {
        Ok(created) => created,
        Err(error) => return (trace, vec![error]),
    };
    let rows = run.take_rows();
    let mut machine = Machine {
        rng,
        now: EPOCH,
        run,
        log: Vec::new(),
        tasks: BTreeMap::new(),
        attempts: BTreeMap::new(),
        model: LogModel::default(),
        trace,
        violations: Vec::new(),
        at_work: BTreeMap::new(),
        asked: 0,
        stopped: BTreeSet::new(),
        old: Vec::new(),
        children: BTreeSet::new(),
        questions: Vec::new(),
        chains: BTreeSet::new(),
        lease: Epoch(1),
        signal: 0,
        calm: false,
    };
    machine.took(events, rows);
    for _ in 0..COMMANDS {
        if machine.over() {
            break;
        }
        machine.guarded();
    }
    machine.calm = true;
    for _ in 0..CALM {
        if machine.over() {
            break;
        }
        machine.guarded();
    }
    let ended = machine.run.status().is_final();
    if !ended && machine.violations.is_empty() {
        let open: Vec<String> = machine
            .run
            .tasks()
            .filter(|task| !task.status().is_final())
            .map(|task| format!("{} {}", task.name(), task.status()))
            .collect();
        let status = machine.run.status();
        machine.broken(format!("the run does not end: {status}, {}", open.join(", ")));
    }
    (machine.trace, machine.violations)
}

fn agents() -> Vec<AgentSpec> {
    let provider = ProviderName::new("simulated").expect("it is valid");
    let names = ["worker", "second", "judge", "lead"];
    names
        .map(|name| AgentSpec {
            steerable: name == "worker",
            ..AgentSpec::new(
                AgentName::new(name).expect("it is valid"),
                Role::Dev,
                provider.clone(),
            )
        })
        .to_vec()
}

fn bind(task: &TaskSpec) -> Binding {
    let of = |wanted: Option<&str>| -> Vec<AgentName> {
        let names = wanted.into_iter().chain(wanted.filter(|w| *w == "worker").map(|_| "second"));
        names.map(|name| AgentName::new(name).expect("it is valid")).collect()
    };
    Binding {
        task: task.name.clone(),
        agents: of(task.wanted()),
        undo: of(task.compensate.as_ref().and_then(|kind| kind.wanted())),
        judges: of(task.checks.as_ref().and_then(|checks| checks.judge.as_deref())),
    }
}

/// What holds of a run whoever drives it: whether something is ready is for its driver to find out.
fn facts(run: &Run) -> String {
    let text = run.snapshot();
    let text = text.replace("status: Ready", "status: Pending");
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    format!("{}\n{rest}", first.replacen(" Waiting ", " Running ", 1))
}

impl Machine {
    fn over(&self) -> bool {
        self.run.status().is_final() || !self.violations.is_empty()
    }

    /// Whether a task of that name is one now: items of an earlier list are not.
    fn stands(&self, name: &TaskName) -> bool {
        self.run.place(name.as_str()).is_some_and(|place| self.run.task(place).is_some())
    }

    /// One step; a panic in it is a broken promise.
    fn guarded(&mut self) {
        let stepped = catch_unwind(AssertUnwindSafe(|| self.step()));
        if let Err(panic) = stepped {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            self.broken(format!("it panicked: {}", said.unwrap_or_default()));
        }
    }

    fn broken(&mut self, what: String) {
        self.trace.line(self.now, format_args!("VIOLATION {what}"));
        self.violations.push(what);
    }

    /// Events are durable: they are read, and their effects begin.
    fn took(&mut self, events: Vec<Recorded>, rows: Rows) {
        for event in events {
            let text = serde_json::to_string(&event.event).unwrap_or_default();
            self.trace.line(event.at, format_args!("{} {text}", event.seq));
            for rule in self.model.read(&event) {
                self.broken(rule);
            }
            match serde_json::from_str(&text) {
                Ok(read) if event.event == read => {}
                other => self.broken(format!("{text} is read as {other:?}")),
            }
            self.log.push(event);
        }
        for row in rows.tasks {
            self.tasks.insert(row.name.clone(), row);
        }
        for row in rows.attempts {
            self.attempts.insert((row.task.clone(), row.number), row);
        }
        for effect in self.run.take_effects() {
            self.trace.line(self.now, format_args!("  {effect:?}"));
            match effect {
                Effect::StartAttempt { attempt, .. } => {
                    self.at_work.insert(attempt, (0, false));
                }
                Effect::StopAttempt { attempt } => {
                    self.stopped.insert(attempt);
                }
                Effect::AnswerAttempt { attempt, .. } => {
                    if let Some(state) = self.at_work.get_mut(&attempt) {
                        state.1 = false;
                    }
                }
                Effect::AttendChild { child, .. } => {
                    self.children.insert(child);
                }
                Effect::Evaluate { place, question } => {
                    self.questions.push((self.run.name(place), question));
                }
                Effect::StartChain { run, .. } => {
                    self.chains.insert(run);
                }
                Effect::Send { .. } => {}
                _ => {}
            }
        }
        self.compare();
    }

    /// What is replayed equals what lives.
    fn compare(&mut self) {
        let (replayed, rows) = match Run::rebuild(&self.log) {
            Ok(rebuilt) => rebuilt,
            Err(error) => return self.broken(format!("it cannot be replayed: {error}")),
        };
        let (live, again) = (facts(&self.run), facts(&replayed));
        if live != again {
            let lines = live.lines().zip(again.lines());
            let differ: Vec<String> = lines
                .filter(|(a, b)| a != b)
                .map(|(a, b)| format!("live {} | replayed {}", a.trim(), b.trim()))
                .take(6)
                .collect();
            self.broken(format!("replay differs from live: {}", differ.join(" ;; ")));
        }
        let (mut live, mut again) = (self.run.run_row(), replayed.run_row());
        (live.status, again.status) = (standing(live.status), standing(again.status));
        if live != again {
            self.broken(format!("the run's row is {live:?}, replayed {again:?}"));
        }
        let plain = |mut row: TaskRow| {
            plain(&mut row);
            row
        };
        let known: BTreeMap<TaskName, TaskRow> =
            rows.tasks.into_iter().map(|row| (row.name.clone(), plain(row))).collect();
        let mut stored: BTreeMap<TaskName, TaskRow> =
            self.tasks.iter().map(|(name, row)| (name.clone(), plain(row.clone()))).collect();
        // Items that a revision retired keep the row that they had.
        stored.retain(|name, _| known.contains_key(name) || self.stands(name));
        for (name, row) in &stored {
            if known.get(name) != Some(row) {
                let again = known.get(name);
                return self.broken(format!("the row of `{name}` is {row:?}, replayed {again:?}"));
            }
        }
        if stored.len() != known.len() {
            self.broken(format!("{} rows of tasks, replayed {}", stored.len(), known.len()));
        }
        let known: BTreeMap<_, _> =
            rows.attempts.into_iter().map(|row| ((row.task.clone(), row.number), row)).collect();
        if known != self.attempts {
            let differs = self.attempts.iter().find(|(key, row)| known.get(key) != Some(row));
            let again = differs.and_then(|(key, _)| known.get(key));
            self.broken(format!("an attempt's row is {differs:?}, replayed {again:?}"));
        }
    }

    fn handle(&mut self, command: Command) -> bool {
        let said = format!("{command:?}");
        self.trace.line(self.now, format_args!("> {said}"));
        let moment = Moment { now: self.now, draw: self.rng.draw() };
        let closed = if self.calm { 0 } else { 150 };
        let before = self.run.snapshot();
        let mut gate = Moody { rng: &mut self.rng, closed };
        match self.run.handle(command, moment, &mut gate) {
            Ok(events) => {
                let rows = self.run.take_rows();
                self.took(events, rows);
                true
            }
            Err(rejected) => {
                self.trace.line(self.now, format_args!("  {rejected}"));
                if self.run.snapshot() != before {
                    self.broken(format!("{said} was rejected and changed the run"));
                }
                false
            }
        }
    }

    fn pick<T: Clone>(&mut self, from: Vec<T>) -> Option<T> {
        (!from.is_empty()).then(|| self.rng.pick(&from).clone())
    }

    fn step(&mut self) {
        if self.rng.chance(500) {
            self.now = self.now.after(self.rng.pause(0, 400));
        }
        match self.rng.below(100) {
            0..40 => self.work(),
            40..50 => self.evaluate(),
            50..58 => {
                if let Some(child) = self.pick(self.children.iter().cloned().collect()) {
                    self.children.remove(&child);
                    let ends = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];
                    let status = *self.rng.pick(&ends);
                    let output = Content::Inline(json!({ "child": 1 }));
                    let reason = (status != RunStatus::Succeeded).then(|| "it failed".to_owned());
                    self.handle(Command::EndChild { run: child, status, output, reason });
                }
            }
            58..64 => {
                if let Some(run) = self.pick(self.chains.iter().cloned().collect()) {
                    self.chains.remove(&run);
                    let failure = self.rng.chance(200).then(|| {
                        Failure::new(ErrorClass::InvalidRequest, "there is no such workflow")
                    });
                    self.handle(Command::EndChain { run, failure });
                }
            }
            64..80 => {
                if let Some(at) = self.run.next_wake() {
                    self.now = self.now.max(at);
                }
                self.handle(Command::Tick);
            }
            80..92 => self.people(),
            92..94 if !self.calm => self.crash(),
            94..97 => {
                if let Some(attempt) = self.pick(self.old.clone()) {
                    let lines = Vec::new();
                    if self.handle(Command::LogAttempt { attempt, lines, dropped: 1 }) {
                        self.broken("a stale attempt was listened to".into());
                    }
                }
            }
            _ => {}
        }
    }

    /// An attempt goes on, or ends.
    fn work(&mut self) {
        let Some((attempt, (turns, asks))) =
            self.pick(self.at_work.iter().map(|(k, v)| (k.clone(), *v)).collect())
        else {
            return;
        };
        let stopped = self.stopped.contains(&attempt);
        if stopped || (asks && self.calm) {
            if asks && !stopped {
                return;
            }
            let failure = Failure::new(ErrorClass::Cancelled, "it was stopped");
            return self.end(attempt.clone(), Command::FailAttempt { attempt, failure });
        }
        if asks {
            return;
        }
        match self.rng.below(20) {
            0..4 => {
                let number = TurnNumber(turns + 1);
                let output = Content::Inline(json!({ "turn": turns }));
                let turn = Turn {
                    number,
                    kind: "tool".into(),
                    name: "t".into(),
                    input: format!("i{turns}"),
                    output,
                    spend: Vec::new(),
                };
                if self
                    .handle(Command::RecordTurn { attempt: attempt.clone(), turn: Box::new(turn) })
                    && let Some(state) = self.at_work.get_mut(&attempt)
                {
                    state.0 += 1;
                }
            }
            4 => {
                self.handle(Command::KnowSession { attempt, session: "s".into() });
            }
            5 if turns > 0 => {
                let from =
                    TurnNumber(u32::try_from(self.rng.between(1, u64::from(turns))).unwrap_or(1));
                if self.handle(Command::CutJournal { attempt: attempt.clone(), from })
                    && let Some(state) = self.at_work.get_mut(&attempt)
                {
                    state.0 = from.0 - 1;
                }
            }
            6 if !self.calm => {
                self.asked += 1;
                let (question, message) = (QuestionNumber(self.asked), "which one?".to_owned());
                let expires_in = self.rng.chance(700).then(|| self.rng.pause(10, 5_000));
                let wanted = format!("make {}", self.rng.below(4));
                let action = self.rng.chance(500).then(|| Box::new(Action::run("Shell", wanted)));
                let attempt = attempt.clone();
                let command = Command::AskPerson {
                    attempt: attempt.clone(),
                    question,
                    message,
                    action,
                    expires_in,
                };
                if self.handle(command)
                    && let Some(state) = self.at_work.get_mut(&attempt)
                {
                    state.1 = true;
                }
            }
            7 => {
                self.handle(Command::LogAttempt { attempt, lines: Vec::new(), dropped: 2 });
            }
            8..11 => {
                let class = *self.rng.pick(&ErrorClass::ALL);
                let mut failure = Failure::new(class, "it failed");
                if self.rng.chance(300) {
                    failure = failure.retry_at(self.now.after(self.rng.pause(0, 900_000)));
                }
                self.end(attempt.clone(), Command::FailAttempt { attempt, failure });
            }
            11 if self.rng.chance(300) => {
                let failure = Failure::new(ErrorClass::Cancelled, "put down");
                self.end(attempt.clone(), Command::PutDownAttempt { attempt, failure });
            }
            _ => {
                if self.prove(&attempt) {
                    return;
                }
                let output = self.output(&attempt);
                let added = (attempt.task.as_str() == "lead").then(|| {
                    let agent = TaskKind::Agent { agent: "worker".into(), prompt: "more".into() };
                    let tasks: Vec<TaskSpec> = ["extra-a", "extra-b"]
                        .map(|name| {
                            TaskSpec::new(TaskName::new(name).expect("it is valid"), agent.clone())
                        })
                        .to_vec();
                    let bindings = tasks.iter().map(bind).collect();
                    Box::new(Added { tasks, bindings, agents: Vec::new() })
                });
                let (spend, artifacts, cached) = (Vec::new(), Vec::new(), None);
                let key = attempt.clone();
                let command =
                    Command::FinishAttempt { attempt, output, spend, artifacts, cached, added };
                self.end(key, command);
            }
        }
    }

    /// What an attempt with a worktree makes goes its way; true when it did not come to its end.
    fn prove(&mut self, attempt: &AttemptKey) -> bool {
        let Some(place) = self.run.place(attempt.task.as_str()) else { return false };
        let spec = self.run.spec(place);
        if !spec.has_worktree() {
            return false;
        }
        let (proved, lands) = (spec.is_proved(), spec.landing().is_some());
        let judged = spec.checks.as_deref().is_some_and(|checks| checks.judge.is_some());
        let done = self.run.briefing(place).done;
        let work = match &done {
            Some(done) => done.facts.work.clone(),
            None => {
                let id = |number: u64| {
                    CommitId::new(format!("{number:040x}")).expect("hexadecimal digits")
                };
                let (commit, base) = (id(attempt.epoch.0), id(0));
                WorkRecord { commit, base, files: 1, listed: Vec::new(), diff: None }
            }
        };
        if done.is_none() {
            let command = Command::RecordWork {
                attempt: attempt.clone(),
                output: self.output(attempt),
                spend: Vec::new(),
                artifacts: Vec::new(),
                work: Box::new(work.clone()),
            };
            self.must(command);
            // Whatever comes now, its agent is not asked again.
            if self.rng.chance(300) {
                return true;
            }
        }
        let known = done.as_ref().and_then(|done| done.facts.evidence.clone());
        let mut verdict = known.as_ref().map_or(Proof::Verified, |evidence| evidence.verdict);
        if proved && known.is_none() {
            if self.rng.chance(300) {
                verdict = *self.rng.pick(&[Proof::Failed, Proof::Tampered, Proof::NotAccepted]);
            }
            if verdict == Proof::NotAccepted && !judged {
                verdict = Proof::Failed;
            }
            // A judge is asked when nothing else is wrong.
            let is_asked = judged && matches!(verdict, Proof::Verified | Proof::NotAccepted);
            let spend = if is_asked { spent() } else { Vec::new() };
            let blob = BlobId::new(format!("sha256:{:064x}", 7)).expect("it is valid");
            let (commit, outputs) = (work.commit.clone(), Vec::new());
            let evidence = Box::new(EvidenceRef { blob, verdict, commit, outputs });
            let attempt = attempt.clone();
            self.must(Command::RecordEvidence { attempt, evidence, spend });
            if self.rng.chance(300) {
                return true;
            }
        }
        let landed = done
            .as_ref()
            .is_some_and(|done| done.facts.landed.is_some() || done.facts.requested.is_some());
        let refused = verdict == Proof::Verified && lands && !landed && self.rng.chance(200);
        if verdict != Proof::Verified || refused {
            let refusal = refused.then(|| {
                Box::new(Refusal {
                    target: "main".into(),
                    tip: work.base.clone(),
                    files: vec!["a".into()],
                    message: "solve it".into(),
                    evidence: None,
                    outputs: Vec::new(),
                })
            });
            let command = Command::RejectWork {
                attempt: attempt.clone(),
                failure: Failure::new(ErrorClass::CheckFailed, "it is not good"),
                feedback: "mend it".into(),
                refusal,
            };
            self.end(attempt.clone(), command);
            return true;
        }
        if lands && !landed {
            let (commit, before) = (work.commit.clone(), work.base.clone());
            let (target, evidence, outputs) = ("main".to_owned(), None, Vec::new());
            if attempt.epoch.0.is_multiple_of(7) {
                let url = "https://forge.example/1".to_owned();
                let request = Box::new(PullRequestRef { target, commit, url, number: None });
                self.must(Command::RecordPullRequest { attempt: attempt.clone(), request });
            } else {
                let landed = Box::new(Landed { target, commit, before, evidence, outputs });
                self.must(Command::RecordLanding { attempt: attempt.clone(), landed });
            }
        }
        false
    }

    /// A step of an attempt at work, which cannot be rejected.
    fn must(&mut self, command: Command) {
        let said = format!("{command:?}");
        if !self.handle(command) {
            self.broken(format!("{said} was rejected"));
        }
    }

    fn output(&mut self, attempt: &AttemptKey) -> Content {
        let value = json!({
            "items": (0..self.rng.below(4)).collect::<Vec<_>>(),
            "approved": self.rng.chance(600),
            "feedback": "more",
        });
        if self.rng.chance(150) {
            let id = BlobId::new(format!("sha256:{:064x}", attempt.epoch.0)).expect("it is valid");
            return Content::Blob { id, bytes: 99 };
        }
        Content::Inline(value)
    }

    fn end(&mut self, attempt: AttemptKey, command: Command) {
        self.at_work.remove(&attempt);
        self.stopped.remove(&attempt);
        if !self.handle(command) {
            self.broken(format!("the end of {attempt:?} was rejected"));
        }
        self.old.push(attempt);
    }

    fn evaluate(&mut self) {
        if self.questions.is_empty() {
            return;
        }
        let at = usize::try_from(self.rng.below(self.questions.len() as u64)).unwrap_or(0);
        let (task, question) = self.questions.remove(at);
        let answer = match question {
            Question::When | Question::Unless => Ok(Evaluated::Decided(self.rng.chance(600))),
            Question::Items => {
                let count = u32::try_from(self.rng.below(5)).unwrap_or(0);
                let items: Vec<u32> = (0..count).collect();
                Ok(Evaluated::Listed { count, items: Content::Inline(json!(items)) })
            }
            Question::Message => Ok(Evaluated::Filled("go on?".into())),
        };
        let answer = if self.rng.chance(100) {
            Err(Failure::new(ErrorClass::InvalidRequest, "no such field"))
        } else {
            answer
        };
        self.handle(Command::Answer { task, question, answer });
    }

    fn people(&mut self) {
        let asked: Vec<TaskName> =
            self.run.tasks().filter(|task| task.ask().is_some()).map(|task| task.name()).collect();
        if let Some(task) = self.pick(asked) {
            let verdict = match self.rng.below(4) {
                0 => Verdict::Rejected("no".into()),
                1 => Verdict::Answered("\"this\"".into()),
                _ => Verdict::Approved,
            };
            let asks = self.run.place(task.as_str()).and_then(|place| self.run.task(place));
            let numbers: Vec<Option<QuestionNumber>> =
                asks.iter().flat_map(|task| task.asks()).map(|ask| ask.question).collect();
            let number = self.pick(numbers).flatten();
            let mut reply = Reply::new(verdict, "somebody").to(number);
            reply.always = self.rng.chance(200) && !self.calm;
            self.signal(Signal::Reply { task, reply });
            if !self.calm {
                return;
            }
        }
        if self.calm {
            if self.run.status() == RunStatus::Paused {
                self.signal(Signal::Resume {});
            }
            return;
        }
        let names: Vec<TaskName> = self.run.tasks().map(|task| task.name()).collect();
        match self.rng.below(40) {
            0 => self.signal(Signal::Cancel { reason: "no more".into() }),
            1..5 => {
                let now = self.rng.chance(500);
                self.signal(Signal::Pause { now });
            }
            5..15 => self.signal(Signal::Resume {}),
            15 | 16 => {
                if let Some(task) = self.pick(names) {
                    self.signal(Signal::Kill { task, reason: "not that".into() });
                }
            }
            18..22 => {
                if let Some(task) = self.pick(names) {
                    let text = "so, not so".to_owned();
                    let signal = match self.rng.chance(500) {
                        true => Signal::Say { task, text },
                        false => Signal::Interrupt { task, text: None },
                    };
                    self.signal(signal);
                }
            }
            22..26 => {
                let under_way: Vec<AttemptKey> = self.at_work.keys().cloned().collect();
                if let Some(attempt) = self.pick(under_way) {
                    let number = MessageNumber(u32::try_from(self.rng.between(1, 3)).unwrap_or(1));
                    self.handle(Command::NoteDelivery { attempt, number });
                }
            }
            17 => {
                let task = TaskName::new("nobody").expect("it is valid");
                let reply = Reply::new(Verdict::Approved, "x");
                self.signal(Signal::Reply { task, reply });
            }
            _ => {}
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.signal += 1;
        let again = self.rng.chance(100);
        let number = self.signal;
        self.handle(Command::Signal { number, signal: signal.clone() });
        if again && !self.run.status().is_final() && self.handle(Command::Signal { number, signal })
        {
            self.broken(format!("signal {number} was taken twice"));
        }
    }

    /// The process ends, and another takes the run up.
    fn crash(&mut self) {
        self.trace.line(self.now, format_args!("CRASH"));
        self.old.extend(self.at_work.keys().cloned());
        self.at_work.clear();
        self.stopped.clear();
        self.children.clear();
        self.questions.clear();
        self.chains.clear();
        self.now = self.now.after(self.rng.pause(0, 60_000));
        match Run::replay(&self.log) {
            Ok(run) => self.run = run,
            Err(error) => return self.broken(format!("it cannot be replayed: {error}")),
        }
        self.lease = self.lease.next();
        let recover = Command::recover(self.lease);
        if !self.handle(recover) {
            self.broken("recovery was rejected".into());
        }
    }
}

fn read(document: &Value) -> Arc<Workflow> {
    Arc::new(Workflow::parse(document).expect("it is valid"))
}
