//! Work through model providers: a scripted server on loopback stands in for both protocols.

use crate::{harness::Project, schemas};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::json;

/// A project whose agents `dev` and `qa` use `model` at the server, by the protocol `kind`.
pub(crate) fn project(server: &ModelServer, kind: &str, model: &str) -> Project {
    let project = Project::new().with("SOME_KEY", "sk-test-0123456789");
    let base = if kind == "anthropic" { server.url() } else { format!("{}/v1", server.url()) };
    let mut config = format!(
        "[providers.scripted]\nkind = \"{kind}\"\nbase-url = \"{base}\"\nkey = {{ env = \"SOME_KEY\" }}\n"
    );
    for role in ["dev", "qa"] {
        config += &format!(
            "\n[agents.{role}]\nrole = \"{role}\"\nprovider = \"scripted\"\nmodel = \"{model}\"\n"
        );
    }
    project.write(".orchestrator/config.toml", &config);
    project.write("src/main.rs", "fn main() {}\n");
    project
}

fn usage(input: u64, cache_write: u64, cache_read: u64, output: u64) -> Usage {
    Usage {
        input: TokenCount(input),
        cache_write: TokenCount(cache_write),
        cache_read: TokenCount(cache_read),
        output: TokenCount(output),
        ..Usage::default()
    }
}

/// Scripts a change that is sent back once: four calls, in their order.
pub(crate) fn script(server: &ModelServer, cache_write: u64) {
    let verdict = |approved: bool| json!({ "approved": approved, "feedback": "handle errors" });
    server.next(Reply::text("first try").usage(usage(1_200, cache_write, 200, 34)));
    server.next(Reply::json(&verdict(false)).usage(usage(1_000, 0, 0, 7)));
    server.next(Reply::text("second try").usage(usage(1, 0, 0, 1)));
    server.next(Reply::json(&verdict(true)).usage(usage(333, 0, 0, 77)));
}

#[test]
fn quick_implementation_through_both_providers_to_the_last_digit() {
    // Prices of a million tokens in, written to and read from the cache, and out, in dollars:
    // 3, 3.75, 0.30, 15 and 2.50, -, 1.25, 10. Each call is rounded up to a micro-dollar, once:
    // 4357.5 + 3105 + 18 + 2154 and 3590 + 2570 + 12.5 + 1602.5 micro-dollars.
    for (kind, model, cache_write, cost, tokens) in [
        ("anthropic", "claude-sonnet-4-5", 50, "0.009635", "2,903"),
        ("openai-chat", "gpt-4o", 0, "0.007776", "2,853"),
    ] {
        let server = ModelServer::start().expect("a server");
        script(&server, cache_write);
        let project = project(&server, kind, model);
        let arguments = ["execute", "add a flag", "--task-type", "quick-implementation"];
        let ran = project.ok(&arguments);
        assert_eq!(ran.stdout, "second try\n", "the work that was accepted, as data");
        assert_eq!(project.ok(&["run-details", "latest", "--report"]).stdout, ran.stdout);
        let said = format!("{tokens} tokens");
        assert!(ran.stderr.contains(&said), "no `{said}` in\n{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("${cost}")), "{}", ran.stderr);
        assert_eq!(server.requests().len(), 4, "{kind}");

        let report = project.json(&["cost-report", "--by", "model"]);
        schemas::check(&report);
        assert_eq!(report["items"].as_array().map(Vec::len), Some(1), "{report}");
        for (row, key) in [(&report["items"][0], model), (&report["total"], "total")] {
            assert_eq!(row["key"], key, "{report}");
            assert_eq!(row["requests"], 4);
            assert_eq!(row["input_tokens"], 2_534);
            assert_eq!(row["cache_read_tokens"], 200);
            assert_eq!(row["cache_write_tokens"], cache_write);
            assert_eq!(row["output_tokens"], 119);
            assert_eq!(row["cost_usd"], cost, "{kind}");
            assert_eq!(row["unpriced_requests"], 0);
        }
        let table = project.ok(&["cost-report"]).stdout;
        assert!(table.contains(&format!("${cost}")), "{table}");
        let csv = project.ok(&["cost-report", "--by", "provider", "--format", "csv"]).stdout;
        let line = format!("scripted,1,4,2534,200,{cache_write},119,0,{cost},0");
        assert_eq!(csv.lines().nth(1), Some(line.as_str()), "{csv}");

        assert_eq!(project.json(&["list-runs"])["items"][0]["cost_usd"], cost);
        let task = project.json(&["task-details", "implement"]);
        assert_eq!(task["attempts"], 2);
        assert_eq!(task["output"], "second try");
        let everything = project.ok(&["export", "latest"]).stdout;
        assert!(!everything.contains("sk-test-0123456789"), "the key is in the export");
    }
}

#[test]
fn a_plan_bounds_the_cost_and_calls_nobody() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "anthropic", "claude-sonnet-4-5");
    let arguments = ["execute", "add a flag", "--task-type", "quick-implementation", "--dry-run"];
    let plan = project.json(&arguments);
    schemas::check(&plan);
    assert_eq!(plan["calls_models"], true);
    assert!(plan["estimate"]["least_usd"].is_string(), "{plan}");
    assert!(project.ok(&arguments).stdout.contains("at least $"), "{plan}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_refused_key_waits_for_a_person_and_exits_with_6() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(Reply::error(401, "authentication_error", "invalid x-api-key"));
    let project = project(&server, "anthropic", "claude-sonnet-4-5");
    let arguments = ["execute", "add a flag", "--task-type", "quick-implementation"];
    let ran = project.run(&arguments).expect(6);
    assert!(ran.stderr.contains("(auth)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("implement waits for a person"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("sk-test-0123456789"), "{}", ran.stderr);
}

#[test]
fn an_unknown_price_is_unknown_and_not_nothing() {
    let server = ModelServer::start().expect("a server");
    script(&server, 0);
    let project = project(&server, "openai-chat", "home-made-7b");
    let arguments = ["execute", "add a flag", "--task-type", "quick-implementation"];
    assert!(project.ok(&arguments).stderr.contains("unknown"));
    let total = project.json(&["cost-report"])["total"].clone();
    assert_eq!((&total["cost_usd"], &total["unpriced_requests"]), (&json!("0"), &json!(4)));
    let report = project.ok(&["cost-report"]);
    assert!(report.stderr.contains("[prices]"), "{}", report.stderr);
}
