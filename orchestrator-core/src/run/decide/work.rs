//! What follows when work is not accepted.

use super::{super::Run, Deciding};
use crate::{
    command::AttemptKey,
    effect::Effect,
    error::Failure,
    event::{Ask, AskKind, Event, NextAttempt},
    policy::MAX_ATTEMPTS_IN_TOTAL,
    workspace::Refusal,
};

impl Run {
    /// The checks of what the attempt made do not pass, or it does not go together with what is on
    /// the branch: it is sent back. What only does not land is not given up by itself: when it may
    /// not be tried again, a person is asked.
    pub(super) fn reject_work(
        &mut self,
        place: usize,
        key: AttemptKey,
        failure: Failure,
        feedback: String,
        refusal: Option<Box<Refusal>>,
        to: &mut Deciding<'_>,
    ) {
        let stopping = self.tasks[place].more(|more| Some(more.is_stopping())).unwrap_or(false);
        let (mut next, mut ask) = match (stopping, &refusal) {
            (true, _) => (None, None),
            (false, None) => self.after_failure(place, &failure, to),
            (false, Some(_)) if self.is_ending(place) => (None, None),
            (false, Some(_)) => self.remedy(place, &failure, to),
        };
        let AttemptKey { task, attempt, .. } = key;
        match refusal {
            None => {
                if let Some(NextAttempt { feedback: Some(told), .. }) = &mut next {
                    told.message = feedback;
                }
            }
            Some(refusal) => {
                if next.is_none() && ask.is_none() && !stopping && self.may_ask(place) {
                    ask = Some(Box::new(does_not_land(&failure)));
                }
                // The event tells it, whatever follows.
                if let Some(next) = &mut next {
                    next.feedback = None;
                }
                let (task, attempt) = (task.clone(), attempt);
                self.record(to, Event::LandingRefused { task, attempt, refusal });
            }
        }
        let next = next.map(Box::new);
        self.record(to, Event::AttemptFailed { task, attempt, failure, next, ask });
    }

    /// The attempt was the task's last, and its place is still open: it is let go.
    pub(super) fn leave_place(&mut self, place: usize, attempt: AttemptKey) {
        let is_open = self.tasks[place].work().is_some_and(|work| work.is_open);
        if is_open && self.tasks[place].status.is_final() {
            self.effects.push(Effect::LeaveWorkspace { attempt, place });
        }
    }

    /// Whether nothing is begun any more but what undoes.
    fn is_ending(&self, place: usize) -> bool {
        !self.goes_on() || self.compensating.is_some() && !self.is_undo(place)
    }

    fn may_ask(&self, place: usize) -> bool {
        let total = self.tasks[place].more(|more| Some(more.tally.total())).unwrap_or_default();
        !self.is_ending(place) && total.saturating_add(1) < MAX_ATTEMPTS_IN_TOTAL
    }
}

fn does_not_land(failure: &Failure) -> Ask {
    let message = format!(
        "{failure}; nothing of the work is lost: approve to let it be tried again on what is on \
         the branch by then, answer with what to do differently, or reject to fail the task"
    );
    Ask::new(AskKind::Failure, message)
}
