//! What an attempt asks people, and whether its agent may do what it wants to.

use super::{
    desk::Stop,
    host::{Host, stopped},
};
use crate::{
    command::Command,
    error::{ErrorClass, Failure},
    event::{Content, Reply, Turn, Verdict},
    id::QuestionNumber,
    permission::{Action, Decision, Permissions},
    port::{Call, LogLine, LogStream, Permit},
    run::Answered,
};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// What a person said to a permission in words and meant as a yes.
const YES: [&str; 6] = ["yes", "y", "ok", "allow", "approve", "approved"];

impl Host {
    /// Asks a question in words.
    pub(super) async fn ask_question(
        &self,
        message: &str,
        expires_in: Option<Duration>,
    ) -> Result<String, Failure> {
        if self.desk.told() != Stop::No {
            return Err(stopped());
        }
        let call = Call::new("person", "ask", message);
        if let Some(answer) = self.answer_of(&call) {
            if let Some(said) = said(&answer.reply.verdict) {
                self.note_answer(&answer, Value::String(said.clone())).await?;
                return Ok(said);
            }
        } else if let Some(said) = self.replayed(&call).await? {
            return Ok(said.as_str().unwrap_or_default().to_owned());
        }
        let reply = self.ask_person(&call, message.to_owned(), None, expires_in).await?;
        let Some(said) = said(&reply.verdict) else {
            let message = "nobody answered the question in time";
            return Err(Failure::new(ErrorClass::TimedOut, message));
        };
        self.add_turn(&call, Value::String(said.clone())).await?;
        Ok(said)
    }

    /// Whether the agent may do `action`, which people see as `shown`.
    pub(super) async fn decide(
        &self,
        action: &Action,
        shown: &Action,
        expires_in: Option<Duration>,
    ) -> Result<Permit, Failure> {
        if self.desk.told() != Stop::No {
            return Err(stopped());
        }
        let call = shown.call();
        let usual = Permissions::default();
        let permissions = self.agent.permissions.as_deref().unwrap_or(&usual);
        let directory = self.directory.get().map_or(Path::new("."), |directory| directory);
        let ruling = permissions.decide(action, directory, &[]);
        if ruling.decision == Decision::Allow {
            return Ok(Permit::Allowed);
        }
        if let Some(answer) = self.answer_of(&call).filter(|_| ruling.decision == Decision::Ask) {
            let permit = permit(&answer.reply);
            self.note_answer(&answer, turn_of(shown, &permit, Some(&answer.reply))).await?;
            return Ok(permit);
        }
        // What was noted of the same before is not noted again.
        let noted = self.replayed(&call).await?.is_some();
        let (permit, reply) = match ruling.decision {
            Decision::Deny => (Permit::Denied { why: ruling.why }, None),
            // People read it, and the log keeps it.
            Decision::Allow | Decision::Ask if call_length(shown) > Content::INLINE_LIMIT => {
                let why = format!(
                    "it is longer than {} bytes, too long to ask a person about",
                    Content::INLINE_LIMIT
                );
                self.say(shown, &Permit::Denied { why: why.clone() }, None);
                return Ok(Permit::Denied { why });
            }
            Decision::Allow | Decision::Ask => {
                let message = format!("may it {}?", shown.headline());
                let action = Some(Box::new(shown.clone()));
                let reply = self.ask_person(&call, message, action, expires_in).await?;
                (permit(&reply), Some(reply))
            }
        };
        self.say(shown, &permit, reply.as_ref());
        if !noted || reply.is_some() {
            self.add_turn(&call, turn_of(shown, &permit, reply.as_ref())).await?;
        }
        Ok(permit)
    }

    /// What was answered to `call` in an earlier attempt; once.
    fn answer_of(&self, call: &Call) -> Option<Answered> {
        let mut turns = self.turns();
        let answers = &mut turns.questions.answers;
        let place = answers.iter().position(|answer| answer.call == *call)?;
        Some(answers.remove(place))
    }

    /// Sees to it that the journal has an answer, which a crash may have kept from it.
    async fn note_answer(&self, answer: &Answered, output: Value) -> Result<(), Failure> {
        if answer.noted {
            let mut turns = self.turns();
            // It may have been given back with all others, or not count any more.
            if turns.journal.replay(&answer.call).is_none() {
                turns.journal.pass();
            }
            return Ok(());
        }
        self.add_turn(&answer.call, output).await
    }

    /// Asks, unless an earlier attempt has and nobody has answered; then waits.
    async fn ask_person(
        &self,
        call: &Call,
        message: String,
        action: Option<Box<Action>>,
        expires_in: Option<Duration>,
    ) -> Result<Reply, Failure> {
        let (question, asked) = {
            let mut turns = self.turns();
            let questions = &mut turns.questions;
            match questions.open.iter().position(|(open, _)| open == call) {
                Some(place) => (questions.open.remove(place).1, None),
                None => {
                    questions.last += 1;
                    let question = QuestionNumber(questions.last);
                    let attempt = self.key.clone();
                    let command =
                        Command::AskPerson { attempt, question, message, action, expires_in };
                    (question, Some(self.send(command)))
                }
            }
        };
        let mut asking = Asking { host: self, question, waits: true };
        if let Some(asked) = asked {
            asked.durable().await?;
        }
        let reply = tokio::select! {
            biased;
            reply = self.desk.answer_to(question) => Some(reply),
            () = self.desk.stopped() => None,
        };
        asking.waits = false;
        // Whoever was stopped asks again, or rather still, when the task goes on.
        reply.ok_or_else(stopped)
    }

    /// Records what was said or decided, durable on return.
    async fn add_turn(&self, call: &Call, output: Value) -> Result<(), Failure> {
        let added = {
            // The lock keeps the numbers in the order in which the driver gets them.
            let mut turns = self.turns();
            let number = turns.journal.add();
            let Call { kind, name, input } = call.clone();
            let output = Content::Inline(output);
            let turn = Turn { number, kind, name, input, output, spend: Vec::new() };
            self.send(Command::RecordTurn { attempt: self.key.clone(), turn: Box::new(turn) })
        };
        added.durable().await
    }

    /// Says in the log what was decided.
    fn say(&self, shown: &Action, permit: &Permit, reply: Option<&Reply>) {
        let what = shown.headline();
        let text = match (permit, reply) {
            (Permit::Allowed, Some(reply)) => format!("allowed by {}: {what}", reply.by),
            (Permit::Allowed, None) => format!("allowed: {what}"),
            (Permit::Denied { why }, _) => format!("denied: {what}: {why}"),
        };
        self.desk.say(LogLine { stream: LogStream::Note, text });
    }
}

/// An attempt that waits for an answer. When it does not any more, nobody is asked any more: but an
/// attempt that is cut off will be followed by another one that waits.
struct Asking<'h> {
    host: &'h Host,
    question: QuestionNumber,
    waits: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.waits && self.host.desk.told() == Stop::No {
            let (attempt, question) = (self.host.key.clone(), self.question);
            // Whether it is durable matters to nobody.
            let _ = self.host.send(Command::WithdrawQuestion { attempt, question });
        }
    }
}

/// How many bytes it takes to say what the agent wants to do.
fn call_length(shown: &Action) -> usize {
    let Action { tool, kind: _, paths, command, hosts, summary } = shown;
    let texts = [tool, summary].into_iter().chain(command).chain(paths).chain(hosts);
    texts.map(|text| text.len() + 3).sum()
}

/// What a person said, in words; none when nobody did.
fn said(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Approved => Some("yes".into()),
        Verdict::Rejected(why) if why.is_empty() => Some("no".into()),
        Verdict::Rejected(why) => Some(format!("no: {why}")),
        Verdict::Answered(text) => Some(text.clone()),
        Verdict::Expired => None,
    }
}

/// What is permitted by what a person said.
fn permit(reply: &Reply) -> Permit {
    let by = &reply.by;
    let why = match &reply.verdict {
        Verdict::Approved => return Permit::Allowed,
        Verdict::Answered(text) if YES.contains(&text.trim().to_lowercase().as_str()) => {
            return Permit::Allowed;
        }
        Verdict::Answered(text) => format!("{by} says instead: {text}"),
        Verdict::Rejected(reason) if reason.is_empty() => format!("{by} rejected it"),
        Verdict::Rejected(reason) => format!("{by} rejected it: {reason}"),
        Verdict::Expired => "nobody answered in time".to_owned(),
    };
    Permit::Denied { why }
}

/// A decision as it stands in the journal.
fn turn_of(shown: &Action, permit: &Permit, reply: Option<&Reply>) -> Value {
    let (decision, why) = match permit {
        Permit::Allowed => ("allowed", None),
        Permit::Denied { why } => ("denied", Some(why)),
    };
    json!({
        "decision": decision,
        "why": why,
        "by": reply.map(|reply| &reply.by),
        "action": shown,
    })
}
