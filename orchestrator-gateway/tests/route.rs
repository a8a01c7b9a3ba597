//! The router before the gateway: the next model, one call of identical requests, kept answers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use orchestrator_core::{
    error::{ErrorClass, Failure},
    id::{OwnerId, ProjectId, ProviderName},
    ledger::{Payer, Rule, Scope, ScopeKind, Unit, Window},
    memory::{MemoryResponses, MemoryStore},
    money::MicroUsd,
    port::{Clock, Ledger},
    route::RouteModel,
    time::Timestamp,
    usage::{TokenCount, Usage},
};
use orchestrator_gateway::{
    Arguments, Client, Delta, Gateway, Message, Opaque, Part, ProviderConfig, ProviderKind,
    Request, SecretString, ToolCall, WireFormat,
    budget::Budget,
    prices::PriceTable,
    route::{Asking, Joins, Routed, Router, Source},
};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::task::JoinHandle;

const NOW: Timestamp = Timestamp(1_769_851_800_000);

struct Rig {
    server: Arc<ModelServer>,
    router: Router,
}

fn gateway(server: &ModelServer) -> Gateway {
    let kinds = [("one", ProviderKind::Anthropic), ("two", ProviderKind::OpenAiChat)];
    let configs = kinds.map(|(name, kind)| {
        ProviderConfig::new(ProviderName::new(name).unwrap(), kind)
            .with_base_url(server.url())
            .with_key(SecretString::new("key"))
    });
    Gateway::new(configs, PriceTable::built_in(), Client::new()).unwrap()
}

impl Rig {
    fn new() -> Self {
        let server = Arc::new(ModelServer::start().unwrap());
        let router = Router::new(Arc::new(gateway(&server)));
        Self { server, router }
    }

    /// Asks in a task of its own.
    fn ask(&self, question: &Question) -> Asked {
        let (router, question) = (self.router.clone(), question.clone());
        let told: Arc<Mutex<Vec<Delta>>> = Arc::default();
        let sink = told.clone();
        let task = tokio::spawn(async move {
            let asking = Asking {
                payer: &question.payer,
                request: &question.request,
                models: &question.models,
                join: question.join,
                keep: question.keep,
            };
            router.complete(&asking, &|| NOW, &mut |delta| sink.lock().unwrap().push(delta)).await
        });
        Asked { task, told }
    }

    async fn answer(&self, question: &Question) -> Result<Routed, Failure> {
        self.ask(question).end().await.0
    }

    async fn requests(&self, count: usize) {
        let server = self.server.clone();
        tokio::task::spawn_blocking(move || server.wait_for_requests(count)).await.unwrap();
    }

    fn models(&self) -> Vec<String> {
        let requests = self.server.requests();
        let calls = requests.iter().filter(|request| !request.wants_count());
        calls.map(|request| request.model().to_owned()).collect()
    }
}

struct Asked {
    task: JoinHandle<Result<Routed, Failure>>,
    told: Arc<Mutex<Vec<Delta>>>,
}

impl Asked {
    async fn end(self) -> (Result<Routed, Failure>, Vec<Delta>) {
        let result = self.task.await.unwrap();
        (result, self.told.lock().unwrap().clone())
    }

    /// Until it says that it waits for an identical request.
    async fn waits(&self) {
        let waits = |delta: &Delta| matches!(delta, Delta::Waiting(_));
        while !self.told.lock().unwrap().iter().any(waits) {
            tokio::task::yield_now().await;
        }
    }
}

#[derive(Clone)]
struct Question {
    payer: Payer,
    request: Request,
    models: Vec<RouteModel>,
    join: bool,
    keep: Option<Duration>,
}

fn question(models: &[(&str, &str)]) -> Question {
    let models: Vec<RouteModel> = models
        .iter()
        .map(|(provider, model)| RouteModel::new(ProviderName::new(*provider).unwrap(), *model))
        .collect();
    let payer = Payer::new(models[0].provider.clone(), "");
    let request = Request::new(models[0].model.clone(), "hello").with_system("Be kind.");
    Question { payer, request, models, join: true, keep: None }
}

const ONE: &[(&str, &str)] = &[("one", "claude-sonnet-4-5")];
const BOTH: &[(&str, &str)] = &[("one", "claude-sonnet-4-5"), ("two", "gpt-4o")];

fn text(deltas: &[Delta]) -> String {
    let mut text = String::new();
    for delta in deltas {
        match delta {
            Delta::Text(more) => text.push_str(more),
            Delta::StartOver => text.push('|'),
            _ => {}
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identical_requests_make_one_call_and_all_hear_its_answer() {
    let rig = Rig::new();
    rig.server.otherwise(Reply::text("one answer for all"));
    rig.server.hold();
    let first = rig.ask(&question(ONE));
    rig.requests(1).await;
    let others: Vec<Asked> = (0..15).map(|_| rig.ask(&question(ONE))).collect();
    for other in &others {
        other.waits().await;
    }
    rig.server.release();
    let (routed, told) = first.end().await;
    let routed = routed.unwrap();
    assert_eq!((routed.source, text(&told).as_str()), (Source::Called, "one answer for all"));
    assert_eq!(routed.spend.len(), 1);
    for other in others {
        let (joined, told) = other.end().await;
        let joined = joined.unwrap();
        assert_eq!(joined.source, Source::Joined);
        assert_eq!(
            (joined.completion.text.as_str(), text(&told)),
            ("one answer for all", joined.completion.text.clone())
        );
        assert_eq!((joined.spend.len(), joined.completion.spend.requests), (0, 0));
        assert_eq!(joined.completion.spend.cost, Some(MicroUsd::ZERO));
        assert!(!told.contains(&Delta::Sent), "it sent nothing");
    }
    assert_eq!(rig.server.requests().len(), 1);
    // What comes afterwards is a call of its own.
    assert_eq!(rig.answer(&question(ONE)).await.unwrap().source, Source::Called);
    assert_eq!(rig.server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_call_fails_one_of_those_who_wait_makes_it() {
    let rig = Rig::new();
    rig.server.next(Reply::error(529, "overloaded_error", "Overloaded"));
    rig.server.next(Reply::text("the second call"));
    rig.server.hold();
    let first = rig.ask(&question(ONE));
    rig.requests(1).await;
    let others = [rig.ask(&question(ONE)), rig.ask(&question(ONE)), rig.ask(&question(ONE))];
    for other in &others {
        other.waits().await;
    }
    rig.server.release();
    assert_eq!(first.end().await.0.unwrap_err().class, ErrorClass::Overloaded);
    let mut sources = Vec::new();
    for other in others {
        let routed = other.end().await.0.unwrap();
        assert_eq!(routed.completion.text, "the second call");
        sources.push(routed.source == Source::Called);
    }
    assert_eq!(sources.iter().filter(|called| **called).count(), 1, "{sources:?}");
    assert_eq!(rig.server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_caller_goes_away_one_of_those_who_wait_makes_the_call() {
    let rig = Rig::new();
    rig.server.otherwise(Reply::text("still answered"));
    rig.server.hold();
    let first = rig.ask(&question(ONE));
    rig.requests(1).await;
    let (second, third) = (rig.ask(&question(ONE)), rig.ask(&question(ONE)));
    second.waits().await;
    third.waits().await;
    first.task.abort();
    assert!(first.task.await.unwrap_err().is_cancelled());
    rig.requests(2).await;
    rig.server.release();
    for other in [second, third] {
        assert_eq!(other.end().await.0.unwrap().completion.text, "still answered");
    }
    assert_eq!(rig.server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_away_while_waiting_takes_nothing_along() {
    let rig = Rig::new();
    rig.server.otherwise(Reply::text("answered"));
    rig.server.hold();
    let first = rig.ask(&question(ONE));
    rig.requests(1).await;
    let (second, third) = (rig.ask(&question(ONE)), rig.ask(&question(ONE)));
    second.waits().await;
    third.waits().await;
    second.task.abort();
    assert!(second.task.await.is_err());
    rig.server.release();
    assert_eq!(first.end().await.0.unwrap().source, Source::Called);
    assert_eq!(third.end().await.0.unwrap().source, Source::Joined);
    assert_eq!(rig.server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_of_a_call_that_broke_off_do_not_count() {
    let rig = Rig::new();
    rig.server.next(Reply::text("half of it").cut_after(5));
    rig.server.next(Reply::text("all of it"));
    rig.server.hold();
    let first = rig.ask(&question(ONE));
    rig.requests(1).await;
    let other = rig.ask(&question(ONE));
    other.waits().await;
    rig.server.release();
    let (failed, heard) = first.end().await;
    assert_eq!(failed.unwrap_err().class, ErrorClass::Transient);
    assert!(!text(&heard).is_empty());
    let (routed, told) = other.end().await;
    assert_eq!(routed.unwrap().completion.text, "all of it");
    assert_eq!(text(&told), format!("{}|all of it", text(&heard)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_identical_requests_are_joined() {
    let plain = question(ONE);
    let other = |change: fn(&mut Question)| {
        let mut other = plain.clone();
        change(&mut other);
        other
    };
    let others = [
        other(|q| q.models[0].model = "claude-haiku-4-5".into()),
        other(|q| q.request.temperature = Some(0.5)),
        other(|q| q.request.max_tokens = Some(9)),
        other(|q| q.request.messages.push(Message::user("more"))),
        other(|q| q.request.system = None),
        other(|q| q.request.output_schema = Some(Arc::new(json!({ "type": "object" })))),
        other(|q| q.payer.project = ProjectId::new("other").unwrap()),
        other(|q| q.join = false),
    ];
    let rig = Rig::new();
    rig.server.otherwise(Reply::text("{}"));
    rig.server.hold();
    let mut asked = vec![rig.ask(&plain)];
    asked.extend(others.iter().map(|question| rig.ask(question)));
    // Each of them goes out while all the others are under way.
    rig.requests(asked.len()).await;
    rig.server.release();
    for one in asked {
        assert_eq!(one.end().await.0.unwrap().source, Source::Called);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routers_that_share_their_joins_make_one_call() {
    let rig = Rig::new();
    rig.server.otherwise(Reply::text("shared"));
    let joins = Joins::default();
    let rigs = [(); 2].map(|()| Rig {
        server: rig.server.clone(),
        router: Router::new(Arc::new(gateway(&rig.server))).with_joins(joins.clone()),
    });
    rig.server.hold();
    let first = rigs[0].ask(&question(ONE));
    rig.requests(1).await;
    let second = rigs[1].ask(&question(ONE));
    second.waits().await;
    rig.server.release();
    assert_eq!(first.end().await.0.unwrap().source, Source::Called);
    assert_eq!(second.end().await.0.unwrap().source, Source::Joined);
}

/// Whatever the order of failures and departures, each who stays gets an answer, and no call is made
/// while one is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_forgotten_in_a_crowd() {
    let rig = Rig::new();
    // Fewer in a row than open the breaker.
    for _ in 0..3 {
        rig.server.next(Reply::error(503, "api_error", "not now"));
    }
    rig.server.otherwise(Reply::text("at last"));
    rig.server.hold();
    let crowd: Vec<Asked> = (0..40).map(|_| rig.ask(&question(ONE))).collect();
    rig.requests(1).await;
    rig.server.release();
    let (mut failed, mut called, mut joined) = (0, 0, 0);
    for (place, one) in crowd.into_iter().enumerate() {
        if place % 9 == 8 {
            one.task.abort();
            let _ = one.task.await;
            continue;
        }
        match one.end().await.0 {
            Ok(routed) if routed.source == Source::Called => called += 1,
            Ok(_) => joined += 1,
            Err(_) => failed += 1,
        }
    }
    assert!(failed <= 3, "{failed} failed, {called} called, {joined} joined");
    assert_eq!(failed + called + joined, 36);
    assert!(called >= 1);
}

#[tokio::test]
async fn the_next_model_is_told_all_but_what_only_the_first_can_read() {
    let rig = Rig::new();
    rig.server.next(Reply::error(500, "api_error", "oops"));
    rig.server.next(Reply::text("done"));
    let mut asked = question(BOTH);
    let call =
        ToolCall { id: "c1".into(), name: "look".into(), arguments: Arguments::read("{\"a\":1}") };
    let seal = json!({ "type": "thinking", "thinking": "hm", "signature": "sealed" });
    let said = Message::assistant("Let me look.")
        .with(Part::Opaque(Opaque { protocol: WireFormat::Anthropic, value: seal }))
        .with(Part::ToolCall(call.clone()));
    asked.request.messages.extend([said, Message::results([call.result("three")])]);
    let routed = rig.answer(&asked).await.unwrap();
    assert_eq!((routed.place, routed.failed.len()), (1, 1));
    assert_eq!(routed.failed[0].class, ErrorClass::Transient);
    let bodies: Vec<String> =
        rig.server.requests().iter().map(|request| request.body.to_string()).collect();
    for part in ["hello", "Be kind.", "Let me look.", "three"] {
        assert!(bodies.iter().all(|body| body.contains(part)), "{part} in {bodies:?}");
    }
    assert!(bodies[0].contains("sealed") && !bodies[1].contains("sealed"), "{bodies:?}");
}

#[tokio::test]
async fn what_stops_one_model_stops_all_or_none() {
    for (reply, goes_on) in [
        (Reply::error(529, "overloaded_error", "Overloaded"), true),
        (Reply::error(500, "api_error", "oops"), true),
        (Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "60"), true),
        (Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "2"), false),
        (Reply::error(404, "not_found_error", "model: x"), true),
        (Reply::error(400, "invalid_request_error", "unknown model `x`"), true),
        (Reply::error(400, "invalid_request_error", "max_tokens: no"), false),
        (Reply::error(401, "authentication_error", "bad key"), false),
        (Reply::error(400, "invalid_request_error", "prompt is too long: 9 tokens"), false),
    ] {
        let rig = Rig::new();
        rig.server.next(reply.clone());
        rig.server.otherwise(Reply::text("the second"));
        let result = rig.answer(&question(BOTH)).await;
        assert_eq!(result.is_ok(), goes_on, "{reply:?}: {result:?}");
        assert_eq!(rig.models().len(), 1 + usize::from(goes_on), "{reply:?}");
    }
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_goes_to_a_larger_context() {
    let rig = Rig::new();
    rig.server.next(Reply::error(400, "invalid_request_error", "prompt is too long: 9 tokens"));
    rig.server.next(Reply::text("it fits"));
    let mut asked =
        question(&[("one", "small"), ("one", "smaller"), ("two", "unknown"), ("two", "large")]);
    for (model, context) in asked.models.iter_mut().zip([Some(20), Some(10), None, Some(30)]) {
        model.context = context;
    }
    assert_eq!(rig.answer(&asked).await.unwrap().place, 3);
    assert_eq!(rig.models(), ["small", "large"]);
}

#[tokio::test]
async fn when_none_answers_the_failure_that_can_be_waited_for_is_told() {
    let rig = Rig::new();
    rig.server.next(Reply::error(529, "overloaded_error", "Overloaded"));
    rig.server.next(Reply::error(404, "not_found_error", "model: gpt-4o"));
    let failure = rig.answer(&question(BOTH)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Overloaded);
    for part in ["none of 2 models", "one/claude-sonnet-4-5", "two/gpt-4o", "529", "404"] {
        assert!(failure.message.contains(part), "{part} in {failure}");
    }
    // What no model can mend is told as it is.
    rig.server.next(Reply::error(529, "overloaded_error", "Overloaded"));
    rig.server.next(Reply::error(401, "authentication_error", "bad key"));
    let failure = rig.answer(&question(BOTH)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Auth);
}

struct Still;

#[async_trait::async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
    async fn until(&self, _: Timestamp) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn each_model_is_reserved_for_by_itself() {
    let rig = Rig::new();
    let usage = Usage { input: TokenCount(1_000), output: TokenCount(10), ..Usage::default() };
    let ledger: Arc<MemoryStore> = Arc::default();
    let budgeted = |most: u64, owner: &str| {
        let rule = Rule::hard(ScopeKind::Project, Window::Day, Unit::Usd, most);
        let owner = OwnerId::new(owner).unwrap();
        let budget = Budget::new(ledger.clone(), [rule], owner, Arc::new(Still));
        let gateway = gateway(&rig.server).with_budget(budget);
        Rig { server: rig.server.clone(), router: Router::new(Arc::new(gateway)) }
    };
    rig.server.next(Reply::error(529, "overloaded_error", "Overloaded"));
    rig.server.next(Reply::text("paid").usage(usage));
    let routed = budgeted(5_000_000, "first").answer(&question(BOTH)).await.unwrap();
    // 1000 × 2.50 + 10 × 10 micro-dollars, for the second alone.
    assert_eq!(
        routed.spend.iter().map(|line| line.cost).collect::<Vec<_>>(),
        [Some(MicroUsd(2_600))]
    );
    let scope = Scope::Project(Default::default(), Default::default());
    let (used, held) = ledger.sums(&scope, Timestamp(0)).await.unwrap();
    assert_eq!((used.usd, used.requests, held.usd), (2_600, 1, 0));
    // What a budget refuses is asked of no other model.
    let failure = budgeted(2_700, "second").answer(&question(BOTH)).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::OverBudget);
    assert_eq!(rig.models().len(), 2);
}

#[tokio::test]
async fn kept_answers_cost_nothing_and_depend_on_the_whole_request() {
    let rig = Rig::new();
    let router = rig.router.clone().with_responses(Arc::new(MemoryResponses::default()));
    let rig = Rig { router, ..rig };
    rig.server.otherwise(Reply::text("kept words"));
    let kept = Question { keep: Some(Duration::from_secs(60)), ..question(ONE) };
    assert_eq!(rig.answer(&kept).await.unwrap().source, Source::Called);
    let (found, told) = rig.ask(&kept).end().await;
    let found = found.unwrap();
    assert!(matches!(found.source, Source::Kept { at: NOW, .. }), "{:?}", found.source);
    assert_eq!((found.spend.len(), found.completion.text.as_str()), (0, "kept words"));
    assert_eq!(text(&told), "kept words");
    assert_eq!(rig.server.requests().len(), 1);
    let mut other = kept.clone();
    other.request.system = Some("Be brief.".into());
    assert_eq!(rig.answer(&other).await.unwrap().source, Source::Called);
    assert_eq!(rig.answer(&Question { keep: None, ..kept }).await.unwrap().source, Source::Called);
    assert_eq!(rig.server.requests().len(), 3);
}
