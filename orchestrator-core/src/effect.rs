//! What is to be done outside once the events behind it are durable.

use crate::{
    command::AttemptKey,
    event::{Message, Reply},
    id::{AgentName, QuestionNumber, RunId, TaskName},
    port::Signal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request to the engine. Each may be made again after a crash and is harmless then.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Let the agent work on the attempt.
    StartAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// The task's place in the run.
        place: usize,
        /// Who works.
        agent: AgentName,
    },
    /// Tell the attempt to stop. It ends with a `cancelled` failure, or still succeeds.
    StopAttempt {
        /// Which one.
        attempt: AttemptKey,
    },
    /// Let go of the place in which an attempt has worked that ended badly, and keep it for people
    /// to look at.
    LeaveWorkspace {
        /// Which one.
        attempt: AttemptKey,
        /// The task's place in the run.
        place: usize,
    },
    /// Give the attempt what a person said to the question that it asked.
    AnswerAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// What it had asked.
        question: QuestionNumber,
        /// What was said.
        reply: Reply,
    },
    /// Give the attempt a message.
    SteerAttempt {
        /// Which one.
        attempt: AttemptKey,
        /// The message.
        message: Message,
    },
    /// See to it that the child run exists, and tell when it has ended.
    AttendChild {
        /// The attempt that it is.
        attempt: AttemptKey,
        /// The task's place in the run.
        place: usize,
        /// The child's id.
        child: RunId,
        /// An earlier run whose results the child takes over, if there is one.
        takes_over: Option<RunId>,
    },
    /// Put a signal into the inbox of another run.
    Send {
        /// The run.
        run: RunId,
        /// The signal.
        signal: Signal,
    },
    /// Find out what depends on values outside the log.
    Evaluate {
        /// The task's place in the run.
        place: usize,
        /// What is to be found out.
        question: Question,
    },
    /// See to it that the run which `then` asks for exists, and tell so.
    StartChain {
        /// Its id.
        run: RunId,
        /// Its definition, a key of the library.
        workflow: String,
        /// Its inputs, not yet filled in.
        with: Map<String, Value>,
        /// The task whose end starts it; none for the run's own.
        task: Option<TaskName>,
    },
}

/// What is to be found out about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Whether it is to run: its `when`.
    When,
    /// For which items: its `for-each`.
    Items,
    /// What a person is asked: the message of its approval.
    Message,
    /// Whether it accepts what it has judged: the `unless` of its `revise`.
    Unless,
}
