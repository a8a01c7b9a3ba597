//! Nothing that a program starts outlives it, nor the engine, whenever and however that ends.

use super::*;
use rustix::process::{Signal, getpid, kill_process};
use std::{os::unix::process::ExitStatusExt, process::Child, time::Instant};

/// Runs this test's `engine` part in a process of its own, when this is not that process.
fn engine(name: &str, dir: &Path) -> Child {
    alone(&format!("owned::{name}"), dir).spawn().unwrap()
}

fn place() -> Option<std::path::PathBuf> {
    std::env::var_os(ALONE).map(Into::into)
}

/// What a program wrote into the file `pid`, once it is there.
async fn written(dir: &Path, engine: &mut Child) -> String {
    loop {
        if let Ok(pid) = fs::read_to_string(dir.join("pid")) {
            return pid.trim().to_owned();
        }
        assert!(engine.try_wait().unwrap().is_none(), "the engine ended early");
        tokio::task::yield_now().await;
    }
}

/// The watchers that process `engine` has started and that live.
fn watchers(engine: &Child) -> Vec<String> {
    let id = engine.id().to_string();
    let is_watcher = |p: &Seen| p.parent == id && p.state != 'Z' && p.args.contains("kill -s KILL");
    processes().into_iter().filter(is_watcher).map(|p| p.pid).collect()
}

fn end(engine: &mut Child) {
    engine.kill().unwrap();
    engine.wait().unwrap();
}

#[tokio::test]
async fn a_program_does_not_outlive_an_engine_killed_at_any_moment() {
    const NAME: &str = "a_program_does_not_outlive_an_engine_killed_at_any_moment";
    if let Some(dir) = place() {
        let micros = fs::read_to_string(dir.join("moment")).unwrap().parse().unwrap();
        std::thread::spawn(move || {
            let since = Instant::now();
            while since.elapsed() < Duration::from_micros(micros) {
                std::hint::spin_loop();
            }
            let _ = kill_process(getpid(), Signal::KILL);
        });
        // Its place is among its arguments, so that it is found.
        let script = "while :; do sleep 1000; done";
        let work = assignment(&dir, &["sh", "-c", script, dir.to_str().unwrap()]);
        let (agent, host) = (agent(), Host::default());
        let run = || agent.perform(&work, &host);
        let _ = tokio::join!(run(), run(), run(), run(), run(), run());
        return;
    }
    // The programs are started within some milliseconds.
    for micros in (0..8_000).step_by(200) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("moment"), micros.to_string()).unwrap();
        let path = dir.path().to_str().unwrap();
        // One that was started but is not itself yet still looks like the engine.
        let is_left = |p: &Seen| {
            p.state != 'Z'
                && (p.args.contains(path)
                    || p.args.contains(NAME) && p.args.contains("--test-threads=1"))
        };
        let status = engine(NAME, dir.path()).wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "the engine ended early");
        let mut looks = 0;
        while let Some(left) = processes().into_iter().find(is_left) {
            looks += 1;
            assert!(looks < 5_000, "{micros} us: {} outlives its engine", left.args);
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn the_signals_of_the_group_do_not_end_the_watch() {
    if let Some(dir) = place() {
        let script = "for s in HUP INT QUIT USR1 USR2 PIPE ALRM TERM; do \
                      trap '' $s; kill -s $s 0; done; echo $$ > new; mv new pid; sleep 1000";
        let _ = agent().perform(&assignment(&dir, &["sh", "-c", script]), &Host::default()).await;
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut engine = engine("the_signals_of_the_group_do_not_end_the_watch", dir.path());
    let pid = written(dir.path(), &mut engine).await;
    // A shell that was hit before it could ignore anything has had another put in its place.
    while watchers(&engine).is_empty() {
        assert!(engine.try_wait().unwrap().is_none(), "the engine ended early");
        tokio::task::yield_now().await;
    }
    assert!(runs(&pid));
    end(&mut engine);
    assert!(goes(&pid).await, "the program outlives its engine");
}

#[tokio::test]
async fn a_watcher_that_is_ended_is_relieved() {
    if let Some(dir) = place() {
        let script = "echo $$ > new; mv new pid; sleep 1000";
        let _ = agent().perform(&assignment(&dir, &["sh", "-c", script]), &Host::default()).await;
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut engine = engine("a_watcher_that_is_ended_is_relieved", dir.path());
    let pid = written(dir.path(), &mut engine).await;
    for _ in 0..3 {
        let first = watchers(&engine);
        assert_eq!(first.len(), 1, "{first:?}");
        let kill = ["-s", "KILL", &first[0]];
        assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
        while watchers(&engine).is_empty() || watchers(&engine) == first {
            assert!(engine.try_wait().unwrap().is_none(), "the engine ended early");
            tokio::task::yield_now().await;
        }
    }
    assert!(runs(&pid));
    end(&mut engine);
    assert!(goes(&pid).await, "the program outlives its engine");
}

#[tokio::test]
async fn a_program_without_streams_is_owned_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let script = "exec <&- >&- 2>&-; echo $$ > pid; sleep 1000";
    let mut assignment = assignment(dir.path(), &["sh", "-c", script]);
    assignment.timeout = Some(Duration::from_millis(300));
    let failure = agent().perform(&assignment, &Host::default()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::TimedOut);
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
    assert!(goes(pid.trim()).await, "the program lives");
}

/// What leaves the group: `setsid` is of Linux, as is the way in which strays are found.
#[cfg(target_os = "linux")]
mod strays {
    use super::*;

    /// Starts a process with a session of its own, whose starter is gone, and waits for its number.
    const LEAVE: &str = "(setsid sh -c 'trap \"\" TERM HUP; echo $$ > new; mv new pid; \
                         while :; do sleep 1000; done' &); while [ ! -e pid ]; do sleep 0.01; done";

    #[tokio::test]
    async fn a_daemon_ends_with_its_program() {
        let check = async |rest: &str, expected: Option<ErrorClass>| {
            let dir = tempfile::tempdir().unwrap();
            let script = format!("{LEAVE}; echo ready; {rest}");
            let host = match expected {
                Some(ErrorClass::Cancelled) => Host::stopping_at("ready"),
                _ => Host::default(),
            };
            let result =
                agent().perform(&assignment(dir.path(), &["sh", "-c", &script]), &host).await;
            assert_eq!(result.err().map(|failure| failure.class), expected, "{rest}");
            let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
            // It is gone by now, not soon.
            assert!(!runs(pid.trim()), "{rest}: the daemon lives");
        };
        check("true", None).await;
        check("exit 3", Some(ErrorClass::ToolFailed)).await;
        check("kill -KILL $$", Some(ErrorClass::Crashed)).await;
        check("sleep 1000", Some(ErrorClass::Cancelled)).await;
    }

    #[tokio::test]
    async fn a_daemon_does_not_outlive_a_killed_engine() {
        if let Some(dir) = place() {
            let script = format!("{LEAVE}; sleep 1000");
            let words = ["sh", "-c", &script];
            let _ = agent().perform(&assignment(&dir, &words), &Host::default()).await;
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut engine = engine("strays::a_daemon_does_not_outlive_a_killed_engine", dir.path());
        let pid = written(dir.path(), &mut engine).await;
        assert!(runs(&pid));
        end(&mut engine);
        assert!(goes(&pid).await, "the daemon outlives the engine");
    }

    #[tokio::test]
    async fn a_program_that_leaves_its_group_is_still_asked_to_end() {
        let dir = tempfile::tempdir().unwrap();
        let script =
            "trap 'echo tidied > tidy; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let host = Host::stopping_at("ready");
        let agent = agent().grace(Duration::from_secs(30));
        let words = ["setsid", "sh", "-c", script];
        let result = agent.perform(&assignment(dir.path(), &words), &host).await;
        assert_eq!(result.unwrap_err().class, ErrorClass::Cancelled);
        assert_eq!(fs::read_to_string(dir.path().join("tidy")).unwrap(), "tidied\n");
    }

    #[tokio::test]
    async fn a_program_of_another_task_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (work, pid) = staying(&dir).await;
        run(&["sh", "-c", "setsid sleep 1000 & true"]).await.unwrap();
        assert!(runs(&pid), "another task's program was ended");
        work.abort();
        assert!(goes(&pid).await);
    }
}
