//! The real programs against the scripted model server.
//!
//! Each case runs where the variable of its program names that program, and says so where it does
//! not: `ORCHESTRATOR_TEST_CLAUDE_CODE`, `ORCHESTRATOR_TEST_CODEX`. Homes are made below the target
//! directory, or below `ORCHESTRATOR_TEST_HOMES`: Codex takes none below `/tmp`.

use crate::told::{order, short};
use orchestrator_agents::coding::{
    Adapter, ClaudeCode, Codex, Decision, Dialogue, Endpoint, Event, Exit, Input, Order, Outcome,
    Reach, Start, Step, Verdict,
};
use orchestrator_core::error::ErrorClass;
use orchestrator_testkit::model_server::{ModelServer, Reply};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

/// Longer than any case takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(90);

/// A program, a place for it to work in, and a model.
struct Room {
    adapter: &'static dyn Adapter,
    program: PathBuf,
    top: tempfile::TempDir,
    server: ModelServer,
}

/// What a process said and did.
struct Played {
    steps: Vec<Step>,
    verdict: Verdict,
    stderr: String,
}

/// What is done while it works: called after every line, and when there has been none for a while.
type Meanwhile<'a> = &'a mut dyn FnMut(&mut dyn Dialogue, &[Step]) -> Vec<Step>;

impl Room {
    /// A room for the program that `variable` names.
    fn new(adapter: &'static dyn Adapter, variable: &str) -> Option<Self> {
        let program = std::env::var_os(variable)?.into();
        let homes = std::env::var_os("ORCHESTRATOR_TEST_HOMES");
        let homes = homes.map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        let top = tempfile::Builder::new().prefix("real-").tempdir_in(homes).unwrap();
        fs::create_dir(top.path().join("home")).unwrap();
        fs::create_dir(top.path().join("work")).unwrap();
        Some(Self { adapter, program, top, server: ModelServer::start().unwrap() })
    }

    fn order(&self) -> Order {
        let endpoint = Endpoint { url: self.server.url(), ..order().endpoint.unwrap() };
        Order {
            directory: self.work(),
            home: self.top.path().join("home"),
            endpoint: Some(endpoint),
            model: Some("gpt-5.5-mock".into()),
            start: Start::New(uuid(1)),
            // What confines it is not tried here.
            confined: true,
            ..order()
        }
    }

    fn work(&self) -> PathBuf {
        self.top.path().join("work")
    }

    /// An answer that calls for a command.
    fn shell(&self, command: &str) -> Reply {
        match self.adapter.provider() {
            "codex" => Reply::tool_call("call_1", "exec_command", &json!({ "cmd": command })),
            _ => Reply::tool_call("toolu_1", "Bash", &json!({ "command": command })),
        }
    }

    fn start(&self, order: &Order) -> Child {
        let launch = self.adapter.launch(order).unwrap();
        for (name, bytes) in &launch.files {
            let path = order.home.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(launch.input, Input::Dialogue);
        let stderr = fs::File::create(self.top.path().join("stderr")).unwrap();
        Command::new(&self.program)
            .args(&launch.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", &order.home)
            .envs(launch.variables)
            .current_dir(&order.directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap()
    }

    fn play(&self, order: &Order) -> Played {
        self.play_with(order, &mut |_, _| Vec::new())
    }

    fn play_with(&self, order: &Order, meanwhile: Meanwhile<'_>) -> Played {
        let mut child = self.start(order);
        let group = Pid::from_child(&child);
        let mut input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (say, heard) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|l| say.send(l))
        });
        let mut dialogue = self.adapter.dialogue(order);
        let (mut all, mut stopped) = (Vec::new(), false);
        let mut steps = dialogue.start();
        let begin = Instant::now();
        loop {
            let more = meanwhile(dialogue.as_mut(), &steps);
            steps.extend(more);
            for step in &steps {
                match step {
                    Step::Write(line) => {
                        if let Some(input) = &mut input {
                            let _ = writeln!(input, "{line}").and_then(|()| input.flush());
                        }
                    }
                    Step::Close => input = None,
                    Step::GiveUp(_) => {
                        stopped = true;
                        let _ = kill_process_group(group, Signal::KILL);
                    }
                    Step::Said(_) => {}
                }
            }
            all.append(&mut steps);
            match heard.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => steps = dialogue.line(&line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) if begin.elapsed() < LIMIT => {}
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = kill_process_group(group, Signal::KILL);
                    panic!("it does not end: {:#?}", shorts(&all));
                }
            }
        }
        let status = child.wait().unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        let exit = match (stopped, status.code(), status.signal()) {
            (true, ..) => Exit::Stopped,
            (false, Some(code), _) => Exit::Code(code),
            (false, None, signal) => Exit::Signal(signal.unwrap_or_default()),
        };
        let stderr = fs::read_to_string(self.top.path().join("stderr")).unwrap();
        Played { verdict: dialogue.verdict(exit), steps: all, stderr }
    }
}

fn uuid(number: u8) -> String {
    format!("{number:08}-2222-4333-8444-555555555555")
}

fn shorts(steps: &[Step]) -> Vec<String> {
    steps.iter().map(short).collect()
}

impl Played {
    fn about(&self) -> String {
        format!("{:#?}\n{:?}\n{}", shorts(&self.steps), self.verdict, self.stderr)
    }

    #[track_caller]
    fn done(&self) -> &orchestrator_agents::coding::Finish {
        match &self.verdict {
            Verdict::Done(finish) => finish,
            Verdict::Failed(_) | Verdict::Silent => panic!("{}", self.about()),
        }
    }

    #[track_caller]
    fn failed(&self) -> ErrorClass {
        match &self.verdict {
            Verdict::Failed(failure) => failure.class,
            Verdict::Done(_) | Verdict::Silent => panic!("{}", self.about()),
        }
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.steps.iter().filter_map(|step| match step {
            Step::Said(event) => Some(event),
            Step::Write(_) | Step::Close | Step::GiveUp(_) => None,
        })
    }

    #[track_caller]
    fn session(&self) -> String {
        let mut sessions = self.events().filter_map(|event| match event {
            Event::Session { id, .. } => Some(id.clone()),
            _ => None,
        });
        sessions.next().unwrap_or_else(|| panic!("{}", self.about()))
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let outcomes = self.events().filter_map(|event| match event {
            Event::ToolEnded { result, .. } => Some(result.outcome),
            _ => None,
        });
        outcomes.collect()
    }

    /// All input tokens that were counted last.
    fn input(&self) -> u64 {
        let used = self.events().filter_map(|event| match event {
            Event::Used(counted) => Some(&counted.models),
            _ => None,
        });
        let input = used.map(|models| models.iter().map(|line| line.usage.input.0).sum());
        input.last().unwrap_or_default()
    }

    /// Nothing that the adapter does not know.
    #[track_caller]
    fn is_known(&self) {
        let strange = self
            .events()
            .any(|event| matches!(event, Event::Unknown { .. } | Event::Garbage { .. }));
        assert!(!strange, "{}", self.about());
    }
}

fn text(room: &Room) {
    room.server.next(Reply::text("Hello there."));
    let order = Order { instructions: "You are the marked one.".into(), ..room.order() };
    let played = room.play(&order);
    assert_eq!(played.done().text.as_deref(), Some("Hello there."));
    assert_eq!(played.input(), 100, "{}", played.about());
    let request = &room.server.requests()[0];
    assert!(request.body.to_string().contains("You are the marked one."));
    assert!(request.last_user_message().contains("say hello"));
    assert_eq!(request.model(), "gpt-5.5-mock");
    assert_eq!(request.header("authorization"), Some("Bearer token-of-the-attempt"));
    played.is_known();
}

fn a_tool(room: &Room) {
    room.server.next(room.shell("printf made > made.txt; cat made.txt"));
    room.server.next(Reply::text("It is made."));
    let reach = Reach { edit: true, run: true, network: false };
    let played = room.play(&Order { reach, ..room.order() });
    assert_eq!(played.done().text.as_deref(), Some("It is made."));
    assert_eq!(played.outcomes(), [Outcome::Done], "{}", played.about());
    assert_eq!(fs::read_to_string(room.work().join("made.txt")).unwrap(), "made");
    assert_eq!(played.input(), 200);
    let commands: Vec<_> = played
        .events()
        .filter_map(|event| match event {
            Event::ToolStarted { action, .. } => action.command.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(commands, ["printf made > made.txt; cat made.txt"]);
    played.is_known();
}

/// A command that is not in reach: it is denied, or no such tool is there.
fn a_tool_that_is_not_in_reach(room: &Room) {
    room.server.next(room.shell("touch made.txt"));
    room.server.next(Reply::text("I could not."));
    let played = room.play(&room.order());
    let finish = played.done();
    assert!(!room.work().join("made.txt").exists());
    if room.adapter.provider() == "claude-code" {
        assert_eq!(finish.denied, ["run `touch made.txt` with Bash"]);
        assert_eq!(played.outcomes(), [Outcome::Denied]);
    }
}

fn resumed_and_forked(room: &Room) {
    room.server.next(Reply::text("One."));
    let first = room.play(&room.order());
    first.done();
    let session = first.session();
    room.server.next(Reply::text("Two."));
    let start = Start::Resume(session.clone());
    let second = room.play(&Order { start, prompt: "and now?".into(), ..room.order() });
    assert_eq!(second.done().text.as_deref(), Some("Two."));
    assert_eq!(second.session(), session);
    assert!(room.server.requests()[1].body.to_string().contains("One."));
    room.server.next(Reply::text("Three."));
    let start = Start::Fork { of: session.clone(), id: uuid(2) };
    let third = room.play(&Order { start, prompt: "otherwise?".into(), ..room.order() });
    assert_eq!(third.done().text.as_deref(), Some("Three."));
    assert_ne!(third.session(), session);
    assert!(room.server.requests()[2].body.to_string().contains("Two."));
    // All that came before is in its count.
    assert_eq!([first.input(), second.input(), third.input()], [100, 200, 300]);
}

fn resumed_and_forked_when_asked(room: &Room) {
    room.server.next(Reply::text("One."));
    let first = room.play(&Order { live: true, ..room.order() });
    first.done();
    let session = first.session();
    room.server.next(Reply::text("Two."));
    let start = Start::Resume(session.clone());
    let second = room.play(&Order { start, live: true, ..room.order() });
    assert_eq!(second.done().text.as_deref(), Some("Two."));
    assert_eq!(second.session(), session);
    room.server.next(Reply::text("Three."));
    let start = Start::Fork { of: session.clone(), id: uuid(2) };
    let third = room.play(&Order { start, live: true, ..room.order() });
    assert_eq!(third.done().text.as_deref(), Some("Three."));
    assert_ne!(third.session(), session);
    assert_eq!([first.input(), second.input(), third.input()], [100, 200, 300]);
    third.is_known();
}

fn a_session_that_it_does_not_know(room: &Room) {
    for live in [false, true] {
        let start = Start::Resume("01a1fbd0-0000-7401-ad68-f2ac9bc05152".into());
        let played = room.play(&Order { start, live, ..room.order() });
        let class = match &played.verdict {
            Verdict::Silent => room.adapter.diagnose(Exit::Code(1), &played.stderr).unwrap().class,
            Verdict::Done(_) | Verdict::Failed(_) => played.failed(),
        };
        assert_eq!(class, ErrorClass::InvalidRequest, "{}", played.about());
        assert!(!played.events().any(|event| matches!(event, Event::Session { .. })));
    }
}

fn an_answer_by_a_schema(room: &Room) {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } },
        "required": ["a"], "additionalProperties": false });
    room.server.next(match room.adapter.provider() {
        "codex" => Reply::json(&json!({ "a": "b" })),
        _ => Reply::tool_call("toolu_1", "StructuredOutput", &json!({ "a": "b" })),
    });
    let played = room.play(&Order { schema: Some(Arc::new(schema)), ..room.order() });
    assert_eq!(played.done().structured, Some(json!({ "a": "b" })), "{}", played.about());
}

fn a_key_that_is_refused(room: &Room) {
    room.server.otherwise(Reply::error(401, "authentication_error", "no such key"));
    for live in [false, true] {
        let before = room.server.requests().len();
        let start = Start::New(uuid(if live { 3 } else { 4 }));
        let played = room.play(&Order { live, start, ..room.order() });
        assert_eq!(played.failed(), ErrorClass::Auth, "{}", played.about());
        let made = room.server.requests().len() - before;
        assert!(made <= 2, "{made} calls: {}", played.about());
    }
}

fn a_request_that_is_refused(room: &Room) {
    room.server.otherwise(Reply::error(400, "invalid_request_error", "no such thing"));
    let played = room.play(&room.order());
    assert_eq!(played.failed(), ErrorClass::InvalidRequest, "{}", played.about());
}

fn too_many_requests(room: &Room) {
    room.server.otherwise(Reply::error(429, "rate_limit_error", "slow down"));
    let played = room.play(&room.order());
    assert_eq!(played.failed(), ErrorClass::RateLimited, "{}", played.about());
    // Codex says nothing of a try within a request.
    let retried = played.events().any(|event| matches!(event, Event::Retrying(_)));
    assert!(retried || room.adapter.provider() == "codex", "{}", played.about());
}

/// Plays with `decision` for all that it asks, and tells what that was.
fn asked(room: &Room, decision: &Decision) -> (Played, Vec<Option<String>>) {
    room.server.next(room.shell("touch made.txt"));
    room.server.next(Reply::text("That was it."));
    let mut commands = Vec::new();
    let order = Order { live: true, ..room.order() };
    let played = room.play_with(&order, &mut |dialogue, steps| {
        let asked = steps.iter().filter_map(|step| match step {
            Step::Said(Event::Permission { id, action, .. }) => Some((id.clone(), action.clone())),
            _ => None,
        });
        let asked: Vec<_> = asked.collect();
        commands.extend(asked.iter().map(|(_, action)| action.command.clone()));
        asked.iter().flat_map(|(id, _)| dialogue.answer(id, decision)).collect()
    });
    (played, commands)
}

fn asked_and_allowed(room: &Room) {
    let (played, commands) = asked(room, &Decision::Allow);
    assert_eq!(played.done().text.as_deref(), Some("That was it."));
    assert_eq!(commands, [Some("touch made.txt".to_owned())]);
    assert_eq!(played.outcomes(), [Outcome::Done]);
    assert!(room.work().join("made.txt").exists());
    played.is_known();
}

fn asked_and_denied(room: &Room) {
    let (played, commands) = asked(room, &Decision::Deny("the probe says no".into()));
    assert_eq!(played.done().text.as_deref(), Some("That was it."));
    assert_eq!(commands.len(), 1);
    assert_eq!(played.outcomes(), [Outcome::Denied], "{}", played.about());
    assert!(!room.work().join("made.txt").exists());
    // The model is told why.
    let requests = room.server.requests();
    assert!(requests[1].body.to_string().contains("the probe says no"), "{:?}", requests[1].body);
}

/// What is asked for is judged before a file is read, too.
fn asked_before_it_reads(room: &Room) {
    fs::write(room.work().join("secret.txt"), "the secret").unwrap();
    let file = json!({ "file_path": room.work().join("secret.txt") });
    room.server.next(Reply::tool_call("toolu_1", "Read", &file));
    room.server.next(Reply::text("I may not."));
    let mut paths = Vec::new();
    let order = Order { live: true, ..room.order() };
    let played = room.play_with(&order, &mut |dialogue, steps| {
        let mut answers = Vec::new();
        for step in steps {
            if let Step::Said(Event::Permission { id, action, .. }) = step {
                paths.extend(action.paths.iter().cloned());
                answers.extend(dialogue.answer(id, &Decision::Deny("not that file".into())));
            }
        }
        answers
    });
    played.done();
    assert_eq!(paths, [room.work().join("secret.txt").to_str().unwrap()], "{}", played.about());
    assert!(!room.server.requests()[1].body.to_string().contains("the secret"));
}

/// Its own sandbox, where it is not in one of ours.
fn its_own_sandbox(room: &Room) {
    let outside = room.top.path().join("outside.txt");
    let command = format!("printf in > inside.txt; printf out > {}", outside.display());
    room.server.next(room.shell(&command));
    room.server.next(Reply::text("Tried."));
    let reach = Reach { edit: true, run: true, network: false };
    let played = room.play(&Order { confined: false, reach, ..room.order() });
    played.done();
    assert!(room.work().join("inside.txt").exists(), "{}", played.about());
    assert!(!outside.exists(), "{}", played.about());
}

fn interrupted_and_told_something_else(room: &Room) {
    room.server.next(Reply::text("This never ends").hang_after(0));
    room.server.next(Reply::text("Then that."));
    let mut interrupted = false;
    let order = Order { live: true, ..room.order() };
    let played = room.play_with(&order, &mut |dialogue, _| {
        if interrupted || room.server.requests().is_empty() {
            return Vec::new();
        }
        let Some(mut steps) = dialogue.interrupt() else { return Vec::new() };
        interrupted = true;
        steps.extend(dialogue.say("do that instead").unwrap());
        steps
    });
    assert!(interrupted);
    assert_eq!(played.done().text.as_deref(), Some("Then that."), "{}", played.about());
    let requests = room.server.requests();
    assert!(requests[1].body.to_string().contains("do that instead"));
}

fn told_more_while_it_works(room: &Room) {
    room.server.next(room.shell("sleep 1"));
    room.server.next(Reply::text("Both are done."));
    room.server.otherwise(Reply::text("Both are done."));
    let reach = Reach { edit: true, run: true, network: false };
    let order = Order { live: true, reach, ..room.order() };
    let played = room.play_with(&order, &mut |dialogue, steps| {
        let begins = steps.iter().any(|step| matches!(step, Step::Said(Event::ToolStarted { .. })));
        if begins { dialogue.say("and mind the marked thing").unwrap() } else { Vec::new() }
    });
    assert_eq!(played.done().text.as_deref(), Some("Both are done."));
    let told = room
        .server
        .requests()
        .iter()
        .skip(1)
        .any(|request| request.body.to_string().contains("and mind the marked thing"));
    assert!(told, "{}", played.about());
}

macro_rules! cases {
    ($program:ident, $adapter:expr, $variable:literal: $($case:ident),* $(,)?) => {
        mod $program {
            use super::*;
            $(
                #[test]
                fn $case() {
                    if let Some(room) = Room::new($adapter, $variable) {
                        super::$case(&room);
                    }
                }
            )*
        }
    };
}

cases!(claude, &ClaudeCode, "ORCHESTRATOR_TEST_CLAUDE_CODE":
    text, a_tool, a_tool_that_is_not_in_reach, resumed_and_forked, resumed_and_forked_when_asked,
    a_session_that_it_does_not_know, an_answer_by_a_schema, a_key_that_is_refused,
    a_request_that_is_refused, too_many_requests, asked_and_allowed, asked_and_denied,
    interrupted_and_told_something_else, told_more_while_it_works, asked_before_it_reads);

cases!(codex, &Codex, "ORCHESTRATOR_TEST_CODEX":
    text, a_tool, a_tool_that_is_not_in_reach, resumed_and_forked, resumed_and_forked_when_asked,
    a_session_that_it_does_not_know, an_answer_by_a_schema, a_key_that_is_refused,
    a_request_that_is_refused, too_many_requests, asked_and_allowed, asked_and_denied,
    interrupted_and_told_something_else, told_more_while_it_works, its_own_sandbox);
