//! The front stops.

use crate::{
    answers::{COST, MESSAGES, STREAMS},
    rig::Rig,
    upstream::{Step, piece, stream_head},
};
use orchestrator_core::port::CallState;
use orchestrator_gateway::front::FrontLimits;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, Semaphore};

#[tokio::test]
async fn what_is_under_way_ends_first() {
    let rig = Rig::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let answer = STREAMS[0].2.as_bytes();
    rig.upstream.next(vec![
        stream_head(),
        piece(&answer[..100]),
        Step::Wait(gate.clone()),
        piece(&answer[100..]),
        Step::Send(b"0\r\n\r\n".to_vec()),
    ]);
    let mut open = rig.open(MESSAGES, STREAMS[0].1).await;
    open.until(&answer[..100]).await;
    let address = rig.address;
    let stopping = tokio::spawn(rig.stop());
    // Nobody new is let in.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    assert_eq!(open.finish().await.body, answer);
    let books = stopping.await.unwrap();
    assert_eq!((books.calls[0].state, books.used.usd), (CallState::Settled, COST));
}

#[tokio::test]
async fn what_does_not_end_is_broken_off_and_settled() {
    let mut limits = FrontLimits::default();
    limits.drain = Duration::from_millis(50);
    let rig = Rig::with(limits, Default::default()).await;
    let closed = Arc::new(Notify::new());
    let begun = vec![stream_head(), piece(b"data: x\n\n"), Step::AwaitClose(closed.clone())];
    rig.upstream.next(begun);
    let mut open = rig.open(MESSAGES, STREAMS[0].1).await;
    open.until(b"data: x\n\n").await;
    let books = rig.stop().await;
    closed.notified().await;
    assert_eq!(books.calls[0].state, CallState::Assumed);
    assert!(books.held.is_zero());
    assert!(!open.finish().await.is_whole);
}
