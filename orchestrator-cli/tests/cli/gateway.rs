//! The gateway alone: another program calls models through it, with its token and within its budget.

use crate::{
    harness::{Project, eventually},
    models, schemas,
};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

const MODEL: &str = "claude-sonnet-4-5";

/// An answer that costs $0.0045.
fn answer() -> Reply {
    let usage = Usage { input: TokenCount(1_000), output: TokenCount(100), ..Usage::default() };
    Reply::text("done").usage(usage)
}

/// Posts a question to the gateway; returns the status and the body.
pub(crate) fn ask(url: &str, token: &str, model: &str) -> (u16, String) {
    ask_with(url, token, model, "")
}

/// The same with more headers, each with its end.
pub(crate) fn ask_with(url: &str, token: &str, model: &str, headers: &str) -> (u16, String) {
    let host = url.strip_prefix("http://").expect("a URL");
    let body = json!({
        "model": model, "max_tokens": 100, "stream": true,
        "messages": [{ "role": "user", "content": "hello" }],
    });
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).expect("a connection");
    let head = format!(
        "POST /anthropic/v1/messages HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/json\r\nx-api-key: {token}\r\nanthropic-version: 2023-06-01\r\n\
         {headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, text)
}

/// The address and the token that a gateway says.
pub(crate) fn listening(document: &Value) -> (String, String) {
    schemas::check(document);
    let part = |name: &str| document[name].as_str().expect("text").to_owned();
    (part("url"), part("token"))
}

#[test]
fn other_programs_call_through_the_gateway_until_its_budget_is_spent() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = models::project(&server, "anthropic", MODEL);
    let arguments = ["gateway", "--budget", "0.006", "--model", "claude-*", "--json"];
    let mut running = project.start(&arguments);
    let first: Value = serde_json::from_str(&running.line().expect("a line")).expect("JSON");
    let (url, token) = listening(&first);
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");

    let (status, body) = ask(&url, &token, MODEL);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("message_stop"), "{body}");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("x-api-key"), Some("sk-test-0123456789"), "the real key");
    assert!(!body.contains("sk-test-0123456789"));

    // $0.0015 is left, and a call may cost more. The server counts more than any prompt of that
    // length can have, so that what the first one held would leave room: it must be settled.
    eventually("the first call is settled", || {
        let report = project.json(&["cost-report"]);
        (report["ledger"]["settled_usd"] == "0.0045").then_some(())
    });
    let (status, body) = ask(&url, &token, MODEL);
    assert_eq!(status, 402, "{body}");
    assert!(body.contains("billing_error") && body.contains("$0.0045 spent"), "{body}");
    assert_eq!(ask(&url, "orc-attempt-forged", MODEL).0, 401);
    let (status, body) = ask(&url, &token, "gpt-4o");
    assert_eq!(status, 403, "{body}");
    assert_eq!(server.requests().len(), 1, "none of these went out");

    running.signal(Signal::INT);
    let ended = running.end().expect(0);
    assert!(ended.stderr.contains("1 call passed, $0.0045"), "{}", ended.stderr);
    let ledger = project.json(&["cost-report"])["ledger"].clone();
    assert_eq!((&ledger["settled_usd"], &ledger["held_calls"]), (&json!("0.0045"), &json!(0)));
    // They are in the rows as well, beside what runs spend and not with it.
    let flow = "name: flow\ntasks:\n  a: { agent: dev, prompt: x }\n";
    project.write(".orchestrator/workflows/flow.yaml", flow);
    project.ok(&["execute", "--workflow", "flow"]);
    for (group, keys) in
        [("agent", &["(gateway)", "dev"][..]), ("model", &[MODEL]), ("provider", &["scripted"])]
    {
        let report = project.json(&["cost-report", "--by", group]);
        schemas::check(&report);
        let items = report["items"].as_array().expect("items");
        let found: Vec<&str> = items.iter().filter_map(|row| row["key"].as_str()).collect();
        assert_eq!(found, keys, "{group}");
        let total = &report["total"];
        assert_eq!((&total["cost_usd"], &total["requests"]), (&json!("0.009"), &json!(2)));
        assert_eq!((&total["input_tokens"], &total["runs"]), (&json!(2_000), &json!(1)));
    }
    let days = project.json(&["cost-report", "--by", "day"])["items"].clone();
    let sum: u64 =
        days.as_array().expect("days").iter().filter_map(|day| day["requests"].as_u64()).sum();
    assert_eq!(sum, 2, "{days}");
}

#[test]
fn a_shell_is_told_what_to_set() {
    let server = ModelServer::start().expect("a server");
    let project = models::project(&server, "anthropic", MODEL);
    let mut running = project.start(&["gateway"]);
    let lines: Vec<String> = (0..6).filter_map(|_| running.line()).collect();
    for start in [
        "export ANTHROPIC_BASE_URL=http://127.0.0.1:",
        "export ANTHROPIC_API_KEY=orc-attempt-",
        "export OPENAI_BASE_URL=http://127.0.0.1:",
        "export OPENAI_API_KEY=orc-attempt-",
        "export GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:",
        "export GEMINI_API_KEY=orc-attempt-",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(start)), "{start}: {lines:?}");
    }
    running.signal(Signal::TERM);
    running.end().expect(0);
}

#[test]
fn a_gateway_that_cannot_be_is_refused_with_its_reason() {
    let server = ModelServer::start().expect("a server");
    let project = models::project(&server, "anthropic", MODEL);
    let ran = project.run(&["gateway", "--listen", "0.0.0.0:0"]).expect(2);
    assert!(ran.stderr.contains("ORC-0548"), "{}", ran.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = project.run(&["gateway", "--listen", &address]).expect(2);
    assert!(ran.stderr.contains("ORC-0549"), "{}", ran.stderr);
    project.run(&["gateway", "--listen", "nowhere"]).expect(2);
    project.run(&["gateway", "--budget", "much"]).expect(2);
    let ran = Project::new().run(&["gateway"]).expect(2);
    assert!(ran.stderr.contains("model"), "{}", ran.stderr);
}

#[test]
fn the_gateway_knows_the_rules_of_the_settings() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = models::project(&server, "anthropic", MODEL);
    let config = project.read(".orchestrator/config.toml");
    let rule = "\n[models.small]\nuse = [\"scripted/claude-haiku-4-5\"]\n";
    project.write(".orchestrator/config.toml", &(config + rule));
    let mut running = project.start(&["gateway", "--model", "small", "--json"]);
    let first: Value = serde_json::from_str(&running.line().expect("a line")).expect("JSON");
    let (url, token) = listening(&first);
    let (status, told) = ask(&url, &token, "small");
    assert_eq!(status, 200, "{told}");
    assert!(told.contains("x-orchestrator-rule: small"), "{told}");
    assert!(told.contains("x-orchestrator-model: scripted/claude-haiku-4-5"), "{told}");
    let (status, told) = ask(&url, &token, "cheap");
    assert!(status == 404 && told.contains("ORC-0563"), "{told}");
    assert!(told.contains("`scripted/claude-haiku-4-5` (this token may not use it)"), "{told}");
    assert_eq!(ask(&url, &token, MODEL).0, 403);
    assert_eq!(server.requests().len(), 1);
    running.signal(Signal::INT);
    running.end().expect(0);
    let report = project.json(&["cost-report", "--by", "model"]);
    assert_eq!(report["items"][0]["key"], "claude-haiku-4-5", "{report}");
}
