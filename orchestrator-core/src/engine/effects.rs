//! Effects: what is done outside once the events behind it are durable.

use super::{
    attempt::{Plan, Worker},
    children::{self, Ward},
    desk::{Desk, Stop},
    driver::{Driver, Input, RIDDLES, Supervised},
    evaluate::Riddle,
    gate::Counted,
    host::{Host, Questions, Turns},
    journal::Journal,
    schema::Schema,
    seat::Seat,
    work,
};
use crate::{
    agent::AgentSpec,
    command::{AttemptKey, Command},
    effect::Effect,
    error::{ErrorClass, Failure},
    expr,
    id::{AgentName, ProviderName, RunId, TaskName},
    policy::{NoProgress, ProgressPolicy},
    port::{Agent, Signal, StoreError},
    run::RunStatus,
    schedule::GroupClaim,
};
use serde_json::Map;
use std::sync::{Arc, Mutex, OnceLock};
use tracing::Instrument;

impl Driver {
    pub(super) fn perform(&mut self) {
        for effect in self.run.take_effects() {
            match effect {
                Effect::StartAttempt { attempt, place, agent } => {
                    self.start(attempt, place, &agent);
                }
                Effect::StopAttempt { attempt } => {
                    if let Some(running) = self.attempts.get(&attempt) {
                        running.desk.stop(match self.run.status() {
                            RunStatus::Paused => Stop::Pause,
                            _ => Stop::Now,
                        });
                    }
                }
                Effect::LeaveWorkspace { attempt, place } => {
                    if let Some(leaving) = work::Leaving::new(&self.run, &attempt, place)
                        && let Some(workspaces) = self.shared.workspaces.clone()
                    {
                        let shared = self.shared.clone();
                        self.aside(async move { Ok(leaving.leave(&shared, &*workspaces).await) });
                    }
                }
                Effect::AnswerAttempt { attempt, question, reply } => {
                    if let Some(running) = self.attempts.get(&attempt) {
                        running.desk.answer(question, reply);
                    }
                }
                Effect::SteerAttempt { attempt, message } => {
                    if let Some(running) = self.attempts.get(&attempt) {
                        running.desk.steer(message);
                    }
                }
                Effect::AttendChild { attempt, place, child, takes_over } => {
                    let ward = Ward { attempt, place, child, takes_over };
                    self.attend(&ward);
                    if !self.wards.iter().any(|known| known.child == ward.child) {
                        self.wards.push(ward);
                    }
                    self.expect_children();
                }
                Effect::Send { run, signal } => self.send(run, signal),
                Effect::Evaluate { place, question } => {
                    self.riddles.push_back((place, question));
                    self.solve();
                }
                Effect::StartChain { run, workflow, with, task } => {
                    let chain = children::Chain::new(&self.run, run, workflow, with, task);
                    let shared = self.shared.clone();
                    self.aside(async move { chain.start(&shared).await });
                }
            }
        }
    }

    /// Does something beside the loop; the commands that follow come back as an input.
    pub(super) fn aside(
        &mut self,
        work: impl Future<Output = Result<Vec<Command>, StoreError>> + Send + 'static,
    ) {
        self.pending += 1;
        let inbox = self.inbox.clone();
        self.aside.spawn(async move {
            let _ = inbox.send(Input::Done(Box::new(work.await)));
        });
    }

    /// Finds out what is to be found out, some of it at a time.
    pub(super) fn solve(&mut self) {
        while self.solving < RIDDLES
            && let Some((place, question)) = self.riddles.pop_front()
        {
            let riddle = Riddle::new(&self.run, place, question);
            let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
            self.solving += 1;
            self.pending += 1;
            self.aside.spawn(async move {
                let _ = inbox.send(Input::Solved(Box::new(riddle.solve(&shared).await)));
            });
        }
    }

    /// Brings a child up, or looks what has become of it.
    pub(super) fn attend(&mut self, ward: &Ward) {
        let errand = children::Errand::new(&self.run, ward);
        let shared = self.shared.clone();
        let (inbox, child) = (self.inbox.clone(), ward.child.clone());
        self.withheld.entry(child.clone()).or_default();
        self.aside(async move {
            let outcome = errand.attend(&shared).await;
            let _ = inbox.send(Input::BroughtUp(child));
            outcome
        });
    }

    /// Looks at the children again whose ends nobody here will tell.
    pub(super) fn look_again(&mut self) {
        let elsewhere: Vec<Ward> = self
            .wards
            .iter()
            .filter(|ward| !self.shared.runs.contains(&ward.child))
            .filter(|ward| !self.withheld.contains_key(&ward.child))
            .cloned()
            .collect();
        for ward in elsewhere {
            self.attend(&ward);
        }
    }

    /// Sends what was withheld from a child until it exists.
    pub(super) fn brought_up(&mut self, child: &RunId) {
        for signal in self.withheld.remove(child).unwrap_or_default() {
            self.send(child.clone(), signal);
        }
    }

    fn send(&mut self, run: RunId, signal: Signal) {
        if let Some(withheld) = self.withheld.get_mut(&run) {
            withheld.push(signal);
            return;
        }
        let shared = self.shared.clone();
        self.aside(async move { children::send(&shared, &run, signal).await });
    }

    /// Who an attempt at `place` counts for.
    pub(super) fn counted(&self, place: usize, task: &TaskName, agent: &AgentName) -> Counted {
        let created = self.run.created();
        let group = self.group(place).map(|group| {
            let (project, run) = (created.project.clone(), created.run.clone());
            (GroupClaim { project, group, run, task: task.clone() }, self.epoch)
        });
        Counted {
            project: created.project.clone(),
            agent: agent.clone(),
            provider: self.provider(agent),
            group,
        }
    }

    /// The concurrency group of the task at `place`, filled in.
    fn group(&self, place: usize) -> Option<String> {
        let group = self.run.spec(place).concurrency_group.as_deref()?;
        if !group.contains("{{") {
            return Some(group.to_owned());
        }
        let scope = expr::scope((*self.run.created().inputs).clone(), Map::new());
        expr::fill(group, &scope).ok()
    }

    /// What the agent of that name runs on.
    pub(super) fn provider(&self, agent: &AgentName) -> ProviderName {
        match self.run.agent_spec(agent) {
            Some(spec) => spec.provider.clone(),
            None => ProviderName::of(agent),
        }
    }

    /// The agent of that name: as it was when the run began, whatever the configuration says by now.
    fn agent(&mut self, name: &AgentName) -> Option<(Arc<AgentSpec>, Arc<dyn Agent>)> {
        if let Some(known) = self.agents.get(name) {
            return Some(known.clone());
        }
        let (spec, agent) = self.shared.agents.get(name)?.clone();
        let spec = self.run.agent_spec(name).cloned().map_or(spec, Arc::new);
        self.agents.insert(name.clone(), (spec.clone(), agent.clone()));
        Some((spec, agent))
    }

    /// Who judges what `worker` makes of the task at `place`: somebody else, where there is one.
    fn judge(&mut self, place: usize, worker: &AgentName) -> Option<Worker> {
        let judges = self.run.judges_for(place);
        let other = judges.iter().find(|name| *name != worker).or(judges.first())?.clone();
        self.agent(&other)
    }

    /// The schema of the task at `place`; items of a list share one.
    fn schema(&mut self, place: usize) -> Option<Arc<Schema>> {
        let document = self.run.spec(place).output.as_ref()?;
        let group = self.run.task(place).and_then(|task| task.item_of());
        let Some((group, _)) = group else {
            return Some(Arc::new(Schema::new(document.clone())));
        };
        let schema = self.schemas.entry(group);
        Some(schema.or_insert_with(|| Arc::new(Schema::new(document.clone()))).clone())
    }

    fn start(&mut self, key: AttemptKey, place: usize, name: &AgentName) {
        if self.attempts.contains_key(&key) {
            return;
        }
        let counted = self.counted(place, &key.task, name);
        let Some((spec, agent)) = self.agent(name) else {
            self.shared.attempt_ended(self.run.id(), &counted, None);
            let message = format!("the agent `{name}` is not set up");
            let failure = Failure::new(ErrorClass::InvalidRequest, message);
            self.orders.push(Command::FailAttempt { attempt: key, failure }.into());
            return;
        };
        let desk = Arc::new(Desk::default());
        let mut briefing = self.run.briefing(place);
        let journal = Journal::new(std::mem::take(&mut briefing.journal));
        for message in std::mem::take(&mut briefing.messages) {
            desk.steer(message);
        }
        let questions = Questions {
            answers: std::mem::take(&mut briefing.answers),
            open: std::mem::take(&mut briefing.open),
            last: briefing.questions,
        };
        let created = self.run.created();
        let host = Host {
            shared: self.shared.clone(),
            run: created.run.clone(),
            project: created.project.clone(),
            workflow: created.workflow.name.clone(),
            key: key.clone(),
            desk: desk.clone(),
            inbox: self.inbox.clone(),
            turns: Mutex::new(Turns {
                journal,
                questions,
                progress: NoProgress::new(ProgressPolicy::default()),
                stuck: None,
            }),
            checkpoints: OnceLock::new(),
            agent: spec.clone(),
            directory: OnceLock::new(),
        };
        let span = tracing::info_span!(
            "attempt", task = %key.task, attempt = %key.attempt, agent = %name,
            provider = %spec.provider, model = spec.model.as_deref(),
        );
        let schema = self.schema(place);
        let judge = self.judge(place, name);
        let plan = Plan::new(&self.run, key.clone(), place, briefing, schema, (spec, agent), judge);
        let inbox = self.inbox.clone();
        let work = async move {
            let input = match plan.perform(host).await {
                Ok(ended) => Input::Ended(Box::new(ended)),
                Err(error) => Input::Unkept(Box::new(error)),
            };
            // A driver that is gone has written what it could.
            let _ = inbox.send(input);
        };
        let task = match span.is_disabled() {
            true => tokio::spawn(work),
            false => tokio::spawn(work.instrument(span)),
        };
        let seat = Seat::Agent;
        self.attempts.insert(key, Supervised { desk, task: task.abort_handle(), counted, seat });
    }
}
