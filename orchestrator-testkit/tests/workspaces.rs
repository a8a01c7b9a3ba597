//! Attempts in places of their own: opened, worked in, recorded, proved, landed; and what follows
//! when that fails, is stopped, or the engine dies in between.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

#[path = "workspaces/feedback.rs"]
mod feedback;
#[path = "workspaces/flow.rs"]
mod flow;
#[path = "workspaces/landing.rs"]
mod landing;
#[path = "workspaces/stop.rs"]
mod stop;

use async_trait::async_trait;
use orchestrator_core::{
    agent::{AgentSpec, Role},
    engine::{Engine, EngineBuilder, RunHandle, RunReport},
    event::{Event, Recorded, Reply, Verdict as Said},
    id::{AgentName, OwnerId, ProviderName, RunId, Sequence, TaskName},
    memory::{MemoryBlobs, MemoryStore},
    port::{Agent, Answer, Assignment, AttemptHost, Blobs, Call, Clock, Store, turn},
    prelude::{ErrorClass, Failure, RunStatus, StartRun, TaskStatus, Workflow},
    run::Run,
    time::Timestamp,
    workspace::Verdict,
};
use orchestrator_testkit::workspaces::{Heard, MemoryWorkspaces, Script};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

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

/// An agent that writes the files that its prompt names, as `path=text`, each as a turn.
struct Writer {
    places: Arc<MemoryWorkspaces>,
    /// Every time that it was asked: the task, and what it was told.
    asked: Mutex<Vec<(String, Vec<String>)>>,
    /// Every file that it wrote in a turn of its own.
    written: Mutex<Vec<String>>,
}

impl Writer {
    fn write(&self, directory: &Path, word: &str) {
        if let Some((path, text)) = word.split_once('=') {
            self.places.write(directory, path, text);
        }
    }
}

#[async_trait]
impl Agent for Writer {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        let told: Vec<String> =
            work.feedback.iter().map(|told| format!("{}: {}", told.from, told.message)).collect();
        self.asked.lock().unwrap().push((work.task.to_string(), told.clone()));
        let directory = work.directory().to_owned();
        // What it is sent back for it mends, and leaves the rest as it is.
        if !told.is_empty() {
            for path in ["a", "b", "shared"] {
                if let Some(text) = self.places.read(&directory, path)
                    && (text.contains("bad") || text.contains("<<<<<<<"))
                {
                    self.places.write(&directory, path, &format!("mended by {}", work.task));
                }
            }
            return Ok(Answer::text(format!("{} is mended", work.task)));
        }
        for word in work.prompt().split_whitespace() {
            match word {
                "hang" => std::future::pending().await,
                "hang-once" if work.attempt.0 == 1 => std::future::pending().await,
                "hang-once" | "mend" => {}
                "late" => host.cancelled().await,
                "asking" => return Ok(Answer::text(work.prompt())),
                "fail" => return Err(Failure::new(ErrorClass::Refused, "it will not")),
                "flaky" if work.attempt.0 == 1 => {
                    return Err(Failure::new(ErrorClass::Transient, "a reset"));
                }
                "flaky" => {}
                word => {
                    let call = Call::new("tool", "write", word);
                    turn(host, &call, |_| async {
                        self.written.lock().unwrap().push(word.to_owned());
                        self.write(&directory, word);
                        Ok((json!(word), Vec::new()))
                    })
                    .await?;
                }
            }
        }
        Ok(Answer::text(format!("{} is done", work.task)))
    }
}

/// An agent that judges: what the change says is good is accepted.
struct Judge(Mutex<Vec<String>>);

#[async_trait]
impl Agent for Judge {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        self.0.lock().unwrap().push(work.prompt().to_owned());
        // Its turns are none of the attempt's.
        turn(host, &Call::new("model", "m", "judge"), |_| async { Ok((json!(1), Vec::new())) })
            .await?;
        let change = work.prompt().split_once("<change>").unwrap().1;
        let accepted = !change.contains("poor");
        Ok(Answer::json(json!({ "accepted": accepted, "reason": "it is poor" })))
    }
}

struct World {
    clock: Arc<Virtual>,
    store: Arc<MemoryStore>,
    blobs: Arc<MemoryBlobs>,
    places: Arc<MemoryWorkspaces>,
    writer: Arc<Writer>,
    judge: Arc<Judge>,
}

impl World {
    fn new(script: Script) -> Self {
        let clock = Arc::new(Virtual(tokio::time::Instant::now()));
        let files = [("a", "1"), ("b", "1"), ("shared", "1")];
        let places = Arc::new(MemoryWorkspaces::new(clock.clone(), &files, script));
        let writer = Arc::new(Writer {
            places: places.clone(),
            asked: Mutex::default(),
            written: Mutex::default(),
        });
        Self {
            clock,
            store: Arc::default(),
            blobs: Arc::default(),
            places,
            writer,
            judge: Arc::new(Judge(Mutex::default())),
        }
    }

    /// Checks that fail while a file says `bad`.
    fn strict() -> Self {
        Self::new(Script::default().judged(|files| {
            match files.values().any(|text| text.contains("bad")) {
                true => Verdict::Failed,
                false => Verdict::Verified,
            }
        }))
    }

    fn builder(&self, owner: &str) -> EngineBuilder {
        let spec = |name: &str, role| {
            AgentSpec::new(AgentName::new(name).unwrap(), role, ProviderName::new(name).unwrap())
        };
        Engine::builder()
            .store(self.store.clone())
            .blobs(self.blobs.clone())
            .clock(self.clock.clone())
            .owner(OwnerId::new(owner).unwrap())
            .dead_when(|_| true)
            .agent(spec("writer", Role::Dev), Arc::new(Shared(self.writer.clone())))
            .agent(spec("judge", Role::Qa), Arc::new(Shared(self.judge.clone())))
    }

    fn engine(&self, owner: &str) -> Engine {
        self.builder(owner).workspaces(self.places.clone()).build()
    }

    async fn start(&self, engine: &Engine, tasks: Value) -> RunHandle {
        let workflow = Workflow::parse(&json!({ "name": "w", "tasks": tasks })).unwrap();
        engine.start(StartRun::new(Arc::new(workflow))).await.unwrap()
    }

    /// Runs the tasks to their end.
    async fn run(&self, tasks: Value) -> (RunReport, Vec<Recorded>) {
        let handle = self.start(&self.engine("one"), tasks).await;
        let run = handle.id().clone();
        let report = handle.wait().await.unwrap();
        (report, self.log(&run).await)
    }

    async fn log(&self, run: &RunId) -> Vec<Recorded> {
        self.store.events(run, Sequence(0), 100_000).await.unwrap()
    }

    async fn until(&self, run: &RunId, fits: impl Fn(&Event) -> bool) {
        while !self.log(run).await.iter().any(|recorded| fits(&recorded.event)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn asked(&self) -> usize {
        self.writer.asked.lock().unwrap().len()
    }

    /// What was asked of the workspaces, in words, checkpoints left out.
    fn heard(&self) -> String {
        let heard = self.places.heard();
        let heard = heard.iter().filter(|heard| heard.what() != "checkpoint");
        heard.map(Heard::what).collect::<Vec<_>>().join(" ")
    }

    fn result(&self, run: &RunId) -> Option<std::collections::BTreeMap<String, String>> {
        self.places.branch(&format!("orchestrator/{run}/result"))
    }
}

/// An agent that the test keeps a hold of.
struct Shared<A>(Arc<A>);

#[async_trait]
impl<A: Agent> Agent for Shared<A> {
    async fn perform(&self, work: &Assignment, host: &dyn AttemptHost) -> Result<Answer, Failure> {
        self.0.perform(work, host).await
    }
}

fn work(prompt: &str, needs: &[&str]) -> Value {
    json!({ "agent": "writer", "prompt": prompt, "needs": needs, "workspace": "worktree",
            "checks": ["make test"] })
}

fn kinds(log: &[Recorded]) -> String {
    let told = log.iter().map(|recorded| recorded.event.kind());
    told.filter(|kind| *kind != "attempt-logged").collect::<Vec<_>>().join(" ")
}

fn count(log: &[Recorded], kind: &str) -> usize {
    log.iter().filter(|recorded| recorded.event.kind() == kind).count()
}

fn name(task: &str) -> TaskName {
    TaskName::new(task).unwrap()
}

/// The run as its log tells it, which has to be what its rows say.
fn folded(log: &[Recorded]) -> Run {
    Run::replay(log).unwrap()
}

fn verified(run: &Run, task: &str) -> Option<bool> {
    run.task(run.place(task).unwrap()).unwrap().verified()
}
