//! Messages to agents at work.

use super::{super::Run, Deciding};
use crate::{
    command::AttemptKey,
    effect::Effect,
    event::{Content, Event, Message},
    id::{AgentName, MessageNumber, ProviderName, RunId, TaskName},
    port::Signal,
    task::TaskStatus,
};

/// The most messages that wait for the agent of one task.
const MOST_WAITING: usize = 100;

/// Why a task takes no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsteerable {
    /// It has ended.
    #[error("`{task}` has {status}: nobody is at work on it")]
    Ended {
        /// The task.
        task: TaskName,
        /// How.
        status: TaskStatus,
    },
    /// No agent has begun with it.
    #[error("`{task}` has not begun: nobody is at work on it yet")]
    NotBegun {
        /// The task.
        task: TaskName,
    },
    /// Other tasks do its work: those of another run, or its items.
    #[error("`{task}` is done by tasks of its own: send it to one of `{run}`")]
    Parts {
        /// The task.
        task: TaskName,
        /// The run, or the task whose items they are.
        run: String,
    },
    /// Its agent takes none.
    #[error(
        "agent `{agent}`, which is at work on `{task}`, runs on `{kind}` and takes no messages \
             while it works"
    )]
    Agent {
        /// The task.
        task: TaskName,
        /// Who.
        agent: AgentName,
        /// What it runs on.
        kind: ProviderName,
    },
    /// Too many wait already.
    #[error("{MOST_WAITING} messages wait for the agent of `{task}` already")]
    TooMany {
        /// The task.
        task: TaskName,
    },
    /// The text is empty or too long.
    #[error("a message has between 1 and {most} bytes", most = Content::INLINE_LIMIT)]
    Text,
}

impl Run {
    /// Why the agent of the task at `place` cannot be told anything, if it cannot. Between two
    /// attempts it can: the next one is given what was sent.
    pub fn refuses_message(&self, place: usize) -> Option<Unsteerable> {
        let state = &self.tasks[place];
        let task = self.name(place);
        if state.status.is_final() {
            return Some(Unsteerable::Ended { task, status: state.status });
        }
        if state.items().is_some() {
            let run = task.to_string();
            return Some(Unsteerable::Parts { task, run });
        }
        let child = state.current.as_ref().and_then(|current| current.child.as_ref());
        if let Some(run) = child.map(RunId::to_string) {
            return Some(Unsteerable::Parts { task, run });
        }
        if state.attempts == 0 {
            return Some(Unsteerable::NotBegun { task });
        }
        let agent = match &state.current {
            Some(current) => current.agent.clone(),
            None => self.agent_of(place),
        };
        if !self.agent_spec(&agent).is_some_and(|spec| spec.steerable) {
            let kind = self.provider_of(&agent);
            return Some(Unsteerable::Agent { task, agent, kind });
        }
        let messages = state.more.as_deref().map_or(&[][..], |more| &more.messages);
        let waiting = messages.iter().filter(|sent| sent.delivered.is_none()).count();
        (waiting >= MOST_WAITING).then_some(Unsteerable::TooMany { task })
    }

    /// Why the message that `signal` is cannot be sent to the task at `place`, if it cannot; none for
    /// any other signal.
    pub fn refuses_signal(&self, place: usize, signal: &Signal) -> Option<Unsteerable> {
        let text = match signal {
            Signal::Say { text, .. } => Some(text.as_str()),
            Signal::Interrupt { text, .. } => text.as_deref(),
            Signal::Cancel { .. }
            | Signal::Pause { .. }
            | Signal::Resume {}
            | Signal::Reply { .. }
            | Signal::Kill { .. }
            | Signal::Budget { .. }
            | Signal::ChildEnded { .. } => return None,
        };
        let fits = |text: &str| !text.trim().is_empty() && text.len() <= Content::INLINE_LIMIT;
        let unfit = || text.is_some_and(|text| !fits(text)).then_some(Unsteerable::Text);
        self.refuses_message(place).or_else(unfit)
    }

    /// Records a message, and then gives it to the attempt under way.
    pub(super) fn send_message(
        &mut self,
        place: usize,
        text: Option<String>,
        interrupts: bool,
        to: &mut Deciding<'_>,
    ) {
        let sent = self.tasks[place].more(|more| u32::try_from(more.messages.len()).ok());
        let number = MessageNumber(sent.unwrap_or_default() + 1);
        let message = Message { number, text, interrupts };
        let task = self.name(place);
        self.record(to, Event::MessageSent { task, message: Box::new(message.clone()) });
        if let Some(attempt) = self.key_of(place) {
            self.effects.push(Effect::SteerAttempt { attempt, message });
        }
    }

    /// The agent has a message; what it has already is not recorded again.
    pub(super) fn note_delivery(
        &mut self,
        place: usize,
        attempt: AttemptKey,
        number: MessageNumber,
        to: &mut Deciding<'_>,
    ) {
        let on_its_way = self.tasks[place].more(|more| {
            let mut messages = more.messages.iter();
            Some(messages.any(|m| m.message.number == number && m.delivered.is_none()))
        });
        if on_its_way == Some(true) {
            let AttemptKey { task, attempt, .. } = attempt;
            self.record(to, Event::MessageDelivered { task, attempt, number });
        }
    }
}
