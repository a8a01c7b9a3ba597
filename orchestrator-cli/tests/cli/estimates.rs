//! What a run is expected to cost: told before, recorded with it, compared after, asked about.

use crate::{harness::Project, models, schemas, terminal::Terminal};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::{Value, json};

const MODEL: &str = "claude-sonnet-4-5";

/// Two tasks, one after the other; each answer costs $0.0045.
const PAIR: &str = "name: pair\ntasks:\n  a: { agent: dev, prompt: one }\n  \
                    b: { agent: qa, prompt: two, needs: [a] }\n";

/// One task an item of an input.
const EACH: &str = "name: each\ninputs:\n  of: { type: array, default: [1] }\ntasks:\n  \
                    a: { for-each: inputs.of, agent: dev, prompt: \"{{ item }}\" }\n";

fn server() -> ModelServer {
    let server = ModelServer::start().expect("a server");
    let usage = Usage { input: TokenCount(1_000), output: TokenCount(100), ..Usage::default() };
    server.otherwise(Reply::text("done").usage(usage));
    server
}

fn project(server: &ModelServer, flow: &str, settings: &str) -> Project {
    let project = models::project(server, "anthropic", MODEL);
    let config = project.read(".orchestrator/config.toml");
    project.write(".orchestrator/config.toml", &format!("{config}\n{settings}"));
    project.write("flow.yaml", flow);
    project
}

const RUN: [&str; 3] = ["execute", "--workflow", "flow.yaml"];

/// The run with more options.
fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], more].concat()
}

fn plan(project: &Project, more: &[&str]) -> Value {
    let plan = project.json(&with(&[&["--dry-run"], more].concat()));
    schemas::check(&plan);
    plan
}

/// The number in a decimal string.
fn usd(value: &Value) -> f64 {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no amount: {value}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no count: {value}"))
}

#[test]
fn without_history_an_assumption_is_told_and_with_runs_history() {
    let server = server();
    let project = project(&server, PAIR, "");
    let first = plan(&project, &[]);
    let told = &first["forecast"];
    assert_eq!((&told["confidence"], &told["basis"]), (&json!("low"), &json!("prior")), "{first}");
    assert_eq!(told["samples"], 0);
    assert_eq!(told["attempts"], json!({ "low": 2, "likely": 2, "high": 2 }));
    let cost = &told["cost_usd"];
    let [low, likely, high] = ["low", "likely", "high"].map(|end| usd(&cost[end]));
    assert!(0.0 < low && low < likely && likely < high && high > 4.0 * low, "{cost}");
    for task in first["items"].as_array().expect("tasks") {
        assert!(number(&task["forecast"]["output_tokens"]["likely"]) > 0, "{task}");
    }
    let text = project.ok(&with(&["--dry-run"])).stdout;
    assert!(text.contains("low: assumed, since nothing like it has run"), "{text}");
    assert!(text.contains("at least $"), "{text}");
    assert!(server.requests().is_empty(), "nobody was asked");
    assert_eq!(project.json(&["list-runs"])["items"], json!([]), "nothing was recorded");

    for _ in 0..3 {
        let ran = project.ok(&RUN);
        assert!(ran.stderr.contains("expected: $"), "{}", ran.stderr);
    }
    let later = plan(&project, &[]);
    let told = &later["forecast"];
    assert_eq!(told["confidence"], "medium", "{later}");
    assert_eq!((&told["basis"], &told["samples"]), (&json!("same-task"), &json!(3)));
    let cost = &told["cost_usd"];
    let [low, later_high] = ["low", "high"].map(|end| usd(&cost[end]));
    // What comes is $0.009.
    assert!(low <= 0.009 && 0.009 <= later_high, "{cost}");
    assert!(later_high / low < high / usd(&first["forecast"]["cost_usd"]["low"]), "{cost}");
    let tokens = &told["tokens"];
    assert!(number(&tokens["low"]) <= 2_200 && 2_200 <= number(&tokens["high"]), "{tokens}");

    // Another workflow of the same agents learns from this one, with less confidence.
    project.write("other.yaml", &PAIR.replace("name: pair", "name: other"));
    let other = project.json(&["execute", "--workflow", "other.yaml", "--dry-run"]);
    let told = &other["forecast"];
    assert_eq!((&told["confidence"], &told["basis"]), (&json!("low"), &json!("same-agent")));
}

#[test]
fn what_was_expected_is_recorded_and_compared_with_what_came() {
    let server = server();
    let project = project(&server, PAIR, "");
    assert_eq!(project.json(&["cost-report"])["calibration"]["runs"], 0);
    for _ in 0..4 {
        project.ok(&RUN);
    }
    let expected = plan(&project, &[])["forecast"].clone();
    let ran = project.ok(&with(&["--json"]));
    let created: Value = serde_json::from_str(ran.stdout.lines().next().expect("a line"))
        .expect("the run's first event");
    assert_eq!(created["estimate"]["tokens"], expected["tokens"], "{created}");
    assert_eq!(created["estimate"]["usd"], expected["cost_usd"], "{created}");
    let result = ran.last();
    schemas::check(&result);
    let details = project.json(&["run-details", "latest"]);
    schemas::check(&details);
    for told in [&result["forecast"], &details["forecast"]] {
        assert_eq!(told["cost_usd"], expected["cost_usd"], "{told}");
        assert_eq!((&told["actual_usd"], &told["actual_tokens"]), (&json!("0.009"), &json!(2_200)));
        assert_eq!(told["within"], true, "{told}");
        let ratio = told["ratio"].as_f64().expect("a ratio");
        assert!((ratio - 0.009 / usd(&expected["cost_usd"]["likely"])).abs() < 0.001, "{told}");
    }
    let text = project.ok(&["run-details", "latest"]).stdout;
    assert!(
        text.contains("it came within that") && text.contains("times what was likely"),
        "{text}"
    );

    let report = project.json(&["cost-report"]);
    schemas::check(&report);
    let judged = &report["calibration"];
    assert_eq!((&judged["runs"], &judged["items"][0]["workflow"]), (&json!(5), &json!("pair")));
    let within = number(&judged["within"]);
    assert!((3..=5).contains(&within), "{judged}");
    assert_eq!(number(&judged["within_percent"]), within * 20);
    assert!(judged["median_ratio"].as_f64().is_some_and(|ratio| ratio > 0.1 && ratio < 3.0));
    let table = project.ok(&["cost-report"]).stdout;
    assert!(table.contains("TIMES LIKELY") && table.contains("pair"), "{table}");
    let markdown = project.ok(&["cost-report", "--format", "markdown"]).stdout;
    assert!(markdown.contains("| pair | 5 | "), "{markdown}");
    let csv = project.ok(&["cost-report", "--format", "csv"]).stdout;
    assert_eq!(csv.lines().count(), 3, "one kind of line alone: {csv}");

    // A run that fails has not done what was estimated.
    server.next(Reply::error(400, "invalid_request_error", "no"));
    project.run(&RUN).expect(1);
    let failed = project.json(&["run-details", "latest"])["forecast"].clone();
    assert_eq!((&failed["within"], &failed["ratio"]), (&Value::Null, &Value::Null), "{failed}");
    assert_eq!(project.json(&["cost-report"])["calibration"]["runs"], 5);

    // An export takes it along.
    let exported = project.ok(&["export", "latest"]).stdout;
    let elsewhere = Project::new();
    elsewhere.write("run.json", &exported);
    elsewhere.ok(&["import", "run.json"]);
    let brought = elsewhere.json(&["run-details", "latest"])["forecast"].clone();
    assert_eq!(brought["cost_usd"], failed["cost_usd"], "{brought}");
}

#[test]
fn a_run_without_a_model_has_no_estimate() {
    let project = Project::with_flow("name: one\ntasks:\n  only: { command: [\"true\"] }\n");
    assert_eq!(plan(&project, &[])["forecast"], Value::Null);
    let ran = project.ok(&RUN);
    assert!(!ran.stderr.contains("expected"), "{}", ran.stderr);
    let details = project.json(&["run-details", "latest"]);
    schemas::check(&details);
    assert_eq!(details["forecast"], Value::Null);
}

#[test]
fn children_and_lists_are_counted() {
    let server = server();
    let project = project(&server, EACH, "");
    project.write(".orchestrator/workflows/pair.yaml", PAIR);
    let attempts = |more: &[&str]| plan(&project, more)["forecast"]["attempts"].clone();
    assert_eq!(attempts(&[])["likely"], 1);
    let seven = json!({ "low": 7, "likely": 7, "high": 7 });
    assert_eq!(attempts(&["--input", "of=[1,2,3,4,5,6,7]"]), seven);

    project.write("flow.yaml", "name: parent\ntasks:\n  one: { workflow: pair }\n");
    let parent = plan(&project, &[]);
    assert_eq!(parent["forecast"]["attempts"]["likely"], 2, "{parent}");
    assert_eq!(parent["forecast"]["tokens"], parent["workflows"][0]["forecast"]["tokens"]);
    project.ok(&RUN);
    let told = project.json(&["run-details", &newest_parent(&project)])["forecast"].clone();
    assert_eq!((&told["actual_usd"], &told["actual_tokens"]), (&json!("0.009"), &json!(2_200)));

    // A list that a task makes is assumed, and said to be.
    let list = "name: later\ntasks:\n  list: { command: [echo, \"[1, 2, 3]\"], output: { type: array } }\n  \
                each: { needs: [list], for-each: tasks.list.output, agent: dev, prompt: \"{{ item }}\" }\n";
    project.write("flow.yaml", list);
    let later = plan(&project, &[]);
    let assumed = later["forecast"]["assumptions"].to_string();
    assert!(assumed.contains("the list of `each` is not known yet"), "{later}");
    assert!(number(&later["forecast"]["attempts"]["high"]) > 5, "{later}");
    let text = project.ok(&with(&["--dry-run"])).stdout;
    assert!(text.contains("Assumed") && text.contains("the list of `each`"), "{text}");
    for _ in 0..3 {
        project.ok(&RUN);
    }
    let known = plan(&project, &[]);
    let assumed = known["forecast"]["assumptions"].to_string();
    assert!(assumed.contains("as in 3 earlier runs"), "{known}");
    assert_eq!(known["forecast"]["confidence"], "medium", "{known}");
}

/// The newest run that no other started.
fn newest_parent(project: &Project) -> String {
    let runs = project.json(&["list-runs"]);
    let runs = runs["items"].as_array().expect("runs");
    let run = runs.iter().find(|run| run["parent"].is_null()).expect("a run");
    run["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_dear_run_is_asked_about_and_no_means_nothing_happened() {
    let server = server();
    let project = project(&server, PAIR, "[confirm]\nusd = 0.0001\n");
    let mut terminal = Terminal::open(&project, (110, 30), &RUN);
    let screen = terminal.until(|screen| screen.contains("Go on? [y/N]"));
    assert!(screen.contains("expected: $") && screen.contains("confidence low"), "{screen}");
    assert!(screen.contains("more than `confirm.usd`, $0.0001"), "{screen}");
    terminal.types("n\n");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("nothing was started or spent"), "{text}");
    assert!(server.requests().is_empty());
    assert_eq!(project.json(&["list-runs"])["items"], json!([]));

    // The end of the input is a no, too, and the words after it have a line of their own.
    let mut terminal = Terminal::open(&project, (110, 30), &RUN);
    terminal.until(|screen| screen.contains("Go on? [y/N]"));
    terminal.types("\u{4}");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(3), "{text}");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(lines.contains(&"nothing was started or spent"), "{text}");
    assert!(server.requests().is_empty());

    let mut terminal = Terminal::open(&project, (110, 30), &RUN);
    terminal.until(|screen| screen.contains("Go on? [y/N]"));
    terminal.types("y\n");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(server.requests().len(), 2);

    for more in ["--yes", "--json"] {
        let (code, text, _) = Terminal::open(&project, (110, 30), &with(&[more])).end();
        assert_eq!(code, Some(0), "{text}");
        assert!(!text.contains("Go on?"), "{text}");
    }
    // Nobody is asked where nobody can answer.
    let ran = project.ok(&RUN);
    assert!(ran.stderr.contains("more than `confirm.usd`"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("Go on?"), "{}", ran.stderr);
    assert_eq!(server.requests().len(), 8);
}

#[test]
fn many_items_are_asked_about_and_few_cheap_tasks_are_not() {
    let server = server();
    let project = project(&server, EACH, "[confirm]\nusd = 1000000\n");
    let many = format!("of={}", json!((0..51).collect::<Vec<u32>>()));
    let arguments = with(&["--input", &many]);
    let mut terminal = Terminal::open(&project, (110, 30), &arguments);
    let screen = terminal.until(|screen| screen.contains("Go on? [y/N]"));
    assert!(screen.contains("51 tasks and items"), "{screen}");
    terminal.types("\n");
    let (code, text, _) = terminal.end();
    assert_eq!(code, Some(3), "{text}");
    assert!(server.requests().is_empty());

    let (code, text, _) = Terminal::open(&project, (110, 30), &RUN).end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("expected: $") && !text.contains("Go on?"), "{text}");
    project.ok(&["config", "set", "confirm.tasks", "60"]);
    let (code, text, _) = Terminal::open(&project, (110, 30), &arguments).end();
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn an_unknown_price_leaves_tokens_and_is_said_before_a_budget_refuses() {
    let server = server();
    let project = project(&server, PAIR, "");
    let config = project.read(".orchestrator/config.toml").replace(MODEL, "home-made-7b");
    project.write(".orchestrator/config.toml", &config);
    let told = plan(&project, &[])["forecast"].clone();
    assert_eq!(told["cost_usd"], Value::Null, "{told}");
    assert!(number(&told["tokens"]["likely"]) > 0, "{told}");
    assert!(told["assumptions"].to_string().contains("no price is known for `home-made-7b`"));
    // Without a budget that is no reason to ask.
    let (code, text, _) = Terminal::open(&project, (110, 30), &RUN).end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("expected: unknown") && !text.contains("Go on?"), "{text}");
    let details = project.json(&["run-details", "latest"])["forecast"].clone();
    assert_eq!((&details["actual_usd"], &details["actual_tokens"]), (&Value::Null, &json!(2_200)));
    assert!(details["within"].is_boolean(), "told by tokens: {details}");

    let budget = with(&["--budget", "1"]);
    let mut terminal = Terminal::open(&project, (110, 30), &budget);
    let screen = terminal.until(|screen| screen.contains("Go on? [y/N]"));
    assert!(screen.contains("set a price under [prices]"), "{screen}");
    terminal.types("n\n");
    assert_eq!(terminal.end().0, Some(3));
}

#[test]
fn a_budget_that_is_likely_too_small_is_told_before_the_start() {
    let server = server();
    let project = project(&server, PAIR, "");
    for _ in 0..3 {
        project.ok(&RUN);
    }
    let asked = server.requests().len();
    let ran = project.run(&with(&["--budget", "0.001"])).expect(5);
    assert!(ran.stderr.contains("it is likely to cost $0.0"), "{}", ran.stderr);
    assert!(ran.stderr.contains("may cost $0.001: it will stop"), "{}", ran.stderr);
    let made = server.requests().iter().filter(|request| !request.wants_count()).count();
    assert_eq!(made, asked, "nothing fits");
    let ran = project.ok(&with(&["--budget", "5"]));
    assert!(!ran.stderr.contains("it is likely to cost"), "{}", ran.stderr);
}
