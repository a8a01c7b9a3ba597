//! The engine's side of a running attempt: its log, its progress, its turns, its order to stop.

use super::{Shared, checkpoint::Checkpoints, desk::Desk, driver::Input, journal::Journal};
use crate::{
    agent::AgentSpec,
    command::{AttemptKey, Command},
    error::{ErrorClass, Failure},
    event::{Content, Turn},
    id::{MessageNumber, ProjectId, QuestionNumber, RunId, TurnNumber, WorkflowName},
    permission::Action,
    policy::NoProgress,
    port::{AttemptHost, Call, LogLine, Permit, Progress, RecordedTurn, Steer, Step},
    run::Answered,
    time::Timestamp,
    usage::{Cost, Spend},
};
use async_trait::async_trait;
use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Shared between the attempt, which writes, and the driver, which makes it durable.
pub(super) struct Host {
    pub(super) shared: Arc<Shared>,
    pub(super) run: RunId,
    pub(super) project: ProjectId,
    pub(super) workflow: WorkflowName,
    pub(super) key: AttemptKey,
    pub(super) desk: Arc<Desk>,
    pub(super) inbox: mpsc::UnboundedSender<Input>,
    pub(super) turns: Mutex<Turns>,
    /// Where it records the states of its place, once it has one that is recorded.
    pub(super) checkpoints: OnceLock<Checkpoints>,
    /// Who works, and what they may do.
    pub(super) agent: Arc<AgentSpec>,
    /// Where, once that is known.
    pub(super) directory: OnceLock<PathBuf>,
}

/// The turns of an attempt.
pub(super) struct Turns {
    pub(super) journal: Journal,
    pub(super) questions: Questions,
    pub(super) progress: NoProgress,
    /// Why the attempt gets nowhere, once it does.
    pub(super) stuck: Option<String>,
}

/// What earlier attempts have asked people, and this one.
pub(super) struct Questions {
    /// What was answered and not given back yet.
    pub(super) answers: Vec<Answered>,
    /// What is open and nobody here waits for yet.
    pub(super) open: Vec<(Call, QuestionNumber)>,
    /// The last number.
    pub(super) last: u32,
}

impl Host {
    pub(super) fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a command to the driver, to be waited for.
    pub(super) fn send(&self, command: Command) -> Written {
        let (told, written) = oneshot::channel();
        // Without a driver the other end is dropped with the input, which the wait notices.
        let _ = self.inbox.send(Input::Durable(Box::new(command), told));
        Written(written)
    }

    /// What the journal holds for `call`.
    pub(super) async fn replayed(&self, call: &Call) -> Result<Option<Value>, Failure> {
        let recorded = self.turns().journal.replay(call);
        match recorded {
            Some(content) => self.shared.load_content(content).await.map(Some),
            None => Ok(None),
        }
    }

    /// Notes whether the attempt gets anywhere.
    fn note(&self, call: &Call, output: &Value, spend: &[Spend]) {
        let came = Call::new(&call.kind, &call.name, output.to_string());
        let fingerprint = format!("{} {} {} {}", call.kind, call.name, call.input, came.input);
        let cost: Cost = spend.iter().collect();
        let mut turns = self.turns();
        if let Some(why) = turns.progress.note(&fingerprint, cost.known) {
            turns.stuck = Some(why);
        }
    }

    /// Fails once the attempt gets nowhere.
    fn gets_on(&self) -> Result<(), Failure> {
        match &self.turns().stuck {
            Some(why) => Err(Failure::new(ErrorClass::NoProgress, why.clone())),
            None => Ok(()),
        }
    }

    /// Records a turn; what is in the journal beyond it does not count any more.
    fn record(&self, call: &Call, output: Content, spend: Vec<Spend>) -> Written {
        // The lock keeps the numbers in the order in which the driver gets them.
        let mut turns = self.turns();
        let entry = turns.journal.record();
        if let Some(from) = entry.cut {
            self.send(Command::CutJournal { attempt: self.key.clone(), from });
        }
        let turn = Turn {
            number: entry.number,
            kind: call.kind.clone(),
            name: call.name.clone(),
            input: call.input.clone(),
            output,
            spend,
        };
        self.send(Command::RecordTurn { attempt: self.key.clone(), turn: Box::new(turn) })
    }
}

/// A command that is on its way into the log.
pub(super) struct Written(oneshot::Receiver<Result<(), Failure>>);

impl Written {
    pub(super) async fn durable(self) -> Result<(), Failure> {
        match self.0.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::new(ErrorClass::Cancelled, "the run is not driven any more")),
        }
    }
}

/// Whether a call may change files: a model only says something.
fn changes_files(call: &Call) -> bool {
    call.kind != "model"
}

pub(super) fn stopped() -> Failure {
    Failure::new(ErrorClass::Cancelled, "the attempt was told to stop")
}

#[async_trait]
impl AttemptHost for Host {
    fn log(&self, line: LogLine) {
        self.desk.say(line);
    }

    fn progress(&self, progress: Progress) {
        for observer in &self.shared.observers {
            observer.progress(&self.run, &self.key.task, self.key.attempt, &progress);
        }
    }

    async fn cancelled(&self) {
        self.desk.stopped().await;
    }

    async fn begin(&self, call: &Call) -> Result<Step, Failure> {
        if self.desk.told() != super::desk::Stop::No {
            return Err(stopped());
        }
        if let Some(output) = self.replayed(call).await? {
            return Ok(Step::Recorded(output));
        }
        self.gets_on()?;
        // A state is recorded while a model thinks; what changes files waits for that.
        if let Some(checkpoints) = self.checkpoints.get().filter(|_| changes_files(call)) {
            checkpoints.settle().await;
        }
        if !self.desk.open_turn() {
            return Err(stopped());
        }
        Ok(Step::Perform(self.turns().journal.begin()))
    }

    async fn finish(
        &self,
        turn: TurnNumber,
        call: &Call,
        output: Value,
        spend: Vec<Spend>,
    ) -> Result<bool, Failure> {
        if !Content::admits(&output) {
            self.desk.close_turn();
            let message = format!(
                "what came of the turn is nested deeper than {} levels",
                Content::MAX_DEPTH
            );
            return Err(Failure::new(ErrorClass::BadOutput, message).spent(spend));
        }
        self.note(call, &output, &spend);
        // Even one too many is kept: it was paid for.
        let kept = match self.shared.keep_value(output).await {
            Ok(output) => self.record(call, output, spend).durable().await,
            Err(error) => {
                let failure = Failure::new(ErrorClass::Transient, error.to_string()).spent(spend);
                // The run is put down: going on would ask for what was paid for again.
                let _ = self.inbox.send(Input::Unkept(Box::new(error)));
                Err(failure)
            }
        };
        self.desk.close_turn();
        kept?;
        if let Some(checkpoints) = self.checkpoints.get().filter(|_| changes_files(call)) {
            checkpoints.after(turn).await;
        }
        self.gets_on()?;
        Ok(true)
    }

    async fn session(&self, session: &str) -> Result<(), Failure> {
        let attempt = self.key.clone();
        self.send(Command::KnowSession { attempt, session: session.to_owned() }).durable().await
    }

    async fn recorded(&self) -> Result<Vec<RecordedTurn>, Failure> {
        if self.desk.told() != super::desk::Stop::No {
            return Err(stopped());
        }
        let taken = self.turns().journal.take();
        let mut recorded = Vec::with_capacity(taken.len());
        for turn in taken {
            let Turn { number, kind, name, input, output, spend: _ } = turn;
            let output = self.shared.load_content(output).await?;
            recorded.push(RecordedTurn { number, kind, name, input, output });
        }
        Ok(recorded)
    }

    async fn ask(&self, message: &str, expires_in: Option<Duration>) -> Result<String, Failure> {
        self.ask_question(message, expires_in).await
    }

    async fn permit_shown(
        &self,
        action: &Action,
        shown: &Action,
        expires_in: Option<Duration>,
    ) -> Result<Permit, Failure> {
        self.decide(action, shown, expires_in).await
    }

    async fn steered(&self) -> Steer {
        self.desk.next_message().await
    }

    async fn delivered(&self, number: MessageNumber) -> Result<(), Failure> {
        let attempt = self.key.clone();
        self.send(Command::NoteDelivery { attempt, number }).durable().await
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}
