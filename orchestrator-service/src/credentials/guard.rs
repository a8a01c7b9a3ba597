//! An agent whose words are rid of known secrets before anybody hears them.
//!
//! All that an attempt leaves in the log comes through the port of agents: its answer or failure on
//! one side, its host on the other. So this is where nothing can be forgotten.

use super::KnownSecrets;
use async_trait::async_trait;
use orchestrator_core::{
    error::Failure,
    id::{MessageNumber, TurnNumber},
    permission::Action,
    port::{
        Agent, Answer, Assignment, AttemptHost, Call, LogLine, Permit, Progress, RecordedTurn,
        Steer, Step,
    },
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

    fn steerable(&self) -> bool {
        self.agent.steerable()
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

/// The action as people may see it.
fn shown(action: &Action, redactor: &Redactor) -> Action {
    let mut shown = action.clone();
    let Action { tool, kind: _, paths, command, hosts, summary } = &mut shown;
    let all = [tool, summary].into_iter().chain(paths).chain(hosts).chain(command);
    all.for_each(|text| hide(text, redactor));
    shown
}

fn hide(text: &mut String, redactor: &Redactor) {
    if let Cow::Owned(hidden) = redactor.text(text) {
        *text = hidden;
    }
}

/// The engine's side of an attempt, with secrets kept from it.
pub(crate) struct Guard<'a> {
    host: &'a dyn AttemptHost,
    redactor: &'a Redactor,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(host: &'a dyn AttemptHost, redactor: &'a Redactor) -> Self {
        Self { host, redactor }
    }
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

    async fn recorded(&self) -> Result<Vec<RecordedTurn>, Failure> {
        self.host.recorded().await
    }

    async fn permit_shown(
        &self,
        action: &Action,
        as_shown: &Action,
        expires_in: Option<Duration>,
    ) -> Result<Permit, Failure> {
        self.host.permit_shown(action, &shown(as_shown, self.redactor), expires_in).await
    }

    async fn steered(&self) -> Steer {
        self.host.steered().await
    }

    async fn delivered(&self, number: MessageNumber) -> Result<(), Failure> {
        self.host.delivered(number).await
    }

    fn now(&self) -> Timestamp {
        self.host.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{
        agent::{AgentSpec, Role},
        error::ErrorClass,
        id::{AgentName, ProviderName, RunId, TaskName},
        port::{Artifact, LogStream, Work},
        secret::SecretString,
    };
    use serde_json::json;
    use std::sync::Mutex;

    const KEY: &str = "sk-hidden-12345";

    /// Says the key in every way that an agent can say anything, and ends as it is told to.
    struct Leaky(&'static str);

    #[async_trait]
    impl Agent for Leaky {
        async fn perform(&self, _: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
            host.log(LogLine { stream: LogStream::Stdout, text: format!("log {KEY}") });
            host.progress(Progress { doing: format!("doing {KEY}"), ..Progress::default() });
            let call = Call::new("tool", "t", KEY);
            host.finish(TurnNumber(1), &call, json!({ "turn": KEY }), Vec::new()).await?;
            host.session(&format!("session {KEY}")).await?;
            let action = Action::run("Bash", format!("curl -H {KEY}")).on([KEY]).because(KEY);
            host.permit(&action, None).await?;
            let said = host.ask(&format!("ask {KEY}?"), None).await?;
            assert_eq!(said, "yes");
            match self.0 {
                "answer" => {
                    let bytes = format!("file {KEY}").into_bytes();
                    let (name, media_type) = (format!("{KEY}.txt"), "text/plain".to_owned());
                    let mut answer = Answer::json(json!({ "a": [KEY] }));
                    answer.tasks = Some(json!({ "t": { "prompt": KEY } }));
                    Ok(answer.with_artifact(Artifact { name, media_type, bytes }))
                }
                "fail" => Err(Failure::new(ErrorClass::ToolFailed, format!("failed {KEY}"))),
                _ => panic!("panicked {KEY}"),
            }
        }
    }

    /// Keeps all that it hears.
    #[derive(Default)]
    struct Ear(Mutex<Vec<String>>);

    impl Ear {
        fn hear(&self, text: impl Into<String>) {
            self.0.lock().unwrap().push(text.into());
        }
    }

    #[async_trait]
    impl AttemptHost for Ear {
        fn log(&self, line: LogLine) {
            self.hear(line.text);
        }

        fn progress(&self, progress: Progress) {
            self.hear(progress.doing);
        }

        async fn cancelled(&self) {}

        async fn finish(
            &self,
            _: TurnNumber,
            _: &Call,
            output: Value,
            _: Vec<Spend>,
        ) -> Result<bool, Failure> {
            self.hear(output.to_string());
            Ok(true)
        }

        async fn session(&self, session: &str) -> Result<(), Failure> {
            self.hear(session);
            Ok(())
        }

        async fn ask(&self, message: &str, _: Option<Duration>) -> Result<String, Failure> {
            self.hear(message);
            Ok("yes".into())
        }

        async fn permit_shown(
            &self,
            action: &Action,
            shown: &Action,
            _: Option<Duration>,
        ) -> Result<Permit, Failure> {
            assert!(action.headline().contains(KEY), "what is decided upon is what is done");
            self.hear(format!("{shown:?}"));
            Ok(Permit::Allowed)
        }

        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
    }

    fn assignment() -> Assignment {
        let (name, provider) = (AgentName::new("a").unwrap(), ProviderName::new("p").unwrap());
        let agent = Arc::new(AgentSpec::new(name, Role::Dev, provider));
        let work = Work::Prompt("go".into());
        Assignment::new(RunId::new("r_1").unwrap(), TaskName::new("t").unwrap(), agent, work)
    }

    /// What is heard of an agent that ends like `end`, and what comes of it.
    async fn heard(end: &'static str, secret: &str) -> (Vec<String>, Result<Answer, Failure>) {
        let known = KnownSecrets::default();
        known.learn([SecretString::new(secret)]);
        let (ear, guarded) = (Ear::default(), Guarded::new(Arc::new(Leaky(end)), known));
        let ended = guarded.perform(&assignment(), &ear).await;
        (ear.0.into_inner().unwrap(), ended)
    }

    #[tokio::test]
    async fn whatever_an_agent_says_is_rid_of_secrets() {
        let (lines, answer) = heard("answer", KEY).await;
        let turn = "{\"turn\":\"[redacted]\"}";
        let expected = ["log", "doing", turn, "session", "curl", "ask"];
        assert_eq!(lines.len(), expected.len());
        for (line, part) in lines.iter().zip(expected) {
            assert!(line.contains(part) && line.contains("[redacted]"), "{line}");
            assert!(!line.contains(KEY), "{line}");
        }
        let answer = answer.unwrap();
        assert_eq!(answer.output, json!({ "a": ["[redacted]"] }));
        assert_eq!(answer.tasks, Some(json!({ "t": { "prompt": "[redacted]" } })));
        assert_eq!(answer.artifacts[0].name, "[redacted].txt");
        assert_eq!(answer.artifacts[0].bytes, b"file [redacted]");
        let (_, failure) = heard("fail", KEY).await;
        assert_eq!(failure.unwrap_err().message, "failed [redacted]");
        let panicked = tokio::spawn(heard("panic", KEY)).await.unwrap_err().into_panic();
        assert_eq!(panicked.downcast_ref::<String>().unwrap(), "panicked [redacted]");
    }

    #[tokio::test]
    async fn what_is_no_secret_passes_as_it_is() {
        let (lines, answer) = heard("answer", "something else").await;
        assert_eq!(lines[0], format!("log {KEY}"));
        assert_eq!(answer.unwrap().output, json!({ "a": [KEY] }));
    }
}
