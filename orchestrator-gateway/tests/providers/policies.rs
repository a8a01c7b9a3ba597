//! Breaker, limits and names.

use crate::rig::{ALL, NOW, Rig, model, name};
use futures_util::FutureExt;
use orchestrator_core::error::ErrorClass;
use orchestrator_gateway::{
    Client, Gateway, GatewayError, Limits, ProviderConfig, ProviderKind, Request, Timeouts,
    prices::PriceTable,
};
use orchestrator_testkit::model_server::Reply;
use std::{num::NonZeroU32, sync::Arc};

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone_and_then_probed() {
    for provider in ALL {
        let rig = Rig::new();
        for _ in 0..5 {
            rig.server.next(Reply::error(500, "api_error", "oops"));
        }
        for _ in 0..5 {
            rig.failure(provider).await;
        }
        let refused = rig.failure(provider).await;
        assert_eq!(refused.class, ErrorClass::Transient);
        assert_eq!(refused.retry_at, Some(NOW.after(std::time::Duration::from_secs(30))));
        assert_eq!(rig.server.requests().len(), 5, "{provider} was not called");
        rig.pass(30_000);
        rig.server.otherwise(Reply::text("back again"));
        assert_eq!(rig.answer(provider, model(provider)).await.text, "back again");
        assert_eq!(rig.answer(provider, model(provider)).await.text, "back again");
    }
}

#[tokio::test]
async fn a_provider_that_refuses_for_a_reason_is_well() {
    let rig = Rig::new();
    rig.server.otherwise(Reply::error(429, "rate_limit_error", "slow down"));
    for _ in 0..8 {
        assert_eq!(rig.failure("chat").await.class, ErrorClass::RateLimited);
    }
    assert_eq!(rig.server.requests().len(), 8);
}

/// With one place, a second call reaches the server only after the first one has gone.
#[tokio::test]
async fn calls_beyond_the_limit_wait_for_a_place() {
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let rig = Arc::new(Rig::with(limits, Timeouts::default()));
    rig.server.next(Reply::text("one two").hang_after(2));
    rig.server.next(Reply::text("second"));
    let first = tokio::spawn({
        let rig = rig.clone();
        async move { rig.failure("chat").await }
    });
    let waiting = rig.clone();
    tokio::task::spawn_blocking(move || waiting.server.wait_for_requests(1)).await.unwrap();
    let request = Request::new("gpt-4o", "p");
    let mut second = Box::pin(rig.ask("chat", &request));
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(rig.server.requests().len(), 1);
    first.abort();
    assert_eq!(second.await.0.unwrap().text, "second");
}

#[tokio::test]
async fn unknown_and_duplicate_names_are_errors() {
    let rig = Rig::new();
    let failure = rig.failure("nobody").await;
    assert_eq!(failure.class, ErrorClass::InvalidRequest);
    assert!(failure.message.contains("[providers.nobody]"), "{failure}");
    let twice = [0, 1].map(|_| ProviderConfig::new(name("x"), ProviderKind::Ollama));
    let error = Gateway::new(twice, PriceTable::empty(), Client::new()).unwrap_err();
    assert_eq!(error, GatewayError::Duplicate("x".into()));
}
