//! The model agent end to end: through the gateway to a scripted server on loopback.

use super::*;
use orchestrator_core::{
    agent::{AgentSpec, Role},
    id::{AgentName, ProviderName, RunId, TaskName, TurnNumber},
    money::MicroUsd,
    port::{Call, Feedback, Progress, Step},
    route::{Route, RouteModel, RouteOrder},
    time::Timestamp,
    usage::{Cost, Spend, TokenCount, Usage},
};
use orchestrator_gateway::{
    Client, ProviderConfig, ProviderKind, SecretString, prices::PriceTable,
};
use orchestrator_testkit::model_server::{Ending, ModelServer, Reply};
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::sync::Notify;

const BOTH: [(&str, &str); 2] = [("messages", "claude-sonnet-4-5"), ("chat", "gpt-4o")];

#[derive(Default)]
struct Host {
    lines: Mutex<Vec<LogLine>>,
    progress: Mutex<Vec<Progress>>,
    cancel: Notify,
}

#[async_trait]
impl AttemptHost for Host {
    fn log(&self, line: LogLine) {
        self.lines.lock().unwrap().push(line);
    }
    fn progress(&self, progress: Progress) {
        self.progress.lock().unwrap().push(progress);
    }
    async fn cancelled(&self) {
        self.cancel.notified().await;
    }
    fn now(&self) -> Timestamp {
        Timestamp(1_769_851_800_000)
    }
}

impl Host {
    fn lines(&self, stream: LogStream) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.stream == stream).map(|line| line.text.clone()).collect()
    }
}

struct Rig {
    server: ModelServer,
    agent: ModelAgent,
    host: Host,
}

impl Rig {
    fn new() -> Self {
        let server = ModelServer::start().unwrap();
        let kinds = [("messages", ProviderKind::Anthropic), ("chat", ProviderKind::OpenAiChat)];
        let configs = kinds.map(|(name, kind)| {
            ProviderConfig::new(ProviderName::new(name).unwrap(), kind)
                .with_base_url(server.url())
                .with_key(SecretString::new("key"))
        });
        let gateway = Gateway::new(configs, PriceTable::built_in(), Client::new()).unwrap();
        Self { server, agent: ModelAgent::new(Arc::new(gateway)), host: Host::default() }
    }

    async fn perform(&self, assignment: &Assignment) -> Result<Answer, Failure> {
        self.agent.perform(assignment, &self.host).await
    }
}

fn assignment((provider, model): (&str, &str), schema: Option<Value>) -> Assignment {
    let mut agent = AgentSpec::new(
        AgentName::new("dev").unwrap(),
        Role::Dev,
        ProviderName::new(provider).unwrap(),
    );
    agent.model = Some(model.to_owned());
    let mut assignment = Assignment::new(
        RunId::new("r_1").unwrap(),
        TaskName::new("plan").unwrap(),
        Arc::new(agent),
        Work::Prompt("Plan it.".into()),
    );
    assignment.output_schema = schema.map(Arc::new);
    assignment
}

fn schema() -> Option<Value> {
    Some(json!({
        "type": "object",
        "required": ["steps"],
        "properties": { "steps": { "type": "array", "items": { "type": "string" } } },
    }))
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: TokenCount(input), output: TokenCount(output), ..Usage::default() }
}

fn cost(answer: &[orchestrator_core::usage::Spend]) -> Option<MicroUsd> {
    Cost::from_iter(answer).exact()
}

#[tokio::test]
async fn a_text_answer_is_streamed_logged_and_priced() {
    for target in BOTH {
        let rig = Rig::new();
        rig.server.next(Reply::text("First line.\nSecond line.").usage(usage(1_000, 7)));
        let answer = rig.perform(&assignment(target, None)).await.unwrap();
        assert_eq!(answer.output, json!("First line.\nSecond line."));
        assert_eq!(rig.host.lines(LogStream::Model), ["First line.", "Second line."]);
        let [spend] = answer.spend.as_slice() else { panic!("{answer:?}") };
        assert_eq!((spend.requests, spend.usage), (1, usage(1_000, 7)));
        // 1000 × 3 + 7 × 15, and 1000 × 2.50 + 7 × 10, millionths.
        let expected = if target.0 == "messages" { MicroUsd(3_105) } else { MicroUsd(2_570) };
        assert_eq!(spend.cost, Some(expected), "{target:?}");
        let progress = rig.host.progress.lock().unwrap();
        assert_eq!(progress.last().unwrap().usage.input, TokenCount(1_000));
        assert_eq!(progress[0].doing, "waiting for the model");
        let asked = &rig.server.requests()[0];
        assert_eq!(asked.system(), Role::Dev.instructions());
        assert_eq!(asked.last_user_message(), "Plan it.");
    }
}

#[tokio::test]
async fn json_is_taken_out_of_an_answer_that_fits() {
    for target in BOTH {
        let rig = Rig::new();
        rig.server.next(Reply::text("Here:\n```json\n{\"steps\": [\"a\", \"b\"]}\n```"));
        let answer = rig.perform(&assignment(target, schema())).await.unwrap();
        assert_eq!(answer.output, json!({ "steps": ["a", "b"] }));
        assert_eq!(rig.server.requests().len(), 1);
        assert!(rig.server.requests()[0].last_user_message().contains("JSON Schema"));
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_mended_in_the_same_conversation() {
    for target in BOTH {
        let rig = Rig::new();
        rig.server.next(Reply::text("I would rather talk.").usage(usage(100, 10)));
        rig.server.next(Reply::json(&json!({ "steps": [1] })).usage(usage(200, 20)));
        rig.server.next(Reply::json(&json!({ "steps": ["one"] })).usage(usage(300, 30)));
        let answer = rig.perform(&assignment(target, schema())).await.unwrap();
        assert_eq!(answer.output, json!({ "steps": ["one"] }));
        let [spend] = answer.spend.as_slice() else { panic!("{answer:?}") };
        assert_eq!((spend.requests, spend.usage), (3, usage(600, 60)));
        // 600 × 3 + 60 × 15, and 600 × 2.50 + 60 × 10, millionths.
        let expected = if target.0 == "messages" { MicroUsd(2_700) } else { MicroUsd(2_100) };
        assert_eq!(cost(&answer.spend), Some(expected));
        let asked = rig.server.requests();
        assert!(asked[1].last_user_message().contains("it holds no JSON"));
        let told = asked[2].last_user_message();
        assert!(told.contains("at `/steps/0`: 1 is not of type \"string\""), "{told}");
        let turns = asked[2].body["messages"].as_array().unwrap();
        let said: Vec<&str> = turns
            .iter()
            .filter(|turn| turn["role"] == "assistant")
            .filter_map(|turn| turn["content"].as_str())
            .collect();
        assert_eq!(said, ["I would rather talk.", "{\"steps\":[1]}"]);
        assert_eq!(rig.host.lines(LogStream::Note).len(), 2);
    }
}

#[tokio::test]
async fn repairs_are_bounded_and_paid_for() {
    for target in BOTH {
        let rig = Rig::new();
        rig.server.otherwise(Reply::text("No.").usage(usage(1_000, 100)));
        let failure = rig.perform(&assignment(target, schema())).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadOutput);
        assert_eq!(rig.server.requests().len(), 3);
        assert_eq!(failure.spend[0].usage, usage(3_000, 300));
        assert!(cost(&failure.spend).is_some_and(|cost| cost.0 > 10_000));
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_keeps_what_was_spent_before() {
    for target in BOTH {
        let rig = Rig::new();
        rig.server.next(Reply::text("No.").usage(usage(1_000, 100)));
        rig.server.next(Reply::error(529, "overloaded_error", "Overloaded"));
        let failure = rig.perform(&assignment(target, schema())).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Overloaded);
        assert_eq!((failure.spend.len(), failure.spend[0].requests), (1, 1));
        assert_eq!(failure.spend[0].usage, usage(1_000, 100));
    }
}

#[tokio::test]
async fn an_unknown_part_of_the_cost_does_not_hide_the_known_one() {
    let rig = Rig::new();
    rig.server.next(Reply::text("No.").usage(usage(1_000, 0)));
    rig.server.next(Reply::json(&json!({ "steps": [] })).no_usage());
    let answer = rig.perform(&assignment(BOTH[1], schema())).await.unwrap();
    let sum = Cost::from_iter(&answer.spend);
    assert_eq!((sum.known, sum.unpriced_requests), (MicroUsd(2_500), 1));
}

#[tokio::test]
async fn refusals_and_cut_answers_are_told_apart() {
    for target in BOTH {
        let rig = Rig::new();
        rig.server.next(Reply::text("Not that.").ending(Ending::Refusal));
        let failure = rig.perform(&assignment(target, schema())).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Refused);
        assert!(failure.message.contains("Not that."), "{failure}");
        assert_eq!(failure.spend.len(), 1);

        rig.server.next(Reply::text("Half an ans").ending(Ending::MaxTokens));
        let answer = rig.perform(&assignment(target, None)).await.unwrap();
        assert_eq!(answer.output, json!("Half an ans"));
        assert!(rig.host.lines(LogStream::Note)[0].contains("`max-tokens`"));

        rig.server.next(Reply::text("{\"steps\":[\"o").ending(Ending::MaxTokens));
        rig.server.next(Reply::json(&json!({ "steps": [] })));
        rig.perform(&assignment(target, schema())).await.unwrap();
        let asked = rig.server.requests().pop().unwrap().last_user_message();
        assert!(asked.contains("cut off"), "{asked}");

        rig.server.next(Reply::text(" ").ending(Ending::MaxTokens));
        let failure = rig.perform(&assignment(target, None)).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadOutput);
    }
}

#[tokio::test]
async fn cancelling_hangs_up_at_once_and_owns_up_to_the_cost() {
    for target in BOTH {
        let rig = Arc::new(Rig::new());
        rig.server.next(Reply::text("one two three").usage(usage(1_000, 9)).hang_after(3));
        let attempt = tokio::spawn({
            let rig = rig.clone();
            async move { rig.perform(&assignment(target, None)).await }
        });
        let waiting = rig.clone();
        tokio::task::spawn_blocking(move || waiting.server.wait_for_requests(1)).await.unwrap();
        rig.host.cancel.notify_one();
        let failure = attempt.await.unwrap().unwrap_err();
        assert_eq!(failure.class, ErrorClass::Cancelled);
        assert_eq!((failure.spend[0].requests, failure.spend[0].cost), (1, None));
        let waiting = rig.clone();
        tokio::task::spawn_blocking(move || waiting.server.wait_for_hang_ups(1)).await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_it_costs_anything() {
    let rig = Rig::new();
    let check = async |assignment: Assignment, told: &str| {
        let failure = rig.perform(&assignment).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidRequest);
        assert!(failure.message.contains(told), "{failure}");
        assert!(failure.spend.is_empty());
    };
    let mut no_model = assignment(BOTH[0], None);
    Arc::make_mut(&mut no_model.agent).model = None;
    check(no_model, "set `model` in [agents.dev]").await;
    let mut command = assignment(BOTH[0], None);
    command.work = Work::Command(vec!["ls".into()]);
    check(command, "cannot run a command").await;
    check(assignment(BOTH[0], Some(json!({ "type": 7 }))), "not a JSON Schema").await;
    check(assignment(("nobody", "m"), None), "[providers.nobody]").await;
    assert!(rig.server.requests().is_empty());
}

#[tokio::test]
async fn feedback_reaches_the_model() {
    let rig = Rig::new();
    rig.server.when("add the missing tests", Reply::text("Added."));
    let mut again = assignment(BOTH[0], None);
    let feedback = Feedback { from: "review".into(), message: "add the missing tests".into() };
    again.feedback.push(feedback);
    assert_eq!(rig.perform(&again).await.unwrap().output, json!("Added."));
}

/// A host with a journal that outlives the attempt.
#[derive(Default)]
struct Keeping {
    host: Host,
    kept: Mutex<Vec<(Call, Value)>>,
    at: Mutex<usize>,
}

#[async_trait]
impl AttemptHost for Keeping {
    fn log(&self, line: LogLine) {
        self.host.log(line);
    }
    fn progress(&self, progress: Progress) {
        self.host.progress(progress);
    }
    async fn cancelled(&self) {
        self.host.cancelled().await;
    }
    fn now(&self) -> Timestamp {
        self.host.now()
    }
    async fn begin(&self, call: &Call) -> Result<Step, Failure> {
        let mut at = self.at.lock().unwrap();
        *at += 1;
        Ok(match self.kept.lock().unwrap().get(*at - 1) {
            Some((kept, output)) if kept == call => Step::Recorded(output.clone()),
            _ => Step::Perform(TurnNumber(u32::try_from(*at).unwrap())),
        })
    }
    async fn finish(
        &self,
        _turn: TurnNumber,
        call: &Call,
        output: Value,
        spend: Vec<Spend>,
    ) -> Result<bool, Failure> {
        assert_eq!(spend.len(), 1, "what it cost goes with it");
        self.kept.lock().unwrap().push((call.clone(), output));
        Ok(true)
    }
}

#[tokio::test]
async fn an_answer_that_was_recorded_is_not_asked_for_again() {
    for target in BOTH {
        let rig = Rig::new();
        let keeping = Keeping::default();
        rig.server.next(Reply::text("I would rather talk."));
        rig.server.next(Reply::json(&json!({ "steps": ["one"] })));
        let assignment = assignment(target, schema());
        for _ in 0..2 {
            *keeping.at.lock().unwrap() = 0;
            let answer = rig.agent.perform(&assignment, &keeping).await.unwrap();
            assert_eq!(answer.output, json!({ "steps": ["one"] }));
            assert!(answer.spend.is_empty(), "the journal counts it");
        }
        assert_eq!(rig.server.requests().len(), 2);
    }
}

/// The assignment of an agent that may ask both models, by a rule.
fn by_rule(schema: Option<Value>) -> Assignment {
    let mut assignment = assignment(BOTH[0], schema);
    let models =
        BOTH.map(|(provider, model)| RouteModel::new(ProviderName::new(provider).unwrap(), model));
    let (rule, order, why) = ("house".into(), RouteOrder::Fixed, "as listed".into());
    let route = Route { rule, order, models: models.to_vec(), why };
    Arc::make_mut(&mut assignment.agent).route = Some(Arc::new(route));
    assignment
}

fn models_asked(rig: &Rig) -> Vec<String> {
    rig.server.requests().iter().map(|request| request.model().to_owned()).collect()
}

#[tokio::test]
async fn a_conversation_goes_on_with_the_model_that_answered_also_after_a_crash() {
    let rig = Rig::new();
    let keeping = Keeping::default();
    rig.server.next(Reply::error(529, "overloaded_error", "Overloaded"));
    rig.server.next(Reply::text("I would rather talk."));
    // The process dies before the repair is recorded.
    rig.server.next(Reply::error(500, "api_error", "oops"));
    let assignment = by_rule(schema());
    let failure = rig.agent.perform(&assignment, &keeping).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Transient);
    let [first, second] = BOTH.map(|(_, model)| model);
    assert_eq!(models_asked(&rig), [first, second, second], "the first is not asked again");

    *keeping.at.lock().unwrap() = 0;
    rig.server.next(Reply::json(&json!({ "steps": ["one"] })));
    let answer = rig.agent.perform(&assignment, &keeping).await.unwrap();
    assert_eq!(answer.output, json!({ "steps": ["one"] }));
    assert_eq!(models_asked(&rig)[3..], [second], "what was recorded is not asked for again");
    let kept = keeping.kept.lock().unwrap();
    assert_eq!(kept[0].1["asked"]["failed"][0]["class"], "overloaded");
    assert_eq!(kept[0].1["asked"]["model"], second);
}

#[tokio::test]
async fn what_a_failed_model_used_is_owned_up_to_when_the_next_is_cancelled() {
    let rig = Arc::new(Rig::new());
    rig.server.next(Reply::text("half an answer").usage(usage(1_000, 9)).cut_after(4));
    rig.server.next(Reply::text("one two three").usage(usage(500, 9)).hang_after(3));
    let attempt = tokio::spawn({
        let rig = rig.clone();
        async move { rig.perform(&by_rule(None)).await }
    });
    let waiting = rig.clone();
    tokio::task::spawn_blocking(move || waiting.server.wait_for_requests(2)).await.unwrap();
    rig.host.cancel.notify_one();
    let failure = attempt.await.unwrap().unwrap_err();
    assert_eq!(failure.class, ErrorClass::Cancelled);
    let models: Vec<&str> = failure.spend.iter().map(|line| line.model.as_str()).collect();
    assert_eq!(models, BOTH.map(|(_, model)| model));
    assert!(rig.host.lines(LogStream::Note).iter().any(|line| line.contains("begins anew")));
}
