//! Programs that are agents and call models: metered, within a budget, with a token in place of keys.

use crate::{harness::Project, models, schemas};
use orchestrator_core::usage::{TokenCount, Usage};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::{Value, json};

const MODEL: &str = "claude-sonnet-4-5";
const KEY: &str = "sk-test-0123456789";

/// What the programs here are made of: `ask TOKEN MODEL [HEADER]` asks a model and sets `status`,
/// `begin` only reads the first line of the answer.
const FUNCTIONS: &str = r#"
open() {
  local place=${ORCHESTRATOR_GATEWAY_URL#http://}
  local body='{"model":"'$2'","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hello"}]}'
  exec 3<>"/dev/tcp/${place%:*}/${place##*:}"
  printf 'POST /anthropic/v1/messages HTTP/1.1\r\nhost: here\r\nconnection: close\r\n%s' "${3-}" >&3
  printf 'x-api-key: %s\r\nanthropic-version: 2023-06-01\r\ncontent-length: %s\r\n\r\n%s' "$1" "${#body}" "$body" >&3
}
begin() {
  open "$@"
  read -r version status rest <&3
}
ask() {
  begin "$@"
  answer=$(cat <&3)
  exec 3>&-
}
"#;

/// An answer that costs $0.0045.
fn answer() -> Reply {
    let usage = Usage { input: TokenCount(1_000), output: TokenCount(100), ..Usage::default() };
    Reply::text("done").usage(usage)
}

/// A project with an agent for each of `programs`, bash scripts by the names of the agents, and the
/// workflow of `flow`.
fn project(server: &ModelServer, programs: &[(&str, &str)], flow: &str) -> Project {
    let project = models::project(server, "anthropic", MODEL).with("ANTHROPIC_API_KEY", KEY);
    let mut config = project.read(".orchestrator/config.toml");
    for (name, script) in programs {
        project.write(&format!("{name}.sh"), &format!("set -u\n{FUNCTIONS}\n{script}\n"));
        config += &format!(
            "\n[agents.{name}]\nprovider = \"command\"\ncommand = [\"bash\", \"{name}.sh\"]\n\
             models = [\"claude-*\"]\n"
        );
    }
    project.write(".orchestrator/config.toml", &config);
    project.write(".orchestrator/workflows/flow.yaml", flow);
    project
}

fn ledger(project: &Project) -> Value {
    project.json(&["cost-report"])["ledger"].clone()
}

/// The cost of each row of the report by `group`.
fn rows(project: &Project, group: &str) -> Vec<(String, String)> {
    let report = project.json(&["cost-report", "--by", group]);
    schemas::check(&report);
    let items = report["items"].as_array().expect("items").iter();
    let text = |row: &Value, key: &str| row[key].as_str().expect("text").to_owned();
    items.map(|row| (text(row, "key"), text(row, "cost_usd"))).collect()
}

#[test]
fn what_a_program_spends_is_its_attempts_to_the_micro_dollar() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let script = format!(
        "cat\nenv\nask \"$ANTHROPIC_API_KEY\" {MODEL}\nask \"$ORCHESTRATOR_GATEWAY_TOKEN\" {MODEL}\n\
         echo \"said $status\""
    );
    let flow = "name: flow\ntasks:\n  a: { agent: caller, prompt: \"what is asked\" }\n  \
                b: { command: [echo, \"{{ tasks.a.cost }}\"], needs: [a] }\n";
    let project = project(&server, &[("caller", &script)], flow);
    let ran = project.run(&["execute", "--workflow", "flow", "--json"]).expect(0);
    let result = ran.last();
    schemas::check(&result);
    assert_eq!((&result["cost_usd"], &result["input_tokens"]), (&json!("0.009"), &json!(2_000)));

    let task = project.json(&["task-details", "a"]);
    let said = task["output"].as_str().expect("text");
    assert!(said.contains("what is asked") && said.contains("said 200"), "{said}");
    let run = task["run"].as_str().expect("a run").to_owned();
    for variable in [
        "ANTHROPIC_BASE_URL=http://127.0.0.1:",
        "OPENAI_BASE_URL=http://127.0.0.1:",
        "GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:",
        "ORCHESTRATOR_GATEWAY_URL=http://127.0.0.1:",
        "ANTHROPIC_API_KEY=[redacted]",
        "OPENAI_API_KEY=[redacted]",
        "GEMINI_API_KEY=[redacted]",
        "ORCHESTRATOR_GATEWAY_TOKEN=[redacted]",
    ] {
        assert!(said.contains(variable), "{variable} in {said}");
    }
    assert!(!said.contains(KEY) && !said.contains("SOME_KEY"), "{said}");
    for request in server.requests() {
        assert_eq!(request.header("x-api-key"), Some(KEY), "the real key");
    }
    assert_eq!(server.requests().len(), 2);

    let of = |key: &str| vec![(key.to_owned(), "0.009".to_owned())];
    assert_eq!(rows(&project, "agent"), of("caller"));
    assert_eq!(rows(&project, "model"), of(MODEL));
    assert_eq!(rows(&project, "provider"), of("scripted"));
    assert_eq!(rows(&project, "task"), of(&format!("{run}.a")));
    let ledger = ledger(&project);
    assert_eq!((&ledger["settled_usd"], &ledger["assumed_calls"]), (&json!("0.009"), &json!(0)));
    assert_eq!(project.json(&["run-details", "latest"])["cost_usd"], "0.009");
    let told = project.json(&["task-details", "b"])["output"].clone();
    assert_eq!(told, "0.009", "what a later task sees of it");
    // Nothing that was written knows the key or a token.
    let state = project.path().join(".orchestrator/state");
    for file in std::fs::read_dir(state).expect("state").map(|file| file.expect("a file").path()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for secret in [KEY.as_bytes(), b"orc-attempt-"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} holds a secret", file.display());
        }
    }
}

#[test]
fn a_program_stops_at_its_budget_and_its_run_goes_on_with_more() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let script = format!(
        "for n in 1 2; do\n  ask \"$ANTHROPIC_API_KEY\" {MODEL}\n  \
         if [ \"$status\" != 200 ]; then echo \"stopped: $status\" >&2; exit 1; fi\ndone\necho ok"
    );
    let flow = "name: flow\ntasks:\n  a: { agent: caller, prompt: x }\n";
    let project = project(&server, &[("caller", &script)], flow);
    let ran = project.run(&["execute", "--workflow", "flow", "--budget", "0.006"]).expect(5);
    assert!(ran.stderr.contains("may spend $0.006 in all: $0.0045 spent"), "{}", ran.stderr);
    assert!(ran.stderr.contains("stopped: 402"), "{}", ran.stderr);
    assert_eq!(server.requests().len(), 1, "the second call never went out");
    assert_eq!(project.json(&["run-details", "latest"])["cost_usd"], "0.0045");
    let why = project.ok(&["why", "a"]).stdout;
    assert!(why.contains("the budget is used up") && why.contains("--budget USD"), "{why}");
    project.run(&["resume", "latest", "--budget", "0.0061"]).expect(5);
    let ran = project.run(&["resume", "latest", "--budget", "0.5", "--json"]).expect(0);
    assert_eq!(ran.last()["cost_usd"], "0.0135", "the first attempt's call counts");
    assert_eq!(rows(&project, "agent"), [("caller".to_owned(), "0.0135".to_owned())]);
    assert_eq!(ledger(&project)["settled_usd"], "0.0135");
}

#[test]
fn a_token_is_worth_its_attempt_its_run_and_its_models_alone() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let first = "echo \"$ORCHESTRATOR_GATEWAY_TOKEN\" > token; echo kept";
    let second = format!(
        "old=$(cat token)\nown=$ORCHESTRATOR_GATEWAY_TOKEN\n\
         ask \"$old\" {MODEL}; echo \"old $status\"\n\
         ask orc-attempt-forged {MODEL}; echo \"forged $status\"\n\
         ask \"$own\" gpt-4o; echo \"model $status\"\n\
         ask \"$own\" {MODEL} $'x-orchestrator-run: r_other\\r\\n'; echo \"run $status\"\n\
         ask \"$own\" {MODEL} \"x-orchestrator-run: $ORCHESTRATOR_RUN\"$'\\r\\n'; echo \"own $status\""
    );
    let flow = "name: flow\ntasks:\n  a: { agent: first, prompt: x }\n  \
                b: { agent: second, prompt: x, needs: [a] }\n";
    let project = project(&server, &[("first", first), ("second", &second)], flow);
    project.ok(&["execute", "--workflow", "flow"]);
    let said = project.json(&["task-details", "b"])["output"].clone();
    assert_eq!(said, "old 401\nforged 401\nmodel 403\nrun 403\nown 200");
    assert_eq!(server.requests().len(), 1, "what was refused never went out");
    assert!(project.read("token").starts_with("orc-attempt-"));
}

#[test]
fn a_call_that_outlives_its_program_counts_as_what_it_held() {
    let server = ModelServer::start().expect("a server");
    server.next(answer().hang_after(2));
    server.otherwise(answer());
    let script = format!("begin \"$ANTHROPIC_API_KEY\" {MODEL}; echo \"left at $status\"");
    let flow = "name: flow\ntasks:\n  a: { agent: caller, prompt: x }\n";
    let project = project(&server, &[("caller", &script)], flow);
    let ran = project.run(&["execute", "--workflow", "flow", "--json"]).expect(0);
    let ledger = ledger(&project);
    assert_eq!((&ledger["held_calls"], &ledger["assumed_calls"]), (&json!(0), &json!(1)));
    assert_eq!(ran.last()["cost_usd"], ledger["assumed_usd"], "at the most that it can have cost");
    assert_ne!(ledger["assumed_usd"], "0");
}

#[test]
fn nothing_is_lost_when_the_engine_is_killed_amid_a_call() {
    let server = ModelServer::start().expect("a server");
    server.next(answer());
    server.next(answer().hang_after(2));
    server.otherwise(answer());
    let script = format!("for n in 1 2; do ask \"$ANTHROPIC_API_KEY\" {MODEL}; done; echo ok");
    let flow = "name: flow\ntasks:\n  a: { agent: caller, prompt: x }\n";
    let project = project(&server, &[("caller", &script)], flow);
    let mut running = project.start(&["execute", "--workflow", "flow", "--budget", "1"]);
    server.wait_for_requests(2);
    running.kill();
    assert_ne!(ledger(&project)["held_calls"], 0);
    let ran = project.run(&["resume", "latest", "--json"]).expect(0);
    let after = ledger(&project);
    assert_eq!(after["held_calls"], 0);
    assert_ne!(after["assumed_calls"], 0, "what was under way is in doubt");
    let micro = |usd: &Value| {
        let usd: orchestrator_core::money::MicroUsd = usd.as_str().unwrap().parse().unwrap();
        usd.0
    };
    let all = micro(&after["settled_usd"]) + micro(&after["assumed_usd"]);
    assert_eq!(micro(&ran.last()["cost_usd"]), all, "what was lost with the process, once");
    let details = project.json(&["task-details", "a"]);
    assert_eq!(micro(&details["cost_usd"]), all);
    let report = project.json(&["cost-report", "--by", "agent"]);
    assert_eq!(
        (&report["items"][0]["key"], micro(&report["items"][0]["cost_usd"])),
        (&json!("caller"), all)
    );
    assert_eq!(report["items"][0]["requests"], 4);
}

#[test]
fn a_program_answers_in_the_form_that_is_asked_for() {
    let server = ModelServer::start().expect("a server");
    let script = "told=$(cat)\ncase $told in\n  *'does not fit'*) echo 'Here: {\"ok\": true}' ;;\n  \
                  *) echo '{\"ok\": 1}' ;;\nesac";
    let flow = "name: flow\ntasks:\n  a:\n    agent: caller\n    prompt: x\n    output: \
                { type: object, required: [ok], properties: { ok: { type: boolean } } }\n";
    let project = project(&server, &[("caller", script)], flow);
    project.ok(&["execute", "--workflow", "flow"]);
    let details = project.json(&["task-details", "a"]);
    assert_eq!(details["output"], json!({ "ok": true }));
    assert_eq!(details["attempts"], 2, "it was told what does not fit");
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn one_program_is_enough_for_every_template() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let project = Project::new();
    let script = format!(
        "{FUNCTIONS}\ntold=$(cat)\nask \"$ANTHROPIC_API_KEY\" {MODEL}\n\
         echo '{{\"approved\": true, \"feedback\": \"\"}}'"
    );
    project.write("caller.sh", &script);
    let config = format!(
        "[providers.lab]\nkind = \"anthropic\"\nbase-url = \"{}\"\n\n\
         [agents.caller]\nrole = \"dev\"\nprovider = \"command\"\ncommand = [\"bash\", \"caller.sh\"]\n",
        server.url()
    );
    project.write(".orchestrator/config.toml", &config);
    let ran = project.run(&["execute", "add a flag", "--json"]).expect(0);
    let asked = server.requests().len() as u64;
    assert!(asked >= 2, "who does it and who reviews it");
    assert_eq!(ran.last()["input_tokens"], 1_000 * asked);
}

#[test]
fn an_agent_that_cannot_run_its_program_says_why() {
    let server = ModelServer::start().expect("a server");
    let project = models::project(&server, "anthropic", MODEL);
    let config = project.read(".orchestrator/config.toml");
    for (settings, code, part) in [
        ("provider = \"command\"", "ORC-0518", "no `command` names it"),
        (
            "provider = \"command\"\ncommand = [\"true\"]\nmode = \"own-login\"",
            "ORC-0519",
            "own-login",
        ),
        (
            "provider = \"command\"\ncommand = [\"true\"]\naccounts = [\"scriptd\"]",
            "ORC-0515",
            "scripted",
        ),
        (
            "provider = \"scripted\"\nmodel = \"m\"\ncommand = [\"true\"]",
            "ORC-0518",
            "for programs",
        ),
    ] {
        let config = format!("{config}\n[agents.caller]\n{settings}\n");
        project.write(".orchestrator/config.toml", &config);
        let agents = project.json(&["list-agents", "--search", "caller"]);
        let reason = agents["items"][0]["reason"].as_str().expect("a reason");
        assert!(reason.contains(code) && reason.contains(part), "{reason}");
    }
}

#[test]
fn what_a_program_asks_is_recorded_and_replayed() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let script = format!(
        "ask \"$ANTHROPIC_API_KEY\" {MODEL}\necho \"said $status\"\nprintf '%s\\n' \"$answer\" | grep '^data:'"
    );
    let flow = "name: flow\ntasks:\n  a: { agent: caller, prompt: \"what is asked\" }\n";
    let project = project(&server, &[("caller", &script)], flow);
    let said = |result: &Value| {
        let run = result["run"].as_str().expect("a run");
        let task = project.json(&["task-details", &format!("{run}.a")]);
        task["output"].as_str().expect("text").to_owned()
    };
    let execute = |option: &str| {
        let arguments = ["execute", "--workflow", "flow", "--json", option, "calls.cassette"];
        project.run(&arguments).expect(0).last()
    };
    let recorded = said(&execute("--record"));
    assert!(recorded.contains("said 200") && recorded.contains("message_stop"), "{recorded}");
    let cassette = project.read("calls.cassette");
    assert!(cassette.contains("/anthropic/v1/messages"), "{cassette}");
    assert!(!cassette.contains(KEY) && !cassette.contains("orc-attempt-"), "{cassette}");
    let before = ledger(&project);
    drop(server);
    let replay = execute("--replay");
    schemas::check(&replay);
    assert_eq!((&replay["replayed"], said(&replay)), (&json!(true), recorded));
    assert_eq!(ledger(&project), before, "nothing was spent");
}

#[test]
fn what_a_program_hung_up_on_is_recorded_and_replayed() {
    let server = ModelServer::start().expect("a server");
    server.next(answer().hang_after(2));
    server.otherwise(answer());
    let script = format!(
        "begin \"$ANTHROPIC_API_KEY\" {MODEL}\necho \"left at $status\"\nexec 3>&-\n\
         ask \"$ANTHROPIC_API_KEY\" {MODEL}\nprintf '%s\\n' \"$answer\" | grep '^data:'"
    );
    let flow = "name: flow\ntasks:\n  a: { agent: caller, prompt: x }\n";
    let project = project(&server, &[("caller", &script)], flow);
    let said = |option: &str| {
        let arguments = ["execute", "--workflow", "flow", "--json", option, "calls.cassette"];
        let result = project.run(&arguments).expect(0).last();
        let run = result["run"].as_str().expect("a run").to_owned();
        project.json(&["task-details", &format!("{run}.a")])["output"].clone()
    };
    let recorded = said("--record");
    let text = recorded.as_str().expect("text");
    assert!(text.contains("left at 200") && text.contains("message_stop"), "{text}");
    drop(server);
    let cassette = project.read("calls.cassette");
    assert!(cassette.contains("\"stopped\":{\"by\":\"caller\""), "{cassette}");
    assert!(!cassette.contains(KEY) && !cassette.contains("orc-attempt-"), "{cassette}");
    assert_eq!(said("--replay"), recorded);
}

/// A project with three providers, one of another form, and the agent `caller`, whose model is a rule
/// that lists them.
fn with_a_rule(server: &ModelServer, script: &str, agent: &str) -> Project {
    let project = Project::new().with("SOME_KEY", KEY);
    let url = server.url();
    let provider = |name: &str, kind: &str, url: &str| {
        format!(
            "[providers.{name}]\nkind = \"{kind}\"\nbase-url = \"{url}\"\nkey = {{ env = \"SOME_KEY\" }}\n"
        )
    };
    let config = provider("chat", "openai-chat", &format!("{url}/v1"))
        + &provider("one", "anthropic", &url)
        + &provider("two", "anthropic", &url)
        + "[models.house]\nuse = [\"chat/gpt-4o\", \"one/claude-sonnet-4-5\", \"two/claude-haiku-4-5\"]\n"
        + &format!(
            "[agents.caller]\nprovider = \"command\"\ncommand = [\"bash\", \"caller.sh\"]\n{agent}\n"
        );
    project.write(".orchestrator/config.toml", &config);
    project.write("caller.sh", &format!("set -u\n{FUNCTIONS}\n{script}\n"));
    let flow = "name: flow\ntasks:\n  a: { agent: caller, prompt: x }\n";
    project.write(".orchestrator/workflows/flow.yaml", flow);
    project
}

#[test]
fn a_program_asks_for_a_rule_and_its_models_take_over_for_each_other() {
    let server = ModelServer::start().expect("a server");
    server.next(Reply::error(529, "overloaded_error", "Overloaded"));
    server.otherwise(answer());
    let script = "echo \"my model is $ORCHESTRATOR_MODEL\"\n\
        for n in 1 2; do\n  ask \"$ANTHROPIC_API_KEY\" \"$ORCHESTRATOR_MODEL\"\n  echo \"said $status\"\n  \
        printf '%s\\n' \"$answer\" | tr -d '\\r' | grep '^x-orchestrator-'\ndone";
    let project = with_a_rule(&server, script, "model = \"house\"");
    let execute = |option: &str| {
        let arguments = ["execute", "--workflow", "flow", "--json", option, "calls.cassette"];
        let result = project.run(&arguments).expect(0).last();
        let run = result["run"].as_str().expect("a run").to_owned();
        let task = project.json(&["task-details", &format!("{run}.a")]);
        schemas::check(&task);
        (run, task)
    };
    let (run, task) = execute("--record");
    let exchange = json!({ "$ref": "#/$defs/exchange" });
    for line in project.read("calls.cassette").lines().skip(1) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        schemas::check_part("orchestrator.cassette/v2", &exchange, &line);
        assert_eq!(line["request"]["body"]["model"], "house", "as it was asked");
        assert_eq!(line["response"]["routing"]["rule"], "house");
    }
    let said = task["output"].as_str().expect("text");
    assert!(said.contains("my model is house\nsaid 200"), "{said}");
    let lines = [
        "x-orchestrator-rule: house",
        "x-orchestrator-model: two/claude-haiku-4-5",
        "x-orchestrator-failed: one/claude-sonnet-4-5 overloaded",
    ];
    for line in lines {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(
        said.matches(lines[2]).count(),
        1,
        "the second call begins with the one that answers"
    );
    let asked = server.requests();
    let models: Vec<&str> = asked.iter().map(|request| request.model()).collect();
    assert_eq!(models, ["claude-sonnet-4-5", "claude-haiku-4-5", "claude-haiku-4-5"]);

    let calls = task["calls"].as_array().expect("a list");
    assert_eq!(calls.len(), 2, "{task}");
    assert_eq!(
        (&calls[0]["provider"], &calls[0]["model"]),
        (&json!("two"), &json!("claude-haiku-4-5"))
    );
    assert_eq!((&calls[0]["rule"], &calls[0]["source"]), (&json!("house"), &json!("called")));
    let failed = &calls[0]["failed"][0];
    assert_eq!(
        (&failed["model"], &failed["class"]),
        (&json!("claude-sonnet-4-5"), &json!("overloaded"))
    );
    assert_eq!(calls[1]["failed"], json!([]));
    let logs = project.ok(&["logs", &format!("{run}.a")]).stdout;
    assert!(logs.contains("model `two/claude-haiku-4-5` is asked instead"), "{logs}");
    assert!(logs.contains("by rule `house`"), "{logs}");
    // Two answers of 1,000 tokens in and 100 out, at the price of the model that gave them.
    let cost = "0.003".to_owned();
    assert_eq!(rows(&project, "model"), [("claude-haiku-4-5".to_owned(), cost.clone())]);
    assert_eq!(rows(&project, "provider"), [("two".to_owned(), cost.clone())]);
    assert_eq!(task["cost_usd"], json!(cost));
    drop(server);
    let again = execute("--replay").1;
    assert_eq!(again["output"], task["output"]);
    assert_eq!(again["calls"], task["calls"], "which models answered is part of the recording");
}

#[test]
fn a_program_that_knows_only_names_of_models_falls_back_along_its_agents_rule() {
    let server = ModelServer::start().expect("a server");
    server.next(Reply::error(529, "overloaded_error", "Overloaded"));
    server.otherwise(answer());
    let script = "ask \"$ANTHROPIC_API_KEY\" claude-sonnet-4-5; echo \"listed $status\"\n\
        ask \"$ANTHROPIC_API_KEY\" claude-opus-5-5; echo \"other $status\"";
    let project = with_a_rule(&server, script, "model = \"house\"");
    project.ok(&["execute", "--workflow", "flow"]);
    let task = project.json(&["task-details", "a"]);
    assert_eq!(task["output"], "listed 200\nother 403");
    assert_eq!(
        (&task["calls"][0]["model"], &task["calls"][0]["rule"]),
        (&json!("claude-haiku-4-5"), &Value::Null)
    );
}

#[test]
fn a_rule_without_a_model_for_the_path_says_what_is_left_out() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let script = "for rule in talk cheap; do\n  ask \"$ANTHROPIC_API_KEY\" $rule; echo \"$rule $status $answer\"\ndone";
    let agent = "models = [\"*-haiku-*\"]\n[models.talk]\nuse = [\"chat/gpt-4o\"]";
    let project = with_a_rule(&server, script, agent);
    project.ok(&["execute", "--workflow", "flow"]);
    let said = project.json(&["task-details", "a"])["output"].as_str().expect("text").to_owned();
    assert!(said.contains("talk 404") && said.contains("ORC-0563"), "{said}");
    assert!(said.contains("`chat/gpt-4o` (its provider speaks another form)"), "{said}");
    // Of all that is cheap, the token may use the one.
    assert!(said.contains("cheap 200"), "{said}");
    assert!(said.contains("x-orchestrator-model: two/claude-haiku-4-5"), "{said}");
}

#[test]
fn auto_chooses_for_a_program_by_the_work_of_its_attempt() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer());
    let script = "ask \"$ANTHROPIC_API_KEY\" auto; echo \"$answer\" | grep '^x-orchestrator-model'";
    let rule = "[models.auto]\nuse = [\"two/claude-haiku-4-5\", \"one/claude-sonnet-4-5\", \"one/claude-opus-4-5\"]";
    for (role, model) in [("docs", "claude-haiku-4-5"), ("dev", "claude-sonnet-4-5")] {
        let project =
            with_a_rule(&server, script, &format!("model = \"auto\"\nrole = \"{role}\"\n{rule}"));
        project.ok(&["execute", "--workflow", "flow"]);
        let task = project.json(&["task-details", "a"]);
        assert!(task["output"].as_str().expect("text").contains(model), "{role}: {task}");
        let why = task["calls"][0]["why"].as_str().expect("a reason");
        assert!(why.starts_with("rule `auto`: complexity") && why.contains("role"), "{why}");
    }
}
