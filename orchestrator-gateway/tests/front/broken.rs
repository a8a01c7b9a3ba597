//! Clients and providers that go away.

use crate::{
    answers::{CHAT, COST, MESSAGES, STREAMS, WHOLE},
    rig::Rig,
    upstream::{Step, Upstream, piece, stream_head},
};
use orchestrator_core::port::CallState;
use orchestrator_gateway::{Timeouts, front::FrontLimits};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// The first events of a stream, and the rest of it.
fn halves() -> (&'static str, &'static str) {
    STREAMS[0].2.split_at(STREAMS[0].2.find("event: message_delta").unwrap())
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_ends_its_request() {
    let rig = Rig::new().await;
    let closed = Arc::new(Notify::new());
    let begun = vec![stream_head(), piece(halves().0.as_bytes()), Step::AwaitClose(closed.clone())];
    rig.upstream.next(begun);
    let mut open = rig.open(MESSAGES, STREAMS[0].1).await;
    open.until("🦀".as_bytes()).await;
    drop(open);
    closed.notified().await;
    let books = rig.stop().await;
    assert_eq!(books.calls[0].state, CallState::Assumed);
    assert_eq!(books.used.usd, books.calls[0].worst.usd.unwrap().0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_its_request() {
    let rig = Rig::new().await;
    let closed = Arc::new(Notify::new());
    rig.upstream.next(vec![Step::AwaitClose(closed.clone())]);
    let open = rig.open(MESSAGES, STREAMS[0].1).await;
    rig.upstream.until(1).await;
    drop(open);
    closed.notified().await;
    assert_eq!(rig.stop().await.calls[0].state, CallState::Assumed);
}

#[tokio::test]
async fn a_client_that_leaves_after_the_usage_pays_that() {
    let rig = Rig::new().await;
    let closed = Arc::new(Notify::new());
    let all = piece(STREAMS[0].2.as_bytes());
    rig.upstream.next(vec![stream_head(), all, Step::AwaitClose(closed.clone())]);
    let mut open = rig.open(MESSAGES, STREAMS[0].1).await;
    open.until(b"message_stop\"").await;
    drop(open);
    closed.notified().await;
    let books = rig.stop().await;
    assert_eq!((books.calls[0].state, books.used.usd), (CallState::Settled, COST));
}

#[tokio::test]
async fn a_stream_that_is_cut_breaks_where_it_was_cut() {
    let rig = Rig::new().await;
    // In the middle of a character, and then of a chunk.
    let start = halves().0.find('🦀').unwrap() + 2;
    let cut = &halves().0.as_bytes()[..start];
    rig.upstream.next(vec![stream_head(), piece(cut), Step::Close]);
    let got = rig.post(MESSAGES, STREAMS[0].1).await;
    assert_eq!((got.status, got.is_whole, &got.body[..]), (200, false, cut));
    rig.upstream.next(vec![stream_head(), Step::Send(b"ff\r\ndata: x\n".to_vec()), Step::Close]);
    let got = rig.post(MESSAGES, STREAMS[0].1).await;
    assert_eq!((got.is_whole, &got.body[..]), (false, &b"data: x\n"[..]));
    // A whole answer that is shorter than it said.
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}";
    rig.upstream.next(vec![Step::Send(head.into()), Step::Close]);
    let got = rig.post(CHAT, WHOLE[1].1).await;
    assert_eq!((got.is_whole, &got.body[..]), (false, &b"{}"[..]));
    let books = rig.stop().await;
    assert!(books.calls.iter().all(|call| call.state == CallState::Assumed), "{:?}", books.calls);
    assert_eq!(books.calls.len(), 3);
}

#[tokio::test]
async fn a_stream_that_is_cut_after_its_usage_is_metered() {
    let rig = Rig::new().await;
    rig.upstream.next(vec![stream_head(), piece(STREAMS[0].2.as_bytes()), Step::Close]);
    assert!(!rig.post(MESSAGES, STREAMS[0].1).await.is_whole);
    let books = rig.stop().await;
    assert_eq!((books.calls[0].state, books.used.usd), (CallState::Settled, COST));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_costs_nothing() {
    let mut upstream = Upstream::start().await;
    // A port that was just given back: nobody listens there.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    upstream.address = gone.local_addr().unwrap();
    drop(gone);
    let rig = Rig::before(upstream, FrontLimits::default(), Timeouts::default()).await;
    let got = rig.post(MESSAGES, STREAMS[0].1).await;
    assert_eq!((got.status, &got.json()["error"]["type"]), (502, &"api_error".into()));
    assert_eq!(got.header("retry-after"), Some("5"));
    assert_eq!(rig.stop().await.calls[0].state, CallState::Released);
}

#[tokio::test]
async fn a_provider_that_takes_a_request_and_says_nothing_is_assumed_to_have_answered() {
    let timeouts = Timeouts { answer: Duration::from_millis(50), idle: Duration::from_millis(50) };
    let rig = Rig::with(FrontLimits::default(), timeouts).await;
    let closed = Arc::new(Notify::new());
    rig.upstream.next(vec![Step::AwaitClose(closed.clone())]);
    let got = rig.post(MESSAGES, STREAMS[0].1).await;
    assert_eq!((got.status, &got.json()["error"]["type"]), (504, &"timeout_error".into()));
    closed.notified().await;
    rig.upstream.next(vec![Step::Close]);
    assert_eq!(rig.post(MESSAGES, STREAMS[0].1).await.status, 502);
    // Silence in the middle of a stream.
    let begun = vec![stream_head(), piece(b"data: x\n\n"), Step::AwaitClose(closed.clone())];
    rig.upstream.next(begun);
    let got = rig.post(MESSAGES, STREAMS[0].1).await;
    assert_eq!((got.is_whole, &got.body[..]), (false, &b"data: x\n\n"[..]));
    closed.notified().await;
    let books = rig.stop().await;
    assert!(books.calls.iter().all(|call| call.state == CallState::Assumed), "{:?}", books.calls);
    assert_eq!(books.calls.len(), 3);
}
