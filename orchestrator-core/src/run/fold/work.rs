//! How what an attempt makes in a place of its own, and what becomes of that, changes its task.

use super::super::{
    Run,
    state::{Done, WorkState},
};
use crate::{
    error::ErrorClass,
    event::Event,
    port::{Feedback, Start},
    task::TaskKind,
    time::Timestamp,
    usage::{Spend, Usage},
    workspace::{LandMode, WorkFacts},
};
use std::sync::Arc;

/// Who says that work does not go together with a branch.
const LANDING: &str = "landing";

impl Run {
    pub(super) fn apply_to_work(&mut self, event: &Event, at: Timestamp) -> Result<(), String> {
        match event {
            Event::WorkspaceOpened { task, attempt, opened } => {
                let place = self.under_attempt(task, *attempt)?;
                let work = self.tasks[place].work_mut();
                work.opened = Some(Arc::new((**opened).clone()));
                (work.is_open, work.since) = (true, at);
            }
            Event::CheckpointMade { task, attempt, checkpoint } => {
                let place = self.under_attempt(task, *attempt)?;
                let work = self.tasks[place].work_mut();
                (work.checkpoint, work.since) = (Some(checkpoint.commit.clone()), at);
            }
            Event::WorkRecorded { task, attempt, output, spend, artifacts, work } => {
                let place = self.under_attempt(task, *attempt)?;
                if self.tasks[place].is_done() {
                    return Err(format!("the work of `{task}` is recorded already"));
                }
                self.spent_beside(place, spend, at);
                let state = self.tasks[place].work_mut();
                state.done = Some(Done { output: output.clone(), artifacts: artifacts.clone() });
                state.facts = Some(WorkFacts::new((**work).clone()));
                (state.refused, state.since) = (None, at);
                self.changed.note(place);
            }
            Event::EvidenceRecorded { task, attempt, evidence, spend } => {
                let place = self.under_attempt(task, *attempt)?;
                let done = self.tasks[place].is_done();
                let state = self.tasks[place].work_mut();
                match &mut state.facts {
                    Some(facts) if done && facts.work.commit == evidence.commit => {
                        facts.evidence = Some((**evidence).clone());
                    }
                    _ => return Err(format!("`{task}` has not made what was checked")),
                }
                state.since = at;
                self.spent_beside(place, spend, at);
                self.changed.note(place);
            }
            Event::WorkLanded { task, attempt, landed } => {
                let place = self.under_attempt(task, *attempt)?;
                let done = self.tasks[place].is_done();
                let state = self.tasks[place].work_mut();
                let facts = state.facts.as_mut().filter(|_| done);
                facts.ok_or_else(|| format!("`{task}` has made nothing that could land"))?.landed =
                    Some((**landed).clone());
                state.since = at;
                self.changed.note(place);
            }
            Event::PullRequestOpened { task, attempt, request } => {
                let place = self.under_attempt(task, *attempt)?;
                let done = self.tasks[place].is_done();
                let state = self.tasks[place].work_mut();
                let facts = state.facts.as_mut().filter(|_| done);
                let facts = facts.ok_or_else(|| format!("`{task}` has made nothing to ask for"))?;
                facts.requested = Some((**request).clone());
                state.since = at;
                self.changed.note(place);
            }
            Event::LandingRefused { task, attempt, refusal } => {
                let place = self.under_attempt(task, *attempt)?;
                let more = self.tasks[place].more_mut();
                let message = refusal.message.clone();
                more.feedback.push(Feedback { from: LANDING.to_owned(), message });
                let state = more.work.get_or_insert_default();
                (state.refused, state.since) = (Some((**refusal).clone()), at);
                self.changed.note(place);
            }
            _ => return Err("that is no event of an attempt's work".into()),
        }
        self.note_running(place_of(self, event)?);
        Ok(())
    }

    /// What the attempt under way has spent besides its turns.
    fn spent_beside(&mut self, place: usize, spend: &[Spend], at: Timestamp) {
        if spend.is_empty() {
            return;
        }
        let usage: Usage = spend.iter().map(|line| line.usage).sum();
        self.usage += usage;
        spend.iter().for_each(|line| self.cost.add(line));
        let name = self.name(place);
        let state = &mut self.tasks[place];
        state.usage += usage;
        spend.iter().for_each(|line| state.cost.add(line));
        let Some(current) = &mut state.current else { return };
        current.usage += usage;
        spend.iter().for_each(|line| current.cost.add(line));
        let (attempt, agent) = (current.attempt, current.agent.clone());
        self.note_spend(&name, attempt, &agent, spend, at);
    }

    /// An attempt with a place of its own has failed: whether the next goes on there, with what is
    /// recorded, or from where it begins.
    pub(super) fn work_failed(&mut self, place: usize, class: ErrorClass, switches: bool) {
        // A program does the same again; only on other ground may something else come of it.
        let is_program = matches!(self.spec(place).kind, TaskKind::Command { .. });
        let work = self.tasks[place].work_mut();
        if class != ErrorClass::CheckFailed {
            let anew = switches || is_program && class == ErrorClass::ToolFailed;
            work.is_open &= work.done.is_some() || !anew;
            return;
        }
        work.is_open = false;
        if work.done.take().is_none() {
            return;
        }
        work.begin = match (&work.facts, &work.refused) {
            (Some(_), _) if is_program => Start::Tip,
            (Some(facts), Some(refusal)) => {
                Start::Onto { tip: refusal.tip.clone(), commit: facts.work.commit.clone() }
            }
            (Some(WorkFacts { work, .. }), None) => {
                Start::Mend { base: work.base.clone(), commit: work.commit.clone() }
            }
            (None, _) => Start::Tip,
        };
    }

    /// The task at `place` is to be done again: from what it had made, where that is.
    pub(super) fn work_reopened(&mut self, place: usize) {
        if self.tasks[place].work().is_none() {
            return;
        }
        let to_result = self
            .spec(place)
            .landing()
            .is_some_and(|land| land.mode == LandMode::Branch && land.target.is_none());
        let work = self.tasks[place].work_mut();
        work.begin = match work.facts.take() {
            // The result branch has it, and perhaps more by now.
            Some(WorkFacts { landed: Some(_), .. }) if to_result => Start::Tip,
            Some(WorkFacts { landed: Some(landed), .. }) => {
                Start::Mend { base: landed.commit.clone(), commit: landed.commit }
            }
            Some(WorkFacts { work, .. }) => Start::Mend { base: work.base, commit: work.commit },
            None => Start::Tip,
        };
        (work.refused, work.done, work.is_open) = (None, None, false);
    }
}

impl WorkState {
    /// The attempt has ended with what it has made.
    pub(super) fn succeeded(&mut self) {
        self.done = None;
        self.refused = None;
        self.is_open = false;
    }
}

fn place_of(run: &Run, event: &Event) -> Result<usize, String> {
    event.task().map_or(Err("that is no event of a task".into()), |task| run.find(task))
}
