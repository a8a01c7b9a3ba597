//! People: they answer, refuse, pause, resume, cancel and kill, at random times, and in the end they
//! answer everything.

use super::{Construct, Rng, life::is_planned, world::World};
use orchestrator_core::{
    error::ErrorClass,
    event::{Ask, AskKind, Reply, Verdict},
    id::RunId,
    port::{Catalog, Page, Signal, Store, TaskFilter, TaskRow},
    run::RunStatus,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long before a question expires it is not answered any more by those who help.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// Those who have a say in the runs of a simulation.
pub(super) struct People {
    pub(super) world: Arc<World>,
    pub(super) rng: Rng,
    pub(super) without: BTreeSet<Construct>,
    /// What is sent to the run of a source once, as soon as a task has begun.
    pub(super) acts: Vec<(String, String, Signal)>,
}

impl People {
    /// Acts now and then; never ends.
    pub(super) async fn live(&mut self, calm: impl Fn() -> bool) {
        loop {
            let pause =
                if calm() { Duration::from_millis(700) } else { self.rng.pause(200, 9_000) };
            tokio::time::sleep(pause).await;
            let open: Vec<RunId> =
                self.world.runs().into_iter().filter(|(_, ended)| !ended).map(|r| r.0).collect();
            for run in open {
                if calm() {
                    self.settle(&run).await;
                } else {
                    self.meddle(&run).await;
                }
            }
        }
    }

    async fn tasks(&self, run: &RunId) -> Vec<TaskRow> {
        let filter = TaskFilter { run: Some(run.clone()), ..TaskFilter::default() };
        let page = Page { limit: 10_000, cursor: None };
        self.world.store.tasks(&filter, &page).await.map(|list| list.items).unwrap_or_default()
    }

    async fn status(&self, run: &RunId) -> Option<RunStatus> {
        self.world.store.run(run).await.ok().flatten().map(|row| row.status)
    }

    async fn send(&self, run: &RunId, signal: Signal) {
        self.world.note(format_args!("somebody says to {run}: {signal:?}"));
        let now = self.world.clock.reading();
        if let Err(error) = self.world.store.signal(run, signal, now).await {
            self.world.broken(format!("a signal to run {run} was refused: {error}"));
        }
    }

    /// Sees to it that the run can end: goes on with it, and says yes to whatever it asks.
    async fn settle(&mut self, run: &RunId) {
        if self.acts(run).await {
            return;
        }
        if self.status(run).await == Some(RunStatus::Paused) {
            self.send(run, Signal::Resume {}).await;
        }
        for task in self.tasks(run).await {
            for ask in task.asks() {
                let now = self.world.clock.reading();
                if ask.expires.is_some_and(|at| at.since(now) < LAST_MOMENT) {
                    // Whether an answer at the last moment counts is nothing to build upon.
                    continue;
                }
                let verdict = match ask.kind {
                    AskKind::Approval | AskKind::Outcome | AskKind::Permission => Verdict::Approved,
                    AskKind::Question => Verdict::Answered("the first".into()),
                    AskKind::Failure => failed(&task),
                };
                self.reply(run, &task, ask, verdict).await;
            }
        }
    }

    /// Does what is due; whether anything was.
    async fn acts(&mut self, run: &RunId) -> bool {
        let tasks = if self.acts.is_empty() { Vec::new() } else { self.tasks(run).await };
        let due = self.acts.iter().position(|(source, task, _)| {
            let begun = |row: &TaskRow| row.name.as_str() == task && row.started_at.is_some();
            is_planned(&self.world, source, run) && tasks.iter().any(begun)
        });
        let Some(due) = due else { return false };
        let (_, _, signal) = self.acts.remove(due);
        self.send(run, signal).await;
        true
    }

    async fn reply(&self, run: &RunId, task: &TaskRow, ask: &Ask, verdict: Verdict) {
        let reply = Reply::new(verdict, "somebody").to(ask.question);
        self.send(run, Signal::Reply { task: task.name.clone(), reply }).await;
    }

    /// Does something to the run, or nothing.
    async fn meddle(&mut self, run: &RunId) {
        for task in self.tasks(run).await {
            let asks: Vec<&Ask> = task.asks().collect();
            if asks.is_empty() || !self.rng.chance(500) {
                continue;
            }
            let ask = *self.rng.pick(&asks);
            let verdict = match self.rng.below(4) {
                // An account that stays refused would hold all others up for good.
                _ if is_refused(&task) => Verdict::Approved,
                0 => Verdict::Rejected("not so".into()),
                1 => Verdict::Answered("the second".into()),
                _ => Verdict::Approved,
            };
            self.reply(run, &task, ask, verdict).await;
        }
        let paused = self.status(run).await == Some(RunStatus::Paused);
        let may = |construct| !self.without.contains(&construct);
        match self.rng.below(60) {
            0 if may(Construct::Cancels) => {
                self.send(run, Signal::Cancel { reason: "changed their mind".into() }).await;
            }
            1..=4 if may(Construct::Pauses) => {
                let now = self.rng.chance(400);
                self.send(run, Signal::Pause { now }).await;
            }
            // Also where nothing is paused: a signal without an effect must do no harm.
            5 if may(Construct::Pauses) => self.send(run, Signal::Resume {}).await,
            6..=35 if paused => self.send(run, Signal::Resume {}).await,
            36 | 37 if may(Construct::Kills) => {
                let tasks = self.tasks(run).await;
                if !tasks.is_empty() {
                    let task = self.rng.pick(&tasks).name.clone();
                    self.send(run, Signal::Kill { task, reason: "not that one".into() }).await;
                }
            }
            38..=49 if may(Construct::Messages) => self.tell(run).await,
            _ => {}
        }
    }

    /// Sends something to an agent at work, if one is.
    async fn tell(&mut self, run: &RunId) {
        let at_work = |task: &TaskRow| task.started_at.is_some() && task.ended_at.is_none();
        let tasks: Vec<TaskRow> = self.tasks(run).await.into_iter().filter(at_work).collect();
        if tasks.is_empty() {
            return;
        }
        let task = self.rng.pick(&tasks).name.clone();
        let text = format!("note {}", self.rng.below(1_000));
        let signal = match self.rng.below(3) {
            0 => Signal::Interrupt { task, text: None },
            1 => Signal::Interrupt { task, text: Some(text) },
            _ => Signal::Say { task, text },
        };
        self.send(run, signal).await;
    }
}

/// Whether the task asks because its agent's account was refused.
fn is_refused(task: &TaskRow) -> bool {
    task.error.as_ref().is_some_and(|error| error.class == ErrorClass::Auth)
}

/// What people say in the end to a task that has failed.
fn failed(task: &TaskRow) -> Verdict {
    if is_refused(task) { Verdict::Approved } else { Verdict::Rejected("it is late".into()) }
}
