//! Claude Code 2.1.329.

use crate::told::{check, order, recorded, short, stderr};
use orchestrator_agents::coding::{
    Adapter, ClaudeCode, Decision, Endpoint, Event, Exit, Format, Input, Launch, Order, Reach,
    RequestId, Start, Step, Verdict,
};
use orchestrator_core::{error::ErrorClass, time::Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn every_recorded_stream_is_told_as_it_is() {
    for (name, exit) in [
        ("text", Exit::Code(0)),
        ("aimock", Exit::Code(0)),
        ("authtoken", Exit::Code(0)),
        ("sysprompt", Exit::Code(0)),
        ("tools_none", Exit::Code(0)),
        ("json", Exit::Code(0)),
        ("badmodel", Exit::Code(0)),
        ("sid", Exit::Code(0)),
        ("resume", Exit::Code(0)),
        ("cont", Exit::Code(0)),
        ("partial", Exit::Code(0)),
        ("shell", Exit::Code(0)),
        ("write", Exit::Code(0)),
        ("mcp", Exit::Code(0)),
        ("schema", Exit::Code(0)),
        ("denied", Exit::Code(0)),
        ("dontask", Exit::Code(0)),
        ("shell_denied_redirect", Exit::Code(0)),
        ("budget", Exit::Code(1)),
        ("maxturns", Exit::Code(1)),
        ("noauth", Exit::Code(1)),
        ("resume_missing", Exit::Code(1)),
        ("e400", Exit::Code(1)),
        ("e401r1", Exit::Code(1)),
        ("e404", Exit::Code(1)),
        ("e429r1", Exit::Code(1)),
        ("aimock429", Exit::Code(1)),
        ("e500r1", Exit::Code(1)),
        ("cutr1", Exit::Code(0)),
        // With ten tries: they were stopped.
        ("e401", Exit::Stopped),
        ("e429", Exit::Stopped),
        ("e500", Exit::Stopped),
        ("cut", Exit::Stopped),
        // By SIGTERM and by SIGINT, which ends with exit code 0.
        ("hang", Exit::Code(143)),
        ("hangint", Exit::Code(0)),
    ] {
        check(&ClaudeCode, &order(), "claude", name, exit);
    }
}

fn live() -> Order {
    Order { live: true, ..order() }
}

/// What is written in a conversation that was recorded: our side of it, with `decision` for all that
/// it asks, and `more` said as soon as it has said something.
fn conversation(name: &str, decision: &Decision, more: &[&str]) -> (Vec<String>, Verdict) {
    let mut dialogue = ClaudeCode.dialogue(&live());
    let mut written: Vec<String> = Vec::new();
    let mut steps = dialogue.start();
    let mut more = more.iter();
    let mut lines = recorded("claude", name).into_iter();
    loop {
        for step in &steps {
            match step {
                Step::Write(line) => written.push(line.clone()),
                Step::Close => written.push("close".into()),
                Step::Said(Event::Ended(_)) => written.push(short(step)),
                Step::Said(_) => {}
                Step::GiveUp(failure) => panic!("{failure}"),
            }
        }
        let answers: Vec<Step> = steps
            .iter()
            .flat_map(|step| match step {
                Step::Said(Event::Permission { id, .. }) => dialogue.answer(id, decision),
                Step::Said(Event::Message { .. }) => {
                    more.next().and_then(|text| dialogue.say(text)).unwrap_or_default()
                }
                _ => Vec::new(),
            })
            .collect();
        if !answers.is_empty() {
            steps = answers;
            continue;
        }
        let Some(line) = lines.next() else { break };
        if line["dir"] == "out" && line.get("msg").is_some() {
            let text = line["msg"].to_string().replace("\"req-1\"", "\"hello\"");
            steps = dialogue.line(&text);
        } else {
            steps = Vec::new();
        }
    }
    (written, dialogue.verdict(Exit::Code(0)))
}

/// What was written in a recorded conversation.
fn ours(name: &str) -> Vec<Value> {
    let lines = recorded("claude", name).into_iter().filter(|line| line["dir"] == "in");
    lines.map(|mut line| line["msg"].take()).collect()
}

#[test]
fn it_is_asked_and_told_more_as_it_was_recorded() {
    let (written, verdict) = conversation("ctl_allow", &Decision::Allow, &["second turn"]);
    let ours = ours("ctl_allow");
    let [hello, prompt, allow, second] = &ours[..] else { panic!("{ours:?}") };
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let said = |line: &Value, text: &str| {
        let mut line = line.clone();
        line["message"]["content"] = json!(text);
        line
    };
    let [own_hello, own_prompt, own_second, own_allow, first_end, second_end, close] = &written[..]
    else {
        panic!("{written:#?}")
    };
    assert_eq!(json(own_hello)["request"], hello["request"]);
    assert_eq!(json(own_prompt), said(prompt, "say hello"));
    assert_eq!(&json(own_second), second);
    assert_eq!(&json(own_allow), allow);
    // Two pieces of work, and its input is closed after the second.
    assert_eq!([first_end, second_end, close], ["ended well", "ended well", "close"]);
    assert!(matches!(verdict, Verdict::Done(_)), "{verdict:?}");
}

#[test]
fn what_is_not_allowed_is_said_as_it_was_recorded() {
    let no = Decision::Deny("The probe says no.".into());
    let (written, verdict) = conversation("ctl_deny", &no, &[]);
    let ours = ours("ctl_deny");
    let [_, _, own_deny, end, close] = &written[..] else { panic!("{written:#?}") };
    assert_eq!(serde_json::from_str::<Value>(own_deny).unwrap(), ours[2]);
    assert_eq!([end, close], ["ended well", "close"]);
    assert!(matches!(verdict, Verdict::Done(_)), "{verdict:?}");
    let mut dialogue = ClaudeCode.dialogue(&live());
    let steps: Vec<Step> = recorded("claude", "ctl_deny")
        .iter()
        .filter(|line| line["dir"] == "out")
        .flat_map(|line| dialogue.line(&line["msg"].to_string()))
        .collect();
    assert!(steps.iter().any(|step| short(step) == "tool denied"), "{steps:?}");
}

/// A dialogue that has greeted, and what it was told by us.
fn open() -> Box<dyn orchestrator_agents::coding::Dialogue> {
    let mut dialogue = ClaudeCode.dialogue(&live());
    dialogue.start();
    let hello = json!({ "type": "control_response",
        "response": { "subtype": "success", "request_id": "hello", "response": {} } });
    assert!(matches!(dialogue.line(&hello.to_string())[..], [Step::Write(_)]));
    dialogue
}

fn replay(text: &str) -> String {
    json!({ "type": "user", "isReplay": true, "message": { "role": "user", "content": text } })
        .to_string()
}

fn result(error: bool, reason: &str) -> String {
    json!({ "type": "result", "subtype": if error { "error_during_execution" } else { "success" },
        "is_error": error, "terminal_reason": reason, "result": "done", "errors": ["broken off"] })
    .to_string()
}

fn shorts(steps: &[Step]) -> Vec<String> {
    steps.iter().map(short).collect()
}

#[test]
fn a_message_that_it_takes_in_the_middle_needs_no_turn_of_its_own() {
    let mut dialogue = open();
    dialogue.line(&replay("say hello"));
    assert!(matches!(dialogue.say("louder").unwrap()[..], [Step::Write(_)]));
    dialogue.line(&replay("louder"));
    assert_eq!(shorts(&dialogue.line(&result(false, "completed"))), ["ended well", "close"]);
    assert_eq!(dialogue.say("too late"), None);
    assert_eq!(dialogue.interrupt(), None);
}

#[test]
fn a_message_that_it_has_not_taken_is_waited_for() {
    let mut dialogue = open();
    dialogue.line(&replay("say hello"));
    dialogue.say("louder");
    assert_eq!(shorts(&dialogue.line(&result(false, "completed"))), ["ended well"]);
    dialogue.line(&replay("louder"));
    assert_eq!(shorts(&dialogue.line(&result(false, "completed"))), ["ended well", "close"]);
}

#[test]
fn what_it_is_told_before_it_listens_is_told_then() {
    let mut dialogue = ClaudeCode.dialogue(&live());
    dialogue.start();
    assert_eq!(dialogue.say("and quickly"), Some(Vec::new()));
    let hello = json!({ "type": "control_response",
        "response": { "subtype": "success", "request_id": "hello", "response": {} } });
    let steps = dialogue.line(&hello.to_string());
    assert_eq!(steps.len(), 2, "{steps:?}");
}

#[test]
fn an_interruption_is_no_failure_when_it_goes_on() {
    let mut dialogue = open();
    dialogue.line(&replay("say hello"));
    let [Step::Write(line)] = &dialogue.interrupt().unwrap()[..] else { panic!() };
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["request"], json!({ "subtype": "interrupt" }));
    assert_eq!(shorts(&dialogue.line(&result(true, "aborted_tools"))), ["notice"]);
    let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(0)) else { panic!() };
    assert_eq!(failure.class, ErrorClass::Cancelled);
    dialogue.say("something else");
    dialogue.line(&replay("something else"));
    assert_eq!(shorts(&dialogue.line(&result(false, "completed"))), ["ended well", "close"]);
    assert!(matches!(dialogue.verdict(Exit::Code(0)), Verdict::Done(_)));
}

#[test]
fn a_request_that_is_withdrawn_is_not_answered() {
    let mut dialogue = open();
    let asks = json!({ "type": "control_request", "request_id": "r", "request": {
        "subtype": "can_use_tool", "tool_name": "Write", "blocked_path": "/etc/hosts",
        "input": { "file_path": "/etc/hosts" } } });
    let [Step::Said(Event::Permission { id, action, .. })] = &dialogue.line(&asks.to_string())[..]
    else {
        panic!()
    };
    assert_eq!((id, &action.paths[..]), (&RequestId(json!("r")), &["/etc/hosts".to_owned()][..]));
    let withdrawn = json!({ "type": "control_cancel_request", "request_id": "r" }).to_string();
    assert_eq!(shorts(&dialogue.line(&withdrawn)), ["withdrawn"]);
    assert!(dialogue.answer(id, &Decision::Allow).is_empty());
    assert!(dialogue.line(&withdrawn).is_empty());
}

#[test]
fn a_request_that_is_not_known_is_refused_so_that_it_does_not_wait() {
    let mut dialogue = open();
    let asks = json!({ "type": "control_request", "request_id": "r",
        "request": { "subtype": "elicitation" } });
    let steps = dialogue.line(&asks.to_string());
    let [Step::Said(Event::Unknown { kind }), Step::Write(answer)] = &steps[..] else { panic!() };
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(kind, "control_request/elicitation");
    assert_eq!(answer["response"]["subtype"], "error");
}

#[test]
fn one_that_does_not_take_the_protocol_is_given_up() {
    let mut dialogue = ClaudeCode.dialogue(&live());
    dialogue.start();
    let refused = json!({ "type": "control_response",
        "response": { "subtype": "error", "request_id": "hello", "error": "what?" } });
    assert_eq!(shorts(&dialogue.line(&refused.to_string())), ["give up incompatible"]);
    assert!(matches!(dialogue.verdict(Exit::Stopped), Verdict::Failed(_)));
}

#[test]
fn a_subscription_that_is_used_up_is_waited_for() {
    let own = Order { endpoint: None, ..order() };
    let failed = |lines: &[Value]| {
        let mut dialogue = ClaudeCode.dialogue(&own);
        for line in lines {
            dialogue.line(&line.to_string());
        }
        let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(1)) else { panic!() };
        (failure.class, failure.retry_at)
    };
    let ended = |text: &str, status: Value| {
        json!({ "type": "result", "subtype": "success", "is_error": true, "result": text,
            "api_error_status": status, "terminal_reason": "completed" })
    };
    let at = Some(Timestamp(1_767_225_600_000));
    let used_up = ErrorClass::QuotaExhausted;
    let said = ended("Claude AI usage limit reached|1767225600", Value::Null);
    assert_eq!(failed(&[said]), (used_up, at));
    let said = ended("You've hit your session limit · resets 3pm", json!(429));
    assert_eq!(failed(std::slice::from_ref(&said)), (used_up, None));
    let window = |status: &str| {
        json!({ "type": "rate_limit_event", "rate_limit_info": {
            "status": status, "resetsAt": 1_767_225_600, "rateLimitType": "five_hour" } })
    };
    assert_eq!(failed(&[window("rejected"), said]), (used_up, at));
    let limited = ended("API Error: Request rejected (429)", json!(429));
    assert_eq!(failed(&[window("rejected"), limited.clone()]), (used_up, at));
    assert_eq!(failed(&[window("allowed"), limited]), (ErrorClass::RateLimited, None));
}

#[test]
fn a_call_that_is_refused_for_good_is_not_made_again() {
    let retry = |status: Value, error: &str| {
        json!({ "type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10,
            "retry_delay_ms": 500, "error_status": status, "error": error })
        .to_string()
    };
    let gives_up = |order: &Order, status: Value, error: &str, times: usize| {
        let mut dialogue = ClaudeCode.dialogue(order);
        let steps: Vec<Step> =
            (0..times).flat_map(|_| dialogue.line(&retry(status.clone(), error))).collect();
        steps.iter().find_map(|step| match step {
            Step::GiveUp(failure) => Some(failure.class),
            Step::Said(_) | Step::Write(_) | Step::Close => None,
        })
    };
    let metered = order();
    let own = Order { endpoint: None, ..order() };
    for (status, class) in [
        (400, ErrorClass::InvalidRequest),
        (401, ErrorClass::Auth),
        (402, ErrorClass::Billing),
        (403, ErrorClass::Auth),
        (404, ErrorClass::InvalidRequest),
        (413, ErrorClass::ContextOverflow),
    ] {
        assert_eq!(gives_up(&metered, json!(status), "unknown", 1), Some(class), "{status}");
    }
    for status in [json!(408), json!(429), json!(500), json!(529), Value::Null, json!("x")] {
        assert_eq!(gives_up(&metered, status.clone(), "unknown", 3), None, "{status}");
    }
    // A login may be renewed between two tries.
    assert_eq!(gives_up(&own, json!(401), "authentication_failed", 1), None);
    let twice = gives_up(&own, json!(401), "authentication_failed", 2);
    assert_eq!(twice, Some(ErrorClass::Auth));
    let billing = gives_up(&own, Value::Null, "billing_error", 1);
    assert_eq!(billing, Some(ErrorClass::Billing));
}

#[test]
fn a_stream_that_ends_well_needs_an_exit_code_that_agrees() {
    let ends = |exit| {
        let mut dialogue = ClaudeCode.dialogue(&order());
        dialogue.line(&result(false, "completed"));
        dialogue.verdict(exit)
    };
    assert!(matches!(ends(Exit::Code(0)), Verdict::Done(_)));
    assert!(matches!(ends(Exit::Stopped), Verdict::Done(_)));
    for exit in [Exit::Code(1), Exit::Signal(9)] {
        let Verdict::Failed(failure) = ends(exit) else { panic!() };
        assert_eq!(failure.class, ErrorClass::Crashed);
    }
    assert_eq!(ClaudeCode.dialogue(&order()).verdict(Exit::Code(0)), Verdict::Silent);
}

#[test]
fn a_silent_end_is_explained_by_what_it_printed() {
    let class =
        |code, text: &str| ClaudeCode.diagnose(Exit::Code(code), text).map(|failure| failure.class);
    let told = |name: &str| class(1, &stderr("claude", name));
    assert_eq!(told("badflag"), Some(ErrorClass::Incompatible));
    assert_eq!(told("resume_missing"), Some(ErrorClass::InvalidRequest));
    assert_eq!(told("sid_again"), Some(ErrorClass::InvalidRequest));
    let root = "--dangerously-skip-permissions cannot be used with root/sudo privileges for ...";
    assert_eq!(class(1, root), Some(ErrorClass::InvalidRequest));
    assert_eq!(class(1, "Not logged in · Please run /login"), Some(ErrorClass::Auth));
    assert_eq!(class(1, "Error: out of luck"), Some(ErrorClass::Crashed));
    assert_eq!(class(1, "a remark"), None);
    assert_eq!(class(0, "Error: out of luck"), None);
}

fn launch(order: &Order) -> Launch {
    ClaudeCode.launch(order).unwrap()
}

/// What follows `flag` on the line.
fn value<'a>(launch: &'a Launch, flag: &str) -> Option<&'a str> {
    let place = launch.arguments.iter().position(|argument| argument == flag)?;
    launch.arguments.get(place + 1).map(String::as_str)
}

fn variable<'a>(launch: &'a Launch, name: &str) -> Option<&'a str> {
    launch.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_line_holds_neither_prompt_nor_secret() {
    let order = Order {
        prompt: "/compact me".into(),
        instructions: "You are careful.".into(),
        schema: Some(Arc::new(json!({ "type": "object" }))),
        mcp: vec![("tickets".into(), json!({ "command": "t", "env": { "KEY": "secret-1" } }))],
        arguments: vec!["--effort".into(), "low".into()],
        ..order()
    };
    let launch = launch(&order);
    let line = launch.arguments.join(" ");
    assert!(!line.contains("compact") && !line.contains("secret-1"), "{line}");
    assert!(!line.contains("token-of-the-attempt") && !line.contains("careful"), "{line}");
    assert!(!line.contains("bypass") && !line.contains("dangerously"), "{line}");
    assert!(line.ends_with("--effort low"), "{line}");
    assert_eq!(value(&launch, "--model"), Some("mock-model"));
    assert_eq!(value(&launch, "--json-schema"), Some(r#"{"type":"object"}"#));
    assert_eq!(value(&launch, "--session-id"), Some("33333333-2222-4333-8444-555555555555"));
    let instructions = value(&launch, "--append-system-prompt-file");
    assert_eq!(instructions, Some("/home/agent/instructions.md"));
    assert_eq!(value(&launch, "--mcp-config"), Some("/home/agent/mcp.json"));
    let [(_, instructions), (_, servers)] = &launch.files[..] else { panic!("{launch:?}") };
    assert_eq!(instructions, b"You are careful.");
    let servers: Value = serde_json::from_slice(servers).unwrap();
    assert_eq!(servers["mcpServers"]["tickets"]["env"]["KEY"], "secret-1");
    assert_eq!(variable(&launch, "ENABLE_TOOL_SEARCH"), Some("false"));
    assert_eq!(variable(&launch, "ANTHROPIC_BASE_URL"), Some("http://127.0.0.1:4000/anthropic"));
    assert_eq!(variable(&launch, "ANTHROPIC_AUTH_TOKEN"), Some("token-of-the-attempt"));
    assert!(launch.without.contains(&"ANTHROPIC_API_KEY"));
    // A stroke at the beginning would make it a command of the program.
    let steps = ClaudeCode.dialogue(&order).start();
    assert_eq!(steps, [Step::Write(" /compact me".into()), Step::Close]);
    assert_eq!(launch.input, Input::Dialogue);
}

#[test]
fn the_projects_settings_are_not_read() {
    // They hold commands that are run unasked, and another address for the gateway.
    let launch = launch(&order());
    assert_eq!(value(&launch, "--setting-sources"), Some("user"));
    assert_eq!(value(&launch, "--add-dir"), Some("/work"));
    assert_eq!(variable(&launch, "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD"), Some("1"));
    assert!(launch.arguments.contains(&"--strict-mcp-config".to_owned()));
}

#[test]
fn what_is_not_in_reach_is_asked_for() {
    let rules = |reach, live, mcp: &[&str]| {
        let mcp = mcp.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        let launch = launch(&Order { reach, live, mcp, ..order() });
        let settings: Value = serde_json::from_str(value(&launch, "--settings").unwrap()).unwrap();
        let mode = value(&launch, "--permission-mode").unwrap().to_owned();
        (mode, settings["permissions"]["allow"].clone(), settings["permissions"]["ask"].clone())
    };
    let nothing = Reach::default();
    let (edit, run, network) = (
        json!(["Edit", "MultiEdit", "NotebookEdit", "Write"]),
        json!(["Bash", "Monitor", "PowerShell"]),
        json!(["WebFetch", "WebSearch"]),
    );
    let all = |parts: &[&Value]| {
        json!(parts.iter().flat_map(|part| part.as_array().unwrap().clone()).collect::<Vec<_>>())
    };
    // One that can ask does so before it reads, too: there may be rules for that.
    let read = json!(["Glob", "Grep", "LS", "Read"]);
    for live in [false, true] {
        let read = if live { &read } else { &json!([]) };
        let expected = ("manual".to_owned(), json!([]), all(&[&edit, &run, &network, read]));
        assert_eq!(rules(nothing, live, &[]), expected);
        let edits = ("acceptEdits".to_owned(), json!([]), all(&[&run, &network]));
        assert_eq!(rules(Reach { edit: true, ..nothing }, live, &[]), edits);
        let everything = Reach { edit: true, run: true, network: true };
        let expected = ("acceptEdits".to_owned(), all(&[&run, &network]), json!([]));
        assert_eq!(rules(everything, live, &[]), expected);
    }
    // Servers were given to it to be used; where it can ask, it asks.
    assert_eq!(rules(nothing, false, &["tickets"]).1, json!(["mcp__tickets"]));
    assert_eq!(rules(nothing, true, &["tickets"]).1, json!([]));
}

#[test]
fn a_session_is_begun_resumed_and_forked() {
    let line = |start| launch(&Order { start, ..order() }).arguments.join(" ");
    assert!(line(Start::New("a".into())).contains("--session-id a "));
    assert!(line(Start::Resume("a".into())).contains("--resume a "));
    let fork = line(Start::Fork { of: "a".into(), id: "b".into() });
    assert!(fork.contains("--resume a --fork-session --session-id b "), "{fork}");
}

#[test]
fn one_that_is_asked_keeps_its_input() {
    let line = launch(&live()).arguments.join(" ");
    for part in ["--input-format stream-json", "--permission-prompt-tool stdio"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!launch(&order()).arguments.join(" ").contains("--input-format"));
}

#[test]
fn a_login_of_its_own_is_left_alone() {
    let launch = launch(&Order { endpoint: None, ..order() });
    assert_eq!(variable(&launch, "ANTHROPIC_BASE_URL"), None);
    assert!(!launch.without.contains(&"CLAUDE_CODE_OAUTH_TOKEN"));
    assert_eq!(ClaudeCode.login(), [".claude/.credentials.json"]);
}

#[test]
fn it_calls_in_one_format() {
    let endpoint = Endpoint { formats: vec![Format::Chat], ..order().endpoint.unwrap() };
    let refused = ClaudeCode.launch(&Order { endpoint: Some(endpoint), ..order() }).unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidRequest);
}

#[test]
fn its_version_is_read() {
    let version = ClaudeCode.read_version("2.1.329 (Claude Code)\n");
    assert_eq!(version.as_deref(), Some("2.1.329"));
    assert_eq!(ClaudeCode.read_version("hello"), None);
}
