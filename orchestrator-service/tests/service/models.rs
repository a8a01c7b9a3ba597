//! Templates on a model, through both protocols, with tokens and cost to the last digit.

use crate::place::{Place, template, until_asked};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_service::{Answer, CostQuery, ExecuteRequest, views::CostGroup};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::json;

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: TokenCount(input), output: TokenCount(output), ..Usage::default() }
}

fn place(server: &ModelServer, kind: &str) -> Place {
    let settings = format!(
        "[providers.house]\nkind = '{kind}'\nbase-url = '{}'\nkey = {{ env = 'HOUSE_KEY' }}\n\
         [agents.dev]\nprovider = 'house'\nmodel = 'house-1'\n\
         [prices.house-1]\ninput = 3\noutput = 15\n",
        server.url()
    );
    Place::new()
        .with("HOUSE_KEY", "sk-house-secret")
        .file(".orchestrator/config.toml", &settings)
        .file("src/main.rs", "fn main() {}\n")
}

fn answers(server: &ModelServer) {
    let review = |approved: bool, feedback: &str| {
        Reply::json(&json!({ "approved": approved, "feedback": feedback })).usage(usage(100, 7))
    };
    server.next(Reply::text("--- a patch").usage(usage(1_000, 50)));
    server.next(review(false, "add a test"));
    server.next(Reply::text("--- a better patch").usage(usage(1_200, 60)));
    server.next(review(true, ""));
}

#[tokio::test]
async fn a_prompt_is_built_reviewed_and_revised_on_both_protocols() {
    for kind in ["anthropic", "openai-chat"] {
        let server = ModelServer::start().unwrap();
        answers(&server);
        let place = place(&server, kind);
        let request = ExecuteRequest { prompt: Some("Add x".into()), ..Default::default() };
        let result = place.service().execute(request).await.unwrap().wait().await.unwrap();
        assert_eq!(result.status, "succeeded", "{kind}: {result:?}");
        // 2,400 in at $3 and 124 out at $15 a million.
        assert_eq!((result.spent.input_tokens, result.spent.output_tokens), (2_400, 124), "{kind}");
        assert_eq!(result.spent.cost_usd.to_string(), "0.00906", "{kind}");
        let requests = server.requests();
        assert_eq!(requests.len(), 4);
        assert!(requests[0].last_user_message().contains("Add x"));
        assert!(requests[2].last_user_message().contains("add a test"), "{kind}");
        assert!(requests.iter().all(|request| request.model() == "house-1"));

        let service = place.service();
        let report = |by| CostQuery { by, run: None, since: None };
        let by_agent = service.cost_report(&report(CostGroup::Agent)).await.unwrap();
        let keys: Vec<(&str, u64)> =
            by_agent.items.iter().map(|row| (row.key.as_str(), row.requests)).collect();
        assert_eq!(keys, [("dev", 2), ("qa", 2)], "{kind}");
        assert_eq!(by_agent.total.spent.cost_usd.to_string(), "0.00906");
        let by_model = service.cost_report(&report(CostGroup::Model)).await.unwrap();
        assert_eq!(by_model.items[0].key, "house-1");
        // What was accepted is the answer, not the verdict of the task that came last.
        let report = service.report("latest").await.unwrap();
        assert_eq!(report.as_deref(), Some("--- a better patch"));
        let task = service.task("implement", None).await.unwrap();
        assert_eq!((task.output.as_str(), task.task.attempts), (Some("--- a better patch"), 2));
        let everything = service.export("latest", Default::default()).await.unwrap();
        assert!(!everything.contains("sk-house-secret"));
        let everything: serde_json::Value = serde_json::from_str(&everything).unwrap();
        for blob in everything["blobs"].as_array().unwrap() {
            let bytes = STANDARD.decode(blob["base64"].as_str().unwrap()).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("sk-house-secret"));
        }
    }
}

#[tokio::test]
async fn a_refused_key_waits_for_a_person_and_counts_nothing() {
    let server = ModelServer::start().unwrap();
    server.otherwise(Reply::error(401, "authentication_error", "invalid x-api-key"));
    let place = place(&server, "anthropic");
    let request = ExecuteRequest { prompt: Some("Add x".into()), ..Default::default() };
    let (service, execution) = (place.service(), place.service().execute(request).await.unwrap());
    let asks = until_asked(&execution).await;
    assert_eq!((asks.len(), asks[0].ask.kind), (1, "failure"));
    execution.control().interrupt();
    let result = execution.wait().await.unwrap();
    assert_eq!((result.status.as_str(), &result.asks), ("waiting", &asks));
    assert_eq!(server.requests().len(), 1);
    // Nobody mends it: the run ends with what the provider said.
    let done = service.reply(&asks[0].id, Answer::Reject("no key".into()), "ann").await.unwrap();
    assert_eq!((done.items[0].status.as_str(), done.resume), ("failed", None));
    let task = service.task(&asks[0].id, None).await.unwrap();
    assert_eq!(task.task.error.unwrap().class, "refused");
    assert_eq!(task.items[0].error.as_ref().unwrap().class, "auth");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn other_templates_use_the_model_where_there_is_one() {
    let server = ModelServer::start().unwrap();
    server.otherwise(Reply::text("What matters is the licence.").usage(usage(10, 5)));
    let place = place(&server, "openai-chat");
    let service = place.service();
    let result = service.execute(template("security-audit")).await.unwrap().wait().await.unwrap();
    assert_eq!(result.status, "succeeded", "{result:?}");
    let report = service.report(&result.run).await.unwrap().unwrap();
    assert_eq!(report, "What matters is the licence.");
    assert_eq!(server.requests().len(), 1);
    assert!(server.requests()[0].last_user_message().contains("findings"));

    let result = service.execute(template("documentation")).await.unwrap().wait().await.unwrap();
    assert_eq!((result.status.as_str(), server.requests().len()), ("succeeded", 2));
    let result = service.execute(template("audit")).await.unwrap().wait().await.unwrap();
    assert_eq!((result.status.as_str(), server.requests().len()), ("succeeded", 2));
}

#[tokio::test]
async fn a_change_in_git_is_reviewed() {
    let server = ModelServer::start().unwrap();
    server.otherwise(Reply::text("Looks right.").usage(usage(10, 5)));
    let place = place(&server, "anthropic");
    let git = |arguments: &[&str]| {
        let done = std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
            .args(arguments)
            .current_dir(place.root())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    let nothing = place.service().execute(template("code-review")).await.unwrap();
    let nothing = nothing.wait().await.unwrap();
    assert_eq!(server.requests().len(), 0, "without a change no model is asked: {nothing:?}");
    std::fs::write(place.root().join("src/main.rs"), "fn main() { changed(); }\n").unwrap();
    let result = place.service().execute(template("code-review")).await.unwrap();
    assert_eq!(result.wait().await.unwrap().status, "succeeded");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests[0].last_user_message().contains("changed();"));
}

#[tokio::test]
async fn full_development_goes_through_every_role() {
    let server = ModelServer::start().unwrap();
    server.when("smallest steps", Reply::json(&json!({ "steps": ["one"], "risks": [] })));
    server.when("This was proposed", Reply::json(&json!({ "approved": true, "feedback": "fine" })));
    server.otherwise(Reply::text("done"));
    let place = place(&server, "openai-chat");
    let mut request = template("full-development");
    request.prompt = Some("Add x".into());
    let result = place.service().execute(request).await.unwrap().wait().await.unwrap();
    assert_eq!(result.status, "succeeded", "{result:?}");
    let agents: Vec<&str> = result.items.iter().filter_map(|task| task.agent.as_deref()).collect();
    for role in ["pm", "dev", "qa", "security", "docs"] {
        assert!(agents.contains(&role), "{agents:?}");
    }
}
