//! A log, read by rules of its own: what must hold of the events of any run, whoever wrote them.
//!
//! It shares no code with [`Run`](orchestrator_core::run::Run): a rule that both break alike would
//! go unseen otherwise.

use orchestrator_core::{
    error::{ErrorClass, Failure},
    event::{AskKind, Event, NextAttempt, Recorded, RunCreated, Verdict},
    id::{AttemptNumber, CommitId, Epoch, MessageNumber, QuestionNumber, Sequence, TaskName},
    run::RunStatus,
    task::{OnFailure, TaskSpec},
    time::Timestamp,
    workflow::Mode,
    workspace::Verdict as Proof,
};
use std::collections::{BTreeMap, BTreeSet};

/// The most attempts of one task between two revisions, whatever cut them off.
const MOST_ATTEMPTS: u32 = 120;

/// How many attempts more than `max-attempts` an agent may be given for repairs of an output and
/// for a prompt that has to be shortened.
const REPAIRS: u32 = 8;

/// Where a task stands, as far as the rules ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Open,
    Succeeded,
    Failed,
    Skipped,
    Cancelled,
}

#[derive(Debug, Clone)]
struct Task {
    needs: Vec<TaskName>,
    on_failure: OnFailure,
    group: Option<String>,
    most: u32,
    stand: Stand,
    /// The attempt under way, and whether it is a child run.
    attempt: Option<(AttemptNumber, bool)>,
    attempts: u32,
    since_reopened: u32,
    /// Failed attempts that nothing from outside cut off, since a person or a revision spoke.
    failures: u32,
    turns: u32,
    fresh: bool,
    /// The place in its binding of the agent whose turn it is.
    agent: usize,
    /// What its attempts ask permission for, by the numbers of the questions.
    asking: BTreeMap<QuestionNumber, String>,
    /// What was answered to them: nobody is asked that again.
    answered: BTreeSet<String>,
    /// The messages that nobody has.
    waiting: BTreeSet<MessageNumber>,
    /// How many were sent.
    sent: u32,
    /// Whether its work has to be proved.
    is_proved: bool,
    /// Whether it has commits.
    has_commits: bool,
    /// Whether another agent judges what it has made.
    is_judged: bool,
    /// The commit that was recorded and has not been sent back, and what its checks gave.
    made: Option<(CommitId, Option<Proof>)>,
}

/// What one log tells.
#[derive(Debug, Clone, Default)]
pub(super) struct LogModel {
    tasks: BTreeMap<TaskName, Task>,
    max_parallel: usize,
    seq: Sequence,
    at: Timestamp,
    epoch: Epoch,
    lease: Epoch,
    cancelled: bool,
    undo: Vec<TaskName>,
    ended: Option<RunStatus>,
    signal: u64,
    broken: Vec<String>,
    /// How often the items of lists that were made again had been tried.
    tried: BTreeMap<TaskName, u32>,
}

impl LogModel {
    /// Reads one more event; says which rules it breaks.
    pub(super) fn read(&mut self, recorded: &Recorded) -> Vec<String> {
        if recorded.seq != self.seq.next() {
            self.broken.push(format!("event {} follows {}", recorded.seq, self.seq));
        }
        if recorded.at < self.at {
            self.broken.push("time goes backwards".into());
        }
        (self.seq, self.at) = (recorded.seq, recorded.at);
        if let Some(status) = self.ended
            && !matches!(
                recorded.event,
                Event::ChainPlanned { .. } | Event::ChainStarted { .. } | Event::SignalTaken { .. }
            )
        {
            self.broken.push(format!("`{}` after the run ended {status}", recorded.event.kind()));
        }
        self.event(&recorded.event);
        let at = recorded.seq;
        self.broken.drain(..).map(|rule| format!("event {at}: {rule}")).collect()
    }

    /// How the run ended, if it has.
    pub(super) fn ended(&self) -> Option<RunStatus> {
        self.ended
    }

    /// The most attempts at once that the run allows.
    pub(super) fn max_parallel(&self) -> usize {
        self.max_parallel
    }

    /// The concurrency group of a task.
    pub(super) fn group(&self, task: &TaskName) -> Option<String> {
        let whole = TaskName::new(task.base()).ok();
        let task = self.tasks.get(task).or_else(|| self.tasks.get(&whole?))?;
        task.group.clone()
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::RunCreated(created) => self.create(created),
            Event::AttemptStarted { task, attempt, epoch, child, .. } => {
                self.starts(task, *attempt, *epoch, child.is_some());
            }
            Event::SessionKnown { task, attempt, .. }
            | Event::AttemptLogged { task, attempt, .. } => self.under_way(task, *attempt),
            Event::TurnRecorded { task, attempt, turn } => {
                self.under_way(task, *attempt);
                let number = turn.number.0;
                let mut skipped = None;
                if let Some(task) = self.tasks.get_mut(task) {
                    let next = if task.fresh && number == 1 { 1 } else { task.turns + 1 };
                    if number != next {
                        skipped = Some(next);
                    }
                    (task.turns, task.fresh) = (number, false);
                }
                if let Some(next) = skipped {
                    self.broken.push(format!("turn {number} of `{task}` comes before {next}"));
                }
            }
            Event::JournalCut { task, attempt, from } => {
                self.under_way(task, *attempt);
                if let Some(task) = self.tasks.get_mut(task) {
                    task.turns = task.turns.min(from.0.saturating_sub(1));
                }
            }
            Event::WorkspaceOpened { task, attempt, .. }
            | Event::CheckpointMade { task, attempt, .. } => self.under_way(task, *attempt),
            Event::WorkRecorded { task, attempt, work, .. } => {
                self.under_way(task, *attempt);
                self.records(task, &work.commit);
            }
            Event::EvidenceRecorded { task, attempt, evidence, spend } => {
                self.under_way(task, *attempt);
                self.proves(task, &evidence.commit, evidence.verdict);
                self.judges(task, evidence.verdict, !spend.is_empty());
            }
            Event::WorkLanded { task, attempt, .. } => {
                self.under_way(task, *attempt);
                self.needs_proof(task, "lands");
            }
            Event::PullRequestOpened { task, attempt, .. } => {
                self.under_way(task, *attempt);
                self.needs_proof(task, "is asked for");
            }
            Event::LandingRefused { task, attempt, .. } => self.under_way(task, *attempt),
            Event::AttemptSucceeded { task, attempt, .. } => {
                self.under_way(task, *attempt);
                self.needs_proof(task, "succeeds");
                self.close(task, Stand::Succeeded);
            }
            Event::AttemptFailed { task, attempt, failure, next, ask } => {
                self.under_way(task, *attempt);
                self.fails(task, failure, next.as_deref(), ask.is_some());
            }
            Event::TaskExpanded { task, count, .. } => {
                self.ready(task);
                self.expand(task, *count);
            }
            Event::TasksAdded { tasks, .. } => {
                for spec in tasks {
                    let needs = spec.needs.clone();
                    self.add(spec, needs, spec.retry.max_attempts);
                }
            }
            Event::TaskDelayed { task, .. } => self.ready(task),
            Event::PersonAsked { task, ask } => {
                if ask.kind == AskKind::Approval {
                    self.ready(task);
                }
                if let (Some(question), Some(_)) = (ask.question, &ask.action) {
                    self.asks(task, question, ask.call().input);
                }
            }
            Event::PersonAnswered { task, reply, .. } => {
                if let Some(task) = self.tasks.get_mut(task) {
                    let asked = reply.question.and_then(|number| task.asking.remove(&number));
                    task.answered.extend(asked.filter(|_| reply.verdict != Verdict::Expired));
                    task.failures = 0;
                }
            }
            Event::MessageSent { task, message } => self.sends(task, message.number),
            Event::MessageDelivered { task, attempt, number } => {
                self.under_way(task, *attempt);
                let known = self.tasks.get_mut(task).map(|task| task.waiting.remove(number));
                if known != Some(true) {
                    self.broken.push(format!("message {number} of `{task}` is delivered twice"));
                }
            }
            Event::TaskSucceeded { task, .. } | Event::TaskCarried { task, .. } => {
                self.close(task, Stand::Succeeded);
            }
            Event::TaskSkipped { task, .. } => self.close(task, Stand::Skipped),
            Event::TaskCancelled { task } => self.close(task, Stand::Cancelled),
            Event::TaskFailed { task, .. } => self.close(task, Stand::Failed),
            Event::RevisionRequested { reopened, .. } => self.reopen(reopened),
            Event::SignalTaken { number, .. } => {
                if *number <= self.signal {
                    self.broken.push(format!("signal {number} is taken twice"));
                }
                self.signal = *number;
            }
            Event::UndoPlanned { tasks } => self.plan_undo(tasks),
            Event::CancelRequested { .. } => self.cancelled = true,
            Event::RunRecovered { lease } => {
                if *lease <= self.lease {
                    self.broken.push(format!("lease {lease} follows {}", self.lease));
                }
                self.lease = *lease;
            }
            Event::RunEnded { status } => self.end(*status),
            _ => {}
        }
    }

    fn create(&mut self, created: &RunCreated) {
        self.max_parallel = created.max_parallel as usize;
        self.lease = Epoch(1);
        let tasks = &created.workflow.tasks;
        for (place, spec) in tasks.iter().enumerate() {
            let mut needs = spec.needs.clone();
            let before = match created.workflow.mode {
                Mode::Parallel => None,
                Mode::Sequential => place.checked_sub(1),
                Mode::Hierarchical => (place > 0).then_some(0),
            };
            needs.extend(before.map(|place| tasks[place].name.clone()));
            let agents = created.bindings.get(place).map_or(1, |b| b.agents.len().max(1));
            let agents = u32::try_from(agents).unwrap_or(u32::MAX);
            self.add(spec, needs, spec.retry.max_attempts.saturating_mul(agents));
        }
    }

    fn add(&mut self, spec: &TaskSpec, needs: Vec<TaskName>, most: u32) {
        let task = Task {
            needs,
            on_failure: spec.on_failure,
            group: spec.concurrency_group.as_ref().map(ToString::to_string),
            most,
            stand: Stand::Open,
            attempt: None,
            attempts: 0,
            since_reopened: 0,
            failures: 0,
            turns: 0,
            fresh: true,
            agent: 0,
            asking: BTreeMap::new(),
            answered: BTreeSet::new(),
            waiting: BTreeSet::new(),
            sent: 0,
            is_proved: spec.is_proved(),
            has_commits: spec.has_worktree(),
            is_judged: spec.checks.as_deref().is_some_and(|checks| checks.judge.is_some()),
            made: None,
        };
        if self.tasks.insert(spec.name.clone(), task).is_some() {
            self.broken.push(format!("the task `{}` exists twice", spec.name));
        }
    }

    /// Whether all that the task needs has ended so that it may begin.
    fn ready(&mut self, name: &TaskName) {
        let Some(task) = self.tasks.get(name) else {
            return self.broken.push(format!("`{name}` is no task of the run"));
        };
        if task.stand != Stand::Open {
            self.broken.push(format!("`{name}` begins though it is {:?}", task.stand));
        }
        for need in task.needs.clone() {
            let Some(needed) = self.tasks.get(&need) else {
                self.broken.push(format!("`{name}` needs `{need}`, which does not exist"));
                continue;
            };
            let lets_on = match needed.stand {
                Stand::Open => false,
                Stand::Failed => needed.on_failure == OnFailure::Continue,
                Stand::Succeeded | Stand::Skipped | Stand::Cancelled => true,
            };
            if !lets_on {
                let stand = needed.stand;
                self.broken.push(format!("`{name}` begins though `{need}` is {stand:?}"));
            }
        }
    }

    fn starts(&mut self, name: &TaskName, attempt: AttemptNumber, epoch: Epoch, child: bool) {
        self.ready(name);
        if epoch <= self.epoch {
            self.broken.push(format!("epoch {epoch} of `{name}` follows {}", self.epoch));
        }
        self.epoch = epoch;
        let Some(task) = self.tasks.get_mut(name) else { return };
        if task.attempt.is_some() {
            self.broken.push(format!("`{name}` has two attempts at once"));
        }
        if attempt.0 != task.attempts + 1 {
            self.broken.push(format!("attempt {attempt} of `{name}` follows {}", task.attempts));
        }
        task.attempt = Some((attempt, child));
        task.attempts += 1;
        task.since_reopened += 1;
        task.fresh = true;
        if task.since_reopened > MOST_ATTEMPTS || task.failures > task.most.saturating_add(REPAIRS)
        {
            let (since, failures) = (task.since_reopened, task.failures);
            self.broken.push(format!("`{name}` is tried {since} times, after {failures} failures"));
        }
        let at_work = self.tasks.values().filter(|t| matches!(t.attempt, Some((_, false)))).count();
        if at_work > self.max_parallel {
            let most = self.max_parallel;
            self.broken.push(format!("{at_work} attempts at once where {most} are allowed"));
        }
        self.undone_in_order(name);
    }

    /// What is undone is undone one after the other.
    fn undone_in_order(&mut self, name: &TaskName) {
        let Some(place) = self.undo.iter().position(|undo| undo == name) else { return };
        let early =
            self.undo[..place].iter().find(|&undo| self.tasks[undo].stand == Stand::Open).cloned();
        if let Some(early) = early {
            self.broken.push(format!("`{name}` begins before `{early}` has ended"));
        }
    }

    fn under_way(&mut self, name: &TaskName, attempt: AttemptNumber) {
        let current = self.tasks.get(name).and_then(|task| task.attempt);
        if current.map(|(number, _)| number) != Some(attempt) {
            self.broken.push(format!("attempt {attempt} of `{name}` is not under way"));
        }
    }

    fn fails(&mut self, name: &TaskName, failure: &Failure, next: Option<&NextAttempt>, ask: bool) {
        if next.is_none() && !ask {
            let stand = match failure.class {
                ErrorClass::Cancelled => Stand::Cancelled,
                _ => Stand::Failed,
            };
            return self.close(name, stand);
        }
        if let Some(task) = self.tasks.get_mut(name) {
            task.attempt = None;
            let agent = next.map_or(task.agent, |next| next.agent);
            // Another one begins anew, and knows nothing of what was asked.
            if agent != task.agent || next.is_some_and(|next| next.anew) {
                task.asking.clear();
                task.answered.clear();
            }
            if ask {
                task.asking.clear();
            }
            task.agent = agent;
            if failure.class == ErrorClass::CheckFailed {
                task.made = None;
            }
            let cut_off = [ErrorClass::Cancelled, ErrorClass::Crashed].contains(&failure.class);
            task.failures += u32::from(!cut_off);
        }
    }

    fn close(&mut self, name: &TaskName, stand: Stand) {
        let Some(task) = self.tasks.get_mut(name) else {
            return self.broken.push(format!("`{name}` ends, but is no task of the run"));
        };
        // A judge that is not satisfied any more fails after its attempt has succeeded.
        if task.stand != Stand::Open && (task.stand, stand) != (Stand::Succeeded, Stand::Failed) {
            self.broken.push(format!("`{name}` ends {stand:?} though it is {:?}", task.stand));
        }
        task.stand = stand;
        task.attempt = None;
        task.asking.clear();
        task.answered.clear();
    }

    /// Nothing is asked while it is asked, nor once it was answered.
    fn asks(&mut self, name: &TaskName, question: QuestionNumber, what: String) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        let again = task.answered.contains(&what) || task.asking.values().any(|open| *open == what);
        task.asking.insert(question, what);
        if again {
            self.broken.push(format!("question {question} of `{name}` was asked before"));
        }
    }

    fn sends(&mut self, name: &TaskName, number: MessageNumber) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        task.sent += 1;
        task.waiting.insert(number);
        if number.0 != task.sent {
            self.broken.push(format!("message {number} of `{name}` is out of order"));
        }
    }

    /// The messages to a task that nobody has.
    pub(super) fn waiting(&self, name: &TaskName) -> Vec<MessageNumber> {
        self.tasks.get(name).map(|task| task.waiting.iter().copied().collect()).unwrap_or_default()
    }

    fn expand(&mut self, name: &TaskName, count: u32) {
        let Some(whole) = self.tasks.get(name).cloned() else { return };
        for index in 0..count {
            let item = Task {
                stand: Stand::Open,
                attempt: None,
                attempts: 0,
                made: None,
                ..whole.clone()
            };
            let item_name = name.item(index);
            // A list that was done before and is done again goes on counting.
            let attempts = self.tried.get(&item_name).copied().unwrap_or_default();
            self.tasks.insert(item_name, Task { attempts, ..item });
        }
    }

    fn reopen(&mut self, reopened: &[TaskName]) {
        let names: BTreeSet<&str> = reopened.iter().map(TaskName::as_str).collect();
        let tried = &mut self.tried;
        self.tasks.retain(|name, task| {
            let is_item = name.as_item().is_some_and(|(group, _)| names.contains(group));
            if is_item {
                tried.insert(name.clone(), task.attempts);
            }
            !is_item
        });
        for (name, task) in &mut self.tasks {
            if names.contains(name.as_str()) {
                task.stand = Stand::Open;
                (task.since_reopened, task.failures) = (0, 0);
                (task.turns, task.fresh) = (0, true);
                task.made = None;
            }
        }
    }

    /// Whether the work of a task is recorded and was not sent back since: nobody has to be asked
    /// for it.
    pub(super) fn is_recorded(&self, name: &TaskName) -> bool {
        self.tasks.get(name).is_some_and(|task| task.stand == Stand::Open && task.made.is_some())
    }

    fn records(&mut self, name: &TaskName, commit: &CommitId) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        if task.made.is_some() {
            self.broken.push(format!("the work of `{name}` is recorded twice"));
        }
        task.made = Some((commit.clone(), None));
    }

    fn proves(&mut self, name: &TaskName, commit: &CommitId, verdict: Proof) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        match &mut task.made {
            Some((made, proof @ None)) if made == commit => *proof = Some(verdict),
            other => {
                let what = format!("`{name}` proves {commit} where {other:?} was made");
                self.broken.push(what);
            }
        }
    }

    /// Who is to be judged is, when nothing else is wrong, and nobody else; that is paid for.
    fn judges(&mut self, name: &TaskName, verdict: Proof, has_spent: bool) {
        let Some(task) = self.tasks.get(name) else { return };
        let was_judged = match verdict {
            Proof::NotAccepted => true,
            Proof::Verified => task.is_judged,
            Proof::Failed | Proof::Tampered => false,
        };
        if was_judged != has_spent || was_judged && !task.is_judged {
            let what = format!("`{name}` is {verdict:?}, and its judge has spent: {has_spent}");
            self.broken.push(what);
        }
    }

    /// What has to be proved goes nowhere without.
    fn needs_proof(&mut self, name: &TaskName, does: &str) {
        let Some(task) = self.tasks.get(name) else { return };
        let is_good = matches!(task.made, Some((_, Some(Proof::Verified))));
        if task.is_proved && !is_good || task.has_commits && task.made.is_none() {
            self.broken.push(format!("`{name}` {does} with {:?}", task.made));
        }
    }

    fn plan_undo(&mut self, tasks: &[TaskName]) {
        for name in tasks {
            let undo = name.undo();
            match self.tasks.get(name).cloned() {
                Some(done) if done.stand == Stand::Succeeded => {
                    let task = Task {
                        needs: Vec::new(),
                        on_failure: OnFailure::Continue,
                        group: None,
                        stand: Stand::Open,
                        attempt: None,
                        attempts: 0,
                        since_reopened: 0,
                        failures: 0,
                        turns: 0,
                        fresh: true,
                        agent: 0,
                        asking: BTreeMap::new(),
                        answered: BTreeSet::new(),
                        waiting: BTreeSet::new(),
                        sent: 0,
                        is_proved: false,
                        has_commits: false,
                        is_judged: false,
                        made: None,
                        most: done.most,
                    };
                    self.tasks.insert(undo.clone(), task);
                    self.undo.push(undo);
                }
                _ => self.broken.push(format!("`{name}` is undone, but has not succeeded")),
            }
        }
    }

    fn end(&mut self, status: RunStatus) {
        for (name, task) in &self.tasks {
            if task.stand == Stand::Open {
                self.broken.push(format!("the run ends while `{name}` is open"));
            }
        }
        let counts =
            |task: &&Task| task.stand == Stand::Failed && task.on_failure != OnFailure::Continue;
        let failed = self.tasks.values().any(|task| counts(&task));
        match status {
            RunStatus::Succeeded if failed => {
                self.broken.push("the run succeeds though a task failed".into());
            }
            RunStatus::Cancelled if !self.cancelled => {
                self.broken.push("the run is cancelled though nobody asked for it".into());
            }
            other if !other.is_final() => self.broken.push(format!("the run ends {other}")),
            _ => {}
        }
        self.ended = Some(status);
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
