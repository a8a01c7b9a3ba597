//! An agent whose words are rid of known secrets before anybody hears them.
//!
//! All that an attempt leaves in the log comes through the port of agents: its answer or failure on
//! one side, its host on the other. So this is where nothing can be forgotten.

use super::KnownSecrets;
use async_trait::async_trait;
use orchestrator_core::{
    error::Failure,
    id::TurnNumber,
    port::{Agent, Answer, Assignment, AttemptHost, Call, LogLine, Progress, Step},
    secret::Redactor,
    time::Timestamp,
    usage::Spend,
};
use serde_json::Value;
use std::{
    borrow::Cow,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

/// An agent, and the secrets that it must not let out.
pub(crate) struct Guarded {
    agent: Arc<dyn Agent>,
    known: KnownSecrets,
}

impl Guarded {
    /// `agent`, with whatever is known when an attempt begins kept in.
    pub(crate) fn new(agent: Arc<dyn Agent>, known: KnownSecrets) -> Self {
        Self { agent, known }
    }
}

#[async_trait]
impl Agent for Guarded {
    async fn perform(
        &self,
        assignment: &Assignment,
        host: &dyn AttemptHost,
    ) -> Result<Answer, Failure> {
        let redactor = self.known.redactor();
        if redactor.is_empty() {
            return self.agent.perform(assignment, host).await;
        }
        let guard = Guard { host, redactor: &redactor };
        let mut work = pin!(self.agent.perform(assignment, &guard));
        // A panic says something as well, and the engine records it.
        let ended = poll_fn(|context| {
            let poll = || work.as_mut().poll(context);
            catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| {
                let said = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned());
                match said {
                    Some(said) => resume_unwind(Box::new(redactor.text(&said).into_owned())),
                    None => resume_unwind(panic),
                }
            })
        })
        .await;
        match ended {
            Ok(answer) => Ok(clean(answer, &redactor)),
            Err(mut failure) => {
                hide(&mut failure.message, &redactor);
                Err(failure)
            }
        }
    }
}

fn clean(mut answer: Answer, redactor: &Redactor) -> Answer {
    redactor.value(&mut answer.output);
    if let Some(tasks) = &mut answer.tasks {
        redactor.value(tasks);
    }
    for artifact in &mut answer.artifacts {
        hide(&mut artifact.name, redactor);
        if let Cow::Owned(bytes) = redactor.bytes(&artifact.bytes) {
            artifact.bytes = bytes;
        }
    }
    answer
}

fn hide(text: &mut String, redactor: &Redactor) {
    if let Cow::Owned(hidden) = redactor.text(text) {
        *text = hidden;
    }
}

/// The engine's side of an attempt, with secrets kept from it.
struct Guard<'a> {
    host: &'a dyn AttemptHost,
    redactor: &'a Redactor,
}

#[async_trait]
impl AttemptHost for Guard<'_> {
    fn log(&self, mut line: LogLine) {
        hide(&mut line.text, self.redactor);
        self.host.log(line);
    }

    fn progress(&self, mut progress: Progress) {
        hide(&mut progress.doing, self.redactor);
        self.host.progress(progress);
    }

    async fn cancelled(&self) {
        self.host.cancelled().await;
    }

    async fn begin(&self, call: &Call) -> Result<Step, Failure> {
        self.host.begin(call).await
    }

    async fn finish(
        &self,
        turn: TurnNumber,
        call: &Call,
        mut output: Value,
        spend: Vec<Spend>,
    ) -> Result<bool, Failure> {
        self.redactor.value(&mut output);
        self.host.finish(turn, call, output, spend).await
    }

    async fn session(&self, session: &str) -> Result<(), Failure> {
        self.host.session(&self.redactor.text(session)).await
    }

    async fn ask(&self, message: &str, expires_in: Option<Duration>) -> Result<String, Failure> {
        self.host.ask(&self.redactor.text(message), expires_in).await
    }

    fn now(&self) -> Timestamp {
        self.host.now()
    }
}
