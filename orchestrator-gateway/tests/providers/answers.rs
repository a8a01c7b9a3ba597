//! Whole answers: text, usage and cost, to the last digit.

use crate::rig::{ALL, Rig, USED, model, text, used};
use orchestrator_core::{
    money::MicroUsd,
    usage::{TokenCount, Usage},
};
use orchestrator_gateway::{Delta, Request, Stop};
use orchestrator_testkit::model_server::{Ending, Reply};

const SAID: &str = "Grüße, 世界! Done.";

/// A way to send the same answer.
type Bend = fn(Reply) -> Reply;

/// However an answer travels, it is the same answer.
#[tokio::test]
async fn an_answer_is_the_same_however_it_travels() {
    let ways: [(&str, Bend); 5] = [
        ("streamed", |reply| reply),
        ("byte by byte", Reply::byte_by_byte),
        ("not streamed", Reply::not_streamed),
        ("with unknown events", Reply::with_unknown_events),
        ("unknown parts, not streamed", |reply| reply.with_unknown_events().not_streamed()),
    ];
    for provider in ALL {
        for (way, bend) in &ways {
            let rig = Rig::new();
            rig.server.next(bend(Reply::text(SAID).usage(USED).reasoning("Hm.")));
            let request = Request::new(model(provider), "hello");
            let (answer, deltas) = rig.ask(provider, &request).await;
            let answer = answer.unwrap_or_else(|failure| panic!("{provider}, {way}: {failure}"));
            assert_eq!(answer.text, SAID, "{provider}, {way}");
            assert_eq!(text(&deltas), SAID, "{provider}, {way}");
            assert_eq!(answer.message.text(), SAID, "{provider}, {way}");
            assert_eq!(answer.stop, Stop::End, "{provider}, {way}");
            assert_eq!(answer.usage, Some(used(provider)), "{provider}, {way}");
            assert_eq!(answer.served_model.as_deref(), Some(model(provider)));
            assert_eq!(deltas[0], Delta::Sent, "{provider}, {way}");
            assert!(deltas.contains(&Delta::Reasoning("Hm.".into())), "{provider}, {way}");
            let told = deltas.iter().rev().find(|delta| matches!(delta, Delta::Usage(_)));
            assert_eq!(told, Some(&Delta::Usage(used(provider))), "{provider}, {way}");
        }
    }
}

#[tokio::test]
async fn costs_are_exact_and_unknown_ones_are_not_zero() {
    let small = Usage { input: TokenCount(1), ..Usage::default() };
    let check = async |provider: &str, model: &str, reply: Reply, cost: Option<&str>| {
        let rig = Rig::new();
        rig.server.next(reply);
        let spend = rig.answer(provider, model).await.spend;
        let expected: Option<MicroUsd> = cost.map(|text| text.parse().unwrap());
        assert_eq!(spend.cost, expected, "{provider} {model}");
        assert_eq!((spend.requests, spend.model.as_str()), (1, model));
        assert_eq!(spend.provider.as_str(), provider);
    };
    let all = || Reply::text("x").usage(USED);
    // 1200 × 3 + 200 × 0.30 + 50 × 3.75 + 34 × 15 millionths = 4357.5.
    check("messages", "claude-sonnet-4-5", all(), Some("0.004358")).await;
    check("messages", "claude-sonnet-4-5-20250929", all(), Some("0.004358")).await;
    // 1250 × 2.50 + 200 × 1.25 + 34 × 10 = 3715: OpenAI writes its cache for free here.
    check("chat", "gpt-4o", all(), Some("0.003715")).await;
    check("responses", "gpt-4o", all(), Some("0.003715")).await;
    // 1250 × 1.50 + 200 × 0.15 + 34 × 9 = 2211.
    check("gemini", "gemini-3.5-flash", all(), Some("0.002211")).await;
    check("chat", "gpt-4o-mini", Reply::text("x").usage(small), Some("0.000001")).await;
    // 1200 × 0.15 + 50 × 0.15 + 200 × 0.003 + 34 × 0.60 = 208.5, on a Saturday: off-peak.
    check("deepseek", "deepseek-flash", all(), Some("0.000209")).await;
    check("messages", "claude-of-the-future", all(), None).await;
    check("chat", "house-model", all(), None).await;
    check("messages", "claude-sonnet-4-5", Reply::text("x").no_usage(), None).await;
    check("chat", "gpt-4o", Reply::text("x").no_usage(), None).await;
    // On this machine nobody sends a bill, counted or not.
    check("ollama", "llama3.2", all(), Some("0")).await;
    check("ollama", "llama3.2", Reply::text("x").no_usage(), Some("0")).await;
}

#[tokio::test]
async fn missing_counts_are_said_to_be_missing() {
    for provider in ALL {
        let rig = Rig::new();
        rig.server.next(Reply::text("x").no_usage());
        let answer = rig.answer(provider, model(provider)).await;
        assert_eq!(answer.usage, None, "{provider}");
        assert_eq!(answer.spend.usage, Usage::default(), "{provider}");
    }
}

#[tokio::test]
async fn endings_are_told_apart() {
    for provider in ALL {
        for (ending, expected) in [
            (Ending::Done, Stop::End),
            (Ending::MaxTokens, Stop::MaxTokens),
            (Ending::Refusal, Stop::Refused),
        ] {
            let rig = Rig::new();
            rig.server.next(Reply::text("x").ending(ending));
            let answer = rig.answer(provider, "m").await;
            assert_eq!(answer.stop, expected, "{provider}");
            assert_eq!(answer.text, "x", "{provider}: what was said before it is kept");
        }
    }
}

#[tokio::test]
async fn a_refusal_in_its_own_field_is_a_refusal() {
    let rig = Rig::new();
    let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,
        "refusal":"I can not help with that."},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":3,"completion_tokens":5}}"#;
    rig.server.next(Reply::raw(200, body));
    let answer = rig.answer("chat", "gpt-4o").await;
    assert_eq!((answer.text.as_str(), answer.stop), ("I can not help with that.", Stop::Refused));
}

#[tokio::test]
async fn a_chat_stream_may_close_without_its_marker() {
    let rig = Rig::new();
    let body = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n\
                data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    rig.server.next(Reply::raw(200, body));
    let answer = rig.answer("chat", "gpt-4o").await;
    assert_eq!((answer.text.as_str(), answer.usage), ("hi", None));
}

#[tokio::test]
async fn a_blocked_prompt_is_a_refusal_with_its_reason() {
    let rig = Rig::new();
    let body = "data: {\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},\
                \"usageMetadata\":{\"promptTokenCount\":9,\"totalTokenCount\":9},\
                \"modelVersion\":\"m\"}\n\n";
    rig.server.next(Reply::raw(200, body));
    let answer = rig.answer("gemini", "gemini-3.5-flash").await;
    assert_eq!(answer.stop, Stop::Refused);
    assert_eq!(answer.text, "the prompt was blocked: PROHIBITED_CONTENT");
    assert_eq!(answer.usage, Some(Usage { input: TokenCount(9), ..Usage::default() }));
}

#[tokio::test]
async fn each_protocol_says_why_it_refused() {
    let explained = r#"{"type":"message","model":"m","content":[],"stop_reason":"refusal",
        "stop_details":{"type":"refusal","explanation":"It is not safe."},
        "usage":{"input_tokens":1,"output_tokens":1}}"#;
    let refusal = r#"{"status":"completed","model":"m","output":[{"type":"message","content":
        [{"type":"refusal","refusal":"It is not safe."}]}],
        "usage":{"input_tokens":1,"output_tokens":1}}"#;
    let blocked = r#"{"candidates":[{"finishReason":"RECITATION","finishMessage":"It is not safe."}],
        "usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":0}}"#;
    for (provider, body) in [("messages", explained), ("responses", refusal), ("gemini", blocked)] {
        let rig = Rig::new();
        rig.server.next(Reply::raw(200, body));
        let answer = rig.answer(provider, "m").await;
        assert_eq!(answer.stop, Stop::Refused, "{provider}");
        assert!(answer.text.ends_with("It is not safe."), "{provider}: {}", answer.text);
        assert_eq!(answer.message.text(), answer.text, "{provider}: it can be sent back");
    }
}

/// A server that streams only the end of a response, with everything in it.
#[tokio::test]
async fn a_response_may_come_with_its_last_event_only() {
    let rig = Rig::new();
    let body = "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\
                \"model\":\"m\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\
                \"output_text\",\"text\":\"hi\"}]}]}}\n\n";
    rig.server.next(Reply::raw(200, body));
    let answer = rig.answer("responses", "gpt-4o").await;
    assert_eq!((answer.text.as_str(), answer.stop, answer.usage), ("hi", Stop::End, None));
}
