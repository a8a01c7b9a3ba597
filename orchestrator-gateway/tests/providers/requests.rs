//! What is sent.

use crate::rig::{BOTH, KEY, Rig, model, name};
use orchestrator_core::error::ErrorClass;
use orchestrator_gateway::{KeyCheck, Message, Request};
use orchestrator_testkit::model_server::{Api, Reply};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn each_protocol_gets_its_own_headers_path_and_body() {
    for provider in BOTH {
        let rig = Rig::new();
        rig.server.next(Reply::text("x"));
        let mut request =
            Request::new(model(provider), "first").with_system("be brief").with_max_tokens(64);
        request.messages.push(Message::assistant("yes?"));
        request.messages.push(Message::user("second"));
        rig.ask(provider, &request).await.0.unwrap();
        let [seen] = rig.server.requests().try_into().unwrap();
        let turns = json!([
            { "role": "user", "content": "first" },
            { "role": "assistant", "content": "yes?" },
            { "role": "user", "content": "second" },
        ]);
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.body["model"], model(provider));
        assert_eq!(seen.body["max_tokens"], 64);
        assert_eq!(seen.body["stream"], true);
        assert_eq!(seen.system(), "be brief");
        match seen.api {
            Api::Messages => {
                assert_eq!(seen.path, "/v1/messages");
                assert_eq!(seen.header("x-api-key"), Some(KEY));
                assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
                assert_eq!(seen.header("authorization"), None);
                assert_eq!(seen.body["messages"], turns);
            }
            Api::Chat => {
                assert_eq!(seen.path, "/v1/chat/completions");
                assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
                assert_eq!(seen.header("x-api-key"), None);
                assert_eq!(seen.body["stream_options"], json!({ "include_usage": true }));
                assert_eq!(
                    seen.body["messages"].as_array().unwrap()[1..],
                    *turns.as_array().unwrap()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_schema_is_asked_for_and_given_up_once_for_all() {
    let rig = Rig::new();
    rig.server.when_request(
        |request| request.body.get("response_format").is_some(),
        Reply::error(400, "invalid_request_error", "This response_format type is unavailable now"),
    );
    rig.server.otherwise(Reply::text("{}"));
    let schema = Arc::new(json!({ "type": "object" }));
    let request = Request::new("deepseek-flash", "p").with_output_schema(schema.clone());
    for _ in 0..2 {
        rig.ask("deepseek", &request).await.0.unwrap();
    }
    let formats: Vec<bool> = rig
        .server
        .requests()
        .iter()
        .map(|request| {
            let format = request.body.get("response_format");
            assert!(format.is_none_or(|f| f["json_schema"]["schema"] == *schema));
            format.is_some()
        })
        .collect();
    assert_eq!(formats, [true, false, false]);
}

#[tokio::test]
async fn the_bound_is_renamed_for_models_that_demand_it() {
    let rig = Rig::new();
    rig.server.when_request(
        |request| request.body.get("max_tokens").is_some(),
        Reply::error(
            400,
            "unsupported_parameter",
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
             'max_completion_tokens' instead.",
        ),
    );
    rig.server.otherwise(Reply::text("x"));
    rig.ask("chat", &Request::new("m", "p").with_max_tokens(5)).await.0.unwrap();
    let last = rig.server.requests().pop().unwrap();
    assert_eq!(last.body["max_completion_tokens"], 5);
}

#[tokio::test]
async fn an_unknown_model_is_not_asked_for_twice() {
    let rig = Rig::new();
    rig.server.otherwise(Reply::error(404, "model_not_found", "unknown model `m`"));
    let request = Request::new("m", "p").with_max_tokens(5).with_temperature(0.0);
    let failure = rig.ask("chat", &request).await.0.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidRequest);
    assert_eq!(rig.server.requests().len(), 1);
}

#[tokio::test]
async fn a_key_is_checked_without_a_model_call() {
    let rig = Rig::new();
    let check = async |provider: &str| {
        rig.gateway.check_key(&name(provider), std::time::Duration::from_secs(30)).await
    };
    for provider in BOTH {
        assert_eq!(check(provider).await.unwrap(), KeyCheck::Accepted, "{provider}");
    }
    rig.server.accept_key("another");
    for provider in BOTH {
        assert_eq!(check(provider).await.unwrap(), KeyCheck::Refused(401), "{provider}");
    }
    rig.server.accept_key(KEY);
    assert_eq!(check("chat").await.unwrap(), KeyCheck::Accepted);
    assert!(rig.server.requests().is_empty(), "no model was asked");
    let error = check("nobody").await.unwrap_err();
    assert!(error.message.contains("not configured"), "{error}");
}
