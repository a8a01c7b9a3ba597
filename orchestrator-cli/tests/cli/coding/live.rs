//! Coding CLIs that ask, and that are told something while they work.

use super::{flow, log, output, project};
use crate::harness::{Project, eventually};
use orchestrator_testkit::model_server::ModelServer;

/// Runs a command until it does what it is to.
fn until_done(project: &Project, arguments: &[&str]) {
    let what = arguments.join(" ");
    eventually(&what, || (project.run(arguments).code == Some(0)).then_some(()));
}

#[test]
fn what_no_rule_allows_is_asked_and_answered_from_another_terminal() {
    let server = ModelServer::start().expect("a server");
    let rules = "permissions = { allow = [\"run(echo none)\"], deny = [\"run(rm **)\"] }";
    let project = project(&server, rules);
    let prompt =
        "[[run echo none]] [[run touch one]] [[run touch two]] [[run rm one]] [[say over]]";
    // Something else goes on, so that the run does not end to wait.
    let other = "  b: { command: [sh, -c, \"while [ ! -e go ]; do sleep 0.1; done\"] }\n";
    flow(&project, prompt, other);
    let mut running = project.start(&["execute", "--workflow", "flow"]);
    until_done(&project, &["approve", "a"]);
    until_done(&project, &["reject", "a", "not that"]);
    project.write("go", "");
    running.end().expect(0);
    assert_eq!(output(&project), "over");
    assert!(
        project.path().join("one").exists(),
        "what was approved was done, what is denied was not"
    );
    assert!(!project.path().join("two").exists(), "what was rejected was not done");
    let said = log(&project);
    assert_eq!(said.matches("Bash was not allowed").count(), 2, "{said}");
    assert!(said.contains("not that"), "{said}");
    assert!(!said.contains("attempt 2"), "it went on where it waited: {said}");
}

#[test]
fn a_question_that_was_open_when_the_process_died_is_asked_once_more_and_the_work_goes_on() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "");
    flow(&project, "[[say first]] [[run touch one]] [[say over]]", "");
    let mut running = project.start(&["execute", "--workflow", "flow"]);
    eventually("it to ask", || {
        let status = project.ok(&["status"]).stdout;
        status.contains("touch one").then_some(())
    });
    running.kill();
    project.run(&["resume", "latest"]).expect(6);
    project.run(&["approve", "a", "--resume"]).expect(0);
    assert!(project.path().join("one").exists());
    let export = project.json(&["export", "latest"]);
    let events = export["logs"][0]["events"].as_array().expect("events").iter();
    // Not in the log, whose last lines went with the process.
    let turns = events.map(|record| record["event"].to_string());
    let first = turns.filter(|it| it.contains("turn-recorded") && it.contains("\"first\""));
    assert_eq!(first.count(), 1, "what it had said it does not say again");
}

#[test]
fn it_is_told_something_while_it_works_and_goes_on_after_an_interruption() {
    let server = ModelServer::start().expect("a server");
    let project = project(&server, "");
    flow(&project, "[[hear]] [[hear]] [[say over]]", "");
    let mut running = project.start(&["execute", "--workflow", "flow"]);
    until_done(&project, &["send", "a", "be quick"]);
    eventually("it to hear", || log(&project).contains("heard be quick").then_some(()));
    until_done(&project, &["interrupt", "a", "turn round"]);
    running.end().expect(0);
    assert_eq!(output(&project), "over");
    let said = log(&project);
    for part in ["heard turn round", "it was interrupted"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}
