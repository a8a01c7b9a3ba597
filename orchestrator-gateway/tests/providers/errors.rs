//! Every status, over every protocol.

use crate::rig::{ALL, NOW, Rig};
use orchestrator_core::error::ErrorClass::{self, *};
use orchestrator_testkit::model_server::Reply;

struct Case(u16, &'static str, &'static str, ErrorClass, &'static str);

const CASES: [Case; 23] = [
    Case(400, "invalid_request_error", "messages: missing", InvalidRequest, "messages: missing"),
    Case(400, "invalid_request_error", "prompt is too long: 9 > 8", ContextOverflow, "shorten"),
    Case(400, "context_length_exceeded", "too long", ContextOverflow, "larger context"),
    Case(400, "invalid_request_error", "Your credit balance is too low", Billing, "add credit"),
    Case(401, "authentication_error", "invalid key", Auth, "check the key of [providers."),
    Case(402, "insufficient_balance", "Insufficient Balance", Billing, "add credit"),
    Case(403, "permission_error", "not for you", Auth, "check the key"),
    Case(404, "not_found_error", "model: m", InvalidRequest, "check the agent's `model`"),
    Case(408, "timeout", "slow", Transient, "408"),
    Case(409, "conflict_error", "busy", Transient, "409"),
    Case(413, "request_too_large", "too large", ContextOverflow, "shorten"),
    Case(422, "invalid", "bad field", InvalidRequest, "bad field"),
    Case(429, "rate_limit_error", "slow down", RateLimited, "try again"),
    Case(429, "insufficient_quota", "You exceeded your quota", Billing, "add credit"),
    Case(429, "usage_limit_reached", "window used up", QuotaExhausted, "try again"),
    Case(429, "rate_limit_error", "requests per day", QuotaExhausted, "try again"),
    Case(500, "api_error", "oops", Transient, "oops"),
    Case(502, "bad_gateway", "", Transient, "502"),
    Case(503, "unavailable", "", Transient, "503"),
    Case(503, "overloaded_error", "", Overloaded, "503"),
    Case(504, "timeout_error", "", Transient, "504"),
    Case(529, "overloaded_error", "Overloaded", Overloaded, "Overloaded"),
    Case(307, "moved", "", InvalidRequest, "redirects are not followed"),
];

#[tokio::test]
async fn every_status_has_its_class_and_advice() {
    for provider in ALL {
        for Case(status, kind, message, class, told) in CASES {
            let rig = Rig::new();
            rig.server.next(Reply::error(status, kind, message));
            let failure = rig.failure(provider).await;
            assert_eq!(failure.class, class, "{provider} {status} {kind}");
            assert!(failure.message.contains(told), "{provider} {status}: {failure}");
            assert!(failure.message.contains(&format!("`{provider}`")), "{failure}");
            assert!(failure.spend.is_empty(), "a refused request costs nothing");
            assert_eq!(rig.server.requests().len(), 1, "{provider} {status}: no hidden retry");
        }
    }
}

#[tokio::test]
async fn reset_times_are_taken_over() {
    for provider in ALL {
        for (status, header, value, wait_ms) in [
            (429, "retry-after", "7", Some(7_000)),
            (429, "retry-after", "Sat, 31 Jan 2026 09:31:00 GMT", Some(60_000)),
            (429, "anthropic-ratelimit-requests-reset", "2026-01-31T09:30:03Z", Some(3_000)),
            (429, "x-ratelimit-reset-requests", "6m0s", Some(360_000)),
            (503, "retry-after", "2", Some(2_000)),
            (529, "retry-after", "2", Some(2_000)),
            (401, "retry-after", "2", None),
            (429, "x-other", "2", None),
        ] {
            let rig = Rig::new();
            rig.server.next(Reply::error(status, "e", "m").header(header, value));
            let failure = rig.failure(provider).await;
            let wait = failure.retry_at.map(|at| at.since(NOW).as_millis());
            assert_eq!(wait, wait_ms, "{provider} {status} {header}: {value}");
        }
    }
}

#[tokio::test]
async fn a_quota_of_google_is_told_by_its_name() {
    for (quota, class) in [
        ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", RateLimited),
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", QuotaExhausted),
    ] {
        let body = serde_json::json!({ "error": {
            "code": 429,
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                { "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                  "violations": [{ "quotaId": quota, "quotaValue": "20" }] },
                { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s" },
            ],
        }});
        let rig = Rig::new();
        rig.server.next(Reply::raw(429, body.to_string()));
        let failure = rig.failure("gemini").await;
        assert_eq!(failure.class, class, "{quota}");
        assert_eq!(failure.retry_at, Some(NOW.after(std::time::Duration::from_secs(36))));
        assert!(failure.message.contains("RESOURCE_EXHAUSTED"), "{failure}");
    }
    let rig = Rig::new();
    let unknown = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",
        "status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
    rig.server.next(Reply::raw(400, unknown));
    let failure = rig.failure("gemini").await;
    assert_eq!(failure.class, Auth);
    assert!(failure.message.contains("check the key of [providers.gemini]"), "{failure}");
}

#[tokio::test]
async fn bodies_of_any_shape_are_quoted_briefly() {
    for provider in ALL {
        for (body, told) in [
            ("<html>\n<b>Bad   Gateway</b></html>", "<b>Bad Gateway</b>"),
            (r#"{"error":"model 'm' not found"}"#, "model 'm' not found"),
            (r#"{"detail":"nope"}"#, "nope"),
            ("\u{0}\u{1b}[31m", "[31m"),
        ] {
            let rig = Rig::new();
            rig.server.next(Reply::raw(502, body));
            let failure = rig.failure(provider).await;
            assert!(failure.message.contains(told), "{failure}");
            assert!(!failure.message.contains(char::is_control), "{failure:?}");
        }
        let rig = Rig::new();
        rig.server.next(Reply::raw(500, "x".repeat(100_000)));
        assert!(rig.failure(provider).await.message.len() < 700);
    }
}
