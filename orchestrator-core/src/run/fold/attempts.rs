//! How the events of an attempt change its task.

use super::super::{
    Run,
    state::{Asked, Current, TaskState},
};
use crate::{
    error::{ErrorClass, Failure},
    event::{ArtifactRef, Ask, CacheHit, Event, NextAttempt, Turn},
    id::{AgentName, AttemptNumber, Epoch, RunId, TaskName},
    port::{AttemptRow, AttemptStatus, Call, SpendRow},
    task::TaskStatus,
    time::Timestamp,
    usage::{Cost, Spend, Usage},
};

/// How an attempt ended, for its row.
struct End<'e> {
    status: AttemptStatus,
    failure: Option<&'e Failure>,
    spend: &'e [Spend],
    artifacts: &'e [ArtifactRef],
    cached: Option<&'e CacheHit>,
}

impl Run {
    pub(super) fn apply_to_attempt(&mut self, event: &Event, at: Timestamp) -> Result<(), String> {
        match event {
            Event::AttemptStarted { task, attempt, epoch, agent, child } => {
                let place = self.find(task)?;
                self.attempt_started(place, *attempt, *epoch, agent, child.as_ref(), at)
            }
            Event::SessionKnown { task, attempt, session } => {
                let place = self.under_attempt(task, *attempt)?;
                let more = self.tasks[place].more_mut();
                if more.journal.is_empty() && more.session.is_none() {
                    more.first_attempt = *attempt;
                }
                more.session = Some(session.clone());
                self.note_running(place);
                Ok(())
            }
            Event::TurnRecorded { task, attempt, turn } => {
                let place = self.under_attempt(task, *attempt)?;
                self.turn_recorded(place, turn, at)
            }
            Event::JournalCut { task, attempt, from } => {
                let place = self.under_attempt(task, *attempt)?;
                let journal = &mut self.tasks[place].more_mut().journal;
                journal.truncate(from.0.saturating_sub(1) as usize);
                Ok(())
            }
            Event::AttemptLogged { task, .. } => self.find(task).map(drop),
            Event::AttemptSucceeded { task, attempt, output, spend, artifacts, cached } => {
                let place = self.find(task)?;
                let current = self.attempt_ended(place, *attempt)?;
                let end = End {
                    status: AttemptStatus::Succeeded,
                    failure: None,
                    spend,
                    artifacts,
                    cached: cached.as_deref(),
                };
                self.note_end(place, &current, at, &end);
                let state = &mut self.tasks[place];
                state.output = Some(output.clone());
                if let Some(more) = &mut state.more {
                    more.error = None;
                    more.compact = false;
                    more.cached = false;
                    if let Some(work) = &mut more.work {
                        work.succeeded();
                    }
                }
                if cached.is_some() {
                    state.more_mut().cached = true;
                }
                if !artifacts.is_empty() || state.more(|more| more.artifacts.first()).is_some() {
                    state.more_mut().artifacts.clone_from(artifacts);
                }
                self.end(place, TaskStatus::Succeeded, at);
                Ok(())
            }
            Event::AttemptFailed { task, attempt, failure, next, ask } => {
                let place = self.find(task)?;
                self.attempt_failed(place, *attempt, failure, next.as_deref(), ask.as_deref(), at)
            }
            _ => Err("that is no event of an attempt".into()),
        }
    }

    /// The place of the task whose attempt is under way, which must be that one.
    pub(super) fn under_attempt(
        &self,
        task: &TaskName,
        attempt: AttemptNumber,
    ) -> Result<usize, String> {
        let place = self.find(task)?;
        match &self.tasks[place].current {
            Some(current) if current.attempt == attempt => Ok(place),
            _ => Err(format!("attempt {attempt} of `{task}` is not under way")),
        }
    }

    fn attempt_started(
        &mut self,
        place: usize,
        attempt: AttemptNumber,
        epoch: Epoch,
        agent: &AgentName,
        child: Option<&RunId>,
        at: Timestamp,
    ) -> Result<(), String> {
        self.must_be_open(place)?;
        if self.tasks[place].current.is_some() || attempt.0 != self.tasks[place].attempts + 1 {
            return Err(format!("attempt {attempt} of `{}` cannot start now", self.name(place)));
        }
        if epoch <= self.epoch {
            return Err(format!("epoch {epoch} is not newer than {}", self.epoch));
        }
        self.epoch = epoch;
        self.running += 1;
        let index = self.agents_for(place).iter().position(|name| name == agent);
        let limit = self.spec(place).task_timeout;
        if self.touches(place).is_some() {
            self.touching.insert(place);
        }
        self.unready(place);
        let state = &mut self.tasks[place];
        if let Some(due) = state.more.as_mut().and_then(|more| more.due.take()) {
            self.waiting.remove(&(due, place));
        }
        if let Some(index) = index
            && index != state.agent
        {
            state.agent = index;
            state.more_mut().tally.switched();
            state.forget_journal();
        }
        if let Some(more) = &mut state.more
            && more.journal.is_empty()
            && more.session.is_none()
        {
            more.first_attempt = attempt;
        }
        state.status = TaskStatus::Running;
        state.attempts = attempt.0;
        state.started_at.get_or_insert(at);
        state.last_agent = Some(agent.clone());
        state.current = Some(Box::new(Current {
            attempt,
            epoch,
            agent: agent.clone(),
            started_at: at,
            child: child.cloned(),
            usage: Usage::default(),
            cost: Cost::default(),
        }));
        if let Some(child) = child {
            state.more_mut().child = Some(child.clone());
            self.children.insert(child.clone(), place);
        }
        if let Some(limit) = limit
            && state.more_mut().deadline.is_none()
        {
            let deadline = at.after(limit);
            state.more_mut().deadline = Some(deadline);
            self.clocks.insert((deadline, place, super::super::Clock::Deadline));
        }
        self.changed.note(place);
        self.note_running(place);
        Ok(())
    }

    fn turn_recorded(&mut self, place: usize, turn: &Turn, at: Timestamp) -> Result<(), String> {
        let name = self.name(place);
        let state = &mut self.tasks[place];
        let Some(current) = &mut state.current else {
            return Err(format!("no attempt of `{name}` is under way"));
        };
        let (attempt, agent) = (current.attempt, current.agent.clone());
        let more = state.more.get_or_insert_default();
        if turn.number.0 as usize != more.journal.len() + 1 {
            return Err(format!(
                "turn {} of `{name}` cannot follow turn {}",
                turn.number,
                more.journal.len()
            ));
        }
        if more.journal.is_empty() && more.session.is_none() {
            more.first_attempt = attempt;
        }
        let usage: Usage = turn.spend.iter().map(|line| line.usage).sum();
        current.usage += usage;
        state.usage += usage;
        self.usage += usage;
        for line in &turn.spend {
            current.cost.add(line);
            state.cost.add(line);
            self.cost.add(line);
        }
        let answer = more.answers.iter_mut().find(|answer| {
            let Call { kind, name, input } = &answer.call;
            !answer.noted && *input == turn.input && *kind == turn.kind && *name == turn.name
        });
        if let Some(answer) = answer {
            answer.noted = true;
        }
        // What was spent is counted; the journal is for going on, not for counting again.
        more.journal.push(Turn { spend: Vec::new(), ..turn.clone() });
        self.note_spend(&name, attempt, &agent, &turn.spend, at);
        if !turn.spend.is_empty() {
            self.changed.note(place);
        }
        self.note_running(place);
        Ok(())
    }

    /// Takes the attempt that is under way, which must be that one.
    fn attempt_ended(
        &mut self,
        place: usize,
        attempt: AttemptNumber,
    ) -> Result<Box<Current>, String> {
        match self.tasks[place].current.take() {
            Some(current) if current.attempt == attempt => {
                self.running -= 1;
                self.touching.remove(&place);
                if let Some(child) = &current.child {
                    self.children.remove(child);
                }
                Ok(current)
            }
            _ => Err(format!("attempt {attempt} of `{}` is not under way", self.name(place))),
        }
    }

    fn attempt_failed(
        &mut self,
        place: usize,
        attempt: AttemptNumber,
        failure: &Failure,
        next: Option<&NextAttempt>,
        ask: Option<&Ask>,
        at: Timestamp,
    ) -> Result<(), String> {
        let current = self.attempt_ended(place, attempt)?;
        let stopped = failure.class == ErrorClass::Cancelled;
        let status = if stopped { AttemptStatus::Cancelled } else { AttemptStatus::Failed };
        let (failure, spend) = (Some(failure), &failure.spend[..]);
        let end = End { status, failure, spend, artifacts: &[], cached: None };
        self.note_end(place, &current, at, &end);
        let state = &mut self.tasks[place];
        // Spending is counted already; the state keeps only the reason.
        let mut error = failure.cloned().unwrap_or_else(|| unreachable!("it was put there above"));
        error.spend = Vec::new();
        let class = error.class;
        let switches = next.is_some_and(|next| next.agent != state.agent);
        let more = state.more_mut();
        more.tally.note(class);
        more.error = Some(error);
        if more.work.is_some() {
            self.work_failed(place, class, switches);
        }
        let state = &mut self.tasks[place];
        let more = state.more_mut();
        if let Some(next) = next {
            more.feedback.extend(next.feedback.clone());
            more.compact |= next.compact;
            more.due = Some(next.at);
            self.waiting.insert((next.at, place));
            state.status = TaskStatus::Waiting;
            if next.agent != state.agent {
                state.agent = next.agent;
                state.more_mut().tally.switched();
                state.more_mut().compact = false;
                state.forget_journal();
                self.drop_questions(place);
            } else if next.anew {
                state.forget_journal();
                self.drop_questions(place);
            }
            return Ok(());
        }
        if let Some(ask) = ask {
            state.status = TaskStatus::Waiting;
            self.ask(place, ask, at);
            return Ok(());
        }
        let status = match state.more_mut().stop.take() {
            Some(stop) if stop.class != ErrorClass::Cancelled => {
                state.more_mut().error = Some(stop);
                TaskStatus::Failed
            }
            Some(stop) => {
                state.more_mut().error = Some(stop);
                TaskStatus::Cancelled
            }
            None if stopped => TaskStatus::Cancelled,
            None => TaskStatus::Failed,
        };
        self.end(place, status, at);
        Ok(())
    }

    /// A person is asked something about the task at `place`.
    pub(super) fn ask(&mut self, place: usize, ask: &Ask, at: Timestamp) {
        // Beside what attempts ask, nothing else is asked; what an older record asks has no number.
        let beside = ask.question.is_some();
        self.drop_asks(place, |other| !beside || other.question.is_none());
        let more = self.tasks[place].more_mut();
        more.asks.push(Asked { ask: Box::new(ask.clone()), since: at });
        if let Some(question) = ask.question {
            more.questions = more.questions.max(question.0);
        }
        if let Some(expires) = ask.expires {
            self.clocks.insert((expires, place, super::super::Clock::Ask));
        }
        self.changed.note(place);
    }

    /// What an attempt asked whose journal is forgotten is nobody's question any more.
    fn drop_questions(&mut self, place: usize) {
        self.drop_asks(place, Ask::is_of_attempt);
    }

    /// Nobody is asked any more what `goes`.
    pub(super) fn drop_asks(&mut self, place: usize, goes: impl Fn(&Ask) -> bool) {
        let Some(more) = &mut self.tasks[place].more else { return };
        let (gone, kept): (Vec<Asked>, Vec<Asked>) =
            std::mem::take(&mut more.asks).into_iter().partition(|asked| goes(&asked.ask));
        for expires in gone.iter().filter_map(|asked| asked.ask.expires) {
            // Two may be asked until the same instant.
            if !kept.iter().any(|asked| asked.ask.expires == Some(expires)) {
                self.clocks.remove(&(expires, place, super::super::Clock::Ask));
            }
        }
        more.asks = kept;
    }

    /// What was made elsewhere is shown like an attempt, with its files and at no cost.
    pub(super) fn note_carried(&mut self, place: usize, at: Timestamp) {
        if self.changed.is_muted() {
            return;
        }
        let state = &self.tasks[place];
        let agent = state.last_agent.clone();
        let current = Current {
            attempt: AttemptNumber(state.attempts.max(1)),
            epoch: Epoch(0),
            agent: agent.unwrap_or_else(|| AgentName::fixed("carried")),
            started_at: at,
            child: None,
            usage: Usage::default(),
            cost: Cost::default(),
        };
        let row = AttemptRow {
            status: AttemptStatus::Succeeded,
            ended_at: Some(at),
            artifacts: state.more(|more| Some(more.artifacts.clone())).unwrap_or_default(),
            ..self.attempt_row(place, state, &current)
        };
        if state.items().is_none() && state.attempts > 0 {
            self.changed.attempt(row);
        }
    }

    /// The row of the attempt under way has changed.
    pub(super) fn note_running(&mut self, place: usize) {
        if self.changed.is_muted() {
            return;
        }
        let state = &self.tasks[place];
        if let Some(current) = &state.current {
            let row = AttemptRow {
                status: AttemptStatus::Running,
                usage: current.usage,
                cost: current.cost,
                ..self.attempt_row(place, state, current)
            };
            self.changed.attempt(row);
        }
    }

    fn attempt_row(&self, place: usize, state: &TaskState, current: &Current) -> AttemptRow {
        AttemptRow {
            run: self.created.run.clone(),
            task: self.name(place),
            number: current.attempt,
            epoch: current.epoch,
            agent: current.agent.clone(),
            status: AttemptStatus::Running,
            started_at: current.started_at,
            ended_at: None,
            error: None,
            usage: current.usage,
            cost: current.cost,
            artifacts: Vec::new(),
            child: current.child.clone(),
            session: state.more(|more| more.session.clone()),
            turns: state.more(|more| u32::try_from(more.journal.len()).ok()).unwrap_or_default(),
            cached: None,
        }
    }

    fn note_end(&mut self, place: usize, current: &Current, at: Timestamp, end: &End<'_>) {
        let usage: Usage = end.spend.iter().map(|line| line.usage).sum();
        self.usage += usage;
        end.spend.iter().for_each(|line| self.cost.add(line));
        let state = &mut self.tasks[place];
        state.usage += usage;
        end.spend.iter().for_each(|line| state.cost.add(line));
        if self.changed.is_muted() {
            return;
        }
        self.changed.note(place);
        let mut cost = current.cost;
        end.spend.iter().for_each(|line| cost.add(line));
        let row = AttemptRow {
            status: end.status,
            ended_at: Some(at),
            error: end.failure.cloned(),
            usage: current.usage + usage,
            cost,
            artifacts: end.artifacts.to_vec(),
            cached: end.cached.cloned(),
            ..self.attempt_row(place, &self.tasks[place], current)
        };
        self.note_spend(&row.task, current.attempt, &current.agent, end.spend, at);
        self.changed.attempt(row);
    }

    pub(super) fn note_spend(
        &mut self,
        task: &TaskName,
        attempt: AttemptNumber,
        agent: &AgentName,
        spend: &[Spend],
        at: Timestamp,
    ) {
        if self.created.is_replay() {
            return;
        }
        let run = &self.created.run;
        self.changed.spend(spend.iter().map(|line| SpendRow {
            run: run.clone(),
            task: task.clone(),
            attempt,
            agent: agent.clone(),
            provider: line.provider.clone(),
            model: line.model.clone(),
            requests: line.requests,
            usage: line.usage,
            cost: line.cost,
            at,
        }));
    }
}
