//! Calls under a budget: what is held before them, and what the ledger says afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

use async_trait::async_trait;
use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{OwnerId, ProviderName, RunId},
    ledger::{Amounts, Payer, Rule, Scope, ScopeKind, Standing, Sums, Unit, Window},
    memory::MemoryStore,
    money::MicroUsd,
    port::{
        CallRecord, CallState, Clock, HoldId, Ledger, LedgerError, Reserve, Settlement, StoreError,
    },
    time::Timestamp,
    usage::{TokenCount, Usage},
};
use orchestrator_gateway::{
    Client, Completion, Delta, Gateway, ProviderConfig, ProviderKind, Request, SecretString,
    Timeouts, budget::Budget, prices::PriceTable,
};
use orchestrator_testkit::{
    ledger_contract::assert_sums_match_calls,
    model_server::{ModelRequest, ModelServer, Reply},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

const NOW: Timestamp = Timestamp(1_769_851_800_000);
const BOTH: [&str; 2] = ["messages", "chat"];

/// 1,000 tokens in and 100 out: $0.0045 of claude-sonnet-4-5, $0.0035 of gpt-4o.
const USED: Usage = Usage {
    input: TokenCount(1_000),
    cache_read: TokenCount(0),
    cache_write: TokenCount(0),
    output: TokenCount(100),
    reasoning: TokenCount(0),
};

struct Fixed;

#[async_trait]
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
    async fn until(&self, _: Timestamp) {}
}

struct Rig {
    server: ModelServer,
    ledger: Arc<MemoryStore>,
    gateway: Gateway,
}

fn provider(name: &str) -> ProviderName {
    ProviderName::new(name).unwrap()
}

fn owner() -> OwnerId {
    OwnerId::new("gateway-1").unwrap()
}

fn model(name: &str) -> &'static str {
    if name == "messages" { "claude-sonnet-4-5" } else { "gpt-4o" }
}

fn cost(name: &str) -> u64 {
    if name == "messages" { 4_500 } else { 3_500 }
}

fn in_all(usd: u64) -> [Rule; 1] {
    [Rule::hard(ScopeKind::Project, Window::Total, Unit::Usd, usd)]
}

fn bounded(name: &str) -> Request {
    Request::new(model(name), "hello").with_max_tokens(100)
}

fn gateway(server: &ModelServer, ledger: Arc<dyn Ledger>, rules: &[Rule]) -> Gateway {
    let kinds = [("messages", ProviderKind::Anthropic), ("chat", ProviderKind::OpenAiChat)];
    let configs = kinds.map(|(name, kind)| {
        ProviderConfig::new(provider(name), kind)
            .with_base_url(server.url())
            .with_key(SecretString::new("key"))
            .with_timeouts(Timeouts { idle: Duration::from_secs(2), ..Timeouts::default() })
    });
    let budget = Budget::new(ledger, rules, owner(), Arc::new(Fixed));
    let gateway = Gateway::new(configs, PriceTable::built_in(), Client::new()).unwrap();
    gateway.with_budget(budget)
}

impl Rig {
    fn under(rules: &[Rule]) -> Self {
        let server = ModelServer::start().unwrap();
        server.when_request(ModelRequest::wants_count, Reply::error(404, "not_found", "no count"));
        let ledger = Arc::new(MemoryStore::default());
        let gateway = gateway(&server, ledger.clone(), rules);
        Self { server, ledger, gateway }
    }

    async fn ask(
        &self,
        name: &str,
        request: &Request,
    ) -> (Result<Completion, Failure>, Vec<Delta>) {
        let mut deltas = Vec::new();
        let payer = Payer::new(provider(name), "");
        let mut sink = |delta| deltas.push(delta);
        let result = self.gateway.complete(&payer, request, &|| NOW, &mut sink).await;
        (result, deltas)
    }

    /// The requests for an answer.
    fn asked(&self) -> Vec<ModelRequest> {
        self.server.requests().into_iter().filter(|request| !request.wants_count()).collect()
    }

    async fn calls(&self) -> Vec<CallRecord> {
        assert_sums_match_calls(&*self.ledger).await
    }

    async fn project(&self) -> (Sums, Sums) {
        let payer = Payer::new(provider("chat"), "");
        let project = Scope::Project(payer.tenant, payer.project);
        self.ledger.sums(&project, Timestamp(0)).await.unwrap()
    }
}

#[tokio::test]
async fn a_call_is_held_at_its_worst_and_settled_at_its_cost() {
    for name in BOTH {
        let rig = Rig::under(&in_all(10_000_000));
        rig.server.next(Reply::text("hi").usage(USED));
        let (result, _) = rig.ask(name, &bounded(name)).await;
        assert_eq!(result.unwrap().spend.cost, Some(MicroUsd(cost(name))));
        let calls = rig.calls().await;
        let [call] = calls.as_slice() else { panic!("{calls:?}") };
        let spent = Amounts::call(Some(MicroUsd(cost(name))), 1_100);
        assert_eq!((call.state, call.spent, call.at), (CallState::Settled, spent, NOW));
        assert_eq!(call.payer, Payer::new(provider(name), model(name)));
        let worst = call.worst.usd.unwrap();
        // 100 tokens of output at $15 or $10 a million, and the bytes of the prompt with its frame.
        assert!(worst > MicroUsd(1_000) && worst < MicroUsd(10_000), "{worst}");
    }
}

#[tokio::test]
async fn a_call_that_may_exceed_the_budget_is_never_sent() {
    for name in BOTH {
        let rig = Rig::under(&in_all(1_000));
        let (result, _) = rig.ask(name, &bounded(name)).await;
        let failure = result.unwrap_err();
        assert_eq!(failure.class, ErrorClass::OverBudget);
        for told in [model(name), "project `default` may spend $0.001 in all", "$0 spent"] {
            assert!(failure.message.contains(told), "{failure}");
        }
        assert!(rig.asked().is_empty(), "nothing was sent");
        assert!(rig.calls().await.is_empty());
    }
}

#[tokio::test]
async fn calls_stop_when_the_budget_is_spent() {
    for name in BOTH {
        // Each call costs exactly its share, and the sixth does not fit.
        let rig = Rig::under(&in_all(cost(name) * 5 + 1_000));
        rig.server.otherwise(Reply::text("hi").usage(USED));
        let mut passed = 0;
        let failure = loop {
            match rig.ask(name, &bounded(name)).await.0 {
                Ok(_) => passed += 1,
                Err(failure) => break failure,
            }
        };
        assert_eq!((passed, failure.class), (5, ErrorClass::OverBudget), "{failure}");
        let (used, held) = rig.project().await;
        assert_eq!((used.usd, used.requests, held), (cost(name) * 5, 5, Sums::default()));
        assert_eq!(rig.asked().len(), 5);
        rig.calls().await;
    }
}

#[tokio::test]
async fn an_answer_without_a_bound_is_bound_to_what_is_left() {
    for name in BOTH {
        let bound = async |usd: u64| {
            let rig = Rig::under(&in_all(usd));
            rig.server.next(Reply::text("hi").usage(USED));
            rig.ask(name, &Request::new(model(name), "hello")).await.0.unwrap();
            let worst = rig.calls().await[0].worst.usd.unwrap();
            assert!(worst <= MicroUsd(usd), "{worst}");
            rig.asked()[0].body["max_tokens"].as_u64().unwrap()
        };
        assert_eq!(bound(10_000_000).await, 32_000);
        let small = bound(50_000).await;
        assert!((2_000..5_000).contains(&small), "{name}: {small}");
        let rig = Rig::under(&in_all(2_500));
        let (result, _) = rig.ask(name, &Request::new(model(name), "hello")).await;
        assert_eq!(result.unwrap_err().class, ErrorClass::OverBudget, "too little for an answer");
        // Without a limit nobody bounds it but the protocol.
        let rig = Rig::under(&[]);
        rig.server.next(Reply::text("hi").usage(USED));
        rig.ask(name, &Request::new(model(name), "hello")).await.0.unwrap();
        assert_eq!(rig.asked()[0].body["max_tokens"].is_null(), name == "chat");
    }
}

/// The bytes of a prompt would not fit, and its tokens do.
#[tokio::test]
async fn a_prompt_is_counted_before_it_is_refused() {
    let check = async |counted: Reply, passes: bool| {
        let mut rig = Rig::under(&in_all(20_000));
        // One that counts.
        rig.server = ModelServer::start().unwrap();
        rig.gateway = gateway(&rig.server, rig.ledger.clone(), &in_all(20_000));
        rig.server.next(counted);
        rig.server.next(Reply::text("hi").usage(USED));
        // 20,000 bytes are $0.075 as tokens that a cache takes; 3,000 tokens are $0.011.
        let request = Request::new(model("messages"), "word ".repeat(4_000)).with_max_tokens(100);
        let (result, _) = rig.ask("messages", &request).await;
        assert_eq!(result.is_ok(), passes, "{result:?}");
        let counts = rig.server.requests().iter().filter(|request| request.wants_count()).count();
        assert_eq!((counts, rig.asked().len()), (1, usize::from(passes)));
        let held = rig.calls().await.first().map(|call| call.worst.tokens);
        assert_eq!(held, passes.then_some(3_000 + 150 + 20 + 100));
    };
    check(Reply::count(3_000), true).await;
    check(Reply::count(9_000), false).await;
    check(Reply::error(500, "api_error", "sorry"), false).await;
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_under_a_budget_alone() {
    for name in BOTH {
        let unknown = Request::new("nobody-knows", "hello");
        let rig = Rig::under(&in_all(u64::from(u32::MAX)));
        let failure = rig.ask(name, &unknown).await.0.unwrap_err();
        assert_eq!(failure.class, ErrorClass::OverBudget);
        assert!(failure.message.contains("no price is known"), "{failure}");
        assert!(rig.asked().is_empty());
        let tokens = [Rule::hard(ScopeKind::Project, Window::Day, Unit::Tokens, 100_000)];
        let rig = Rig::under(&tokens);
        rig.server.next(Reply::text("hi").usage(USED));
        let completion = rig.ask(name, &unknown).await.0.unwrap();
        assert_eq!(completion.spend.cost, None, "unknown, not zero");
        assert_eq!(rig.calls().await[0].spent, Amounts::call(None, 1_100));
    }
}

#[tokio::test]
async fn an_end_without_usage_counts_at_its_worst_and_a_refusal_not_at_all() {
    for name in BOTH {
        let check = async |reply: Reply, expected: CallState| {
            let rig = Rig::under(&in_all(10_000_000));
            let told = format!("{name}: {reply:?}");
            rig.server.next(reply);
            let _ = rig.ask(name, &bounded(name)).await;
            let calls = rig.calls().await;
            assert_eq!(calls[0].state, expected, "{told}");
            match expected {
                CallState::Assumed => assert_eq!(calls[0].spent, calls[0].worst, "{told}"),
                CallState::Settled => assert_eq!(calls[0].spent.tokens, 1_100, "{told}"),
                _ => assert_eq!(calls[0].spent, Amounts::NONE, "{told}"),
            }
            assert_eq!(rig.project().await.1, Sums::default(), "nothing is held for ever");
        };
        let said = || Reply::text("one two three").usage(USED);
        check(said(), CallState::Settled).await;
        check(said().no_usage(), CallState::Assumed).await;
        check(said().cut_after(2), CallState::Assumed).await;
        check(said().damaged_after(2), CallState::Assumed).await;
        check(said().failing_after(2, "overloaded_error", "sorry"), CallState::Assumed).await;
        for status in [400, 401, 402, 404, 429, 500, 502, 503, 529] {
            check(Reply::error(status, "sorry", "no"), CallState::Released).await;
        }
    }
    let rig = Rig::under(&in_all(10_000_000));
    let Rig { server, ledger, gateway } = rig;
    drop(server);
    let payer = Payer::new(provider("chat"), "");
    let result = gateway.complete(&payer, &bounded("chat"), &|| NOW, &mut |_| {}).await;
    assert_eq!(result.unwrap_err().class, ErrorClass::Transient);
    assert_eq!(assert_sums_match_calls(&*ledger).await[0].state, CallState::Released);
}

/// Two that do not fit together are made one after the other, and neither is refused.
#[tokio::test]
async fn a_call_waits_for_what_others_hold() {
    for (name, budget) in [("messages", 12_000), ("chat", 8_500)] {
        let rig = Rig::under(&in_all(budget));
        rig.server.otherwise(Reply::text("hi").usage(USED));
        let request = Request::new(model(name), "hello").with_max_tokens(400);
        let (one, two) = tokio::join!(rig.ask(name, &request), rig.ask(name, &request));
        let waited = |deltas: &[Delta]| {
            deltas.iter().filter(|delta| matches!(delta, Delta::Waiting(_))).count()
        };
        one.0.unwrap();
        two.0.unwrap();
        assert_eq!(waited(&one.1) + waited(&two.1), 1, "one of them waited, and said so once");
        assert_eq!(rig.project().await.0.usd, 2 * cost(name));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_dropped_is_assumed_and_one_that_waits_is_released() {
    for (name, budget) in [("messages", 8_000), ("chat", 5_500)] {
        let rig = Arc::new(Rig::under(&in_all(budget)));
        rig.server.next(Reply::text("one two").hang_after(2));
        let request = Request::new(model(name), "hello").with_max_tokens(200);
        let ask = |rig: Arc<Rig>, request: Request| {
            tokio::spawn(async move { rig.ask(name, &request).await.0.map(drop) })
        };
        let under_way = ask(rig.clone(), request.clone());
        let waiting = rig.clone();
        tokio::task::spawn_blocking(move || waiting.server.wait_for_requests(1)).await.unwrap();
        // A second one fits only if the first gives something back; then both are dropped.
        let second = ask(rig.clone(), request.with_max_tokens(300));
        tokio::task::yield_now().await;
        under_way.abort();
        assert!(under_way.await.unwrap_err().is_cancelled());
        second.abort();
        let _ = second.await;
        while !rig.project().await.1.is_zero() {
            tokio::task::yield_now().await;
        }
        let states: Vec<_> = rig.calls().await.iter().map(|call| call.state).collect();
        assert_eq!(states, [CallState::Assumed], "{name}");
    }
}

/// A ledger that fails as often as it is told to, having done what it was asked or not.
struct Failing {
    ledger: MemoryStore,
    before: AtomicU32,
    after: AtomicU32,
}

impl Failing {
    fn fails(count: &AtomicU32) -> Result<(), LedgerError> {
        let down = |left: u32| left.checked_sub(1);
        match count.fetch_update(Ordering::AcqRel, Ordering::Acquire, down) {
            Ok(_) => Err(StoreError::Unavailable {
                action: "reserve".into(),
                reason: "the disk is gone".into(),
            }
            .into()),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl Ledger for Failing {
    async fn reserve(&self, request: Arc<Reserve>) -> Result<Vec<Standing>, LedgerError> {
        Self::fails(&self.before)?;
        let done = self.ledger.reserve(request).await;
        Self::fails(&self.after)?;
        done
    }
    async fn settle(&self, hold: &HoldId, end: Settlement) -> Result<(), LedgerError> {
        Self::fails(&self.before)?;
        let done = self.ledger.settle(hold, end).await;
        Self::fails(&self.after)?;
        done
    }
    async fn renew(&self, owner: &OwnerId, expires: Timestamp) -> Result<(), LedgerError> {
        self.ledger.renew(owner, expires).await
    }
    async fn expire(&self, dead: Option<&OwnerId>, now: Timestamp) -> Result<u64, LedgerError> {
        self.ledger.expire(dead, now).await
    }
    async fn restart_window(&self, scope: &Scope, at: Timestamp) -> Result<(), LedgerError> {
        self.ledger.restart_window(scope, at).await
    }
    async fn owners(&self) -> Result<Vec<OwnerId>, LedgerError> {
        self.ledger.owners().await
    }
    async fn standings(
        &self,
        payer: &Payer,
        rules: &[Rule],
        now: Timestamp,
    ) -> Result<Vec<Standing>, LedgerError> {
        self.ledger.standings(payer, rules, now).await
    }
    async fn sums(&self, scope: &Scope, since: Timestamp) -> Result<(Sums, Sums), LedgerError> {
        self.ledger.sums(scope, since).await
    }
    async fn tally(
        &self,
        run: Option<&RunId>,
    ) -> Result<BTreeMap<CallState, (u64, Sums)>, LedgerError> {
        self.ledger.tally(run).await
    }
    async fn calls(
        &self,
        run: Option<&RunId>,
        after: Option<&HoldId>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, LedgerError> {
        self.ledger.calls(run, after, limit).await
    }
}

#[tokio::test]
async fn nothing_is_sent_when_the_ledger_does_not_answer() {
    for (before, after, passes) in
        [(0, 0, true), (2, 0, true), (0, 2, true), (1, 1, true), (3, 0, false), (0, 3, false)]
    {
        let server = ModelServer::start().unwrap();
        server.otherwise(Reply::text("hi").usage(USED));
        let ledger = Arc::new(Failing {
            ledger: MemoryStore::default(),
            before: AtomicU32::new(before),
            after: AtomicU32::new(after),
        });
        let gateway = gateway(&server, ledger.clone(), &in_all(10_000_000));
        let payer = Payer::new(provider("chat"), "");
        let result = gateway.complete(&payer, &bounded("chat"), &|| NOW, &mut |_| {}).await;
        assert_eq!(result.is_ok(), passes, "{before} {after}: {result:?}");
        assert_eq!(server.requests().len(), usize::from(passes), "{before} {after}");
        if let Err(failure) = result {
            assert_eq!(failure.class, ErrorClass::Transient);
            assert!(failure.message.contains("nothing may be spent"), "{failure}");
        }
        // What may have been held is given back.
        loop {
            let calls = assert_sums_match_calls(&ledger.ledger).await;
            if calls.iter().all(|call| call.state != CallState::Held) {
                let spent = calls.iter().filter(|call| call.state == CallState::Settled).count();
                assert_eq!(spent, usize::from(passes));
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// The end of a call is told to the ledger until it takes it.
#[tokio::test]
async fn the_end_of_a_call_is_told_until_the_ledger_has_it() {
    let server = ModelServer::start().unwrap();
    server.otherwise(Reply::text("hi").usage(USED));
    let ledger = Arc::new(Failing {
        ledger: MemoryStore::default(),
        before: AtomicU32::new(0),
        after: AtomicU32::new(0),
    });
    let gateway = gateway(&server, ledger.clone(), &in_all(10_000_000));
    let payer = Payer::new(provider("chat"), "");
    let mut sink = |delta| {
        if delta == Delta::Sent {
            ledger.before.store(2, Ordering::Release);
            ledger.after.store(1, Ordering::Release);
        }
    };
    gateway.complete(&payer, &bounded("chat"), &|| NOW, &mut sink).await.unwrap();
    let calls = assert_sums_match_calls(&ledger.ledger).await;
    assert_eq!((calls[0].state, calls[0].spent.tokens), (CallState::Settled, 1_100));
    assert_eq!(ledger.before.load(Ordering::Acquire), 0);
}

#[tokio::test]
async fn a_budget_warns_before_it_is_spent() {
    let rig = Rig::under(&in_all(cost("chat") * 10));
    rig.server.otherwise(Reply::text("hi").usage(USED));
    let mut warned = Vec::new();
    for call in 1..=9 {
        let (result, deltas) = rig.ask("chat", &bounded("chat")).await;
        result.unwrap();
        let warnings = deltas.into_iter().filter_map(|delta| match delta {
            Delta::Warning(text) => Some((call, text)),
            _ => None,
        });
        warned.extend(warnings);
    }
    let told = |spent: &str, percent: u32| {
        format!(
            "{percent}% of a budget are spent: project `default` may spend $0.035 in all, {spent} spent"
        )
    };
    assert_eq!(warned, [(5, told("$0.0175", 50)), (8, told("$0.028", 80))]);
}

#[tokio::test]
async fn a_window_begins_anew_when_the_providers_own_does() {
    let week = Rule::hard(ScopeKind::Account, Window::Hours(168), Unit::Tokens, 5_000);
    let spent_after = async |rig: &Rig, hours: u64| {
        let at = Timestamp(NOW.0 + hours * 3_600_000);
        let payer = Payer::new(provider("messages"), "");
        let rules = [week.clone()];
        rig.ledger.standings(&payer, &rules, at).await.unwrap()[0].spent()
    };
    for (kind, message, is_quota) in [
        ("rate_limit_error", "you have used up your usage limit", true),
        ("rate_limit_error", "too many requests in a minute", false),
    ] {
        let rig = Rig::under(std::slice::from_ref(&week));
        rig.server.next(Reply::text("hi").usage(USED));
        // The provider's window ends in two hours.
        rig.server.next(Reply::error(429, kind, message).header("retry-after", "7200"));
        rig.ask("messages", &bounded("messages")).await.0.unwrap();
        let failure = rig.ask("messages", &bounded("messages")).await.0.unwrap_err();
        let class = if is_quota { ErrorClass::QuotaExhausted } else { ErrorClass::RateLimited };
        assert_eq!(failure.class, class);
        assert_eq!(spent_after(&rig, 1).await, 1_100, "{message}");
        assert_eq!(spent_after(&rig, 2).await, if is_quota { 0 } else { 1_100 }, "{message}");
    }
}

/// Rules that somebody changes.
struct Changing(std::sync::Mutex<Arc<[Rule]>>);

impl orchestrator_gateway::budget::RuleBook for Changing {
    fn rules(&self) -> Arc<[Rule]> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn limits_that_change_hold_from_the_next_call_on() {
    let rules = Arc::new(Changing(std::sync::Mutex::new(Arc::new(in_all(100)))));
    let ledger = Arc::new(MemoryStore::default());
    let budget = Budget::by(ledger, rules.clone(), owner(), Arc::new(Fixed));
    let (payer, worst) = (Payer::new(provider("chat"), "m"), Amounts::call(Some(MicroUsd(200)), 1));
    assert!(budget.reserve(&payer, worst).await.is_err());
    *rules.0.lock().unwrap() = Arc::new(in_all(300));
    let held = budget.reserve(&payer, worst).await.unwrap();
    *rules.0.lock().unwrap() = Arc::new(in_all(250));
    assert!(budget.reserve(&payer, worst).await.is_err());
    held.settle(Settlement::Released).await;
}
