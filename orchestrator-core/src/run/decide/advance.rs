//! What follows by itself: tasks are settled, started and closed until nothing more does.

use super::{super::Run, Deciding};
use crate::{
    command::AttemptKey,
    effect::{Effect, Question},
    error::{ErrorClass, Failure},
    event::{AskKind, Event, Reply, SkipReason, Verdict},
    id::{AgentName, AttemptNumber, RunId},
    run::{Clock, RunStatus},
    schedule::{HeldUp, Want},
    task::{OnFailure, TaskKind, TaskStatus},
};

impl Run {
    /// Ends what is out of time; skips, readies and starts whatever can be; closes `for-each` tasks;
    /// follows `then` and `compensate`; and ends the run when nothing is open.
    pub(super) fn advance(&mut self, to: &mut Deciding<'_>) {
        self.ring(to);
        for lane in &mut self.lanes {
            lane.held = None;
        }
        while self.broken.is_none() {
            while let Some(place) = self.settled.pop() {
                self.settle(place, to);
            }
            if let Some(place) = self.ended.pop() {
                self.follow(place, to);
            } else if !self.start_next(to) {
                break;
            }
        }
        self.sweep();
        if self.open > 0 && self.running == 0 && !self.goes_on() {
            // A task that manages may have added some after the run was cancelled or out of time.
            let open = self.open;
            self.leave_out(to);
            if self.open < open {
                return self.advance(to);
            }
        }
        if self.open == 0 && self.compensating.is_some() && !self.undo_planned && self.goes_on() {
            self.plan_undo(to);
            if self.open > 0 {
                return self.advance(to);
            }
        }
        if self.open == 0 {
            self.close(to);
        }
        if !self.status.is_final() {
            self.status = self.standing();
        }
    }

    /// Where the run stands while it is open: derived, so that no event says it.
    pub(in super::super) fn standing(&self) -> RunStatus {
        if self.cancelled.is_some() {
            RunStatus::Cancelling
        } else if self.paused {
            RunStatus::Paused
        } else if self.running == 0
            && self.ready == 0
            && self.asked.is_empty()
            && self.settled.is_empty()
            && self.chains.iter().all(|chain| chain.started)
        {
            RunStatus::Waiting
        } else {
            RunStatus::Running
        }
    }

    /// Ends what is out of time.
    fn ring(&mut self, to: &mut Deciding<'_>) {
        if self.deadline().is_some_and(|at| at <= to.now) {
            self.record(to, Event::RunTimedOut {});
            self.skip_idle(&SkipReason::TimedOut, to);
            self.stop_running();
        }
        while let Some((at, place, clock)) = self.clocks.first().copied() {
            if at > to.now {
                break;
            }
            match clock {
                Clock::Ask => {
                    let mut asks = self.tasks[place].asks().iter().map(|asked| &asked.ask);
                    let due = asks.find(|ask| ask.expires == Some(at));
                    let reply = due.map(|ask| {
                        let verdict = match ask.kind {
                            // What a failure is asked about for a time mends itself then.
                            AskKind::Failure => Verdict::Approved,
                            AskKind::Approval
                            | AskKind::Question
                            | AskKind::Permission
                            | AskKind::Outcome => Verdict::Expired,
                        };
                        Reply::new(verdict, "the clock").to(ask.question)
                    });
                    let told = reply.map(|reply| self.reply(place, reply, to));
                    if !matches!(told, Some(Ok(()))) {
                        self.clocks.remove(&(at, place, clock));
                    }
                }
                Clock::Deadline => {
                    let failure =
                        Failure::new(ErrorClass::TimedOut, "the task took longer than it may");
                    self.stop_task(place, failure, to);
                }
            }
        }
    }

    /// All that the task needs has ended: it is skipped, fails, or begins.
    fn settle(&mut self, place: usize, to: &mut Deciding<'_>) {
        let state = &self.tasks[place];
        let between = state.status == TaskStatus::Waiting && state.due().is_some();
        if !between && state.status != TaskStatus::Pending
            || state.unmet > 0
            || state.retired
            || !self.goes_on()
            || self.asked.contains_key(&place)
        {
            return;
        }
        let owner = self.group_of(place).unwrap_or(place);
        if self.tasks[owner].unmet > 0 {
            return;
        }
        if between || owner != place {
            // What it needs has ended again, perhaps badly this time.
            let blocker = self.graph.needs(owner).find(|&need| !self.lets_on(need));
            match blocker {
                Some(need) if self.tasks[place].current.is_none() => {
                    let reason = SkipReason::Needs { task: self.name(need) };
                    let task = self.name(place);
                    self.record(to, Event::TaskSkipped { task, reason });
                }
                _ if between => {}
                _ => self.begin_task(place, to),
            }
            return;
        }
        let waits_for = |need| self.asked.get(&need) == Some(&Question::Unless);
        if self.graph.needs(place).any(waits_for) {
            return self.held_back.push(place);
        }
        let task = self.name(place);
        if self.compensating.is_some() && !self.is_undo(place) {
            let reason = SkipReason::Compensating;
            return self.record(to, Event::TaskSkipped { task, reason });
        }
        let blocker = self.graph.needs(place).find(|&need| !self.lets_on(need));
        if let Some(need) = blocker {
            let reason = SkipReason::Needs { task: self.name(need) };
            return self.record(to, Event::TaskSkipped { task, reason });
        }
        let met = self.tasks[place].more(|more| Some(more.when_met)).unwrap_or(false);
        if met || self.spec(place).when.is_none() {
            return self.begin_task(place, to);
        }
        if let Some(answer) = self.ask_engine(place, Question::When) {
            self.conditioned(place, answer, to);
        }
    }

    /// The task is to be done: it waits out its delay, is expanded, asks a person, or gets ready.
    pub(super) fn begin_task(&mut self, place: usize, to: &mut Deciding<'_>) {
        let is_item = self.group_of(place).is_some();
        let delayed = self.tasks[place].more(|more| Some(more.delayed)).unwrap_or(false);
        if let Some(delay) = self.spec(place).delay
            && !is_item
            && !delayed
        {
            let (task, until) = (self.name(place), to.now.after(delay));
            return self.record(to, Event::TaskDelayed { task, until });
        }
        if self.spec(place).for_each.is_some() && !is_item && !self.is_undo(place) {
            if let Some(answer) = self.ask_engine(place, Question::Items) {
                self.listed(place, answer, to);
            }
            return;
        }
        if matches!(self.spec(place).kind, TaskKind::Approval { .. }) {
            if let Some(answer) = self.ask_engine(place, Question::Message) {
                self.worded(place, answer, to);
            }
            return;
        }
        if let Err(error) = self.make_ready(place) {
            let failure = Failure::new(ErrorClass::InvalidRequest, error.to_string());
            let task = self.name(place);
            self.record(to, Event::TaskFailed { task, failure });
        }
    }

    /// Puts the task among those that can start.
    fn make_ready(&mut self, place: usize) -> Result<(), crate::expr::ExprError> {
        let group = self.concurrency_group(place)?;
        let lane = self.lane((self.agent_of(place), group, self.alone(place)));
        // Since when it could start is told by its needs, so that replay queues it as live did.
        let owner = self.group_of(place).unwrap_or(place);
        let since = self.graph.needs(owner).filter_map(|need| self.tasks[need].ended_at).max();
        let state = &mut self.tasks[place];
        if state.status == TaskStatus::Pending {
            state.status = TaskStatus::Ready;
            self.ready += 1;
            self.changed.note(place);
        }
        let priority = self.spec(place).priority;
        let since = since.unwrap_or(self.created_at);
        self.lanes[lane].queue.push(place, priority, since);
        Ok(())
    }

    /// Those whose next attempt is due wait for a place like those that are ready.
    fn ready_due(&mut self, to: &mut Deciding<'_>) {
        while let Some((at, place)) = self.waiting.first().copied() {
            if at > to.now {
                break;
            }
            self.waiting.remove(&(at, place));
            let starts = self.tasks[place].status == TaskStatus::Waiting
                || self.tasks[place].current.is_none();
            let held = self.group_of(place).is_some_and(|group| self.tasks[group].unmet > 0);
            if !starts || held || self.tasks[place].unmet > 0 {
                continue;
            }
            let blocker =
                self.graph.needs(self.group_of(place).unwrap_or(place)).find(|&n| !self.lets_on(n));
            if let Some(need) = blocker {
                // What it needs was done again while it ran, and has ended badly.
                let reason = SkipReason::Needs { task: self.name(need) };
                let task = self.name(place);
                self.record(to, Event::TaskSkipped { task, reason });
                continue;
            }
            let begins = self.tasks[place].attempts == 0
                && self.tasks[place].more(|more| Some(more.delayed)).unwrap_or(false);
            if begins || self.tasks[place].items().is_some() {
                self.begin_task(place, to);
            } else if self.make_ready(place).is_err() {
                // Its group was filled in before: the same text cannot fail now.
                continue;
            }
        }
    }

    /// Whether the task at `place` may be started from `lane`.
    fn startable(&self, place: usize, lane: usize) -> bool {
        let state = &self.tasks[place];
        let waits = match state.status {
            TaskStatus::Ready => true,
            TaskStatus::Waiting => {
                state.ask().is_none_or(|ask| ask.is_of_attempt())
                    && state.due().is_some_and(|due| !self.waiting.contains(&(due, place)))
            }
            _ => false,
        };
        let held = self.group_of(place).is_some_and(|group| self.tasks[group].unmet > 0);
        waits
            && state.unmet == 0
            && !held
            && !state.retired
            && self.lanes[lane].agent == self.agent_of(place)
    }

    /// Drops what stands first in a lane and cannot be started from it any more.
    fn sweep(&mut self) {
        for lane in 0..self.lanes.len() {
            while let Some((_, place)) = self.lanes[lane].queue.peek()
                && !self.startable(place, lane)
            {
                self.lanes[lane].queue.pop();
            }
        }
    }

    /// Starts one attempt, if a place is free and something is ready or due.
    fn start_next(&mut self, to: &mut Deciding<'_>) -> bool {
        if !self.may_start() {
            return false;
        }
        self.ready_due(to);
        if self.running >= self.created.max_parallel as usize {
            return !self.settled.is_empty() || !self.ended.is_empty();
        }
        loop {
            let mut best: Option<(i128, usize, usize)> = None;
            self.sweep();
            for lane in 0..self.lanes.len() {
                if self.lanes[lane].held.is_none()
                    && let Some((urgency, place)) = self.lanes[lane].queue.peek()
                {
                    let found = (urgency, place, lane);
                    best = Some(best.map_or(found, |best| best.min(found)));
                }
            }
            let Some((urgency, place, lane)) = best else {
                return !self.settled.is_empty() || !self.ended.is_empty();
            };
            match self.admit(place, lane, urgency, to) {
                Ok(agent) => {
                    self.lanes[lane].queue.pop();
                    self.start(place, agent, to);
                    return true;
                }
                Err(by) => self.lanes[lane].held = Some((place, by)),
            }
        }
    }

    /// Who may start on the task at `place` now: the agent whose turn it is, or one further down the
    /// list while that one's provider is not to be called.
    fn admit(
        &self,
        place: usize,
        lane: usize,
        urgency: i128,
        to: &mut Deciding<'_>,
    ) -> Result<AgentName, HeldUp> {
        if let Some(by) = self.held_apart(place) {
            return Err(by);
        }
        let first = self.lanes[lane].agent.clone();
        if matches!(self.spec(place).kind, TaskKind::Workflow { .. }) {
            return Ok(first);
        }
        let task = self.name(place);
        let mut ask = |agent: &AgentName| {
            let provider = self.provider_of(agent);
            to.gate.admit(&Want {
                project: &self.created.project,
                run: &self.created.run,
                task: &task,
                agent,
                provider: &provider,
                group: self.lanes[lane].group.as_deref(),
                urgency,
            })
        };
        let refused = match ask(&first) {
            Ok(()) => return Ok(first),
            Err(refused @ HeldUp::Breaker { .. }) => refused,
            Err(refused) => return Err(refused),
        };
        let next = self.tasks[place].agent + 1;
        for agent in self.agents_for(place).iter().skip(next) {
            if ask(agent).is_ok() {
                return Ok(agent.clone());
            }
        }
        Err(refused)
    }

    fn start(&mut self, place: usize, agent: AgentName, to: &mut Deciding<'_>) {
        self.latest.set(place);
        let key = AttemptKey {
            task: self.name(place),
            attempt: AttemptNumber(self.tasks[place].attempts + 1),
            epoch: self.epoch.next(),
        };
        let is_child = matches!(self.spec(place).kind, TaskKind::Workflow { .. });
        let child = is_child.then(|| RunId::of(to.now, to.chance(place as u64)));
        let event = Event::AttemptStarted {
            task: key.task.clone(),
            attempt: key.attempt,
            epoch: key.epoch,
            agent: agent.clone(),
            child: child.clone(),
        };
        self.record(to, event);
        self.effects.push(match child {
            None => Effect::StartAttempt { attempt: key, place, agent },
            Some(child) => self.attend(key, place, child),
        });
    }

    /// The effect that sees to a child run.
    pub(super) fn attend(&self, attempt: AttemptKey, place: usize, child: RunId) -> Effect {
        let takes_over = self.created.takes_over.get(attempt.task.as_str()).cloned();
        Effect::AttendChild { attempt, place, child, takes_over }
    }

    /// What follows from the end of the task at `place`, or of the last item of one.
    fn follow(&mut self, place: usize, to: &mut Deciding<'_>) {
        if let Some(group) = self.group_of(place) {
            let ended = self.tasks[group].items().is_some_and(|items| items.open == 0);
            if ended && !self.tasks[place].retired && !self.tasks[group].status.is_final() {
                self.close_group(group, to);
            }
            return;
        }
        if !self.tasks[place].status.is_final() {
            // It was opened again, or is a list without items.
            if self.tasks[place].items().is_some_and(|items| items.count == 0) {
                self.close_group(place, to);
            }
            return;
        }
        let failed = matches!(self.tasks[place].status, TaskStatus::Failed | TaskStatus::Cancelled);
        let compensates = self.spec(place).on_failure == OnFailure::Compensate;
        if failed && compensates && self.compensating.is_none() && self.goes_on() {
            self.record(to, Event::CompensationBegan { task: self.name(place) });
            self.skip_idle(&SkipReason::Compensating, to);
        }
        if self.goes_on() {
            self.plan_chains(Some(place), to);
        }
    }

    /// Every item has ended, and so does the task.
    fn close_group(&mut self, place: usize, to: &mut Deciding<'_>) {
        let task = self.name(place);
        let Some(items) = self.tasks[place].items() else {
            return;
        };
        let (first, count, failed) = (items.first, items.count, items.failed);
        let stop = self.tasks[place].more(|more| more.stop.clone());
        if let Some(failure) = stop.filter(|stop| stop.class != ErrorClass::Cancelled) {
            return self.record(to, Event::TaskFailed { task, failure });
        }
        if failed == 0 {
            return self.record(to, Event::TaskSucceeded { task, output: None });
        }
        let bad = |place: &usize| self.tasks[*place].status == TaskStatus::Failed;
        let Some(worst) = (first..first + count as usize).find(bad) else {
            return self.record(to, Event::TaskCancelled { task });
        };
        let (class, message) = match self.tasks[worst].error() {
            Some(error) => (error.class, error.message.clone()),
            None => (ErrorClass::Internal, String::new()),
        };
        let message = format!(
            "{failed} of {count} items did not succeed, the first `{}`: {message}",
            self.name(worst)
        );
        self.record(to, Event::TaskFailed { task, failure: Failure::new(class, message) });
    }

    /// After a replay: what was ready when the log ended is so again.
    pub(in super::super) fn settle_replayed(&mut self) {
        self.ended.clear();
        if self.status.is_final() {
            self.settled.clear();
            return;
        }
        let settled = std::mem::take(&mut self.settled);
        for &place in settled.iter().rev() {
            let state = &self.tasks[place];
            let idle = state.status == TaskStatus::Pending && state.unmet == 0 && !state.retired;
            if idle && self.goes_on() && self.gets_ready(place) {
                // What cannot be made ready is failed by the next decision.
                let _ = self.make_ready(place);
            }
        }
        // What is not decided yet is decided by the next command.
        let undecided = |place: &usize| {
            let state = &self.tasks[*place];
            let held = self.group_of(*place).is_some_and(|group| self.tasks[group].unmet > 0);
            state.status == TaskStatus::Pending && state.unmet == 0 && !state.retired && !held
        };
        self.settled = settled.into_iter().filter(undecided).collect();
        self.status = self.standing();
    }

    /// Whether the decision about the settled task at `place` was, or would be, that it is ready.
    fn gets_ready(&self, place: usize) -> bool {
        let spec = self.spec(place);
        if let Some(group) = self.group_of(place) {
            let approval = matches!(spec.kind, TaskKind::Approval { .. });
            return !approval && self.tasks[group].unmet == 0;
        }
        let decided_later = spec.delay.is_some()
            || (spec.for_each.is_some() && !self.is_undo(place))
            || matches!(spec.kind, TaskKind::Approval { .. })
            || self.compensating.is_some() && !self.is_undo(place);
        if decided_later || self.graph.needs(place).any(|need| !self.lets_on(need)) {
            return false;
        }
        use crate::command::Evaluated::Decided;
        if self.graph.needs(place).any(|need| self.is_unjudged(need)) {
            return false;
        }
        let met = self.tasks[place].more(|more| Some(more.when_met)).unwrap_or(false);
        met || spec.when.is_none()
            || matches!(self.found_here(place, Question::When), Some(Ok(Decided(true))))
    }

    /// Whether what the task at `place` judged has yet to be found out by the engine.
    fn is_unjudged(&self, place: usize) -> bool {
        let accepted = self.tasks[place].more(|more| Some(more.accepted)).unwrap_or(false);
        self.spec(place).revise.is_some()
            && self.tasks[place].status == TaskStatus::Succeeded
            && !accepted
            && self.found_here(place, Question::Unless).is_none()
    }

    /// Nothing is open: the run follows its `then`, and ends.
    fn close(&mut self, to: &mut Deciding<'_>) {
        if self.status.is_final() {
            return;
        }
        if self.cancelled.is_none() {
            self.plan_chains(None, to);
        }
        let chains_started = self.chains.iter().all(|chain| chain.started);
        // A judgement that is still being found out may open tasks again.
        if chains_started && self.asked.is_empty() {
            let status = self.verdict();
            self.record(to, Event::RunEnded { status });
        }
    }
}

impl Deciding<'_> {
    /// A number that this moment gives to nobody else.
    pub(super) fn chance(&self, salt: u64) -> u64 {
        // splitmix64 (Steele, Lea, Flood 2014): one draw gives as many independent numbers as needed.
        let mut z = self.draw.wrapping_add((salt + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
