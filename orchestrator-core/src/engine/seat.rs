//! The place that an attempt has among those that limits allow: its agent's while that works, then,
//! where its work is judged, the judge's.
//!
//! Nobody has a place while waiting for another: the agent's is given up before the judge's is asked
//! for. So a limit of one attempt at once is no dead end, whoever judges.

use super::{
    attempt::Provider,
    driver::{Driver, Supervised},
    gate::{Counted, Pass},
    host::{Host, stopped},
};
use crate::{
    command::{AttemptKey, Command},
    error::{ErrorClass, Failure},
    id::{AgentName, ProviderName, RunId},
    port::{LogLine, LogStream},
    schedule::{Gate as _, HeldUp, Want, urgency},
    task::Priority,
};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Whose place an attempt has.
#[derive(Debug, Clone)]
pub(super) enum Seat {
    /// Its agent's.
    Agent,
    /// Nobody's: its agent is done, and its judge waits or is done.
    Nobody,
    /// Its judge's.
    Judge(Counted),
}

/// A judge that is to be asked once there is a place for it.
#[derive(Debug)]
pub(super) struct Summons {
    attempt: AttemptKey,
    agent: AgentName,
    on: ProviderName,
    urgency: i128,
    /// How the provider of the attempt's agent did.
    worker: Provider,
    told: oneshot::Sender<()>,
    /// What holds it up, as it was said last.
    said: Option<HeldUp>,
}

impl Host {
    /// Gives the place of the attempt's agent up and waits for one of the judge `agent`, which runs on
    /// `on`. To be given back by [`Host::judged`]; the end of the attempt does so too.
    ///
    /// # Errors
    /// `cancelled` when the attempt must stop.
    pub(super) async fn summon(
        &self,
        (agent, on): (AgentName, ProviderName),
        worker: Provider,
        priority: Priority,
    ) -> Result<(), Failure> {
        let (told, seated) = oneshot::channel();
        let urgency = urgency(priority, self.shared.clock.now());
        let attempt = self.key.clone();
        let summons = Summons { attempt, agent, on, urgency, worker, told, said: None };
        // Without a driver the other end is dropped with the input, which the wait notices.
        let _ = self.inbox.send(super::driver::Input::Summons(Box::new(summons)));
        tokio::select! {
            biased;
            () = self.desk.stopped() => Err(stopped()),
            seated = seated => seated.map_err(|_| stopped()),
        }
    }

    /// The judge has answered, or failed so.
    pub(super) fn judged(&self, outcome: Result<(), ErrorClass>) {
        let judged = super::driver::Input::Judged(Box::new((self.key.clone(), outcome)));
        let _ = self.inbox.send(judged);
    }
}

/// How a provider did that the limits are to hear of.
fn outcome(provider: Provider) -> Option<Result<(), ErrorClass>> {
    match provider {
        Provider::Answered => Some(Ok(())),
        // It goes on, so nothing has failed; whether it was asked is not known.
        Provider::AsTheAttempt | Provider::NotAsked => None,
    }
}

impl Driver {
    /// A judge is wanted for an attempt whose agent is done.
    pub(super) fn take_summons(&mut self, summons: Summons) {
        let Some(supervised) = self.attempts.get_mut(&summons.attempt) else { return };
        if matches!(supervised.seat, Seat::Agent) {
            supervised.seat = Seat::Nobody;
            self.shared.left(self.run.id(), &supervised.counted, outcome(summons.worker));
        }
        self.summons.push(summons);
        // What was held up is asked for with the next decision.
        self.orders.push(Command::Tick.into());
    }

    /// A judge has ended.
    pub(super) fn take_judged(&mut self, attempt: &AttemptKey, ended: Result<(), ErrorClass>) {
        let Some(supervised) = self.attempts.get_mut(attempt) else { return };
        if let Seat::Judge(counted) = std::mem::replace(&mut supervised.seat, Seat::Nobody) {
            self.shared.left(self.run.id(), &counted, Some(ended));
        }
    }

    /// The attempt has ended: whatever place it has is given back, and its group.
    pub(super) fn leave_seat(
        &self,
        supervised: &mut Supervised,
        ended: Option<Result<(), ErrorClass>>,
    ) {
        let run = self.run.id();
        match std::mem::replace(&mut supervised.seat, Seat::Nobody) {
            Seat::Agent => self.shared.left(run, &supervised.counted, ended),
            Seat::Nobody => {}
            // It was stopped in the middle, which says nothing of its provider.
            Seat::Judge(counted) => {
                self.shared.left(run, &counted, Some(Err(ErrorClass::Cancelled)))
            }
        }
        self.shared.group_ended(&supervised.counted);
    }
}

/// Lets judges in for whom there is a place; gives those places back for which nobody waits any more.
pub(super) fn admit(
    summons: &mut Vec<Summons>,
    attempts: &mut BTreeMap<AttemptKey, Supervised>,
    run: &RunId,
    pass: &mut Pass<'_>,
) -> Vec<Counted> {
    let mut unwanted = Vec::new();
    for mut one in std::mem::take(summons) {
        let Some(supervised) = attempts.get_mut(&one.attempt).filter(|_| !one.told.is_closed())
        else {
            continue;
        };
        let project = supervised.counted.project.clone();
        let want = Want {
            project: &project,
            run,
            task: &one.attempt.task,
            agent: &one.agent,
            provider: &one.on,
            group: None,
            urgency: one.urgency,
        };
        if let Err(held_up) = pass.admit(&want) {
            if one.said.as_ref() != Some(&held_up) {
                let text = format!("the judge `{}` has to wait: {held_up}", one.agent);
                supervised.desk.say(LogLine { stream: LogStream::Note, text });
                one.said = Some(held_up);
            }
            summons.push(one);
            continue;
        }
        let counted = Counted { project, agent: one.agent, provider: one.on, group: None };
        match one.told.send(()) {
            Ok(()) => supervised.seat = Seat::Judge(counted),
            Err(()) => unwanted.push(counted),
        }
    }
    unwanted
}
