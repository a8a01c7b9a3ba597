//! The real programs against the scripted model server.
//!
//! Each case runs where the variable of its program names that program: `scripts/coding-clis` installs
//! all and prints the variables, which `cargo xtask test` sets. Without them a case says that it did
//! not run, and fails where `CI` is set. Homes are made below the target directory, or below
//! `ORCHESTRATOR_TEST_HOMES`: Codex takes none below `/tmp`.

mod cases;
mod faults;
mod sessions;

use crate::told::{order, short};
use orchestrator_agents::coding::{
    Acp, Adapter, ClaudeCode, Codex, Copilot, Dialogue, Endpoint, Event, Exit, Gemini, Input,
    Order, Outcome, Start, Step, Verdict,
};
use orchestrator_core::error::ErrorClass;
use orchestrator_testkit::model_server::{ModelRequest, ModelServer, Reply};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::{
    cell::Cell,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// Longer than any case takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(90);

/// How long one that has said its last word may take to end, as in the base.
const GRACE: Duration = Duration::from_secs(10);

/// A program, how it is spoken to, a place for it to work in, and a model.
struct Room {
    adapter: &'static dyn Adapter,
    program: PathBuf,
    /// Whether it is asked and answers: its protocol, and not its stream.
    live: bool,
    arguments: Vec<String>,
    /// The process that was started last.
    group: Cell<Option<Pid>>,
    top: tempfile::TempDir,
    server: ModelServer,
}

/// What leads Copilot CLI to the gateway, from the variables that every program of the protocol has.
const BY_VARIABLES: &str = "COPILOT_PROVIDER_BASE_URL=$ANTHROPIC_BASE_URL \
    COPILOT_PROVIDER_API_KEY=$ANTHROPIC_API_KEY COPILOT_PROVIDER_TYPE=anthropic \
    COPILOT_MODEL=gpt-5.5-mock COPILOT_OFFLINE=true exec \"$0\" --acp";

/// What a process said and did.
struct Played {
    steps: Vec<Step>,
    verdict: Verdict,
    exit: Exit,
    stderr: String,
}

/// What is done while it works: called after every line, and when there has been none for a while.
type Meanwhile<'a> = &'a mut dyn FnMut(&mut dyn Dialogue, &[Step]) -> Vec<Step>;

impl Room {
    /// A room for the program that `variable` names.
    #[track_caller]
    fn new(adapter: &'static dyn Adapter, variable: &str, live: bool) -> Option<Self> {
        let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        let Some(program) = std::env::var_os(variable) else {
            assert!(!in_ci, "{variable} names no program: see scripts/coding-clis");
            let told = format!("did not run: {variable} names no program; see scripts/coding-clis");
            let _ = writeln!(std::io::stderr(), "{told}");
            return None;
        };
        let (mut program, mut arguments) = (PathBuf::from(program), Vec::new());
        if adapter.provider() == "acp" {
            // As its user would say it in `command`: the gateway in the words of that program.
            arguments = vec!["-c".into(), BY_VARIABLES.into(), program.to_str().unwrap().into()];
            program = "/bin/sh".into();
        }
        let homes = std::env::var_os("ORCHESTRATOR_TEST_HOMES");
        let homes = homes.map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        let top = tempfile::Builder::new().prefix("real-").tempdir_in(homes).unwrap();
        fs::create_dir(top.path().join("home")).unwrap();
        fs::create_dir(top.path().join("work")).unwrap();
        let (group, server) = (Cell::new(None), ModelServer::start().unwrap());
        Some(Self { adapter, program, live, arguments, group, top, server })
    }

    fn order(&self) -> Order {
        let endpoint = Endpoint { url: self.server.url(), ..order().endpoint.unwrap() };
        Order {
            directory: self.work(),
            home: self.top.path().join("home"),
            endpoint: Some(endpoint),
            model: Some(self.model().into()),
            live: self.live,
            arguments: self.arguments.clone(),
            start: Start::New(uuid(1)),
            // What confines it is not tried here.
            confined: true,
            ..order()
        }
    }

    fn work(&self) -> PathBuf {
        self.top.path().join("work")
    }

    fn is(&self, provider: &str) -> bool {
        self.adapter.provider() == provider
    }

    /// Whether its cases try it both ways: else each way has its own.
    fn both(&self) -> bool {
        self.is("claude-code") || self.is("codex")
    }

    fn model(&self) -> &'static str {
        match self.adapter.provider() {
            "gemini-cli" => "gemini-2.5-flash",
            // It has other tools for models of other makers.
            "copilot" => "claude-sonnet-4.5",
            _ => "gpt-5.5-mock",
        }
    }

    /// An answer that calls for a command.
    fn shell(&self, command: &str) -> Reply {
        let (tool, input) = match self.adapter.provider() {
            "codex" => ("exec_command", json!({ "cmd": command })),
            "gemini-cli" => ("run_shell_command", json!({ "command": command })),
            "copilot" | "acp" => ("bash", json!({ "command": command, "description": "A step" })),
            _ => ("Bash", json!({ "command": command })),
        };
        Reply::tool_call("call_1", tool, &input)
    }

    /// An answer that calls for a new file.
    fn write(&self, name: &str, content: &str) -> Reply {
        let path = self.work().join(name);
        let (tool, input) = match self.adapter.provider() {
            // Without a tool for it, or with one that takes patches alone.
            "codex" | "acp" => {
                return self.shell(&format!("printf '%s' '{content}' > {}", path.display()));
            }
            "gemini-cli" => ("write_file", json!({ "file_path": path, "content": content })),
            "copilot" => ("create", json!({ "path": path, "file_text": content })),
            _ => ("Write", json!({ "file_path": path, "content": content })),
        };
        Reply::tool_call("call_1", tool, &input)
    }

    /// What was asked of models. Tokens are counted beside.
    fn requests(&self) -> Vec<ModelRequest> {
        self.server.requests().into_iter().filter(|request| !request.wants_count()).collect()
    }

    /// Sends `signal` to all that was started last.
    fn signal(&self, signal: Signal) {
        let _ = self.group.get().map(|group| kill_process_group(group, signal));
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
        self.group.set(Some(group));
        let mut input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (say, heard) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|l| say.send(l))
        });
        let mut dialogue = self.adapter.dialogue(order);
        let (mut all, mut stopped) = (Vec::new(), false);
        let mut steps = dialogue.start();
        let (begin, mut ended) = (Instant::now(), None);
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
                    Step::Said(Event::Ended(_)) => ended = Some(Instant::now()),
                    Step::Said(_) => {}
                }
            }
            all.append(&mut steps);
            match heard.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => steps = dialogue.line(&line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout)
                    if ended.is_some_and(|at: Instant| at.elapsed() > GRACE) =>
                {
                    stopped = true;
                    let _ = kill_process_group(group, Signal::KILL);
                }
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
        let report = self.adapter.launch(order).unwrap().report;
        let report = report.and_then(|report| fs::read(order.home.join(report)).ok());
        all.extend(report.iter().flat_map(|report| dialogue.report(report)));
        Played { verdict: dialogue.verdict(exit), steps: all, exit, stderr }
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

macro_rules! cases {
    ($program:ident, $adapter:expr, $variable:literal, $live:literal: $($of:ident::{$($case:ident),* $(,)?}),* $(,)?) => {
        mod $program {
            use super::*;
            $($(
                #[test]
                fn $case() {
                    if let Some(room) = Room::new($adapter, $variable, $live) {
                        super::$of::$case(&room);
                    }
                }
            )*)*
        }
    };
}

cases!(claude, &ClaudeCode, "ORCHESTRATOR_TEST_CLAUDE_CODE", false:
    cases::{text, a_tool, a_tool_that_is_not_in_reach, a_file_is_written, an_answer_by_a_schema,
        asked_and_allowed, asked_and_denied, asked_before_it_reads},
    faults::{a_key_that_is_refused, a_request_that_is_refused, too_many_requests,
        too_many_requests_once, a_server_that_fails, an_answer_that_is_cut_off,
        stopped_while_its_model_is_silent},
    sessions::{resumed_and_forked, resumed_and_forked_when_asked, a_session_that_it_does_not_know,
        interrupted_and_told_something_else, told_more_while_it_works});

cases!(codex, &Codex, "ORCHESTRATOR_TEST_CODEX", false:
    cases::{text, a_tool, a_tool_that_is_not_in_reach, a_file_is_written, an_answer_by_a_schema,
        asked_and_allowed, asked_and_denied, its_own_sandbox},
    faults::{a_key_that_is_refused, a_request_that_is_refused, too_many_requests,
        too_many_requests_once, a_server_that_fails, an_answer_that_is_cut_off,
        stopped_while_its_model_is_silent},
    sessions::{resumed_and_forked, resumed_and_forked_when_asked, a_session_that_it_does_not_know,
        interrupted_and_told_something_else, told_more_while_it_works});

cases!(gemini, &Gemini, "ORCHESTRATOR_TEST_GEMINI", false:
    cases::{text, a_tool, a_tool_that_is_not_in_reach, a_file_is_written},
    faults::{a_key_that_is_refused, a_request_that_is_refused, too_many_requests,
        too_many_requests_once, a_server_that_fails, an_answer_that_is_cut_off,
        stopped_while_its_model_is_silent},
    sessions::{resumed, a_session_that_it_does_not_know});

cases!(gemini_live, &Gemini, "ORCHESTRATOR_TEST_GEMINI", true:
    cases::{text, a_file_is_written, asked_and_allowed, asked_and_denied},
    faults::{a_key_that_is_refused, a_request_that_is_refused, too_many_requests,
        too_many_requests_once, a_server_that_fails, an_answer_that_is_cut_off,
        stopped_while_its_model_is_silent},
    sessions::{resumed, a_session_that_it_does_not_know, interrupted_and_told_something_else,
        told_more_while_it_works});

cases!(copilot, &Copilot, "ORCHESTRATOR_TEST_COPILOT", false:
    cases::{text, a_tool, a_tool_that_is_not_in_reach, a_file_is_written},
    faults::{a_key_that_is_refused, a_request_that_is_refused, too_many_requests,
        too_many_requests_once, a_server_that_fails, an_answer_that_is_cut_off},
    sessions::{resumed, a_session_that_it_does_not_know});

cases!(copilot_live, &Copilot, "ORCHESTRATOR_TEST_COPILOT", true:
    cases::{text, a_file_is_written, asked_and_allowed, asked_and_denied},
    faults::{a_key_that_is_refused, a_request_that_is_refused, too_many_requests,
        too_many_requests_once, a_server_that_fails, an_answer_that_is_cut_off,
        stopped_while_its_model_is_silent},
    sessions::{resumed, a_session_that_it_does_not_know, interrupted_and_told_something_else,
        told_more_while_it_works});

// Any agent of the protocol, with nothing of the program known.
cases!(acp, &Acp, "ORCHESTRATOR_TEST_COPILOT", true:
    cases::{text, a_file_is_written, asked_and_allowed, asked_and_denied},
    faults::{a_key_that_is_refused, stopped_while_its_model_is_silent},
    sessions::{resumed, a_session_that_it_does_not_know, interrupted_and_told_something_else,
        told_more_while_it_works});
