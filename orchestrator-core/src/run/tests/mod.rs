//! A run driven by hand.

mod basics;
mod carry;
mod constructs;
mod control;
mod people;
mod random;
mod why;

use super::*;
use crate::{
    agent::{AgentSpec, Role},
    command::{AttemptKey, Command, Moment, Rejected},
    error::{ErrorClass, Failure},
    event::{Content, Event, Reply, SkipReason, Verdict},
    id::{AgentName, ProviderName, RunId},
    port::Signal,
    schedule::Open,
    task::Binding,
    workflow::Workflow,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A run that is driven by hand, with its log.
pub(super) struct Driven {
    run: Run,
    log: Vec<crate::event::Recorded>,
    now: u64,
    started: Vec<AttemptKey>,
    stopped: Vec<String>,
    asked: Vec<Effect>,
}

impl Driven {
    pub(super) fn new(tasks: Value) -> Self {
        Self::with(json!({ "name": "w", "tasks": tasks, "max-parallel": 2 }), &["one", "two"])
    }

    pub(super) fn with(document: Value, agents: &[&str]) -> Self {
        let workflow = Arc::new(Workflow::parse(&document).unwrap());
        let agents: Vec<AgentName> = agents.iter().map(|a| AgentName::new(a).unwrap()).collect();
        let bindings = workflow
            .tasks
            .iter()
            .map(|task| Binding {
                task: task.name.clone(),
                agents: agents.clone(),
                undo: agents.clone(),
                judges: agents.clone(),
            })
            .collect();
        let provider = ProviderName::new("test").unwrap();
        let specs = agents
            .iter()
            .map(|name| AgentSpec {
                steerable: name.as_str() == "listens",
                ..AgentSpec::new(name.clone(), Role::Dev, provider.clone())
            })
            .collect();
        let (run, log) = Run::create(
            RunId::new("r_1").unwrap(),
            StartRun::new(workflow),
            bindings,
            specs,
            Moment { now: Timestamp(1_000), draw: 0 },
            &mut Open,
        )
        .unwrap();
        let mut driven = Self {
            run,
            log,
            now: 1_000,
            started: Vec::new(),
            stopped: Vec::new(),
            asked: Vec::new(),
        };
        driven.collect();
        driven
    }

    pub(super) fn collect(&mut self) {
        for effect in self.run.take_effects() {
            match effect {
                Effect::StartAttempt { attempt, place, .. } => {
                    for need in self.run.graph().needs(place) {
                        let need = self.run.task(need).unwrap();
                        assert!(need.status().is_final(), "{} starts before a need", attempt.task);
                    }
                    self.started.push(attempt);
                }
                Effect::StopAttempt { attempt } => self.stopped.push(attempt.task.to_string()),
                other => self.asked.push(other),
            }
        }
        self.run.take_rows();
    }

    pub(super) fn tell(&mut self, command: Command) -> Result<(), Rejected> {
        self.now += 10;
        let moment = Moment { now: Timestamp(self.now), draw: u64::MAX };
        let events = self.run.handle(command, moment, &mut Open)?;
        self.log.extend(events);
        self.collect();
        Ok(())
    }

    /// Puts a signal into the inbox and takes it.
    pub(super) fn signal(&mut self, signal: Signal) {
        let number = self.run.signal() + 1;
        self.tell(Command::Signal { number, signal }).unwrap();
    }

    /// Says something to what `task` asks.
    pub(super) fn reply(&mut self, task: &str, verdict: Verdict) {
        let reply = Reply::new(verdict, "ann");
        self.signal(Signal::Reply { task: TaskName::new(task).unwrap(), reply });
    }

    /// Takes the attempt of `task` that was started and not yet answered.
    pub(super) fn attempt(&mut self, task: &str) -> AttemptKey {
        let place = self.started.iter().position(|key| key.task.as_str() == task);
        self.started.remove(place.unwrap_or_else(|| panic!("`{task}` was not started")))
    }

    pub(super) fn answer(&mut self, task: &str, output: Value) {
        let attempt = self.attempt(task);
        let (spend, artifacts) = (Vec::new(), Vec::new());
        let output = Content::Inline(output);
        self.tell(Command::FinishAttempt {
            attempt,
            output,
            spend,
            artifacts,
            cached: None,
            added: None,
        })
        .unwrap();
    }

    pub(super) fn fail(&mut self, task: &str, class: ErrorClass) {
        let attempt = self.attempt(task);
        let failure = Failure::new(class, "it broke");
        self.tell(Command::FailAttempt { attempt, failure }).unwrap();
    }

    /// Checks what is under way and how every task stands, as `name:status`.
    pub(super) fn check(&self, statuses: &str) {
        let found: Vec<String> =
            self.run.tasks().map(|t| format!("{}:{}", t.name(), t.status())).collect();
        assert_eq!(found.join(" "), statuses);
        self.check_replay();
    }

    /// Replaying the log gives the state that live has.
    pub(super) fn check_replay(&self) {
        let stored: Vec<crate::event::Recorded> = self
            .log
            .iter()
            .map(|r| serde_json::from_str(&serde_json::to_string(r).unwrap()).unwrap())
            .collect();
        assert_eq!(stored, self.log, "events survive storage");
        let again = Run::replay(&stored).unwrap();
        let (again_is, live_is) = (again.snapshot(), self.run.snapshot());
        if let Some((again, live)) = again_is.lines().zip(live_is.lines()).find(|(a, b)| a != b) {
            panic!("replay differs from live:\n{again}\n{live}");
        }
        assert_eq!(again.run_row(), self.run.run_row());
    }
}

pub(super) fn task(needs: &[&str]) -> Value {
    json!({ "agent": "x", "prompt": "x", "needs": needs, "retry": { "max-attempts": 2 } })
}
