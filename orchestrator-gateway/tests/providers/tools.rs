//! Tools: what is offered, what is called, and how the conversation goes on.

use crate::rig::{ALL, Rig, model};
use orchestrator_core::error::ErrorClass;
use orchestrator_gateway::{
    Arguments, Completion, Delta, Message, Request, Stop, Tool, ToolChoice,
};
use orchestrator_testkit::model_server::{Ending, Reply};
use serde_json::{Value, json};

fn schema() -> Value {
    json!({ "type": "object", "properties": { "place": { "type": "string" } } })
}

fn request(provider: &str) -> Request {
    Request::new(model(provider), "How is it there?").with_tool(Tool::new(
        "look",
        "Looks at the sky.",
        schema(),
    ))
}

/// Two calls in one answer, the second of a tool without arguments.
fn two_calls() -> Reply {
    Reply::text("Let me look.")
        .reasoning("Hm.")
        .calling("call_1", "look", "{\"place\":\"Zürich\"}")
        .calling("call_2", "listen", "{}")
}

#[tokio::test]
async fn tools_are_offered_in_each_protocols_own_form() {
    for provider in ALL {
        let rig = Rig::new();
        rig.server.otherwise(Reply::text("x"));
        for choice in
            [ToolChoice::Auto, ToolChoice::Any, ToolChoice::None, ToolChoice::Tool("look".into())]
        {
            let request = request(provider).with_tool_choice(choice);
            rig.ask(provider, &request).await.0.unwrap();
        }
        let bodies: Vec<Value> = rig.server.requests().into_iter().map(|seen| seen.body).collect();
        let choices = |field: &str| -> Vec<Value> {
            bodies.iter().map(|body| body.get(field).cloned().unwrap_or_default()).collect()
        };
        let (name, about) = ("look", "Looks at the sky.");
        let (tool, expected) = match provider {
            "messages" => (
                json!([{ "name": name, "description": about, "input_schema": schema() }]),
                (
                    "tool_choice",
                    [
                        json!(null),
                        json!({ "type": "any" }),
                        json!({ "type": "none" }),
                        json!({ "type": "tool", "name": "look" }),
                    ],
                ),
            ),
            "chat" => (
                json!([{ "type": "function", "function":
                    { "name": name, "description": about, "parameters": schema() } }]),
                (
                    "tool_choice",
                    [
                        json!(null),
                        json!("required"),
                        json!("none"),
                        json!({ "type": "function", "function": { "name": "look" } }),
                    ],
                ),
            ),
            "responses" => (
                json!([{ "type": "function", "name": name, "description": about,
                    "parameters": schema(), "strict": false }]),
                (
                    "tool_choice",
                    [
                        json!(null),
                        json!("required"),
                        json!("none"),
                        json!({ "type": "function", "name": "look" }),
                    ],
                ),
            ),
            _ => {
                let config = |config: Value| json!({ "functionCallingConfig": config });
                (
                    json!([{ "functionDeclarations": [
                        { "name": name, "description": about, "parametersJsonSchema": schema() }
                    ] }]),
                    (
                        "toolConfig",
                        [
                            json!(null),
                            config(json!({ "mode": "ANY" })),
                            config(json!({ "mode": "NONE" })),
                            config(json!({ "mode": "ANY", "allowedFunctionNames": ["look"] })),
                        ],
                    ),
                )
            }
        };
        assert_eq!(bodies[0]["tools"], tool, "{provider}");
        assert_eq!(choices(expected.0), expected.1, "{provider}");
    }
}

async fn called(rig: &Rig, provider: &str, reply: Reply) -> (Completion, Vec<Delta>) {
    rig.server.next(reply);
    let (answer, deltas) = rig.ask(provider, &request(provider)).await;
    (answer.unwrap_or_else(|failure| panic!("{provider}: {failure}")), deltas)
}

#[tokio::test]
async fn calls_are_read_however_they_travel() {
    for provider in ALL {
        for bend in [|reply| reply, Reply::byte_by_byte, Reply::not_streamed] {
            let rig = Rig::new();
            let (answer, deltas) = called(&rig, provider, bend(two_calls())).await;
            assert_eq!(answer.stop, Stop::ToolCalls, "{provider}");
            assert_eq!(answer.text, "Let me look.", "{provider}");
            let calls: Vec<_> = answer
                .tool_calls
                .iter()
                .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.clone()))
                .collect();
            let place = Arguments::Object(json!({ "place": "Zürich" }));
            let none = Arguments::Object(json!({}));
            assert_eq!(
                calls,
                [("call_1", "look", place), ("call_2", "listen", none)],
                "{provider}"
            );
            // The pieces make up the same.
            let mut told: Vec<(String, String, String)> = Vec::new();
            for delta in deltas {
                match delta {
                    Delta::ToolCallStarted { index, id, name } => {
                        assert_eq!(index, told.len(), "{provider}");
                        told.push((id, name, String::new()));
                    }
                    Delta::ToolCallArguments { index, text } => told[index].2.push_str(&text),
                    _ => {}
                }
            }
            for (call, (id, name, arguments)) in answer.tool_calls.iter().zip(&told) {
                assert_eq!((&call.id, &call.name), (id, name), "{provider}");
                assert_eq!(call.arguments, Arguments::read(arguments), "{provider}");
            }
            assert_eq!(told.len(), 2, "{provider}");
        }
    }
}

/// The second request holds the whole first answer, sealed as it was, and both results.
#[tokio::test]
async fn the_conversation_goes_on_with_what_the_tools_gave() {
    for provider in ALL {
        for bend in [|reply| reply, Reply::not_streamed] {
            let rig = Rig::new();
            let (answer, _) = called(&rig, provider, bend(two_calls())).await;
            let [look, listen] = answer.tool_calls.try_into().unwrap();
            let results = Message::results([look.result("sunny"), listen.error("no ears")]);
            let next =
                request(provider).with_message(answer.message).with_message(results.with("Go on."));
            rig.server.next(Reply::text("It is sunny."));
            assert_eq!(rig.ask(provider, &next).await.0.unwrap().text, "It is sunny.");
            let body = rig.server.requests().remove(1).body;
            let (field, expected) = conversation(provider);
            assert_eq!(body[field], expected, "{provider}");
        }
    }
}

fn conversation(provider: &str) -> (&'static str, Value) {
    let asked = "How is it there?";
    let (said, place) = ("Let me look.", json!({ "place": "Zürich" }));
    let arguments = place.to_string();
    let signature = "c2NyaXB0ZWQ=";
    match provider {
        "messages" => (
            "messages",
            json!([
                { "role": "user", "content": asked },
                { "role": "assistant", "content": [
                    { "type": "thinking", "thinking": "Hm.", "signature": signature },
                    { "type": "text", "text": said },
                    { "type": "tool_use", "id": "call_1", "name": "look", "input": place },
                    { "type": "tool_use", "id": "call_2", "name": "listen", "input": {} },
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "call_1", "content": "sunny",
                      "is_error": false },
                    { "type": "tool_result", "tool_use_id": "call_2", "content": "no ears",
                      "is_error": true },
                    { "type": "text", "text": "Go on." },
                ] },
            ]),
        ),
        "chat" => (
            "messages",
            json!([
                { "role": "user", "content": asked },
                { "role": "assistant", "content": said, "reasoning_content": "Hm.", "tool_calls": [
                    { "id": "call_1", "type": "function",
                      "function": { "name": "look", "arguments": arguments } },
                    { "id": "call_2", "type": "function",
                      "function": { "name": "listen", "arguments": "{}" } },
                ] },
                { "role": "tool", "tool_call_id": "call_1", "content": "sunny" },
                { "role": "tool", "tool_call_id": "call_2", "content": "error: no ears" },
                { "role": "user", "content": [{ "type": "text", "text": "Go on." }] },
            ]),
        ),
        "responses" => (
            "input",
            json!([
                { "role": "user", "content": asked },
                { "id": "rs_scripted", "type": "reasoning",
                  "summary": [{ "type": "summary_text", "text": "Hm." }],
                  "encrypted_content": "Z0FBQXNjcmlwdGVk" },
                { "role": "assistant", "content": said },
                { "type": "function_call", "call_id": "call_1", "name": "look",
                  "arguments": arguments },
                { "type": "function_call", "call_id": "call_2", "name": "listen",
                  "arguments": "{}" },
                { "type": "function_call_output", "call_id": "call_1", "output": "sunny" },
                { "type": "function_call_output", "call_id": "call_2",
                  "output": "error: no ears" },
                { "role": "user", "content": [{ "type": "input_text", "text": "Go on." }] },
            ]),
        ),
        _ => (
            "contents",
            json!([
                { "role": "user", "parts": [{ "text": asked }] },
                { "role": "model", "parts": [
                    { "text": said },
                    { "functionCall": { "id": "call_1", "name": "look", "args": place },
                      "thoughtSignature": signature },
                    { "functionCall": { "id": "call_2", "name": "listen", "args": {} } },
                ] },
                { "role": "user", "parts": [
                    { "functionResponse": { "id": "call_1", "name": "look",
                      "response": { "output": "sunny" } } },
                    { "functionResponse": { "id": "call_2", "name": "listen",
                      "response": { "error": "no ears" } } },
                    { "text": "Go on." },
                ] },
            ]),
        ),
    }
}

#[tokio::test]
async fn ids_that_gemini_did_not_give_are_not_sent_to_it() {
    let rig = Rig::new();
    let reply = Reply::tool_call("", "look", &json!({})).calling("", "look", "{}");
    let (answer, _) = called(&rig, "gemini", reply).await;
    let [first, second] = answer.tool_calls.try_into().unwrap();
    assert_ne!(first.id, second.id);
    assert!(first.id.starts_with("gemini-call-scripted"), "{}", first.id);
    rig.server.next(Reply::text("x"));
    let next = request("gemini")
        .with_message(answer.message)
        .with_message(Message::results([first.result("a"), second.result("b")]));
    rig.ask("gemini", &next).await.0.unwrap();
    let body = rig.server.requests().remove(1).body;
    for part in body["contents"][1]["parts"].as_array().unwrap() {
        assert_eq!(part["functionCall"], json!({ "name": "look", "args": {} }));
    }
    let given = &body["contents"][2]["parts"][1]["functionResponse"];
    assert_eq!(*given, json!({ "name": "look", "response": { "output": "b" } }));
}

#[tokio::test]
async fn arguments_that_are_not_json_are_said_to_be_so() {
    for provider in ["messages", "chat", "responses"] {
        for (text, ending, stop) in [
            ("{\"place\": \"Zür", Ending::MaxTokens, Stop::MaxTokens),
            ("{\"place\": Zürich}", Ending::Done, Stop::ToolCalls),
        ] {
            let rig = Rig::new();
            let reply = Reply::text("").calling("call_1", "look", text).ending(ending);
            let (answer, _) = called(&rig, provider, reply).await;
            assert_eq!(answer.stop, stop, "{provider}");
            let [call] = answer.tool_calls.try_into().unwrap();
            let Arguments::Malformed { text: kept, error } = &call.arguments else {
                panic!("{provider}: {call:?}");
            };
            assert_eq!((kept.as_str(), call.id.as_str()), (text, "call_1"), "{provider}");
            assert!(error.contains("JSON"), "{provider}: {error}");
            // It can be sent back with a word on what is wrong.
            rig.server.next(Reply::text("Sorry."));
            let next = request(provider)
                .with_message(answer.message)
                .with_message(Message::results([call.error(error.clone())]));
            rig.ask(provider, &next).await.0.unwrap();
            assert!(rig.server.requests()[1].body.to_string().contains("Zür"), "{provider}");
        }
    }
    let rig = Rig::new();
    let reply = Reply::text("").calling("call_1", "look", "{\"place\": Zürich}");
    let (answer, _) = called(&rig, "gemini", reply).await;
    assert_eq!((answer.stop, answer.tool_calls), (Stop::BadToolCall, vec![]));
}

#[tokio::test]
async fn a_cut_in_a_call_is_a_failure_and_not_a_call() {
    for provider in ALL {
        let rig = Rig::new();
        rig.server.next(Reply::tool_call("c", "look", &json!({ "place": "Z" })).cut_after(1));
        let failure = rig.ask(provider, &request(provider)).await.0.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Transient, "{provider}");
    }
}
