//! Conditions, lists and messages: found out at once when all that they see is in the log, and by
//! the engine when some of it is in blobs.

use super::{super::Run, Deciding};
use crate::{
    command::{Evaluated, Rejected},
    effect::{Effect, Question},
    error::{ErrorClass, Failure},
    event::{Ask, AskKind, Content, Event, SkipReason},
    expr,
    id::TaskName,
    port::Feedback,
    run::Loaded,
    task::{TaskKind, TaskSpec, TaskStatus},
};
use serde_json::Value;

/// The answer to a question before it is decided where a list is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// To a condition.
    Decided(bool),
    /// To a list.
    Listed(Vec<Value>),
    /// To a text to be filled in.
    Filled(String),
}

/// Finds out what `question` asks about a task that is specified as `spec`, given what its
/// expressions see.
///
/// # Errors
/// `invalid_request` with the reason, when the expression cannot be used.
pub fn find_out(spec: &TaskSpec, question: Question, scope: &Value) -> Result<Found, Failure> {
    let failed =
        |error: expr::ExprError| Failure::new(ErrorClass::InvalidRequest, error.to_string());
    match question {
        Question::When => match &spec.when {
            None => Ok(Found::Decided(true)),
            Some(when) => expr::decide(when, scope).map(Found::Decided).map_err(failed),
        },
        Question::Unless => match &spec.revise {
            None => Ok(Found::Decided(true)),
            Some(revise) => expr::decide(&revise.unless, scope).map(Found::Decided).map_err(failed),
        },
        Question::Items => match &spec.for_each {
            None => Ok(Found::Listed(Vec::new())),
            Some(list) => expr::list(list, scope).map(Found::Listed).map_err(failed),
        },
        Question::Message => match &spec.kind {
            TaskKind::Approval { message, .. } => {
                expr::fill(message, scope).map(Found::Filled).map_err(failed)
            }
            _ => Ok(Found::Filled(String::new())),
        },
    }
}

impl Run {
    /// The answer to `question` about the task at `place`, when all that it sees is in the log; else
    /// the engine is asked.
    pub(super) fn ask_engine(
        &mut self,
        place: usize,
        question: Question,
    ) -> Option<Result<Evaluated, Failure>> {
        let found = self.found_here(place, question);
        if found.is_none() && self.asked.insert(place, question).is_none() {
            self.effects.push(Effect::Evaluate { place, question });
        }
        found
    }

    /// The answer, when it can be told from the log alone.
    pub(super) fn found_here(
        &self,
        place: usize,
        question: Question,
    ) -> Option<Result<Evaluated, Failure>> {
        let sight = self.sight(place);
        if !sight.blobs().is_empty() || !sight.texts().is_empty() {
            return None;
        }
        let internal = |message: String| Failure::new(ErrorClass::Internal, message);
        let scope = match sight.scope(&Loaded::new()) {
            Ok(scope) => scope,
            Err(message) => return Some(Err(internal(message))),
        };
        Some(match find_out(self.spec(place), question, &scope) {
            Err(failure) => Err(failure),
            Ok(Found::Decided(decision)) => Ok(Evaluated::Decided(decision)),
            Ok(Found::Filled(text)) => Ok(Evaluated::Filled(text)),
            Ok(Found::Listed(items)) => {
                let items = Value::Array(items);
                if !Content::admits(&items) {
                    let deep = "the list is nested too deep".to_owned();
                    return Some(Err(Failure::new(ErrorClass::InvalidRequest, deep)));
                }
                if items.to_string().len() > Content::INLINE_LIMIT {
                    return None;
                }
                let count = items.as_array().map_or(0, Vec::len);
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                Ok(Evaluated::Listed { count, items: Content::Inline(items) })
            }
        })
    }

    /// The engine has found out what it was asked.
    pub(super) fn answer(
        &mut self,
        task: &TaskName,
        question: Question,
        answer: Result<Evaluated, Failure>,
        to: &mut Deciding<'_>,
    ) -> Result<(), Rejected> {
        let place = self.place(task.as_str()).ok_or(Rejected::Late)?;
        if self.asked.get(&place) != Some(&question) {
            return Err(Rejected::Late);
        }
        self.asked.remove(&place);
        if question == Question::Unless {
            self.settled.append(&mut self.held_back);
            if self.goes_on() {
                if matches!(answer, Ok(Evaluated::Decided(true))) {
                    self.record(to, Event::ConditionMet { task: task.clone(), question });
                }
                self.judged(place, answer, to);
            }
            return Ok(());
        }
        let state = &self.tasks[place];
        let delayed = state.more(|more| Some(more.delayed)).unwrap_or(false);
        let undecided = state.status == TaskStatus::Pending
            || (state.status == TaskStatus::Waiting && delayed && state.ask().is_none());
        if !undecided || state.unmet > 0 || !self.goes_on() {
            return Err(Rejected::Late);
        }
        match question {
            Question::When => {
                if matches!(answer, Ok(Evaluated::Decided(true))) {
                    self.record(to, Event::ConditionMet { task: task.clone(), question });
                }
                self.conditioned(place, answer, to);
            }
            Question::Items => self.listed(place, answer, to),
            Question::Message => self.worded(place, answer, to),
            Question::Unless => {}
        }
        Ok(())
    }

    /// Accepts what the task at `place` has judged, or sends it back.
    pub(super) fn judge(&mut self, place: usize, to: &mut Deciding<'_>) {
        if self.spec(place).revise.is_none() || self.compensating.is_some() {
            return;
        }
        if let Some(answer) = self.ask_engine(place, Question::Unless) {
            self.judged(place, answer, to);
        }
    }

    fn judged(&mut self, place: usize, answer: Result<Evaluated, Failure>, to: &mut Deciding<'_>) {
        let Some(revise) = self.spec(place).revise.clone() else {
            return;
        };
        if self.tasks[place].status != TaskStatus::Succeeded {
            return;
        }
        let task = self.name(place);
        let revisions = self.tasks[place].more(|more| Some(more.revisions)).unwrap_or_default();
        let failure = match answer {
            Ok(Evaluated::Decided(true)) => return,
            Ok(Evaluated::Decided(false)) if revisions < revise.max => {
                let event = Event::RevisionRequested {
                    by: task.clone(),
                    number: revisions + 1,
                    feedback: Feedback {
                        from: task.to_string(),
                        message: feedback_of(self.tasks[place].output.as_ref()),
                    },
                    // Another judgement may have opened some of them already.
                    reopened: self
                        .between(&revise.task, place)
                        .into_iter()
                        .filter(|&between| self.tasks[between].status.is_final())
                        .map(|between| self.name(between))
                        .collect(),
                    target: Some(revise.task.clone()),
                };
                return self.record(to, event);
            }
            Ok(Evaluated::Decided(false)) => Failure::new(
                ErrorClass::CheckFailed,
                format!("`{}` was not accepted after {} revisions", revise.task, revise.max),
            ),
            Ok(_) => Failure::new(ErrorClass::Internal, "a judgement was not decided"),
            Err(failure) => failure,
        };
        self.record(to, Event::TaskFailed { task, failure });
    }

    /// The tasks on the ways from `target` to the task at `judge`, in an order that respects needs.
    fn between(&self, target: &TaskName, judge: usize) -> Vec<usize> {
        let Some(target) = self.place(target.as_str()) else {
            return Vec::new();
        };
        let after: std::collections::BTreeSet<usize> =
            self.graph.downstream(target).into_iter().collect();
        let before: std::collections::BTreeSet<usize> =
            self.graph.upstream(judge).into_iter().collect();
        self.graph
            .order()
            .iter()
            .copied()
            .filter(|&place| {
                place == target
                    || place == judge
                    || (after.contains(&place) && before.contains(&place))
            })
            .collect()
    }

    /// Its `when` has been decided.
    pub(super) fn conditioned(
        &mut self,
        place: usize,
        answer: Result<Evaluated, Failure>,
        to: &mut Deciding<'_>,
    ) {
        match answer {
            Ok(Evaluated::Decided(true)) => self.begin_task(place, to),
            Ok(Evaluated::Decided(false)) => {
                let (task, reason) = (self.name(place), SkipReason::When);
                self.record(to, Event::TaskSkipped { task, reason });
            }
            Ok(_) => self.unusable(place, None, to),
            Err(failure) => self.unusable(place, Some(failure), to),
        }
    }

    /// Its list is known.
    pub(super) fn listed(
        &mut self,
        place: usize,
        answer: Result<Evaluated, Failure>,
        to: &mut Deciding<'_>,
    ) {
        match answer {
            Ok(Evaluated::Listed { count, items }) => {
                let too_many =
                    self.tasks.len() + count as usize > crate::workflow::MAX_TASKS.max(1);
                if too_many {
                    let message = format!("more than {} tasks", crate::workflow::MAX_TASKS);
                    let failure = Failure::new(ErrorClass::InvalidRequest, message);
                    return self.unusable(place, Some(failure), to);
                }
                let task = self.name(place);
                self.record(to, Event::TaskExpanded { task, count, items });
            }
            Ok(_) => self.unusable(place, None, to),
            Err(failure) => self.unusable(place, Some(failure), to),
        }
    }

    /// The message of its approval is known.
    pub(super) fn worded(
        &mut self,
        place: usize,
        answer: Result<Evaluated, Failure>,
        to: &mut Deciding<'_>,
    ) {
        let expires_in = match &self.spec(place).kind {
            TaskKind::Approval { expires_in, .. } => *expires_in,
            _ => None,
        };
        match answer {
            Ok(Evaluated::Filled(message)) => {
                let expires = expires_in.map(|limit| to.now.after(limit));
                let ask = Ask::new(AskKind::Approval, message).until(expires);
                let task = self.name(place);
                self.record(to, Event::PersonAsked { task, ask: Box::new(ask) });
            }
            Ok(_) => self.unusable(place, None, to),
            Err(failure) => self.unusable(place, Some(failure), to),
        }
    }

    fn unusable(&mut self, place: usize, failure: Option<Failure>, to: &mut Deciding<'_>) {
        let failure = failure.unwrap_or_else(|| {
            Failure::new(ErrorClass::Internal, "the answer does not fit the question")
        });
        let task = self.name(place);
        self.record(to, Event::TaskFailed { task, failure });
    }
}

/// What a judgement says to whoever must do the work again.
fn feedback_of(output: Option<&Content>) -> String {
    match output.and_then(Content::inline) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) => match map.get("feedback") {
            Some(Value::String(text)) => text.clone(),
            _ => Value::Object(map.clone()).to_string(),
        },
        Some(other) => other.to_string(),
        None => "the work was not accepted".into(),
    }
}
