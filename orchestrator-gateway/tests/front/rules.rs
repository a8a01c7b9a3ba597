//! Rules in the place of models: which model is asked, with which bytes, and which after it.

use crate::{
    answers::{CHAT, COST, GEMINI, MESSAGES, RESPONSES, STREAMS, WHOLE},
    client::{Answer, Open},
    rig::{KEY, Rig, budget, grant, name},
    upstream::{Step, Upstream, piece, stream, stream_head, whole},
};
use orchestrator_core::{
    id::{AttemptNumber, TaskName},
    port::CallState,
    route::{ModelClass, Route, RouteModel, RouteOrder},
};
use orchestrator_gateway::{
    ProviderConfig, ProviderKind, SecretString,
    front::{FrontEvent, FrontLimits, Grant, Routing, Upstream as Account},
};
use std::time::Duration;

const PROVIDERS: [(&str, ProviderKind); 5] = [
    ("claude", ProviderKind::Anthropic),
    ("claude-too", ProviderKind::Anthropic),
    ("chat", ProviderKind::OpenAiChat),
    ("responses", ProviderKind::OpenAiResponses),
    ("google", ProviderKind::Gemini),
];

/// A front that waits for nothing, before an account of each of [`PROVIDERS`].
async fn rig() -> Rig {
    let upstream = Upstream::start().await;
    let mut limits = FrontLimits::default();
    limits.wait = Duration::ZERO;
    let accounts = PROVIDERS.map(|(account, kind)| {
        let config = ProviderConfig::new(name(account), kind)
            .with_base_url(format!("http://{}", upstream.address))
            .with_key(SecretString::new(KEY));
        Account::of(&config).unwrap()
    });
    Rig::of(upstream, limits, accounts).await
}

fn route(rule: &str, models: &[&str]) -> Route {
    let model = |text: &&str| {
        let (provider, model) = text.split_once('/').unwrap();
        RouteModel::new(name(provider), model)
    };
    let models = models.iter().map(model).collect();
    Route { rule: rule.into(), order: RouteOrder::Fixed, models, why: "as listed".into() }
}

/// A grant of every account and of `models`, with rule `cheap` for `list`.
fn cheap(models: &[&str], list: &[&str]) -> Grant {
    let mut granted = grant();
    granted.accounts = PROVIDERS.iter().map(|(account, _)| name(account)).collect();
    granted.models = models.iter().map(|model| (*model).to_owned()).collect();
    granted.with_routes([route("cheap", list)])
}

/// The same request for another model.
fn asking(body: &str, model: &str) -> String {
    body.replacen("\"m\"", &format!("\"{model}\""), 1)
}

async fn ask(rig: &Rig, granted: Grant, path: &str, body: &str) -> Answer {
    let token = rig.token(granted);
    rig.post_with(&token, path, body).await
}

fn routings(events: &[FrontEvent]) -> Vec<&Routing> {
    let routed = events.iter().filter_map(|event| match event {
        FrontEvent::Routed { routing, .. } => Some(&**routing),
        _ => None,
    });
    routed.collect()
}

const TWO: [&str; 2] = ["claude/n", "claude-too/m"];

#[tokio::test]
async fn the_model_stands_in_the_place_of_the_rule_and_nothing_else_changes() {
    let rig = rig().await;
    let gemini = GEMINI.replace("/m:", "/cheap:");
    let paths = [MESSAGES, CHAT, RESPONSES, &gemini];
    let list = ["google/n", "chat/n", "responses/n", "claude/n"];
    for ((_, body, answer), path) in WHOLE.into_iter().zip(paths) {
        rig.upstream.next(whole("200 OK", "", answer.as_bytes()));
        let got = ask(&rig, cheap(&["n"], &list), path, &asking(body, "cheap")).await;
        assert_eq!((got.status, &got.body[..]), (200, answer.as_bytes()), "{path}");
        assert_eq!(got.header("x-orchestrator-rule"), Some("cheap"));
        assert_eq!(got.header("x-orchestrator-failed"), None);
    }
    let seen = rig.upstream.seen();
    for (seen, (_, body, _)) in seen.iter().zip(WHOLE) {
        assert_eq!(seen.body, asking(body, "n").as_bytes(), "{}", seen.head);
    }
    assert!(seen[3].head.starts_with("POST /v1beta/models/n:generateContent"), "{}", seen[3].head);
    let books = rig.stop().await;
    // The price is that of the model that was asked.
    assert_eq!(books.used.usd, 4 * 2 * COST);
    assert!(books.calls.iter().all(|call| call.payer.model == "n"), "{:?}", books.calls);
    let told = routings(&books.events);
    let models: Vec<String> = told.iter().map(|routing| routing.model.to_string()).collect();
    assert_eq!(models, ["claude/n", "chat/n", "responses/n", "google/n"]);
    assert!(told.iter().all(|it| it.is_answered && it.rule.as_deref() == Some("cheap")));
}

#[tokio::test]
async fn a_failed_model_gives_way_to_the_next_before_anything_has_passed() {
    let (path, body, answer) = STREAMS[0];
    for (refusal, class) in [
        (whole("529 Busy", "", b"{}"), "overloaded"),
        (whole("500 Oops", "", b"{}"), "transient"),
        (whole("429 Slow", "retry-after: 60\r\n", b"{}"), "rate_limited"),
        (whole("429 No", "", br#"{"error":{"type":"usage_limit_reached"}}"#), "quota_exhausted"),
        (whole("402 Pay", "", b"{}"), "billing"),
        (
            whole("404 No", "", br#"{"error":{"type":"not_found_error","message":"model: n"}}"#),
            "invalid_request",
        ),
    ] {
        let rig = rig().await;
        rig.upstream.next(refusal);
        rig.upstream.next(stream(answer.as_bytes().chunks(50)));
        let got = ask(&rig, cheap(&["*"], &TWO), path, &asking(body, "cheap")).await;
        assert_eq!((got.status, &got.body[..]), (200, answer.as_bytes()), "{class}");
        assert_eq!(got.header("x-orchestrator-model"), Some("claude-too/m"));
        let failed = format!("claude/n {class}");
        assert_eq!(got.header("x-orchestrator-failed"), Some(&*failed));
        let seen = rig.upstream.seen();
        for (seen, model) in seen.iter().zip(["n", "m"]) {
            assert_eq!(seen.body, asking(body, model).as_bytes());
        }
        let books = rig.stop().await;
        let states: Vec<_> =
            books.calls.iter().map(|call| (call.payer.model.as_str(), call.state)).collect();
        assert!(states.contains(&("n", CallState::Released)), "{states:?}");
        assert!(states.contains(&("m", CallState::Settled)), "{states:?}");
        assert_eq!(books.used.usd, COST);
        let told = routings(&books.events);
        assert_eq!(told.len(), 1);
        let notes = told[0].notes();
        assert!(notes[0].contains("`claude-too/m` is asked instead"), "{notes:?}");
    }
}

#[tokio::test]
async fn what_no_other_model_would_do_better_stays_as_it_is() {
    let (path, body, _) = WHOLE[0];
    for (refusal, status) in [
        (whole("400 Bad", "", b"{}"), 400),
        (whole("401 No", "", b"{}"), 401),
        (whole("429 Slow", "retry-after: 5\r\n", b"{}"), 429),
        (whole("413 Long", "", b"{}"), 413),
    ] {
        let rig = rig().await;
        rig.upstream.next(refusal);
        let got = ask(&rig, cheap(&["*"], &TWO), path, &asking(body, "cheap")).await;
        assert_eq!((got.status, &got.body[..]), (status, &b"{}"[..]));
        assert_eq!(rig.upstream.seen().len(), 1, "{status}");
    }
    // What has begun to pass breaks off where it broke off.
    let rig = rig().await;
    rig.upstream.next(vec![stream_head(), piece(b"data: x\n\n"), Step::Close]);
    let got = ask(&rig, cheap(&["*"], &TWO), path, &asking(body, "cheap")).await;
    assert_eq!((got.is_whole, &got.body[..]), (false, &b"data: x\n\n"[..]));
    assert_eq!(rig.upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_model_whose_breaker_is_open_is_passed_over() {
    let rig = rig().await;
    let (path, body, answer) = WHOLE[0];
    for _ in 0..5 {
        rig.upstream.next(whole("500 Oops", "", b"{}"));
        ask(&rig, cheap(&["*"], &["claude/n"]), path, &asking(body, "cheap")).await;
    }
    rig.upstream.next(whole("200 OK", "", answer.as_bytes()));
    let got = ask(&rig, cheap(&["*"], &TWO), path, &asking(body, "cheap")).await;
    assert_eq!(
        (got.status, got.header("x-orchestrator-failed")),
        (200, Some("claude/n transient"))
    );
    assert_eq!(rig.upstream.seen().len(), 6, "the one that rests was not asked");
    // Alone, it says that it rests.
    let got = ask(&rig, cheap(&["*"], &["claude/n"]), path, &asking(body, "cheap")).await;
    assert_eq!((got.status, got.header("retry-after")), (503, Some("30")));
}

#[tokio::test]
async fn when_all_fail_the_one_that_comes_back_soonest_speaks() {
    let rig = rig().await;
    let (path, body, _) = WHOLE[0];
    rig.upstream.next(whole("429 Slow", "retry-after: 60\r\n", br#"{"first":1}"#));
    rig.upstream.next(whole("402 Pay", "", br#"{"second":1}"#));
    let got = ask(&rig, cheap(&["*"], &TWO), path, &asking(body, "cheap")).await;
    assert_eq!((got.status, got.header("retry-after")), (429, Some("60")));
    assert_eq!(got.json()["first"], 1);
    let failed = "claude/n rate_limited, claude-too/m billing";
    assert_eq!(got.header("x-orchestrator-failed"), Some(failed));
    assert_eq!(got.header("x-orchestrator-model"), Some("claude/n"), "whose words these are");
    let books = rig.stop().await;
    let told = routings(&books.events);
    assert!(!told[0].is_answered && told[0].failed.len() == 2, "{told:?}");
    assert_eq!(books.used.usd, 0);
}

#[tokio::test]
async fn models_of_another_form_or_beyond_the_token_are_left_out_and_said() {
    let rig = rig().await;
    let granted = || {
        let mut granted = cheap(&["m"], &["chat/m", "claude/n", "nobody/m", "claude-too/m"]);
        granted.accounts.retain(|account| account.as_str() != "claude-too");
        granted
    };
    let gemini = GEMINI.replace("/m:", "/cheap:");
    for (path, body, code) in [
        (MESSAGES, WHOLE[0].1, ("/error/type", "not_found_error")),
        (RESPONSES, WHOLE[2].1, ("/error/code", "model_not_found")),
        (&gemini, WHOLE[3].1, ("/error/status", "NOT_FOUND")),
    ] {
        let got = ask(&rig, granted(), path, &asking(body, "cheap")).await;
        assert_eq!((got.status, got.header("x-should-retry")), (404, Some("false")), "{path}");
        assert_eq!(got.json().pointer(code.0).unwrap(), code.1);
        let told = got.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains("ORC-0563"), "{told}");
        for part in [
            "`chat/m` (its provider speaks another form)",
            "`nobody/m` (its provider cannot be used)",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let is_messages = path == MESSAGES;
        assert_eq!(told.contains("`claude/n` (this token may not use it)"), is_messages, "{told}");
        let other = "`claude-too/m` (this token may not use its provider)";
        assert_eq!(told.contains(other), is_messages, "{told}");
    }
    assert!(rig.upstream.seen().is_empty());
    // The one that is left is asked, though others stand before it.
    rig.upstream.next(whole("200 OK", "", WHOLE[1].2.as_bytes()));
    let got = ask(&rig, granted(), CHAT, &asking(WHOLE[1].1, "cheap")).await;
    assert_eq!((got.status, got.header("x-orchestrator-model")), (200, Some("chat/m")));
    // Whoever may use the rule may use what it comes to.
    rig.upstream.next(whole("200 OK", "", WHOLE[0].2.as_bytes()));
    let got = ask(&rig, cheap(&["cheap"], &TWO), MESSAGES, &asking(WHOLE[0].1, "cheap")).await;
    assert_eq!((got.status, got.header("x-orchestrator-model")), (200, Some("claude/n")));
    let got = ask(&rig, cheap(&["cheap"], &TWO), MESSAGES, &asking(WHOLE[0].1, "n")).await;
    assert_eq!(got.status, 403, "but not by its own name");
}

#[tokio::test]
async fn a_budget_refuses_by_the_price_of_the_chosen_model() {
    let rig = rig().await;
    rig.upstream.always(whole("200 OK", "", WHOLE[0].2.as_bytes()));
    let (path, body) = (MESSAGES, asking(WHOLE[0].1, "cheap"));
    // Some 100 tokens in and 100 out: $0.0006 of `m`, and $0.0012 of `n`.
    let within = |list: &[&str]| cheap(&["*"], list).with_rules(budget(1_000));
    assert_eq!(ask(&rig, within(&TWO), path, &body).await.status, 402);
    let unknown = ask(&rig, within(&["claude/unheard-of", "claude/m"]), path, &body).await;
    assert_eq!(unknown.status, 402, "a budget does not choose another model");
    assert_eq!(rig.upstream.seen().len(), 0);
    assert_eq!(ask(&rig, within(&["claude/m"]), path, &body).await.status, 200);
}

#[tokio::test]
async fn the_models_of_an_agents_rule_take_over_for_one_that_is_named_itself() {
    let (path, body, answer) = WHOLE[0];
    let chained = |models: &[&str]| {
        cheap(models, &["claude/l", "claude/n", "claude-too/m"]).with_chain("cheap")
    };
    let rig = rig().await;
    rig.upstream.next(whole("529 Busy", "", b"{}"));
    rig.upstream.next(whole("200 OK", "", answer.as_bytes()));
    let got = ask(&rig, chained(&["*"]), path, &asking(body, "n")).await;
    assert_eq!((got.status, got.header("x-orchestrator-rule")), (200, None));
    assert_eq!(got.header("x-orchestrator-model"), Some("claude-too/m"));
    // Nothing is said where nothing changed, and what the token may not use does not take over.
    rig.upstream.next(whole("200 OK", "", answer.as_bytes()));
    let got = ask(&rig, chained(&["*"]), path, &asking(body, "n")).await;
    assert_eq!((got.status, got.header("x-orchestrator-model")), (200, None));
    rig.upstream.next(whole("529 Busy", "", b"{}"));
    assert_eq!(ask(&rig, chained(&["n"]), path, &asking(body, "n")).await.status, 529);
    let asked: Vec<_> = rig.upstream.seen().into_iter().map(|seen| seen.body).collect();
    let expected = ["n", "m", "n", "n"].map(|model| asking(body, model).into_bytes());
    assert_eq!(asked, expected);
    assert_eq!(routings(&rig.stop().await.events).len(), 1);
}

#[tokio::test]
async fn an_attempt_goes_on_with_the_model_that_answered_and_the_next_begins_with_the_first() {
    let rig = rig().await;
    let (path, body, answer) = WHOLE[0];
    let attempt = |number: u32| {
        let mut granted = cheap(&["*"], &TWO);
        granted.payer.task = Some(TaskName::new("task").unwrap());
        granted.payer.attempt = Some(AttemptNumber(number));
        granted
    };
    rig.upstream.next(whole("529 Busy", "", b"{}"));
    rig.upstream.always(whole("200 OK", "", answer.as_bytes()));
    let body = asking(body, "cheap");
    let first = rig.attempts.open(attempt(1)).unwrap();
    let token = first.token().expose().to_owned();
    for _ in 0..2 {
        let got = rig.post_with(&token, path, &body).await;
        assert_eq!(got.header("x-orchestrator-model"), Some("claude-too/m"));
    }
    let told = first.routed();
    let failed: Vec<usize> = told.iter().map(|routing| routing.failed.len()).collect();
    assert_eq!(failed, [1, 0], "the one that failed is not asked again");
    let passed = first.close(Duration::from_secs(30)).await;
    assert_eq!(passed.spend[0].model, "m");
    assert!(passed.routed.is_empty(), "it was told");
    let second = rig.attempts.open(attempt(2)).unwrap();
    let got = rig.post_with(second.token().expose(), path, &body).await;
    assert_eq!(got.header("x-orchestrator-model"), Some("claude/n"));
    assert_eq!(second.close(Duration::from_secs(30)).await.routed.len(), 1);
}

#[tokio::test]
async fn a_rule_by_the_work_goes_by_what_the_request_shows_of_it() {
    let rig = rig().await;
    let (path, _, answer) = WHOLE[0];
    rig.upstream.always(whole("200 OK", "", answer.as_bytes()));
    let mut auto = route("auto", &["claude/m", "claude/n", "claude/l"]);
    auto.order = RouteOrder::ByWork;
    for (model, class) in auto.models.iter_mut().zip(ModelClass::ALL) {
        model.class = Some(class);
    }
    for (bytes, tools, model) in
        [(10, "", "claude/m"), (60_000, "", "claude/n"), (160_000, "{},{},{}", "claude/l")]
    {
        let granted = cheap(&["*"], &[]).with_routes([auto.clone()]);
        let text = "x".repeat(bytes);
        let body =
            format!(r#"{{"model":"auto","max_tokens":9,"messages":["{text}"],"tools":[{tools}]}}"#);
        let got = ask(&rig, granted, path, &body).await;
        assert_eq!(got.header("x-orchestrator-model"), Some(model), "{bytes}");
    }
}

#[tokio::test]
async fn tokens_are_counted_by_the_first_model_of_a_rule() {
    let rig = rig().await;
    rig.upstream.always(whole("200 OK", "", br#"{"input_tokens":9}"#));
    let path = "/anthropic/v1/messages/count_tokens";
    let got = ask(&rig, cheap(&["*"], &TWO), path, &asking(WHOLE[0].1, "cheap")).await;
    assert_eq!((got.status, got.header("x-orchestrator-model")), (200, Some("claude/n")));
    let path = "/gemini/v1beta/models/cheap:countTokens";
    ask(&rig, cheap(&["*"], &["google/m"]), path, "{}").await;
    let seen = rig.upstream.seen();
    assert_eq!(seen[0].body, asking(WHOLE[0].1, "n").as_bytes());
    assert!(seen[1].head.starts_with("POST /v1beta/models/m:countTokens"), "{}", seen[1].head);
}

#[tokio::test]
async fn rules_are_in_the_list_of_models() {
    let rig = rig().await;
    let get = async |path: &str, granted: Grant| {
        let token = rig.token(granted);
        let header = format!("Bearer {token}");
        let headers = [("authorization", header.as_str())];
        Open::send(rig.address, &format!("GET {path}"), &headers, b"").await.finish().await
    };
    let list = br#"{ "object":"list", "data":[{"id":"gpt-x"}] }"#;
    rig.upstream.always(whole("200 OK", "content-type: application/json\r\n", list));
    let ids = |answer: &Answer| -> Vec<String> {
        assert!(answer.is_whole && answer.status == 200, "{answer:?}");
        let list = answer.json();
        let data = list["data"].as_array().unwrap().iter();
        data.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let got = get("/openai/v1/models", cheap(&["*"], &["chat/m"])).await;
    assert_eq!(ids(&got), ["gpt-x", "cheap"]);
    assert!(got.body.starts_with(br#"{ "object":"list", "data":[{"id":"gpt-x"},"#));
    let got = get("/openai/v1/models", cheap(&["*"], &["claude/m"])).await;
    assert_eq!((&got.body[..], ids(&got).len()), (&list[..], 1), "it has no model here");
    let got = get("/openai/v1/models/cheap", cheap(&["*"], &["chat/m"])).await;
    assert_eq!((got.status, &got.json()["id"]), (200, &"cheap".into()));
    let got = get("/openai/v1/models/cheap", cheap(&["*"], &["claude/m"])).await;
    assert_eq!((got.status, &got.json()["error"]["code"]), (404, &"model_not_found".into()));
    assert_eq!(rig.upstream.seen().len(), 2);
    // What is no list passes as it is.
    rig.upstream.always(whole("200 OK", "", b"<html>"));
    let got = get("/openai/v1/models", cheap(&["*"], &["chat/m"])).await;
    assert_eq!((got.status, &got.body[..]), (200, &b"<html>"[..]));
}
