//! What everything that keeps answers of models must do, as cases that any implementation can be put
//! through.

use orchestrator_core::{
    id::{CacheKey, ProjectId, ProviderName, RunId, TenantId},
    port::{KeptResponse, MAX_RESPONSE, MAX_RESPONSES, Responses},
    time::Timestamp,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Puts implementations through every case, each on an empty one of its own from `make`.
///
/// # Panics
/// When one breaks a rule of the port.
pub async fn run_all<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Arc<dyn Responses>>,
{
    an_answer_is_found_until_it_expires(make().await).await;
    answers_are_forgotten_by_age(make().await).await;
    the_oldest_go_when_there_is_too_much(make().await).await;
}

fn key(text: &str) -> CacheKey {
    CacheKey::new(text).expect("a key")
}

fn kept(text: &str, at: u64, expires: u64, body: Value) -> KeptResponse {
    KeptResponse {
        key: key(text),
        tenant: TenantId::default(),
        project: ProjectId::default(),
        run: RunId::new("r_1").ok(),
        provider: ProviderName::new("p").expect("a name"),
        model: "m".into(),
        at: Timestamp(at),
        expires: Timestamp(expires),
        body,
    }
}

async fn check(subject: &dyn Responses, text: &str, now: u64, expected: Option<&KeptResponse>) {
    let found = subject.response(&key(text), Timestamp(now)).await;
    assert_eq!(found, Ok(expected.cloned()), "{text} at {now}");
}

async fn an_answer_is_found_until_it_expires(subject: Arc<dyn Responses>) {
    let first = kept("a", 10, 1_000, json!({ "text": "é", "n": [1, 0.5] }));
    subject.keep_response(first.clone()).await.expect("kept");
    check(&*subject, "a", 0, Some(&first)).await;
    check(&*subject, "a", 999, Some(&first)).await;
    check(&*subject, "a", 1_000, None).await;
    check(&*subject, "b", 0, None).await;
    let newer = kept("a", 20, 5_000, json!("other"));
    subject.keep_response(newer.clone()).await.expect("kept");
    check(&*subject, "a", 4_999, Some(&newer)).await;
    // What is too large is not kept, and neither is what it would have replaced.
    let large = kept("a", 30, 5_000, json!("x".repeat(MAX_RESPONSE)));
    subject.keep_response(large).await.expect("no failure");
    let found = subject.response(&key("a"), Timestamp(0)).await.expect("read");
    assert!(found.is_none_or(|found| found == newer), "a large answer is not kept");
}

async fn answers_are_forgotten_by_age(subject: Arc<dyn Responses>) {
    for (text, at) in [("a", 10), ("b", 20), ("c", 30)] {
        subject.keep_response(kept(text, at, 9_000, json!(text))).await.expect("kept");
    }
    for (before, count) in [(10, 0), (21, 2), (u64::MAX, 3)] {
        assert_eq!(subject.forget_responses(Timestamp(before), true).await, Ok(count));
    }
    assert_eq!(subject.forget_responses(Timestamp(21), false).await, Ok(2));
    check(&*subject, "b", 0, None).await;
    check(&*subject, "c", 0, Some(&kept("c", 30, 9_000, json!("c")))).await;
    assert_eq!(subject.forget_responses(Timestamp(u64::MAX), false).await, Ok(1));
}

async fn the_oldest_go_when_there_is_too_much(subject: Arc<dyn Responses>) {
    // With its quotes each is as large as one may be.
    let text = json!("x".repeat(MAX_RESPONSE - 2));
    let fit = MAX_RESPONSES / MAX_RESPONSE as u64;
    for n in 0..fit + 2 {
        let response = kept(&format!("k{n}"), 100 + n, 9_000, text.clone());
        subject.keep_response(response).await.expect("kept");
    }
    for n in 0..fit + 2 {
        let found = subject.response(&key(&format!("k{n}")), Timestamp(0)).await.expect("read");
        assert_eq!(found.is_some(), n >= 2, "k{n}");
    }
}

#[cfg(test)]
mod tests {
    use orchestrator_core::{memory::MemoryResponses, port::Responses};
    use std::sync::Arc;

    #[tokio::test]
    async fn answers_in_memory_keep_the_contract() {
        super::run_all(|| async { Arc::new(MemoryResponses::default()) as Arc<dyn Responses> })
            .await;
    }
}
