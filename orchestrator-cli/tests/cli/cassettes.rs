//! Runs that are recorded, and replayed without server or key.

use crate::{
    harness::{Project, Ran, Running, eventually},
    schemas,
};
use orchestrator_testkit::model_server::{ModelServer, Reply};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

const KEY: &str = "sk-test-0123456789-abcdef";

fn example(name: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/replay").join(name);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Settings whose agents `dev` and `qa` are on the server at `url`.
fn settings(url: &str) -> String {
    let mut settings = format!(
        "[providers.anthropic]\nkind = \"anthropic\"\nbase-url = \"{url}\"\nkey = {{ env = \"SOME_KEY\" }}\n"
    );
    for role in ["dev", "qa"] {
        settings +=
            &format!("[agents.{role}]\nprovider = \"anthropic\"\nmodel = \"claude-sonnet-4-5\"\n");
    }
    settings
}

/// A project with the files of the example.
fn project(url: &str) -> Project {
    let project = Project::new();
    project.write(".orchestrator/config.toml", &settings(url));
    project.write("tour.yaml", &example("tour.yaml"));
    project.write("phrase.yaml", &example("phrase.yaml"));
    project
}

/// True the first `times` times.
fn first(times: usize) -> impl Fn() -> bool + Send {
    let count = AtomicUsize::new(0);
    move || count.fetch_add(1, Ordering::SeqCst) < times
}

/// Scripts the models of the example.
fn script(server: &ModelServer) {
    let mends = |text: &'static str| {
        move |request: &orchestrator_testkit::model_server::ModelRequest| {
            request.last_user_message().contains(text)
        }
    };
    let sights = json!({ "sights": ["the tower of Belém", "the castle"] });
    server.when("does not fit the JSON Schema", Reply::json(&sights));
    server.when("Name two sights", Reply::text("The tower and the castle."));
    let (is_weather, once) = (mends("weather"), first(1));
    server.when_request(
        move |request| is_weather(request) && once(),
        Reply::error(503, "api_error", "try again later"),
    );
    server.when("weather", Reply::text("Sunny, mostly."));
    let (is_check, once) = (mends("Judge:"), first(1));
    let verdict = |approved: bool| json!({ "approved": approved, "feedback": "say more" });
    server.when_request(move |request| is_check(request) && once(), Reply::json(&verdict(false)));
    server.when("Judge:", Reply::json(&verdict(true)));
    server.when("say more", Reply::text("It is old, tall and well worth the climb."));
    server.when("Describe", Reply::text("It is old."));
    for answer in ["seven", "eleven", "two"] {
        let (is_draw, once) = (mends("Draw a number"), first(1));
        let flag = AtomicBool::new(false);
        server.when_request(
            move |request| is_draw(request) && !flag.swap(true, Ordering::SeqCst) && once(),
            Reply::text(answer),
        );
    }
    for answer in ["Where is the station?", "Thank you."] {
        let is_phrase = mends("traveller");
        let flag = AtomicBool::new(false);
        server.when_request(
            move |request| is_phrase(request) && !flag.swap(true, Ordering::SeqCst),
            Reply::text(answer),
        );
    }
}

/// What can be compared of the tasks of a run.
fn left(project: &Project, run: &str) -> BTreeMap<String, Value> {
    let tasks = project.json(&["list-tasks", "--run", run, "--limit", "1000"]);
    let tasks = tasks["items"].as_array().expect("items").clone();
    let compared = tasks.iter().map(|task| {
        let details = project.json(&["task-details", task["id"].as_str().expect("an id")]);
        schemas::check(&details);
        let parts = ["status", "output", "attempts", "agent", "cost_usd", "input_tokens"];
        let parts = parts.map(|part| (part.to_owned(), details[part].clone()));
        let name = task["name"].as_str().expect("a name").to_owned();
        (name, Value::Object(parts.into_iter().collect()))
    });
    compared.collect()
}

fn id(result: &Value) -> &str {
    result["run"].as_str().expect("an id")
}

/// Records the example; gives the project, the last line of the run, and the cassette.
fn record(server: &ModelServer) -> (Project, Value, String) {
    script(server);
    let project = project(&server.url()).with("SOME_KEY", KEY);
    let arguments = ["execute", "--workflow", "tour.yaml", "--record", "t.cassette", "--json"];
    let result = project.ok(&arguments).last();
    schemas::check(&result);
    assert_eq!((&result["status"], &result["replayed"]), (&json!("succeeded"), &json!(false)));
    let cassette = project.read("t.cassette");
    (project, result, cassette)
}

fn lines(cassette: &str) -> Vec<Value> {
    cassette.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn a_recorded_run_replays_to_the_last_byte_without_server_key_or_cost() {
    let server = ModelServer::start().expect("a server");
    let (recorded, result, cassette) = record(&server);
    let asked = server.requests().len();
    assert_eq!(lines(&cassette).len(), 1 + asked, "one line an exchange");
    assert!(!cassette.contains(KEY), "the key");
    let url = server.url();
    drop(server);
    // Whoever tries to connect now is noticed.
    let address = url.strip_prefix("http://").expect("an address");
    let silent = TcpListener::bind(address).expect("the port is free again");
    silent.set_nonblocking(true).expect("a socket");

    let replayed = project(&url);
    replayed.write("t.cassette", &cassette);
    let arguments = ["execute", "--workflow", "tour.yaml", "--replay", "t.cassette", "--json"];
    let again = replayed.ok(&arguments).last();
    schemas::check(&again);
    assert_eq!((&again["status"], &again["replayed"]), (&json!("succeeded"), &json!(true)));
    for part in ["cost_usd", "input_tokens", "output_tokens", "unpriced_requests"] {
        assert_eq!(again[part], result[part], "{part}");
    }
    assert_eq!(left(&replayed, id(&again)), left(&recorded, id(&result)));
    let report = |project: &Project| project.ok(&["run-details", "latest", "--report"]).stdout;
    assert_eq!(report(&replayed), report(&recorded));
    assert!(silent.accept().is_err(), "somebody has connected");

    // Nothing of it counts as spent, and it says that it was replayed.
    assert_ne!(result["cost_usd"], "0");
    let costs = replayed.json(&["cost-report", "--run", "latest"]);
    schemas::check(&costs);
    assert_eq!(costs["total"]["cost_usd"], "0", "{costs}");
    assert_eq!((&costs["replayed"], &costs["ledger"]["settled_calls"]), (&json!(true), &json!(0)));
    let told = replayed.ok(&["cost-report", "--run", "latest"]).stderr;
    assert!(told.contains("nothing of it was spent"), "{told}");
    assert!(replayed.ok(&["run-details", "latest"]).stdout.contains("models were not called"));
    assert_eq!(replayed.json(&["status", "latest"])["replayed"], true);
    let first = replayed.ok(&["logs", "latest", "--json"]).stdout;
    assert!(!first.contains(KEY));
    assert_ne!(recorded.json(&["cost-report"])["total"]["cost_usd"], "0");

    // A project without settings finds the agents in the cassette, and people are told alike.
    let bare = Project::new();
    for name in ["tour.yaml", "phrase.yaml"] {
        bare.write(name, &example(name));
    }
    bare.write("t.cassette", &cassette);
    let told = bare.ok(&["execute", "--workflow", "tour.yaml", "--replay", "t.cassette"]);
    assert!(told.stderr.contains("as recorded; nothing was spent"), "{}", told.stderr);
    assert_eq!(left(&bare, "latest").len(), left(&recorded, id(&result)).len());
    let plan = ["execute", "--workflow", "tour.yaml", "--replay", "t.cassette", "--dry-run"];
    assert_eq!(bare.json(&plan)["calls_models"], true);
}

#[test]
fn the_cassette_of_the_examples_is_what_a_recording_of_today_writes_and_replays() {
    let kept = example("tour.cassette");
    let server = ModelServer::start().expect("a server");
    let (_, _, cassette) = record(&server);
    let url = server.url();
    let address = url.strip_prefix("http://").expect("an address");
    let cassette = cassette.replace(address, "127.0.0.1:1");
    // For whoever changes the example: the cassette to put beside it.
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tour.cassette");
    fs::write(&made, &cassette).expect("a file");
    let (mut new, mut old) = (lines(&cassette), lines(&kept));
    for header in [&mut new[0], &mut old[0]] {
        schemas::check(header);
        let header = header.as_object_mut().expect("an object");
        assert!(header.remove("id").is_some() && header.remove("program").is_some());
    }
    // The one of the examples is of the first version: a later one reads it, and adds to what it says.
    assert_eq!(old[0]["schema"].take(), "orchestrator.cassette/v1");
    assert_eq!(new[0]["schema"].take(), "orchestrator.cassette/v2");
    let exchange = json!({ "$ref": "#/$defs/exchange" });
    for line in &new[1..] {
        schemas::check_part("orchestrator.cassette/v2", &exchange, line);
    }
    // Tasks that need nothing of each other end in any order.
    for exchanges in [&mut new[1..], &mut old[1..]] {
        exchanges.sort_by_key(Value::to_string);
    }
    assert_eq!(new, old, "what was written: {}", made.display());

    drop(server);
    let bare = Project::new();
    for name in ["tour.yaml", "phrase.yaml", "tour.cassette"] {
        bare.write(name, &example(name));
    }
    let arguments = ["execute", "--workflow", "tour.yaml", "--replay", "tour.cassette", "--json"];
    let result = bare.ok(&arguments).last();
    assert_eq!(result["status"], "succeeded", "{result}");
}

#[test]
fn an_edited_prompt_is_told_with_the_nearest_request_and_the_difference() {
    let project = Project::new();
    project.write("tour.yaml", &example("tour.yaml").replace("Draw a number.", "Draw a card."));
    project.write("phrase.yaml", &example("phrase.yaml"));
    project.write("tour.cassette", &example("tour.cassette"));
    let arguments = ["execute", "--workflow", "tour.yaml", "--replay", "tour.cassette"];
    let ran = project.run(&arguments).expect(1);
    let told = "recorded `Draw a number.`, asked `Draw a card.`";
    for said in [
        ran.stderr.clone(),
        project.ok(&["why", "luck:0"]).stdout,
        project.ok(&["task-details", "luck:0"]).stdout,
    ] {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(told) && said.contains("ORC-0551"), "{said}");
        assert!(said.contains("(task `luck:"), "{said}");
    }
    let task = project.json(&["task-details", "luck:0"]);
    assert_eq!(task["attempts"], 1, "what is not there is not asked for again");
    assert_eq!(task["error"]["class"], "invalid_request");
}

/// A workflow that stops between two equal questions until a file is there.
const GATED: &str = "name: gated\ntasks:\n  \
    one: { agent: dev, prompt: Draw a number. }\n  \
    gate: { needs: [one], command: [sh, -c, 'until test -f go; do sleep 0.02; done; echo open'] }\n  \
    two: { needs: [gate], agent: dev, prompt: Draw a number. }\n  \
    three: { needs: [two], agent: dev, prompt: 'After {{ tasks.one.output }} and {{ tasks.two.output }}' }\n";

fn gated(url: &str) -> Project {
    let project = Project::new();
    project.write(".orchestrator/config.toml", &settings(url));
    project.write("gated.yaml", GATED);
    project
}

/// Starts it, and kills it at the gate.
fn killed_at_the_gate(project: &Project, arguments: &[&str]) {
    let mut running = project.start(arguments);
    running.until("the gate", |line| line["type"] == "attempt-started" && line["task"] == "gate");
    running.kill();
    project.write("go", "");
}

fn gate_script(server: &ModelServer) {
    server.when("After", Reply::text("three is the sum"));
    server.next(Reply::text("one"));
    server.next(Reply::text("two"));
}

#[test]
fn a_recording_that_was_killed_goes_on_in_the_same_file_and_its_replay_survives_a_kill_too() {
    let server = ModelServer::start().expect("a server");
    gate_script(&server);
    let project = gated(&server.url()).with("SOME_KEY", KEY);
    let arguments = ["execute", "--workflow", "gated.yaml", "--record", "g.cassette", "--json"];
    killed_at_the_gate(&project, &arguments);
    assert_eq!(project.read("g.cassette").lines().count(), 2, "what had ended is there");
    // As if the machine had died while a line was written.
    let torn = format!("{}{{\"kind\":\"compl", project.read("g.cassette"));
    project.write("g.cassette", &torn);
    let resumed = project.ok(&["resume", "--json"]);
    let result = resumed.last();
    assert_eq!(result["status"], "succeeded", "{result}");
    assert!(resumed.stderr.contains("not whole"), "{}", resumed.stderr);
    let cassette = project.read("g.cassette");
    assert_eq!(lines(&cassette).len(), 4);
    let recorded = left(&project, id(&result));
    drop(server);

    let replay = gated("http://127.0.0.1:1");
    replay.write("g.cassette", &cassette);
    let arguments = ["execute", "--workflow", "gated.yaml", "--replay", "g.cassette", "--json"];
    killed_at_the_gate(&replay, &arguments);
    fs::remove_file(replay.path().join("g.cassette")).expect("the file is not needed any more");
    let result = replay.ok(&["resume", "--json"]).last();
    assert_eq!((&result["status"], &result["replayed"]), (&json!("succeeded"), &json!(true)));
    let again = left(&replay, id(&result));
    let outputs = |tasks: &BTreeMap<String, Value>| -> Vec<Value> {
        tasks.values().map(|task| task["output"].clone()).collect()
    };
    assert_eq!(outputs(&again), outputs(&recorded));
    assert_eq!(replay.json(&["cost-report"])["total"]["cost_usd"], "0");

    // What is done again of it stays offline.
    let retried = replay.ok(&["retry", "latest", "--from", "two", "--json"]).last();
    assert_eq!((&retried["status"], &retried["replayed"]), (&json!("succeeded"), &json!(true)));
}

#[test]
fn a_recording_whose_file_is_gone_or_another_does_not_go_on() {
    let server = ModelServer::start().expect("a server");
    gate_script(&server);
    let project = gated(&server.url()).with("SOME_KEY", KEY);
    let arguments = ["execute", "--workflow", "gated.yaml", "--record", "g.cassette", "--json"];
    killed_at_the_gate(&project, &arguments);
    let whole = project.read("g.cassette");
    fs::remove_file(project.path().join("g.cassette")).expect("a file");
    let gone = project.run(&["resume", "--json"]).expect(2);
    assert_eq!(gone.problem()["code"], "ORC-0558", "{gone:?}");
    project.write("g.cassette", &example("tour.cassette"));
    let other = project.run(&["resume", "--json"]).expect(2);
    assert_eq!(other.problem()["code"], "ORC-0558", "{other:?}");
    assert_eq!(project.read("g.cassette"), example("tour.cassette"), "left as it is");
    project.write("g.cassette", &whole);
    assert_eq!(project.ok(&["resume", "--json"]).last()["status"], "succeeded");
}

fn problem(project: &Project, option: &str, file: &str) -> Ran {
    let more: &[&str] =
        if option == "--detach" { &["--replay", file, "--detach"] } else { &[option, file] };
    let arguments = [&["execute", "--workflow", "tour.yaml", "--json"], more].concat();
    project.run(&arguments).expect(2)
}

#[test]
fn what_is_no_cassette_is_refused_with_a_code_and_nothing_is_overwritten() {
    let project = project("http://127.0.0.1:1").with("SOME_KEY", KEY);
    let whole = example("tour.cassette");
    let newer = whole.replacen("cassette/v1", "cassette/v9", 1);
    let damaged = whole.replacen("\"kind\"", "\"ki", 1);
    for (name, text, code) in [
        ("foreign", "hello\n", "ORC-0553"),
        ("empty", "", "ORC-0553"),
        ("newer", newer.as_str(), "ORC-0555"),
        ("damaged", damaged.as_str(), "ORC-0554"),
    ] {
        project.write(name, text);
        for option in ["--replay", "--detach"] {
            let ran = problem(&project, option, name);
            schemas::check(&ran.problem());
            assert_eq!(ran.problem()["code"], code, "{name} {option}");
        }
        let ran = problem(&project, "--record", name);
        assert_eq!(ran.problem()["code"], "ORC-0556", "{name}");
        assert_eq!(project.read(name), text, "{name} is as it was");
    }
    assert_eq!(problem(&project, "--replay", "nowhere").problem()["code"], "ORC-0552");
    let both = ["execute", "--workflow", "tour.yaml", "--replay", "a", "--record", "b"];
    assert!(project.run(&both).expect(2).stderr.contains("cannot be used with"));
    let nowhere = ["execute", "--workflow", "tour.yaml", "--record", "no/such/place", "--json"];
    assert_eq!(project.run(&nowhere).expect(1).problem()["code"], "ORC-0557");
    assert!(project.json(&["list-runs"])["items"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_torn_last_line_is_told_and_the_rest_is_replayed() {
    let project = project("http://127.0.0.1:1");
    let whole = example("tour.cassette");
    let torn = format!("{whole}{{\"kind\":\"complete\",\"task\":\"mo");
    project.write("t.cassette", &torn);
    let ran = project.ok(&["execute", "--workflow", "tour.yaml", "--replay", "t.cassette"]);
    assert!(ran.stderr.contains("not whole"), "{}", ran.stderr);
}

#[test]
fn no_secret_gets_into_a_cassette_in_any_form() {
    const SECRET: &str = "hunter2-correct-horse";
    let server = ModelServer::start().expect("a server");
    // The model says the key in its answer, one piece after another, and in its reasoning.
    let said = format!("your key is {KEY}, in hex {}", hex(KEY));
    server
        .otherwise(Reply::text(said.replace("test-", "test- ").replace("- ", "-")).reasoning(KEY));
    let project = Project::with_flow(&format!(
        "name: leaky\ninputs: {{ word: {{ type: string, default: '' }} }}\ntasks:\n  \
         a: {{ agent: dev, prompt: 'The key is {KEY}, the word is {{{{ inputs.word }}}}.' }}\n  \
         b: {{ needs: [a], agent: dev, prompt: 'You said {{{{ tasks.a.output }}}}' }}\n"
    ))
    .with("SOME_KEY", KEY)
    .with("ANTHROPIC_API_KEY", SECRET);
    project.write(".orchestrator/config.toml", &settings(&server.url()));
    let word = format!("word={SECRET}");
    let arguments = ["execute", "--workflow", "flow.yaml", "--input", &word, "--json"];
    let recorded = project.ok(&[&arguments[..], &["--record", "l.cassette"]].concat()).last();
    let cassette = project.read("l.cassette");
    assert_eq!(lines(&cassette).len(), 3);
    for secret in [KEY, SECRET] {
        for form in
            [secret.to_owned(), hex(secret), secret.split('-').next_back().expect("a part").into()]
        {
            assert!(!cassette.contains(&form), "{form} in {cassette}");
        }
    }
    assert!(cassette.contains("[redacted]"));
    drop(server);
    // Where the secrets are known it replays; and where they are not, since what was hidden stands
    // for any text.
    let again = project.ok(&[&arguments[..], &["--replay", "l.cassette"]].concat()).last();
    assert_eq!(left(&project, id(&again)), left(&project, id(&recorded)));
    let elsewhere = Project::with_flow(&project.read("flow.yaml"));
    elsewhere.write(".orchestrator/config.toml", &settings("http://127.0.0.1:1"));
    elsewhere.write("l.cassette", &cassette);
    let again = elsewhere.ok(&[&arguments[..], &["--replay", "l.cassette"]].concat()).last();
    assert_eq!(left(&elsewhere, id(&again)), left(&project, id(&recorded)));
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_run_in_the_background_replays_as_well() {
    let project = project("http://127.0.0.1:1");
    project.write("t.cassette", &example("tour.cassette"));
    let arguments = ["execute", "--workflow", "tour.yaml", "--replay", "t.cassette", "--detach"];
    let run = project.ok(&arguments).stdout.trim().to_owned();
    let ended = eventually("the end of the run", || {
        let run = project.json(&["status", &run]);
        (run["status"] == "succeeded").then_some(run)
    });
    assert_eq!(ended["replayed"], true);
    assert!(Path::new(&project.path().join(".orchestrator/state")).is_dir());
}

#[test]
fn fall_backs_and_what_follows_replay_too_and_a_replayed_run_can_be_taken_elsewhere() {
    let server = ModelServer::start().expect("a server");
    server.when_request(
        |request| request.model() == "dear",
        Reply::error(402, "billing_error", "no credit"),
    );
    server.otherwise(Reply::text("done by the other"));
    let flow = "name: follows\nthen: { on: success, workflow: phrase.yaml }\n\
                tasks:\n  a: { agent: first, prompt: Do it. }\n";
    let config = format!(
        "{}[agents.first]\nrole = \"dev\"\nmodel = \"dear\"\nprovider = \"anthropic\"\nfall-back = [\"qa\"]\n\
         [budget]\nusd-per-run = 0.5\n[prices.dear]\ninput = 1\noutput = 1\n",
        settings(&server.url())
    );
    let project = |key: bool| {
        let project = Project::with_flow(flow);
        project.write("phrase.yaml", &example("phrase.yaml"));
        project.write(".orchestrator/config.toml", &config);
        if key { project.with("SOME_KEY", KEY) } else { project }
    };
    let recorded = project(true);
    let arguments = ["execute", "--workflow", "flow.yaml", "--record", "f.cassette", "--json"];
    let result = recorded.ok(&arguments).last();
    let cassette = recorded.read("f.cassette");
    let tasks: Vec<Value> = lines(&cassette)[1..].iter().map(|it| it["task"].clone()).collect();
    assert_eq!(tasks, ["a", "a", "then phrase/say"]);
    drop(server);
    let replayed = project(false);
    replayed.write("f.cassette", &cassette);
    let arguments = ["execute", "--workflow", "flow.yaml", "--replay", "f.cassette", "--json"];
    let again = replayed.ok(&arguments).last();
    assert_eq!(left(&replayed, id(&again)), left(&recorded, id(&result)));
    let runs = replayed.json(&["list-runs"]);
    schemas::check(&runs);
    let all = runs["items"].as_array().expect("items");
    assert_eq!(all.len(), 2);
    assert!(
        all.iter().all(|run| run["status"] == "succeeded" && run["replayed"] == true),
        "{runs}"
    );

    replayed.ok(&["export", id(&again), "--output", "run.json"]);
    let elsewhere = Project::new();
    elsewhere.write("run.json", &replayed.read("run.json"));
    elsewhere.ok(&["import", "run.json"]);
    assert_eq!(elsewhere.json(&["run-details", "latest"])["replayed"], true);
    let retried = elsewhere.ok(&["fork", "latest", "--at", "a", "--json"]).last();
    assert_eq!((&retried["status"], &retried["replayed"]), (&json!("succeeded"), &json!(true)));
}

/// What a program gets that asks a gateway: the status, and the body as its bytes passed.
fn post(url: &str, path: &str, token: &str, body: &Value) -> (u16, String) {
    let host = url.strip_prefix("http://").expect("a URL");
    let body = body.to_string();
    let mut stream = std::net::TcpStream::connect(host).expect("a connection");
    let head = format!(
        "POST {path} HTTP/1.0\r\nhost: {host}\r\ncontent-type: application/json\r\nx-api-key: \
         {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// Starts a gateway; gives it with its address and token.
fn gateway(project: &Project, option: &str, file: &str) -> (Running, String, String) {
    let mut running = project.start(&["gateway", option, file, "--json"]);
    let listening: Value =
        serde_json::from_str(&running.line().expect("a line")).expect("a document");
    let part = |name: &str| listening[name].as_str().expect("text").to_owned();
    (running, part("url"), part("token"))
}

fn message(text: &str, session: &str) -> Value {
    json!({
        "model": "claude-sonnet-4-5", "max_tokens": 100, "stream": true,
        "metadata": { "user_id": session },
        "messages": [{ "role": "user", "content": text }],
    })
}

#[test]
fn what_passes_the_gateway_replays_byte_for_byte_without_any_provider() {
    let server = ModelServer::start().expect("a server");
    let say = format!("your key is {KEY}!").replace("test-", "test- ");
    server.when("the key", Reply::text(say.replace("- ", "-")));
    server.when(
        "fail",
        Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "7"),
    );
    server.next(Reply::text("one").reasoning("well"));
    server.next(Reply::text("two"));
    let project = project(&server.url()).with("SOME_KEY", KEY);
    let (mut running, url, token) = gateway(&project, "--record", "s.cassette");
    let path = "/anthropic/v1/messages";
    let questions = ["again", "again", "fail", "the key"];
    let heard: Vec<_> =
        questions.iter().map(|text| post(&url, path, &token, &message(text, "a"))).collect();
    assert_eq!(heard.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 429, 200]);
    running.signal(rustix::process::Signal::INT);
    running.end().expect(0);
    drop(server);
    let cassette = project.read("s.cassette");
    for secret in [KEY, token.as_str(), "0123456789"] {
        assert!(!cassette.contains(secret), "{secret}: {cassette}");
    }
    let exchange = json!({ "$ref": "#/$defs/exchange" });
    for line in &lines(&cassette)[1..] {
        schemas::check_part("orchestrator.cassette/v2", &exchange, line);
        assert_eq!(line["kind"], "http");
        let is_metered = line["response"]["usage"]["output"] == 20;
        assert_eq!(is_metered, line["response"]["status"] == 200, "{line}");
    }

    let bare = Project::new();
    bare.write("s.cassette", &cassette);
    let (mut running, url, token) = gateway(&bare, "--replay", "s.cassette");
    for (text, (status, body)) in questions.iter().zip(&heard).take(3) {
        let again = post(&url, path, &token, &message(text, "another session"));
        assert_eq!(again, (*status, body.clone()), "{text}");
    }
    let (status, hidden) = post(&url, path, &token, &message("the key", "b"));
    assert!(status == 200 && hidden.contains("message_stop"), "{hidden}");
    assert!(hidden.contains("[redacted]!") && !hidden.contains("0123456789"), "{hidden}");
    // What is not there is told in the words of each provider, and is not worth a retry.
    let (status, body) = post(&url, path, &token, &message("agein", "b"));
    let error: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &error["error"]["type"]), (400, &json!("invalid_request_error")), "{body}");
    let told = error["error"]["message"].as_str().expect("a message");
    assert!(
        told.contains("ORC-0551") && told.contains("\"again\"") && told.contains("\"agein\""),
        "{told}"
    );
    let (_, body) = post(&url, path, &token, &message("again", "b"));
    assert!(body.contains("2 times"), "each is given once: {body}");
    let chat = json!({ "model": "gpt-4o", "messages": [] });
    let (status, body) = post(&url, "/openai/v1/chat/completions", &token, &chat);
    let error: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &error["error"]["code"]), (400, &json!("not_recorded")), "{body}");
    assert_eq!(post(&url, path, "orc-attempt-forged", &message("again", "b")).0, 401);
    running.signal(rustix::process::Signal::INT);
    let ended = running.end().expect(0);
    assert!(ended.stderr.contains("4 answers replayed; nothing was spent"), "{}", ended.stderr);
    assert_eq!(bare.json(&["cost-report"])["ledger"]["settled_calls"], 0);

    let again = project.run(&["gateway", "--record", "s.cassette"]).expect(2);
    assert!(again.stderr.contains("ORC-0556"), "{}", again.stderr);
    assert_eq!(project.read("s.cassette"), cassette);
    let nowhere = bare.run(&["gateway", "--replay", "nowhere", "--json"]).expect(2);
    assert_eq!(nowhere.problem()["code"], "ORC-0552");
}

/// What a program receives that asks a gateway in HTTP/1.1: the body, and whether it came to its end.
/// With `enough` it hangs up as soon as that has come.
fn stream(url: &str, token: &str, text: &str, enough: Option<&str>) -> (String, bool) {
    let host = url.strip_prefix("http://").expect("a URL");
    let body = message(text, "a").to_string();
    let mut stream = std::net::TcpStream::connect(host).expect("a connection");
    let head = format!(
        "POST /anthropic/v1/messages HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         x-api-key: {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let has = |bytes: &[u8], text: &str| String::from_utf8_lossy(bytes).contains(text);
    // How a break shows is the system's to say.
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..read]);
        if enough.is_some_and(|enough| has(&bytes, enough)) {
            break;
        }
    }
    let text = String::from_utf8(bytes).expect("text");
    let (head, mut rest) = text.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"), "{head}");
    if let Some((_, length)) = head.split_once("content-length: ") {
        let length = length.lines().next().and_then(|length| length.parse().ok());
        return (rest.to_owned(), length == Some(rest.len()));
    }
    let mut body = String::new();
    while let Some((size, chunk)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            return (body, true);
        }
        body += &chunk[..size];
        rest = chunk[size..].strip_prefix("\r\n").unwrap_or_default();
    }
    (body, false)
}

#[test]
fn an_answer_that_was_stopped_is_recorded_and_stops_there_again() {
    let server = ModelServer::start().expect("a server");
    server.when("cut", Reply::text("a long answer that breaks off").cut_after(4));
    server.when("hang", Reply::text("a long answer that is not waited for").hang_after(3));
    server.otherwise(Reply::text("whole"));
    let project = project(&server.url()).with("SOME_KEY", KEY);
    let (mut running, url, token) = gateway(&project, "--record", "s.cassette");
    let cut = stream(&url, &token, "cut", None);
    assert!(!cut.1 && cut.0.contains("message_start"), "{cut:?}");
    let left = stream(&url, &token, "hang", Some("content_block_start"));
    assert!(left.0.contains("message_start"), "{left:?}");
    let fine = stream(&url, &token, "fine", None);
    assert!(fine.1, "{fine:?}");
    running.signal(rustix::process::Signal::INT);
    running.end().expect(0);
    drop(server);
    let cassette = project.read("s.cassette");
    let lines = lines(&cassette);
    let exchange = json!({ "$ref": "#/$defs/exchange" });
    let stopped = |text: &str| {
        let of = |line: &&Value| line["request"].to_string().contains(text);
        let line = lines.iter().skip(1).find(of).expect("a record");
        schemas::check_part("orchestrator.cassette/v2", &exchange, line);
        line["stopped"].clone()
    };
    assert_eq!(stopped("cut")["by"], "provider");
    assert_eq!(stopped("cut")["response"]["body"], json!(cut.0));
    assert_eq!(stopped("hang")["by"], "caller");
    assert_eq!(stopped("fine"), Value::Null);

    let bare = Project::new();
    bare.write("s.cassette", &cassette);
    let (mut running, url, token) = gateway(&bare, "--replay", "s.cassette");
    assert_eq!(stream(&url, &token, "cut", None), cut);
    let again = stream(&url, &token, "hang", Some("content_block_start"));
    assert!(again.0.starts_with(&left.0) && !again.1, "{again:?} {left:?}");
    assert_eq!(stream(&url, &token, "fine", None), fine);
    running.signal(rustix::process::Signal::INT);
    running.end().expect(0);
}

#[test]
fn an_attempt_that_ran_out_of_time_does_so_again_in_a_replay() {
    let server = ModelServer::start().expect("a server");
    server.next(Reply::text("an answer that is not ended in time").hang_after(4));
    server.next(Reply::text("in time"));
    let project = project(&server.url()).with("SOME_KEY", KEY);
    let task = "{ agent: dev, prompt: do it, timeout: { attempt: 1s } }";
    project.write("slow.yaml", &format!("name: slow\ntasks:\n  a: {task}\n"));
    let execute = |option: &str| {
        let arguments = ["execute", "--workflow", "slow.yaml", "--json", option, "s.cassette"];
        let result = project.run(&arguments).expect(0).last();
        let task = project.json(&["task-details", &format!("{}.a", id(&result))]);
        let part = |name: &str| task[name].clone();
        (part("output"), part("attempts"), part("input_tokens"))
    };
    let recorded = execute("--record");
    assert_eq!((&recorded.0, &recorded.1), (&json!("in time"), &json!(2)));
    drop(server);
    let cassette = lines(&project.read("s.cassette"));
    let exchange = json!({ "$ref": "#/$defs/exchange" });
    cassette[1..].iter().for_each(|line| {
        schemas::check_part("orchestrator.cassette/v2", &exchange, line);
    });
    assert_eq!((&cassette[1]["stopped"]["by"], cassette.len()), (&json!("caller"), 3));
    assert_eq!(cassette[1]["stopped"]["sent"], true);
    assert_eq!(execute("--replay"), recorded);
}
