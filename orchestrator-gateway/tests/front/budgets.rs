//! Budgets hold, whatever happens at once.

use crate::{
    answers::{CHAT, COST, MESSAGES, RESPONSES, STREAMS, WHOLE},
    client::Answer,
    rig::{Rig, budget, grant},
    upstream::{Step, stream, whole},
};
use orchestrator_core::{
    ledger::{Rule, ScopeKind, Unit, Window},
    port::CallState,
};
use orchestrator_gateway::front::{FrontEvent, FrontLimits};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// What a call of `body` holds: its bytes and 100 tokens of output, in micro-dollars. What is
/// escaped might be a cache write for an hour.
fn worst(body: &str) -> u64 {
    let each = if body.contains("\\u00") { 2 } else { 1 };
    body.len() as u64 * each + 500
}

#[tokio::test]
async fn a_budget_is_spent_to_the_micro_dollar_and_then_refuses() {
    let rig = Rig::new().await;
    let (path, body, answer) = STREAMS[0];
    rig.upstream.always(stream(answer.as_bytes().chunks(50)));
    // Three calls, and a third of a fourth. Each holds less than it costs, and yet is counted.
    let limit = 3 * COST + worst(body) - 1;
    let token = rig.token(grant().with_rules(budget(limit)));
    for _ in 0..3 {
        assert_eq!(rig.post_with(&token, path, body).await.status, 200);
        rig.settled().await;
    }
    let refused = rig.post_with(&token, path, body).await;
    assert_eq!(refused.status, 402);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("run `r_1` may spend $"), "{message}");
    assert!(message.contains("$0.00417 spent, and the call may take $0.00"), "{message}");
    assert_eq!(rig.upstream.seen().len(), 3);
    let books = rig.stop().await;
    assert_eq!((books.used.usd, books.used.requests), (3 * COST, 3));
    let held: Vec<u64> = books.calls.iter().map(|call| call.worst.usd.unwrap().0).collect();
    assert_eq!(held, [worst(body); 3]);
}

#[tokio::test]
async fn of_64_at_once_those_pass_that_fit() {
    let mut limits = FrontLimits::default();
    limits.wait = Duration::from_secs(30);
    let rig = Arc::new(Rig::with(limits, Default::default()).await);
    let body = WHOLE[2].1;
    let held = worst(body);
    // Each costs exactly what it holds.
    let used = format!(
        r#"{{"status":"completed","usage":{{"input_tokens":{},"output_tokens":0}}}}"#,
        held
    );
    let gate = Arc::new(Semaphore::new(0));
    let answer = whole("200 OK", "", used.as_bytes());
    rig.upstream.always([vec![Step::Wait(gate.clone())], answer].concat());
    let token = rig.token(grant().with_rules(budget(10 * held + held / 2)));
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let (rig, token) = (rig.clone(), token.clone());
        calls.spawn(async move { rig.post_with(&token, RESPONSES, body).await });
    }
    rig.upstream.until(10).await;
    gate.add_permits(64);
    let answers: Vec<Answer> = calls.join_all().await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 400).count();
    assert_eq!((passed, refused), (10, 54));
    assert_eq!(rig.upstream.seen().len(), 10);
    let books = Arc::into_inner(rig).unwrap().stop().await;
    assert_eq!((books.used.usd, books.used.requests), (10 * held, 10));
    let refused =
        |event: &&FrontEvent| matches!(event, FrontEvent::Refused { code: "ORC-0545", .. });
    assert_eq!(books.events.iter().filter(refused).count(), 54);
}

#[tokio::test]
async fn what_would_fit_later_waits_and_then_passes() {
    let rig = Arc::new(Rig::new().await);
    let (path, body, answer) = WHOLE[2];
    let gate = Arc::new(Semaphore::new(0));
    let cheap = answer.replace("1400", "250").replace("34", "0");
    let whole = whole("200 OK", "", cheap.as_bytes());
    rig.upstream.always([vec![Step::Wait(gate.clone())], whole].concat());
    // One call fits; when it has ended at less than it holds, another does.
    let token = rig.token(grant().with_rules(budget(worst(body) + 100)));
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let (rig, token) = (rig.clone(), token.clone());
        calls.spawn(async move { rig.post_with(&token, path, body).await });
    }
    rig.upstream.until(1).await;
    assert_eq!(rig.upstream.seen().len(), 1);
    gate.add_permits(2);
    let answers: Vec<Answer> = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

#[tokio::test]
async fn who_waits_too_long_is_told_to_come_again() {
    let mut limits = FrontLimits::default();
    limits.wait = Duration::ZERO;
    let rig = Rig::with(limits, Default::default()).await;
    let (path, body, answer) = WHOLE[2];
    let gate = Arc::new(Semaphore::new(0));
    let whole = whole("200 OK", "", answer.as_bytes());
    rig.upstream.next([vec![Step::Wait(gate.clone())], whole].concat());
    let token = rig.token(grant().with_rules(budget(worst(body) + 100)));
    let first = rig.open_with(&token, path, body).await;
    rig.upstream.until(1).await;
    let refused = rig.post_with(&token, path, body).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    gate.add_permits(1);
    assert_eq!(first.finish().await.status, 200);
}

#[tokio::test]
async fn an_answer_without_usage_counts_as_all_that_was_held() {
    let rig = Rig::new().await;
    // A stream whose client did not ask for its usage.
    let (path, body) = (CHAT, r#"{"model":"m","max_tokens":100,"stream":true}"#);
    let answer = b"data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    rig.upstream.next(stream([&answer[..]]));
    assert_eq!(rig.post(path, body).await.body, answer);
    assert_eq!(rig.upstream.seen()[0].body, body.as_bytes());
    // An answer that is compressed although nobody asked for that.
    let headers = "content-encoding: gzip\r\n";
    rig.upstream.next(whole("200 OK", headers, WHOLE[1].2.as_bytes()));
    assert_eq!(rig.post(path, body).await.header("content-encoding"), Some("gzip"));
    // JSON that breaks off inside.
    rig.upstream.next(whole("200 OK", "", &WHOLE[1].2.as_bytes()[..90]));
    assert_eq!(rig.post(path, body).await.body, &WHOLE[1].2.as_bytes()[..90]);
    let books = rig.stop().await;
    assert!(books.calls.iter().all(|call| call.state == CallState::Assumed), "{:?}", books.calls);
    assert_eq!((books.calls.len(), books.used.usd), (3, 3 * worst(body)));
}

#[tokio::test]
async fn usage_beyond_what_was_held_is_recorded_as_it_is() {
    let rig = Rig::new().await;
    let answer = r#"{"type":"message","usage":{"input_tokens":9000000,"output_tokens":34}}"#;
    rig.upstream.next(whole("200 OK", "", answer.as_bytes()));
    let token = rig.token(grant().with_rules(budget(2_000)));
    assert_eq!(rig.post_with(&token, MESSAGES, WHOLE[0].1).await.status, 200);
    rig.settled().await;
    assert_eq!(rig.post_with(&token, MESSAGES, WHOLE[0].1).await.status, 402);
    assert_eq!(rig.stop().await.used.usd, 9_000_170);
}

#[tokio::test]
async fn a_providers_reset_ends_the_window_of_its_account() {
    let rig = Rig::new().await;
    let (path, body, _) = WHOLE[0];
    let week = Rule::hard(ScopeKind::Account, Window::Hours(168), Unit::Requests, 9);
    let rules: Arc<[Rule]> = Arc::new([week]);
    let token = rig.token(grant().with_rules(rules.clone()));
    rig.upstream.next(whole("200 OK", "", WHOLE[0].2.as_bytes()));
    assert_eq!(rig.post_with(&token, path, body).await.status, 200);
    rig.settled().await;
    assert_eq!(rig.spent(&rules, 2).await, 1);
    let refusal =
        br#"{"type":"error","error":{"type":"rate_limit_error","message":"usage limit reached"}}"#;
    rig.upstream.next(whole("429 Too Many Requests", "retry-after: 7200\r\n", refusal));
    assert_eq!(rig.post_with(&token, path, body).await.status, 429);
    rig.settled().await;
    assert_eq!((rig.spent(&rules, 1).await, rig.spent(&rules, 2).await), (1, 0));
}
