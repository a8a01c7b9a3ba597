//! What an agent does, as somebody who stands beside it sees it.

use super::{script::is_judge, world::World};
use crate::faults::{Fault, Op, Seam};
use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{AgentName, MessageNumber, RunId, TurnNumber},
    permission::Action,
    port::{
        Agent, Answer, Assignment, AttemptHost, Call, LogLine, Permit, Progress, RecordedTurn,
        Steer, Step,
    },
    time::Timestamp,
    usage::Spend,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// An agent whose calls pass a [`Seam`] and whose turns and company are counted by the [`World`].
pub(super) struct Witness {
    pub(super) inner: Arc<dyn Agent>,
    pub(super) world: Arc<World>,
    pub(super) seam: Seam,
}

/// Counts an attempt as at work until it is dropped.
struct AtWork<'w> {
    world: &'w World,
    agent: AgentName,
    run: RunId,
    group: Option<String>,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.world.leaves(&self.agent, &self.run, self.group.as_deref());
    }
}

fn failed(_: Fault) -> Failure {
    Failure::new(ErrorClass::Transient, "a fault was put in on purpose")
}

#[async_trait]
impl Agent for Witness {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        let about = format!("{}.{} #{} epoch {}", work.run, work.task, work.attempt, work.epoch);
        let act = async |_| {
            let group = self.world.enters(work);
            let at_work = AtWork {
                world: &self.world,
                agent: work.agent.name.clone(),
                run: work.run.clone(),
                group,
            };
            let watched = Watched {
                work,
                host,
                world: &self.world,
                seam: &self.seam,
                given: Mutex::default(),
            };
            let outcome = self.inner.perform(work, &watched).await;
            if outcome.is_ok() {
                self.world.writes(work);
            }
            drop(at_work);
            outcome
        };
        self.seam.pass(Op::Perform, &about, act, failed).await
    }

    fn steerable(&self) -> bool {
        self.inner.steerable()
    }
}

/// The host of an attempt, watched.
struct Watched<'a> {
    work: &'a Assignment,
    host: &'a dyn AttemptHost,
    world: &'a World,
    seam: &'a Seam,
    /// The messages that it was given.
    given: Mutex<BTreeSet<MessageNumber>>,
}

impl Watched<'_> {
    fn about(&self, what: &str) -> String {
        format!("{}.{} #{} {what}", self.work.run, self.work.task, self.work.attempt)
    }
}

#[async_trait]
impl AttemptHost for Watched<'_> {
    fn log(&self, line: LogLine) {
        if !self.seam.power().is_cut() {
            self.host.log(line);
        }
    }

    fn progress(&self, progress: Progress) {
        self.host.progress(progress);
    }

    async fn cancelled(&self) {
        self.host.cancelled().await;
        self.seam.power().hold().await;
    }

    async fn begin(&self, call: &Call) -> Result<Step, Failure> {
        let about = self.about(&call.input);
        let act = |_| self.host.begin(call);
        let step = self.seam.pass(Op::Begin, &about, act, failed).await?;
        // What a judge does is not in the journal, and done again when it is asked again.
        if let Step::Perform(turn) = &step
            && !is_judge(self.work)
        {
            self.world.performs(self.work, *turn, call);
        }
        Ok(step)
    }

    async fn finish(
        &self,
        turn: TurnNumber,
        call: &Call,
        output: Value,
        spend: Vec<Spend>,
    ) -> Result<bool, Failure> {
        let about = self.about(&call.input);
        let act = |_| self.host.finish(turn, call, output, spend);
        let kept = self.seam.pass(Op::Finish, &about, act, failed).await?;
        if kept {
            self.world.recorded(self.work, turn, call);
        }
        Ok(kept)
    }

    async fn session(&self, session: &str) -> Result<(), Failure> {
        let act = |_| self.host.session(session);
        self.seam.pass(Op::Session, &self.about(session), act, failed).await
    }

    async fn ask(&self, message: &str, expires_in: Option<Duration>) -> Result<String, Failure> {
        let act = |_| self.host.ask(message, expires_in);
        self.seam.pass(Op::Ask, &self.about(message), act, failed).await
    }

    async fn recorded(&self) -> Result<Vec<RecordedTurn>, Failure> {
        self.host.recorded().await
    }

    async fn permit_shown(
        &self,
        action: &Action,
        shown: &Action,
        expires_in: Option<Duration>,
    ) -> Result<Permit, Failure> {
        let act = |_| self.host.permit_shown(action, shown, expires_in);
        self.seam.pass(Op::Permit, &self.about(&action.headline()), act, failed).await
    }

    async fn steered(&self) -> Steer {
        let steer = self.host.steered().await;
        self.seam.power().hold().await;
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(steer.number());
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.world.steered(self.work, steer.number(), &given);
        steer
    }

    async fn delivered(&self, number: MessageNumber) -> Result<(), Failure> {
        let act = |_| self.host.delivered(number);
        let about = self.about(&format!("message {number}"));
        self.seam.pass(Op::Delivered, &about, act, failed).await?;
        self.world.delivered(self.work, number);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.host.now()
    }
}
