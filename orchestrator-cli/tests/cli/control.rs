//! Control and people, from one terminal to another and with nobody at work.

use crate::{
    harness::{Project, eventually},
    schemas,
};
use serde_json::{Value, json};

/// A task that waits for a file, between two that leave marks.
const GATE: &str = r#"
name: gate
tasks:
  before: { command: [sh, -c, "echo before >> marks"] }
  wait: { needs: [before], command: [sh, -c, "until [ -e go ]; do sleep 0.02; done; echo wait >> marks"] }
  after: { needs: [wait], command: [sh, -c, "echo after >> marks"] }
"#;

/// A person decides between two programs.
const ASK: &str = r#"
name: ask
tasks:
  build: { command: [echo, v1] }
  sign-off: { needs: [build], approval: { message: "Land {{ tasks.build.output }}?" } }
  land: { needs: [sign-off], command: [sh, -c, "echo landed >> marks"] }
"#;

/// The same in a child.
const PARENT: &str = "name: parent\ntasks:\n  inner: { workflow: ask.yaml }\n  done: { needs: [inner], command: [echo, done] }\n";

fn status(project: &Project, run: &str) -> String {
    project.json(&["run-details", run])["status"].as_str().expect("a status").to_owned()
}

/// Starts `flow.yaml` and waits until `task` is at work; the run's id.
fn begun(project: &Project, task: &str) -> (crate::harness::Running, String) {
    let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    let event = running
        .until("a start", |event| event["type"] == "attempt-started" && event["task"] == task);
    (running, event["run"].as_str().expect("an id").to_owned())
}

#[test]
fn a_paused_run_starts_nothing_until_it_is_resumed() {
    let project = Project::with_flow(GATE);
    let (mut running, run) = begun(&project, "wait");
    let done = project.json(&["pause", &run]);
    schemas::check(&done);
    assert_eq!(done["items"][0]["driven"], true, "{done}");
    assert_eq!(status(&project, &run), "paused");
    project.write("go", "");
    running.until("the end of the task", |event| {
        event["type"] == "attempt-succeeded" && event["task"] == "wait"
    });
    assert_eq!(project.read("marks").lines().collect::<Vec<_>>(), ["before", "wait"]);
    let again = project.run(&["pause", &run]).expect(2);
    assert!(again.stderr.contains("ORC-0622"), "{}", again.stderr);
    let told = project.json(&["resume", &run]);
    schemas::check(&told);
    assert_eq!(told["action"], "resume");
    assert_eq!(running.end().expect(0).last()["status"], "succeeded");
    assert_eq!(project.read("marks").lines().count(), 3);
}

#[test]
fn pause_now_stops_what_runs_and_resume_does_it_again() {
    let project = Project::with_flow(GATE);
    let (mut running, run) = begun(&project, "wait");
    project.json(&["pause", &run, "--now"]);
    running.until("the stop", |event| event["type"] == "attempt-failed");
    // The process that drives it is gone; paused it stays, and another takes it up.
    running.kill();
    assert_eq!(status(&project, &run), "paused");
    project.write("go", "");
    let ran = project.ok(&["resume", &run, "--json"]);
    assert_eq!(ran.last()["status"], "succeeded");
    assert_eq!(project.read("marks").lines().collect::<Vec<_>>(), ["before", "wait", "after"]);
}

#[test]
fn one_task_is_killed_and_the_rest_goes_on() {
    let flow = "name: two\ntasks:\n  hang: { command: [sleep, \"600\"], on-failure: continue }\n  other: { command: [echo, x] }\n";
    let project = Project::with_flow(flow);
    let (mut running, run) = begun(&project, "hang");
    let done = project.json(&["kill", &format!("{run}.hang"), "--reason", "it hangs"]);
    schemas::check(&done);
    running.end();
    let statuses = project.statuses(&run);
    assert_eq!(statuses, [("hang", "cancelled"), ("other", "succeeded")].map(owned), "{done}");
    assert!(project.ok(&["logs", &run]).stdout.contains("it hangs"));
    let over = project.run(&["kill", &format!("{run}.other")]).expect(2);
    assert!(over.stderr.contains("ORC-0605"), "{}", over.stderr);
    assert!(project.run(&["kill", "nobody"]).expect(2).stderr.contains("ORC-0511"));
    assert!(project.run(&["kill", "command"]).expect(2).stderr.contains("ORC-0624"));
}

#[test]
fn messages_to_agents_that_take_none_are_refused_with_what_they_run_on() {
    let project = Project::with_flow(GATE);
    let (mut running, run) = begun(&project, "wait");
    for command in
        [&["send", "wait", "hurry"][..], &["interrupt", "wait"], &["interrupt", "wait", "x"]]
    {
        let refused = project.run(command).expect(2);
        assert!(refused.stderr.contains("ORC-0681"), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("runs on `command` and takes no messages"),
            "{}",
            refused.stderr
        );
    }
    let problem = project.run(&["send", &format!("{run}.after"), "x", "--json"]).expect(2);
    let problem: Value = serde_json::from_str(problem.stderr.trim()).expect("a document");
    schemas::check(&problem);
    assert_eq!(problem["code"], "ORC-0682", "{problem}");
    assert!(project.run(&["send", "nobody", "x"]).expect(2).stderr.contains("ORC-0604"));
    project.write("go", "");
    running.end().expect(0);
    let over = project.run(&["send", &format!("{run}.wait"), "x"]).expect(2);
    assert!(over.stderr.contains("ORC-0605"), "{}", over.stderr);
    let details = project.json(&["task-details", "wait"]);
    schemas::check(&details);
    assert_eq!((&details["messages"], &details["allowed"]), (&json!([]), &json!([])));
}

#[test]
fn what_has_no_number_is_answered_as_before() {
    let project = Project::with_flow(ASK);
    project.run(&["execute", "--workflow", "flow.yaml"]).expect(6);
    let refused = project.run(&["approve", "sign-off", "--always"]).expect(2);
    assert!(refused.stderr.contains("ORC-0683"), "{}", refused.stderr);
    let refused = project.run(&["approve", "sign-off", "--question", "1"]).expect(2);
    assert!(refused.stderr.contains("ORC-0680"), "{}", refused.stderr);
    assert!(
        project
            .run(&["approve", "sign-off", "--all", "--question", "1"])
            .expect(2)
            .stderr
            .contains("--all")
    );
    let done = project.json(&["reject", "sign-off", "not like that"]);
    schemas::check(&done);
    assert_eq!(done["items"][0]["question"], Value::Null, "{done}");
    assert!(project.ok(&["task-details", "sign-off"]).stdout.contains("not like that"));
}

#[test]
fn all_that_an_agent_is_at_work_on_is_killed_by_its_name() {
    let flow = "name: two\ntasks:\n  a: { command: [sleep, \"600\"] }\n  b: { command: [sleep, \"600\"] }\n";
    let project = Project::with_flow(flow);
    let (mut running, run) = begun(&project, "b");
    let done = project.json(&["kill", "command"]);
    assert_eq!(done["items"].as_array().map(Vec::len), Some(2), "{done}");
    running.end();
    assert_eq!(project.statuses(&run), [("a", "cancelled"), ("b", "cancelled")].map(owned));
}

fn owned((name, status): (&str, &str)) -> (String, String) {
    (name.to_owned(), status.to_owned())
}

#[test]
fn without_a_terminal_a_run_that_waits_for_a_person_exits_with_6() {
    let project = Project::with_flow(ASK).with("USER", "ann");
    let ran = project.run(&["execute", "--workflow", "flow.yaml", "--json"]).expect(6);
    let result = ran.last();
    schemas::check(&result);
    assert_eq!(result["status"], "waiting");
    let asked = &result["asks"][0];
    assert_eq!((&asked["message"], &asked["kind"]), (&json!("Land v1?"), &json!("approval")));
    let run = result["run"].as_str().expect("an id");
    assert_eq!(asked["id"], format!("{run}.sign-off"));
    assert_eq!(status(&project, run), "waiting");
    let listed = project.json(&["list-runs", "--status", "waiting"]);
    assert_eq!(listed["items"][0]["id"], run);
    assert!(project.ok(&["status"]).stdout.contains("waiting"));

    // Nobody drives it: the answer is taken at once, and nothing is started.
    let done = project.json(&["approve", "sign-off"]);
    schemas::check(&done);
    assert_eq!((&done["resume"], &done["items"][0]["driven"]), (&json!(run), &json!(false)));
    assert_eq!(project.read("marks"), "");
    let again = project.run(&["approve", "sign-off"]).expect(2);
    assert!(again.stderr.contains("ORC-0621"), "{}", again.stderr);
    assert_eq!(project.ok(&["resume", run, "--json"]).last()["status"], "succeeded");
    assert_eq!(project.read("marks"), "landed\n");
    let task = project.json(&["task-details", "sign-off"]);
    assert_eq!(task["output"]["by"], "ann", "{task}");
}

#[test]
fn an_answer_reaches_the_process_that_drives_the_run() {
    // A task beside keeps the process at work while the person is asked.
    let flow = format!(
        "{ASK}  beside: {{ command: [sh, -c, \"until [ -e go ]; do sleep 0.02; done\"] }}\n"
    );
    let project = Project::with_flow(&flow);
    let mut running = project.start(&["execute", "--workflow", "flow.yaml", "--json"]);
    running.until("the question", |event| event["type"] == "person-asked");
    let done = project.json(&["answer", "sign-off", "on Monday", "--as", "bob"]);
    assert_eq!((&done["resume"], &done["items"][0]["driven"]), (&Value::Null, &json!(true)));
    running.until("the landing", |event| {
        event["type"] == "attempt-succeeded" && event["task"] == "land"
    });
    project.write("go", "");
    running.end().expect(0);
    let output = &project.json(&["task-details", "sign-off"])["output"];
    assert_eq!((&output["by"], &output["answer"]), (&json!("bob"), &json!("on Monday")));
}

#[test]
fn what_is_rejected_fails_and_says_who_and_why() {
    let project = Project::with_flow(ASK);
    let ran = project.run(&["execute", "--workflow", "flow.yaml"]).expect(6);
    assert!(ran.stderr.contains("orchestrator approve r_"), "{}", ran.stderr);
    let done = project.json(&["reject", "sign-off", "--reason", "too late", "--as", "ann"]);
    assert_eq!((&done["items"][0]["status"], &done["resume"]), (&json!("failed"), &Value::Null));
    let task = project.json(&["task-details", "sign-off"]);
    let message = task["error"]["message"].as_str().expect("a message");
    assert!(message.contains("ann") && message.contains("too late"), "{message}");
    assert!(project.run(&["resume"]).expect(2).stderr.contains("ORC-0605"));
}

#[test]
fn an_approval_in_a_child_is_found_by_its_name_and_resumes_the_parent() {
    let project = Project::with_flow(PARENT);
    project.write("ask.yaml", ASK);
    let ran = project.run(&["execute", "--workflow", "flow.yaml", "--json"]).expect(6);
    let (result, parent) = (ran.last(), ran.last()["run"].clone());
    let child = result["asks"][0]["run"].as_str().expect("a run").to_owned();
    assert_ne!(parent, *child);
    let shown = project.json(&["run-details", &child]);
    assert_eq!((&shown["parent"], &shown["status"]), (&parent, &json!("waiting")));
    assert_eq!(
        project.json(&["task-details", "inner", "--run", parent.as_str().expect("an id")])["child"],
        *child
    );
    let ran = project.ok(&["approve", "sign-off", "--resume", "--json"]);
    let first: Value =
        serde_json::from_str(ran.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["schema"], &first["resume"]), (&json!("orchestrator.control/v1"), &parent));
    assert_eq!((&ran.last()["run"], &ran.last()["status"]), (&parent, &json!("succeeded")));
    assert_eq!(project.read("marks"), "landed\n");
}

#[test]
fn cancelling_an_idle_run_cancels_its_children() {
    let project = Project::with_flow(PARENT);
    project.write("ask.yaml", ASK);
    let result = project.run(&["execute", "--workflow", "flow.yaml", "--json"]).expect(6).last();
    let run = result["run"].as_str().expect("an id");
    assert_eq!(project.json(&["cancel", run])["status"], "cancelled");
    for run in project.json(&["list-runs"])["items"].as_array().expect("items") {
        assert_eq!(run["status"], "cancelled", "{run}");
    }
}

#[test]
fn a_detached_run_is_a_run_like_any_other() {
    let project = Project::with_flow(GATE);
    let started = project.json(&["execute", "--workflow", "flow.yaml", "--detach"]);
    schemas::check(&started);
    let run = started["run"].as_str().expect("an id");
    eventually("the first mark", || project.read("marks").contains("before").then_some(()));
    let details = project.json(&["run-details", run]);
    assert_eq!(details["status"], "running");
    let pid = started["pid"].to_string();
    assert!(details["driver"].as_str().is_some_and(|driver| driver.contains(&pid)), "{details}");
    project.json(&["pause", run]);
    assert_eq!(status(&project, run), "paused");
    project.write("go", "");
    project.json(&["resume", run]);
    eventually("the end", || (status(&project, run) == "succeeded").then_some(()));
    let log = started["log"].as_str().expect("a file");
    eventually("the last words", || {
        std::fs::read_to_string(log).is_ok_and(|log| log.contains("\"succeeded\"")).then_some(())
    });
    assert!(!project.read("marks").is_empty());
}

#[test]
fn a_detached_run_waits_for_a_person_safely_and_dies_resumably() {
    let project = Project::with_flow(ASK);
    let run =
        project.ok(&["execute", "--workflow", "flow.yaml", "--detach"]).stdout.trim().to_owned();
    let idle = || project.json(&["run-details", &run])["driver"].is_null().then_some(());
    eventually("the end of its process", idle);
    assert_eq!(status(&project, &run), "waiting");
    project.json(&["approve", "sign-off"]);
    let again = project.json(&["resume", &run, "--detach"]);
    assert_eq!(again["run"], *run);
    eventually("the end", || (status(&project, &run) == "succeeded").then_some(()));

    let project = Project::with_flow(GATE);
    let started = project.json(&["execute", "--workflow", "flow.yaml", "--detach"]);
    let run = started["run"].as_str().expect("an id");
    eventually("the first mark", || project.read("marks").contains("before").then_some(()));
    let pid = started["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a number");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    eventually("its death", || (status(&project, run) == "interrupted").then_some(()));
    project.write("go", "");
    assert_eq!(project.ok(&["resume", run, "--json"]).last()["status"], "succeeded");
}

#[test]
fn a_detached_run_that_cannot_start_says_why() {
    let project = Project::with_flow("name: bad\ntasks: {}\n");
    let ran = project.run(&["execute", "--workflow", "flow.yaml", "--detach"]).expect(2);
    assert!(ran.stderr.contains("ORC-0211"), "{}", ran.stderr);
    assert!(project.run(&["resume", "r_none", "--detach"]).expect(2).stderr.contains("ORC-0601"));
}

#[test]
fn cached_results_are_used_again_until_they_are_forgotten() {
    let flow = "name: once\ntasks:\n  slow: { command: [sh, -c, \"echo x >> marks; echo y\"], cache: { ttl: 1h } }\n";
    let project = Project::with_flow(flow);
    let execute = || project.ok(&["execute", "--workflow", "flow.yaml", "--json"]);
    execute();
    execute();
    assert_eq!(project.read("marks").lines().count(), 1);
    let task = project.json(&["task-details", "slow"]);
    schemas::check(&task);
    assert_eq!(task["cached"]["task"], "slow", "{task}");
    let would = project.json(&["clean", "--cache", "--dry-run"]);
    schemas::check(&would);
    assert_eq!(would["cached"], 1);
    assert_eq!(project.json(&["clean", "--cache", "--older-than", "1h"])["cached"], 0);
    assert!(project.ok(&["clean", "--cache"]).stdout.contains("forgot 1 cached result"));
    execute();
    assert_eq!(project.read("marks").lines().count(), 2);
}

#[test]
fn what_then_starts_is_seen_to_its_end() {
    let project =
        Project::with_flow("name: first\nthen: next.yaml\ntasks:\n  a: { command: [echo, one] }\n");
    project.write(
        "next.yaml",
        "name: next\ntasks:\n  b: { command: [sh, -c, \"sleep 0.3; echo b >> marks\"] }\n  ok: { needs: [b], approval: { message: Good? } }\n",
    );
    let ran = project.run(&["execute", "--workflow", "flow.yaml", "--json"]).expect(6);
    assert_eq!(ran.last()["status"], "succeeded", "the first has done what it was asked");
    assert_eq!(project.read("marks"), "b\n");
    let next = ran.last()["asks"][0]["run"].as_str().expect("a run").to_owned();
    let shown = project.json(&["run-details", &next]);
    schemas::check(&shown);
    assert_eq!(
        (&shown["origin"]["how"], &shown["origin"]["run"]),
        (&json!("then"), &ran.last()["run"])
    );
    // Nothing follows the approval: with it the run is over.
    let done = project.json(&["approve", "ok"]);
    assert_eq!((&done["items"][0]["status"], &done["resume"]), (&json!("succeeded"), &Value::Null));
}
