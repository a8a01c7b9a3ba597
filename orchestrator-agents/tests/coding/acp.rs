//! Programs that speak the Agent Client Protocol, as they were recorded.

use crate::told::{beside, order, short};
use orchestrator_agents::coding::{
    Acp, Adapter, Copilot, Decision, Dialogue, Event, Exit, Gemini, Order, RequestId, Start, Step,
    Verdict,
};
use orchestrator_core::error::ErrorClass;
use serde_json::{Value, json};

/// What the program said, and what it was answered.
fn said(stream: &str) -> Vec<(bool, Value)> {
    let read = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("a line of JSON");
        (line["dir"] == "out", line["msg"].take())
    };
    stream.lines().map(read).collect()
}

/// Plays a recorded session: says what was said then, and tells what came of it. What is written
/// must be what was written then, but for names and texts.
fn played(stream: &str, decision: &Decision) -> String {
    let mut dialogue = Acp.dialogue(&Order { model: None, ..order() });
    let mut told = String::new();
    let mut written: Vec<Value> = Vec::new();
    let mut take = |dialogue: &mut Box<dyn Dialogue>, steps: Vec<Step>| {
        let mut left = std::collections::VecDeque::from(steps);
        while let Some(step) = left.pop_front() {
            match &step {
                Step::Write(line) => {
                    written.push(serde_json::from_str(line).expect("a line of JSON"))
                }
                Step::Said(Event::Delta(_)) => {}
                step => told.push_str(&format!("{}\n", short(step))),
            }
            if let Step::Said(Event::Permission { id, .. }) = &step {
                left.extend(dialogue.answer(id, decision));
            }
        }
    };
    let steps = dialogue.start();
    take(&mut dialogue, steps);
    for (is_theirs, message) in said(stream) {
        if is_theirs {
            let steps = dialogue.line(&message.to_string());
            take(&mut dialogue, steps);
        }
    }
    let methods = |messages: &[Value]| -> Vec<String> {
        let method = |it: &Value| it["method"].as_str().unwrap_or("answer").to_owned();
        messages.iter().map(method).collect()
    };
    let then: Vec<Value> =
        said(stream).into_iter().filter(|(theirs, _)| !theirs).map(|(_, it)| it).collect();
    assert_eq!(methods(&written), methods(&then));
    told + &match dialogue.verdict(Exit::Stopped) {
        Verdict::Done(finish) => format!("done denied {}\n", finish.denied.len()),
        Verdict::Failed(failure) => format!("failed {}: {}\n", failure.class, failure.message),
        Verdict::Silent => "silent\n".into(),
    }
}

#[test]
fn every_recorded_session_is_told_as_it_is() {
    for name in [
        "gemini-write",
        "gemini-deny",
        "gemini-401",
        "copilot-shell",
        "claude-shell",
        "claude-deny",
        "claude-401",
        "claude-429",
        "codex-zed-shell",
        "codex-shell",
        "codex-401",
    ] {
        let decision = match name.ends_with("deny") {
            true => Decision::Deny("not now".into()),
            false => Decision::Allow,
        };
        let stream = beside("acp", &format!("{name}.jsonl"));
        assert_eq!(played(&stream, &decision), beside("acp", &format!("{name}.told")), "{name}");
    }
}

/// A conversation whose session `s` is open and whose first prompt is worked on.
fn at_work(
    adapter: &dyn Adapter,
    order: &Order,
    capabilities: Value,
) -> (Box<dyn Dialogue>, Vec<Value>) {
    let mut dialogue = adapter.dialogue(order);
    let mut written = Vec::new();
    let answers = [
        json!({ "protocolVersion": 1, "agentCapabilities": capabilities }),
        json!({ "sessionId": "s" }),
    ];
    let mut steps = dialogue.start();
    for (index, answer) in answers.into_iter().enumerate() {
        written.extend(wrote(&steps));
        let line = json!({ "jsonrpc": "2.0", "id": index + 1, "result": answer });
        steps = dialogue.line(&line.to_string());
    }
    written.extend(wrote(&steps));
    (dialogue, written)
}

fn wrote(steps: &[Step]) -> Vec<Value> {
    let line = |step: &Step| match step {
        Step::Write(line) => Some(serde_json::from_str(line).expect("a line of JSON")),
        _ => None,
    };
    steps.iter().filter_map(line).collect()
}

fn answer(id: u64, reason: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "stopReason": reason } }).to_string()
}

#[test]
fn what_is_said_while_it_works_is_its_next_prompt() {
    let (mut dialogue, _) = at_work(&Acp, &order(), json!({}));
    assert_eq!(dialogue.say("and tests"), Some(Vec::new()));
    let steps = dialogue.line(&answer(3, "end_turn"));
    let [prompt] = &wrote(&steps)[..] else { panic!("{steps:?}") };
    assert_eq!(prompt["params"]["prompt"][0]["text"], "and tests");
    assert!(!steps.contains(&Step::Close));
    let steps = dialogue.line(&answer(4, "end_turn"));
    assert!(steps.contains(&Step::Close));
    assert!(matches!(dialogue.verdict(Exit::Stopped), Verdict::Done(_)));
}

#[test]
fn it_is_interrupted_and_goes_on_with_what_it_is_told() {
    let (mut dialogue, _) = at_work(&Acp, &order(), json!({}));
    let ask = json!({ "jsonrpc": "2.0", "id": "p1", "method": "session/request_permission",
        "params": { "sessionId": "s", "toolCall": { "toolCallId": "c", "kind": "execute",
            "rawInput": { "command": ["bash", "-lc", "make"] } },
            "options": [{ "optionId": "y", "name": "Yes", "kind": "allow_once" }] } });
    let steps = dialogue.line(&ask.to_string());
    assert!(steps.iter().any(|step| short(step) == "may Run make"), "{steps:?}");
    let steps = dialogue.interrupt().unwrap();
    let written = wrote(&steps);
    assert_eq!(written[0]["method"], "session/cancel");
    assert_eq!(written[1]["result"]["outcome"]["outcome"], "cancelled");
    let gone = Event::Withdrawn { id: RequestId("p1".into()) };
    assert!(steps.contains(&Step::Said(gone)), "{steps:?}");
    // Nothing to do until it is told.
    assert_eq!(dialogue.line(&answer(3, "cancelled")), Vec::new());
    let steps = dialogue.say("do it otherwise").unwrap();
    assert_eq!(wrote(&steps)[0]["params"]["prompt"][0]["text"], "do it otherwise");
}

#[test]
fn an_option_is_chosen_by_its_kind_and_none_is_made_up() {
    let chosen = |options: Value, decision: &Decision| {
        let (mut dialogue, _) = at_work(&Acp, &order(), json!({}));
        let ask = json!({ "jsonrpc": "2.0", "id": 7, "method": "session/request_permission",
            "params": { "sessionId": "s", "toolCall": { "toolCallId": "c" }, "options": options } });
        dialogue.line(&ask.to_string());
        wrote(&dialogue.answer(&RequestId(json!(7)), decision))[0]["result"]["outcome"].clone()
    };
    let both = json!([
        { "optionId": "a", "name": "no", "kind": "reject_once" },
        { "optionId": "b", "name": "always", "kind": "allow_always" },
        { "optionId": "c", "name": "yes", "kind": "allow_once" },
    ]);
    let no = Decision::Deny(String::new());
    assert_eq!(chosen(both.clone(), &Decision::Allow)["optionId"], "c");
    assert_eq!(chosen(both, &no)["optionId"], "a");
    assert_eq!(chosen(json!([]), &Decision::Allow)["outcome"], "cancelled");
}

#[test]
fn a_session_is_resumed_or_loaded_by_what_the_program_offers() {
    let resume = Order { start: Start::Resume("s".into()), ..order() };
    let (_, written) = at_work(
        &Acp,
        &resume,
        json!({ "sessionCapabilities": { "resume": {} }, "loadSession": true }),
    );
    assert_eq!(written[1]["method"], "session/resume");
    let (_, written) = at_work(&Acp, &resume, json!({ "loadSession": true }));
    assert_eq!(written[1]["method"], "session/load");
    assert_eq!(written[1]["params"]["sessionId"], "s");
    let mut dialogue = Acp.dialogue(&resume);
    dialogue.start();
    let line = json!({ "id": 1, "result": { "protocolVersion": 1, "agentCapabilities": {} } });
    dialogue.line(&line.to_string());
    let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(0)) else { panic!() };
    assert_eq!(failure.class, ErrorClass::Crashed);
}

#[test]
fn what_a_loaded_session_tells_again_is_not_said_now() {
    let resume = Order { start: Start::Resume("s".into()), ..order() };
    let mut dialogue = Acp.dialogue(&resume);
    dialogue.start();
    let line = json!({ "id": 1, "result": { "protocolVersion": 1,
                       "agentCapabilities": { "loadSession": true } } });
    dialogue.line(&line.to_string());
    let old = json!({ "method": "session/update", "params": { "sessionId": "s", "update": {
        "sessionUpdate": "agent_message_chunk", "content": { "type": "text", "text": "old" } } } });
    assert_eq!(dialogue.line(&old.to_string()), Vec::new());
    let steps = dialogue.line(r#"{"id":2,"result":{}}"#);
    assert_eq!(short(&steps[0]), "session s");
}

#[test]
fn another_version_of_the_protocol_is_refused() {
    let mut dialogue = Acp.dialogue(&order());
    dialogue.start();
    let steps = dialogue.line(r#"{"id":1,"result":{"protocolVersion":2,"agentCapabilities":{}}}"#);
    assert!(steps.contains(&Step::Close));
    let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(0)) else { panic!() };
    assert_eq!(failure.class, ErrorClass::Incompatible);
}

#[test]
fn a_model_is_chosen_where_the_program_lets_one_choose() {
    let mut dialogue = Acp.dialogue(&order());
    dialogue.start();
    dialogue.line(r#"{"id":1,"result":{"protocolVersion":1,"agentCapabilities":{}}}"#);
    let opened = json!({ "id": 2, "result": { "sessionId": "s", "configOptions": [
        { "id": "model", "name": "Model", "type": "select", "currentValue": "other", "options": [] } ] } });
    let steps = dialogue.line(&opened.to_string());
    assert_eq!(wrote(&steps)[0]["method"], "session/set_config_option");
    assert_eq!(wrote(&steps)[0]["params"]["value"], "mock-model");
    let steps = dialogue.line(r#"{"id":3,"error":{"code":-32602,"message":"no such value"}}"#);
    assert!(steps.contains(&Step::Close));
    let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(0)) else { panic!() };
    assert_eq!(failure.class, ErrorClass::InvalidRequest);
}

#[test]
fn what_is_not_offered_is_refused_and_what_is_not_known_is_counted() {
    let (mut dialogue, _) = at_work(&Acp, &order(), json!({}));
    let read =
        json!({ "id": 9, "method": "fs/read_text_file", "params": { "path": "/etc/passwd" } });
    let steps = dialogue.line(&read.to_string());
    assert_eq!(wrote(&steps)[0]["error"]["code"], -32601);
    let update = json!({ "method": "session/update", "params": { "sessionId": "s",
                         "update": { "sessionUpdate": "from_the_future", "x": 1 } } });
    let steps = dialogue.line(&update.to_string());
    assert_eq!(short(&steps[0]), "unknown session/update from_the_future");
    assert_eq!(short(&dialogue.line("not json")[0]), "garbage \"not json\"");
}

#[test]
fn the_others_speak_it_where_somebody_is_asked() {
    let live = Order { live: true, ..order() };
    for adapter in [&Gemini as &dyn Adapter, &Copilot] {
        let launch = adapter.launch(&live).unwrap();
        assert!(launch.arguments.contains(&"--acp".to_owned()), "{adapter:?}");
        assert_eq!(launch.report, None);
        let (_, written) = at_work(adapter, &live, json!({}));
        assert_eq!(written[2]["params"]["prompt"][0]["text"], "say hello");
    }
}

#[test]
fn no_line_whatever_it_holds_is_too_much() {
    let lines = [
        "",
        "{}",
        "[]",
        "null",
        r#"{"id":1}"#,
        r#"{"id":1,"result":3}"#,
        r#"{"method":"session/update"}"#,
        r#"{"method":"session/update","params":{"update":[]}}"#,
        r#"{"id":2,"method":"session/request_permission","params":null}"#,
        r#"{"id":1,"error":"text"}"#,
        r#"{"id":99,"result":{}}"#,
        "\u{feff}{",
    ];
    for first in lines {
        for second in lines {
            let mut dialogue = Acp.dialogue(&order());
            dialogue.start();
            dialogue.line(first);
            dialogue.line(second);
            let _ = dialogue.verdict(Exit::Code(0));
        }
    }
}
