//! What is not passed on, and how that is said.

use crate::{
    answers::{CHAT, GEMINI, MESSAGES, WHOLE},
    client::{Answer, Open},
    rig::{NOW, Rig, budget, grant, name},
};
use orchestrator_gateway::{
    Timeouts,
    front::{Front, FrontConfig, FrontError, FrontEvent, FrontLimits, Tokens},
};
use std::sync::Arc;

/// Checks that `answer` is an error of the API of `path`, with this status, name and code.
#[track_caller]
fn check(path: &str, answer: &Answer, status: u16, named: &str, code: &str) {
    let json = answer.json();
    let body = json.to_string();
    assert_eq!(answer.status, status, "{path} {body}");
    let name = if path.starts_with("/gemini") {
        assert_eq!(json["error"]["code"], status);
        &json["error"]["status"]
    } else {
        assert_eq!(json["type"] == "error", path.starts_with("/anthropic"), "{body}");
        &json["error"]["type"]
    };
    assert_eq!(name, named, "{body}");
    assert!(json["error"]["message"].as_str().unwrap().ends_with(&format!("({code})")), "{body}");
    assert_eq!(answer.header("x-should-retry"), Some("false"), "{body}");
}

#[tokio::test]
async fn tokens_that_are_missing_forged_expired_or_revoked() {
    let rig = Rig::new().await;
    let mut ended = grant();
    ended.expires = NOW;
    let (ended, revoked) = (rig.token(ended), rig.tokens.issue(grant()).unwrap());
    assert!(rig.tokens.revoke(&revoked));
    let valid = rig.token(grant());
    let mut forged = valid.clone();
    forged.replace_range(valid.len() - 1.., if valid.ends_with('0') { "1" } else { "0" });
    for token in ["", "sk-ant-1", &valid[..valid.len() - 1], &forged, &ended, revoked.expose()] {
        for (path, named) in [
            (MESSAGES, "authentication_error"),
            (CHAT, "invalid_request_error"),
            (GEMINI, "UNAUTHENTICATED"),
        ] {
            let answer = rig.post_with(token, path, WHOLE[0].1).await;
            check(path, &answer, 401, named, "ORC-0542");
        }
    }
    assert!(rig.upstream.seen().is_empty());
    let books = rig.stop().await;
    assert!(books.calls.is_empty());
    let refused = |event: &&FrontEvent| {
        matches!(event, FrontEvent::Refused { payer: None, status: 401, code: "ORC-0542", .. })
    };
    assert_eq!(books.events.iter().filter(refused).count(), 18);
}

#[tokio::test]
async fn what_a_token_may_not_do() {
    let rig = Rig::new().await;
    let denied = [
        (MESSAGES, "permission_error"),
        (CHAT, "invalid_request_error"),
        (GEMINI, "PERMISSION_DENIED"),
    ];
    let mut other_models = grant();
    other_models.models = vec!["n*".into()];
    let mut no_accounts = grant();
    no_accounts.accounts = vec![name("elsewhere")];
    for grant in [other_models, no_accounts] {
        let token = rig.token(grant);
        for (path, named) in denied {
            let answer = rig.post_with(&token, path, WHOLE[0].1).await;
            check(path, &answer, 403, named, "ORC-0543");
        }
    }
    // A token is for one run.
    let token = rig.token(grant());
    for (run, status) in [("r_2", 403), ("r_1", 404)] {
        let headers = [("x-api-key", token.as_str()), ("x-orchestrator-run", run)];
        let (path, body) = (MESSAGES, WHOLE[0].1.as_bytes());
        rig.upstream.next(crate::upstream::whole("404 Not Found", "", b"{}"));
        let open = Open::send(rig.address, &format!("POST {path}"), &headers, body).await;
        assert_eq!(open.finish().await.status, status, "{run}");
    }
    let seen = rig.upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("x-orchestrator-run"), None);
    let books = rig.stop().await;
    let refused = books.events.iter().filter(|event| {
        matches!(event, FrontEvent::Refused { payer: Some(payer), code: "ORC-0543", .. }
            if payer.run.is_some())
    });
    assert_eq!(refused.count(), 7);
}

#[tokio::test]
async fn bodies_that_are_too_large_or_cannot_be_read() {
    let mut limits = FrontLimits::default();
    limits.body = 1_000;
    let rig = Rig::with(limits, Timeouts::default()).await;
    let fits = format!(r#"{{"model":"m","a":"{}"}}"#, "x".repeat(1_000 - 20));
    assert_eq!(fits.len(), 1_000);
    rig.upstream.next(crate::upstream::whole("200 OK", "", b"{}"));
    assert_eq!(rig.post(MESSAGES, &fits).await.status, 200);
    let large = fits.replace("{\"model", "{ \"model");
    check(MESSAGES, &rig.post(MESSAGES, &large).await, 413, "request_too_large", "ORC-0544");
    check(GEMINI, &rig.post(GEMINI, &large).await, 413, "INVALID_ARGUMENT", "ORC-0544");
    for bad in ["", "[]", "{", r#"{"a":1}"#, r#"{"model":"m","model":"n"}"#, r#"{"model":""}"#] {
        check(MESSAGES, &rig.post(MESSAGES, bad).await, 400, "invalid_request_error", "ORC-0544");
    }
    let token = rig.token(grant());
    let headers = [("x-api-key", token.as_str()), ("content-encoding", "gzip")];
    let open = Open::send(rig.address, &format!("POST {CHAT}"), &headers, b"\x1f\x8b").await;
    check(CHAT, &open.finish().await, 415, "invalid_request_error", "ORC-0544");
    assert_eq!(rig.upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_body_in_chunks_is_bounded_too() {
    let mut limits = FrontLimits::default();
    limits.body = 1_000;
    let rig = Rig::with(limits, Timeouts::default()).await;
    let token = rig.token(grant());
    let headers = [("x-api-key", token.as_str()), ("transfer-encoding", "chunked")];
    let body = format!("3e8\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", " ".repeat(1_000));
    // `GET` keeps the client from adding a length; the front does not care before it has read.
    let open = Open::send(rig.address, "GET /openai/v1/models", &headers, body.as_bytes()).await;
    check(CHAT, &open.finish().await, 413, "invalid_request_error", "ORC-0544");
}

#[tokio::test]
async fn paths_that_are_not_there() {
    let rig = Rig::new().await;
    for (path, named) in [
        ("/anthropic/v1/messages/batches", "not_found_error"),
        ("/openai/v1/embeddings", "invalid_request_error"),
        ("/gemini/v1beta/models/m:embedContent", "NOT_FOUND"),
        ("/", "invalid_request_error"),
        ("/openai/v1/../v1/responses", "invalid_request_error"),
    ] {
        check(path, &rig.post(path, "{}").await, 404, named, "ORC-0541");
    }
    assert!(rig.upstream.seen().is_empty());
}

#[tokio::test]
async fn a_price_that_is_not_known_is_no_price() {
    let rig = Rig::new().await;
    let mut any = grant().with_rules(budget(1_000_000));
    any.models = vec!["*".into()];
    let token = rig.token(any);
    let unknown = WHOLE[1].1.replace("\"m\"", "\"never-heard-of\"");
    let dearer = WHOLE[1].1.replace("\"unknown\":1e400", "\"service_tier\":\"priority\"");
    for body in [unknown, dearer] {
        let answer = rig.post_with(&token, CHAT, &body).await;
        check(CHAT, &answer, 400, "insufficient_quota", "ORC-0545");
    }
    assert!(rig.upstream.seen().is_empty());
}

#[tokio::test]
async fn only_this_machine_is_served_unless_told_otherwise() {
    let config = FrontConfig::new(
        orchestrator_core::id::OwnerId::new("o").unwrap(),
        Arc::new(orchestrator_core::memory::MemoryStore::default()),
        Arc::new(Tokens::new()),
        Arc::new(orchestrator_core::engine::SystemClock),
    );
    let refused = Front::bind(([0, 0, 0, 0], 0).into(), config.clone()).await.unwrap_err();
    assert!(matches!(refused, FrontError::NotLoopback(_)), "{refused}");
    assert_eq!(refused.code(), "ORC-0548");
    let front = Front::bind(([127, 0, 0, 1], 0).into(), config.clone()).await.unwrap();
    let taken = Front::bind(front.address(), config).await.unwrap_err();
    assert_eq!(taken.code(), "ORC-0549");
}
