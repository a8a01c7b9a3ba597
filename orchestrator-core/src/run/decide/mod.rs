//! The decisions: which events follow from a command.

mod advance;
mod attempts;
mod chain;
mod control;
mod evaluate;
mod people;
mod start;
mod steer;
mod undo;
mod work;

pub use evaluate::{Found, find_out};
pub use start::StartRun;
pub use steer::Unsteerable;

use super::{Behaviour, Changed, Run, RunStatus};
use crate::{
    agent::AgentSpec,
    command::{AttemptKey, Command, Moment, Rejected},
    event::{Ask, AskKind, Event, Recorded, RunCreated},
    graph::Graph,
    id::RunId,
    schedule::Gate,
    task::Binding,
    time::Timestamp,
};
use std::sync::Arc;

/// What decisions are made with.
pub(super) struct Deciding<'g> {
    now: Timestamp,
    draw: u64,
    gate: &'g mut dyn Gate,
    events: Vec<Recorded>,
}

impl Run {
    /// Creates a run; its first attempts are started in the same breath, as far as `gate` lets them.
    ///
    /// `bindings` has one entry a task, in the order of the workflow, each with at least one agent
    /// where the task is for an agent.
    ///
    /// # Errors
    /// In words, what the workflow or the bindings lack;
    /// [`Workflow::check`](crate::workflow::Workflow::check) tells it before.
    pub fn create(
        run: RunId,
        start: StartRun,
        bindings: Vec<Binding>,
        agents: Vec<AgentSpec>,
        moment: Moment,
        gate: &mut dyn Gate,
    ) -> Result<(Self, Vec<Recorded>), String> {
        let graph = Graph::of(&start.workflow).map_err(|cycle| cycle.to_string())?;
        Self::create_on(graph, run, start, bindings, agents, moment, gate)
    }

    /// The same on the workflow's graph, for whoever has it already.
    pub(crate) fn create_on(
        graph: Graph,
        run: RunId,
        start: StartRun,
        bindings: Vec<Binding>,
        agents: Vec<AgentSpec>,
        moment: Moment,
        gate: &mut dyn Gate,
    ) -> Result<(Self, Vec<Recorded>), String> {
        for (place, task) in start.workflow.tasks.iter().enumerate() {
            check_binding(task, bindings.get(place))?;
        }
        let created = RunCreated {
            run,
            tenant: start.tenant,
            project: start.project,
            directory: start.directory,
            workflow: start.workflow,
            source: start.source,
            inputs: Arc::new(start.inputs),
            bindings: bindings.into(),
            agents,
            budget: start.budget,
            max_parallel: start.max_parallel.max(1),
            parent: start.parent,
            origin: start.origin,
            library: start.library,
            takes_over: start.takes_over,
            estimate: start.estimate.map(Box::new),
            behaviour: Behaviour::CURRENT,
            cassette: start.cassette,
            uncommitted: start.uncommitted,
        };
        let mut this = Self::begin(created.clone(), graph, moment.now, Changed::default());
        let first =
            Recorded { seq: this.seq, at: moment.now, event: Event::RunCreated(Box::new(created)) };
        let Moment { now, draw } = moment;
        let mut deciding = Deciding { now, draw, gate, events: vec![first] };
        for event in start.seed {
            let recorded = Recorded { seq: this.seq.next(), at: now, event };
            this.apply(&recorded)?;
            deciding.events.push(recorded);
        }
        this.advance(&mut deciding);
        let events = deciding.events;
        match this.broken.take() {
            None => Ok((this, events)),
            Some(reason) => Err(reason),
        }
    }

    /// Carries out `command`: returns the events that follow, already applied. Attempts are started
    /// as far as `gate` lets them.
    ///
    /// The events must be made durable, in order, before the [effects](Run::take_effects) are
    /// performed; when that fails this value is ahead of the log and must be dropped.
    ///
    /// # Errors
    /// [`Rejected`]; nothing has changed then, but after [`Rejected::Contradiction`], when the value
    /// must be dropped.
    pub fn handle(
        &mut self,
        command: Command,
        moment: Moment,
        gate: &mut dyn Gate,
    ) -> Result<Vec<Recorded>, Rejected> {
        if let Some(reason) = &self.broken {
            return Err(Rejected::Contradiction(reason.clone()));
        }
        if self.status.is_final() {
            return Err(Rejected::Ended);
        }
        let Moment { now, draw } = moment;
        let mut deciding = Deciding { now, draw, gate, events: Vec::new() };
        self.carry_out(command, &mut deciding)?;
        self.advance(&mut deciding);
        let events = deciding.events;
        match &self.broken {
            None => Ok(events),
            Some(reason) => Err(Rejected::Contradiction(reason.clone())),
        }
    }

    fn carry_out(&mut self, command: Command, to: &mut Deciding<'_>) -> Result<(), Rejected> {
        match command {
            Command::Tick => {}
            Command::LogAttempt { attempt, lines, dropped } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(to, Event::AttemptLogged { task, attempt, lines, dropped });
            }
            Command::KnowSession { attempt, session } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(to, Event::SessionKnown { task, attempt, session });
            }
            Command::RecordTurn { attempt, turn } => self.record_turn(attempt, turn, to)?,
            Command::CutJournal { attempt, from } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(to, Event::JournalCut { task, attempt, from });
            }
            Command::AskPerson { attempt, question, message, action, expires_in } => {
                self.under_way(&attempt)?;
                let expires = expires_in.map(|limit| to.now.after(limit));
                let kind = match &action {
                    Some(_) => AskKind::Permission,
                    None => AskKind::Question,
                };
                let question = Some(question);
                let ask = Ask { question, action, ..Ask::new(kind, message).until(expires) };
                self.ask_person(attempt, ask, to);
            }
            Command::WithdrawQuestion { attempt, question } => {
                let place = self.under_way(&attempt)?;
                self.withdraw(place, question, to);
            }
            Command::NoteDelivery { attempt, number } => {
                let place = self.under_way(&attempt)?;
                self.note_delivery(place, attempt, number, to);
            }
            Command::OpenWorkspace { attempt, opened } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(to, Event::WorkspaceOpened { task, attempt, opened });
            }
            Command::NoteCheckpoint { attempt, checkpoint } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(to, Event::CheckpointMade { task, attempt, checkpoint });
            }
            Command::RecordWork { attempt, output, spend, artifacts, work } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                let done = Event::WorkRecorded { task, attempt, output, spend, artifacts, work };
                self.record(to, done);
            }
            Command::RecordEvidence { attempt, evidence, spend } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(to, Event::EvidenceRecorded { task, attempt, evidence, spend });
            }
            Command::RecordLanding { attempt, landed } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(to, Event::WorkLanded { task, attempt, landed });
            }
            Command::RecordPullRequest { attempt, request } => {
                self.under_way(&attempt)?;
                let AttemptKey { task, attempt, .. } = attempt;
                self.record(to, Event::PullRequestOpened { task, attempt, request });
            }
            Command::RejectWork { attempt, failure, feedback, refusal } => {
                let place = self.under_way(&attempt)?;
                self.reject_work(place, attempt, failure, feedback, refusal, to);
            }
            Command::FinishAttempt { attempt, output, spend, artifacts, cached, added } => {
                let place = self.under_way(&attempt)?;
                self.finish(place, attempt, output, spend, artifacts, cached, added, to);
            }
            Command::FailAttempt { attempt, failure } => {
                let place = self.under_way(&attempt)?;
                self.fail(place, attempt, failure, to);
            }
            Command::PutDownAttempt { attempt, failure } => {
                let place = self.under_way(&attempt)?;
                self.put_down(place, attempt, failure, to);
            }
            Command::EndChild { run, status, output, reason } => {
                self.end_child(&run, status, output, reason, to)?;
            }
            Command::Answer { task, question, answer } => {
                self.answer(&task, question, answer, to)?;
            }
            Command::EndChain { run, failure } => self.end_chain(run, failure, to)?,
            Command::Signal { number, signal } => self.take_signal(number, signal, to)?,
            Command::Cancel { reason } => self.cancel(reason, to),
            Command::Recover { lease, spent } => self.recover(lease, spent, to),
        }
        Ok(())
    }

    /// The place of the task whose attempt `key` is under way.
    fn under_way(&self, key: &AttemptKey) -> Result<usize, Rejected> {
        let stale = || Rejected::Stale(key.clone());
        let place = self.place(key.task.as_str()).ok_or_else(stale)?;
        match &self.tasks[place].current {
            Some(current) if current.attempt == key.attempt && current.epoch == key.epoch => {
                Ok(place)
            }
            _ => Err(stale()),
        }
    }

    /// The attempt under way at `place`.
    fn key_of(&self, place: usize) -> Option<AttemptKey> {
        let current = self.tasks[place].current.as_ref()?;
        let (attempt, epoch) = (current.attempt, current.epoch);
        Some(AttemptKey { task: self.name(place), attempt, epoch })
    }

    /// Records one event: applies it and adds it to what must be made durable.
    fn record(&mut self, to: &mut Deciding<'_>, event: Event) {
        if self.broken.is_some() {
            return;
        }
        let recorded = Recorded { seq: self.seq.next(), at: to.now, event };
        match self.apply(&recorded) {
            Ok(()) => to.events.push(recorded),
            // A log that cannot be replayed would be worse than a run that stands still.
            Err(reason) => self.broken = Some(format!("{}: {reason}", recorded.event.kind())),
        }
    }

    /// What the run ends with once nothing is open.
    pub(super) fn verdict(&self) -> RunStatus {
        if self.cancelled.is_some() {
            RunStatus::Cancelled
        } else if self.timed_out || self.compensating.is_some() || self.has_failed() {
            RunStatus::Failed
        } else {
            RunStatus::Succeeded
        }
    }
}

fn check_binding(task: &crate::task::TaskSpec, binding: Option<&Binding>) -> Result<(), String> {
    let undo = task.compensate.as_ref().and_then(|kind| kind.wanted());
    let judge = task.checks.as_ref().and_then(|checks| checks.judge.as_ref());
    match binding {
        Some(binding)
            if binding.task == task.name
                && (judge.is_none() || !binding.judges.is_empty())
                && (task.wanted().is_none() || !binding.agents.is_empty())
                && (undo.is_none() || !binding.undo.is_empty()) =>
        {
            Ok(())
        }
        _ => Err(format!("the task `{}` is bound to no agent", task.name)),
    }
}
