//! Several accounts of a provider, and what providers say of their limits.

use crate::rig::{ALL, NOW, model, name};
use orchestrator_core::{
    engine::SystemClock,
    error::{ErrorClass, Failure},
    id::{AttemptNumber, OwnerId, RunId, TaskName},
    ledger::{Payer, Rule, ScopeKind, Unit, Window},
    memory::MemoryStore,
};
use orchestrator_gateway::{
    Client, Completion, Delta, Gateway, KeyCheck, Limits, ProviderConfig, ProviderKind, Request,
    SecretString, budget::Budget, prices::PriceTable,
};
use orchestrator_testkit::model_server::{ModelRequest, ModelServer, Reply};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

struct Lab {
    server: ModelServer,
    gateway: Gateway,
}

/// Whose key a request has.
fn has_key(request: &ModelRequest, account: &str) -> bool {
    request.headers.iter().any(|(_, value)| value.ends_with(&format!("key-of-{account}")))
}

impl Lab {
    /// Accounts `lab.NAME` of `kind`, each with a key of its own, at one server.
    fn new(kind: ProviderKind, accounts: &[&str], limits: Limits) -> Self {
        let server = ModelServer::start().unwrap();
        let configs = accounts.iter().map(|account| {
            ProviderConfig::new(name(&format!("lab.{account}")), kind)
                .with_base_url(server.url())
                .with_key(SecretString::new(format!("key-of-{account}")))
                .with_limits(limits)
        });
        let gateway = Gateway::new(configs, PriceTable::built_in(), Client::new()).unwrap();
        Self { server, gateway }
    }

    fn chat(accounts: &[&str]) -> Self {
        Self::new(ProviderKind::OpenAiChat, accounts, Limits::default())
    }

    /// Answers `reply` to the key of `account`.
    fn when(&self, account: &str, reply: Reply) {
        let account = account.to_owned();
        self.server.when_request(move |request| has_key(request, &account), reply);
    }

    async fn ask(&self, payer: &Payer) -> (Result<Completion, Failure>, Vec<Delta>) {
        let request = Request::new("gpt-4o", "hello").with_max_tokens(100);
        let mut deltas = Vec::new();
        let result =
            self.gateway.complete(payer, &request, &|| NOW, &mut |delta| deltas.push(delta)).await;
        (result, deltas)
    }

    /// Asks for the provider, and says which account answered.
    async fn answered(&self) -> String {
        let completion = self.ask(&Payer::new(name("lab"), "")).await.0.unwrap();
        completion.spend.provider.to_string()
    }

    async fn failure(&self) -> Failure {
        self.ask(&Payer::new(name("lab"), "")).await.0.unwrap_err()
    }

    /// Whose keys the requests had.
    fn callers(&self) -> Vec<&'static str> {
        let account = |request: &ModelRequest| {
            ["a", "b", "c"].into_iter().find(|account| has_key(request, account)).unwrap()
        };
        self.server.requests().iter().map(account).collect()
    }
}

#[tokio::test]
async fn what_one_account_refuses_the_next_does_at_once_and_it_is_told() {
    let kinds = [
        ProviderKind::Anthropic,
        ProviderKind::OpenAiChat,
        ProviderKind::OpenAiResponses,
        ProviderKind::Gemini,
    ];
    for (kind, protocol) in kinds.into_iter().zip(ALL) {
        for (status, error) in [
            (429, "rate_limit_error"),
            (529, "overloaded_error"),
            (401, "authentication_error"),
            (403, "permission_error"),
            (402, "billing_error"),
            (500, "api_error"),
        ] {
            let lab = Lab::new(kind, &["a", "b"], Limits::default());
            lab.when("a", Reply::error(status, error, "not now"));
            lab.when("b", Reply::text("done"));
            let request = Request::new(model(protocol), "hello").with_max_tokens(100);
            let mut deltas = Vec::new();
            let payer = Payer::new(name("lab"), "");
            let completion = lab
                .gateway
                .complete(&payer, &request, &|| NOW, &mut |delta| deltas.push(delta))
                .await
                .unwrap();
            assert_eq!((completion.text.as_str(), completion.spend.requests), ("done", 1));
            assert_eq!(completion.spend.provider, name("lab.b"), "{kind} {status}");
            assert_eq!(lab.callers(), ["a", "b"], "{kind} {status}");
            let accounts: Vec<_> = deltas
                .iter()
                .filter_map(|delta| match delta {
                    Delta::Account(account) => Some(account.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!(accounts, ["lab.a", "lab.b"]);
            let told = deltas.iter().find_map(|delta| match delta {
                Delta::Warning(text) => Some(text.as_str()),
                _ => None,
            });
            let told = told.unwrap();
            assert!(told.contains("`lab.a`") && told.contains("another account"), "{told}");
        }
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_reached_is_passed_over() {
    let lab = Lab::chat(&["a"]);
    lab.server.otherwise(Reply::text("done"));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let configs = [("a", nowhere), ("b", lab.server.url())].map(|(account, url)| {
        ProviderConfig::new(name(&format!("lab.{account}")), ProviderKind::OpenAiChat)
            .with_base_url(url)
            .with_key(SecretString::new(format!("key-of-{account}")))
    });
    let gateway = Gateway::new(configs, PriceTable::built_in(), Client::new()).unwrap();
    let lab = Lab { gateway, ..lab };
    assert_eq!(lab.answered().await, "lab.b");
}

#[tokio::test]
async fn what_may_have_cost_something_or_is_the_requests_fault_stays() {
    let check = async |reply: Reply, class: ErrorClass| {
        let lab = Lab::chat(&["a", "b"]);
        lab.server.otherwise(reply);
        assert_eq!(lab.failure().await.class, class);
        assert_eq!(lab.callers(), ["a"], "{class}");
    };
    check(Reply::error(400, "invalid_request_error", "no"), ErrorClass::InvalidRequest).await;
    check(Reply::error(413, "request_too_large", "no"), ErrorClass::ContextOverflow).await;
    check(Reply::text("one two").cut_after(2), ErrorClass::Transient).await;
    let late = Reply::text("one two").failing_after(1, "rate_limit_exceeded", "slow down");
    check(late, ErrorClass::RateLimited).await;
}

#[tokio::test]
async fn an_attempt_stays_with_its_account_and_others_are_shared() {
    let lab = Lab::chat(&["a", "b", "c"]);
    lab.server.otherwise(Reply::text("done"));
    for _ in 0..3 {
        lab.answered().await;
    }
    assert_eq!(lab.callers(), ["a", "b", "c"]);
    let attempt = |task: &str, number: u32| {
        let mut payer = Payer::new(name("lab"), "");
        payer.run = Some(RunId::new("r_1").unwrap());
        payer.task = Some(TaskName::new(task).unwrap());
        payer.attempt = Some(AttemptNumber(number));
        payer
    };
    let payers = [attempt("x", 1), attempt("y", 1)];
    for _ in 0..3 {
        for payer in &payers {
            lab.ask(payer).await.0.unwrap();
        }
    }
    assert_eq!(lab.callers()[3..], ["a", "b", "a", "b", "a", "b"]);
    // Its account refuses it: it goes on with another, and stays there.
    lab.when("a", Reply::error(401, "authentication_error", "revoked"));
    for _ in 0..2 {
        lab.ask(&payers[0]).await.0.unwrap();
    }
    assert_eq!(lab.callers()[9..], ["a", "c", "c"]);
    // One account alone can be asked for, too.
    lab.ask(&Payer::new(name("lab.b"), "")).await.0.unwrap();
    assert_eq!(lab.callers()[12..], ["b"]);
}

#[tokio::test]
async fn nobody_asks_before_the_time_that_an_account_told() {
    let lab = Lab::chat(&["a", "b"]);
    lab.when("a", Reply::error(429, "rate_limit_error", "slow").header("retry-after", "3600"));
    lab.when("b", Reply::text("done"));
    for _ in 0..4 {
        assert_eq!(lab.answered().await, "lab.b");
    }
    assert_eq!(lab.callers(), ["a", "b", "b", "b", "b"]);
    let alone = Lab::chat(&["a"]);
    alone.when("a", Reply::error(429, "rate_limit_error", "slow").header("retry-after", "3600"));
    let at = Some(NOW.after(Duration::from_secs(3_600)));
    for _ in 0..3 {
        let failure = alone.failure().await;
        assert_eq!((failure.class, failure.retry_at), (ErrorClass::RateLimited, at));
    }
    assert_eq!(alone.callers(), ["a"]);
    // When all wait, the time is that of the first that comes back.
    let both = Lab::chat(&["a", "b"]);
    for (account, seconds) in [("a", "3600"), ("b", "120")] {
        both.when(account, Reply::error(429, "x", "slow").header("retry-after", seconds));
    }
    let at = Some(NOW.after(Duration::from_secs(120)));
    for _ in 0..2 {
        assert_eq!(both.failure().await.retry_at, at);
    }
    assert_eq!(both.callers(), ["a", "b"]);
}

#[tokio::test]
async fn what_a_good_answer_says_is_left_is_kept_to() {
    let told = |reply: Reply| {
        reply
            .header("x-ratelimit-limit-requests", "60")
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "2m0s")
    };
    let lab = Lab::chat(&["a", "b"]);
    lab.when("a", told(Reply::text("done")));
    lab.when("b", Reply::text("done"));
    for _ in 0..3 {
        lab.answered().await;
    }
    assert_eq!(lab.callers(), ["a", "b", "b"]);
    let alone = Lab::chat(&["a"]);
    alone.server.otherwise(told(Reply::text("done")));
    alone.answered().await;
    let failure = alone.failure().await;
    assert_eq!(failure.class, ErrorClass::RateLimited);
    assert_eq!(failure.retry_at, Some(NOW.after(Duration::from_secs(120))));
    assert!(failure.message.contains("by its own word"), "{failure}");
    assert_eq!(alone.callers(), ["a"]);
}

#[tokio::test]
async fn budgets_and_limits_are_of_each_account() {
    let one = Limits { requests_per_minute: NonZeroU32::new(1), ..Limits::default() };
    let lab = Lab::new(ProviderKind::OpenAiChat, &["a", "b", "c"], one);
    lab.server.otherwise(Reply::text("done"));
    for _ in 0..3 {
        lab.answered().await;
    }
    assert_eq!(lab.callers(), ["a", "b", "c"]);
    let lab = Lab::chat(&["a", "b"]);
    lab.server.otherwise(Reply::text("done"));
    let rule = |account: &str, most| {
        Rule::hard(ScopeKind::Account, Window::Total, Unit::Requests, most).named(account)
    };
    let (ledger, owner) = (Arc::new(MemoryStore::default()), OwnerId::new("test").unwrap());
    let rules = [rule("lab.a", 1), rule("lab.b", 2)];
    let budget = Budget::new(ledger, rules, owner, Arc::new(SystemClock));
    let lab = Lab { gateway: lab.gateway.with_budget(budget), server: lab.server };
    for _ in 0..3 {
        lab.answered().await;
    }
    assert_eq!(lab.callers(), ["a", "b", "b"]);
    let failure = lab.failure().await;
    assert_eq!(failure.class, ErrorClass::OverBudget, "{failure}");
    assert_eq!(lab.callers().len(), 3);
}

#[tokio::test]
async fn when_all_refuse_the_one_with_the_most_hope_speaks() {
    let lab = Lab::chat(&["a", "b", "c"]);
    lab.when("a", Reply::error(401, "authentication_error", "no"));
    lab.when("b", Reply::error(429, "rate_limit_error", "slow").header("retry-after", "90"));
    lab.when("c", Reply::error(402, "billing_error", "pay"));
    let failure = lab.failure().await;
    assert_eq!(failure.class, ErrorClass::RateLimited);
    assert_eq!(failure.retry_at, Some(NOW.after(Duration::from_secs(90))));
    assert_eq!(lab.callers(), ["a", "b", "c"], "each once");
}

#[tokio::test]
async fn each_account_is_asked_whether_it_takes_its_key() {
    let lab = Lab::chat(&["a", "b"]);
    lab.server.accept_key("key-of-b");
    let names: Vec<_> = lab.gateway.providers().map(ToString::to_string).collect();
    assert_eq!(names, ["lab.a", "lab.b"]);
    let check = async |account: &str| {
        lab.gateway.check_key(&name(account), Duration::from_secs(5)).await.unwrap()
    };
    assert_eq!(check("lab.a").await, KeyCheck::Refused(401));
    assert_eq!(check("lab.b").await, KeyCheck::Accepted);
}
