//! What is left of a coding CLI when the process dies that runs it.

use super::{answer, flow, homes, output, project};
use crate::harness::eventually;
use orchestrator_testkit::model_server::ModelServer;
use serde_json::json;

#[test]
fn killed_in_the_middle_it_goes_on_in_its_session_and_asks_nothing_again() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer("done"));
    let project = project(&server, "");
    flow(&project, "[[ask]] [[ask]] [[orphan]] [[wait go]] [[ask]] [[say over]]", "");
    let mut running = project.start(&["execute", "--workflow", "flow"]);
    let orphan = eventually("the third step", || {
        let text = project.read("orphan");
        (!text.is_empty()).then_some(text)
    });
    eventually("its turns to be recorded", || {
        let events = project.ok(&["export", "latest"]).stdout;
        (events.matches("turn-recorded").count() >= 2).then_some(())
    });
    running.kill();
    eventually("its tree to go", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", orphan.trim()));
        stat.map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
    assert_eq!(homes(&project).len(), 1, "its session is kept");
    project.write("go", "");
    let ran = project.run(&["resume", "latest", "--json"]).expect(0);
    assert_eq!(output(&project), "over");
    assert_eq!(server.requests().len(), 3, "what was asked before is not asked again");
    assert_eq!(ran.last()["cost_usd"], json!("0.0135"), "and is counted once");
    let report = project.json(&["cost-report"]);
    assert_eq!(report["ledger"]["settled_usd"], json!("0.0135"));
    eventually("the home to go", || homes(&project).is_empty().then_some(()));
}

#[test]
fn a_session_that_is_lost_is_told_to_a_new_one() {
    let server = ModelServer::start().expect("a server");
    server.otherwise(answer("the plan is to go north"));
    let project = project(&server, "");
    flow(&project, "[[ask]] [[orphan]] [[wait go]] [[say over]]", "");
    let mut running = project.start(&["execute", "--workflow", "flow"]);
    eventually("the second step", || (!project.read("orphan").is_empty()).then_some(()));
    eventually("its turn to be recorded", || {
        let events = project.ok(&["export", "latest"]).stdout;
        events.contains("turn-recorded").then_some(())
    });
    running.kill();
    let home = project.path().join(".orchestrator/state/homes").join(&homes(&project)[0]);
    std::fs::remove_dir_all(home.join("home/.claude/projects")).expect("its sessions");
    project.write("go", "");
    project.ok(&["resume", "latest"]);
    let said = project.ok(&["logs", "a"]).stdout;
    assert!(said.contains("a new one is told what was done"), "{said}");
    assert!(!said.contains("goes another way"), "nothing that was recorded is lost: {said}");
}
