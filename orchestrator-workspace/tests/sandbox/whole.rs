//! What a sandbox is for its caller: proofs, ends, environment, refusals.

use crate::arena::{LAUNCHER, bubblewrap, sh};
use orchestrator_workspace::sandbox::{
    Confinement, Landlock, Limits, NOT_CONFINED, Network, Reads, Sandbox, SandboxError, auto,
};
use std::{ffi::OsString, fs, path::Path, process::Stdio, time::Duration};

fn limits() -> Limits {
    Limits {
        memory: Some(256 << 20),
        processes: Some(64),
        cpu: Some(Duration::from_secs(60)),
        files: Some(256),
        file_size: Some(64 << 20),
    }
}

#[track_caller]
fn proves(sandbox: &Landlock, confinement: &Confinement) {
    let proof = sandbox.prove(confinement).expect("it holds");
    assert!(proof.len() > 25, "{proof:?}");
    assert!(proof.iter().all(|tried| tried.held), "{proof:?}");
}

#[test]
fn it_proves_itself_for_every_kind_of_confinement() {
    let work = tempfile::tempdir().expect("a directory");
    fs::create_dir(work.path().join(".git")).expect("a directory");
    for sandbox in [Landlock::new(LAUNCHER), Landlock::new(LAUNCHER).in_bubblewrap(bubblewrap())] {
        for reads in [Reads::All, Reads::Only(Vec::new())] {
            for network in [
                Network::None,
                Network::Gateway(65_000),
                Network::Only { hosts: vec!["crates.io".into()], gateway: None },
                Network::All,
            ] {
                let writable = vec![work.path().to_owned()];
                let reads = reads.clone();
                let confinement =
                    Confinement { reads, network, writable, ..Confinement::default() };
                proves(&sandbox, &confinement);
            }
        }
        proves(&sandbox, &Confinement { limits: limits(), ..Confinement::default() });
    }
}

#[test]
fn without_namespaces_it_proves_what_is_left_and_refuses_the_rest() {
    let plain = Landlock::new(LAUNCHER).without_namespaces();
    proves(&plain, &Confinement::default());
    let gateway = Confinement { network: Network::Gateway(9), ..Confinement::default() };
    let refused = plain.prove(&gateway).expect_err("not without a network of its own");
    assert!(matches!(refused, SandboxError::Unavailable(_)), "{refused}");
    let work = tempfile::tempdir().expect("a directory");
    fs::create_dir(work.path().join(".git")).expect("a directory");
    let git = Confinement { writable: vec![work.path().into()], ..Confinement::default() };
    let refused = plain.command("true".as_ref(), &[], work.path(), &git).expect_err("not `.git`");
    assert!(refused.to_string().contains("`.git`"), "{refused}");
}

#[test]
fn the_strongest_is_chosen() {
    let chosen = auto(Path::new(LAUNCHER), Some(bubblewrap())).expect("one");
    assert_eq!(chosen.name(), "landlock");
}

#[test]
fn a_launcher_that_does_not_confine_is_found_out() {
    // It runs what it is told to, and says so as a launcher would: nothing of it is confined.
    let dir = tempfile::tempdir().expect("a directory");
    let liar = dir.path().join("liar");
    let script = format!(
        "#!/bin/sh\nshift 3\ncase $2 in sandbox-launch) shift; exec {LAUNCHER} \"$@\";; esac\nexec \"$@\"\n"
    );
    fs::write(&liar, script).expect("a program");
    std::process::Command::new("chmod").arg("+x").arg(&liar).status().expect("chmod");
    let refused = Landlock::new(&liar)
        .command("true".as_ref(), &[], dir.path(), &Confinement::default())
        .expect_err("it leaks");
    let SandboxError::Leaks(what) = refused else { panic!("{refused}") };
    assert!(what.contains("write outside the workspace"), "{what}");
}

#[test]
fn without_a_launcher_nothing_is_started() {
    let dir = tempfile::tempdir().expect("a directory");
    for launcher in ["/nonexistent/launcher", "/bin/true"] {
        let refused = Landlock::new(launcher)
            .command("true".as_ref(), &[], dir.path(), &Confinement::default())
            .expect_err("no launcher");
        assert!(matches!(refused, SandboxError::Unavailable(_)), "{refused}");
    }
}

#[test]
fn contradictions_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let gone = dir.path().join("gone");
    let with = |change: fn(&mut Confinement, &Path)| {
        let mut confinement = Confinement::default();
        change(&mut confinement, &gone);
        Landlock::new(LAUNCHER).command("true".as_ref(), &[], dir.path(), &confinement)
    };
    let changes: [fn(&mut Confinement, &Path); 6] = [
        |confinement, gone| confinement.writable.push(gone.into()),
        |confinement, _| confinement.writable.push("relative".into()),
        |confinement, _| confinement.writable.push("/".into()),
        |confinement, _| confinement.writable.push("/proc/self".into()),
        |confinement, _| confinement.hidden.push("/".into()),
        |confinement, _| {
            confinement.network = Network::Only { hosts: vec!["http://x".into()], gateway: None };
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let refused = with(change).expect_err("a contradiction");
        assert!(matches!(refused, SandboxError::Invalid(_)), "{number}: {refused}");
    }
}

#[test]
fn what_it_prints_reads_and_ends_with_is_passed_through() {
    let dir = tempfile::tempdir().expect("a directory");
    let confinement = Confinement { writable: vec![dir.path().into()], ..Confinement::default() };
    for sandbox in [
        Landlock::new(LAUNCHER),
        Landlock::new(LAUNCHER).without_namespaces(),
        Landlock::new(LAUNCHER).in_bubblewrap(bubblewrap()),
    ] {
        let script = "read line; echo \"got $line $0\"; echo oops >&2; pwd; \
                      echo $ORCHESTRATOR_SANDBOX $MINE; exit 7";
        let words: [OsString; 3] = ["-c".into(), script.into(), "a b\n".into()];
        let mut command =
            sandbox.command("sh".as_ref(), &words, dir.path(), &confinement).expect("a command");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("MINE", "yes").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), b"hello\n")
            .expect("told");
        let output = child.wait_with_output().expect("its end");
        assert_eq!(output.status.code(), Some(7));
        let place = dir.path().canonicalize().expect("a path");
        let expected = format!("got hello a b\n\n{}\n{} yes\n", place.display(), sandbox.name());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "oops\n");
    }
}

#[test]
fn signals_and_missing_programs_end_it_as_they_end_a_shell() {
    let dir = tempfile::tempdir().expect("a directory");
    let sandbox = Landlock::new(LAUNCHER);
    let end = |program: &str, words: &[OsString]| {
        let confinement = Confinement::default();
        let mut command =
            sandbox.command(program.as_ref(), words, dir.path(), &confinement).expect("a command");
        command.stderr(Stdio::null()).status().expect("its end").code()
    };
    assert_eq!(end("sh", &["-c".into(), "kill -TERM $$".into()]), Some(128 + 15));
    assert_eq!(end("/nonexistent", &[]), Some(127));
    assert_eq!(end("/etc/passwd", &[]), Some(126));
}

#[test]
fn when_it_is_killed_nothing_of_it_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    // A number of seconds that nobody else sleeps.
    let sleep = format!("{}.{}", 86_000 + std::process::id() % 399, std::process::id());
    let confinement = Confinement { writable: vec![dir.path().into()], ..Confinement::default() };
    let script = format!("setsid env -i sleep {sleep} & echo ready; read never");
    let mut command = sh(&Landlock::new(LAUNCHER), &script, dir.path(), &confinement);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a program");
    let mut said = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut said).expect("ready");
    let pattern = format!("sleep\0{sleep}\0");
    // The shell has started it; it becomes `sleep` by itself.
    while !is_running(&pattern) {
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("its end");
    while is_running(&pattern) {
        std::thread::yield_now();
    }
}

fn is_running(pattern: &str) -> bool {
    fs::read_dir("/proc").expect("processes").flatten().any(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == pattern.as_bytes())
    })
}

#[test]
fn a_launcher_that_leads_a_group_says_why_it_does_not_start() {
    use std::os::unix::process::CommandExt;
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = sh(&Landlock::new(LAUNCHER), "true", dir.path(), &Confinement::default());
    let output = command.process_group(0).output().expect("its end");
    assert_eq!(output.status.code(), Some(i32::from(NOT_CONFINED)));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("leads a process group"), "{said}");
}

#[test]
fn a_workspace_in_a_hidden_directory_is_all_of_it_that_is_seen() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let state = dir.path().join("state");
    let work = state.join("worktrees/one");
    fs::create_dir_all(&work).expect("a directory");
    fs::write(state.join("log"), "secret").expect("a file");
    fs::write(state.join("worktrees/two"), "secret").expect("a file");
    let confinement = Confinement {
        writable: vec![work.clone()],
        hidden: vec![state.clone()],
        ..Confinement::default()
    };
    for sandbox in [Landlock::new(LAUNCHER), Landlock::new(LAUNCHER).in_bubblewrap(bubblewrap())] {
        let script = "echo made > here && cat here && pwd && ls ../.. .. && ! cat ../../log ../two";
        let mut command = sh(&sandbox, script, &work, &confinement);
        let output = command.stderr(Stdio::null()).output().expect("its end");
        let place = work.canonicalize().expect("a path");
        let expected = format!("made\n{}\n..:\none\n\n../..:\nworktrees\n", place.display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", sandbox.name());
        assert!(output.status.success());
        assert_eq!(fs::read_to_string(work.join("here")).expect("a file"), "made\n");
    }
}

#[test]
fn a_hidden_file_that_is_made_later_is_hidden_too() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let later = dir.path().join("later");
    let reads = Reads::Only(vec![dir.path().into()]);
    let confinement = Confinement { reads, hidden: vec![later.clone()], ..Confinement::default() };
    for sandbox in [
        Landlock::new(LAUNCHER),
        Landlock::new(LAUNCHER).without_namespaces(),
        Landlock::new(LAUNCHER).in_bubblewrap(bubblewrap()),
    ] {
        let script = format!("echo ready; read line; cat {}", later.display());
        let mut command = sh(&sandbox, &script, Path::new("/"), &confinement);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a program");
        let mut said = [0; 6];
        let printed = child.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(printed, &mut said).expect("ready");
        fs::write(&later, "secret").expect("a file");
        let told = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut { told }, b"go\n").expect("told");
        let output = child.wait_with_output().expect("its end");
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("Permission denied"), "{said}");
        fs::remove_file(&later).expect("removed");
    }
}

#[test]
fn what_it_leaves_in_places_for_temporary_files_goes_with_it() {
    for sandbox in [Landlock::new(LAUNCHER), Landlock::new(LAUNCHER).in_bubblewrap(bubblewrap())] {
        let name = format!("orchestrator-left-{}", std::process::id());
        let script = format!(
            "for dir in /tmp /dev/shm; do echo x > $dir/{name} && cat $dir/{name} || exit 1; done"
        );
        let output = sh(&sandbox, &script, Path::new("/"), &Confinement::default()).output();
        let output = output.expect("its end");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "x\nx\n", "{output:?}");
        for dir in ["/tmp", "/dev/shm"] {
            assert!(!Path::new(dir).join(&name).exists(), "{dir}");
        }
    }
}

#[tokio::test]
async fn an_owned_program_is_asked_to_end_and_then_all_of_it_is_ended() {
    use orchestrator_workspace::process::{Process, Reads};
    use tokio::io::AsyncReadExt;
    for sandbox in [
        Landlock::new(LAUNCHER),
        Landlock::new(LAUNCHER).without_namespaces(),
        Landlock::new(LAUNCHER).in_bubblewrap(bubblewrap()),
    ] {
        let script = "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
        let command = sh(&sandbox, script, Path::new("/"), &Confinement::default());
        let mut process = Process::start(command, Reads::Nothing).await.expect("a program");
        let (stdout, _stderr) = process.take_output();
        let mut stdout = stdout.expect("a pipe");
        let mut said = [0; 6];
        stdout.read_exact(&mut said).await.expect("ready");
        process.stop(Duration::from_secs(60)).await;
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).await.expect("the rest");
        assert_eq!(rest, "asked\n", "{}", sandbox.name());
    }
}
