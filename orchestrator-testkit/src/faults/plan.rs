//! What can befall a call, and who decides it.

use async_trait::async_trait;
use orchestrator_core::{
    id::{Epoch, RunId},
    port::{Append, Lease, Signal},
};
use std::{fmt, time::Duration};

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Op {
    /// `Store::create`.
    Create,
    /// `Store::append`.
    Append,
    /// `Store::events`.
    Events,
    /// `Store::claim`.
    Claim,
    /// `Store::renew`.
    Renew,
    /// `Store::release`.
    Release,
    /// `Store::lease`.
    Lease,
    /// `Store::signal`.
    Signal,
    /// `Store::signals`.
    Signals,
    /// `Store::mail`.
    Mail,
    /// `Store::open_runs`.
    OpenRuns,
    /// `Store::hold`.
    Hold,
    /// `Store::unhold`.
    Unhold,
    /// `Store::cached`.
    Cached,
    /// `Blobs::put`.
    Put,
    /// `Blobs::get`.
    Get,
    /// `Agent::perform`.
    Perform,
    /// `AttemptHost::begin`, as the agent sees it.
    Begin,
    /// `AttemptHost::finish`, as the agent sees it.
    Finish,
    /// `AttemptHost::session`, as the agent sees it.
    Session,
    /// `AttemptHost::ask`, as the agent sees it.
    Ask,
    /// `AttemptHost::permit`, as the agent sees it.
    Permit,
    /// `AttemptHost::delivered`, as the agent sees it.
    Delivered,
}

impl Op {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Append => "append",
            Self::Events => "events",
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Release => "release",
            Self::Lease => "lease",
            Self::Signal => "signal",
            Self::Signals => "signals",
            Self::Mail => "mail",
            Self::OpenRuns => "open-runs",
            Self::Hold => "hold",
            Self::Unhold => "unhold",
            Self::Cached => "cached",
            Self::Put => "put",
            Self::Get => "get",
            Self::Perform => "perform",
            Self::Begin => "begin",
            Self::Finish => "finish",
            Self::Session => "session",
            Self::Ask => "ask",
            Self::Permit => "permit",
            Self::Delivered => "delivered",
        }
    }

    /// Whether it is a call of the store or the blobs, rather than of or by an agent.
    pub fn is_storage(self) -> bool {
        !matches!(
            self,
            Self::Perform
                | Self::Begin
                | Self::Finish
                | Self::Session
                | Self::Ask
                | Self::Permit
                | Self::Delivered
        )
    }

    /// Whether it changes what is stored, so that a failure after it makes a difference.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Append
                | Self::Claim
                | Self::Renew
                | Self::Release
                | Self::Signal
                | Self::Hold
                | Self::Unhold
                | Self::Put
        )
    }

    /// Whether it only looks whether there is something new, again and again while time passes.
    pub fn is_polling(self) -> bool {
        matches!(self, Self::Signals | Self::Mail | Self::Renew | Self::OpenRuns)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One call, before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Its place among all calls through the same seam, from 0.
    pub number: u64,
    /// What is called.
    pub op: Op,
    /// About what, in a few words.
    pub about: &'a str,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The storage does not answer.
    Unavailable,
    /// No space is left on the disk.
    Full,
    /// Somebody else wrote. Only an append can fail so; any other call is unavailable instead.
    Conflict,
}

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is made.
    Pass,
    /// It is made after a while.
    Delay(Duration),
    /// It is not made, and fails.
    FailBefore(Fault),
    /// It is made, and the caller is told that it failed.
    FailAfter(Fault),
    /// It is not made; the caller's process ends.
    CrashBefore,
    /// It is made; the caller's process ends before it knows.
    CrashAfter,
}

/// What a store has written.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Write<'a> {
    /// A run was created.
    Created {
        /// Its first events and rows.
        first: &'a Append,
        /// The lease that was given.
        lease: &'a Lease,
    },
    /// Events or rows were added.
    Appended(&'a Append),
    /// A lease was taken.
    Claimed {
        /// Of which run.
        run: &'a RunId,
        /// The lease.
        lease: &'a Lease,
    },
    /// A lease was given back.
    Released {
        /// Of which run.
        run: &'a RunId,
        /// The epoch that was named.
        epoch: Epoch,
    },
    /// A signal was put into an inbox.
    Signalled {
        /// Of which run.
        run: &'a RunId,
        /// The signal.
        signal: &'a Signal,
    },
}

/// Decides what befalls each call, and is told what came of it.
#[async_trait]
pub trait Plan: Send + Sync {
    /// What befalls `call`. Asked once a call, before it is made.
    fn fate(&self, call: &Call<'_>) -> Fate;

    /// `write` is in the store now. `told` says whether the writer will hear of it.
    async fn written(&self, write: Write<'_>, told: bool) {
        let _ = (write, told);
    }

    /// The caller of `call` is given `outcome`: `ok`, or the failure in words.
    fn answered(&self, call: &Call<'_>, outcome: &str) {
        let _ = (call, outcome);
    }
}
