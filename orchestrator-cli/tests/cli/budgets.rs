//! Budgets as a person meets them: what stops, what is told, and how it goes on.

use crate::{
    harness::{Project, eventually},
    models, schemas,
};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::{Value, json};

const MODEL: &str = "claude-sonnet-4-5";

/// Three tasks, one after the other; each answer costs $0.0045.
const CHAIN: &str = "name: chain\ntasks:\n  a: { agent: dev, prompt: one }\n  \
                     b: { agent: dev, prompt: two, needs: [a] }\n  \
                     c: { agent: dev, prompt: three, needs: [b] }\n";

fn answer() -> Reply {
    let usage = Usage { input: TokenCount(1_000), output: TokenCount(100), ..Usage::default() };
    Reply::text("done").usage(usage)
}

/// A project whose agents answer at most 200 tokens, with the workflow of `flow` and more settings.
fn project(server: &ModelServer, flow: &str, settings: &str) -> Project {
    let project = models::project(server, "anthropic", MODEL);
    let config = project.read(".orchestrator/config.toml");
    let config = config.replace("role = \"dev\"\n", "role = \"dev\"\nmax-tokens = 200\n");
    project.write(".orchestrator/config.toml", &format!("{config}\n{settings}"));
    project.write(".orchestrator/workflows/chain.yaml", flow);
    project
}

/// What the ledger of the project says of all calls.
fn ledger(project: &Project) -> Value {
    let report = project.json(&["cost-report"]);
    schemas::check(&report);
    report["ledger"].clone()
}

/// How many answers the server was asked for.
fn asked(server: &ModelServer) -> usize {
    server.requests().iter().filter(|request| !request.wants_count()).count()
}

/// Proves that calls cost `usd` by the ledger, and that nothing is held.
fn expect_spent(project: &Project, usd: &str) {
    let ledger = ledger(project);
    assert_eq!((&ledger["settled_usd"], &ledger["held_calls"]), (&json!(usd), &json!(0)));
    assert_eq!((&ledger["held_usd"], &ledger["assumed_calls"]), (&json!("0"), &json!(0)));
}

#[test]
fn a_run_stops_at_its_budget_and_goes_on_with_more() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = project(&server, CHAIN, "");
    // The first call costs $0.0045 and may cost about as much: the second does not fit any more.
    let ran = project.run(&["execute", "--workflow", "chain", "--budget", "0.0085"]).expect(5);
    assert!(ran.stderr.contains("b waits for a person"), "{}", ran.stderr);
    assert!(ran.stderr.contains("may spend $0.0085 in all: $0.0045 spent"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--budget USD"), "{}", ran.stderr);
    assert_eq!(asked(&server), 1, "the second call was never made");
    expect_spent(&project, "0.0045");

    let why = project.ok(&["why", "b"]).stdout;
    assert!(why.contains("the budget is used up") && why.contains("--budget USD"), "{why}");
    let task = project.json(&["task-details", "b"]);
    schemas::check(&task);
    assert_eq!(task["ask"]["kind"], "budget", "{task}");

    // Still too little: the same again.
    project.run(&["resume", "latest", "--budget", "0.0086"]).expect(5);
    assert_eq!(asked(&server), 1);
    let ran = project.run(&["resume", "latest", "--budget", "0.5", "--json"]).expect(0);
    let result = ran.last();
    schemas::check(&result);
    assert_eq!((&result["status"], &result["cost_usd"]), (&json!("succeeded"), &json!("0.0135")));
    assert_eq!(asked(&server), 3);
    expect_spent(&project, "0.0135");
    assert_eq!(project.json(&["run-details", "latest"])["budget_usd"], "0.5");
    let run = project.json(&["list-runs"])["items"][0].clone();
    assert_eq!((&run["status"], &run["cost_usd"]), (&json!("succeeded"), &json!("0.0135")));
}

#[test]
fn a_budget_of_the_day_is_one_of_all_runs() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = project(&server, CHAIN, "[budget]\nusd-per-day = 0.0175\n");
    project.ok(&["execute", "--workflow", "chain"]);
    let ran = project.run(&["execute", "--workflow", "chain", "--json"]).expect(5);
    let result = ran.last();
    schemas::check(&result);
    assert_eq!(result["asks"][0]["kind"], "budget", "{result}");
    let message = result["asks"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("project `default` may spend $0.0175 a day"), "{message}");
    assert_eq!(asked(&server), 3);
    let budgets = project.json(&["cost-report"])["budgets"].clone();
    let day = &budgets[0];
    assert_eq!((&day["of"], &day["window"]), (&json!("project `default`"), &json!("a day")));
    assert_eq!((&day["limit"], &day["spent"]), (&json!("0.0175"), &json!("0.0135")));
    assert_eq!((&day["percent"], &day["unit"]), (&json!(77), &json!("usd")));
    // A run of its own budget is under the day's all the same.
    project.run(&["execute", "--workflow", "chain", "--budget", "5"]).expect(5);
    expect_spent(&project, "0.0135");
}

/// Proves that `why` says of the task `c` that it waits for the day's budget, and does not offer what
/// would not help.
fn expect_to_wait(project: &Project, run: &str) {
    let why = project.json(&["why", &format!("{run}.c")]);
    schemas::check(&why);
    let because = &why["items"][0]["because"];
    assert_eq!(because["kind"], "budget", "{why}");
    let until = because["until"].as_str().expect("a time");
    assert!(until.ends_with("T00:00:00.000Z"), "{until}");
    let actions: Vec<&str> =
        why["actions"].as_array().expect("actions").iter().filter_map(Value::as_str).collect();
    assert!(actions.iter().any(|action| action.starts_with("orchestrator approve")), "{why}");
    assert!(!actions.iter().any(|action| action.contains("--budget")), "{why}");
    let text = why["items"][0]["text"].as_str().expect("text");
    assert!(
        text.starts_with("it waits for the budget until") && text.contains("goes on by itself"),
        "{text}"
    );
}

#[test]
fn a_task_waits_until_the_days_budget_is_renewed_or_raised() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = project(&server, CHAIN, "[budget]\nusd-per-day = 0.0125\n");
    let ran = project.run(&["execute", "--workflow", "chain"]).expect(5);
    assert!(ran.stderr.contains("c waits for the budget (until"), "{}", ran.stderr);
    assert!(ran.stderr.contains("with a higher limit"), "{}", ran.stderr);
    let run = project.json(&["list-runs"])["items"][0].clone();
    assert_eq!(run["status"], "waiting");
    let run = run["id"].as_str().expect("an id").to_owned();
    expect_to_wait(&project, &run);
    // Before its time it only waits.
    project.run(&["resume", &run]).expect(5);
    assert_eq!(asked(&server), 2);

    // In the background it goes on waiting, where nothing but the clock or a person would end that.
    project.ok(&["resume", &run, "--detach"]);
    let log = format!(".orchestrator/state/background/{run}.log");
    eventually("its words", || project.read(&log).contains("waits for the budget").then_some(()));
    assert!(project.json(&["run-details", &run])["driver"].is_string(), "it drives on");
    assert_eq!(asked(&server), 2);
    // It reads the higher limit by itself.
    project.ok(&["config", "set", "budget.usd-per-day", "0.5"]);
    project.ok(&["approve", &format!("{run}.c")]);
    let done = || project.json(&["run-details", &run])["status"] == "succeeded";
    eventually("the end", || done().then_some(()));
    assert_eq!(asked(&server), 3);
    expect_spent(&project, "0.0135");
}

#[test]
fn another_budget_of_the_run_lets_go_on_what_waits_for_a_renewal() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = project(&server, CHAIN, "[budget]\nusd-per-day = 0.0125\n");
    project.run(&["execute", "--workflow", "chain"]).expect(5);
    project.ok(&["config", "set", "budget.usd-per-day", "0.5"]);
    project.ok(&["resume", "latest", "--budget", "1"]);
    assert_eq!(asked(&server), 3);
}

#[test]
fn limits_that_only_warn_refuse_nothing() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let settings = "[budget]\nusd-per-run = 0.005\nusd-per-day = 0.005\nwarn-only = true\n";
    let project = project(&server, CHAIN, settings);
    let ran = project.run(&["execute", "--workflow", "chain", "--json"]).expect(0);
    assert_eq!(ran.last()["cost_usd"], "0.0135");
    for part in
        ["80% of a budget are spent: project `default`", "100% of a budget are spent: run `"]
    {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let report = project.json(&["cost-report"]);
    schemas::check(&report);
    assert_eq!(
        (&report["budgets"][0]["refuses"], &report["budgets"][0]["percent"]),
        (&json!(false), &json!(270))
    );
    assert!(project.ok(&["cost-report"]).stderr.contains("(270%, only warns)"));
    // What is asked for on the command line always holds.
    project.run(&["execute", "--workflow", "chain", "--budget", "0.0085"]).expect(5);
}

#[test]
fn all_of_the_users_work_has_a_limit_that_no_project_can_set() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = project(&server, CHAIN, "");
    project.ok(&["config", "set", "--user", "tenant.budget.usd-per-day", "0.0125"]);
    let ran = project.run(&["execute", "--workflow", "chain"]).expect(5);
    assert!(ran.stderr.contains("tenant `default` may spend $0.0125 a day"), "{}", ran.stderr);
    assert_eq!(project.json(&["cost-report"])["budgets"][0]["of"], "tenant `default`");
    let config = project.read(".orchestrator/config.toml");
    project.write(
        ".orchestrator/config.toml",
        &format!("{config}\n[tenant.budget]\nusd-per-day = 9\n"),
    );
    let ran = project.run(&["execute", "--workflow", "chain"]).expect(2);
    assert!(ran.stderr.contains("ORC-0580") && ran.stderr.contains("--user"), "{}", ran.stderr);
}

#[test]
fn what_children_spend_is_their_parents() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let parent = "name: parent\ntasks:\n  one: { workflow: chain }\n";
    let project = project(&server, CHAIN, "");
    project.write(".orchestrator/workflows/parent.yaml", parent);
    let ran = project.run(&["execute", "--workflow", "parent", "--budget", "0.013"]).expect(5);
    assert!(ran.stderr.contains("may spend $0.013 in all: $0.009 spent"), "{}", ran.stderr);
    assert_eq!(asked(&server), 2, "of three");
    let runs = project.json(&["list-runs"]);
    let parent = runs["items"].as_array().expect("runs").iter().find(|run| run["parent"].is_null());
    let parent = parent.and_then(|run| run["id"].as_str()).expect("the parent").to_owned();
    project.ok(&["resume", &parent, "--budget", "0.1"]);
    assert_eq!(asked(&server), 3);
    expect_spent(&project, "0.0135");
}

#[test]
fn a_model_without_a_price_does_not_run_under_a_budget() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = project(&server, CHAIN, "");
    let config = project.read(".orchestrator/config.toml").replace(MODEL, "home-made-7b");
    project.write(".orchestrator/config.toml", &config);
    let ran = project.run(&["execute", "--workflow", "chain", "--budget", "100"]).expect(5);
    assert!(ran.stderr.contains("no price is known"), "{}", ran.stderr);
    assert!(asked(&server) == 0);
    project.ok(&["execute", "--workflow", "chain"]);
    assert_eq!(asked(&server), 3, "without a budget it is only unknown");
}

#[test]
fn what_a_killed_process_held_is_settled_when_the_run_goes_on() {
    let server = ModelServer::start().expect("a server");
    server.next(answer().hang_after(2));
    server.otherwise(answer());
    let project = project(&server, CHAIN, "");
    let mut running = project.start(&["execute", "--workflow", "chain", "--budget", "0.1"]);
    server.wait_for_requests(1);
    running.kill();
    let held = ledger(&project);
    assert_eq!((&held["held_calls"], &held["settled_calls"]), (&json!(1), &json!(0)));
    project.ok(&["resume", "latest"]);
    let after = ledger(&project);
    assert_eq!((&after["held_calls"], &after["assumed_calls"]), (&json!(0), &json!(1)));
    assert_eq!(after["assumed_usd"], held["held_usd"], "at the most that it can have cost");
    assert_eq!((&after["settled_calls"], &after["settled_usd"]), (&json!(3), &json!("0.0135")));
    let told = project.ok(&["cost-report"]).stderr;
    assert!(told.contains("1 call ended without a word of what was used"), "{told}");
}

#[test]
fn bad_budgets_are_refused_before_anything_runs() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, CHAIN, "");
    for bad in ["-1", "much", "0.0000001", ""] {
        let arguments = ["execute", "--workflow", "chain", "--budget", bad];
        project.run(&arguments).expect(2);
    }
    project.run(&["resume", "latest", "--budget", "1"]).expect(2);
    project.write(".orchestrator/config.toml", "[budget]\nusd-per-dya = 1\n");
    let ran = project.run(&["execute", "--workflow", "chain"]).expect(2);
    assert!(ran.stderr.contains("usd-per-day"), "{}", ran.stderr);
    assert!(asked(&server) == 0);
}
