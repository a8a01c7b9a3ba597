//! Gemini CLI 0.61.0.

use crate::told::{check, order};
use orchestrator_agents::coding::{
    Adapter, Exit, Gemini, Input, Order, Reach, Start, Step, Verdict,
};
use orchestrator_core::error::ErrorClass;
use serde_json::json;

#[test]
fn every_recorded_stream_is_told_as_it_is() {
    let all = Reach { edit: true, run: true, network: true };
    for (name, exit) in [
        ("text", Exit::Code(0)),
        ("think", Exit::Code(0)),
        ("sid", Exit::Code(0)),
        ("resume", Exit::Code(0)),
        ("shell", Exit::Code(0)),
        ("write", Exit::Code(0)),
        ("mcp", Exit::Code(0)),
        ("denied", Exit::Code(0)),
        ("maxturns", Exit::Code(53)),
        ("cut", Exit::Code(1)),
        ("e400", Exit::Code(144)),
        ("e401", Exit::Code(145)),
        ("e401m1", Exit::Code(145)),
        ("e404", Exit::Code(1)),
        ("e429", Exit::Code(1)),
        ("e429m1", Exit::Code(173)),
        ("e500", Exit::Code(1)),
        ("e500m1", Exit::Code(244)),
        ("hang", Exit::Code(1)),
        ("hangint", Exit::Code(1)),
        // These ended with exit code 0, and without a result.
        ("hangnr", Exit::Code(0)),
        ("hangpg", Exit::Code(0)),
    ] {
        check(&Gemini, &Order { reach: all, ..order() }, "gemini", name, exit);
    }
}

#[test]
fn a_stream_that_ends_well_needs_an_exit_code_that_agrees() {
    for exit in [Exit::Code(1), Exit::Signal(15)] {
        let mut dialogue = Gemini.dialogue(&order());
        dialogue.line(r#"{"type":"result","status":"success","stats":{}}"#);
        let Verdict::Failed(failure) = dialogue.verdict(exit) else { panic!("{exit}") };
        assert_eq!(failure.class, ErrorClass::Crashed);
    }
    // One that had said all and did not go by itself was stopped.
    let mut dialogue = Gemini.dialogue(&order());
    dialogue.line(r#"{"type":"result","status":"success","stats":{}}"#);
    assert!(matches!(dialogue.verdict(Exit::Stopped), Verdict::Done(_)));
}

#[test]
fn a_status_is_read_from_the_exit_code_where_the_words_hold_none() {
    for (code, class) in [
        (145, ErrorClass::Auth),
        (173, ErrorClass::RateLimited),
        (247, ErrorClass::Transient),
        (144, ErrorClass::InvalidRequest),
    ] {
        let mut dialogue = Gemini.dialogue(&order());
        dialogue.line(
            r#"{"type":"result","status":"error","error":{"type":"unknown","message":"[API Error: gone]"}}"#,
        );
        let Verdict::Failed(failure) = dialogue.verdict(Exit::Code(code)) else { panic!() };
        assert_eq!(failure.class, class, "{code}");
    }
}

#[test]
fn a_silent_end_is_explained_by_its_exit_code() {
    let class = |code, stderr: &str| Gemini.diagnose(Exit::Code(code), stderr).map(|it| it.class);
    let no_key = include_str!("transcripts/gemini/noauth.stderr.txt");
    assert_eq!(class(41, no_key), Some(ErrorClass::Auth));
    assert_eq!(class(42, "Error resuming session: Invalid session"), Some(ErrorClass::Crashed));
    assert_eq!(class(53, ""), Some(ErrorClass::NoProgress));
    let untrusted = include_str!("transcripts/gemini/text_untrusted.stderr.txt");
    assert_eq!(class(55, untrusted), Some(ErrorClass::Unsafe));
    assert_eq!(class(0, ""), None);
    assert_eq!(Gemini.diagnose(Exit::Signal(15), ""), None);
}

#[test]
fn a_tool_that_was_taken_away_is_denied_and_one_that_there_never_was_has_failed() {
    let ended = |reach, tool: &str| {
        let mut dialogue = Gemini.dialogue(&Order { reach, ..order() });
        let use_ =
            json!({ "type": "tool_use", "tool_name": tool, "tool_id": "1", "parameters": {} });
        let result = json!({
            "type": "tool_result", "tool_id": "1", "status": "error",
            "error": { "type": "tool_not_registered", "message": "not found" }
        });
        dialogue.line(&use_.to_string());
        dialogue.line(&result.to_string()).iter().map(crate::told::short).collect::<String>()
    };
    assert_eq!(ended(Reach::default(), "run_shell_command"), "tool denied");
    let run = Reach { run: true, ..Reach::default() };
    assert_eq!(ended(run, "run_shell_command"), "tool failed");
    assert_eq!(ended(Reach::default(), "no_such_tool"), "tool failed");
}

#[test]
fn the_line_holds_its_session_its_policy_and_no_prompt() {
    let order = Order { prompt: "--yolo".into(), instructions: "Be brief.".into(), ..order() };
    let launch = Gemini.launch(&order).unwrap();
    assert_eq!(
        launch.arguments.join(" "),
        "--output-format stream-json --approval-mode default --policy \
         /home/agent/.gemini/orchestrator-policy.toml --session-id \
         33333333-2222-4333-8444-555555555555 --model mock-model"
    );
    assert_eq!(launch.input, Input::Dialogue);
    let base = ("GOOGLE_GEMINI_BASE_URL".to_owned(), "http://127.0.0.1:4000/gemini".to_owned());
    assert!(launch.variables.contains(&base), "{:?}", launch.variables);
    let file = |name: &str| {
        let found = launch.files.iter().find(|(path, _)| path.ends_with(name));
        String::from_utf8(found.unwrap().1.clone()).unwrap()
    };
    assert_eq!(file("GEMINI.md"), "Be brief.");
    assert!(file("settings.json").contains("gemini-api-key"));
    let policy = file("orchestrator-policy.toml");
    assert_eq!(policy.matches("decision = \"deny\"").count(), 3, "{policy}");
    let steps = Gemini.dialogue(&order).start();
    assert_eq!(steps, [Step::Write("--yolo".into()), Step::Close]);
}

#[test]
fn what_is_in_reach_is_allowed_and_the_rest_is_taken_away() {
    let reach = Reach { edit: true, ..Reach::default() };
    let launch = Gemini.launch(&Order { reach, ..order() }).unwrap();
    assert!(launch.arguments.contains(&"yolo".to_owned()));
    let (_, policy) =
        launch.files.iter().find(|(path, _)| path.ends_with("orchestrator-policy.toml")).unwrap();
    let policy = String::from_utf8(policy.clone()).unwrap();
    let rules: Vec<&str> = policy.split("[[rule]]").filter(|rule| !rule.is_empty()).collect();
    assert!(rules[0].contains("write_file") && rules[0].contains("allow"), "{policy}");
    assert!(rules[1].contains("run_shell_command") && rules[1].contains("deny"), "{policy}");
}

#[test]
fn a_login_of_its_own_is_left_alone_and_a_fork_is_refused() {
    let launch = Gemini.launch(&Order { endpoint: None, ..order() }).unwrap();
    assert!(launch.variables.iter().all(|(name, _)| name != "GEMINI_API_KEY"));
    let (_, settings) = &launch.files[0];
    assert!(String::from_utf8_lossy(settings).contains("oauth-personal"));
    let start = Start::Fork { of: "a".into(), id: "b".into() };
    let refused = Gemini.launch(&Order { start, ..order() }).unwrap_err();
    assert_eq!(refused.class, ErrorClass::InvalidRequest);
}

#[test]
fn its_version_is_read_from_what_it_prints() {
    assert_eq!(Gemini.read_version("0.61.0\n").as_deref(), Some("0.61.0"));
    assert_eq!(Gemini.read_version("warning: no colours\n0.61.0\n").as_deref(), Some("0.61.0"));
    assert_eq!(Gemini.read_version("not a version"), None);
}
