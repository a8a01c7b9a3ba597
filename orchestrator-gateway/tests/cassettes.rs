//! A gateway that is recorded at a server, and replayed without any account.

use orchestrator_core::{
    id::ProviderName, ledger::Payer, secret::Redactor, secret::SecretString, time::Timestamp,
};
use orchestrator_gateway::{
    Client, Completion, Counted, Delta, Gateway, Message, ProviderConfig, ProviderKind, Request,
    Tool,
    cassette::{Cassette, Header, Known, Player, Recorder},
    prices::PriceTable,
};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::json;
use std::{path::PathBuf, sync::Arc};

fn name() -> ProviderName {
    ProviderName::new("p").expect("a name")
}

fn known() -> Known {
    let redactor = Redactor::new([SecretString::new("sk-test-0123")]);
    Arc::new(move || redactor.clone())
}

fn place(kind: ProviderKind) -> PathBuf {
    let name = format!("{}-{}.cassette", kind.as_str(), std::process::id());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn now() -> Timestamp {
    Timestamp(1_000_000)
}

/// What a conversation with a tool gives: answers, pieces of them, a count and a failure.
async fn converse(gateway: &Gateway) -> (Vec<Completion>, Vec<Delta>, Counted, String) {
    let payer = Payer::new(name(), "m");
    let tool = Tool::new("look", "looks", json!({ "type": "object" }));
    let mut request = Request::new("m", "What is there?").with_tool(tool).with_max_tokens(900);
    let (mut answers, mut pieces) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let mut sink = |delta| pieces.push(delta);
        let answer = gateway.complete(&payer, &request, &now, &mut sink).await.expect("an answer");
        let results: Vec<_> = answer.tool_calls.iter().map(|call| call.result("a box")).collect();
        request = request.with_message(answer.message.clone());
        request = request.with_message(Message::results(results));
        answers.push(answer);
    }
    let counted = gateway.count_tokens(&name(), &request, &now).await.expect("a count");
    let failed = gateway.complete(&payer, &Request::new("m", "fail"), &now, &mut |_| ()).await;
    // What tells of the call and not of the answer is no part of the recording.
    pieces.retain(|delta| !matches!(delta, Delta::Sent | Delta::Waiting(_) | Delta::Warning(_)));
    (answers, pieces, counted, failed.expect_err("it fails").message)
}

#[tokio::test]
async fn a_conversation_with_tools_replays_piece_by_piece_on_every_protocol() {
    for kind in [
        ProviderKind::Anthropic,
        ProviderKind::OpenAiChat,
        ProviderKind::OpenAiResponses,
        ProviderKind::Gemini,
    ] {
        let server = ModelServer::start().unwrap();
        server.when_request(|request| request.wants_count(), Reply::count(321));
        server.when("fail", Reply::error(400, "invalid_request_error", "no such thing"));
        let look = json!({ "at": "the key sk-test-0123 here" });
        server.next(Reply::tool_call("c_1", "look", &look).reasoning("I had better look."));
        server.next(Reply::text("There is a box."));
        let file = place(kind);
        let _ = std::fs::remove_file(&file);
        let base = match kind {
            ProviderKind::Anthropic | ProviderKind::Gemini => server.url(),
            _ => format!("{}/v1", server.url()),
        };
        let config = ProviderConfig::new(name(), kind)
            .with_base_url(base)
            .with_key(SecretString::new("sk-test-0123"));
        let recorder = Recorder::create(&file, &Header::new("c", Vec::new()), known()).unwrap();
        let live = Gateway::new([config], PriceTable::built_in(), Client::new()).unwrap();
        let recorded = converse(&live.recording(recorder)).await;
        drop(server);

        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("sk-test-0123"), "{kind:?}: {text}");
        let cassette = Cassette::read(&file).unwrap();
        assert_eq!(cassette.len(), 4, "{kind:?}: {text}");
        let none = Gateway::new([], PriceTable::empty(), Client::new()).unwrap();
        let player = Player::new(Arc::new(cassette), known());
        let mut replayed = converse(&none.replaying(player)).await;

        // The tool's arguments are the only place of the secret: there alone they differ.
        let said = |answer: &Completion| serde_json::to_string(&answer.message).unwrap();
        let hidden = said(&recorded.0[0]).replace("sk-test-0123", "[redacted]");
        assert_eq!(said(&replayed.0[0]), hidden, "{kind:?}");
        assert_eq!(replayed.0[0].spend, recorded.0[0].spend, "{kind:?}");
        assert_eq!(replayed.0[1], recorded.0[1], "{kind:?}");
        assert_eq!((replayed.2, &replayed.3), (recorded.2, &recorded.3), "{kind:?}");
        let mut pieces = recorded.1;
        for all in [&mut pieces, &mut replayed.1] {
            all.retain(|delta| !matches!(delta, Delta::ToolCallArguments { .. }));
        }
        assert_eq!(replayed.1, pieces, "{kind:?}");
        std::fs::remove_file(&file).unwrap();
    }
}
