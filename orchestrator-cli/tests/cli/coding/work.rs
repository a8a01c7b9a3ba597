//! What coding CLIs do, and may do.

use super::{KEY, answer, execute, flow, homes, log, output, project};
use crate::{harness::eventually, schemas};
use orchestrator_testkit::model_server::ModelServer;
use serde_json::json;

#[test]
fn it_works_with_a_token_in_a_clean_home_and_every_call_is_metered() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer("done"));
    let project = project(&server, "").with("ANTHROPIC_API_KEY", KEY).with("CLAUDECODE", "1");
    let ran = execute(&project, "[[ask]] [[env]] [[ask]] [[say all of it]]", &[]).expect(0);
    let result = ran.last();
    schemas::check(&result);
    assert_eq!((&result["cost_usd"], &result["input_tokens"]), (&json!("0.009"), &json!(2_000)));
    assert_eq!(output(&project), "all of it");
    let said = log(&project);
    for part in [
        "ANTHROPIC_BASE_URL=http://127.0.0.1:",
        "ANTHROPIC_AUTH_TOKEN=[redacted]",
        "/homes/",
        "version 2.1.329",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    for secret in [KEY, "SOME_KEY", "CLAUDECODE", "orc-attempt-"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
    for request in server.requests() {
        assert_eq!(request.header("x-api-key"), Some(KEY), "the real key");
    }
    let report = project.json(&["cost-report", "--by", "agent"]);
    assert_eq!(
        (&report["items"][0]["key"], &report["items"][0]["cost_usd"]),
        (&json!("dev"), &json!("0.009"))
    );
    assert_eq!(report["ledger"]["settled_usd"], "0.009");
    let agents = project.json(&["list-agents", "--search", "dev"]);
    schemas::check(&agents);
    assert_eq!(agents["items"][0]["mode"], "metered");
    // What it printed is kept, and its home is not.
    let task = project.json(&["task-details", "a"]).to_string();
    assert!(task.contains("transcript.jsonl"), "{task}");
    eventually("the home to go", || homes(&project).is_empty().then_some(()));
}

#[test]
fn what_no_rule_allows_is_denied_or_asked_for() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer("done"));
    let prompt = "[[run echo one > made]] [[run rm -rf made]] [[say over]]";
    let check = |more: &str, made: bool, part: &str| {
        let project = project(&server, more);
        execute(&project, prompt, &[]).expect(0);
        assert_eq!(project.path().join("made").exists(), made, "{more}");
        let said = log(&project);
        assert!(said.contains(part), "{part} in {said}");
    };
    check("live = false", false, "Bash was not allowed");
    check("live = false\npermissions = { allow = [\"run\"] }", false, "rm -rf");
}

#[test]
fn an_answer_has_the_form_that_is_asked_for() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer("{\"ok\": true}"));
    let project = project(&server, "");
    let schema =
        "    output: { type: object, required: [ok], properties: { ok: { type: boolean } } }\n";
    flow(&project, "[[say nothing of the kind]] [[ask]]", schema);
    project.ok(&["execute", "--workflow", "flow"]);
    assert_eq!(project.json(&["task-details", "a"])["output"], json!({ "ok": true }));
    flow(&project, "[[say nothing of the kind]]", schema);
    let ran = project.run(&["execute", "--workflow", "flow"]).expect(1);
    assert!(ran.stderr.contains("it holds no JSON"), "{}", ran.stderr);
}

#[test]
fn settings_that_it_cannot_work_with_are_named() {
    let server = ModelServer::start().expect("a server");
    for (settings, code, part) in [
        ("command = [\"/nowhere/claude\"]", "ORC-0569", "not there"),
        ("command = [\"no-such-program-here\"]", "ORC-0569", "docs/coding-agents.md"),
        ("command = [\"sh\"]\npermissions = { allow = [\"run(\"] }", "ORC-0678", "run("),
        ("command = [\"sh\"]\naccounts = [\"nobody\"]", "ORC-0515", "nobody"),
    ] {
        let project = project(&server, "");
        let text = project.read(".orchestrator/config.toml");
        let (providers, _) = text.split_once("[agents.dev]").expect("agents");
        let config = format!("{providers}[agents.dev]\nprovider = \"claude-code\"\n{settings}\n");
        project.write(".orchestrator/config.toml", &config);
        let agents = project.json(&["list-agents", "--search", "dev"]);
        let reason = agents["items"][0]["reason"].as_str().expect("a reason");
        assert!(reason.contains(code) && reason.contains(part), "{reason}");
    }
    // Without any key it has no way to its models, unless it has one of its own.
    let project = crate::harness::Project::new();
    let agent = "[agents.dev]\nprovider = \"claude-code\"\ncommand = [\"sh\"]\n";
    for (more, code) in [("", Some("ORC-0570")), ("mode = \"own-login\"\n", None)] {
        project.write(".orchestrator/config.toml", &format!("{agent}{more}"));
        let agents = project.json(&["list-agents", "--search", "dev"]);
        let reason = agents["items"][0]["reason"].as_str();
        assert_eq!(reason.map(|reason| reason[..8].to_owned()).as_deref(), code, "{agents}");
    }
}

#[test]
fn what_it_prints_of_secrets_is_hidden_everywhere() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "permissions = { allow = [\"run\"] }");
    execute(&project, "[[run echo $ANTHROPIC_AUTH_TOKEN]] [[env]] [[say ok]]", &[]).expect(0);
    let everything = project.ok(&["export", "latest"]).stdout;
    assert!(!everything.contains("orc-attempt-") && everything.contains("[redacted]"));
    let state = project.path().join(".orchestrator/state");
    for file in std::fs::read_dir(state).expect("state").map(|file| file.expect("a file").path()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let found = bytes.windows(12).any(|window| window == b"orc-attempt-");
        assert!(!found, "{} holds a token", file.display());
    }
}
