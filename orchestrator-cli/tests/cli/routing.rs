//! Rules for models: the next model when one fails, one call of identical requests, kept answers.

use crate::{harness::Project, schemas};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::{Value, json};

/// A project with two providers at the server, `one` and `two`, and `settings` besides.
fn project(server: &ModelServer, settings: &str) -> Project {
    let project = Project::new().with("SOME_KEY", "sk-test-0123456789");
    let url = server.url();
    let config = format!(
        "[providers.one]\nkind = \"anthropic\"\nbase-url = \"{url}\"\nkey = {{ env = \"SOME_KEY\" }}\n\
         [providers.two]\nkind = \"openai-chat\"\nbase-url = \"{url}/v1\"\nkey = {{ env = \"SOME_KEY\" }}\n\
         {settings}\n"
    );
    project.write(".orchestrator/config.toml", &config);
    project
}

const CHAIN: &str = "[models.house]\nuse = [\"one/claude-sonnet-4-5\", \"two/gpt-4o\"]\n\
                     [agents.dev]\nmodel = \"house\"\n";

fn flow(project: &Project, tasks: &str) {
    project.write("flow.yaml", &format!("name: flow\ntasks:\n{tasks}"));
}

fn execute(project: &Project) {
    project.ok(&["execute", "--workflow", "flow.yaml"]);
}

/// The only answer of a model that task `work` got in the latest run.
fn call(project: &Project, task: &str) -> Value {
    let details = project.json(&["task-details", task]);
    schemas::check(&details);
    let calls = details["calls"].as_array().expect("a list");
    assert_eq!(calls.len(), 1, "{details}");
    calls[0].clone()
}

#[test]
fn the_next_model_answers_when_the_first_is_overloaded() {
    let server = ModelServer::start().expect("a server");
    server.next(Reply::error(529, "overloaded_error", "Overloaded"));
    server.next(Reply::text("from the second"));
    let project = project(&server, CHAIN);
    flow(&project, "  work: { agent: dev, prompt: do it }\n");
    execute(&project);

    let asked = server.requests();
    let models: Vec<&str> = asked.iter().map(|request| request.model()).collect();
    assert_eq!(models, ["claude-sonnet-4-5", "gpt-4o"]);
    for part in ["system", "last_user_message"] {
        let of = |n: usize| match part {
            "system" => asked[n].system(),
            _ => asked[n].last_user_message(),
        };
        assert_eq!(of(0), of(1), "the next model is told the same");
    }
    let call = call(&project, "work");
    assert_eq!((&call["provider"], &call["model"]), (&json!("two"), &json!("gpt-4o")));
    assert_eq!((&call["rule"], &call["source"]), (&json!("house"), &json!("called")));
    assert_eq!(call["failed"][0]["model"], "claude-sonnet-4-5");
    assert_eq!(call["failed"][0]["class"], "overloaded");
    assert_eq!(call["spent"].as_array().map(Vec::len), Some(1));
    let report = project.json(&["cost-report", "--by", "model"]);
    assert_eq!(report["items"][0]["key"], "gpt-4o", "{report}");
    let logs = project.ok(&["logs", "work"]).stdout;
    assert!(logs.contains("model `two/gpt-4o` is asked instead"), "{logs}");
    assert!(logs.contains("by rule `house`"), "{logs}");
    let told = project.ok(&["task-details", "work"]).stdout;
    assert!(told.contains("after one/claude-sonnet-4-5 (overloaded)"), "{told}");
    assert_eq!(project.json(&["task-details", "work"])["attempts"], 1, "one attempt did it");
}

#[test]
fn what_a_failed_model_used_stays_counted() {
    let server = ModelServer::start().expect("a server");
    // Cut off in the middle: its pieces do not count, its tokens do.
    server.next(Reply::text("half of an answer").cut_after(5));
    server.next(Reply::text("a whole answer"));
    let project = project(&server, CHAIN);
    flow(&project, "  work: { agent: dev, prompt: do it }\n");
    execute(&project);
    assert_eq!(project.json(&["task-details", "work"])["output"], "a whole answer");
    let spent = call(&project, "work")["spent"].clone();
    let lines: Vec<_> = spent
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| (line["model"].as_str().unwrap_or_default(), line["cost_usd"].is_string()))
        .collect();
    assert_eq!(lines, [("claude-sonnet-4-5", false), ("gpt-4o", true)], "{spent}");
    let report = project.json(&["cost-report", "--by", "model"]);
    assert_eq!(report["items"].as_array().map(Vec::len), Some(2), "{report}");
    let logs = project.ok(&["logs", "work"]).stdout;
    assert!(logs.contains("the answer begins anew"), "{logs}");
}

#[test]
fn a_refusal_and_a_bad_key_are_no_reason_for_another_model() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, CHAIN);
    flow(&project, "  work: { agent: dev, prompt: do it }\n");
    server
        .next(Reply::text("Not that.").ending(orchestrator_testkit::model_server::Ending::Refusal));
    project.run(&["execute", "--workflow", "flow.yaml"]).expect(1);
    assert_eq!(server.requests().len(), 1);
    server.next(Reply::error(401, "authentication_error", "invalid x-api-key"));
    project.run(&["execute", "--workflow", "flow.yaml"]).expect(6);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_model_that_there_is_not_gives_way_to_the_next() {
    let server = ModelServer::start().expect("a server");
    server.next(Reply::error(404, "not_found_error", "model: claude-sonnet-4-5"));
    server.next(Reply::text("here"));
    let project = project(&server, CHAIN);
    flow(&project, "  work: { agent: dev, prompt: do it }\n");
    execute(&project);
    assert_eq!(call(&project, "work")["failed"][0]["class"], "invalid_request");
}

#[test]
fn identical_items_make_one_call() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(Reply::text("the same for all"));
    let settings = "[agents.dev]\nprovider = \"one\"\nmodel = \"claude-sonnet-4-5\"\n";
    let project = project(&server, settings);
    flow(&project, "  work: { agent: dev, prompt: do it, for-each: [1, 2] }\n");
    server.hold();
    let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    running.until("the second item's word that it waits", |line| {
        line.to_string().contains("an identical request is under way")
    });
    server.release();
    running.end().expect(0);
    assert_eq!(server.requests().len(), 1);

    let mut sources: Vec<String> = Vec::new();
    for task in ["work:0", "work:1"] {
        let call = call(&project, task);
        sources.push(call["source"].as_str().expect("text").to_owned());
        let is_paid = call["source"] == "called";
        assert_eq!(call["spent"].as_array().map(Vec::is_empty), Some(!is_paid), "{call}");
        assert_eq!(project.json(&["task-details", task])["output"], "the same for all");
    }
    sources.sort();
    assert_eq!(sources, ["called", "joined"]);
    assert_eq!(project.json(&["cost-report"])["total"]["requests"], 1);
}

#[test]
fn an_agent_may_ask_the_same_several_times() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(Reply::text("another draw"));
    let settings =
        "[agents.dev]\nprovider = \"one\"\nmodel = \"claude-sonnet-4-5\"\njoin = false\n";
    let project = project(&server, settings);
    flow(&project, "  work: { agent: dev, prompt: do it, for-each: [1, 2] }\n");
    server.hold();
    let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    // Both are under way at the same time.
    server.wait_for_requests(2);
    server.release();
    running.end().expect(0);
    assert_eq!(project.json(&["cost-report"])["total"]["requests"], 2);
}

#[test]
fn a_kept_answer_is_used_by_a_later_run() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(Reply::text("kept"));
    let settings = "[agents.dev]\nprovider = \"one\"\nmodel = \"claude-sonnet-4-5\"\n";
    let project = project(&server, settings);
    let work = "  work: { agent: dev, prompt: do it, cache: { responses: 1h } }\n";
    flow(&project, work);
    execute(&project);
    let first = project.json(&["list-runs"])["items"][0]["id"].clone();
    assert_eq!(call(&project, "work")["source"], "called");
    execute(&project);
    assert_eq!(server.requests().len(), 1, "the second run asks nobody");
    let found = call(&project, "work");
    assert_eq!((&found["source"], &found["kept"]["run"]), (&json!("kept"), &first));
    assert_eq!(found["spent"], json!([]));
    let details = project.json(&["task-details", "work"]);
    assert_eq!((&details["output"], &details["cost_usd"]), (&json!("kept"), &json!("0")));
    assert_eq!(details["cached"], Value::Null, "the task was done, with an answer that was kept");
    // Another request, and a task that does not ask for it, find nothing.
    flow(&project, &work.replace("do it", "do that"));
    execute(&project);
    flow(&project, "  work: { agent: dev, prompt: do it }\n");
    execute(&project);
    assert_eq!(server.requests().len(), 3);
    // It can be forgotten.
    let forgotten = project.json(&["clean", "--cache", "--older-than", "0s", "--yes"]);
    assert_eq!(forgotten["cached"], 2, "{forgotten}");
    flow(&project, work);
    execute(&project);
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn an_answer_that_was_cut_off_is_not_kept() {
    let server = ModelServer::start().expect("a server");
    let cut = Reply::text("half").ending(orchestrator_testkit::model_server::Ending::MaxTokens);
    server.otherwise(cut);
    let settings = "[agents.dev]\nprovider = \"one\"\nmodel = \"claude-sonnet-4-5\"\n";
    let project = project(&server, settings);
    flow(&project, "  work: { agent: dev, prompt: do it, cache: { responses: 1h } }\n");
    execute(&project);
    execute(&project);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn auto_chooses_by_the_work_and_says_why() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(Reply::text("done"));
    let settings = "[models.auto]\nuse = [\"two/gpt-6-luna\", \"one/claude-sonnet-5-5\", \"one/claude-opus-5-5\"]\n\
                    [agents.dev]\nmodel = \"auto\"\n[agents.docs]\nmodel = \"auto\"\n";
    let project = project(&server, settings);
    flow(
        &project,
        "  note: { agent: docs, prompt: write it down }\n  work: { agent: dev, prompt: do it, needs: [note] }\n",
    );
    let plan = project.json(&["execute", "--workflow", "flow.yaml", "--dry-run"]);
    schemas::check(&plan);
    let planned = |n: usize, key: &str| plan["items"][n][key].clone();
    assert_eq!(planned(0, "model"), "gpt-6-luna", "{plan}");
    assert_eq!(planned(1, "model"), "claude-sonnet-5-5", "{plan}");
    assert_eq!(planned(1, "rule"), "auto");
    assert!(planned(1, "why").to_string().contains("complexity 23 (role 20, needs 3)"), "{plan}");
    let shown = project.ok(&["execute", "--workflow", "flow.yaml", "--dry-run"]).stdout;
    assert!(shown.contains("asks for a standard model"), "{shown}");
    assert!(server.requests().is_empty());

    execute(&project);
    let asked = server.requests();
    let models: Vec<&str> = asked.iter().map(|request| request.model()).collect();
    assert_eq!(models, ["gpt-6-luna", "claude-sonnet-5-5"]);
    let call = call(&project, "work");
    assert_eq!(call["rule"], "auto");
    assert!(call["why"].as_str().is_some_and(|why| why.contains("needs 3")), "{call}");
    let agent = project.json(&["agent-details", "dev"]);
    schemas::check(&agent);
    assert_eq!(agent["models"].as_array().map(Vec::len), Some(3), "{agent}");
}

#[test]
fn a_rule_that_was_misspelt_is_suggested() {
    let project = Project::new().with("ANTHROPIC_API_KEY", "sk-test-0123456789");
    project.write(".orchestrator/config.toml", "[agents.dev]\nmodel = \"chep\"\n");
    flow(&project, "  work: { agent: dev, prompt: do it }\n");
    let ran = project.run(&["execute", "--workflow", "flow.yaml", "--dry-run"]).expect(2);
    assert!(ran.stderr.contains("ORC-0566"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `cheap`?"), "{}", ran.stderr);
}
