//! Containers and steps of Dagger. There is no engine: scripted commands and a loopback server stand
//! in for them, which check what they are told and answer as was recorded.

use crate::arena::LAUNCHER;
use orchestrator_workspace::sandbox::{
    Confinement, Container, Dagger, Engine, Limits, Network, Reads, Sandbox, SandboxError,
};
use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::mpsc,
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// A command that notes its arguments, a line each and an empty line after them, and then does this.
fn scripted(dir: &TempDir, then: &str) -> PathBuf {
    let program = dir.path().join("engine");
    let log = dir.path().join("log");
    let script = format!(
        "#!/bin/sh\nfor word; do printf '%s\\n' \"$word\" >> {0}; done; echo >> {0}\n{then}\n",
        log.display()
    );
    fs::write(&program, script).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("to be run");
    program
}

fn told(dir: &TempDir) -> Vec<Vec<String>> {
    let log = fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    log.split("\n\n")
        .filter(|call| !call.is_empty())
        .map(|call| call.lines().map(str::to_owned).collect())
        .collect()
}

/// What a container that holds says of the tries, whichever they are; then what it is to run.
const HOLDS: &str = r#"
case "$*" in
  *write-the-image*) echo 'capabilities=held'; echo 'end=held' ;;
  *"image inspect"*) [ -e "$0.built" ] ;;
  *"build --tag"*) cat > "$0.built" ;;
  *) echo "ran with $MINE"; exit 3 ;;
esac
"#;

fn workspace() -> (TempDir, Confinement) {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["work/.git", "work/secrets", "read"] {
        fs::create_dir_all(dir.path().join(name)).expect("a directory");
    }
    let confinement = Confinement {
        writable: vec![dir.path().join("work")],
        reads: Reads::Only(vec![dir.path().join("read")]),
        hidden: vec![dir.path().join("work/secrets")],
        protected: Vec::new(),
        visible: Vec::new(),
        network: Network::None,
        limits: Limits {
            memory: Some(1 << 30),
            processes: Some(100),
            cpu: Some(Duration::from_millis(1500)),
            files: Some(256),
            file_size: Some(4096),
        },
    };
    (dir, confinement)
}

#[test]
fn docker_is_told_all_of_the_confinement() {
    let (dir, confinement) = workspace();
    let engine = scripted(&dir, HOLDS);
    let sandbox = Container::new(LAUNCHER, Engine::Docker, &engine, "debian:12");
    let work = dir.path().join("work");
    let words: [OsString; 2] = ["-c".into(), "exit 3".into()];
    let mut command =
        sandbox.command("sh".as_ref(), &words, &work, &confinement).expect("a command");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("MINE", "yes");
    let output = command.output().expect("its end");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ran with yes\n");
    let calls = told(&dir);
    let mut run = calls.last().expect("a call").clone();
    let at = run.iter().position(|word| word == "--name").expect("a name") + 1;
    assert!(run[at].starts_with("orchestrator-") && run[at].len() == 29, "{}", run[at]);
    run[at] = "NAME".into();
    let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let place = dir.path().display();
    let expected = format!(
        "run --rm --interactive --init --name NAME --read-only --cap-drop ALL --security-opt \
         no-new-privileges --ipc private --ulimit core=0:0 --user {user}:{group} --network none \
         --memory 1073741824 --memory-swap 1073741824 --pids-limit 100 --ulimit cpu=2:2 --ulimit \
         nofile=256:256 --ulimit fsize=4096:4096 --tmpfs /tmp:rw,nosuid,nodev,exec,mode=1777 --env \
         HOME=/tmp --mount type=bind,src={place}/read,dst={place}/read,readonly --mount \
         type=bind,src={place}/work,dst={place}/work --mount \
         type=bind,src={place}/work/.git,dst={place}/work/.git,readonly --mount \
         type=tmpfs,dst={place}/work/secrets --workdir {place}/work --env MINE debian:12 sh -c exit_3"
    );
    let run: Vec<_> = run.iter().map(|word| word.replace(' ', "_")).collect();
    assert_eq!(run.join(" "), expected);
}

#[test]
fn podman_keeps_the_user_and_a_network_for_the_gateway_is_named() {
    let (dir, mut confinement) = workspace();
    confinement.network = Network::Gateway(4000);
    let engine = scripted(&dir, HOLDS);
    let sandbox = Container::new(LAUNCHER, Engine::Podman, &engine, "debian:12");
    let work = dir.path().join("work");
    let refused =
        sandbox.command("true".as_ref(), &[], &work, &confinement).expect_err("no network");
    assert!(matches!(refused, SandboxError::Unavailable(_)), "{refused}");
    let sandbox = sandbox.with_gateway_network("gateway-only");
    assert_eq!(sandbox.name(), "podman");
    let mut command = sandbox.command("true".as_ref(), &[], &work, &confinement).expect("one");
    command.output().expect("its end");
    let run = told(&dir).pop().expect("a call").join(" ");
    assert!(run.contains("--userns keep-id --network gateway-only"), "{run}");
}

#[test]
fn an_image_is_prepared_once() {
    let (dir, confinement) = workspace();
    let engine = scripted(&dir, HOLDS);
    let sandbox = Container::new(LAUNCHER, Engine::Docker, &engine, "debian:12")
        .prepared_by(vec!["apt-get install -y \"make\"".into(), "true".into()]);
    let work = dir.path().join("work");
    for _ in 0..2 {
        let mut command =
            sandbox.command("true".as_ref(), &[], &work, &confinement).expect("a command");
        command.output().expect("its end");
    }
    let calls = told(&dir);
    let builds: Vec<_> = calls.iter().filter(|call| call[0] == "build").collect();
    assert_eq!(builds.len(), 1, "{calls:?}");
    let tag = &builds[0][2];
    assert!(tag.starts_with("orchestrator-sandbox:"), "{tag}");
    let run = calls.last().expect("a call");
    assert!(run.contains(tag), "{run:?}");
    let file = fs::read_to_string(dir.path().join("engine.built")).expect("a file");
    let expected = "FROM debian:12\n\
                    RUN [\"/bin/sh\",\"-c\",\"apt-get install -y \\\"make\\\"\"]\n\
                    RUN [\"/bin/sh\",\"-c\",\"true\"]\n";
    assert_eq!(file, expected);
}

#[test]
fn a_container_whose_command_is_killed_is_removed_by_its_name() {
    let (dir, confinement) = workspace();
    let wait = HOLDS.replace(
        "echo \"ran with $MINE\"; exit 3",
        "echo $$ > \"$0.pid\"; echo started; exec sleep 1000",
    );
    let engine = scripted(&dir, &wait.replace("*)  echo", "*) echo"));
    // A removal is a call as well, which must not wait.
    let script = fs::read_to_string(&engine).expect("a script");
    fs::write(
        &engine,
        script
            .replace("case \"$*\" in", "case \"$*\" in\n  rm*) kill $(cat \"$0.pid\"); exit 0 ;;"),
    )
    .expect("a script");
    let sandbox = Container::new(LAUNCHER, Engine::Docker, &engine, "debian:12");
    let work = dir.path().join("work");
    let mut command = sandbox.command("true".as_ref(), &[], &work, &confinement).expect("one");
    // All that holds these must be gone at the end of the test.
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a launcher");
    let mut complained = child.stderr.take().expect("a pipe");
    let mut line = String::new();
    let mut printed = BufReader::new(child.stdout.take().expect("a pipe"));
    printed.read_line(&mut line).expect("started");
    assert_eq!(line, "started\n");
    child.kill().expect("killed");
    child.wait().expect("its end");
    let removal = loop {
        if let Some(call) = told(&dir).into_iter().find(|call| call[0] == "rm") {
            break call;
        }
        thread::yield_now();
    };
    let name = told(&dir).into_iter().rfind(|call| call[0] == "run").expect("a run")[5].clone();
    assert_eq!(removal, ["rm", "--force", &name]);
    let mut rest = String::new();
    printed.read_to_string(&mut rest).expect("its end");
    complained.read_to_string(&mut rest).expect("its end");
}

#[test]
fn a_container_that_leaks_or_does_not_start_is_refused() {
    let (dir, confinement) = workspace();
    let work = dir.path().join("work");
    let leaks = scripted(&dir, "echo capabilities=leaks; echo end=held");
    let sandbox = Container::new(LAUNCHER, Engine::Docker, &leaks, "debian:12");
    let refused = sandbox.command("true".as_ref(), &[], &work, &confinement).expect_err("it leaks");
    assert!(matches!(&refused, SandboxError::Leaks(what) if what == "capabilities"), "{refused}");
    let silent = scripted(&dir, "echo 'Cannot connect to the Docker daemon' >&2; exit 125");
    let sandbox = Container::new(LAUNCHER, Engine::Docker, &silent, "debian:12");
    let refused =
        sandbox.command("true".as_ref(), &[], &work, &confinement).expect_err("no engine");
    assert!(refused.to_string().contains("Cannot connect to the Docker daemon"), "{refused}");
}

/// A session of Dagger, as its command prints it, whose answers are given; the queries come out.
fn session(dir: &TempDir, answers: Vec<&'static str>) -> (PathBuf, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (queries, asked) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(&stream);
            let (mut length, mut is_allowed) = (0, false);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line");
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().expect("a number");
                }
                // `token:` in base 64.
                is_allowed |= line.trim() == "Authorization: Basic dG9rZW46";
                if line.trim().is_empty() {
                    break;
                }
            }
            assert!(is_allowed);
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            queries.send(String::from_utf8(body).expect("text")).expect("a test");
            write!(&stream, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{answer}")
                .expect("answered");
        }
    });
    let line = format!(r#"{{"port":{port},"session_token":"token"}}"#);
    // It lives until its standard input is closed.
    (scripted(dir, &format!("echo '{line}'; cat; echo ended >> \"$0.ended\"")), asked)
}

fn open_to_all(dir: &Path) -> Confinement {
    let writable = vec![dir.join("work")];
    let hidden = vec![dir.join("work/secrets")];
    Confinement { writable, hidden, network: Network::All, ..Confinement::default() }
}

#[test]
fn dagger_runs_a_step_and_what_is_writable_comes_back() {
    let (dir, _) = workspace();
    let (program, asked) = session(
        &dir,
        vec![
            r#"{"data":{"host":{"directory":{"id":"dir-1"}}}}"#,
            r#"{"data":{"container":{"from":{"withExec":{"withMountedDirectory":{"withWorkdir":{"withEnvVariable":{"withExec":{"exitCode":4,"stdout":"out\n","stderr":"err\n","id":"ctr-1"}}}}}}}}}"#,
            r#"{"data":{"loadContainerFromID":{"directory":{"withoutDirectory":{"withoutDirectory":{"withoutDirectory":{"export":"/"}}}}}}}"#,
        ],
    );
    let sandbox = Dagger::new(LAUNCHER, &program, "debian:12").prepared_by(vec!["true".into()]);
    let work = dir.path().join("work");
    let words: [OsString; 2] = ["-c".into(), "echo \"a\nb\"".into()];
    let mut command =
        sandbox.command("sh".as_ref(), &words, &work, &open_to_all(dir.path())).expect("a command");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("MINE", "x\"y");
    let output = command.output().expect("its end");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(told(&dir)[0], ["session", "--label", "dagger.io/sdk.name:orchestrator"]);
    let place = work.display();
    let query = |number: &str| {
        let body = asked.try_recv().unwrap_or_else(|_| panic!("no query {number}"));
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        body["query"].as_str().expect("a query").to_owned()
    };
    assert_eq!(
        query("1"),
        format!(
            "query {{ host {{ directory(path: \"{place}\", exclude: [\"secrets\",\".git\"]) {{ id }} }} }}"
        )
    );
    assert_eq!(
        query("2"),
        format!(
            "query {{ container {{ from(address: \"debian:12\") {{ withExec(args: \
             [\"/bin/sh\",\"-c\",\"true\"]) {{ withMountedDirectory(path: \"{place}\", source: \
             \"dir-1\") {{ withWorkdir(path: \"{place}\") {{ withEnvVariable(name: \"MINE\", value: \
             \"x\\\"y\") {{ withExec(args: [\"sh\",\"-c\",\"echo \\\"a\\nb\\\"\"], expect: ANY) {{ \
             exitCode stdout stderr id }} }} }} }} }} }} }} }}"
        )
    );
    assert_eq!(
        query("3"),
        format!(
            "query {{ loadContainerFromID(id: \"ctr-1\") {{ directory(path: \"{place}\") {{ \
             withoutDirectory(path: \"secrets\") {{ withoutDirectory(path: \".git\") {{ \
             withoutDirectory(path: \".git\") {{ export(path: \"{place}\") }} }} }} }} }} }}"
        )
    );
    assert!(dir.path().join("engine.ended").exists(), "the session was left open");
}

#[test]
fn what_dagger_says_is_wrong_is_told_and_nothing_was_run() {
    let (dir, _) = workspace();
    let (program, _asked) =
        session(&dir, vec![r#"{"data":null,"errors":[{"message":"no such image"}]}"#]);
    let sandbox = Dagger::new(LAUNCHER, &program, "nowhere");
    let work = dir.path().join("work");
    let mut command =
        sandbox.command("true".as_ref(), &[], &work, &open_to_all(dir.path())).expect("a command");
    let output = command.output().expect("its end");
    assert_eq!(output.status.code(), Some(125));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Dagger says: no such image"), "{said}");
}

#[test]
fn dagger_refuses_what_it_cannot_enforce() {
    let (dir, confinement) = workspace();
    let sandbox = Dagger::new(LAUNCHER, "/nonexistent", "debian:12");
    let work = dir.path().join("work");
    let open = open_to_all(dir.path());
    for confinement in [
        confinement,
        Confinement { network: Network::None, ..open.clone() },
        Confinement { limits: Limits { files: Some(9), ..Limits::default() }, ..open.clone() },
        Confinement { protected: vec![work.clone()], ..open },
    ] {
        let refused = sandbox.command("true".as_ref(), &[], &work, &confinement).expect_err("no");
        assert!(matches!(refused, SandboxError::Unavailable(_)), "{refused}");
    }
}
