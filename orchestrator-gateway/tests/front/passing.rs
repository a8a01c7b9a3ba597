//! Bytes pass as they are, both ways.

use crate::{
    answers::{CHAT, COST, GEMINI_STREAM, MESSAGES, STREAMS, TOKENS, WHOLE},
    client::Open,
    rig::{KEY, Rig, grant},
    upstream::{Step, piece, stream, stream_head, whole},
};
use orchestrator_core::port::CallState;
use orchestrator_gateway::front::{FrontEvent, SettledAs, TOKEN_PREFIX};
use std::sync::Arc;
use tokio::sync::Semaphore;

#[tokio::test]
async fn whole_answers_pass_byte_for_byte_and_are_metered() {
    let rig = Rig::new().await;
    for (path, request, answer) in WHOLE {
        rig.upstream.next(whole("200 OK", "x-request-id: 7\r\n", answer.as_bytes()));
        let got = rig.post(path, request).await;
        assert_eq!((got.status, got.header("x-request-id")), (200, Some("7")), "{path}");
        assert_eq!(got.header("content-length"), Some(answer.len().to_string().as_str()));
        assert_eq!(got.body, answer.as_bytes(), "{path}");
        assert_eq!(rig.upstream.seen().pop().unwrap().body, request.as_bytes(), "{path}");
    }
    let books = rig.stop().await;
    assert!(books.calls.iter().all(|call| call.state == CallState::Settled), "{:?}", books.calls);
    assert_eq!((books.used.usd, books.used.tokens), (4 * COST, 4 * TOKENS));
    assert!(books.held.is_zero());
}

#[tokio::test]
async fn streams_pass_byte_for_byte_wherever_they_are_cut() {
    let rig = Rig::new().await;
    let mut count = 0;
    for (path, request, answer) in STREAMS {
        for size in [1, 7, 64, answer.len()] {
            rig.upstream.next(stream(answer.as_bytes().chunks(size)));
            let got = rig.post(path, request).await;
            assert_eq!((got.status, got.is_whole), (200, true), "{path} by {size}");
            assert_eq!(got.header("content-type"), Some("text/event-stream"));
            assert_eq!(got.body, answer.as_bytes(), "{path} by {size}");
            assert_eq!(rig.upstream.seen().pop().unwrap().body, request.as_bytes());
            count += 1;
        }
    }
    let books = rig.stop().await;
    assert_eq!((books.used.usd, books.used.requests), (count * COST, count));
    let settled = books.events.iter().filter(|event| {
        matches!(event, FrontEvent::Settled { end: SettledAs::Metered, status: Some(200), spend, .. }
            if spend.cost.unwrap().0 == COST && spend.requests == 1)
    });
    assert_eq!(settled.count() as u64, count);
}

#[tokio::test]
async fn a_piece_is_passed_on_before_the_next_one_is_there() {
    let rig = Rig::new().await;
    let gate = Arc::new(Semaphore::new(0));
    rig.upstream.next(vec![
        stream_head(),
        piece(b"data: one\n\n"),
        Step::Wait(gate.clone()),
        piece(b"data: two\n\n"),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]);
    let mut open = rig.open(MESSAGES, STREAMS[0].1).await;
    open.until(b"data: one\n\n").await;
    gate.add_permits(1);
    assert_eq!(open.finish().await.body, b"data: one\n\ndata: two\n\n");
}

#[tokio::test]
async fn the_key_goes_up_and_the_token_does_not() {
    let rig = Rig::new().await;
    let token = rig.token(grant());
    let bearer = format!("Bearer {token}");
    let ways: [(&str, String, &str, &str, &str); 4] = [
        (MESSAGES, "?beta=true".into(), "x-api-key", &token, "x-api-key"),
        (MESSAGES, String::new(), "authorization", &bearer, "x-api-key"),
        (CHAT, String::new(), "authorization", &bearer, "authorization"),
        (GEMINI_STREAM, format!("?key={token}&alt=sse"), "accept", "*/*", "x-goog-api-key"),
    ];
    for (path, query, header, value, signed) in ways {
        let echo = format!("x-echo: {KEY}\r\n");
        rig.upstream.next(whole("200 OK", &echo, b"{}"));
        let headers = [
            (header, value),
            ("anthropic-beta", "a-1"),
            ("cookie", "session=1"),
            ("accept-encoding", "gzip"),
            ("x-stainless-lang", "python"),
        ];
        let line = format!("POST {path}{query}");
        let body = r#"{"model":"m","max_tokens":1}"#;
        let got = Open::send(rig.address, &line, &headers, body.as_bytes()).await.finish().await;
        assert_eq!(got.status, 200, "{path}");
        assert!(!got.head.contains(KEY), "{}", got.head);
        let seen = rig.upstream.seen().pop().unwrap();
        let expected = if signed == "authorization" { format!("Bearer {KEY}") } else { KEY.into() };
        assert_eq!(seen.header(signed), Some(expected.as_str()), "{}", seen.head);
        assert_eq!(seen.head.matches(KEY).count(), 1, "{}", seen.head);
        assert!(
            !seen.head.contains(TOKEN_PREFIX) && !seen.head.contains("cookie"),
            "{}",
            seen.head
        );
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        assert_eq!(seen.header("anthropic-beta"), Some("a-1"));
        assert_eq!(seen.header("x-stainless-lang"), Some("python"));
        let line = seen.head.lines().next().unwrap();
        assert_eq!(line.contains("beta=true"), query.contains("beta"), "{line}");
        assert_eq!(line.contains("alt=sse"), query.contains("alt"), "{line}");
    }
}

#[tokio::test]
async fn what_costs_nothing_passes_without_a_reservation() {
    let rig = Rig::new().await;
    rig.upstream.always(whole("200 OK", "", br#"{"input_tokens":7}"#));
    let token = rig.token(grant());
    let ask = [
        ("POST", format!("{MESSAGES}/count_tokens"), r#"{"model":"m"}"#),
        ("POST", "/gemini/v1beta/models/m:countTokens".into(), "{}"),
        ("GET", "/openai/v1/models".into(), ""),
        ("GET", "/openai/v1/models/m".into(), ""),
    ];
    for (method, path, body) in &ask {
        let line = format!("{method} {path}");
        let headers = [("x-api-key", token.as_str())];
        let open = Open::send(rig.address, &line, &headers, body.as_bytes()).await;
        let got = open.finish().await;
        assert_eq!((got.status, &got.body[..]), (200, &br#"{"input_tokens":7}"#[..]), "{path}");
    }
    let seen = rig.upstream.seen();
    assert!(seen[3].head.starts_with("GET /v1/models/m HTTP/1.1"), "{}", seen[3].head);
    let books = rig.stop().await;
    assert!(books.calls.is_empty());
    let passed = |event: &&FrontEvent| matches!(event, FrontEvent::Passed { status: 200, .. });
    assert_eq!(books.events.iter().filter(passed).count(), 4);
}

#[tokio::test]
async fn errors_of_the_provider_pass_and_cost_nothing() {
    let rig = Rig::new().await;
    for status in ["400 Bad Request", "429 Too Many Requests", "500 Oops", "529 Overloaded"] {
        let body = format!("{{\"error\" : \"{status}\"}}\n");
        let headers = "retry-after: 3\r\nanthropic-ratelimit-requests-reset: x\r\n";
        rig.upstream.next(whole(status, headers, body.as_bytes()));
        let got = rig.post(MESSAGES, STREAMS[0].1).await;
        assert_eq!(got.status.to_string(), status[..3]);
        assert_eq!(got.header("retry-after"), Some("3"));
        assert_eq!(got.header("anthropic-ratelimit-requests-reset"), Some("x"));
        assert_eq!(got.body, body.as_bytes());
    }
    let books = rig.stop().await;
    assert!(books.calls.iter().all(|call| call.state == CallState::Released));
    assert!(books.used.is_zero() && books.held.is_zero());
}

#[tokio::test]
async fn an_error_that_repeats_the_key_is_withheld() {
    let rig = Rig::new().await;
    let body = format!("invalid key {KEY}");
    rig.upstream.next(whole("401 Unauthorized", "", body.as_bytes()));
    let got = rig.post(CHAT, WHOLE[1].1).await;
    assert_eq!(got.status, 502);
    assert!(!String::from_utf8(got.body).unwrap().contains(KEY));
}
