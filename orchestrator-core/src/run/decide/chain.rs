//! `then`: other workflows that are started when a task or the run has ended.

use super::{super::Run, Deciding};
use crate::{
    command::Rejected,
    effect::Effect,
    error::Failure,
    event::Event,
    id::RunId,
    run::RunStatus,
    task::{TaskStatus, Then, ThenOn},
};

impl Run {
    /// Plans what follows the end of the task at `place`, or of the run.
    pub(super) fn plan_chains(&mut self, place: Option<usize>, to: &mut Deciding<'_>) {
        if self.chains.iter().any(|chain| chain.task == place) {
            // A task that a revision opened again is followed once.
            return;
        }
        let succeeded = match place {
            None => self.verdict() == RunStatus::Succeeded,
            Some(place) => match self.tasks[place].status {
                TaskStatus::Succeeded => true,
                TaskStatus::Failed => false,
                _ => return,
            },
        };
        let follows = |then: &Then| match then.on {
            ThenOn::Success => succeeded,
            ThenOn::Failure => !succeeded,
            ThenOn::Always => true,
        };
        let thens = self.thens(place);
        let chosen: Vec<u32> =
            (0..).zip(thens).filter(|(_, then)| follows(then)).map(|(index, _)| index).collect();
        for index in chosen {
            let salt = (u64::from(index) << 32) | place.map_or(0xffff_ffff, |place| place as u64);
            let run = RunId::of(to.now, to.chance(salt));
            let task = place.map(|place| self.name(place));
            self.record(to, Event::ChainPlanned { task, index, run: run.clone() });
            self.start_chain(self.chains.len() - 1);
        }
    }

    fn thens(&self, place: Option<usize>) -> &[Then] {
        match place {
            None => &self.created.workflow.then,
            Some(place) => &self.spec(place).then,
        }
    }

    /// Asks the engine for a run that is planned.
    fn start_chain(&mut self, at: usize) {
        let chain = &self.chains[at];
        let Some(then) = self.thens(chain.task).get(chain.index as usize) else {
            return;
        };
        let effect = Effect::StartChain {
            run: chain.run.clone(),
            workflow: then.workflow.clone(),
            with: then.with.clone(),
            task: chain.task.map(|place| self.name(place)),
        };
        self.effects.push(effect);
    }

    /// Asks the engine again for every run that is planned and not known to exist.
    pub(super) fn start_chains_again(&mut self) {
        for at in 0..self.chains.len() {
            if !self.chains[at].started {
                self.start_chain(at);
            }
        }
    }

    /// The planned run exists, or cannot be started.
    pub(super) fn end_chain(
        &mut self,
        run: RunId,
        failure: Option<Failure>,
        to: &mut Deciding<'_>,
    ) -> Result<(), Rejected> {
        if !self.chains.iter().any(|chain| chain.run == run && !chain.started) {
            return Err(Rejected::Late);
        }
        self.record(to, Event::ChainStarted { run, failure });
        Ok(())
    }
}
