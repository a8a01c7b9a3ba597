//! What follows from what attempts say and how they end.

use super::{super::Run, Deciding};
use crate::{
    command::{Added, AttemptKey, Rejected},
    error::{ErrorClass, Failure},
    event::{ArtifactRef, Ask, AskKind, CacheHit, Content, Event, NextAttempt, Turn},
    id::RunId,
    policy::{self, Case, Decision, RetryPolicy},
    port::Feedback,
    run::RunStatus,
    task::{OnFailure, TaskKind},
    usage::Spend,
    workflow::Mode,
};

impl Run {
    pub(super) fn record_turn(
        &mut self,
        attempt: AttemptKey,
        turn: Box<Turn>,
        to: &mut Deciding<'_>,
    ) -> Result<(), Rejected> {
        let place = self.under_way(&attempt)?;
        let done = self.tasks[place].more(|more| Some(more.journal.len())).unwrap_or_default();
        if turn.number.0 as usize != done + 1 {
            return Err(Rejected::Late);
        }
        let AttemptKey { task, attempt, .. } = attempt;
        self.record(to, Event::TurnRecorded { task, attempt, turn });
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one command")]
    pub(super) fn finish(
        &mut self,
        place: usize,
        attempt: AttemptKey,
        output: Content,
        spend: Vec<Spend>,
        artifacts: Vec<ArtifactRef>,
        cached: Option<Box<CacheHit>>,
        added: Option<Box<Added>>,
        to: &mut Deciding<'_>,
    ) {
        let added = match added.map(|added| self.admit_added(place, *added)) {
            None => None,
            Some(Ok(event)) => Some(event),
            Some(Err(message)) => {
                let failure = Failure::new(ErrorClass::BadOutput, message).spent(spend);
                return self.fail(place, attempt, failure, to);
            }
        };
        let AttemptKey { task, attempt, .. } = attempt;
        let succeeded = Event::AttemptSucceeded { task, attempt, output, spend, artifacts, cached };
        // What is added comes first, so that whoever waits for the managing task finds it there.
        if let Some(added) = added {
            self.record(to, added);
        }
        self.record(to, succeeded);
        if self.goes_on() {
            self.judge(place, to);
        }
    }

    /// The event that adds tasks, when they can be added.
    fn admit_added(&self, place: usize, added: Added) -> Result<Event, String> {
        let Added { tasks, mut bindings, agents } = added;
        if place != 0 || self.created.workflow.mode != Mode::Hierarchical {
            return Err("only the first task of a workflow in hierarchical mode adds tasks".into());
        }
        if self.tasks.len() + tasks.len() > crate::workflow::MAX_TASKS {
            return Err(format!("more than {} tasks", crate::workflow::MAX_TASKS));
        }
        let by = self.name(place);
        let mut tasks = tasks;
        for task in &mut tasks {
            if self.place(task.name.as_str()).is_some() {
                return Err(format!("a task is named `{}` already", task.name));
            }
            if !task.needs.contains(&by) {
                task.needs.push(by.clone());
            }
        }
        bindings.retain(|binding| tasks.iter().any(|task| task.name == binding.task));
        for task in &tasks {
            let binding = bindings.iter().find(|binding| binding.task == task.name);
            super::check_binding(task, binding)?;
        }
        let mut ordered = Vec::with_capacity(tasks.len());
        for task in &tasks {
            ordered.extend(bindings.iter().find(|binding| binding.task == task.name).cloned());
        }
        let event = Event::TasksAdded { by, tasks, bindings: ordered, agents };
        // Whether it fits is the fold's to say; it is asked on a copy of the graph's owner.
        let recorded = crate::event::Recorded { seq: self.seq.next(), at: self.created_at, event };
        self.clone().apply(&recorded)?;
        Ok(recorded.event)
    }

    pub(super) fn fail(
        &mut self,
        place: usize,
        attempt: AttemptKey,
        failure: Failure,
        to: &mut Deciding<'_>,
    ) {
        let stopping = self.tasks[place].more(|more| Some(more.is_stopping())).unwrap_or(false);
        if self.paused && !stopping && failure.class == ErrorClass::Cancelled && self.goes_on() {
            return self.put_down(place, attempt, failure, to);
        }
        let (next, ask) = match stopping {
            true => (None, None),
            false => self.after_failure(place, &failure, to),
        };
        let AttemptKey { task, attempt: number, .. } = attempt.clone();
        let next = next.map(Box::new);
        let failed = Event::AttemptFailed { task, attempt: number, failure, next, ask };
        self.record(to, failed);
        self.leave_place(place, attempt);
    }

    /// The attempt was stopped because its driver goes down or the run is paused: nobody's failure.
    pub(super) fn put_down(
        &mut self,
        place: usize,
        attempt: AttemptKey,
        failure: Failure,
        to: &mut Deciding<'_>,
    ) {
        let failure = Failure { class: ErrorClass::Cancelled, ..failure };
        let stopping = self.tasks[place].more(|more| Some(more.is_stopping())).unwrap_or(false);
        let key = attempt.clone();
        let AttemptKey { task, attempt, .. } = attempt;
        // Of an agent that is done it is known what it did.
        let unknown = self.spec(place).retry.never_repeat && !self.tasks[place].is_done();
        if unknown && self.goes_on() && !stopping {
            let ask = Some(Box::new(self.outcome_unknown(place)));
            return self
                .record(to, Event::AttemptFailed { task, attempt, failure, next: None, ask });
        }
        let again = self.goes_on() && !stopping;
        let next = again.then(|| Box::new(self.next(place, to.now)));
        self.record(to, Event::AttemptFailed { task, attempt, failure, next, ask: None });
        self.leave_place(place, key);
    }

    fn next(&self, place: usize, at: crate::time::Timestamp) -> NextAttempt {
        let agent = self.tasks[place].agent;
        NextAttempt { at, agent, feedback: None, compact: false, anew: false }
    }

    fn outcome_unknown(&self, place: usize) -> Ask {
        let message = format!(
            "whether the attempt of `{}` has happened is not known, and it must not be repeated: \
             approve to do it again, reject to fail it, answer with what came of it",
            self.name(place)
        );
        Ask::new(AskKind::Outcome, message)
    }

    /// Whether new work may still follow.
    pub(super) fn goes_on(&self) -> bool {
        self.cancelled.is_none() && !self.timed_out
    }

    pub(super) fn after_failure(
        &self,
        place: usize,
        failure: &Failure,
        to: &Deciding<'_>,
    ) -> (Option<NextAttempt>, Option<Box<Ask>>) {
        let undoing = self.compensating.is_some() && !self.is_undo(place);
        if !self.goes_on() || undoing {
            return (None, None);
        }
        let state = &self.tasks[place];
        if state.current.as_ref().is_some_and(|current| current.child.is_some()) {
            // A child has tried again what it could.
            return (None, None);
        }
        if self.is_final_undeclared(place, failure.class) {
            return (None, None);
        }
        self.remedy(place, failure, to)
    }

    /// What the policy of the task at `place` makes of `failure`.
    pub(super) fn remedy(
        &self,
        place: usize,
        failure: &Failure,
        to: &Deciding<'_>,
    ) -> (Option<NextAttempt>, Option<Box<Ask>>) {
        let state = &self.tasks[place];
        let fresh = policy::Tally::default();
        let tally = state.more.as_deref().map_or(&fresh, |more| &more.tally);
        // What comes after the agent is done may be repeated.
        let done = state.is_done() && failure.class != ErrorClass::CheckFailed;
        let own = self.spec(place).retry;
        let retry = &RetryPolicy { never_repeat: own.never_repeat && !done, ..own };
        let decision = policy::decide(&Case {
            policy: retry,
            failure,
            tally,
            others: self.agents_for(place).len().saturating_sub(state.agent + 1),
            now: to.now,
            draw: to.draw ^ (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            behaviour: self.created.behaviour,
        });
        let again = |at| self.next(place, at);
        let told = || Feedback {
            from: failure.class.as_str().replace('_', "-"),
            message: failure.message.clone(),
        };
        match decision {
            Decision::Again(at) => (Some(again(at)), None),
            Decision::Repair(at) => {
                (Some(NextAttempt { feedback: Some(told()), anew: true, ..again(at) }), None)
            }
            Decision::Compact(at) => {
                (Some(NextAttempt { compact: true, anew: true, ..again(at) }), None)
            }
            Decision::FailOver => {
                (Some(NextAttempt { agent: state.agent + 1, ..again(to.now) }), None)
            }
            Decision::Ask(message) => {
                let unknown = retry.never_repeat
                    && matches!(
                        failure.class,
                        ErrorClass::Crashed | ErrorClass::TimedOut | ErrorClass::Transient
                    );
                let ask = match unknown {
                    true => self.outcome_unknown(place),
                    false => Ask::new(AskKind::Failure, message),
                };
                (None, Some(Box::new(ask)))
            }
            Decision::AskUntil(message, at) => {
                let expires = Some(at);
                let ask = Ask::new(AskKind::Failure, message).until(expires);
                (None, Some(Box::new(ask)))
            }
            Decision::GiveUp => (None, None),
        }
    }

    /// Whether a failure of `class` ends the task at `place` because nothing says that its program
    /// may be run again.
    pub(in super::super) fn is_final_undeclared(&self, place: usize, class: ErrorClass) -> bool {
        let spec = self.spec(place);
        matches!(spec.kind, TaskKind::Command { .. })
            && matches!(class, ErrorClass::ToolFailed | ErrorClass::CheckFailed)
            && !spec.retry.declared
    }

    pub(super) fn end_child(
        &mut self,
        run: &RunId,
        status: RunStatus,
        output: Content,
        reason: Option<String>,
        to: &mut Deciding<'_>,
    ) -> Result<(), Rejected> {
        let place = self.children.get(run).copied().ok_or(Rejected::Late)?;
        let key = self.key_of(place).ok_or(Rejected::Late)?;
        if status == RunStatus::Succeeded {
            self.finish(place, key, output, Vec::new(), Vec::new(), None, None, to);
            return Ok(());
        }
        let class = match status {
            RunStatus::Cancelled => ErrorClass::Cancelled,
            _ => ErrorClass::ToolFailed,
        };
        let mut message = format!("the child run `{run}` ended as {status}");
        if let Some(reason) = reason {
            message.push_str(": ");
            message.push_str(&reason);
        }
        let AttemptKey { task, attempt, .. } = key;
        let failure = Failure::new(class, message);
        self.record(to, Event::AttemptFailed { task, attempt, failure, next: None, ask: None });
        Ok(())
    }

    /// A result that a person gives: of a task with an output schema as JSON.
    pub(super) fn given(&self, place: usize, text: &str) -> Result<Content, String> {
        let value = match self.spec(place).output {
            None => serde_json::Value::String(text.to_owned()),
            Some(_) => serde_json::from_str(text)
                .map_err(|error| format!("the answer must be JSON: {error}"))?,
        };
        if !Content::admits(&value) || text.len() > Content::INLINE_LIMIT {
            return Err("the answer is too large".into());
        }
        Ok(Content::Inline(value))
    }

    /// Whether the end of the task at `place` lets those that need it go on.
    pub(super) fn lets_on(&self, place: usize) -> bool {
        use crate::task::TaskStatus;
        match self.tasks[place].status {
            TaskStatus::Succeeded => true,
            TaskStatus::Failed | TaskStatus::Cancelled => {
                self.spec(place).on_failure == OnFailure::Continue || self.is_undo(place)
            }
            TaskStatus::Skipped => self.is_undo(place),
            TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Running | TaskStatus::Waiting => {
                false
            }
        }
    }
}
