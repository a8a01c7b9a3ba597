//! Limits and breakers of accounts, and several accounts of a provider.

use crate::{
    answers::{CHAT, GEMINI, MESSAGES, WHOLE},
    client::Answer,
    rig::{KEY, NOW, Rig, grant, name},
    upstream::{Step, Upstream, stream, whole},
};
use orchestrator_core::{
    ledger::{Payer, Rule, ScopeKind, Unit, Window},
    port::CallState,
};
use orchestrator_gateway::{
    Client, Delta, Gateway, Limits, ProviderConfig, ProviderKind, Request, SecretString,
    front::{FrontLimits, Upstream as Account},
    prices::PriceTable,
};
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet};

/// An account at `upstream` with a key of its own.
fn account(upstream: &Upstream, text: &str, kind: ProviderKind, limits: Limits) -> Account {
    Account::of(&config(upstream, text, kind, limits)).unwrap()
}

fn config(upstream: &Upstream, text: &str, kind: ProviderKind, limits: Limits) -> ProviderConfig {
    ProviderConfig::new(name(text), kind)
        .with_base_url(format!("http://{}", upstream.address))
        .with_key(SecretString::new(format!("{KEY}-{text}")))
        .with_limits(limits)
}

/// A front that waits for nothing, with these accounts, all of OpenAI's API.
async fn impatient(accounts: &[(&str, Limits)]) -> Rig {
    let upstream = Upstream::start().await;
    let mut limits = FrontLimits::default();
    limits.wait = Duration::ZERO;
    let accounts: Vec<_> = accounts
        .iter()
        .map(|(text, limits)| account(&upstream, text, ProviderKind::OpenAiChat, *limits))
        .collect();
    Rig::of(upstream, limits, accounts).await
}

fn per_minute(requests: u32) -> Limits {
    Limits { requests_per_minute: NonZeroU32::new(requests), ..Limits::default() }
}

async fn chat(rig: &Rig, accounts: &[&str]) -> Answer {
    let mut granted = grant();
    granted.accounts = accounts.iter().map(|account| name(account)).collect();
    let token = rig.token(granted);
    rig.post_with(&token, CHAT, WHOLE[1].1).await
}

/// Whose key a request had.
fn caller(seen: &crate::upstream::Seen) -> String {
    let key = seen.header("authorization").unwrap();
    key.strip_prefix(&format!("Bearer {KEY}-")).unwrap().to_owned()
}

fn callers(rig: &Rig) -> Vec<String> {
    rig.upstream.seen().iter().map(caller).collect()
}

#[tokio::test]
async fn four_clients_share_the_one_place_of_an_account() {
    let upstream = Upstream::start().await;
    let limits = Limits { concurrent: NonZeroU32::new(1), ..Limits::default() };
    let one = account(&upstream, "openai", ProviderKind::OpenAiChat, limits);
    let rig = Arc::new(Rig::of(upstream, FrontLimits::default(), [one]).await);
    let gate = Arc::new(Semaphore::new(0));
    let answer = whole("200 OK", "", WHOLE[1].2.as_bytes());
    rig.upstream.always([vec![Step::Wait(gate.clone())], answer].concat());
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let rig = rig.clone();
        clients.spawn(async move { rig.post(CHAT, WHOLE[1].1).await.status });
    }
    for passed in 1..=4 {
        rig.upstream.until(passed).await;
        // Whoever could pass besides has all the time of the scheduler to do so.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(rig.upstream.seen().len(), passed, "one at a time");
        gate.add_permits(1);
        assert_eq!(clients.join_next().await.unwrap().unwrap(), 200);
    }
}

#[tokio::test]
async fn the_requests_of_a_minute_run_out_and_come_back() {
    let rig = impatient(&[("openai", per_minute(2))]).await;
    rig.upstream.always(whole("200 OK", "", WHOLE[1].2.as_bytes()));
    for _ in 0..2 {
        assert_eq!(chat(&rig, &["openai"]).await.status, 200);
    }
    let refused = chat(&rig, &["openai"]).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["code"], "rate_limit_exceeded");
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("ORC-0561") && message.contains("openai.limits"), "{message}");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(rig.upstream.seen().len(), 2);
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(60_250)).await;
    tokio::time::resume();
    assert_eq!(chat(&rig, &["openai"]).await.status, 200);
    let books = rig.stop().await;
    assert_eq!(books.calls.len(), 3, "what was refused held nothing");
}

#[tokio::test]
async fn tokens_of_a_minute_are_those_that_were_used() {
    let limits = Limits { tokens_per_minute: NonZeroU32::new(2_000), ..Limits::default() };
    let rig = impatient(&[("openai", limits)]).await;
    // 1,434 tokens; the body is taken to have some 30, and the answer at most 100.
    rig.upstream.always(whole("200 OK", "", WHOLE[1].2.as_bytes()));
    assert_eq!(chat(&rig, &["openai"]).await.status, 200);
    assert_eq!(
        chat(&rig, &["openai"]).await.status,
        200,
        "500 are left, and it is taken to use 130"
    );
    assert_eq!(chat(&rig, &["openai"]).await.status, 429, "it used 1,434");
}

#[tokio::test]
async fn an_open_breaker_answers_in_the_words_of_each_provider() {
    for (kind, account_name, path, body, kind_of_error) in [
        (ProviderKind::Anthropic, "anthropic", MESSAGES, WHOLE[0].1, "/error/type"),
        (ProviderKind::OpenAiChat, "openai", CHAT, WHOLE[1].1, "/error/code"),
        (ProviderKind::Gemini, "gemini", GEMINI, WHOLE[3].1, "/error/status"),
    ] {
        let upstream = Upstream::start().await;
        let one = account(&upstream, account_name, kind, Limits::default());
        let rig = Rig::of(upstream, FrontLimits::default(), [one]).await;
        // Half of them are errors, and half are answers that break off.
        for number in 0..5 {
            if number % 2 == 0 {
                rig.upstream.next(whole("500 Oops", "", b"{}"));
                assert_eq!(rig.post(path, body).await.status, 500);
            } else {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
                rig.upstream.next(vec![Step::Send(head.into()), Step::Close]);
                assert!(!rig.post(path, body).await.is_whole);
            }
        }
        let refused = rig.post(path, body).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
        let expected = match account_name {
            "anthropic" => "overloaded_error",
            "openai" => "upstream_resting",
            _ => "UNAVAILABLE",
        };
        assert_eq!(refused.json().pointer(kind_of_error).unwrap(), expected);
        assert!(String::from_utf8(refused.body).unwrap().contains("ORC-0562"));
        assert_eq!(rig.upstream.seen().len(), 5, "nothing went out");
    }
}

#[tokio::test]
async fn one_good_answer_of_either_form_lets_the_breaker_forget() {
    for good in [
        whole("200 OK", "", WHOLE[1].2.as_bytes()),
        stream([WHOLE[1].2.as_bytes()]),
        whole("200 OK", "", b""),
    ] {
        let rig = impatient(&[("openai", Limits::default())]).await;
        for _ in 0..2 {
            for _ in 0..4 {
                rig.upstream.next(whole("500 Oops", "", b"{}"));
                assert_eq!(chat(&rig, &["openai"]).await.status, 500);
            }
            rig.upstream.next(good.clone());
            assert_eq!(chat(&rig, &["openai"]).await.status, 200);
        }
    }
}

#[tokio::test]
async fn refusals_with_a_reason_open_no_breaker() {
    let rig = impatient(&[("openai", Limits::default())]).await;
    rig.upstream.always(whole("400 Bad", "", br#"{"error":{"message":"no such thing"}}"#));
    for _ in 0..8 {
        assert_eq!(chat(&rig, &["openai"]).await.status, 400);
    }
}

#[tokio::test]
async fn what_the_provider_says_is_kept_to() {
    let rig = impatient(&[("openai", Limits::default())]).await;
    let told = "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 1m30s\r\n";
    rig.upstream.always(whole("200 OK", told, WHOLE[1].2.as_bytes()));
    assert_eq!(chat(&rig, &["openai"]).await.status, 200);
    let refused = chat(&rig, &["openai"]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("90")));
    assert_eq!(rig.upstream.seen().len(), 1);
    // After a refusal nobody asks before the time that it told.
    let rig = impatient(&[("openai", Limits::default())]).await;
    rig.upstream.always(whole("429 Slow", "retry-after: 20\r\n", b"{}"));
    let first = chat(&rig, &["openai"]).await;
    assert_eq!((first.status, &first.body[..]), (429, &b"{}"[..]), "passed on as it is");
    let refused = chat(&rig, &["openai"]).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("20")));
    assert_eq!(rig.upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_front_and_a_gateway_share_what_they_know_of_an_account() {
    let upstream = Upstream::start().await;
    let kind = ProviderKind::OpenAiChat;
    let own = config(&upstream, "openai", kind, per_minute(2)).shared();
    let gateway = Gateway::new([own.clone()], PriceTable::built_in(), Client::new()).unwrap();
    let shared = Account::of(&own).unwrap();
    let mut limits = FrontLimits::default();
    limits.wait = Duration::ZERO;
    let rig = Rig::of(upstream, limits, [shared]).await;
    rig.upstream.always(whole("200 OK", "", WHOLE[1].2.as_bytes()));
    let ask = async || {
        let payer = Payer::new(name("openai"), "m");
        let request = Request::new("m", "x").with_max_tokens(100);
        gateway.complete(&payer, &request, &|| NOW, &mut |_: Delta| {}).await
    };
    assert!(ask().await.is_ok());
    assert_eq!(chat(&rig, &["openai"]).await.status, 200);
    assert_eq!(chat(&rig, &["openai"]).await.status, 429, "two a minute are two together");
    assert_eq!(rig.upstream.seen().len(), 2);
}

#[tokio::test]
async fn calls_are_shared_among_the_accounts_of_a_provider() {
    let none = Limits::default();
    let rig =
        impatient(&[("other", none), ("lab.a", none), ("lab.b", none), ("lab.c", none)]).await;
    rig.upstream.always(whole("200 OK", "", WHOLE[1].2.as_bytes()));
    for _ in 0..4 {
        assert_eq!(chat(&rig, &["lab"]).await.status, 200);
    }
    assert_eq!(callers(&rig), ["lab.a", "lab.b", "lab.c", "lab.a"]);
    for _ in 0..3 {
        assert_eq!(chat(&rig, &["lab.c", "lab.b", "other"]).await.status, 200);
    }
    let later = &callers(&rig)[4..];
    assert!(later.iter().all(|caller| caller != "lab.a" && caller != "other"), "{later:?}");
    let books = rig.stop().await;
    let mut paid: Vec<_> = books.calls.iter().map(|call| call.payer.account.to_string()).collect();
    paid.sort();
    assert_eq!(paid.iter().filter(|account| *account == "lab.a").count(), 2, "{paid:?}");
}

#[tokio::test]
async fn what_one_account_refuses_another_does() {
    let none = Limits::default();
    for (status, header, body) in [
        ("429 Slow", "retry-after: 60\r\n", "{}"),
        ("429 Slow", "", r#"{"error":{"type":"usage_limit_reached"}}"#),
        ("529 Busy", "", "{}"),
        ("401 No", "", "{}"),
        ("403 No", "", "{}"),
        ("402 Pay", "", "{}"),
        ("503 Down", "", "{}"),
    ] {
        let rig = impatient(&[("lab.a", none), ("lab.b", none)]).await;
        rig.upstream.next(whole(status, header, body.as_bytes()));
        rig.upstream.always(whole("200 OK", "", WHOLE[1].2.as_bytes()));
        assert_eq!(chat(&rig, &["lab"]).await.status, 200, "{status}");
        assert_eq!(callers(&rig), ["lab.a", "lab.b"], "{status}");
        let books = rig.stop().await;
        let states: Vec<_> =
            books.calls.iter().map(|call| (call.payer.account.as_str(), call.state)).collect();
        assert!(states.contains(&("lab.a", CallState::Released)), "{states:?}");
        assert!(states.contains(&("lab.b", CallState::Settled)), "{states:?}");
    }
}

#[tokio::test]
async fn what_may_have_cost_something_stays_where_it_is() {
    let none = Limits::default();
    let rig = impatient(&[("lab.a", none), ("lab.b", none)]).await;
    rig.upstream.next(vec![Step::Close]);
    assert_eq!(chat(&rig, &["lab"]).await.status, 502);
    rig.upstream.next(whole("400 Bad", "", b"{}"));
    assert_eq!(chat(&rig, &["lab"]).await.status, 400);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    rig.upstream.next(vec![Step::Send(head.into()), Step::Close]);
    assert!(!chat(&rig, &["lab"]).await.is_whole);
    assert_eq!(rig.upstream.seen().len(), 3, "each was asked of one account");
}

#[tokio::test]
async fn when_all_accounts_refuse_the_one_that_comes_back_speaks() {
    let none = Limits::default();
    let rig = impatient(&[("lab.a", none), ("lab.b", none)]).await;
    rig.upstream.next(whole("429 Slow", "retry-after: 60\r\n", br#"{"error":"slow"}"#));
    rig.upstream.next(whole("401 No", "", br#"{"error":"no"}"#));
    let got = chat(&rig, &["lab"]).await;
    assert_eq!((got.status, got.header("retry-after")), (429, Some("60")));
    assert_eq!(got.json()["error"], "slow");
    // The first is left alone, and the second has not lost its turn for good.
    rig.upstream.always(whole("200 OK", "", WHOLE[1].2.as_bytes()));
    assert_eq!(chat(&rig, &["lab"]).await.status, 200);
    assert_eq!(callers(&rig), ["lab.a", "lab.b", "lab.b"]);
}

#[tokio::test]
async fn an_account_without_budget_is_passed_over() {
    let none = Limits::default();
    let rig = impatient(&[("lab.a", none), ("lab.b", none)]).await;
    rig.upstream.always(whole("200 OK", "", WHOLE[1].2.as_bytes()));
    let rule = Rule::hard(ScopeKind::Account, Window::Day, Unit::Requests, 1).named("lab.a");
    let token = rig.token(grant_of_lab().with_rules([rule]));
    for _ in 0..4 {
        assert_eq!(rig.post_with(&token, CHAT, WHOLE[1].1).await.status, 200);
    }
    assert_eq!(callers(&rig), ["lab.a", "lab.b", "lab.b", "lab.b"]);
}

fn grant_of_lab() -> orchestrator_gateway::front::Grant {
    let mut granted = grant();
    granted.accounts = vec![name("lab")];
    granted
}

#[tokio::test]
async fn a_long_conversation_stays_with_its_account() {
    let none = Limits::default();
    let rig = impatient(&[("lab.a", none), ("lab.b", none)]).await;
    rig.upstream.always(whole("200 OK", "", WHOLE[1].2.as_bytes()));
    let token = rig.token(grant_of_lab());
    let mut bodies: Vec<String> = ["one", "two"]
        .iter()
        .map(|text| format!(r#"{{"model":"m","messages":["{}"#, format!("{text} ").repeat(2_000)))
        .collect();
    for _ in 0..3 {
        for body in &mut bodies {
            body.push_str(r#"","more"#);
            let whole = format!(r#"{body}"]}}"#);
            assert_eq!(rig.post_with(&token, CHAT, &whole).await.status, 200);
        }
    }
    assert_eq!(callers(&rig), ["lab.a", "lab.b", "lab.a", "lab.b", "lab.a", "lab.b"]);
}
