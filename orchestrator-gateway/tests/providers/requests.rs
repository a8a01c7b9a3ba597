//! What is sent.

use crate::rig::{ALL, KEY, Rig, model, name};
use orchestrator_core::error::ErrorClass;
use orchestrator_gateway::{Image, KeyCheck, Message, Request};
use orchestrator_testkit::model_server::{Api, Reply};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn each_protocol_gets_its_own_headers_path_and_body() {
    for provider in ALL {
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
        assert_eq!(seen.model(), model(provider));
        assert!(seen.wants_stream(), "{provider}");
        assert_eq!(seen.system(), "be brief");
        let bearer = format!("Bearer {KEY}");
        match seen.api {
            Api::Messages => {
                assert_eq!(seen.path, "/v1/messages");
                assert_eq!(seen.header("x-api-key"), Some(KEY));
                assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
                assert_eq!(seen.header("authorization"), None);
                assert_eq!(seen.body["messages"], turns);
                assert_eq!(seen.body["max_tokens"], 64);
            }
            Api::Chat => {
                assert_eq!(seen.path, "/v1/chat/completions");
                assert_eq!(seen.header("authorization"), Some(bearer.as_str()));
                assert_eq!(seen.header("x-api-key"), None);
                assert_eq!(seen.body["max_tokens"], 64);
                assert_eq!(seen.body["stream_options"], json!({ "include_usage": true }));
                assert_eq!(
                    seen.body["messages"].as_array().unwrap()[1..],
                    *turns.as_array().unwrap()
                );
            }
            Api::Responses => {
                assert_eq!(seen.path, "/v1/responses");
                assert_eq!(seen.header("authorization"), Some(bearer.as_str()));
                assert_eq!(seen.body["store"], false);
                assert_eq!(seen.body["max_output_tokens"], 64);
                assert_eq!(seen.body["input"], turns);
            }
            Api::Gemini => {
                let path = "/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse";
                assert_eq!(seen.path, path);
                assert_eq!(seen.header("x-goog-api-key"), Some(KEY));
                assert_eq!(seen.header("authorization"), None);
                assert_eq!(seen.body["generationConfig"], json!({ "maxOutputTokens": 64 }));
                let said =
                    |role: &str, text: &str| json!({ "role": role, "parts": [{ "text": text }] });
                let turns = [said("user", "first"), said("model", "yes?"), said("user", "second")];
                assert_eq!(seen.body["contents"], json!(turns));
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
async fn each_protocol_is_held_to_the_schema_in_its_own_way() {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    for provider in ALL {
        let rig = Rig::new();
        rig.server.next(Reply::json(&json!({ "n": 7 })));
        let request = Request::new("m", "p").with_output_schema(Arc::new(schema.clone()));
        let answer = rig.ask(provider, &request).await.0.unwrap();
        assert_eq!(answer.text, r#"{"n":7}"#, "{provider}");
        let body = rig.server.requests().remove(0).body;
        let named = json!({ "name": "output", "strict": false, "schema": schema });
        match provider {
            "messages" => assert_eq!(
                body["output_config"],
                json!({ "format": { "type": "json_schema", "schema": schema } })
            ),
            "chat" => assert_eq!(
                body["response_format"],
                json!({ "type": "json_schema", "json_schema": named })
            ),
            "responses" => {
                let mut format = named;
                format["type"] = json!("json_schema");
                assert_eq!(body["text"], json!({ "format": format }));
            }
            _ => assert_eq!(
                body["generationConfig"],
                json!({ "responseMimeType": "application/json", "responseJsonSchema": schema })
            ),
        }
    }
}

/// What each service says when it cannot take a schema, or reasoning to be sent back.
#[tokio::test]
async fn what_a_model_does_not_take_is_given_up_once_for_all() {
    let schema = "Invalid schema for response_format 'output'";
    for (provider, field, refusal) in [
        ("messages", "output_config", "output_config.format: `additionalProperties` must be false"),
        ("responses", "text", schema),
        ("responses", "include", "Encrypted content is not supported with this model."),
        ("gemini", "generationConfig", "Function calling with a response mime type is unsupported"),
    ] {
        let rig = Rig::new();
        rig.server.when_request(
            move |request| request.body.get(field).is_some(),
            Reply::error(400, "invalid_request_error", refusal),
        );
        rig.server.otherwise(Reply::text("{}"));
        let request = Request::new("m", "p").with_output_schema(Arc::new(json!({})));
        for _ in 0..2 {
            rig.ask(provider, &request).await.0.unwrap();
        }
        let seen = rig.server.requests();
        let asked: Vec<bool> = seen.iter().map(|seen| seen.body.get(field).is_some()).collect();
        assert_eq!(asked, [true, false, false], "{provider} {field}");
    }
}

#[tokio::test]
async fn pictures_are_sent_as_bytes_or_by_their_place() {
    let message = Message::user("What is this?")
        .with(Image::bytes("image/png", [137_u8, 80, 78, 71]))
        .with(Image::Url("https://h/cat.jpg".into()));
    for provider in ALL {
        let rig = Rig::new();
        rig.server.next(Reply::text("A cat."));
        let mut request = Request::new(model(provider), "");
        request.messages = vec![message.clone()];
        rig.ask(provider, &request).await.0.unwrap();
        let body = rig.server.requests().remove(0).body;
        let (data, asked) = ("iVBORw==", "What is this?");
        let inside = format!("data:image/png;base64,{data}");
        match provider {
            "messages" => assert_eq!(
                body["messages"][0]["content"],
                json!([
                    { "type": "text", "text": asked },
                    { "type": "image", "source":
                        { "type": "base64", "media_type": "image/png", "data": data } },
                    { "type": "image", "source": { "type": "url", "url": "https://h/cat.jpg" } },
                ])
            ),
            "chat" => assert_eq!(
                body["messages"][0]["content"],
                json!([
                    { "type": "text", "text": asked },
                    { "type": "image_url", "image_url": { "url": inside } },
                    { "type": "image_url", "image_url": { "url": "https://h/cat.jpg" } },
                ])
            ),
            "responses" => assert_eq!(
                body["input"][0]["content"],
                json!([
                    { "type": "input_text", "text": asked },
                    { "type": "input_image", "detail": "auto", "image_url": inside },
                    { "type": "input_image", "detail": "auto", "image_url": "https://h/cat.jpg" },
                ])
            ),
            _ => assert_eq!(
                body["contents"][0]["parts"],
                json!([
                    { "text": asked },
                    { "inlineData": { "mimeType": "image/png", "data": data } },
                    { "fileData": { "fileUri": "https://h/cat.jpg", "mimeType": "image/jpeg" } },
                ])
            ),
        }
    }
}

#[tokio::test]
async fn stop_sequences_are_sent_or_refused_but_never_dropped() {
    for provider in ALL {
        let rig = Rig::new();
        rig.server.otherwise(Reply::text("x"));
        let request = Request::new("m", "p").with_stop_sequence("END");
        let result = rig.ask(provider, &request).await.0;
        if provider == "responses" {
            let failure = result.unwrap_err();
            assert_eq!(failure.class, ErrorClass::InvalidRequest);
            assert!(failure.message.contains("stop sequences"), "{failure}");
            assert!(rig.server.requests().is_empty());
            continue;
        }
        let body = rig.server.requests().remove(0).body;
        let place = match provider {
            "messages" => &body["stop_sequences"],
            "chat" => &body["stop"],
            _ => &body["generationConfig"]["stopSequences"],
        };
        assert_eq!(*place, json!(["END"]), "{provider}");
    }
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
    for provider in ALL {
        assert_eq!(check(provider).await.unwrap(), KeyCheck::Accepted, "{provider}");
    }
    rig.server.accept_key("another");
    for provider in ALL {
        assert_eq!(check(provider).await.unwrap(), KeyCheck::Refused(401), "{provider}");
    }
    rig.server.accept_key(KEY);
    assert_eq!(check("chat").await.unwrap(), KeyCheck::Accepted);
    assert!(rig.server.requests().is_empty(), "no model was asked");
    let error = check("nobody").await.unwrap_err();
    assert!(error.message.contains("not configured"), "{error}");
}
