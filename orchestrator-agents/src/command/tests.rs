use super::*;
use orchestrator_core::{
    agent::{AgentSpec, Role},
    id::{AgentName, ProviderName, RunId, TaskName},
    port::Progress,
    time::Timestamp,
    workspace::{Opened, WorkspaceKind},
};
use orchestrator_workspace::process::{HEAD, TAIL};
use serde_json::json;
use std::{
    fs,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::sync::Notify;

mod owned;

/// Keeps what is logged, and stops the attempt on a line that says so or when told.
#[derive(Default)]
struct Host {
    lines: Mutex<Vec<LogLine>>,
    stop_at: Option<&'static str>,
    stop: Notify,
}

#[async_trait]
impl AttemptHost for Host {
    fn log(&self, line: LogLine) {
        if self.stop_at.is_some_and(|text| text == line.text) {
            self.stop.notify_one();
        }
        self.lines.lock().unwrap().push(line);
    }

    fn progress(&self, _: Progress) {}

    async fn cancelled(&self) {
        self.stop.notified().await;
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

impl Host {
    fn stopping_at(text: &'static str) -> Self {
        Self { stop_at: Some(text), ..Self::default() }
    }

    fn texts(&self, stream: LogStream) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.stream == stream).map(|line| line.text.clone()).collect()
    }
}

fn agent() -> CommandAgent {
    let offered = std::env::vars_os().chain([("API_KEY".into(), "hunter2".into())]);
    CommandAgent::new(Environment::from_vars(offered, &[])).grace(Duration::from_millis(300))
}

fn assignment(dir: &Path, words: &[&str]) -> Assignment {
    let spec = AgentSpec::new(
        AgentName::new("command").unwrap(),
        Role::Own("command".into()),
        ProviderName::new("command").unwrap(),
    );
    let work = Work::Command(words.iter().map(|word| (*word).to_owned()).collect());
    let (run, task) = (RunId::new("r_1").unwrap(), TaskName::new("build").unwrap());
    let mut assignment = Assignment::new(run, task, Arc::new(spec), work);
    assignment.project = dir.to_path_buf();
    assignment
}

async fn run(words: &[&str]) -> Result<Answer, Failure> {
    let dir = tempfile::tempdir().unwrap();
    agent().perform(&assignment(dir.path(), words), &Host::default()).await
}

#[tokio::test]
async fn a_program_works_in_its_workspace_with_what_that_gives_it() {
    let (project, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let script = "pwd; echo $ORCHESTRATOR_PORT $ORCHESTRATOR_TASK; touch made";
    let mut assignment = assignment(project.path(), &["sh", "-c", script]);
    assignment.workspace = Some(Arc::new(Opened {
        kind: WorkspaceKind::Worktree,
        directory: place.path().to_path_buf(),
        base: None,
        branch: None,
        environment: [
            ("ORCHESTRATOR_PORT".to_owned(), "41000".to_owned()),
            // What the engine says of the attempt is not for a workspace to change.
            ("ORCHESTRATOR_TASK".to_owned(), "another".to_owned()),
        ]
        .into(),
        sandbox: "off".into(),
    }));
    let host = Host::default();
    agent().perform(&assignment, &host).await.unwrap();
    let said = host.texts(LogStream::Stdout);
    let there = fs::canonicalize(place.path()).unwrap();
    assert_eq!(fs::canonicalize(&said[0]).unwrap(), there);
    assert_eq!(said[1], "41000 build");
    assert!(place.path().join("made").exists() && !project.path().join("made").exists());
}

/// What the system says of one process.
struct Seen {
    pid: String,
    parent: String,
    state: char,
    args: String,
}

/// Every process: from `/proc` where there is one, since `ps` is not on every machine.
fn processes() -> Vec<Seen> {
    let Ok(all) = fs::read_dir("/proc/self/..") else {
        let args = ["-A", "-o", "pid=,ppid=,stat=,args="];
        let all = std::process::Command::new("ps").args(args).output().unwrap().stdout;
        let all = String::from_utf8_lossy(&all).into_owned();
        return all.lines().filter_map(|line| seen(line.trim())).collect();
    };
    all.filter_map(|entry| {
        let dir = entry.ok()?.path();
        let stat = fs::read_to_string(dir.join("stat")).ok()?;
        let args = fs::read(dir.join("cmdline")).ok()?;
        let args = String::from_utf8_lossy(&args).replace('\0', " ");
        // The name in parentheses may hold anything; after it come state and parent.
        let (state, parent) = stat.rsplit_once(')')?.1.trim().split_once(' ')?;
        let (parent, pid) = (parent.split(' ').next()?, stat.split(' ').next()?);
        seen(&format!("{pid} {parent} {state} {args}"))
    })
    .collect()
}

fn seen(line: &str) -> Option<Seen> {
    let mut words = line.split_whitespace();
    Some(Seen {
        pid: words.next()?.to_owned(),
        parent: words.next()?.to_owned(),
        state: words.next()?.chars().next()?,
        args: words.collect::<Vec<_>>().join(" "),
    })
}

/// Whether process `pid` runs: one that waits to be reaped by whoever inherited it does not.
fn runs(pid: &str) -> bool {
    processes().iter().any(|process| process.pid == pid && process.state != 'Z')
}

/// Looks, a bounded number of times, until process `pid` does not run any more.
async fn goes(pid: &str) -> bool {
    for _ in 0..20_000 {
        if !runs(pid) {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// Names the test that runs as a process of its own, and the directory that it is to use.
const ALONE: &str = "ORCHESTRATOR_TEST_DIRECTORY";

/// The command that runs the test `name` alone in a process of its own.
fn alone(name: &str, dir: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("command::tests::{name}"), "--test-threads=1"]);
    command.env(ALONE, dir).stdout(Stdio::null());
    command
}

#[tokio::test]
async fn the_output_is_text_without_its_last_newline() {
    let check = async |script: &str, expected: &str| {
        let answer = run(&["sh", "-c", script]).await.unwrap();
        assert_eq!(answer.output, Value::String(expected.into()), "{script}");
        assert_eq!(answer.artifacts, []);
    };
    check("printf 'one\\ntwo\\n\\n'", "one\ntwo\n").await;
    check("printf 'one\\r\\n'", "one").await;
    check("printf 'none'", "none").await;
    check("true", "").await;
    check("printf 'a\\377b'", "a\u{fffd}b").await;
}

#[tokio::test]
async fn arguments_are_passed_as_they_are() {
    let answer = run(&["printf", "%s|", "a b", "$HOME", "*", "'", ""]).await.unwrap();
    assert_eq!(answer.output, json!("a b|$HOME|*|'||"));
}

#[tokio::test]
async fn json_is_read_where_the_task_has_a_schema() {
    let dir = tempfile::tempdir().unwrap();
    let check = async |script: &str| {
        let mut assignment = assignment(dir.path(), &["sh", "-c", script]);
        assignment.output_schema = Some(Arc::new(json!({ "type": "object" })));
        agent().perform(&assignment, &Host::default()).await
    };
    let answer = check("printf '{\"n\": [1, null]}\\n'").await.unwrap();
    assert_eq!(answer.output, json!({ "n": [1, null] }));
    for bad in ["echo words", "true", "echo '{} {}'"] {
        let failure = check(bad).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadOutput, "{bad}: {failure}");
    }
}

#[tokio::test]
async fn each_end_has_its_class() {
    let check = async |words: &[&str], class: ErrorClass, says: &str| {
        let failure = run(words).await.unwrap_err();
        assert_eq!(failure.class, class, "{words:?}: {failure}");
        assert!(failure.message.contains(says), "{words:?}: {failure}");
    };
    use ErrorClass::{Crashed, InvalidRequest, TimedOut, ToolFailed};
    check(&["sh", "-c", "echo why >&2; exit 3"], ToolFailed, "exit code 3").await;
    check(&["sh", "-c", "echo why >&2; exit 3"], ToolFailed, "why").await;
    check(&["sh", "-c", "echo only here; exit 1"], ToolFailed, "only here").await;
    check(&["sh", "-c", "exit 124"], TimedOut, "124").await;
    check(&["sh", "-c", "no-such-program-here"], InvalidRequest, "127").await;
    check(&["sh", "-c", "kill -KILL $$"], Crashed, "SIGKILL").await;
    check(&["sh", "-c", "kill -KILL 0"], Crashed, "SIGKILL").await;
    check(&["sh", "-c", "kill -SEGV $$"], Crashed, "SIGSEGV").await;
    check(&["sh", "-c", "exit 143"], Crashed, "SIGTERM").await;
    check(&["no-such-program-here"], InvalidRequest, "`no-such-program-here`").await;
    check(&["no-such-program-here"], InvalidRequest, "/bin").await;
    check(&["/etc/passwd"], InvalidRequest, "chmod").await;
    check(&["./none"], InvalidRequest, "no such program").await;
    check(&["sh", "a\0b"], InvalidRequest, "NUL").await;
    check(&[], InvalidRequest, "empty command").await;
    let long = "x".repeat(3_000_000);
    check(&["true", &long], InvalidRequest, "too long").await;
}

#[tokio::test]
async fn a_missing_project_is_named() {
    let assignment = assignment(Path::new("/no/such/project"), &["true"]);
    let failure = agent().perform(&assignment, &Host::default()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidRequest);
    assert!(failure.message.contains("/no/such/project"), "{failure}");
}

#[tokio::test]
async fn the_environment_is_scrubbed_and_says_which_attempt_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let answer = agent()
        .perform(&assignment(dir.path(), &["sh", "-c", "env; pwd; cat"]), &Host::default())
        .await
        .unwrap();
    let text = answer.output.as_str().unwrap();
    assert!(!text.contains("hunter2") && !text.contains("CARGO"), "{text}");
    for expected in [
        "TERM=dumb",
        "ORCHESTRATOR_RUN=r_1",
        "ORCHESTRATOR_TASK=build",
        "ORCHESTRATOR_ATTEMPT=1",
        "ORCHESTRATOR_IDEMPOTENCY_KEY=r_1.build.1",
        dir.path().canonicalize().unwrap().to_str().unwrap(),
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected} in {text}");
    }
}

#[tokio::test]
async fn lines_are_logged_as_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let script = "printf 'a\\r\\n\\nb'; echo e >&2; head -c 100000 /dev/zero | tr '\\0' x >&2";
    let host = Host::default();
    agent().perform(&assignment(dir.path(), &["sh", "-c", script]), &host).await.unwrap();
    assert_eq!(host.texts(LogStream::Stdout), ["a", "", "b"]);
    let errors = host.texts(LogStream::Stderr);
    assert_eq!(errors[0], "e");
    assert!(errors[1].ends_with("xxx [91808 more bytes in this line]"), "{}", errors[1].len());
}

#[tokio::test]
async fn large_output_is_bounded_in_memory_and_whole_in_an_artifact() {
    let answer = run(&["sh", "-c", "seq 200000; seq 3 >&2"]).await.unwrap();
    let text = answer.output.as_str().unwrap();
    assert!(text.len() < HEAD + TAIL + 100, "{}", text.len());
    assert!(text.starts_with("1\n2\n") && text.ends_with("\n200000"));
    assert!(text.contains("bytes are left out here"));
    let [artifact] = &answer.artifacts[..] else { panic!("{}", answer.artifacts.len()) };
    assert_eq!(artifact.name, "stdout.txt");
    let whole: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(artifact.bytes == whole.as_bytes(), "{} bytes", artifact.bytes.len());
}

#[tokio::test]
async fn what_exceeds_every_bound_is_cut_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::default();
    let words = ["head", "-c", "70000000", "/dev/zero"];
    let answer = agent().perform(&assignment(dir.path(), &words), &host).await.unwrap();
    assert_eq!(answer.artifacts[0].bytes.len(), 64 * 1024 * 1024);
    let notes = host.texts(LogStream::Note);
    assert!(notes[0].contains("70000000"), "{notes:?}");
}

#[tokio::test]
async fn a_stop_ends_the_program_and_its_orphans() {
    let dir = tempfile::tempdir().unwrap();
    // An orphan that ignores the polite request, and a leader that waits for nobody.
    let script = "(trap '' TERM; sleep 1000 & echo $! > orphan; wait) & \
                  while [ ! -s orphan ]; do sleep 0.01; done; echo ready; sleep 1000";
    let host = Host::stopping_at("ready");
    let failure =
        agent().perform(&assignment(dir.path(), &["sh", "-c", script]), &host).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Cancelled);
    let orphan = fs::read_to_string(dir.path().join("orphan")).unwrap();
    assert!(goes(orphan.trim()).await, "the orphan lives");
}

#[tokio::test]
async fn a_program_that_will_not_end_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
    let host = Host::stopping_at("ready");
    let agent = agent().grace(Duration::from_millis(50));
    let result = agent.perform(&assignment(dir.path(), &["sh", "-c", script]), &host).await;
    assert_eq!(result.unwrap_err().class, ErrorClass::Cancelled);
}

#[tokio::test]
async fn a_program_may_use_its_grace() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap 'echo tidied > tidy; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let host = Host::stopping_at("ready");
    let agent = agent().grace(Duration::from_secs(30));
    let result = agent.perform(&assignment(dir.path(), &["sh", "-c", script]), &host).await;
    assert_eq!(result.unwrap_err().class, ErrorClass::Cancelled);
    assert_eq!(fs::read_to_string(dir.path().join("tidy")).unwrap(), "tidied\n");
}

#[tokio::test]
async fn the_time_limit_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut assignment = assignment(dir.path(), &["sleep", "1000"]);
    assignment.timeout = Some(Duration::from_millis(30));
    let failure = agent().perform(&assignment, &Host::default()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::TimedOut);
    assert!(failure.message.contains("30ms"), "{failure}");
}

#[tokio::test]
async fn what_the_program_leaves_behind_goes_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > orphan";
    let words = ["sh", "-c", script];
    agent().perform(&assignment(dir.path(), &words), &Host::default()).await.unwrap();
    let orphan = fs::read_to_string(dir.path().join("orphan")).unwrap();
    assert!(goes(orphan.trim()).await, "the orphan lives");
}

/// A program that writes its own number into `pid` in `dir`, and then stays.
async fn staying(dir: &TempDir) -> (tokio::task::JoinHandle<()>, String) {
    let assignment = assignment(dir.path(), &["sh", "-c", "echo $$ > new; mv new pid; sleep 1000"]);
    let file = dir.path().join("pid");
    let work = tokio::spawn(async move {
        let _ = agent().perform(&assignment, &Host::default()).await;
    });
    loop {
        if let Ok(pid) = fs::read_to_string(&file) {
            return (work, pid.trim().to_owned());
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dropped_attempt_takes_its_program_along() {
    let dir = tempfile::tempdir().unwrap();
    let (work, pid) = staying(&dir).await;
    assert!(runs(&pid));
    work.abort();
    assert!(goes(&pid).await, "the program lives");
}

#[tokio::test]
async fn nothing_leaks_over_many_starts_and_stops() {
    // In a process of its own: other tests open files and start programs too.
    let Some(dir) = std::env::var_os(ALONE) else {
        let dir = tempfile::tempdir().unwrap();
        let status = alone("nothing_leaks_over_many_starts_and_stops", dir.path()).status();
        assert!(status.unwrap().success());
        return;
    };
    let open = || fs::read_dir("/dev/fd").unwrap().count();
    let cycle = async |number: usize| {
        let host = Host::stopping_at("ready");
        let words: &[&str] = match number % 3 {
            0 => &["sh", "-c", "echo ready; sleep 1000"],
            1 => &["sh", "-c", "sleep 1000 & true"],
            _ => &["no-such-program-here"],
        };
        let _ = agent().perform(&assignment(Path::new(&dir), words), &host).await;
    };
    // The first of each kind opens what stays open: the runtime's own.
    for number in 0..3 {
        cycle(number).await;
    }
    let before = open();
    for number in 0..50 {
        cycle(number).await;
    }
    assert_eq!(open(), before, "file descriptors");
    let me = std::process::id().to_string();
    let children: Vec<_> =
        processes().into_iter().filter(|p| p.parent == me && !p.args.starts_with("ps ")).collect();
    assert!(children.is_empty(), "{}", children[0].args);
}

#[tokio::test]
async fn a_program_does_not_outlive_a_killed_engine() {
    if let Some(dir) = std::env::var_os(ALONE) {
        let script = "echo $$ > new; mv new pid; sleep 1000";
        let assignment = assignment(Path::new(&dir), &["sh", "-c", script]);
        let _ = agent().perform(&assignment, &Host::default()).await;
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut engine =
        alone("a_program_does_not_outlive_a_killed_engine", dir.path()).spawn().unwrap();
    let pid = loop {
        match fs::read_to_string(dir.path().join("pid")) {
            Ok(pid) => break pid.trim().to_owned(),
            _ => assert!(engine.try_wait().unwrap().is_none(), "the engine ended early"),
        }
        tokio::task::yield_now().await;
    };
    assert!(runs(&pid));
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert!(goes(&pid).await, "the program outlives its engine");
}
