//! The credential store as its user meets it: the commands, the files, and what must never be seen.

use crate::{
    harness::{Project, Ran, eventually},
    models, schemas,
};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

const KEY: &str = "sk-test/0123+456789?abc";

/// The command with `input` on its standard input, and more variables, started.
fn start(
    project: &Project,
    arguments: &[&str],
    variables: &[(&str, &str)],
    input: &str,
) -> std::process::Child {
    let mut command: Command = project.command(arguments);
    let mut child = command
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It may have ended before it read anything.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child
}

fn feed(project: &Project, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Ran {
    let output: Output =
        start(project, arguments, variables, input).wait_with_output().expect("it ends");
    Ran::of(output, arguments)
}

fn set(project: &Project, name: &str, value: &str) -> Ran {
    feed(project, &["secrets", "set", name], &[], value).expect(0)
}

fn file(project: &Project) -> PathBuf {
    project.home().join(".config/orchestrator/credentials.json")
}

fn key_file(project: &Project) -> PathBuf {
    project.home().join(".local/share/orchestrator/credentials.key")
}

fn names(project: &Project) -> Vec<String> {
    let list = project.json(&["secrets", "list"]);
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}

/// Whether a file below `directory` holds `part`.
fn holds(directory: &Path, part: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            holds(&path, part)
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            bytes.windows(part.len()).any(|window| window == part.as_bytes()).then_some(path)
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn secrets_are_set_listed_and_removed_and_never_shown() {
    let project = Project::new();
    let list = project.json(&["secrets", "list"]);
    schemas::check(&list);
    assert!(list["items"].as_array().expect("items").is_empty() && list["next"].is_null());
    assert!(!file(&project).exists(), "looking makes nothing");
    let said = set(&project, "SOME_KEY", &format!("{KEY}\n"));
    assert!(said.stderr.contains("SOME_KEY") && said.stderr.contains("credentials.key"));
    let done = feed(&project, &["secrets", "set", "OTHER", "--json"], &[], KEY).expect(0).last();
    schemas::check(&done);
    assert_eq!((&done["action"], &done["key"]), (&"set".into(), &"key file".into()), "{done}");
    project.write(
        ".orchestrator/config.toml",
        "[providers.p]\nkind = \"anthropic\"\nkey = { secret = \"SOME_KEY\" }\n",
    );
    let list = project.json(&["secrets", "list"]);
    schemas::check(&list);
    assert_eq!(list["items"][0]["name"], "OTHER", "{list}");
    assert_eq!(list["items"][1]["used_by"][0], "providers.p", "{list}");
    let shown = project.ok(&["secrets", "list"]).stdout;
    assert!(shown.contains("providers.p") && !shown.contains(KEY), "{shown}");
    for path in [file(&project), key_file(&project)] {
        assert_eq!(fs::metadata(path).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(holds(project.home(), KEY), None);
    schemas::check(&project.json(&["secrets", "rotate"]));
    schemas::check(&project.json(&["secrets", "remove", "OTHER"]));
    let ran = project.run(&["secrets", "remove", "SOME-KEY"]).expect(2);
    assert!(ran.stderr.contains("ORC-0537") && ran.stderr.contains("SOME_KEY"), "{}", ran.stderr);
    assert_eq!(names(&project), ["SOME_KEY"]);
}

#[test]
fn a_value_is_no_argument() {
    let project = Project::new();
    for arguments in [
        &["secrets", "set", "NAME", KEY][..],
        &["secrets", "set", &format!("NAME={KEY}")],
        &["secrets", "set", "NAME", KEY, "--json"],
    ] {
        let ran = feed(&project, arguments, &[], "piped-value").expect(2);
        assert!(ran.stderr.contains("ORC-0801"), "{}", ran.stderr);
        assert!(!ran.stderr.contains(KEY) && ran.stdout.is_empty(), "{}", ran.stderr);
    }
    let ran = feed(&project, &["secrets", "set", "NAME"], &[], " \n").expect(2);
    assert!(ran.stderr.contains("ORC-0538") && ran.stderr.contains("empty"), "{}", ran.stderr);
    assert!(!file(&project).exists());
}

/// A project whose agents use a key of the credential store.
fn with_secret(server: &ModelServer) -> Project {
    let project = models::project(server, "anthropic", "claude-sonnet-4-5");
    let config = project.read(".orchestrator/config.toml");
    let config = config.replace("{ env = \"SOME_KEY\" }", "{ secret = \"HOUSE_KEY\" }");
    project.write(".orchestrator/config.toml", &config);
    project
}

#[test]
fn a_provider_gets_its_key_from_the_store() {
    let server = ModelServer::start().expect("a server");
    let project = with_secret(&server);
    let ran = project.run(&["execute", "add a flag"]).expect(4);
    assert!(ran.stderr.contains("ORC-0517") && ran.stderr.contains("secrets set HOUSE_KEY"));
    set(&project, "HOUSE_KEY", KEY);
    models::script(&server, 0);
    project.ok(&["execute", "add a flag", "--task-type", "quick-implementation"]);
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.header("x-api-key") == Some(KEY)));
    assert_eq!(holds(project.path(), KEY), None);
    // A key file that is gone is told before anything starts.
    fs::remove_file(key_file(&project)).expect("it is there");
    let ran = project.run(&["execute", "add a flag"]).expect(4);
    assert!(ran.stderr.contains("ORC-0535"), "{}", ran.stderr);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_project_cannot_send_a_secret_to_a_server_of_its_own() {
    let project = Project::new();
    set(&project, "HOUSE_KEY", KEY);
    project.write(
        ".orchestrator/config.toml",
        "[providers.p]\nkind = \"anthropic\"\nbase-url = \"https://elsewhere.test\"\n\
         key = { secret = \"HOUSE_KEY\" }\n[agents.dev]\nprovider = \"p\"\nmodel = \"m\"\n",
    );
    let ran = project.run(&["execute", "do it"]).expect(2);
    assert!(ran.stderr.contains("ORC-0520") && ran.stderr.contains("HOUSE_KEY"), "{}", ran.stderr);
}

#[test]
fn doctor_asks_a_provider_only_when_it_is_told_to() {
    let server = ModelServer::start().expect("a server");
    let project = with_secret(&server);
    set(&project, "HOUSE_KEY", KEY);
    let provider = |arguments: &[&str], exit| -> Value {
        let found = project.run(&[arguments, &["--json"]].concat()).expect(exit).last();
        schemas::check(&found);
        let items = found["items"].as_array().expect("items").clone();
        items.into_iter().find(|item| item["name"] == "provider scripted").expect("a check")
    };
    server.accept_key("another");
    assert_eq!(provider(&["doctor"], 0)["state"], "ok");
    let refused = provider(&["doctor", "--online"], 1);
    assert_eq!(refused["code"], "ORC-0539", "{refused}");
    assert!(refused["found"].as_str().expect("text").contains("HOUSE_KEY"), "{refused}");
    assert_eq!(refused["mend"], "orchestrator secrets set HOUSE_KEY");
    server.accept_key(KEY);
    let accepted = provider(&["doctor", "--online"], 0);
    assert!(accepted["found"].as_str().expect("text").contains("takes the key"), "{accepted}");
    drop(server);
    let gone = provider(&["doctor", "--online"], 0);
    assert_eq!(gone["state"], "note", "a network that is away is no broken key: {gone}");
}

#[test]
fn only_the_passphrase_opens_and_nothing_is_written_over() {
    let project = Project::new();
    let right = [("ORCHESTRATOR_PASSPHRASE", "correct horse")];
    let wrong = [("ORCHESTRATOR_PASSPHRASE", "wrong horse")];
    let set = |name: &str, variables: &[(&str, &str)], exit| {
        feed(&project, &["secrets", "set", name], variables, KEY).expect(exit)
    };
    set("A", &right, 0);
    assert!(!key_file(&project).exists());
    let before = fs::read(file(&project)).expect("a file");
    let check = |ran: Ran, code: &str| {
        assert!(ran.stderr.contains(code), "no {code} in {}", ran.stderr);
        assert!(!ran.stderr.contains("horse"), "{}", ran.stderr);
        assert_eq!(fs::read(file(&project)).expect("a file"), before);
    };
    check(set("B", &wrong, 4), "ORC-0534");
    check(set("B", &[], 4), "ORC-0535");
    check(feed(&project, &["secrets", "rotate"], &wrong, "").expect(4), "ORC-0534");
    assert_eq!(names(&project), ["A"], "names need no key");
    let doctor = project.run(&["doctor"]).expect(0);
    assert!(doctor.stdout.contains("opened by a passphrase"), "{}", doctor.stdout);

    let anew = [right[0], ("ORCHESTRATOR_NEW_PASSPHRASE", "second horse")];
    feed(&project, &["secrets", "rotate", "--passphrase"], &anew, "").expect(0);
    assert_ne!(fs::read(file(&project)).expect("a file"), before);
    let second = [("ORCHESTRATOR_PASSPHRASE", "second horse")];
    assert!(set("B", &right, 4).stderr.contains("ORC-0534"));
    set("B", &second, 0);
    let short = [second[0], ("ORCHESTRATOR_NEW_PASSPHRASE", "short")];
    let ran = feed(&project, &["secrets", "rotate", "--passphrase"], &short, "").expect(4);
    assert!(ran.stderr.contains("ORC-0536"), "{}", ran.stderr);
    feed(&project, &["secrets", "rotate", "--key-file", "own.key"], &second, "").expect(0);
    set("C", &[], 0);
    assert_eq!(names(&project), ["A", "B", "C"]);
    let mode = fs::metadata(project.path().join("own.key")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_store_that_cannot_be_read_is_left_alone() {
    let project = Project::new();
    set(&project, "A", KEY);
    let good = fs::read_to_string(file(&project)).expect("a file");
    for (text, code) in [
        ("A=sk-by-hand".to_owned(), "ORC-0532"),
        (good.replace("credentials/v1", "credentials/v2"), "ORC-0533"),
        (good[..good.len() / 2].to_owned(), "ORC-0532"),
    ] {
        fs::write(file(&project), &text).expect("it can be written");
        for arguments in
            [&["secrets", "set", "B"][..], &["secrets", "list"], &["secrets", "rotate"]]
        {
            let ran = feed(&project, arguments, &[], KEY).expect(7);
            assert!(ran.stderr.contains(code), "{arguments:?}: {}", ran.stderr);
            assert!(!ran.stderr.contains("sk-by-hand"), "{}", ran.stderr);
        }
        assert_eq!(fs::read_to_string(file(&project)).expect("a file"), text);
        // What needs no secret works on.
        project.ok(&["execute", "--task-type", "documentation"]);
    }
    fs::write(file(&project), good).expect("it can be written");
    fs::set_permissions(key_file(&project), fs::Permissions::from_mode(0o644)).expect("a mode");
    let ran = feed(&project, &["secrets", "set", "B"], &[], KEY).expect(4);
    assert!(ran.stderr.contains("ORC-0536") && ran.stderr.contains("chmod 600"), "{}", ran.stderr);
}

#[test]
fn processes_at_once_lose_nothing() {
    let project = Project::new();
    let names_set: Vec<String> = (0..12).map(|index| format!("K{index:02}")).collect();
    let children: Vec<_> =
        names_set.iter().map(|name| start(&project, &["secrets", "set", name], &[], KEY)).collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        Ran::of(output, &["secrets", "set"]).expect(0);
    }
    assert_eq!(names(&project), names_set);
    // Everything opens: a rotation reads all of it.
    project.ok(&["secrets", "rotate"]);
}

/// A command that is killed when it is dropped, however the test ends.
struct Owned(std::process::Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_kill_leaves_the_old_or_the_new_file_whole() {
    let project = Project::new();
    set(&project, "FIRST", KEY);
    let directory = file(&project).parent().expect("a parent").to_owned();
    let value = "x".repeat(60_000);
    let (mut acknowledged, mut begun) = (vec!["FIRST".to_owned()], 0);
    for index in 0..24 {
        let name = format!("K{index:02}");
        let mut owned = Owned(start(&project, &["secrets", "set", &name], &[], &value));
        let child = &mut owned.0;
        // Killed as soon as a file is under way, at the start, or once it has ended by itself.
        let under_way = || {
            let mut entries = fs::read_dir(&directory).expect("a directory").flatten();
            entries.any(|entry| entry.file_name().to_string_lossy().starts_with(".credentials-"))
        };
        let ended = match index % 3 {
            0 => None,
            _ => eventually("a file under way", || match child.try_wait().expect("a child") {
                Some(status) => Some(Some(status)),
                None if under_way() => Some(None),
                None => None,
            }),
        };
        begun += usize::from(ended.is_none());
        let _ = child.kill();
        if child.wait().expect("it ends").success() {
            acknowledged.push(name);
        }
        let found = names(&project);
        for name in &acknowledged {
            assert!(found.contains(name), "{name} was acknowledged and is lost: {found:?}");
        }
    }
    assert!(begun > 0, "nothing was killed under way");
    project.ok(&["secrets", "rotate"]);
    let left = fs::read_dir(&directory).expect("a directory").flatten();
    let left = left.filter(|e| e.file_name().to_string_lossy().starts_with(".credentials-"));
    assert_eq!(left.count(), 0, "the next writer clears away what the dead have left");
}

#[test]
fn what_is_known_is_hidden_at_every_sink() {
    let flow = r#"
name: leak
inputs: { prompt: { type: string, required: false } }
tasks:
  talk: { command: [sh, -c, "cat key.txt; base64 -w0 key.txt; echo; od -An -v -tx1 key.txt | tr -d ' \n'; echo; cat key.txt >&2"] }
  echo: { needs: [talk], command: [echo, "{{ inputs.prompt }} {{ tasks.talk.output }}"] }
  fail: { needs: [talk], command: [sh, -c, "cat key.txt >&2; exit 3"], retry: { max-attempts: 1 } }
"#;
    let project = Project::with_flow(flow);
    set(&project, "HOUSE_KEY", KEY);
    project.write("key.txt", KEY);
    let input = format!("prompt=use {KEY}");
    let arguments = ["execute", "--workflow", "flow.yaml", "--input", &input, "--json", "-vv"];
    let ran = project.run(&arguments).expect(1);
    let mut seen = vec![ran.stdout.clone(), ran.stderr.clone()];
    for arguments in [
        &["logs", "latest"][..],
        &["logs", "latest", "--json"],
        &["task-details", "talk", "--json"],
        &["task-details", "fail"],
        &["run-details", "latest", "--json"],
        &["why", "fail"],
        &["export", "latest"],
        &["export", "latest", "--format", "html"],
        &["export", "latest", "--format", "csv"],
    ] {
        seen.push(project.ok(arguments).stdout);
    }
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    // `sk-test/0123+456789?abc` in base64, without what depends on its end.
    let encoded = "c2stdGVzdC8wMTIzKzQ1Njc4OT9hYm";
    for text in &seen {
        for form in [KEY, &hex, encoded] {
            assert!(!text.contains(form), "`{form}` in\n{text}");
        }
    }
    assert!(seen[0].contains("[redacted]") && seen[2].contains("[redacted]"), "{}", seen[2]);
    for form in [KEY, &hex, encoded] {
        let state = project.path().join(".orchestrator/state");
        assert_eq!(holds(&state, form), None, "{form}");
    }
}

#[test]
fn a_run_from_before_a_secret_was_known_is_not_exported_with_it() {
    let project = Project::with_flow("name: leak\ntasks:\n  talk: { command: [cat, key.txt] }\n");
    project.write("key.txt", KEY);
    project.ok(&["execute", "--workflow", "flow.yaml"]);
    assert!(project.ok(&["export", "latest", "--format", "html"]).stdout.contains(KEY));
    set(&project, "HOUSE_KEY", KEY);
    let ran = project.run(&["export", "latest"]).expect(1);
    assert!(ran.stderr.contains("ORC-0540") && ran.stdout.is_empty(), "{}", ran.stderr);
    let page = project.ok(&["export", "latest", "--format", "html"]).stdout;
    assert!(!page.contains(KEY) && page.contains("[redacted]"));
}

#[test]
fn a_provider_that_repeats_a_key_does_not_get_it_into_an_error() {
    let server = ModelServer::start().expect("a server");
    let project = with_secret(&server);
    set(&project, "HOUSE_KEY", KEY);
    let message = format!("invalid key {KEY}");
    server.otherwise(Reply::error(401, "authentication_error", message));
    let ran = project.run(&["execute", "add a flag", "-vv"]).expect(6);
    assert!(ran.stderr.contains("invalid key [redacted]"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(KEY) && !ran.stdout.contains(KEY), "{}", ran.stderr);
}

/// A keyring as a desktop has it, opened, on a session bus of its own, as `scripts/keyring` installs it.
struct Session {
    bus: Child,
    address: String,
}

impl Session {
    fn start(project: &Project) -> Self {
        let runtime = project.home().join("runtime");
        fs::create_dir(&runtime).expect("a directory");
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("its mode");
        // It lasts until its standard input ends.
        let script = "printf 'a password\n' | gnome-keyring-daemon --unlock --components=secrets \
                      >/dev/null 2>&1 && echo \"$DBUS_SESSION_BUS_ADDRESS\" && read -r _";
        let mut bus = Command::new("dbus-run-session")
            .args(["--", "sh", "-c", script])
            .env("HOME", project.home())
            .env("XDG_RUNTIME_DIR", runtime)
            .env_remove("XDG_DATA_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a session bus: run scripts/keyring");
        let mut address = String::new();
        let said = bus.stdout.as_mut().map(BufReader::new).expect("a pipe").read_line(&mut address);
        assert!(said.is_ok() && address.starts_with("unix:"), "no keyring: run scripts/keyring");
        Self { bus, address: address.trim().to_owned() }
    }

    fn run(&self, project: &Project, arguments: &[&str]) -> Ran {
        feed(project, arguments, &[("DBUS_SESSION_BUS_ADDRESS", &self.address)], "")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.bus.stdin.take());
        let _ = self.bus.wait();
    }
}

#[test]
fn the_keyring_of_the_system_opens_the_store() {
    let server = ModelServer::start().expect("a server");
    let project = with_secret(&server);
    set(&project, "HOUSE_KEY", KEY);
    let session = Session::start(&project);
    let done =
        session.run(&project, &["secrets", "rotate", "--keyring", "--json"]).expect(0).last();
    schemas::check(&done);
    assert_eq!((&done["key"], &done["key_file"]), (&"keyring".into(), &Value::Null), "{done}");
    fs::remove_file(key_file(&project)).expect("it is not needed any more");
    models::script(&server, 0);
    let template = ["execute", "add a flag", "--task-type", "quick-implementation"];
    session.run(&project, &template).expect(0);
    assert!(server.requests().iter().all(|request| request.header("x-api-key") == Some(KEY)));
    assert_eq!(holds(project.home(), KEY), None);
    let said = session.run(&project, &["secrets", "rotate"]).expect(0).stderr;
    assert!(said.contains("opened by the keyring"), "{said}");
    // Nobody has signed in: nothing is asked of anybody, and nothing is lost.
    let before = fs::read(file(&project)).expect("the file");
    let count = server.requests().len();
    let ran = project.run(&template).expect(4);
    assert!(ran.stderr.contains("ORC-0535") && ran.stderr.contains("keyring"), "{}", ran.stderr);
    assert_eq!(server.requests().len(), count);
    assert_eq!(fs::read(file(&project)).expect("the file"), before);
    session.run(&project, &["secrets", "rotate", "--key-file"]).expect(0);
    drop(session);
    models::script(&server, 0);
    project.ok(&template);
}
