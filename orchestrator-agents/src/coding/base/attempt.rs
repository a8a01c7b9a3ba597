//! One attempt: one process after the other, until there is an answer.

use super::{
    CodingAgent,
    conduct::{Books, Ran, Setting},
    home::Home,
    journal,
    talk::Kept,
    usage::Counters,
    voice::Voice,
};
use crate::{
    coding::{Finish, Launch, Order, Start},
    model::{MAX_REPAIRS, output::OutputSchema, prompt},
};
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::MessageNumber,
    port::{Answer, Artifact, Assignment, AttemptHost, Call, RecordedTurn, Work},
    usage::Spend,
};
use serde_json::Value;
use std::path::PathBuf;
use tokio::time::Instant;

/// What a process of an attempt is told, and where it works.
struct Piece {
    start: Start,
    prompt: String,
    /// The messages in the prompt.
    messages: Vec<MessageNumber>,
}

pub(super) async fn perform(
    agent: &CodingAgent,
    assignment: &Assignment,
    host: &dyn AttemptHost,
) -> Result<Answer, Failure> {
    let invalid = |message: String| Failure::new(ErrorClass::InvalidRequest, message);
    let Work::Prompt(_) = &assignment.work else {
        let name = &assignment.agent.name;
        return Err(invalid(format!("agent `{name}` answers prompts and runs no `command`")));
    };
    let schema = assignment.output_schema.clone().map(OutputSchema::new).transpose();
    let schema = schema.map_err(invalid)?;
    let begun = Instant::now();
    let (home, was_there) = Home::open(&agent.homes, assignment)?;
    if let Some(from) = &agent.login {
        home.seed(from, agent.adapter.login())?;
    }
    let mut books = Books {
        counters: Counters::open(home.counted()),
        voice: Voice::new(host, agent.booked.clone()),
        kept: Kept::new(),
        spend: Vec::new(),
    };
    let setting = Setting { agent, assignment, host, home: &home, begun };
    let done = setting.work(&mut books, schema.as_ref(), was_there).await;
    books.voice.finish();
    let Books { kept, spend, .. } = books;
    let answer = match done {
        Ok(output) => Ok(keep(Answer { output, ..Answer::default() }, kept, host).await),
        Err(failure) => Err(failure),
    };
    finish(answer, spend, &home)
}

/// The end of an attempt, with what was spent. A home that no session goes on in goes.
fn finish(
    answer: Result<Answer, Failure>,
    spend: Vec<Spend>,
    home: &Home,
) -> Result<Answer, Failure> {
    match answer {
        Ok(answer) => {
            home.remove();
            Ok(answer.spent(spend))
        }
        Err(failure) => {
            // What follows these begins anew.
            if matches!(failure.class, ErrorClass::BadOutput | ErrorClass::ContextOverflow) {
                home.remove();
            }
            Err(failure.spent(spend))
        }
    }
}

/// `answer` with the whole of what was printed.
async fn keep(mut answer: Answer, mut kept: Kept, host: &dyn AttemptHost) -> Answer {
    kept.transcript.finish(host).await;
    let parts = [
        ("transcript.jsonl", "application/jsonl", &mut kept.transcript, true),
        ("stderr.txt", "text/plain", &mut kept.stderr, false),
    ];
    for (name, media_type, capture, always) in parts {
        if !always && !capture.is_cut() {
            continue;
        }
        match capture.whole().await {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => {
                let (name, media_type) = (name.to_owned(), media_type.to_owned());
                answer = answer.with_artifact(Artifact { name, media_type, bytes });
            }
            Err(error) => {
                let text = format!("cannot keep the whole {name}: {error}");
                let stream = orchestrator_core::port::LogStream::Note;
                host.log(orchestrator_core::port::LogLine { stream, text });
            }
        }
    }
    answer
}

impl Setting<'_> {
    async fn work(
        &self,
        books: &mut Books<'_>,
        schema: Option<&OutputSchema>,
        was_there: bool,
    ) -> Result<Value, Failure> {
        let before = self.host.recorded().await?;
        let resumes = self.agent.adapter.capabilities().resume.is_offered();
        let confined = self.confined().await?;
        let mut number = 0;
        let mut piece = self.first(&before, resumes && was_there, books);
        let mut repairs = 0;
        loop {
            let (order, launch) = self.order(&piece, confined.is_some())?;
            let ran = self.run(&order, &launch, confined.as_ref(), books).await?;
            if ran.did || ran.result.is_ok() {
                for message in &piece.messages {
                    self.host.delivered(*message).await?;
                }
            }
            number += 1;
            let Ran { result, session, did, last, unsaid } = ran;
            let finish = match result {
                Ok(finish) => finish,
                Err(failure) if !did && is_lost(&piece.start, &failure) => {
                    books.voice.note(format!(
                        "the session cannot be gone on with, so a new one is told what was done: \
                         {}",
                        prompt::brief(&failure.message)
                    ));
                    piece = self.anew(&before, number);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let session = session.or_else(|| piece.start.named());
            let next = session.filter(|_| resumes);
            if let (false, Some(id)) = (unsaid.is_empty(), &next) {
                let (messages, texts): (Vec<_>, Vec<_>) = unsaid.into_iter().unzip();
                piece = Piece {
                    start: Start::Resume(id.clone()),
                    prompt: texts.join("\n\n"),
                    messages,
                };
                continue;
            }
            let violations = match read(schema, finish, last) {
                Ok(output) => return Ok(output),
                Err(violations) => violations,
            };
            let told = prompt::brief(&violations.join("; "));
            let Some(id) = next.filter(|_| repairs < MAX_REPAIRS) else {
                let message = format!("the answer of the program is not what is asked for: {told}");
                return Err(Failure::new(ErrorClass::BadOutput, message));
            };
            repairs += 1;
            books.voice.note(format!(
                "the answer does not fit the output schema; repair {repairs} of {MAX_REPAIRS}: {told}"
            ));
            let prompt = prompt::repair(&violations, false);
            piece = Piece { start: Start::Resume(id), prompt, messages: Vec::new() };
        }
    }

    /// Where the attempt begins.
    fn first(&self, before: &[RecordedTurn], resumes: bool, books: &Books<'_>) -> Piece {
        match &self.assignment.session {
            Some(session) if resumes => {
                books.voice.note(format!("goes on in session {session}"));
                let prompt = format!(
                    "You were interrupted in the task below. Look at what is done already, do not do \
                     it again, and go on from there.\n\n{}",
                    prompt::text(self.assignment)
                );
                Piece { start: Start::Resume(session.clone()), prompt, messages: Vec::new() }
            }
            _ => self.anew(before, 0),
        }
    }

    /// A new session, which is told what was done `before` it.
    fn anew(&self, before: &[RecordedTurn], number: u32) -> Piece {
        let task = prompt::text(self.assignment);
        let prompt = match before {
            [] => task,
            turns => format!(
                "{task}\n\nThis task was begun before and interrupted. What was said and done then, of \
                 which the effects may be there already:\n\n{}\n\nLook at what is done, do not do it \
                 again, and go on from there.",
                journal::told(turns)
            ),
        };
        Piece { start: Start::New(self.uuid(number)), prompt, messages: Vec::new() }
    }

    /// A name for a session that no other has, in the form of a UUID (version 8 of RFC 9562).
    fn uuid(&self, number: u32) -> String {
        let at = self.assignment;
        let (run, task) = (&at.run, &at.task);
        let text = format!("{run}/{task}/{}/{}/{number}", at.attempt, at.epoch);
        let digest = Call::new("session", "name", text).input;
        let hex: Vec<char> = digest.chars().skip("sha256:".len()).take(32).collect();
        let part = |from: usize, to: usize| hex[from..to].iter().collect::<String>();
        format!(
            "{}-{}-8{}-a{}-{}",
            part(0, 8),
            part(8, 12),
            part(13, 16),
            part(17, 20),
            part(20, 32)
        )
    }

    fn order(&self, piece: &Piece, confined: bool) -> Result<(Order, Launch), Failure> {
        let (agent, assignment) = (self.agent, self.assignment);
        let directory = assignment.directory();
        let directory: PathBuf = std::path::absolute(directory).map_err(|error| {
            let message = format!("cannot find `{}`: {error}", directory.display());
            Failure::new(ErrorClass::InvalidRequest, message)
        })?;
        let order = Order {
            prompt: piece.prompt.clone(),
            instructions: assignment.agent.instructions().to_owned(),
            model: assignment.agent.model.clone(),
            directory,
            home: self.home.path(),
            start: piece.start.clone(),
            schema: assignment.output_schema.clone(),
            endpoint: agent.endpoint.clone(),
            reach: agent.reach,
            confined,
            live: agent.live,
            mcp: agent.mcp.clone(),
            arguments: agent.arguments.clone(),
        };
        let launch = agent.adapter.launch(&order)?;
        Ok((order, launch))
    }
}

impl Start {
    /// The session, when its name is known before the program says it.
    fn named(&self) -> Option<String> {
        match self {
            Self::New(_) | Self::Fork { .. } => None,
            Self::Resume(id) => Some(id.clone()),
        }
    }
}

/// Whether a process that said nothing failed since it does not know its session.
fn is_lost(start: &Start, failure: &Failure) -> bool {
    matches!(start, Start::Resume(_))
        && matches!(
            failure.class,
            ErrorClass::InvalidRequest
                | ErrorClass::Crashed
                | ErrorClass::Incompatible
                | ErrorClass::ToolFailed
        )
}

/// The answer in what was left, or why there is none.
fn read(
    schema: Option<&OutputSchema>,
    finish: Finish,
    last: Option<String>,
) -> Result<Value, Vec<String>> {
    let text = finish.text.or(last).unwrap_or_default();
    let Some(schema) = schema else {
        return Ok(Value::String(text));
    };
    match finish.structured {
        Some(value) => schema.read(&value.to_string()),
        None => schema.read(&text),
    }
}
