//! Several accounts of a provider, as a person sets and meets them.

use crate::{gateway, harness::Project, schemas};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelRequest, ModelServer, Reply};
use rustix::process::Signal;
use serde_json::{Value, json};

const MODEL: &str = "claude-sonnet-4-5";

/// Three tasks, one after the other.
const CHAIN: &str = "name: chain\ntasks:\n  a: { agent: dev, prompt: one }\n  \
                     b: { agent: dev, prompt: two, needs: [a] }\n  \
                     c: { agent: dev, prompt: three, needs: [b] }\n";

/// An answer that costs $0.0045.
fn answer() -> Reply {
    let usage = Usage { input: TokenCount(1_000), output: TokenCount(100), ..Usage::default() };
    Reply::text("done").usage(usage)
}

/// A project with provider `lab` of two accounts, each with its key, and more settings below it.
fn project(server: &ModelServer, more: &str) -> Project {
    let project =
        Project::new().with("FIRST_KEY", "sk-first-01").with("SECOND_KEY", "sk-second-02");
    let config = format!(
        "[providers.lab]\nkind = \"anthropic\"\nbase-url = \"{}\"\n\
         [providers.lab.accounts.first]\nkey = {{ env = \"FIRST_KEY\" }}\n\
         [providers.lab.accounts.second]\nkey = {{ env = \"SECOND_KEY\" }}\n\
         [agents.dev]\nrole = \"dev\"\nprovider = \"lab\"\nmodel = \"{MODEL}\"\nmax-tokens = 200\n{more}",
        server.url()
    );
    project.write(".orchestrator/config.toml", &config);
    project.write(".orchestrator/workflows/chain.yaml", CHAIN);
    project
}

fn has_key(key: &'static str) -> impl Fn(&ModelRequest) -> bool + Send + 'static {
    move |request| request.header("x-api-key") == Some(key)
}

/// Whose keys the requests had that were not only counting.
fn callers(server: &ModelServer) -> Vec<String> {
    let requests = server.requests();
    let asked = requests.iter().filter(|request| !request.wants_count());
    asked.map(|request| request.header("x-api-key").unwrap_or_default().to_owned()).collect()
}

/// Requests and costs by account.
fn by_account(project: &Project) -> Vec<(String, Value, Value)> {
    let report = project.json(&["cost-report", "--by", "provider"]);
    schemas::check(&report);
    let rows = report["items"].as_array().expect("rows").iter();
    let mut rows: Vec<_> = rows
        .map(|row| {
            let key = row["key"].as_str().expect("a key").to_owned();
            (key, row["requests"].clone(), row["cost_usd"].clone())
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

#[test]
fn a_run_is_shared_among_accounts_and_each_has_its_own_books() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = project(&server, "");
    project.ok(&["execute", "--workflow", "chain"]);
    assert_eq!(callers(&server), ["sk-first-01", "sk-second-02", "sk-first-01"]);
    let expected = [
        ("lab.first".to_owned(), json!(2), json!("0.009")),
        ("lab.second".to_owned(), json!(1), json!("0.0045")),
    ];
    assert_eq!(by_account(&project), expected);
}

#[test]
fn a_run_goes_on_with_the_other_account_when_one_is_at_its_limit() {
    let server = ModelServer::start().expect("a server");
    let limited = Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "3600");
    server.when_request(has_key("sk-first-01"), limited);
    server.otherwise(answer());
    let project = project(&server, "");
    let ran = project.ok(&["execute", "--workflow", "chain", "--json"]);
    let result = ran.last();
    assert_eq!((&result["status"], &result["cost_usd"]), (&json!("succeeded"), &json!("0.0135")));
    let second = "sk-second-02";
    assert_eq!(callers(&server), ["sk-first-01", second, second, second], "asked once");
    assert_eq!(by_account(&project), [("lab.second".to_owned(), json!(3), json!("0.0135"))]);
    let logs = project.ok(&["logs", "a"]).stdout;
    assert!(logs.contains("`lab.first`") && logs.contains("goes to another account"), "{logs}");
    let task = project.json(&["task-details", "a"]);
    assert_eq!(task["attempts"], 1, "no try was used up: {task}");
}

#[test]
fn a_budget_is_of_each_account() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let first = "[providers.lab.accounts.first.budget]\nrequests-per-day = 1\n";
    let project = project(&server, first);
    project.ok(&["execute", "--workflow", "chain"]);
    let second = "sk-second-02";
    assert_eq!(callers(&server), ["sk-first-01", second, second]);
    let budgets = project.json(&["cost-report"])["budgets"].clone();
    assert_eq!(budgets[0]["of"], "provider account `lab.first`", "{budgets}");
    assert_eq!((&budgets[0]["spent"], &budgets[0]["limit"]), (&json!("1"), &json!("1")));
}

#[test]
fn accounts_are_listed_and_each_is_asked_for_its_key() {
    let server = ModelServer::start().expect("a server");
    server.accept_key("sk-second-02");
    let project = project(&server, "[providers.lab.accounts.third]\nkey = { env = \"NO_KEY\" }\n");
    let listed = project.json(&["list-agents"]);
    schemas::check(&listed);
    let agents = listed["items"].as_array().expect("agents");
    let dev = agents.iter().find(|agent| agent["name"] == "dev").expect("dev");
    assert_eq!((&dev["provider"], &dev["ready"]), (&json!("lab"), &json!(true)));
    let details = project.json(&["agent-details", "dev"]);
    schemas::check(&details);
    let accounts = details["accounts"].as_array().expect("accounts");
    let names: Vec<_> =
        accounts.iter().map(|it| (it["name"].clone(), it["ready"].clone())).collect();
    let expected = [("lab.first", true), ("lab.second", true), ("lab.third", false)];
    assert_eq!(names, expected.map(|(name, ready)| (json!(name), json!(ready))));
    let why = accounts[2]["reason"].as_str().unwrap_or_default();
    assert!(why.contains("ORC-0516") && why.contains("NO_KEY"), "{why}");
    assert!(project.ok(&["list-agents"]).stdout.contains("lab (3 accounts)"));
    let shown = project.ok(&["agent-details", "dev"]).stdout;
    assert!(shown.contains("lab.first, lab.second, lab.third (no: "), "{shown}");

    let asked = project.run(&["doctor", "--online", "--json"]);
    let document: Value =
        serde_json::from_str(asked.stdout.lines().next().expect("a document")).expect("JSON");
    schemas::check(&document);
    let check = |name: &str| {
        let checks = document["items"].as_array().expect("checks");
        let found = checks.iter().find(|check| check["name"] == name);
        found.unwrap_or_else(|| panic!("no `{name}` in {document}")).clone()
    };
    assert_eq!(check("provider lab.first")["code"], "ORC-0539");
    assert_eq!(check("provider lab.second")["code"], Value::Null);
    assert_eq!(check("provider lab.third")["code"], "ORC-0516");
}

#[test]
fn programs_behind_the_gateway_are_shared_among_accounts_and_held_to_their_limits() {
    let server = ModelServer::start().expect("a server");
    let limited = Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "3600");
    server.when_request(has_key("sk-first-01"), limited);
    server.otherwise(answer());
    let project = project(&server, "");
    let mut running = project.start(&["gateway", "--json"]);
    let first: Value = serde_json::from_str(&running.line().expect("a line")).expect("JSON");
    let (url, token) = gateway::listening(&first);
    for _ in 0..2 {
        let (status, body) = gateway::ask(&url, &token, MODEL);
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(callers(&server), ["sk-first-01", "sk-second-02", "sk-second-02"]);
    // Then the other is at its limit, too: the first that comes back says when.
    let later = Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "120");
    server.next(later);
    assert_eq!(gateway::ask(&url, &token, MODEL).0, 429);
    let (status, body) = gateway::ask(&url, &token, MODEL);
    assert_eq!(status, 429, "{body}");
    assert!(body.contains("ORC-0561") && body.contains("retry-after: 1"), "{body}");
    assert_eq!(callers(&server).len(), 4, "nobody asks before the time that was told");
    running.signal(Signal::INT);
    let ended = running.end().expect(0);
    assert!(ended.stderr.contains("lab.first, lab.second"), "{}", ended.stderr);
    assert!(ended.stderr.contains("2 calls passed, $0.009"), "{}", ended.stderr);
}

#[test]
fn names_with_dots_are_refused_and_a_project_cannot_send_keys_elsewhere() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "[providers.\"lab.first\"]\nkind = \"ollama\"\n");
    let refused = project.run(&["list-agents", "--json"]).expect(2);
    let problem = refused.problem().to_string();
    assert!(problem.contains("ORC-0104") && problem.contains("accounts.ACCOUNT"), "{problem}");
    let more = "[providers.lab.accounts.evil]\nbase-url = \"https://evil.example\"\n\
                key = { env = \"FIRST_KEY\" }\n";
    let project = self::project(&server, more);
    let details = project.json(&["agent-details", "dev"]);
    let evil = &details["accounts"][0];
    assert_eq!((&evil["name"], &evil["ready"]), (&json!("lab.evil"), &json!(false)));
    let why = evil["reason"].as_str().unwrap_or_default();
    assert!(
        why.contains("ORC-0520") && why.contains("providers.lab.accounts.evil.base-url"),
        "{why}"
    );
}
