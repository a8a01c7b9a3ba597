//! An adapter whose program is a shell script, and a host that hears all.

use crate::coding::{
    Action, Adapter, Capabilities, CodingAgent, Counted, Decision, Dialogue, Ended, Event, Exit,
    Finish, Input, Launch, Limits, ModelUsage, Offer, Order, Outcome, RequestId, Scope, Start,
    Step, ToolResult, Verdict,
};
use crate::command::Environment;
use async_trait::async_trait;
use orchestrator_core::{
    agent::{AgentSpec, Role},
    error::{ErrorClass, Failure},
    id::{AgentName, MessageNumber, ProviderName, RunId, TaskName, TurnNumber},
    permission::ActionKind,
    port::{
        Agent, Answer, Assignment, AttemptHost, Call, LogLine, Permit, Progress, RecordedTurn,
        Steer, Step as Turn, Work,
    },
    time::Timestamp,
    usage::{Spend, TokenCount, Usage},
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::Notify;

/// Its program says, in words: `session ID`, `say TEXT`, `tool NAME`, `ended NAME`, `ask ID`,
/// `withdraw ID`, `used N` (since the session began), `done TEXT`, `failed TEXT`. It cannot be told what begins with
/// `later`.
#[derive(Debug)]
pub(super) struct Shell;

impl Adapter for Shell {
    fn provider(&self) -> &'static str {
        "shell"
    }

    fn program(&self) -> Option<&'static str> {
        None
    }

    fn proved_with(&self) -> Option<&'static str> {
        None
    }

    fn oldest(&self) -> Option<&'static str> {
        None
    }

    fn read_version(&self, printed: &str) -> Option<String> {
        Some(printed.to_owned())
    }

    fn capabilities(&self) -> Capabilities {
        let (yes, no) = (Offer::Yes, Offer::No("a shell"));
        Capabilities {
            headless: yes,
            streaming: yes,
            resume: yes,
            fork: no,
            live_approval: yes,
            steering: yes,
            interrupt: yes,
            usage: yes,
            cost: no,
            schema: no,
            own_sandbox: no,
            mcp: no,
            acp: no,
            metered: no,
        }
    }

    fn login(&self) -> &'static [&'static str] {
        &[".shell/login"]
    }

    fn launch(&self, order: &Order) -> Result<Launch, Failure> {
        let start = match &order.start {
            Start::New(_) => "new".to_owned(),
            Start::Resume(id) => format!("resume:{id}"),
            Start::Fork { of, .. } => format!("fork:{of}"),
        };
        Ok(Launch {
            arguments: vec![start, order.prompt.clone()],
            files: vec![(".shell/settings".into(), b"set".to_vec())],
            input: if order.live { Input::Dialogue } else { Input::Nothing },
            ..Launch::default()
        })
    }

    fn dialogue(&self, order: &Order) -> Box<dyn Dialogue> {
        Box::new(Words { live: order.live, ended: None })
    }

    fn diagnose(&self, _: Exit, stderr: &str) -> Option<Failure> {
        let unknown = stderr.contains("no such session");
        unknown.then(|| Failure::new(ErrorClass::InvalidRequest, "no such session"))
    }
}

struct Words {
    live: bool,
    ended: Option<Result<Finish, Failure>>,
}

impl Dialogue for Words {
    fn line(&mut self, line: &str) -> Vec<Step> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = rest.to_owned();
        let event = match word {
            "session" => Event::Session { id: text, model: None, version: None },
            "say" => Event::Message { text, model: Some("m".into()) },
            "tool" => Event::ToolStarted {
                id: text.clone(),
                action: Action::new(text, ActionKind::Run),
                input: json!({}),
            },
            "ended" => {
                let result = ToolResult { outcome: Outcome::Done, output: json!("out") };
                Event::ToolEnded { id: text, result }
            }
            "ask" => {
                let action = Action::run("Bash", text.clone());
                Event::Permission { id: RequestId(json!(text)), action, input: json!({}) }
            }
            "withdraw" => Event::Withdrawn { id: RequestId(json!(text)) },
            "used" => {
                let input = TokenCount(text.parse().unwrap());
                let usage = Usage { input, ..Usage::default() };
                let used = ModelUsage { model: None, requests: None, usage, cost: None };
                Event::Used(Counted { scope: Scope::Session, models: vec![used] })
            }
            "done" | "failed" => {
                let result = match word {
                    "done" => Ok(Finish { text: Some(text), ..Finish::default() }),
                    _ => Err(Failure::new(ErrorClass::RateLimited, text)),
                };
                self.ended = Some(result.clone());
                let mut steps = vec![Step::Said(Event::Ended(Ended { result }))];
                steps.extend(self.live.then_some(Step::Close));
                return steps;
            }
            "quota" => return vec![Step::GiveUp(Failure::new(ErrorClass::Auth, text))],
            "novel" => Event::Unknown { kind: text },
            _ => Event::Garbage { line: line.to_owned() },
        };
        vec![Step::Said(event)]
    }

    fn answer(&mut self, request: &RequestId, decision: &Decision) -> Vec<Step> {
        let id = request.0.as_str().unwrap();
        vec![Step::Write(match decision {
            Decision::Allow => format!("{id}: yes"),
            Decision::Deny(why) => format!("{id}: no, {why}"),
        })]
    }

    fn say(&mut self, message: &str) -> Option<Vec<Step>> {
        let takes = self.live && self.ended.is_none() && !message.starts_with("later");
        takes.then(|| vec![Step::Write(format!("told {message}"))])
    }

    fn interrupt(&mut self) -> Option<Vec<Step>> {
        Some(vec![Step::Write("interrupt".into())])
    }

    fn verdict(&mut self, exit: Exit) -> Verdict {
        match (self.ended.take(), exit) {
            (Some(Ok(finish)), Exit::Code(0) | Exit::Stopped) => Verdict::Done(finish),
            (Some(Err(failure)), _) => Verdict::Failed(failure),
            (Some(Ok(_)), _) => {
                Verdict::Failed(Failure::new(ErrorClass::Crashed, "said done and failed"))
            }
            (None, _) => Verdict::Silent,
        }
    }
}

/// Hears all, and says what it is told to.
#[derive(Default)]
pub(super) struct Ear {
    pub(super) heard: Mutex<Vec<String>>,
    pub(super) recorded: Vec<RecordedTurn>,
    pub(super) steers: Mutex<VecDeque<Steer>>,
    /// Answers come in this order, by what is asked.
    pub(super) permits: Mutex<VecDeque<(String, Permit)>>,
    pub(super) stop: Notify,
    pub(super) changed: Notify,
    pub(super) refuses_turns: bool,
}

impl Ear {
    fn hear(&self, text: String) {
        self.heard.lock().unwrap().push(text);
        self.changed.notify_waiters();
    }

    /// What was heard that begins with `word`.
    pub(super) fn all(&self, word: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let fitting = heard.iter().filter(|text| text.starts_with(word));
        fitting.map(|text| text[word.len()..].trim().to_owned()).collect()
    }

    /// Waits until something is heard that begins with `word`.
    pub(super) async fn until(&self, word: &str) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !self.all(word).is_empty() {
                return;
            }
            changed.await;
        }
    }
}

#[async_trait]
impl AttemptHost for Ear {
    fn log(&self, line: LogLine) {
        self.hear(format!("log {:?} {}", line.stream, line.text));
    }

    fn progress(&self, progress: Progress) {
        self.hear(format!("doing {} {}", progress.doing, progress.usage.input));
    }

    async fn cancelled(&self) {
        self.stop.notified().await;
    }

    async fn begin(&self, _: &Call) -> Result<Turn, Failure> {
        if self.refuses_turns {
            return Err(Failure::new(ErrorClass::NoProgress, "stuck"));
        }
        Ok(Turn::Perform(TurnNumber(1)))
    }

    async fn finish(
        &self,
        _: TurnNumber,
        call: &Call,
        output: Value,
        spend: Vec<Spend>,
    ) -> Result<bool, Failure> {
        assert_eq!(spend, []);
        let what = output.get("text").or(output.get("tool")).unwrap();
        self.hear(format!("turn {} {}", call.kind, what.as_str().unwrap()));
        Ok(true)
    }

    async fn recorded(&self) -> Result<Vec<RecordedTurn>, Failure> {
        Ok(self.recorded.clone())
    }

    async fn session(&self, session: &str) -> Result<(), Failure> {
        self.hear(format!("session {session}"));
        Ok(())
    }

    async fn permit_shown(
        &self,
        action: &Action,
        _: &Action,
        _: Option<Duration>,
    ) -> Result<Permit, Failure> {
        let asked = action.command.clone().unwrap();
        self.hear(format!("asked {asked}"));
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut permits = self.permits.lock().unwrap();
                if permits.front().is_some_and(|(command, _)| *command == asked) {
                    let (_, permit) = permits.pop_front().unwrap();
                    drop(permits);
                    self.changed.notify_waiters();
                    return Ok(permit);
                }
            }
            changed.await;
        }
    }

    async fn steered(&self) -> Steer {
        let next = self.steers.lock().unwrap().pop_front();
        match next {
            Some(steer) => steer,
            None => std::future::pending().await,
        }
    }

    async fn delivered(&self, number: MessageNumber) -> Result<(), Failure> {
        self.hear(format!("delivered {number}"));
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

/// A place for the programs of a test.
pub(super) struct Place {
    directory: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The agent whose program is `script`: `$1` is how it begins, `$2` the prompt.
    pub(super) fn agent(&self, script: &str) -> CodingAgent {
        let command = ["/bin/sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        let variables = [("PATH".into(), std::env::var_os("PATH").unwrap())];
        let environment = Environment::from_vars(variables, &[]);
        CodingAgent::new(Arc::new(Shell), command, environment, self.path().join("homes"))
            .limits(Limits { grace: Duration::from_millis(300), ..Limits::default() })
    }

    pub(super) fn assignment(&self) -> Assignment {
        let (name, provider) = (AgentName::new("a").unwrap(), ProviderName::new("shell").unwrap());
        let agent = Arc::new(AgentSpec::new(name, Role::Dev, provider));
        let (run, task) = (RunId::new("r_1").unwrap(), TaskName::new("t").unwrap());
        let mut assignment = Assignment::new(run, task, agent, Work::Prompt("Do it.".into()));
        assignment.project = self.path().to_owned();
        assignment
    }

    /// Runs `script` to its end.
    pub(super) async fn run(&self, script: &str) -> (Ear, Result<Answer, Failure>) {
        let ear = Ear::default();
        let ended = self.agent(script).perform(&self.assignment(), &ear).await;
        (ear, ended)
    }
}
