//! The engine as a whole, over a store in memory.

mod basics;
mod children;
mod control;
mod faults;
mod journal;
mod people;
mod rest;
mod shared;
mod values;

use super::*;
use crate::{
    error::{ErrorClass, Failure},
    event::{Content, Event, Recorded, Reply, Verdict},
    id::{BlobId, Sequence, TaskName},
    memory::{MemoryBlobs, MemoryStore},
    permission::{Action, Permissions},
    port::{
        Answer, Assignment, AttemptHost, BlobError, Call, Catalog, LogLine, LogStream, Page,
        Permit, RunFilter, Signal, Steer, StoreError, TaskFilter, turn,
    },
    run::{RunStatus, StartRun},
    task::TaskStatus,
    time::Timestamp,
    workflow::Workflow,
};
use async_trait::async_trait;
use futures_util::{FutureExt, future::try_join_all};
use serde_json::{Value, json};
use std::sync::Mutex;

/// An agent that does what its prompt says, and notes what it was asked.
#[derive(Default)]
struct Scripted {
    asked: Mutex<Vec<String>>,
    /// The turns that were performed.
    turns: Mutex<Vec<String>>,
    /// How many turns are performed before it hangs.
    hangs_after: Option<usize>,
    /// Whether it takes messages.
    steerable: bool,
    /// How many work on something exclusive now, and were at most.
    exclusive: Mutex<(u32, u32)>,
    /// Lets go on what waits.
    release: Released,
}

/// What lets go on what waits.
struct Released(tokio::sync::Semaphore);

impl Default for Released {
    fn default() -> Self {
        Self(tokio::sync::Semaphore::new(0))
    }
}

impl Scripted {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn take_turns(&self, names: &str, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        let mut said = Vec::new();
        for name in names.split(' ') {
            let call = Call::new("tool", name, name);
            let output = turn(host, &call, |_| async {
                if self.hangs_after.is_some_and(|most| self.turns.lock().unwrap().len() >= most) {
                    std::future::pending::<()>().await;
                }
                self.turns.lock().unwrap().push(name.to_owned());
                Ok((json!(name.to_uppercase()), Vec::new()))
            });
            said.push(output.await?.as_str().unwrap().to_owned());
        }
        Ok(Answer::text(said.join(" ")))
    }

    /// Hangs once it has done as much as it is to do before that.
    async fn go_on(&self, what: &str) {
        let done = {
            let mut turns = self.turns.lock().unwrap();
            turns.push(what.to_owned());
            turns.len()
        };
        if self.hangs_after.is_some_and(|most| done >= most) {
            std::future::pending::<()>().await;
        }
    }

    /// Asks for permission to run a command.
    async fn permit(&self, command: &str, host: &dyn AttemptHost) -> Result<String, Failure> {
        let permit = host.permit(&Action::run("Bash", command), Some(PERMIT)).await?;
        let said = match permit {
            Permit::Allowed => "allowed".to_owned(),
            Permit::Denied { why } => format!("denied: {why}"),
        };
        self.go_on(command).await;
        Ok(said)
    }

    /// Takes messages, and says that it has them.
    async fn listen(&self, count: usize, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        let mut heard = Vec::new();
        for _ in 0..count {
            // One that is not waited for to its end takes nothing away.
            let steer = tokio::select! {
                biased;
                steer = host.steered() => steer,
                () = tokio::task::yield_now() => host.steered().await,
            };
            heard.push(match &steer {
                Steer::Say { text, .. } => text.clone(),
                Steer::Interrupt { text, .. } => format!("stop: {text:?}"),
            });
            self.go_on(heard.last().unwrap()).await;
            host.delivered(steer.number()).await?;
        }
        Ok(Answer::json(json!(heard)))
    }

    async fn work_alone(&self) {
        {
            let mut exclusive = self.exclusive.lock().unwrap();
            exclusive.0 += 1;
            exclusive.1 = exclusive.1.max(exclusive.0);
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.exclusive.lock().unwrap().0 -= 1;
    }
}

#[async_trait]
impl Agent for Arc<Scripted> {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        self.asked.lock().unwrap().push(format!("{}: {}", work.task, work.prompt()));
        match work.prompt() {
            "panic" => panic!("on purpose"),
            "hang" => std::future::pending().await,
            "stop when told" => {
                host.cancelled().await;
                Err(Failure::new(ErrorClass::Cancelled, "told to stop"))
            }
            "answer when told" => {
                host.cancelled().await;
                Ok(Answer::text("just in time"))
            }
            "deep" => Ok(Answer::json((0..70).fold(json!(1), |value, _| json!([value])))),
            "flaky" if work.attempt.0 < 3 => Err(Failure::new(ErrorClass::Crashed, "died")),
            "large" => Ok(Answer::text("x".repeat(Content::INLINE_LIMIT))),
            "talk" => {
                for n in 0..6_000 {
                    host.log(LogLine { stream: LogStream::Note, text: format!("line {n}") });
                }
                Ok(Answer::default())
            }
            "wait" => {
                self.release.0.acquire().await.unwrap().forget();
                Ok(Answer::text("released"))
            }
            "stop once" if work.attempt.0 == 1 => {
                host.cancelled().await;
                Err(Failure::new(ErrorClass::Cancelled, "told to stop"))
            }
            "exclusive" => {
                self.work_alone().await;
                if work.attempt.0 == 1 && work.task.as_str().ends_with('1') {
                    // Tried again at once.
                    return Err(Failure::new(ErrorClass::Crashed, "died"));
                }
                Ok(Answer::default())
            }
            "log in" if self.asked().len() < 2 => {
                Err(Failure::new(ErrorClass::Auth, "the key was refused"))
            }
            "ask" => Ok(Answer::text(host.ask("which colour?", None).await?)),
            "list" => Ok(Answer::json(json!((0..8_000).collect::<Vec<u32>>()))),
            "manage" => Ok(Answer::json(json!({ "tasks": {
                "more": { "agent": "a", "prompt": "added" },
                "most": { "agent": "a", "prompt": "<{{ tasks.more.output }}>", "needs": ["more"] },
            } }))),
            "mismanage" => Ok(Answer::json(json!({ "tasks": {
                "more": { "agent": "nobody", "prompt": "added" },
            } }))),
            prompt => {
                if let Some(commands) = prompt.strip_prefix("permit ") {
                    let mut said = Vec::new();
                    for command in commands.split(';') {
                        said.push(self.permit(command, host).await?);
                    }
                    return Ok(Answer::json(json!(said)));
                }
                if let Some(commands) = prompt.strip_prefix("permit-at-once ") {
                    let asked = commands.split(';').map(|command| self.permit(command, host));
                    return Ok(Answer::json(json!(try_join_all(asked).await?)));
                }
                if let Some(command) = prompt.strip_prefix("change its mind ") {
                    let _ = self.permit(command, host).now_or_never();
                    return Ok(Answer::text(host.ask("which colour?", None).await?));
                }
                if let Some(count) = prompt.strip_prefix("listen ") {
                    return self.listen(count.parse().unwrap(), host).await;
                }
                if let Some(names) = prompt.strip_prefix("go on ") {
                    let known = host.recorded().await?;
                    let known: Vec<_> =
                        known.iter().map(|turn| (turn.number.0, &turn.output)).collect();
                    let known = format!("{} ", json!(known));
                    let more = self.take_turns(names, host).await?;
                    return Ok(Answer::text(known + more.output.as_str().unwrap()));
                }
                if let Some(names) = prompt.strip_prefix("turns ") {
                    return self.take_turns(names, host).await;
                }
                Ok(Answer::text(prompt.to_uppercase()))
            }
        }
    }

    fn steerable(&self) -> bool {
        self.steerable
    }
}

/// How long a permission is waited for.
const PERMIT: Duration = Duration::from_secs(60);

/// A clock that follows tokio's, so that paused tests do not wait.
struct Virtual(tokio::time::Instant);

#[async_trait]
impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    async fn until(&self, at: Timestamp) {
        tokio::time::sleep_until(self.0 + Duration::from_millis(at.0)).await;
    }
}

struct World {
    agent: Arc<Scripted>,
    store: Arc<MemoryStore>,
    engine: Engine,
}

impl World {
    fn new() -> Self {
        Self::over(Arc::new(MemoryStore::default()), "one")
    }

    fn over(store: Arc<MemoryStore>, owner: &str) -> Self {
        Self::with(store, owner, Scripted::default(), |builder| builder)
    }

    fn with(
        store: Arc<MemoryStore>,
        owner: &str,
        agent: Scripted,
        change: impl FnOnce(EngineBuilder) -> EngineBuilder,
    ) -> Self {
        let agent = Arc::new(agent);
        let builder = Engine::builder()
            .store(store.clone())
            .clock(Arc::new(Virtual(tokio::time::Instant::now())))
            .owner(OwnerId::new(owner).unwrap())
            .own_agent("a", agent.clone())
            .unwrap();
        Self { agent, store, engine: change(builder).build() }
    }

    async fn start(&self, tasks: Value) -> RunHandle {
        self.start_with(json!({ "name": "w", "tasks": tasks }), json!({})).await
    }

    /// Starts `document`; `library` holds what it may start in turn.
    async fn start_with(&self, document: Value, library: Value) -> RunHandle {
        let parse = |document: &Value| Arc::new(Workflow::parse(document).unwrap());
        let mut start = StartRun::new(parse(&document));
        let library = library.as_object().unwrap();
        start.library = library.iter().map(|(name, d)| (name.clone(), parse(d))).collect();
        self.engine.start(start).await.unwrap()
    }

    /// Where every run of the store stands, the oldest first.
    async fn statuses(&self) -> Vec<RunStatus> {
        let page = Page { limit: 100, ..Page::default() };
        let rows = self.store.runs(&RunFilter::default(), &page).await.unwrap().items;
        rows.into_iter().rev().map(|row| row.status).collect()
    }

    /// How many events of that kind the log of `run` has.
    async fn count(&self, run: &RunId, kind: &str) -> usize {
        self.log(run).await.iter().filter(|recorded| recorded.event.kind() == kind).count()
    }

    async fn reached(&self, handle: &RunHandle, status: RunStatus) {
        handle.status().wait_for(|now| *now == status).await.unwrap();
    }

    async fn log(&self, run: &RunId) -> Vec<Recorded> {
        self.store.events(run, Sequence(0), 1_000_000).await.unwrap()
    }

    /// Waits until something in the log of `run` fits.
    async fn until(&self, run: &RunId, fits: impl Fn(&Event) -> bool) {
        while !self.log(run).await.iter().any(|recorded| fits(&recorded.event)) {
            tokio::task::yield_now().await;
        }
    }

    fn asked(&self) -> Vec<String> {
        self.agent.asked()
    }
}

fn ask(prompt: &str, needs: &[&str]) -> Value {
    json!({ "agent": "a", "prompt": prompt, "needs": needs })
}
