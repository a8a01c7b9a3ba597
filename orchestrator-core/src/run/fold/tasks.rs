//! How the events of tasks change them.

use super::super::{
    Made, Run,
    state::{Answered, Items, List, More, TaskState},
};
use crate::{
    effect::Question,
    error::Failure,
    event::{Allowance, Ask, AskKind, Content, Event, Reply, SentMessage, Turn, Verdict},
    id::TaskName,
    permission::PermissionRule,
    port::Feedback,
    task::{Binding, TaskSpec, TaskStatus},
    time::Timestamp,
};
use serde_json::Value;
use std::sync::Arc;

impl Run {
    pub(super) fn apply_to_task(&mut self, event: &Event, at: Timestamp) -> Result<(), String> {
        match event {
            Event::TaskExpanded { task, count, items } => {
                let place = self.find(task)?;
                self.expanded(place, *count, items, at)
            }
            Event::TasksAdded { by, tasks, bindings, agents } => {
                self.find(by)?;
                self.more_agents.extend(agents.iter().cloned());
                self.added(tasks, bindings)
            }
            Event::ConditionMet { task, question } => {
                let more = self.find(task).map(|place| self.tasks[place].more_mut())?;
                match question {
                    Question::Unless => more.accepted = true,
                    _ => more.when_met = true,
                }
                Ok(())
            }
            Event::TaskDelayed { task, until } => {
                let place = self.find(task)?;
                self.must_be_open(place)?;
                self.unready(place);
                let state = &mut self.tasks[place];
                state.status = TaskStatus::Waiting;
                state.more_mut().delayed = true;
                state.more_mut().due = Some(*until);
                self.waiting.insert((*until, place));
                self.changed.note(place);
                Ok(())
            }
            Event::PersonAsked { task, ask } => {
                let place = self.find(task)?;
                self.must_be_open(place)?;
                if self.tasks[place].current.is_none() {
                    self.unready(place);
                }
                let state = &mut self.tasks[place];
                if state.current.is_none() {
                    state.status = TaskStatus::Waiting;
                    state.started_at.get_or_insert(at);
                }
                if let Some(due) = state.more.as_mut().and_then(|more| more.due.take()) {
                    self.waiting.remove(&(due, place));
                }
                self.ask(place, ask, at);
                Ok(())
            }
            Event::PersonAnswered { task, reply, allows } => {
                let place = self.find(task)?;
                self.answered(place, reply, at)?;
                self.allowed(place, reply, allows, at);
                Ok(())
            }
            Event::MessageSent { task, message } => {
                let place = self.find(task)?;
                self.must_be_open(place)?;
                let messages = &mut self.tasks[place].more_mut().messages;
                if message.number.0 as usize != messages.len() + 1 {
                    return Err(format!("message {} of `{task}` is out of order", message.number));
                }
                let message = (**message).clone();
                messages.push(SentMessage { message, sent_at: at, delivered: None });
                Ok(())
            }
            Event::MessageDelivered { task, attempt, number } => {
                let place = self.under_attempt(task, *attempt)?;
                let messages = &mut self.tasks[place].more_mut().messages;
                let sent = messages.iter_mut().find(|sent| sent.message.number == *number);
                match sent.filter(|sent| sent.delivered.is_none()) {
                    Some(sent) => sent.delivered = Some(*attempt),
                    None => return Err(format!("message {number} of `{task}` is not on its way")),
                }
                Ok(())
            }
            Event::TaskSucceeded { task, output } => {
                let place = self.find(task)?;
                self.must_be_idle(place)?;
                let state = &mut self.tasks[place];
                state.output = output.clone();
                state.started_at.get_or_insert(at);
                if let Some(more) = &mut state.more {
                    more.error = None;
                }
                self.end(place, TaskStatus::Succeeded, at);
                Ok(())
            }
            Event::TaskCarried { task, from, agent, attempts, output, artifacts, facts } => {
                let place = self.find(task)?;
                self.must_be_idle(place)?;
                let state = &mut self.tasks[place];
                state.output = output.clone();
                state.attempts = *attempts;
                state.last_agent.clone_from(agent);
                state.more_mut().carried = Some(from.clone());
                state.more_mut().artifacts.clone_from(artifacts);
                if let Some(facts) = facts {
                    state.work_mut().facts = Some((**facts).clone());
                }
                self.note_carried(place, at);
                self.end(place, TaskStatus::Succeeded, at);
                Ok(())
            }
            Event::StopRequested { task, failure } => {
                let place = self.find(task)?;
                if self.tasks[place].status != TaskStatus::Running {
                    return Err(format!("nothing of `{task}` is under way"));
                }
                self.tasks[place].more_mut().stop = Some(failure.clone());
                if let Some(at) = self.tasks[place].more_mut().deadline.take() {
                    self.clocks.remove(&(at, place, super::super::Clock::Deadline));
                }
                Ok(())
            }
            Event::TaskSkipped { task, reason } => {
                let place = self.find(task)?;
                self.must_be_idle(place)?;
                self.tasks[place].more_mut().skip = Some(reason.clone());
                self.end(place, TaskStatus::Skipped, at);
                Ok(())
            }
            Event::TaskCancelled { task } => {
                let place = self.find(task)?;
                self.must_be_idle(place)?;
                self.end(place, TaskStatus::Cancelled, at);
                Ok(())
            }
            Event::TaskFailed { task, failure } => {
                let place = self.find(task)?;
                self.task_failed(place, failure, at)
            }
            Event::RevisionRequested { by, number, feedback, reopened, target } => {
                let judge = self.find(by)?;
                self.tasks[judge].more_mut().revisions = *number;
                let told = target.as_ref().or(reopened.first());
                if let Some(told) = told {
                    let told = self.find(told)?;
                    self.tasks[told].more_mut().feedback.push(feedback.clone());
                }
                self.revised(reopened)
            }
            Event::UndoPlanned { tasks } => self.undo(tasks),
            _ => Err("that is no event of a task".into()),
        }
    }

    fn must_be_idle(&self, place: usize) -> Result<(), String> {
        self.must_be_open(place)?;
        match &self.tasks[place].current {
            Some(_) => Err(format!("an attempt of `{}` is under way", self.name(place))),
            None => Ok(()),
        }
    }

    fn expanded(
        &mut self,
        place: usize,
        count: u32,
        items: &Content,
        at: Timestamp,
    ) -> Result<(), String> {
        self.must_be_idle(place)?;
        let list = match items {
            Content::Inline(Value::Array(values)) if values.len() == count as usize => {
                List::Here(Arc::new(values.clone()))
            }
            Content::Inline(_) => {
                return Err(format!("the list of `{}` has not {count} items", self.name(place)));
            }
            blob @ Content::Blob { .. } => List::Blob(blob.clone()),
        };
        // Attempts of an item are numbered on when its list is made again.
        let before = self.tasks[place].more_mut().items.take();
        let attempts = |index: u32| match &before {
            Some(items) if index < items.count => {
                let old = &self.tasks[items.first + index as usize];
                (old.attempts, old.usage, old.cost)
            }
            _ => Default::default(),
        };
        let kept: Vec<_> = (0..count).map(attempts).collect();
        if let Some(before) = &before {
            let name = self.name(place);
            self.changed.gone((count..before.count).map(|index| name.item(index)));
        }
        let first = self.tasks.len();
        self.graph.grow_alone(count as usize);
        self.made.reserve(count as usize);
        self.tasks.reserve(count as usize);
        for (index, (attempts, usage, cost)) in (0..).zip(kept) {
            let state = TaskState { attempts, usage, cost, ..TaskState::new(0) };
            self.make(Made::Item { group: place, index }, state);
        }
        self.settled.extend((first..first + count as usize).rev());
        let limit = self.spec(place).task_timeout;
        let state = &mut self.tasks[place];
        state.status = TaskStatus::Running;
        state.started_at.get_or_insert(at);
        let more = state.more_mut();
        if let Some(due) = more.due.take() {
            self.waiting.remove(&(due, place));
        }
        more.items =
            Some(Items { first, count, open: count, failed: 0, list, left: Default::default() });
        if let Some(limit) = limit {
            let deadline = at.after(limit);
            more.deadline = Some(deadline);
            self.clocks.insert((deadline, place, super::super::Clock::Deadline));
        }
        self.changed.note(place);
        if count == 0 {
            self.ended.push(place);
        }
        Ok(())
    }

    fn added(&mut self, tasks: &[TaskSpec], bindings: &[Binding]) -> Result<(), String> {
        if tasks.len() != bindings.len() {
            return Err(format!("{} tasks come with {} bindings", tasks.len(), bindings.len()));
        }
        let first = self.tasks.len();
        let mut places: std::collections::BTreeMap<&str, usize> = Default::default();
        for (index, task) in tasks.iter().enumerate() {
            let known = self.place(task.name.as_str()).is_some();
            if known || places.insert(task.name.as_str(), first + index).is_some() {
                return Err(format!("a task is named `{}` already", task.name));
            }
        }
        let mut needs = Vec::with_capacity(tasks.len());
        for task in tasks {
            let mut of: Vec<usize> = Vec::with_capacity(task.needs.len());
            for need in &task.needs {
                let place = places.get(need.as_str()).copied();
                let place = place.or_else(|| self.places.get(need.as_str()).copied());
                of.push(place.ok_or_else(|| format!("`{}` needs no task `{need}`", task.name))?);
            }
            of.sort_unstable();
            of.dedup();
            needs.push(of);
        }
        self.graph.grow(&needs).map_err(|circle| {
            let names = circle.iter().filter_map(|&p| tasks.get(p - first));
            let names: Vec<&str> = names.map(|task| task.name.as_str()).collect();
            format!("the added tasks {} need each other in a circle", names.join(", "))
        })?;
        for ((task, binding), needs) in tasks.iter().zip(bindings).zip(&needs) {
            let unmet = needs
                .iter()
                .filter(|&&need| need >= first || !self.tasks[need].status.is_final())
                .count();
            let state = TaskState::new(u32::try_from(unmet).unwrap_or(u32::MAX));
            let made = Made::Added { spec: Box::new(task.clone()), binding: binding.clone() };
            let place = self.make(made, state);
            if unmet == 0 {
                self.settled.push(place);
            }
        }
        Ok(())
    }

    fn answered(&mut self, place: usize, reply: &Reply, at: Timestamp) -> Result<(), String> {
        let name = self.name(place);
        let asks = &self.tasks[place].more_mut().asks;
        let found = asks.iter().find(|asked| asked.ask.question == reply.question);
        let Some(ask) = found.map(|asked| asked.ask.clone()) else {
            return Err(format!("nobody was asked about `{name}`"));
        };
        self.drop_asks(place, |other| other.question == reply.question);
        self.changed.note(place);
        let more = self.tasks[place].more_mut();
        match (ask.kind, &reply.verdict) {
            (AskKind::Approval, Verdict::Approved | Verdict::Answered(_))
            | (AskKind::Outcome, Verdict::Answered(_)) => {
                more.decided_by = Some(reply.by.clone());
            }
            (AskKind::Question | AskKind::Permission, Verdict::Expired)
            | (AskKind::Approval, _) => {}
            // Records before version 5 have the answer at the place of the question.
            (AskKind::Question, verdict) if ask.turn.is_some() => {
                more.journal.push(answer_turn(&ask, verdict));
            }
            (AskKind::Question | AskKind::Permission, _) => {
                let (call, reply) = (ask.call(), reply.clone());
                more.answers.push(Answered { call, reply, noted: false });
            }
            (AskKind::Failure | AskKind::Outcome, Verdict::Approved) => {
                more.tally.revised();
                more.due = Some(at);
                self.waiting.insert((at, place));
            }
            (AskKind::Failure, Verdict::Answered(text)) => {
                more.tally.revised();
                more.feedback.push(Feedback { from: reply.by.clone(), message: text.clone() });
                more.due = Some(at);
                self.waiting.insert((at, place));
            }
            (AskKind::Failure | AskKind::Outcome, _) => {}
        }
        Ok(())
    }

    /// What is allowed for the rest of the run.
    fn allowed(&mut self, place: usize, reply: &Reply, rules: &[PermissionRule], at: Timestamp) {
        let task = self.name(place);
        let Some(agent) = self.tasks[place].last_agent.clone() else { return };
        for rule in rules {
            let known = |known: &Allowance| known.agent == agent && known.rule == *rule;
            if !self.allowances.iter().any(known) {
                let (agent, rule, by) = (agent.clone(), rule.clone(), reply.by.clone());
                self.allowances.push(Allowance { agent, rule, task: task.clone(), by, at });
            }
        }
    }

    fn task_failed(
        &mut self,
        place: usize,
        failure: &Failure,
        at: Timestamp,
    ) -> Result<(), String> {
        if self.tasks[place].current.is_some() {
            return Err(format!("an attempt of `{}` is under way", self.name(place)));
        }
        self.tasks[place].more_mut().error = Some(failure.clone());
        match self.tasks[place].status {
            // A judgement was not accepted.
            TaskStatus::Succeeded => self.reopen(place),
            status if status.is_final() => {
                return Err(format!("`{}` has ended", self.name(place)));
            }
            _ => {}
        }
        self.end(place, TaskStatus::Failed, at);
        Ok(())
    }

    fn revised(&mut self, reopened: &[TaskName]) -> Result<(), String> {
        for name in reopened {
            let place = self.find(name)?;
            if !self.tasks[place].status.is_final() {
                return Err(format!("`{name}` is open already"));
            }
            self.reopen(place);
            let state = &mut self.tasks[place];
            state.output = None;
            if let Some(more) = &mut state.more {
                more.tally.revised();
                more.error = None;
                more.compact = false;
                more.skip = None;
                more.when_met = false;
                more.decided_by = None;
                more.accepted = false;
            }
            self.work_reopened(place);
            self.retire_items(place);
        }
        for name in reopened {
            let place = self.find(name)?;
            if self.tasks[place].unmet == 0 {
                self.settled.push(place);
            }
        }
        Ok(())
    }

    /// The items of an ended `for-each` task do not count any more: its list is made again.
    fn retire_items(&mut self, place: usize) {
        let Some(items) = self.tasks[place].items() else {
            return;
        };
        let items = items.first..items.first + items.count as usize;
        self.retired += items.len();
        for item in items {
            self.tasks[item].retired = true;
        }
    }

    /// An ended task is open again; whoever needs it waits again, unless it runs or has ended.
    fn reopen(&mut self, place: usize) {
        self.open += 1;
        self.failed -= u32::from(self.tasks[place].status == TaskStatus::Failed);
        self.tasks[place].status = TaskStatus::Pending;
        self.tasks[place].ended_at = None;
        self.changed.note(place);
        let dependents: Vec<usize> = self.graph.dependents(place).collect();
        for dependent in dependents {
            self.tasks[dependent].unmet += 1;
            self.wait_again(dependent);
        }
    }

    /// Something that the task at `place` needs is open again. A delay that has begun and a person
    /// who was asked about what will change do not count; an attempt that runs goes on.
    fn wait_again(&mut self, place: usize) {
        if !self.tasks[place].status.is_final() {
            self.asked.remove(&place);
        }
        let state = &self.tasks[place];
        let not_begun = match state.status {
            TaskStatus::Ready => true,
            TaskStatus::Waiting => {
                let approval = state.ask().is_some_and(|ask| ask.kind == AskKind::Approval);
                approval || state.more(|more| Some(more.delayed)).unwrap_or(false)
            }
            _ => false,
        };
        if let Some(items) = state.items()
            && state.status == TaskStatus::Running
        {
            let items = items.first..items.first + items.count as usize;
            for item in items {
                if self.tasks[item].status == TaskStatus::Ready {
                    self.unready(item);
                    self.tasks[item].status = TaskStatus::Pending;
                    self.changed.note(item);
                }
            }
            return;
        }
        // An attempt that failed before is waited for as it was: it is due when the need has ended.
        if !not_begun || state.attempts > 0 && state.status == TaskStatus::Waiting {
            return;
        }
        self.forget_clocks(place);
        self.unready(place);
        let state = &mut self.tasks[place];
        state.status = TaskStatus::Pending;
        if let Some(more) = &mut state.more {
            more.asks.clear();
            more.delayed = false;
        }
        self.asked.remove(&place);
        self.changed.note(place);
    }

    fn undo(&mut self, tasks: &[TaskName]) -> Result<(), String> {
        self.undo_planned = true;
        let first = self.tasks.len();
        let mut made = Vec::with_capacity(tasks.len());
        for task in tasks {
            let of = self.find(task)?;
            let spec = self.spec(of);
            let Some(kind) = &spec.compensate else {
                return Err(format!("`{task}` does not say how it is undone"));
            };
            let mut undo = TaskSpec::new(task.undo(), (**kind).clone());
            undo.retry = spec.retry;
            undo.timeout = spec.timeout;
            made.push(Made::Undo { of, spec: Box::new(undo) });
        }
        let needs: Vec<Vec<usize>> = (0..made.len())
            .map(|index| index.checked_sub(1).map(|before| first + before).into_iter().collect())
            .collect();
        self.graph.grow(&needs).map_err(|_| "an undoing task needs itself".to_owned())?;
        for (index, made) in made.into_iter().enumerate() {
            self.make(made, TaskState::new(u32::from(index > 0)));
        }
        if !tasks.is_empty() {
            self.settled.push(first);
        }
        Ok(())
    }
}

/// What a person said as a turn of the journal, so that nobody is asked again after a crash.
fn answer_turn(ask: &Ask, verdict: &Verdict) -> Turn {
    let said = match verdict {
        Verdict::Approved => "yes".to_owned(),
        Verdict::Rejected(reason) if reason.is_empty() => "no".to_owned(),
        Verdict::Rejected(reason) => format!("no: {reason}"),
        Verdict::Answered(text) => text.clone(),
        Verdict::Expired => String::new(),
    };
    let call = ask.call();
    Turn {
        number: ask.turn.unwrap_or_default(),
        kind: call.kind,
        name: call.name,
        input: call.input,
        output: Content::Inline(Value::String(said)),
        spend: Vec::new(),
    }
}

impl More {
    /// The most telling reason why the task is where it is.
    pub(in super::super) fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }
}
