//! Copilot CLI 1.0.102.

use crate::told::{check, order};
use orchestrator_agents::coding::{
    Adapter, Copilot, Endpoint, Event, Exit, Format, Input, Order, Reach, Scope, Start, Step,
    Verdict,
};
use orchestrator_core::{error::ErrorClass, usage::TokenCount};
use serde_json::json;

#[test]
fn every_recorded_stream_is_told_as_it_is() {
    for (name, exit) in [
        ("text", Exit::Code(0)),
        ("responses", Exit::Code(0)),
        ("sid", Exit::Code(0)),
        ("resume", Exit::Code(0)),
        ("cont", Exit::Code(0)),
        ("usage", Exit::Code(0)),
        ("shell", Exit::Code(0)),
        ("mcp", Exit::Code(0)),
        ("denied", Exit::Code(0)),
        ("cut", Exit::Code(1)),
        ("e400", Exit::Code(1)),
        ("e401", Exit::Code(1)),
        ("e404", Exit::Code(1)),
        ("e429", Exit::Code(1)),
        ("e500", Exit::Code(1)),
        // These ended with exit code 0, and without a result.
        ("hang", Exit::Code(0)),
        ("hangint", Exit::Code(0)),
    ] {
        check(&Copilot, &order(), "copilot", name, exit);
    }
}

#[test]
fn what_it_used_is_in_the_file_that_it_leaves() {
    let file = json!({ "modelMetrics": { "mock-model": {
        "requests": { "count": 3, "cost": 0 },
        "usage": { "inputTokens": 4200, "outputTokens": 102, "cacheReadTokens": 600,
                   "cacheWriteTokens": 0, "reasoningTokens": 24 }
    } } });
    let mut dialogue = Copilot.dialogue(&order());
    let steps = dialogue.report(file.to_string().as_bytes());
    let [Step::Said(Event::Used(counted))] = &steps[..] else { panic!("{steps:?}") };
    // A resumed session counts what its earlier processes used.
    assert_eq!(counted.scope, Scope::Session);
    let [line] = &counted.models[..] else { panic!("{counted:?}") };
    assert_eq!((line.requests, line.model.as_deref()), (Some(3), Some("mock-model")));
    assert_eq!(line.usage.input, TokenCount(3_600));
    assert_eq!(line.usage.cache_read, TokenCount(600));
    assert_eq!((line.usage.output, line.usage.reasoning), (TokenCount(102), TokenCount(24)));
    assert!(dialogue.report(b"not json").is_empty());
}

#[test]
fn a_failure_that_lasts_is_not_waited_for() {
    let call = |status: u16| {
        let event = json!({ "type": "model.call_failure", "data": { "statusCode": status,
            "retryAttempt": 0, "errorMessage": "no" } });
        let steps = Copilot.dialogue(&order()).line(&event.to_string());
        steps.iter().any(|step| matches!(step, Step::GiveUp(_)))
    };
    for status in [400, 401, 403, 404] {
        assert!(call(status), "{status}");
    }
    for status in [408, 429, 500, 503, 529] {
        assert!(!call(status), "{status}");
    }
}

#[test]
fn a_stream_that_ends_well_needs_an_exit_code_that_agrees() {
    let mut dialogue = Copilot.dialogue(&order());
    dialogue.line(r#"{"type":"result","sessionId":"a","exitCode":0}"#);
    let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(1)) else { panic!() };
    assert_eq!(failure.class, ErrorClass::Crashed);
}

#[test]
fn a_silent_end_is_explained_by_what_it_printed() {
    let class = |stderr: &str| Copilot.diagnose(Exit::Code(1), stderr).map(|it| it.class);
    let no_login = include_str!("transcripts/copilot/noauth.stderr.txt");
    assert_eq!(class(no_login), Some(ErrorClass::Auth));
    let missing = include_str!("transcripts/copilot/resume_missing.stderr.txt");
    assert_eq!(class(missing), Some(ErrorClass::Crashed));
    assert_eq!(class("something else"), None);
}

#[test]
fn the_line_holds_what_it_may_do_and_no_prompt() {
    let reach = Reach { edit: true, ..Reach::default() };
    let order = Order { prompt: "--yolo".into(), reach, ..order() };
    let launch = Copilot.launch(&order).unwrap();
    let line = launch.arguments.join(" ");
    for part in [
        "--output-format json",
        "--no-auto-update",
        "--allow-tool=write",
        "--deny-tool=shell",
        "--session-id=33333333-2222-4333-8444-555555555555",
        "--usage-output-file /home/agent/.copilot/orchestrator-usage.json",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains("yolo") && !line.contains("url"), "{line}");
    assert_eq!(launch.input, Input::Dialogue);
    let steps = Copilot.dialogue(&order).start();
    assert_eq!(steps, [Step::Write("--yolo".into()), Step::Close]);
}

#[test]
fn it_calls_in_the_best_format_that_it_speaks() {
    let with = |formats: &[Format]| {
        let endpoint = Endpoint { formats: formats.to_vec(), ..order().endpoint.unwrap() };
        Copilot.launch(&Order { endpoint: Some(endpoint), ..order() })
    };
    let set = |formats: &[Format], name: &str| {
        let launch = with(formats).unwrap();
        launch.variables.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    };
    let base = "COPILOT_PROVIDER_BASE_URL";
    let at = |path: &str| Some(format!("http://127.0.0.1:4000{path}"));
    assert_eq!(set(&[Format::Anthropic, Format::Chat], base), at("/anthropic"));
    assert_eq!(set(&[Format::Gemini, Format::Chat], base), at("/openai/v1"));
    let wire = set(&[Format::Responses], "COPILOT_PROVIDER_WIRE_API");
    assert_eq!(wire.as_deref(), Some("responses"));
    assert_eq!(
        set(&[Format::Chat], "COPILOT_PROVIDER_API_KEY").as_deref(),
        Some("token-of-the-attempt")
    );
    assert_eq!(with(&[Format::Gemini]).unwrap_err().class, ErrorClass::InvalidRequest);
    let no_model = Copilot.launch(&Order { model: None, ..order() }).unwrap_err();
    assert_eq!(no_model.class, ErrorClass::InvalidRequest);
}

#[test]
fn a_session_is_resumed_by_its_name_and_cannot_be_forked() {
    let resume = Order { start: Start::Resume("abc".into()), ..order() };
    assert!(Copilot.launch(&resume).unwrap().arguments.contains(&"--resume=abc".to_owned()));
    let fork = Order { start: Start::Fork { of: "a".into(), id: "b".into() }, ..order() };
    assert_eq!(Copilot.launch(&fork).unwrap_err().class, ErrorClass::InvalidRequest);
}

#[test]
fn its_version_is_read_from_its_first_line() {
    let printed = "GitHub Copilot CLI 1.0.102.\nRun 'copilot update' to check for updates.\n";
    assert_eq!(Copilot.read_version(printed).as_deref(), Some("1.0.102"));
    assert_eq!(Copilot.read_version("no number"), None);
}

#[test]
fn one_that_was_interrupted_is_not_done_whatever_it_says() {
    for event in ["abort", "agent.interrupted"] {
        let mut dialogue = Copilot.dialogue(&order());
        dialogue.line(&json!({ "type": event, "data": {} }).to_string());
        dialogue.line(r#"{"type":"result","sessionId":"a","exitCode":0}"#);
        let Verdict::Failed(failure) = dialogue.verdict(Exit::Stopped) else { panic!("{event}") };
        assert_eq!(failure.class, ErrorClass::Crashed);
    }
}
