//! What a simulation is made of, each of which can be left out.

use std::fmt;

/// A construct of the workflow language, or something that people do.
///
/// A failing seed is narrowed down by [leaving out](super::Simulation::without) one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Construct {
    /// `when`.
    When,
    /// `revise`.
    Revise,
    /// `on-failure: continue`.
    Continue,
    /// Agents that fail, panic, hang, answer wrongly, or are slow.
    Failures,
    /// `timeout` of attempts.
    Timeouts,
    /// `mode: sequential`.
    Sequential,
    /// `for-each`.
    ForEach,
    /// Child workflows.
    Children,
    /// `approval`.
    Approvals,
    /// Agents that ask.
    Questions,
    /// Agents that take messages, and somebody who sends them.
    Messages,
    /// `delay`.
    Delays,
    /// `on-failure: compensate`.
    Compensation,
    /// `concurrency-group`.
    Groups,
    /// `cache`.
    Cache,
    /// `mode: hierarchical` with a task that adds tasks.
    Hierarchical,
    /// `then`.
    Chains,
    /// `workspace: worktree` with checks and landing.
    Worktrees,
    /// A judge of what worktrees hold: another agent, which accepts some of it only once it was sent back.
    Judges,
    /// Journalled turns and sessions.
    Turns,
    /// A limit of attempts at once for an agent.
    Limits,
    /// Somebody who cancels.
    Cancels,
    /// Somebody who pauses and resumes.
    Pauses,
    /// Somebody who kills a task.
    Kills,
}

impl Construct {
    /// Every construct.
    pub const ALL: [Self; 24] = [
        Self::When,
        Self::Revise,
        Self::Continue,
        Self::Failures,
        Self::Timeouts,
        Self::Sequential,
        Self::ForEach,
        Self::Children,
        Self::Approvals,
        Self::Questions,
        Self::Messages,
        Self::Delays,
        Self::Compensation,
        Self::Groups,
        Self::Cache,
        Self::Hierarchical,
        Self::Chains,
        Self::Worktrees,
        Self::Judges,
        Self::Turns,
        Self::Limits,
        Self::Cancels,
        Self::Pauses,
        Self::Kills,
    ];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::When => "when",
            Self::Revise => "revise",
            Self::Continue => "continue",
            Self::Failures => "failures",
            Self::Timeouts => "timeouts",
            Self::Sequential => "sequential",
            Self::ForEach => "for-each",
            Self::Children => "children",
            Self::Approvals => "approvals",
            Self::Questions => "questions",
            Self::Messages => "messages",
            Self::Delays => "delays",
            Self::Compensation => "compensation",
            Self::Groups => "groups",
            Self::Cache => "cache",
            Self::Hierarchical => "hierarchical",
            Self::Chains => "chains",
            Self::Worktrees => "worktrees",
            Self::Judges => "judges",
            Self::Turns => "turns",
            Self::Limits => "limits",
            Self::Cancels => "cancels",
            Self::Pauses => "pauses",
            Self::Kills => "kills",
        }
    }

    /// The construct with that stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|construct| construct.as_str() == name)
    }
}

impl fmt::Display for Construct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
