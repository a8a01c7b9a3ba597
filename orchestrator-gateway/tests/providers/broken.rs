//! Answers that break off: what is reported, and what they are said to have cost.

use crate::rig::{ALL, NOW, Rig, USED, model, name, text, used};
use orchestrator_core::{
    error::ErrorClass,
    ledger::Payer,
    time::Timestamp,
    usage::{TokenCount, Usage},
};
use orchestrator_gateway::{Limits, Request, Timeouts};
use orchestrator_testkit::model_server::{ModelRequest, Reply};
use std::{sync::Arc, time::Duration};

const EVENTS: usize = 40;

/// Wherever a stream is cut, the failure is transient, and what was heard by then is kept.
#[tokio::test]
async fn a_cut_stream_is_transient_wherever_it_is_cut() {
    for provider in ALL {
        let mut cuts = 0;
        let mut priced = 0;
        for after in 0..EVENTS {
            let rig = Rig::new();
            rig.server.next(Reply::text("one two three").usage(USED).cut_after(after));
            let request = Request::new(model(provider), "hello");
            let (result, deltas) = rig.ask(provider, &request).await;
            let Err(failure) = result else {
                // Cut beyond its end: the stream was whole.
                assert_eq!(text(&deltas), "one two three");
                break;
            };
            cuts += 1;
            assert_eq!(
                failure.class,
                ErrorClass::Transient,
                "{provider}, after {after}: {failure}"
            );
            assert!("one two three".starts_with(&text(&deltas)));
            let [spend] = failure.spend.as_slice() else { panic!("{provider}: {failure:?}") };
            assert_eq!(spend.requests, 1);
            if let Some(cost) = spend.cost {
                // Only the last word on the usage has a price.
                assert_eq!(spend.usage, used(provider), "{provider}, after {after}");
                assert!(cost.0 > 0);
                priced += 1;
            }
        }
        assert!(cuts > 3, "{provider} was cut {cuts} times only");
        // Where the event with the counts is itself the end, there is no cut behind it.
        let counted = usize::from(matches!(provider, "messages" | "chat"));
        assert_eq!(priced, counted, "{provider}: the counts are final just before the end");
    }
}

#[tokio::test]
async fn input_that_was_counted_before_the_cut_is_kept() {
    let rig = Rig::new();
    rig.server.next(Reply::text("one two three").usage(USED).cut_after(5));
    let failure = rig.failure("messages").await;
    let expected = Usage { output: TokenCount(1), reasoning: TokenCount(1), ..USED };
    assert_eq!((failure.spend[0].usage, failure.spend[0].cost), (expected, None));
    assert!(failure.message.contains("127.0.0.1"), "{failure}");
}

#[tokio::test]
async fn a_damaged_event_is_transient() {
    for provider in ALL {
        let rig = Rig::new();
        rig.server.next(Reply::text("one two").damaged_after(2));
        let failure = rig.failure(provider).await;
        assert_eq!(failure.class, ErrorClass::Transient, "{provider}");
        assert!(failure.message.contains("not JSON"), "{failure}");
        assert_eq!(failure.spend.len(), 1, "{provider}");
    }
}

#[tokio::test]
async fn errors_in_a_stream_have_their_class() {
    for provider in ALL {
        for (kind, class) in [
            ("overloaded_error", ErrorClass::Overloaded),
            ("rate_limit_error", ErrorClass::RateLimited),
            ("api_error", ErrorClass::Transient),
            ("authentication_error", ErrorClass::Auth),
            ("billing_error", ErrorClass::Billing),
            ("something_new", ErrorClass::Transient),
        ] {
            let rig = Rig::new();
            rig.server.next(Reply::text("one two").failing_after(2, kind, "sorry"));
            let failure = rig.failure(provider).await;
            assert_eq!(failure.class, class, "{provider}, {kind}");
            assert!(failure.message.contains("sorry"), "{failure}");
        }
    }
}

#[tokio::test]
async fn errors_in_a_stream_are_known_by_each_protocols_own_names() {
    for (provider, kind, message, class) in [
        ("responses", "server_error", "", ErrorClass::Transient),
        ("responses", "rate_limit_exceeded", "try again in 5s", ErrorClass::RateLimited),
        ("responses", "insufficient_quota", "", ErrorClass::Billing),
        ("responses", "invalid_prompt", "", ErrorClass::InvalidRequest),
        ("responses", "context_length_exceeded", "", ErrorClass::ContextOverflow),
        ("responses", "image_too_large", "", ErrorClass::InvalidRequest),
        ("gemini", "RESOURCE_EXHAUSTED", "Please retry in 5s.", ErrorClass::RateLimited),
        ("gemini", "UNAVAILABLE", "The model is overloaded.", ErrorClass::Overloaded),
        ("gemini", "INVALID_ARGUMENT", "", ErrorClass::InvalidRequest),
        ("gemini", "INTERNAL", "", ErrorClass::Transient),
    ] {
        let rig = Rig::new();
        rig.server.next(Reply::text("one two").failing_after(2, kind, message));
        let failure = rig.failure(provider).await;
        assert_eq!(failure.class, class, "{provider}, {kind}: {failure}");
        assert!(failure.message.contains(kind), "{failure}");
        let wait = failure.retry_at.map(|at| at.since(NOW).as_secs());
        assert_eq!(wait, message.contains("5s").then_some(5), "{provider}, {kind}");
    }
}

#[tokio::test]
async fn a_response_that_failed_is_a_failure_with_what_it_used() {
    for body in [
        "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":\
         {\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down.\"},\"usage\":\
         {\"input_tokens\":7,\"output_tokens\":2}}}\n\n",
        r#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"Slow down."},
            "output":[],"usage":{"input_tokens":7,"output_tokens":2}}"#,
    ] {
        let rig = Rig::new();
        rig.server.next(Reply::raw(200, body));
        let failure = rig.failure("responses").await;
        assert_eq!(failure.class, ErrorClass::RateLimited);
        assert!(failure.message.contains("Slow down."), "{failure}");
        assert_eq!(failure.spend[0].usage.total(), TokenCount(9));
    }
}

#[tokio::test]
async fn silence_ends_in_a_failure() {
    let brief = Duration::from_millis(20);
    for provider in ALL {
        for (after, told) in [(0, "did not answer within 20ms"), (2, "sent nothing for 20ms")] {
            let timeouts = if after == 0 {
                Timeouts { answer: brief, ..Timeouts::default() }
            } else {
                Timeouts { idle: brief, ..Timeouts::default() }
            };
            let rig = Rig::with(Limits::default(), timeouts);
            rig.server.next(Reply::text("one two").hang_after(after));
            let failure = rig.failure(provider).await;
            assert_eq!(failure.class, ErrorClass::Transient, "{provider}");
            assert!(failure.message.contains(told), "{failure}");
        }
    }
}

#[tokio::test]
async fn dropping_a_call_hangs_up() {
    for provider in ALL {
        let rig = Arc::new(Rig::new());
        rig.server.otherwise(Reply::text("one two").hang_after(2));
        let call = tokio::spawn({
            let rig = rig.clone();
            async move { rig.failure(provider).await }
        });
        let waiting = rig.clone();
        tokio::task::spawn_blocking(move || waiting.server.wait_for_requests(1)).await.unwrap();
        call.abort();
        let waiting = rig.clone();
        tokio::task::spawn_blocking(move || waiting.server.wait_for_hang_ups(1)).await.unwrap();
        assert!(call.await.unwrap_err().is_cancelled());
        let dropped = rig.gateway.dropped(&name(provider), model(provider), USED);
        assert_eq!((dropped.usage, dropped.cost, dropped.requests), (USED, None, 1));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let rig = Rig::new();
    let url = rig.server.url();
    let host = url.trim_start_matches("http://").to_owned();
    drop(rig.server);
    let now = || Timestamp(0);
    let request = Request::new("m", "p");
    let failure = rig
        .gateway
        .complete(&Payer::new(name("chat"), "m"), &request, &now, &mut |_| {})
        .await
        .unwrap_err();
    assert_eq!(failure.class, ErrorClass::Transient);
    assert!(
        failure.message.contains(&host) && failure.message.contains("[providers.chat]"),
        "{failure}"
    );
    assert!(failure.spend.is_empty());
}

#[tokio::test]
async fn an_answer_of_some_other_kind_is_a_failure() {
    for provider in ALL {
        for body in ["", "<html>Welcome</html>", "{\"hello\":1}", "{\"choices\":", "[]"] {
            let rig = Rig::new();
            rig.server.next(Reply::raw(200, body));
            let failure = rig.failure(provider).await;
            assert_eq!(failure.class, ErrorClass::Transient, "{provider} {body}: {failure}");
        }
    }
}

#[tokio::test]
async fn a_request_is_recorded_once_however_it_ends() {
    let rig = Rig::new();
    rig.server.otherwise(Reply::text("one two").cut_after(1));
    rig.failure("chat").await;
    let seen: Vec<ModelRequest> = rig.server.requests();
    assert_eq!(seen.len(), 1, "no hidden retry after the server began to answer");
}
