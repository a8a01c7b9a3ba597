//! What an open task waits for.

use super::reason::{OpenItems, Reason};
use crate::{
    error::ErrorClass,
    event::{Ask, AskKind},
    id::TaskName,
    run::{Run, state::Items},
    schedule::HeldUp,
    task::{TaskKind, TaskStatus},
    time::Timestamp,
};

/// How many of the unmet needs are named.
const NAMED: usize = 5;

impl Run {
    /// Remembers what held tasks up that could start: `held_up` of their stored rows, for a run that
    /// somebody else drives. Tasks that need the same are held up by the same.
    pub fn recall_held_up(&mut self, held_up: impl IntoIterator<Item = (TaskName, HeldUp)>) {
        for (task, by) in held_up {
            if let Some(place) = self.place(task.as_str())
                && self.could_start(place)
                && let Some(lane) = self.lane_at(place)
            {
                self.lanes[lane].held.get_or_insert((place, by));
            }
        }
    }

    pub(super) fn reason_to_wait(&self, place: usize, now: Timestamp) -> Reason {
        let state = &self.tasks[place];
        let ask = state.ask();
        if let Some(current) = &state.current {
            let stop = state.more(|more| more.stop.as_ref());
            return if let Some(stop) = stop {
                Reason::Stopping { message: stop.message.clone() }
            } else if let Some(reason) = &self.cancelled {
                Reason::Cancelling { reason: reason.clone() }
            } else if let Some(ask) = ask {
                self.person(place, ask)
            } else if let Some(child) = &current.child {
                Reason::Child { run: child.clone(), since: current.started_at }
            } else if let Some(phase) = self.phase(place) {
                phase
            } else {
                Reason::Attempt {
                    attempt: current.attempt,
                    agent: current.agent.clone(),
                    since: current.started_at,
                    session: state.more(|more| more.session.clone()),
                    turns: state
                        .more(|more| u32::try_from(more.journal.len()).ok())
                        .unwrap_or_default(),
                }
            };
        }
        if let Some(reason) = &self.cancelled {
            return Reason::Cancelling { reason: reason.clone() };
        }
        // A question of an attempt that was cut off is asked by the attempt that is due.
        if let Some(ask) = ask {
            return self.person(place, ask);
        }
        if let Some(items) = state.items().filter(|_| state.status == TaskStatus::Running) {
            return self.items(items, now);
        }
        if let Some(question) = self.asked.get(&place) {
            return Reason::Evaluating { question: *question };
        }
        if state.unmet > 0 {
            return self.needs(place);
        }
        if let Some(failed) = self.compensating.filter(|_| !self.is_undo(place)) {
            return Reason::Compensating { failed: self.name(failed) };
        }
        match state.due() {
            Some(until) if until > now => self.timer(place, until),
            _ => self.place_to_start(place),
        }
    }

    /// What is done with work that is recorded.
    fn phase(&self, place: usize) -> Option<Reason> {
        let work = self.tasks[place].work().filter(|work| work.done.is_some())?;
        let facts = work.facts.as_ref()?;
        let (commit, since) = (facts.work.commit.clone(), work.since);
        let spec = self.spec(place);
        if spec.is_proved() && facts.evidence.is_none() {
            return Some(Reason::Checking { commit, since });
        }
        let is_there = facts.landed.is_some() || facts.requested.is_some();
        let waits = !is_there && spec.landing().is_some();
        waits.then_some(Reason::Landing { commit, since })
    }

    fn person(&self, place: usize, ask: &Ask) -> Reason {
        let state = &self.tasks[place];
        let since = state.asks().first().map(|asked| asked.since);
        let over_budget = state.error().is_some_and(|e| e.class == ErrorClass::OverBudget);
        let message = ask.message.clone();
        match ask.kind {
            AskKind::Failure if over_budget => {
                Reason::Budget { message, since, until: ask.expires }
            }
            kind => Reason::Person {
                ask: kind,
                message,
                since,
                expires: ask.expires,
                questions: state.asks().iter().filter_map(|asked| asked.ask.question).collect(),
                action: ask.action.clone(),
            },
        }
    }

    fn needs(&self, place: usize) -> Reason {
        let open = self.graph.needs(place).filter(|&need| !self.tasks[need].status.is_final());
        let (mut open, mut count): (Vec<usize>, u32) = (open.collect(), 0);
        count += u32::try_from(open.len()).unwrap_or(u32::MAX);
        open.sort_unstable();
        open.truncate(NAMED);
        Reason::Needs { tasks: open.into_iter().map(|need| self.name(need)).collect(), count }
    }

    fn timer(&self, place: usize, until: Timestamp) -> Reason {
        let state = &self.tasks[place];
        match state.error().filter(|_| state.attempts > 0) {
            None => Reason::Delay { until },
            Some(error) => {
                let (class, message) = (error.class, error.message.clone());
                match class {
                    ErrorClass::RateLimited | ErrorClass::QuotaExhausted => {
                        Reason::Reset { until, class, message }
                    }
                    _ => Reason::Retry { until, attempts: state.attempts, class, message },
                }
            }
        }
    }

    /// Nothing but a place to start is missing.
    fn place_to_start(&self, place: usize) -> Reason {
        if self.paused {
            return Reason::Paused {};
        }
        let asks_nobody = matches!(self.spec(place).kind, TaskKind::Approval { .. });
        if asks_nobody {
            return Reason::Turn {};
        }
        let held = self.lane_at(place).and_then(|lane| self.lanes[lane].held.as_ref());
        if let Some((_, by)) = held {
            return Reason::HeldUp { held_up: by.clone() };
        }
        match self.created.max_parallel {
            most if self.running >= most as usize => {
                Reason::HeldUp { held_up: HeldUp::Parallel { most } }
            }
            _ => Reason::Turn {},
        }
    }

    fn items(&self, items: &Items, now: Timestamp) -> Reason {
        let mut open: Vec<OpenItems> = Vec::new();
        for place in items.first..items.first + items.count as usize {
            if self.tasks[place].status.is_final() {
                continue;
            }
            let kind = self.reason_to_wait(place, now).kind();
            match open.iter_mut().find(|known| known.reason == kind) {
                Some(known) => known.count += 1,
                None => open.push(OpenItems {
                    reason: kind.to_owned(),
                    count: 1,
                    example: self.name(place),
                }),
            }
        }
        open.sort_by_key(|items| std::cmp::Reverse(items.count));
        Reason::Items { ended: items.count - items.open, total: items.count, open }
    }

    fn could_start(&self, place: usize) -> bool {
        let state = &self.tasks[place];
        state.current.is_none()
            && state.unmet == 0
            && matches!(state.status, TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Waiting)
    }

    /// The lane in which the task at `place` waits for a place to start.
    fn lane_at(&self, place: usize) -> Option<usize> {
        let group = self.concurrency_group(place).ok()?;
        self.lane_of.get(&(self.agent_of(place), group, self.alone(place))).copied()
    }
}
