//! What coding CLIs do wrong, and what becomes of it.

use super::{answer, execute, flow, log, output, project};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::json;

#[test]
fn it_stops_at_its_budget_and_goes_on_in_its_session_with_more() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer("done"));
    let project = project(&server, "");
    let prompt = "[[ask]] [[ask]] [[say over]]";
    flow(&project, prompt, "");
    let ran = project.run(&["execute", "--workflow", "flow", "--budget", "0.006"]).expect(5);
    assert!(ran.stderr.contains("may spend $0.006 in all: $0.0045 spent"), "{}", ran.stderr);
    assert_eq!(server.requests().len(), 1, "the second call never went out");
    assert_eq!(project.json(&["run-details", "latest"])["cost_usd"], "0.0045");
    let ran = project.run(&["resume", "latest", "--budget", "0.5", "--json"]).expect(0);
    assert_eq!(ran.last()["cost_usd"], "0.009");
    assert_eq!(server.requests().len(), 2, "the first call was not made again");
    assert_eq!(output(&project), "over");
}

#[test]
fn a_limit_of_its_provider_is_waited_for() {
    let server = ModelServer::start().expect("a server");
    let limited = || Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "1");
    server.next(limited());
    server.next(limited());
    server.otherwise(answer("after all"));
    let project = project(&server, "");
    execute(&project, "[[ask]]", &[]).expect(0);
    assert_eq!(output(&project), "after all");
    let task = project.json(&["task-details", "a"]);
    assert_eq!(task["attempts"], 2, "{task}");
    assert!(log(&project).contains("HTTP 429"));
}

#[test]
fn what_it_prints_wrong_is_counted_and_its_work_counts() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "");
    let prompt = "[[garbage]] [[novel]] [[huge]] [[novel]] [[garbage]] [[say over]]";
    execute(&project, prompt, &[]).expect(0);
    assert_eq!(output(&project), "over");
    let said = log(&project);
    for part in ["this is no JSON", "system/moon_phase (2 times)", "bytes of it were not read"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn exit_code_0_alone_is_no_success() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "");
    let flow = "name: flow\ntasks:\n  a: { agent: dev, prompt: \"[[silent]]\", retry: { max-attempts: 1 } }\n";
    project.write(".orchestrator/workflows/flow.yaml", flow);
    let ran = project.run(&["execute", "--workflow", "flow"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("did not say that its work is done"), "{}", ran.stderr);
    let task = project.json(&["task-details", "a"]);
    assert_eq!(task["status"], json!("failed"));
}

#[test]
fn one_that_is_quiet_is_stopped_with_all_that_it_started() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "limits = { first-event = \"20s\", idle = \"1s\" }");
    let flow = "name: flow\ntasks:\n  a: { agent: dev, prompt: \"[[orphan]] [[hang]]\", retry: { max-attempts: 1 } }\n";
    project.write(".orchestrator/workflows/flow.yaml", flow);
    let ran = project.run(&["execute", "--workflow", "flow"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("it said nothing more for 1s"), "{}", ran.stderr);
    let orphan = project.read("orphan");
    let status = std::fs::read_to_string(format!("/proc/{}/stat", orphan.trim()));
    assert!(status.is_err() || status.is_ok_and(|text| text.contains(") Z ")), "it is gone");
}

#[test]
fn nobody_keeps_it_waiting_at_its_standard_input() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "live = false");
    execute(&project, "[[stdin]] [[say over]]", &[]).expect(0);
    assert_eq!(output(&project), "over");
}

#[test]
fn one_with_its_own_login_is_counted_as_it_tells_and_stopped_after_one_turn() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "mode = \"own-login\"");
    let login = project.home().join(".claude");
    std::fs::create_dir_all(&login).expect("a home");
    std::fs::write(login.join(".credentials.json"), "the login").expect("a login");
    std::fs::write(login.join("settings.json"), "not this").expect("settings");
    // It tells of all that it used at its end: three calls of $0.0045, which are too much.
    let first =
        "[[run ls -A $HOME/.claude; cat $HOME/.claude/.credentials.json]] [[use 3]] [[say one]]";
    let flow = format!(
        "name: flow\ntasks:\n  a: {{ agent: dev, prompt: \"{first}\" }}\n  \
         b: {{ agent: dev, prompt: \"[[use 1]] [[say two]]\", needs: [a] }}\n"
    );
    project.write(".orchestrator/workflows/flow.yaml", &flow);
    let rules = project.read(".orchestrator/config.toml") + "permissions = { allow = [\"run\"] }\n";
    project.write(".orchestrator/config.toml", &rules);
    let ran = project.run(&["execute", "--workflow", "flow", "--budget", "0.01"]).expect(5);
    assert!(ran.stderr.contains("$0.0135 spent"), "{}", ran.stderr);
    assert_eq!(server.requests().len(), 0, "nothing goes through the gateway");
    let said = log(&project);
    for part in ["works with its own login", "passed by one turn"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let told = project.ok(&["export", "latest"]).stdout;
    assert!(told.contains("the login") && !told.contains("settings.json"), "{told}");
    let settled = || project.json(&["cost-report"])["ledger"]["settled_usd"].clone();
    assert_eq!(settled(), json!("0.0135"));
    let listed = project.ok(&["list-agents"]).stdout;
    assert!(listed.contains("claude-code (own login)"), "{listed}");
    let ran = project.run(&["resume", "latest", "--budget", "1", "--json"]).expect(0);
    assert_eq!(ran.last()["cost_usd"], json!("0.018"));
    assert_eq!(settled(), json!("0.018"));
}

#[test]
fn one_with_its_own_login_says_that_its_sandbox_lets_it_talk_to_nobody() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "mode = \"own-login\"");
    flow(&project, "[[say over]]", "    workspace: none\n");
    let ran = project.run(&["execute", "--workflow", "flow"]).expect(1);
    assert!(ran.stderr.contains("ORC-0573"), "{}", ran.stderr);
    let open = project.read(".orchestrator/config.toml") + "network = \"all\"\n";
    project.write(".orchestrator/config.toml", &open);
    project.ok(&["execute", "--workflow", "flow"]);
    assert_eq!(output(&project), "over");
}

#[test]
fn in_the_sandbox_it_reaches_the_gateway_and_its_home_and_nothing_else_of_the_users() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer("asked"));
    let project = project(&server, "permissions = { allow = [\"run\"] }");
    let ssh = project.home().join(".ssh");
    std::fs::create_dir_all(&ssh).expect("a directory");
    std::fs::write(ssh.join("id"), "a private key").expect("a key");
    let prompt = format!(
        "[[run cat {0}/.ssh/id; touch {0}/outside; touch $HOME/inside; ls -A $HOME/inside]] [[ask]]",
        project.home().display()
    );
    flow(&project, &prompt, "    workspace: none\n");
    project.ok(&["execute", "--workflow", "flow"]);
    assert_eq!(output(&project), "asked");
    let told = project.ok(&["export", "latest"]).stdout;
    assert!(!told.contains("a private key") && told.contains("/home/inside"), "{told}");
    assert!(!project.home().join("outside").exists());
}

#[test]
fn one_that_is_too_old_is_stopped_at_its_first_word() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "arguments = [\"--be-version\", \"2.0.14\"]");
    flow(&project, "[[ask]]", "");
    let ran = project.run(&["execute", "--workflow", "flow"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("is version 2.0.14, and 2.1.329 or later"), "{}", ran.stderr);
}
