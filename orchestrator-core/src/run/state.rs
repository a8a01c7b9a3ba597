//! What a run knows of each of its tasks.

use super::{Made, Run, sight::Each};
use crate::{
    error::Failure,
    event::{ArtifactRef, Ask, Content, Reply, SentMessage, SkipReason, Turn},
    id::{AgentName, AttemptNumber, CommitId, Epoch, RunId, Sequence, TaskName},
    policy::Tally,
    port::{Call, Feedback, ItemCounts, Start},
    task::{TaskSpec, TaskStatus},
    time::Timestamp,
    usage::{Cost, Usage},
    workspace::{Opened, Refusal, WorkFacts},
};
use serde_json::Value;
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// One task of a run. What few tasks have is in [`More`], so that a million of them fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaskState {
    pub(super) status: TaskStatus,
    /// Whether it was an item of a list that has been made again since: it does not count any more.
    pub(super) retired: bool,
    /// Needs that have not ended.
    pub(super) unmet: u32,
    /// Attempts started, over all revisions.
    pub(super) attempts: u32,
    /// The place of the agent in the task's binding.
    pub(super) agent: usize,
    /// The attempt under way.
    pub(super) current: Option<Box<Current>>,
    pub(super) output: Option<Content>,
    pub(super) usage: Usage,
    pub(super) cost: Cost,
    pub(super) last_agent: Option<AgentName>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    /// The event that ended it.
    pub(super) ended_seq: Sequence,
    pub(super) more: Option<Box<More>>,
}

/// What few tasks have.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct More {
    /// Failed attempts by their causes.
    pub(super) tally: Tally,
    /// When the next attempt is due, between two, or when its delay ends.
    pub(super) due: Option<Timestamp>,
    /// Whether its delay has begun.
    pub(super) delayed: bool,
    /// Whether its `when` was found to be true by the engine.
    pub(super) when_met: bool,
    /// Whether what it judged was accepted, as the engine found.
    pub(super) accepted: bool,
    /// When all of its attempts must have ended.
    pub(super) deadline: Option<Timestamp>,
    /// Revisions that this task has asked for.
    pub(super) revisions: u32,
    pub(super) feedback: Vec<Feedback>,
    pub(super) error: Option<Failure>,
    /// What people are asked, the longest first: one thing about the task itself, or several by
    /// its attempt.
    pub(super) asks: Vec<Asked>,
    /// The highest number of what its attempts have asked.
    pub(super) questions: u32,
    /// What was answered to its attempts: nobody is asked that again after a crash.
    pub(super) answers: Vec<Answered>,
    /// What was sent to its agents, in order.
    pub(super) messages: Vec<SentMessage>,
    /// The person who approved it, or gave its result.
    pub(super) decided_by: Option<String>,
    /// With what it ends once its attempt has stopped.
    pub(super) stop: Option<Failure>,
    pub(super) skip: Option<SkipReason>,
    /// The turns that the next attempt need not do again.
    pub(super) journal: Vec<Turn>,
    /// The attempt with which the journal began.
    pub(super) first_attempt: AttemptNumber,
    pub(super) session: Option<String>,
    pub(super) compact: bool,
    pub(super) items: Option<Items>,
    /// The last child run that it was.
    pub(super) child: Option<RunId>,
    /// Whether its result was made elsewhere: the run that made it.
    pub(super) carried: Option<RunId>,
    /// Files that the last successful attempt made.
    pub(super) artifacts: Vec<ArtifactRef>,
    /// Whether the last result came from the cache.
    pub(super) cached: bool,
    /// Where it works and what it has made there, when it has a place of its own.
    pub(super) work: Option<Box<WorkState>>,
}

/// What a person is asked, and since when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) ask: Box<Ask>,
    pub(super) since: Timestamp,
}

/// What a person has said to what an attempt asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What was asked, as the turn that it is.
    pub call: Call,
    /// What was said.
    pub reply: Reply,
    /// Whether the journal has it as a turn.
    pub noted: bool,
}

/// Where the attempts of a task work, and what they have made there.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct WorkState {
    /// The place of the attempt under way, or of the last one.
    pub(super) opened: Option<Arc<Opened>>,
    /// Whether the attempt under way has opened it, or the next one goes on in it.
    pub(super) is_open: bool,
    /// From where a place is begun when none is open.
    pub(super) begin: Start,
    /// What the agent has left, once its work is recorded and until its attempt has ended with it.
    pub(super) done: Option<Done>,
    /// The work that was recorded last.
    pub(super) facts: Option<WorkFacts>,
    /// Why that was not let onto its branch.
    pub(super) refused: Option<Refusal>,
    /// The last state that was recorded.
    pub(super) checkpoint: Option<CommitId>,
    /// When the last of these happened.
    pub(super) since: Timestamp,
}

/// What an agent has left whose attempt has not ended yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    pub(super) output: Content,
    pub(super) artifacts: Vec<ArtifactRef>,
}

/// The items of a `for-each` task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Items {
    /// The place of the first; the others follow.
    pub(super) first: usize,
    pub(super) count: u32,
    /// How many have not ended.
    pub(super) open: u32,
    /// How many ended other than well.
    pub(super) failed: u32,
    pub(super) list: List,
    pub(super) left: WhatIsLeft,
}

/// What the items have left, once all have ended and somebody has asked. Derived from their states,
/// so that it does not tell one list from another.
#[derive(Clone, Default)]
pub(super) struct WhatIsLeft(pub(super) OnceLock<Arc<Each>>);

impl fmt::Debug for WhatIsLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WhatIsLeft")
    }
}

impl PartialEq for WhatIsLeft {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The values of the items.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum List {
    Here(Arc<Vec<Value>>),
    Blob(Content),
}

/// An attempt under way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Current {
    pub(super) attempt: AttemptNumber,
    pub(super) epoch: Epoch,
    pub(super) agent: AgentName,
    pub(super) started_at: Timestamp,
    pub(super) child: Option<RunId>,
    /// What its recorded turns used and cost.
    pub(super) usage: Usage,
    pub(super) cost: Cost,
}

impl TaskState {
    pub(super) fn new(unmet: u32) -> Self {
        Self {
            status: TaskStatus::Pending,
            retired: false,
            unmet,
            attempts: 0,
            agent: 0,
            current: None,
            output: None,
            usage: Usage::default(),
            cost: Cost::default(),
            last_agent: None,
            started_at: None,
            ended_at: None,
            ended_seq: Sequence(0),
            more: None,
        }
    }

    pub(super) fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// A part of [`More`], where there is one.
    pub(super) fn more<'s, T>(&'s self, part: impl FnOnce(&'s More) -> Option<T>) -> Option<T> {
        self.more.as_deref().and_then(part)
    }

    pub(super) fn items(&self) -> Option<&Items> {
        self.more(|more| more.items.as_ref())
    }

    pub(super) fn ask(&self) -> Option<&Ask> {
        self.more(|more| more.asks.first()).map(|asked| &*asked.ask)
    }

    /// All that people are asked.
    pub(super) fn asks(&self) -> &[Asked] {
        self.more.as_deref().map_or(&[], |more| &more.asks)
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        self.more(|more| more.due)
    }

    pub(super) fn error(&self) -> Option<&Failure> {
        self.more(|more| more.error.as_ref())
    }

    pub(super) fn work(&self) -> Option<&WorkState> {
        self.more(|more| more.work.as_deref())
    }

    pub(super) fn work_mut(&mut self) -> &mut WorkState {
        self.more_mut().work.get_or_insert_default()
    }

    /// Whether what was made was found to be good.
    pub(super) fn is_verified(&self) -> bool {
        let facts = self.work().and_then(|work| work.facts.as_ref());
        facts.is_some_and(WorkFacts::is_verified)
    }

    /// Whether the work of the attempt under way, or of the one before, is recorded and has yet to
    /// be proved or landed.
    pub(super) fn is_done(&self) -> bool {
        self.work().is_some_and(|work| work.done.is_some())
    }

    /// Forgets what only holds between attempts: the journal and the session.
    pub(super) fn forget_journal(&mut self) {
        if let Some(more) = &mut self.more {
            more.journal = Vec::new();
            more.answers = Vec::new();
            more.session = None;
            more.first_attempt = AttemptNumber(0);
        }
    }
}

/// A task as others may see it.
#[derive(Debug, Clone, Copy)]
pub struct TaskView<'r> {
    pub(super) run: &'r Run,
    pub(super) place: usize,
}

impl<'r> TaskView<'r> {
    pub(super) fn state(&self) -> &'r TaskState {
        &self.run.tasks[self.place]
    }

    /// Its place in the run.
    pub fn place(&self) -> usize {
        self.place
    }

    /// Its name: its key in the workflow, or `build:3` for an item and `build:undo` for what undoes.
    pub fn name(&self) -> TaskName {
        self.run.name(self.place)
    }

    /// What it asks for; of an item, what its `for-each` task does.
    pub fn spec(&self) -> &'r TaskSpec {
        self.run.spec(self.place)
    }

    /// Where it stands.
    pub fn status(&self) -> TaskStatus {
        self.state().status
    }

    /// What it left.
    pub fn output(&self) -> Option<&'r Content> {
        self.state().output.as_ref()
    }

    /// Why it failed, or why its last attempt did.
    pub fn error(&self) -> Option<&'r Failure> {
        self.state().error()
    }

    /// How many attempts were started.
    pub fn attempts(&self) -> u32 {
        self.state().attempts
    }

    /// What it has cost so far.
    pub fn cost(&self) -> Cost {
        self.state().cost
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        self.state().usage
    }

    /// Why earlier work was sent back, oldest first.
    pub fn feedback(&self) -> &'r [Feedback] {
        self.state().more.as_deref().map_or(&[], |more| &more.feedback)
    }

    /// What a person is asked: the first of several things.
    pub fn ask(&self) -> Option<&'r Ask> {
        self.state().ask()
    }

    /// All that people are asked, the longest first.
    pub fn asks(&self) -> impl Iterator<Item = &'r Ask> {
        self.state().asks().iter().map(|asked| &*asked.ask)
    }

    /// What was sent to its agents, in order.
    pub fn messages(&self) -> &'r [SentMessage] {
        self.state().more.as_deref().map_or(&[], |more| &more.messages)
    }

    /// The place of its own in which it works, or worked last.
    pub fn workspace(&self) -> Option<&'r Opened> {
        self.state().work().and_then(|work| work.opened.as_deref())
    }

    /// What it has made there, what proves that, and where it has landed.
    pub fn facts(&self) -> Option<&'r WorkFacts> {
        self.state().work().and_then(|work| work.facts.as_ref())
    }

    /// Why its work was not let onto its branch, unless that has been mended since.
    pub fn refusal(&self) -> Option<&'r Refusal> {
        self.state().work().and_then(|work| work.refused.as_ref())
    }

    /// The last state of its place that was recorded, besides the work itself.
    pub fn checkpoint(&self) -> Option<&'r CommitId> {
        self.state().work().and_then(|work| work.checkpoint.as_ref())
    }

    /// Whether its checks passed on what it has made; none when it declares none, or nothing is
    /// known yet. Of a `for-each` task, whether they did for every item.
    pub fn verified(&self) -> Option<bool> {
        self.run.verified(self.place)
    }

    /// The child run that its attempt under way is.
    pub fn child(&self) -> Option<&'r RunId> {
        self.state().current.as_ref().and_then(|current| current.child.as_ref())
    }

    /// Of a `for-each` task, its items counted.
    pub fn items(&self) -> Option<ItemCounts> {
        let items = self.state().items()?;
        let ended = items.count - items.open;
        Some(ItemCounts { count: items.count, ended, failed: items.failed })
    }

    /// The `for-each` task that it is an item of, and its place in the list.
    pub fn item_of(&self) -> Option<(usize, u32)> {
        match self.run.made(self.place)? {
            Made::Item { group, index } => Some((*group, *index)),
            Made::Added { .. } | Made::Undo { .. } => None,
        }
    }
}

/// Events that are not the log of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There are none.
    #[error("the log is empty")]
    Empty,
    /// The first does not create a run.
    #[error("the log does not begin with the creation of a run")]
    NoCreation,
    /// One is missing or out of order.
    #[error("event {found} of the log stands where {expected} must be")]
    Gap {
        /// The number that must come.
        expected: Sequence,
        /// The number that came.
        found: Sequence,
    },
    /// One cannot follow from those before it.
    #[error("event {seq} of the log cannot follow from those before it: {reason}")]
    Mismatch {
        /// Its number.
        seq: Sequence,
        /// Why not.
        reason: String,
    },
}
