//! Codex 0.169.0.

use crate::told::{beside, check, order, recorded, short, stderr, told};
use orchestrator_agents::coding::{
    Adapter, Codex, Decision, Dialogue, Endpoint, Event, Exit, Format, Input, Launch, Order, Reach,
    Start, Step, Verdict,
};
use orchestrator_core::{error::ErrorClass, time::Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn every_recorded_stream_is_told_as_it_is() {
    for (name, exit) in [
        ("text", Exit::Code(0)),
        ("aimock", Exit::Code(0)),
        ("text_noanalytics", Exit::Code(0)),
        ("text_noplugins", Exit::Code(0)),
        ("dnsfast", Exit::Code(0)),
        ("ephemeral", Exit::Code(0)),
        ("profile_key", Exit::Code(0)),
        ("think", Exit::Code(0)),
        ("schema", Exit::Code(0)),
        ("resume", Exit::Code(0)),
        ("resume_flag_after", Exit::Code(0)),
        ("resume_last", Exit::Code(0)),
        ("shell", Exit::Code(0)),
        ("shell2", Exit::Code(0)),
        ("shell_danger", Exit::Code(0)),
        ("cd", Exit::Code(0)),
        ("exec_home", Exit::Code(0)),
        ("failcmd", Exit::Code(0)),
        ("slowfail", Exit::Code(0)),
        ("write", Exit::Code(0)),
        ("mcp", Exit::Code(0)),
        // What its sandbox refused leaves no item.
        ("ro", Exit::Code(0)),
        ("ro2", Exit::Code(0)),
        // Five tries of a transport that is not there, and then the other one.
        ("openai_cfg", Exit::Code(0)),
        ("openai_login", Exit::Code(0)),
        ("cut", Exit::Code(1)),
        ("e400", Exit::Code(1)),
        ("e401", Exit::Code(1)),
        ("e429", Exit::Code(1)),
        ("e500", Exit::Code(1)),
        ("noauth", Exit::Code(1)),
        ("openai_env", Exit::Stopped),
        ("hang", Exit::Code(143)),
        ("hangint", Exit::Code(1)),
    ] {
        check(&Codex, &order(), "codex", name, exit);
    }
}

fn live() -> Order {
    Order { live: true, ..order() }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// All that is said and done in the first turn of a conversation that was recorded, in which it asks
/// once.
#[test]
fn a_recorded_conversation_is_held_again() {
    let lines = recorded("codex", "appserver");
    let mut dialogue = Codex.dialogue(&live());
    let mut text = String::new();
    let mut steps = dialogue.start();
    let mut heard = lines.iter().filter(|line| line["dir"] == "out" && line["msg"].is_object());
    loop {
        let mut answers = Vec::new();
        for step in &steps {
            if !matches!(step, Step::Said(Event::Delta(_))) {
                text.push_str(&short(step));
                text.push('\n');
            }
            if let Step::Said(Event::Permission { id, .. }) = step {
                answers = dialogue.answer(id, &Decision::Allow);
            }
        }
        if steps.contains(&Step::Close) {
            break;
        }
        steps = match answers.is_empty() {
            true => dialogue.line(&heard.next().unwrap()["msg"].to_string()),
            false => answers,
        };
    }
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    assert_eq!(text, beside("codex", "appserver.told"));
}

/// A dialogue in its first turn.
fn in_a_turn(order: &Order) -> Box<dyn Dialogue> {
    let mut dialogue = Codex.dialogue(order);
    let [Step::Write(hello)] = &dialogue.start()[..] else { panic!() };
    assert_eq!(json(hello)["method"], "initialize");
    let [Step::Write(ready), Step::Write(open)] = &dialogue.line(r#"{"id":1,"result":{}}"#)[..]
    else {
        panic!()
    };
    assert_eq!(json(ready), json!({ "method": "initialized" }));
    assert!(json(open)["method"].as_str().unwrap().starts_with("thread/"));
    let opened = json!({ "id": 2, "result": { "model": "m",
        "thread": { "id": "t", "cliVersion": "0.169.0" } } });
    let steps = dialogue.line(&opened.to_string());
    let [Step::Said(Event::Session { id, model, version }), Step::Write(turn)] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!(
        (id.as_str(), model.as_deref(), version.as_deref()),
        ("t", Some("m"), Some("0.169.0"))
    );
    assert_eq!(json(turn)["method"], "turn/start");
    dialogue.line(r#"{"id":3,"result":{"turn":{"id":"1"}}}"#);
    dialogue.line(&started("1"));
    dialogue
}

fn started(turn: &str) -> String {
    json!({ "method": "turn/started", "params": { "threadId": "t", "turn": { "id": turn } } })
        .to_string()
}

fn completed(status: &str, error: &Value) -> String {
    json!({ "method": "turn/completed", "params": { "threadId": "t",
        "turn": { "id": "1", "status": status, "error": error } } })
    .to_string()
}

fn shorts(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .map(|step| match step {
            Step::Write(line) => match json(line)["method"].as_str() {
                Some(method) => method.to_owned(),
                None => line.clone(),
            },
            step => short(step),
        })
        .collect()
}

#[test]
fn it_is_steered_within_its_turn() {
    let mut dialogue = in_a_turn(&live());
    let [Step::Write(steer)] = &dialogue.say("louder").unwrap()[..] else { panic!() };
    assert_eq!(json(steer)["params"]["expectedTurnId"], "1");
    // The turn ends before it has answered: the answer says whether it heard that.
    assert_eq!(shorts(&dialogue.line(&completed("completed", &Value::Null))), ["ended well"]);
    let refused = r#"{"id":4,"error":{"code":-32600,"message":"no active turn to steer"}}"#;
    assert_eq!(shorts(&dialogue.line(refused)), ["turn/start"]);
    dialogue.line(r#"{"id":5,"result":{"turn":{"id":"2"}}}"#);
    dialogue.line(&started("2"));
    let end = dialogue.line(&completed("completed", &Value::Null));
    assert_eq!(shorts(&end), ["ended well", "close"]);
    assert_eq!((dialogue.say("late"), dialogue.interrupt()), (None, None));
    assert!(matches!(dialogue.verdict(Exit::Code(0)), Verdict::Done(_)));
}

#[test]
fn what_it_was_told_in_time_needs_no_turn_of_its_own() {
    let mut dialogue = in_a_turn(&live());
    dialogue.say("louder");
    assert!(dialogue.line(r#"{"id":4,"result":{"turnId":"1"}}"#).is_empty());
    let end = dialogue.line(&completed("completed", &Value::Null));
    assert_eq!(shorts(&end), ["ended well", "close"]);
}

#[test]
fn an_interruption_is_no_failure_when_it_goes_on() {
    let mut dialogue = in_a_turn(&live());
    assert_eq!(shorts(&dialogue.interrupt().unwrap()), ["turn/interrupt"]);
    assert_eq!(dialogue.say("something else"), Some(Vec::new()));
    dialogue.line(r#"{"id":4,"result":{}}"#);
    let steps = dialogue.line(&completed("interrupted", &Value::Null));
    assert_eq!(shorts(&steps), ["notice", "turn/start"]);
    dialogue.line(&started("2"));
    dialogue.line(r#"{"id":5,"result":{"turn":{"id":"2"}}}"#);
    let end = dialogue.line(&completed("completed", &Value::Null));
    assert_eq!(shorts(&end), ["ended well", "close"]);
}

#[test]
fn one_that_is_interrupted_waits_for_what_it_is_told() {
    let mut dialogue = in_a_turn(&live());
    dialogue.interrupt();
    assert_eq!(shorts(&dialogue.line(&completed("interrupted", &Value::Null))), ["notice"]);
    let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(0)) else { panic!() };
    assert_eq!(failure.class, ErrorClass::Cancelled);
    assert_eq!(shorts(&dialogue.say("go on").unwrap()), ["turn/start"]);
}

#[test]
fn commands_and_changes_are_asked_for_and_answered() {
    let mut dialogue = in_a_turn(&live());
    let change = json!({ "method": "item/started", "params": { "threadId": "t", "item": {
        "type": "fileChange", "id": "c", "status": "inProgress",
        "changes": [{ "path": "/place/a", "kind": { "type": "add" }, "diff": "hi" }] } } });
    assert_eq!(
        shorts(&dialogue.line(&change.to_string())),
        ["tool Edit edit `/place/a` with apply_patch"]
    );
    let asks = json!({ "id": 7, "method": "item/fileChange/requestApproval",
        "params": { "threadId": "t", "turnId": "1", "itemId": "c", "reason": "it is needed" } });
    let steps = dialogue.line(&asks.to_string());
    let [Step::Said(Event::Permission { id, action, .. })] = &steps[..] else { panic!() };
    assert_eq!(
        (&action.paths[..], action.summary.as_str()),
        (&["/place/a".to_owned()][..], "it is needed")
    );
    let steps = dialogue.answer(id, &Decision::Allow);
    let [Step::Write(answer)] = &steps[..] else { panic!() };
    assert_eq!(json(answer), json!({ "id": 7, "result": { "decision": "accept" } }));
    assert!(dialogue.answer(id, &Decision::Allow).is_empty());

    let asks = json!({ "id": "x", "method": "item/commandExecution/requestApproval",
        "params": { "threadId": "t", "itemId": "d", "command": "/bin/bash -lc 'rm -r a'" } });
    let steps = dialogue.line(&asks.to_string());
    let [Step::Said(Event::Permission { id, action, .. })] = &steps[..] else { panic!() };
    assert_eq!(action.command.as_deref(), Some("rm -r a"));
    // The reason is told besides: the answer has no place for it.
    let steps = dialogue.answer(id, &Decision::Deny("not in this project".into()));
    let [Step::Write(answer), Step::Write(why)] = &steps[..] else { panic!() };
    assert_eq!(json(answer), json!({ "id": "x", "result": { "decision": "decline" } }));
    assert!(
        json(why)["params"]["input"][0]["text"].as_str().unwrap().contains("not in this project")
    );
    let declined = json!({ "method": "item/completed", "params": { "threadId": "t", "item": {
        "type": "commandExecution", "id": "d", "status": "declined", "command": "rm" } } });
    assert_eq!(
        shorts(&dialogue.line(&declined.to_string())),
        ["tool Run run `rm` with shell", "tool denied"]
    );
}

#[test]
fn tools_of_mcp_servers_are_asked_for_and_answered() {
    let asks = json!({ "id": 0, "method": "mcpServer/elicitation/request", "params": {
        "threadId": "t", "serverName": "tickets", "mode": "form", "message": "Allow?",
        "_meta": { "codex_approval_kind": "mcp_tool_call", "tool_name": "close",
            "tool_params": { "id": 3 } } } });
    for (decision, result) in [
        (Decision::Allow, json!({ "action": "accept", "content": {} })),
        (Decision::Deny("no".into()), json!({ "action": "decline" })),
    ] {
        let mut dialogue = in_a_turn(&live());
        let steps = dialogue.line(&asks.to_string());
        let [Step::Said(Event::Permission { id, action, input })] = &steps[..] else { panic!() };
        assert_eq!((action.tool.as_str(), input), ("mcp__tickets__close", &json!({ "id": 3 })));
        let [Step::Write(answer), ..] = &dialogue.answer(id, &decision)[..] else { panic!() };
        assert_eq!(json(answer), json!({ "id": 0, "result": result }));
    }
    // A server that asks a person something of its own is told that nobody is there.
    let other = asks.to_string().replace("mcp_tool_call", "else");
    let mut dialogue = in_a_turn(&live());
    assert!(matches!(
        dialogue.line(&other)[..],
        [Step::Said(Event::Unknown { .. }), Step::Write(_)]
    ));
}

#[test]
fn a_request_that_is_withdrawn_is_not_answered() {
    let mut dialogue = in_a_turn(&live());
    let asks = json!({ "id": 0, "method": "item/commandExecution/requestApproval",
        "params": { "threadId": "t", "itemId": "d", "command": "ls" } });
    let steps = dialogue.line(&asks.to_string());
    let [Step::Said(Event::Permission { id, .. })] = &steps[..] else { panic!() };
    let gone = json!({ "method": "serverRequest/resolved",
        "params": { "threadId": "t", "requestId": 0 } });
    assert_eq!(shorts(&dialogue.line(&gone.to_string())), ["withdrawn"]);
    assert!(dialogue.answer(id, &Decision::Allow).is_empty());
    assert!(dialogue.line(&gone.to_string()).is_empty());
}

#[test]
fn a_request_that_is_not_known_is_refused_so_that_it_does_not_wait() {
    let mut dialogue = in_a_turn(&live());
    let steps = dialogue.line(r#"{"id":9,"method":"item/tool/requestUserInput","params":{}}"#);
    let [Step::Said(Event::Unknown { .. }), Step::Write(answer)] = &steps[..] else { panic!() };
    assert_eq!(json(answer)["error"]["code"], -32601);
}

#[test]
fn a_thread_that_it_does_not_know_is_given_up() {
    for (start, method) in [
        (Start::Resume("gone".into()), "thread/resume"),
        (Start::Fork { of: "gone".into(), id: "new".into() }, "thread/fork"),
    ] {
        let mut dialogue = Codex.dialogue(&Order { start, ..live() });
        dialogue.start();
        let steps = dialogue.line(r#"{"id":1,"result":{}}"#);
        assert_eq!(shorts(&steps), ["initialized", method]);
        let [_, Step::Write(open)] = &steps[..] else { panic!() };
        assert_eq!(json(open)["params"]["threadId"], "gone");
        let unknown = r#"{"id":2,"error":{"code":-32600,"message":"no rollout found"}}"#;
        assert_eq!(shorts(&dialogue.line(unknown)), ["give up invalid_request"]);
    }
}

#[test]
fn failures_of_turns_have_their_classes() {
    let class = |message: &str, info: Value| {
        let mut dialogue = in_a_turn(&live());
        let error = json!({ "message": message, "codexErrorInfo": info });
        dialogue.line(&completed("failed", &error));
        let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(0)) else { panic!() };
        failure.class
    };
    let status =
        |status: u16| json!({ "responseTooManyFailedAttempts": { "httpStatusCode": status } });
    assert_eq!(class("no", json!("unauthorized")), ErrorClass::Auth);
    assert_eq!(class("no", json!("usageLimitExceeded")), ErrorClass::QuotaExhausted);
    assert_eq!(class("no", json!("contextWindowExceeded")), ErrorClass::ContextOverflow);
    assert_eq!(class("no", json!("serverOverloaded")), ErrorClass::Overloaded);
    assert_eq!(class("no", status(429)), ErrorClass::RateLimited);
    assert_eq!(class("no", status(503)), ErrorClass::Transient);
    assert_eq!(class("unexpected status 403 Forbidden: x", json!("other")), ErrorClass::Auth);
    let body = r#"{"error":{"message":"too many","code":"context_length_exceeded"}}"#;
    assert_eq!(class(body, json!("badRequest")), ErrorClass::ContextOverflow);
    assert_eq!(class("stream disconnected before completion", Value::Null), ErrorClass::Transient);
    assert_eq!(
        class("You've hit your usage limit. Upgrade", Value::Null),
        ErrorClass::QuotaExhausted
    );
}

#[test]
fn a_window_that_is_used_up_says_when_it_begins_anew() {
    let mut dialogue = in_a_turn(&live());
    let limits = json!({ "method": "account/rateLimits/updated", "params": { "rateLimits": {
        "primary": { "usedPercent": 100, "resetsAt": 1_767_225_600 },
        "secondary": { "usedPercent": 40, "resetsAt": 1_767_999_999 } } } });
    assert!(dialogue.line(&limits.to_string()).is_empty());
    let error = json!({ "message": "used up", "codexErrorInfo": "usageLimitExceeded" });
    dialogue.line(&completed("failed", &error));
    let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(0)) else { panic!() };
    assert_eq!(failure.retry_at, Some(Timestamp(1_767_225_600_000)));
}

#[test]
fn a_call_that_is_refused_for_good_is_not_made_again() {
    let exec = |message: &str| {
        let line = json!({ "type": "error", "message": message }).to_string();
        shorts(&Codex.dialogue(&order()).line(&line))
    };
    let refused = "Reconnecting... 1/5 (unexpected status 401 Unauthorized: no, url: x)";
    assert_eq!(exec(refused), ["retry Some(401)", "give up auth"]);
    let limited = "Reconnecting... 1/5 (exceeded retry limit, last status: 429 Too Many Requests)";
    assert_eq!(exec(limited), ["retry Some(429)"]);
    // The other transport is tried after that.
    let websocket =
        "Reconnecting... 2/5 (unexpected status 404 Not Found: x, url: ws://y/responses)";
    assert_eq!(exec(websocket), ["retry Some(404)"]);
    let cut = "Reconnecting... 2/5 (stream disconnected before completion)";
    assert_eq!(exec(cut), ["retry None"]);
    let mut dialogue = in_a_turn(&live());
    let error = json!({ "method": "error", "params": { "threadId": "t", "willRetry": true, "error": {
        "message": "Reconnecting... 1/1", "codexErrorInfo":
            { "responseStreamConnectionFailed": { "httpStatusCode": 401 } } } } });
    assert_eq!(shorts(&dialogue.line(&error.to_string())), ["retry Some(401)", "give up auth"]);
}

#[test]
fn threads_of_others_are_not_its_own() {
    let mut dialogue = in_a_turn(&live());
    let other = completed("completed", &Value::Null).replace("\"t\"", "\"helper\"");
    assert!(dialogue.line(&other).is_empty());
}

#[test]
fn a_stream_that_ends_well_needs_an_exit_code_that_agrees() {
    let stream = beside("codex", "text.jsonl");
    for (exit, expected) in [
        (Exit::Code(0), "done"),
        (Exit::Stopped, "done"),
        (Exit::Code(1), "failed crashed"),
        (Exit::Signal(9), "failed crashed"),
    ] {
        let told = told(&Codex, &order(), &stream, exit);
        assert!(told.lines().last().unwrap().starts_with(expected), "{exit:?}: {told}");
    }
    assert_eq!(Codex.dialogue(&live()).verdict(Exit::Code(0)), Verdict::Silent);
}

#[test]
fn an_answer_by_a_schema_is_read() {
    let schema = Some(Arc::new(json!({ "type": "object" })));
    let answer = |order: &Order, text: &str| {
        let mut dialogue = Codex.dialogue(order);
        let item = json!({ "type": "item.completed",
            "item": { "id": "1", "type": "agent_message", "text": text } });
        dialogue.line(&item.to_string());
        dialogue.line(r#"{"type":"turn.completed","usage":{}}"#);
        let Verdict::Done(finish) = dialogue.verdict(Exit::Code(0)) else { panic!() };
        finish.structured
    };
    let asked = Order { schema, ..order() };
    assert_eq!(answer(&asked, r#"{"a":1}"#), Some(json!({ "a": 1 })));
    assert_eq!(answer(&asked, "not that"), None);
    assert_eq!(answer(&order(), r#"{"a":1}"#), None);
}

#[test]
fn a_silent_end_is_explained_by_what_it_printed() {
    let class =
        |code, text: &str| Codex.diagnose(Exit::Code(code), text).map(|failure| failure.class);
    let missing = stderr("codex", "resume_missing");
    assert_eq!(class(1, &missing), Some(ErrorClass::InvalidRequest));
    let flag = "error: unexpected argument '--nope' found";
    assert_eq!(class(2, flag), Some(ErrorClass::Incompatible));
    assert_eq!(class(1, "Error loading config.toml: x"), Some(ErrorClass::InvalidRequest));
    assert_eq!(class(1, "Error: out of luck"), Some(ErrorClass::Crashed));
    assert_eq!(class(1, "Reading additional input from stdin..."), None);
}

fn launch(order: &Order) -> Launch {
    Codex.launch(order).unwrap()
}

fn config(launch: &Launch) -> toml::Table {
    let (name, bytes) = &launch.files[0];
    assert_eq!(name.to_str(), Some(".codex/config.toml"));
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}

#[test]
fn the_line_holds_neither_prompt_nor_secret() {
    let order = Order {
        prompt: "--help me".into(),
        instructions: "You are careful.".into(),
        schema: Some(Arc::new(json!({ "type": "object" }))),
        mcp: vec![(
            "tickets".into(),
            json!({ "command": "t", "args": ["a"], "env": { "KEY": "secret-1" }, "x": null }),
        )],
        arguments: vec!["-c".into(), "model_reasoning_effort=low".into()],
        ..order()
    };
    let launch = launch(&order);
    assert_eq!(
        launch.arguments,
        [
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--model",
            "mock-model",
            "--output-schema",
            "/home/agent/.codex/answer.schema.json",
            "--cd",
            "/work",
            "-c",
            "model_reasoning_effort=low",
            "-",
        ]
    );
    assert_eq!(launch.files[1].1, br#"{"type":"object"}"#);
    let config = config(&launch);
    let server = &config["mcp_servers"]["tickets"];
    assert_eq!(server["env"]["KEY"].as_str(), Some("secret-1"));
    assert_eq!(server["default_tools_approval_mode"].as_str(), Some("approve"));
    assert_eq!(config["developer_instructions"].as_str(), Some("You are careful."));
    let provider = &config["model_providers"]["orchestrator"];
    assert_eq!(provider["base_url"].as_str(), Some("http://127.0.0.1:4000/openai/v1"));
    assert_eq!(provider["wire_api"].as_str(), Some("responses"));
    assert_eq!(config["analytics"]["enabled"].as_bool(), Some(false));
    let key = provider["env_key"].as_str().unwrap();
    let token = launch.variables.iter().find(|(name, _)| name == key);
    assert_eq!(token.map(|(_, value)| value.as_str()), Some("token-of-the-attempt"));
    assert!(!config.to_string().contains("token-of-the-attempt"));
    assert!(launch.without.contains(&"OPENAI_API_KEY"));
    let steps = Codex.dialogue(&order).start();
    assert_eq!(steps, [Step::Write("--help me".into()), Step::Close]);
    assert_eq!(launch.input, Input::Dialogue);
}

#[test]
fn a_session_is_begun_resumed_and_forked() {
    let line = |start| launch(&Order { start, ..order() }).arguments.join(" ");
    let resume = line(Start::Resume("a".into()));
    assert_eq!(resume, "exec resume --json --skip-git-repo-check --model mock-model a -");
    let fork = line(Start::Fork { of: "a".into(), id: "b".into() });
    assert_eq!(fork, "exec fork --json --skip-git-repo-check --model mock-model a -");
    assert_eq!(launch(&live()).arguments, ["app-server"]);
}

/// When it is told to ask, as it opens its thread.
fn asks(order: &Order) -> String {
    let mut dialogue = Codex.dialogue(order);
    dialogue.start();
    let steps = dialogue.line(r#"{"id":1,"result":{}}"#);
    let [_, Step::Write(open)] = &steps[..] else { panic!() };
    json(open)["params"]["approvalPolicy"].as_str().unwrap().to_owned()
}

#[test]
fn its_sandbox_and_its_questions_follow_what_is_in_reach() {
    let chosen = |edit, run, live, confined| {
        let reach = Reach { edit, run, network: false };
        let order = Order { reach, live, confined, ..order() };
        let config = config(&launch(&order));
        let text = |name: &str| config[name].as_str().unwrap().to_owned();
        let policy = if live { asks(&order) } else { text("approval_policy") };
        let shell = config["features"].get("shell_tool").and_then(toml::Value::as_bool);
        (text("sandbox_mode"), policy, shell.unwrap_or(true))
    };
    let check = |edit, run, live, confined, sandbox: &str, policy: &str, shell| {
        let expected = (sandbox.to_owned(), policy.to_owned(), shell);
        let got = chosen(edit, run, live, confined);
        assert_eq!(got, expected, "edit {edit} run {run} live {live} confined {confined}");
    };
    check(false, false, false, false, "read-only", "never", false);
    check(true, false, false, false, "workspace-write", "never", false);
    check(false, true, false, false, "read-only", "never", true);
    check(true, true, false, false, "workspace-write", "never", true);
    // Inside of a sandbox of ours it can make none.
    check(false, false, false, true, "read-only", "never", false);
    check(true, false, false, true, "danger-full-access", "never", false);
    check(true, true, false, true, "danger-full-access", "never", true);
    // One that asks does so before everything that is not in reach.
    check(false, false, true, false, "read-only", "untrusted", true);
    check(false, false, true, true, "danger-full-access", "untrusted", true);
    check(true, false, true, false, "workspace-write", "untrusted", true);
    check(true, true, true, false, "workspace-write", "on-request", true);
}

#[test]
fn a_login_of_its_own_is_left_alone() {
    let launch = launch(&Order { endpoint: None, ..order() });
    assert!(!config(&launch).contains_key("model_provider"));
    assert!(!launch.without.contains(&"CODEX_API_KEY"));
    assert_eq!(Codex.login(), [".codex/auth.json"]);
}

#[test]
fn it_calls_in_one_format() {
    let endpoint = Endpoint { formats: vec![Format::Chat], ..order().endpoint.unwrap() };
    let refused = Codex.launch(&Order { endpoint: Some(endpoint), ..order() }).unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidRequest);
}

#[test]
fn its_version_is_read() {
    assert_eq!(Codex.read_version("codex-cli 0.169.0\n").as_deref(), Some("0.169.0"));
    assert_eq!(Codex.read_version("hello"), None);
}
