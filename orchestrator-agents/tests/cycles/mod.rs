//! Cycles of an agent whose program starts others, hangs, and is stopped: what is left afterwards.

use async_trait::async_trait;
use orchestrator_agents::{
    coding::{ClaudeCode, CodingAgent, Limits},
    command::Environment,
};
use orchestrator_core::{
    agent::{AgentSpec, Role},
    error::{ErrorClass, Failure},
    id::{AgentName, ProviderName, RunId, TaskName},
    port::{Agent, Assignment, AttemptHost, LogLine, Progress, Work},
    time::Timestamp,
};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Ignores that it is asked to end, as do a child of its own and one in a session of its own.
const PROGRAM: &str = r#"
trap '' TERM
(trap '' TERM; sleep 600) &
setsid sh -c "trap '' TERM; sleep 600; true" &
echo '{"type":"system","subtype":"init","session_id":"s","model":"m","claude_code_version":"2.1.329"}'
sleep 600
"#;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Processes that a program had started.
    pub(crate) processes: usize,
    /// Descriptors of this process beyond those at the beginning.
    pub(crate) descriptors: usize,
    /// The slowest stop.
    pub(crate) slowest: Duration,
}

/// Stops it as soon as it works.
#[derive(Default)]
struct Stopper {
    works: Notify,
}

#[async_trait]
impl AttemptHost for Stopper {
    fn log(&self, _: LogLine) {}

    fn progress(&self, _: Progress) {}

    async fn cancelled(&self) {
        self.works.notified().await;
    }

    async fn session(&self, _: &str) -> Result<(), Failure> {
        self.works.notify_one();
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

/// Starts and stops the program `cycles` times in `directory`, `at_once` at a time.
pub(crate) async fn run(cycles: usize, at_once: usize, directory: &Path) -> Left {
    // What the runtime opens once is opened first.
    one(directory, 0).await;
    let before = descriptors();
    let mut slowest = Duration::ZERO;
    for first in (0..cycles).step_by(at_once) {
        let count = at_once.min(cycles - first);
        let all = (first..first + count).map(|number| one(directory, number + 1));
        for took in futures_util::future::join_all(all).await {
            slowest = slowest.max(took);
        }
    }
    Left { processes: marked(), descriptors: descriptors().saturating_sub(before), slowest }
}

/// One cycle: how long the stop took.
async fn one(directory: &Path, number: usize) -> Duration {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let environment = Environment::from_vars([("PATH".into(), path)], &[]);
    let command = ["/bin/sh", "-c", PROGRAM].map(str::to_owned).to_vec();
    let limits = Limits { grace: Duration::from_millis(100), ..Limits::default() };
    let homes = directory.join("homes");
    let agent = CodingAgent::new(Arc::new(ClaudeCode), command, environment, homes).limits(limits);
    let name = |text: &str| AgentName::new(text).expect("a name");
    let provider = ProviderName::new("claude-code").expect("a name");
    let spec = Arc::new(AgentSpec::new(name("a"), Role::Dev, provider));
    let run = RunId::new(format!("r_{number}")).expect("an id");
    let task = TaskName::new("t").expect("a name");
    let mut assignment = Assignment::new(run, task, spec, Work::Prompt("hang".into()));
    assignment.project = directory.to_owned();
    let (host, mut begun) = (Stopper::default(), Instant::now());
    let ended = {
        let mut work = std::pin::pin!(agent.perform(&assignment, &host));
        tokio::select! {
            biased;
            ended = &mut work => ended,
            () = host.works.notified() => {
                begun = Instant::now();
                host.works.notify_one();
                work.await
            }
        }
    };
    let failure = ended.expect_err("it never ends by itself");
    assert_eq!(failure.class, ErrorClass::Cancelled, "{failure}");
    begun.elapsed()
}

/// How many descriptors this process has.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default()
}

/// How many processes live that carry a mark of this process's programs.
fn marked() -> usize {
    let mark = format!("ORCHESTRATOR_MARK={}-", std::process::id());
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let carries = |process: &fs::DirEntry| {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(mark.as_bytes()))
    };
    numbers.filter(carries).count()
}
