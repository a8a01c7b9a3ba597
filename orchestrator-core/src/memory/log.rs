//! The log of a run as it is kept: the events that most of a long log consists of take a quarter of
//! the room of an [`Event`], and numbers none, since a log has no gaps.

use crate::{
    event::{Content, Event, Recorded},
    id::{AgentName, AttemptNumber, Epoch, Sequence, TaskName},
    time::Timestamp,
};
use serde_json::Value;

/// The events of one run, in order, the first of which is number 1.
#[derive(Debug, Default)]
pub(super) struct Log {
    events: Vec<Kept>,
}

#[derive(Debug)]
enum Kept {
    /// An attempt that is no child run began.
    Started {
        at: Timestamp,
        task: TaskName,
        attempt: AttemptNumber,
        epoch: Epoch,
        agent: AgentName,
    },
    /// An attempt gave nothing but `null`.
    Done { at: Timestamp, task: TaskName, attempt: AttemptNumber },
    /// Anything else.
    Other(Box<(Timestamp, Event)>),
}

impl Log {
    /// The number of the last event.
    pub(super) fn end(&self) -> Sequence {
        Sequence(self.events.len() as u64)
    }

    /// Adds events that go on where the log ends.
    pub(super) fn extend(&mut self, events: Vec<Recorded>) {
        self.events.extend(events.into_iter().map(Kept::of));
    }

    /// The events after `after`, at most `limit`.
    pub(super) fn after(&self, after: Sequence, limit: usize) -> Vec<Recorded> {
        let start = usize::try_from(after.0).unwrap_or(usize::MAX).min(self.events.len());
        let numbers = (start as u64 + 1..).map(Sequence);
        let rest = numbers.zip(&self.events[start..]).take(limit);
        rest.map(|(seq, kept)| kept.recorded(seq)).collect()
    }
}

impl Kept {
    fn of(recorded: Recorded) -> Self {
        let at = recorded.at;
        match recorded.event {
            Event::AttemptStarted { task, attempt, epoch, agent, child: None } => {
                Self::Started { at, task, attempt, epoch, agent }
            }
            Event::AttemptSucceeded {
                task,
                attempt,
                output: Content::Inline(Value::Null),
                spend,
                artifacts,
                cached: None,
            } if spend.is_empty() && artifacts.is_empty() => Self::Done { at, task, attempt },
            other => Self::Other(Box::new((at, other))),
        }
    }

    fn recorded(&self, seq: Sequence) -> Recorded {
        match self {
            Self::Started { at, task, attempt, epoch, agent } => {
                let (task, agent) = (task.clone(), agent.clone());
                let (attempt, epoch) = (*attempt, *epoch);
                let event = Event::AttemptStarted { task, attempt, epoch, agent, child: None };
                Recorded { seq, at: *at, event }
            }
            Self::Done { at, task, attempt } => {
                let event = Event::AttemptSucceeded {
                    task: task.clone(),
                    attempt: *attempt,
                    output: Content::Inline(Value::Null),
                    spend: Vec::new(),
                    artifacts: Vec::new(),
                    cached: None,
                };
                Recorded { seq, at: *at, event }
            }
            Self::Other(kept) => Recorded { seq, at: kept.0, event: kept.1.clone() },
        }
    }
}
