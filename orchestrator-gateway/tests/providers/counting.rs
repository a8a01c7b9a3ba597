//! How many tokens a request has, before it is made.

use crate::rig::{ALL, NOW, Rig, name};
use orchestrator_core::{error::ErrorClass, usage::TokenCount};
use orchestrator_gateway::{Counted, Request, Tool, tokenizer::Tokenizers};
use orchestrator_testkit::model_server::Reply;
use serde_json::json;
use std::sync::Arc;

fn request() -> Request {
    Request::new("m", "How many?").with_system("Count.").with_max_tokens(9).with_tool(Tool::new(
        "look",
        "Looks.",
        json!({ "type": "object" }),
    ))
}

#[tokio::test]
async fn providers_that_count_are_asked_and_others_estimated() {
    for provider in ALL {
        let rig = Rig::new();
        rig.server.next(Reply::count(4_711));
        let counted = rig.gateway.count_tokens(&name(provider), &request(), &|| NOW).await.unwrap();
        let seen = rig.server.requests();
        if provider == "chat" {
            assert!(matches!(counted, Counted::Estimate(TokenCount(1..))));
            assert!(seen.is_empty(), "there is nothing to ask");
            continue;
        }
        assert_eq!(counted, Counted::Exact(TokenCount(4_711)), "{provider}");
        assert!(seen[0].wants_count(), "{provider}");
        let (path, body) = (seen[0].path.as_str(), &seen[0].body);
        let (place, prompt) = match provider {
            "messages" => ("/v1/messages/count_tokens", body),
            "responses" => ("/v1/responses/input_tokens", body),
            _ => ("/v1beta/models/m:countTokens", &body["generateContentRequest"]),
        };
        assert_eq!(path, place);
        let text = prompt.to_string();
        for part in ["How many?", "Count.", "look"] {
            assert!(text.contains(part), "{provider}: {text}");
        }
        if provider == "gemini" {
            assert_eq!(prompt["model"], "models/m");
        } else {
            // These endpoints take only what makes the input.
            assert_eq!(prompt.get("stream"), None, "{provider}");
            assert!(!text.contains("max_"), "{provider}: {text}");
        }
    }
}

#[tokio::test]
async fn a_server_without_the_endpoint_is_estimated_and_a_refusal_is_a_failure() {
    for provider in ["messages", "responses", "gemini"] {
        let rig = Rig::new();
        rig.server.next(Reply::error(404, "not_found_error", "no such path"));
        let counted = rig.gateway.count_tokens(&name(provider), &request(), &|| NOW).await.unwrap();
        assert!(matches!(counted, Counted::Estimate(_)), "{provider}");
        assert!(counted.tokens() < request().most_input_tokens());
        rig.server.next(Reply::error(401, "authentication_error", "bad key"));
        let result = rig.gateway.count_tokens(&name(provider), &request(), &|| NOW).await;
        assert_eq!(result.unwrap_err().class, ErrorClass::Auth, "{provider}");
        rig.server.next(Reply::raw(200, "{}"));
        let result = rig.gateway.count_tokens(&name(provider), &request(), &|| NOW).await;
        assert_eq!(result.unwrap_err().class, ErrorClass::Transient, "{provider}");
    }
    let rig = Rig::new();
    let result = rig.gateway.count_tokens(&name("nobody"), &request(), &|| NOW).await;
    assert!(result.unwrap_err().message.contains("[providers.nobody]"));
}

#[tokio::test]
async fn what_is_given_up_for_a_count_is_given_up_for_the_call() {
    let rig = Rig::new();
    rig.server.when_request(
        |request| request.body.get("output_config").is_some(),
        Reply::error(400, "invalid_request_error", "output_config.format: not supported"),
    );
    rig.server.next(Reply::count(7));
    rig.server.next(Reply::text("{}"));
    let request = request().with_output_schema(Arc::new(json!({})));
    let counted = rig.gateway.count_tokens(&name("messages"), &request, &|| NOW).await.unwrap();
    assert_eq!(counted, Counted::Exact(TokenCount(7)));
    rig.ask("messages", &request).await.0.unwrap();
    assert_eq!(rig.server.requests().len(), 3, "two counts and one call");
}

/// A tokenizer of single bytes, as its file is written.
fn of_bytes() -> String {
    let prints = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let bytes = (0..256).filter(prints).chain(256..256 + 68).filter_map(char::from_u32);
    let vocab: serde_json::Map<_, _> =
        bytes.zip(0_u32..).map(|(byte, token)| (byte.to_string(), token.into())).collect();
    let pre_tokenizer = json!({ "type": "ByteLevel", "add_prefix_space": false });
    let model = json!({ "type": "BPE", "vocab": vocab, "merges": [] });
    json!({ "pre_tokenizer": pre_tokenizer, "model": model }).to_string()
}

#[tokio::test]
async fn the_tokenizer_of_a_model_counts_where_the_provider_does_not() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tokenizer.json");
    std::fs::write(&file, of_bytes()).unwrap();
    let broken = place.path().join("broken.json");
    std::fs::write(&broken, "{}").unwrap();
    let tokenizers = Tokenizers::default()
        .with_file("m", &file)
        .with_file("gpt-4o", &file)
        .with_file("broken", &broken);
    let mut rig = Rig::new();
    rig.gateway = rig.gateway.with_tokenizers(tokenizers);
    let said = Request::new("m", "How many?").with_system("Count.");
    let mut of_openai = said.clone();
    of_openai.model = "gpt-4o".into();
    // A file that is not the published one makes nothing exact.
    for (provider, request) in [("chat", &said), ("deepseek", &said), ("chat", &of_openai)] {
        let counted = rig.gateway.count_tokens(&name(provider), request, &|| NOW).await.unwrap();
        assert_eq!(counted, Counted::Estimate(TokenCount(9 + 6 + 2 * 4)), "{provider}");
    }
    for other in ["broken", "none"] {
        let mut request = said.clone();
        request.model = other.into();
        let counted = rig.gateway.count_tokens(&name("chat"), &request, &|| NOW).await.unwrap();
        assert_eq!(counted, Counted::Estimate(TokenCount((9 + 6) / 4 + 1)), "{other}");
    }
    assert!(rig.server.requests().is_empty());
    rig.server.next(Reply::count(4_711));
    let counted = rig.gateway.count_tokens(&name("messages"), &said, &|| NOW).await.unwrap();
    assert_eq!(counted, Counted::Exact(TokenCount(4_711)), "who counts is asked");
}
