//! Tokens of attempts: what is spent with each, exactly once, until it ends.

use crate::{
    answers::{COST, STREAMS, WHOLE},
    rig::{NOW, Rig, budget, grant, name},
    upstream::{Step, stream, whole},
};
use orchestrator_core::{
    id::{AttemptNumber, RunId, TaskName},
    ledger::{Payer, RefusalKind},
    money::MicroUsd,
    port::CallState,
    time::Timestamp,
};
use orchestrator_gateway::front::{Grant, Pass};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const PATIENCE: Duration = Duration::from_secs(30);

/// A grant for an attempt of `r_1.task`.
fn of(number: u32) -> Grant {
    let mut payer = Payer::new(name("none"), "");
    payer.run = Some(RunId::new("r_1").unwrap());
    payer.task = Some(TaskName::new("task").unwrap());
    payer.attempt = Some(AttemptNumber(number));
    let Grant { accounts, models, .. } = grant();
    Grant::new(payer, Timestamp(NOW.0 + 1)).with_accounts(accounts).with_models(models)
}

fn token(pass: &Pass) -> String {
    pass.token().expose().to_owned()
}

#[tokio::test]
async fn each_attempt_is_told_what_was_spent_with_its_token() {
    let rig = Rig::new().await;
    let (path, body, answer) = STREAMS[0];
    rig.upstream.always(stream(answer.as_bytes().chunks(50)));
    let (first, second) = (rig.attempts.open(of(1)).unwrap(), rig.attempts.open(of(2)).unwrap());
    for pass in [&first, &second, &second] {
        assert_eq!(rig.post_with(&token(pass), path, body).await.status, 200);
    }
    let (old, first) = (token(&first), first.close(PATIENCE).await);
    let second = second.close(PATIENCE).await;
    assert_eq!(first.spend.len(), 1);
    assert_eq!((first.spend[0].requests, first.spend[0].cost), (1, Some(MicroUsd(COST))));
    assert_eq!((second.spend[0].requests, second.spend[0].cost), (2, Some(MicroUsd(2 * COST))));
    assert_eq!((first.refusal, second.refusal), (None, None));
    assert_eq!(rig.post_with(&old, path, body).await.status, 401, "its attempt has ended");
    assert_eq!(rig.stop().await.used.usd, 3 * COST);
}

#[tokio::test]
async fn a_budget_that_refuses_is_told_with_its_limit() {
    let rig = Rig::new().await;
    let (path, body, _) = WHOLE[0];
    let pass = rig.attempts.open(of(1).with_rules(budget(1))).unwrap();
    assert_eq!(rig.post_with(&token(&pass), path, body).await.status, 402);
    let passed = pass.close(PATIENCE).await;
    assert_eq!(passed.spend, []);
    assert_eq!(passed.refusal.unwrap().kind, RefusalKind::Over);
}

#[tokio::test]
async fn a_call_that_does_not_end_in_time_counts_as_what_it_holds() {
    let rig = Rig::new().await;
    let (path, body, answer) = WHOLE[0];
    let gate = Arc::new(Semaphore::new(0));
    let late = whole("200 OK", "", answer.as_bytes());
    rig.upstream.next([vec![Step::Wait(gate.clone())], late].concat());
    let pass = rig.attempts.open(of(1)).unwrap();
    let open = rig.open_with(&token(&pass), path, body).await;
    rig.upstream.until(1).await;
    let passed = pass.close(Duration::ZERO).await;
    gate.add_permits(1);
    assert_eq!(open.finish().await.status, 200, "it goes on");
    let books = rig.stop().await;
    assert_eq!(books.calls[0].state, CallState::Settled, "the ledger has what it came to");
    assert_eq!(passed.spend[0].cost, books.calls[0].worst.usd);
    assert_eq!(passed.spend[0].requests, 1);
}

#[tokio::test]
async fn a_token_that_is_dropped_begins_no_call() {
    let rig = Rig::new().await;
    let (path, body, _) = WHOLE[0];
    let pass = rig.attempts.open(of(1)).unwrap();
    let token = token(&pass);
    drop(pass);
    assert_eq!(rig.post_with(&token, path, body).await.status, 401);
    assert!(rig.upstream.seen().is_empty());
}
